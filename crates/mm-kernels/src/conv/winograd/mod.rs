//! 3x3 convolution with stride 1 by Winograd's F(4x4, 3x3): a quarter of the multiplications.
//!
//! The input's tiles are transformed, multiplied with the transformed weights position by position (36 matrix products),
//! and transformed back. Error against f64 below 5e-6 of the largest number up to 256 channels, about twice that of the
//! direct convolution: `errors_of_the_fast_paths` in `tests/conv.rs`.

mod tiles;
mod transform;
pub(crate) mod weight_gradient;
pub(crate) mod weights;

use crate::conv::shape::Conv2dShape;
use crate::conv::winograd::tiles::{SIDE, Tiles};
use crate::conv::winograd::transform::{POSITIONS, at_level, output_tile};
use crate::layout::{Finish, pixels_to_planes};
use crate::microkernel::{PANEL, Product, Rows, Run, panel_columns};
use crate::scratch;
use crate::simd::{Level, Vector};
use crate::threads::{Shared, for_each};

/// Whether a convolution has the form that these kernels compute.
pub(crate) fn applies(shape: &Conv2dShape) -> bool {
    shape.kernel == (3, 3) && shape.stride == (1, 1) && shape.dilation == (1, 1) && shape.padding.0 <= 2 && shape.padding.1 <= 2
}

/// Tiles of a convolution, over all images.
pub(crate) fn tile_count(shape: &Conv2dShape) -> usize {
    shape.batch * shape.out_height().div_ceil(SIDE) * shape.out_width().div_ceil(SIDE)
}

/// The convolution whose forward pass is the gradient of the input of `shape`.
pub(crate) fn input_gradient_shape(shape: &Conv2dShape) -> Conv2dShape {
    Conv2dShape {
        in_channels: shape.out_channels,
        out_channels: shape.in_channels,
        height: shape.out_height(),
        width: shape.out_width(),
        padding: (2 - shape.padding.0, 2 - shape.padding.1),
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

/// Tiles in a block: many enough to reuse the weights, few enough that their transforms stay near the processor.
const BLOCK_TILES: usize = 56;

/// `output = finish(convolution(input))`, with weights from [`weights`].
pub(crate) fn run(level: Level, shape: &Conv2dShape, input: &[f32], weights: &[f32], finish: Finish, output: &mut [f32]) {
    let tiles = Tiles::new(shape);
    let panels = shape.out_channels.div_ceil(PANEL);
    assert_eq!(weights.len(), panels * POSITIONS * shape.in_channels * PANEL, "transformed weights");
    assert_eq!(input.len(), shape.input_length(), "input");
    let rows = shape.batch * tiles.grid.0;
    let block_rows = (BLOCK_TILES / tiles.grid.1).max(1);
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
        self.rows * self.tiles.grid.1 * POSITIONS * self.tiles.source.channels * self.out_channels
    }

    /// Numbers of a block's transformed tiles.
    fn block_length(&self) -> usize {
        POSITIONS * self.block_rows * self.tiles.grid.1 * self.tiles.source.channel_step
    }

    /// Rows of tiles of a block.
    fn block(&self, block: usize) -> std::ops::Range<usize> {
        block * self.block_rows..((block + 1) * self.block_rows).min(self.rows)
    }

    /// A task is a block, from the planes of the input to those of the output.
    fn by_block(&self, input: &[f32]) {
        for_each(self.rows.div_ceil(self.block_rows), self.work(), |block| {
            let mut transformed = scratch::take(self.block_length());
            self.load_and_transform(self.block(block), input, &mut transformed);
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

    /// Transforms rows of tiles, which may be of several images.
    fn load_and_transform(&self, rows: std::ops::Range<usize>, input: &[f32], transformed: &mut [f32]) {
        let source = &self.tiles.source;
        let planes = source.channels * source.size.0 * source.size.1;
        let row_length = source.padded.1 * source.channel_step;
        let mut pixels = scratch::take((self.block_rows * SIDE + 2) * row_length);
        let shared = Shared::new(transformed);
        let mut row = rows.start;
        while row < rows.end {
            let (image, top) = (row / self.tiles.grid.0, row % self.tiles.grid.0);
            let count = (self.tiles.grid.0 - top).min(rows.end - row);
            let pixels = &mut pixels[..(count * SIDE + 2) * row_length];
            source.load_rows(self.level, &input[image * planes..][..planes], top * SIDE..(top + count) * SIDE + 2, pixels);
            for i in 0..count {
                // SAFETY: the buffer is this call's own.
                unsafe { self.transform_input(row + i, rows.start / self.block_rows, &pixels[i * SIDE * row_length..], shared) };
            }
            row += count;
        }
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
        let mut products = scratch::take(POSITIONS * tiles * PANEL);
        assert!(transformed.len() >= POSITIONS * tiles * step, "transformed input");
        let offsets: Vec<usize> = (0..tiles).map(|t| t * step).collect();
        for position in 0..POSITIONS {
            let product = Product {
                a: transformed[position * tiles * step..].as_ptr(),
                rows: Rows::At(&offsets),
                b: self.weights[(panel * POSITIONS + position) * channels * PANEL..].as_ptr(),
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
        let (height, width) = self.tiles.out;
        let plane = height * width;
        let channel = panel * PANEL;
        let channels = PANEL.min(self.out_channels - channel);
        let mut pixels = scratch::take(rows.len() * SIDE * width * PANEL);
        let mut row = rows.start;
        while row < rows.end {
            // The rows of one image: their pixels are consecutive in the output's planes.
            let (image, top) = (row / self.tiles.grid.0, row % self.tiles.grid.0);
            let count = (self.tiles.grid.0 - top).min(rows.end - row);
            let pixel_rows = (count * SIDE).min(height - top * SIDE);
            for r in 0..count {
                let first = (row + r - rows.start) * self.tiles.grid.1;
                let from = products[first * PANEL..].as_ptr();
                let to = &mut pixels[r * SIDE * width * PANEL..];
                let size = (SIDE.min(pixel_rows - r * SIDE), width);
                at_level!(self.level, output_row(from, tiles * PANEL, columns, to, size));
            }
            let at = (image * self.out_channels + channel) * plane + top * SIDE * width;
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
unsafe fn output_row<V: Vector>(from: *const f32, position_step: usize, columns: usize, to: &mut [f32], size: (usize, usize)) {
    let mut tile = [0.0f32; SIDE * SIDE * PANEL];
    for t in 0..size.1.div_ceil(SIDE) {
        for column in (0..columns).step_by(V::LANES) {
            // SAFETY: `from` holds a panel row for every tile and position.
            unsafe {
                let from = from.add(t * PANEL + column);
                output_tile::<V>(from, (6 * position_step, position_step), tile[column..].as_mut_ptr(), PANEL);
            }
        }
        let width = SIDE.min(size.1 - t * SIDE) * PANEL;
        for (row, tile) in tile.chunks_exact(SIDE * PANEL).take(size.0).enumerate() {
            to[(row * size.1 + t * SIDE) * PANEL..][..width].copy_from_slice(&tile[..width]);
        }
    }
}
