//! Convolution with stride 1 by Winograd's transforms: F(4x4, 3x3) takes a quarter of the multiplications, F(2x2, 3x3) four ninths, along one
//! axis F(4, 3) takes a half and F(2, 5) three fifths.
//!
//! The input's tiles are transformed, multiplied with the transformed weights position by position (36, 16 or 6 matrix products),
//! and transformed back. Error against f64 below 5e-6 of the largest number up to 256 channels, about twice that of the
//! direct convolution: `errors_of_the_fast_paths` in `tests/conv.rs`.

mod form;
mod tiles;
mod transform;
pub(crate) mod weight_gradient;
pub(crate) mod weights;

use crate::conv::shape::Conv2dShape;
use crate::conv::winograd::tiles::Tiles;
use crate::conv::winograd::transform::at_level;
use crate::layout::{Finish, pixels_to_planes};
use crate::microkernel::{PANEL, Product, Rows, Run, panel_columns};
use crate::scratch;
use crate::simd::{Level, Vector};
use crate::threads::{Shared, for_each};

pub(crate) use form::Form;

/// The fast form of a convolution, if it has one.
pub(crate) fn form(shape: &Conv2dShape) -> Option<Form> {
    let form = Form::of(shape.kernel).filter(|_| shape.stride == (1, 1) && shape.dilation == (1, 1))?;
    (shape.padding.0 <= form.beyond().0 && shape.padding.1 <= form.beyond().1).then_some(form)
}

/// Tiles of a convolution, over all images.
pub(crate) fn tile_count(form: Form, shape: &Conv2dShape) -> usize {
    shape.batch * shape.out_height().div_ceil(form.tile().0) * shape.out_width().div_ceil(form.tile().1)
}

/// The convolution whose forward pass is the gradient of the input of `shape`.
pub(crate) fn input_gradient_shape(shape: &Conv2dShape) -> Conv2dShape {
    Conv2dShape {
        in_channels: shape.out_channels,
        out_channels: shape.in_channels,
        height: shape.out_height(),
        width: shape.out_width(),
        padding: (shape.kernel.0 - 1 - shape.padding.0, shape.kernel.1 - 1 - shape.padding.1),
        ..*shape
    }
}

/// Images on their way through the transforms.
struct Images<'a> {
    level: Level,
    tiles: &'a Tiles,
    /// Rows of tiles of all images, and of a block.
    rows: usize,
    block_rows: usize,
    weights: &'a [f32],
    out_channels: usize,
    finish: Finish,
    output: Shared<'a>,
}

// SAFETY: `finish` points into slices that are only read and outlive the images.
unsafe impl Sync for Images<'_> {}

/// Products in a block: many enough to reuse the weights, few enough that the transformed tiles stay near the processor.
const BLOCK_PRODUCTS: usize = 56 * 36;

/// Most outputs of a tile.
const OUTPUTS: usize = 16;

/// `output = finish(convolution(input))`, with weights from [`weights`].
pub(crate) fn run(level: Level, form: Form, shape: &Conv2dShape, input: &[f32], weights: &[f32], finish: Finish, output: &mut [f32]) {
    let tiles = Tiles::new(form, shape);
    let panels = shape.out_channels.div_ceil(PANEL);
    assert_eq!(weights.len(), panels * form.positions() * shape.in_channels * PANEL, "transformed weights");
    assert_eq!(input.len(), shape.input_length(), "input");
    let rows = shape.batch * tiles.grid.0;
    let block_rows = (BLOCK_PRODUCTS / form.positions() / tiles.grid.1).max(1);
    let (blocks, threads) = (rows.div_ceil(block_rows), rayon::current_num_threads());
    let images =
        Images { level, tiles: &tiles, rows, block_rows, weights, out_channels: shape.out_channels, finish, output: Shared::new(output) };
    if blocks >= 2 * threads {
        images.by_block(input);
    } else if rows >= threads && 2 * rows * tiles.grid.1 >= shape.out_channels {
        // As many rows for each thread. Each reads all weights, but no one reads what another has just written.
        Images { block_rows: rows.div_ceil(blocks.next_multiple_of(threads)), ..images }.by_block(input);
    } else {
        images.by_panel(input);
    }
}

impl Images<'_> {
    fn work(&self) -> usize {
        self.rows * self.tiles.grid.1 * self.tiles.form.positions() * self.tiles.source.channels * self.out_channels
    }

    /// Numbers of a block's transformed tiles.
    fn block_length(&self) -> usize {
        self.tiles.form.positions() * self.block_rows * self.tiles.grid.1 * self.tiles.source.channel_step
    }

    /// Rows of tiles of a block.
    fn block(&self, block: usize) -> std::ops::Range<usize> {
        block * self.block_rows..((block + 1) * self.block_rows).min(self.rows)
    }

    /// A task is a block, from the planes of the input to those of the output.
    fn by_block(&self, input: &[f32]) {
        for_each(self.rows.div_ceil(self.block_rows), self.work(), |block| {
            let mut transformed = scratch::take(self.block_length());
            self.tiles.load_and_transform(self.level, (&self.tiles.source, false), input, self.block(block), &mut transformed);
            for panel in 0..self.out_channels.div_ceil(PANEL) {
                self.multiply(block, panel, &transformed);
            }
        });
    }

    /// Where there are few blocks: all are transformed first, then a task is a block and a panel.
    fn by_panel(&self, input: &[f32]) {
        let (blocks, panels) = (self.rows.div_ceil(self.block_rows), self.out_channels.div_ceil(PANEL));
        let source = &self.tiles.source;
        let mut pixels = scratch::take(self.rows / self.tiles.grid.0 * source.image_length());
        source.load(self.level, input, &mut pixels);
        let pixels = &*pixels;
        let length = self.block_length();
        let mut transformed = scratch::take(blocks * length);
        let shared = Shared::new(&mut transformed);
        for_each(self.rows, self.work(), |row| {
            let (block, from) = (row / self.block_rows, self.tiles.row(source, pixels, row));
            // SAFETY: blocks own disjoint parts of the buffer, and rows disjoint tiles of a block.
            unsafe { self.transform_input(row, block, from, shared.part(block * length, length)) };
        });
        for_each(blocks * panels, self.work(), |task| {
            let (block, panel) = (task / panels, task % panels);
            self.multiply(block, panel, &transformed[block * length..][..length]);
        });
    }

    /// # Safety
    /// Nothing else may touch the row's part of the block's buffer.
    unsafe fn transform_input(&self, row: usize, block: usize, from: &[f32], buffer: Shared) {
        let rows = self.block(block);
        let width = self.tiles.grid.1;
        // SAFETY: passed on.
        unsafe { self.tiles.transform_input(self.level, from, buffer, rows.len() * width, (row - rows.start) * width) };
    }

    /// One panel of output channels of one block: the products, and the way back to the output.
    fn multiply(&self, block: usize, panel: usize, transformed: &[f32]) {
        let rows = self.block(block);
        let tiles = rows.len() * self.tiles.grid.1;
        let (step, channels) = (self.tiles.source.channel_step, self.tiles.source.channels);
        let columns = panel_columns(panel * PANEL, self.out_channels);
        let positions = self.tiles.form.positions();
        let mut products = scratch::take(positions * tiles * PANEL);
        assert!(transformed.len() >= positions * tiles * step, "transformed input");
        let offsets: Vec<usize> = (0..tiles).map(|t| t * step).collect();
        for position in 0..positions {
            let product = Product {
                a: transformed[position * tiles * step..].as_ptr(),
                rows: Rows::At(&offsets),
                b: self.weights[(panel * positions + position) * channels * PANEL..].as_ptr(),
                b_step: PANEL,
                columns,
                runs: &[Run { a: 0, b: 0, length: channels }],
                c: products[position * tiles * PANEL..].as_mut_ptr(),
                c_step: PANEL,
                accumulate: false,
            };
            // SAFETY: the three parts hold `tiles` rows of `step` numbers, `channels` panel rows, `tiles` panel rows.
            unsafe { product.run(self.level) };
        }
        self.store(rows, panel, columns, &products, tiles);
    }

    /// Transforms a block's products back and writes them to the output.
    fn store(&self, rows: std::ops::Range<usize>, panel: usize, columns: usize, products: &[f32], tiles: usize) {
        let ((height, width), form) = (self.tiles.out, self.tiles.form);
        let side = form.tile().0;
        let plane = height * width;
        let channel = panel * PANEL;
        let channels = PANEL.min(self.out_channels - channel);
        let mut pixels = scratch::take(rows.len() * side * width * PANEL);
        let mut row = rows.start;
        while row < rows.end {
            // The rows of one image: their pixels are consecutive in the output's planes.
            let (image, top) = (row / self.tiles.grid.0, row % self.tiles.grid.0);
            let count = (self.tiles.grid.0 - top).min(rows.end - row);
            let pixel_rows = (count * side).min(height - top * side);
            for r in 0..count {
                let first = (row + r - rows.start) * self.tiles.grid.1;
                let from = products[first * PANEL..].as_ptr();
                let to = &mut pixels[r * side * width * PANEL..];
                let size = (side.min(pixel_rows - r * side), width);
                at_level!(self.level, output_row(form, from, tiles * PANEL, columns, to, size));
            }
            let at = (image * self.out_channels + channel) * plane + top * side * width;
            // SAFETY: tasks own disjoint rows or channels of the output; `pixels` holds `pixel_rows * width` panel rows.
            unsafe {
                let to = self.output.part(at, (channels - 1) * plane + pixel_rows * width).pointer();
                let finish = self.finish.part(channel, at);
                pixels_to_planes(self.level, pixels.as_ptr(), PANEL, (pixel_rows * width, channels), to, plane, finish);
            }
            row += count;
        }
    }
}

/// Transforms a row of tiles back into pixels `[row, column, PANEL]` of `size`; what is beyond is dropped.
#[inline(always)]
unsafe fn output_row<V: Vector>(form: Form, from: *const f32, position_step: usize, columns: usize, to: &mut [f32], size: (usize, usize)) {
    let side = form.tile().1;
    let mut tile = [0.0f32; OUTPUTS * PANEL];
    for t in 0..size.1.div_ceil(side) {
        for column in (0..columns).step_by(V::LANES) {
            // SAFETY: `from` holds a panel row for every tile and position.
            unsafe { form.output::<V>(from.add(t * PANEL + column), position_step, tile[column..].as_mut_ptr(), PANEL) };
        }
        let width = side.min(size.1 - t * side) * PANEL;
        for (row, tile) in tile.chunks_exact(side * PANEL).take(size.0).enumerate() {
            to[(row * size.1 + t * side) * PANEL..][..width].copy_from_slice(&tile[..width]);
        }
    }
}
