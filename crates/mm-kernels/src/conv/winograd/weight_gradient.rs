//! Gradient of the weight in Winograd's form: `Gᵀ [sum over tiles (A dY Aᵀ) ⊙ (Bᵀ d B)] G`.

use crate::conv::shape::Conv2dShape;
use crate::conv::winograd::tiles::Tiles;
use crate::conv::winograd::transform::{POSITIONS, at_level, weight_gradient_tile};
use crate::layout::{Finish, pixels_to_planes};
use crate::microkernel::{PANEL, Product, Rows, Run, panel_columns};
use crate::scratch;
use crate::simd::{Level, Vector};
use crate::threads::{Shared, for_each};

/// Numbers of transformed tiles that are held at a time.
const CHUNK: usize = 1 << 20;
/// But at least so many tiles: the sums are read and written once a chunk.
const LEAST_TILES: usize = 112;
/// Input channels that one task sums.
const ROWS: usize = 16;

/// Writes the gradient of the weight to `weight_gradient`.
pub(crate) fn run(level: Level, shape: &Conv2dShape, input: &[f32], output_gradient: &[f32], weight_gradient: &mut [f32]) {
    let tiles = Tiles::new(shape);
    let gradient = tiles.gradient_source(shape.out_channels);
    let source = &tiles.source;
    let (step, gradient_step) = (source.channel_step, gradient.channel_step);
    let image_tiles = tiles.grid.0 * tiles.grid.1;

    // Whole images; the same chunks for any number of threads, and so the same order of every sum.
    let most_tiles = (CHUNK / (POSITIONS * (step + gradient_step))).max(LEAST_TILES);
    let at_a_time = (most_tiles / image_tiles).clamp(1, shape.batch.max(1));
    let single = shape.batch <= at_a_time;
    let mut pixels = scratch::take(at_a_time * source.image_length());
    let mut gradient_pixels = scratch::take(at_a_time * gradient.image_length());
    let mut inputs = scratch::take(POSITIONS * at_a_time * image_tiles * step);
    let mut gradients = scratch::take(POSITIONS * at_a_time * image_tiles * gradient_step);

    let (groups, panels) = (shape.in_channels.div_ceil(ROWS), shape.out_channels.div_ceil(PANEL));
    let task_sums = POSITIONS * ROWS * PANEL;
    let mut sums = scratch::take(if single { 0 } else { groups * panels * task_sums });
    let shared_sums = Shared::new(&mut sums);
    let weight_gradient = Shared::new(weight_gradient);
    let (planes, gradient_planes) = (shape.input_length() / shape.batch.max(1), shape.output_length() / shape.batch.max(1));

    for first in (0..shape.batch).step_by(at_a_time) {
        let count = at_a_time.min(shape.batch - first);
        let pixels = &mut pixels[..count * source.image_length()];
        source.load(level, &input[first * planes..][..count * planes], pixels);
        let gradient_pixels = &mut gradient_pixels[..count * gradient.image_length()];
        gradient.load(level, &output_gradient[first * gradient_planes..][..count * gradient_planes], gradient_pixels);
        let (pixels, gradient_pixels) = (&*pixels, &*gradient_pixels);

        let chunk_tiles = count * image_tiles;
        let (shared_inputs, shared_gradients) = (Shared::new(&mut inputs), Shared::new(&mut gradients));
        for_each(count * tiles.grid.0, chunk_tiles * POSITIONS * (step + gradient_step), |row| {
            let at = row * tiles.grid.1;
            // SAFETY: rows own disjoint tiles of both buffers.
            unsafe {
                tiles.transform_input(level, tiles.row(source, pixels, row), shared_inputs, chunk_tiles, at);
                let from = tiles.row(&gradient, gradient_pixels, row);
                tiles.transform_gradient(level, &gradient, from, shared_gradients, chunk_tiles, at);
            }
        });

        let (inputs, gradients) = (&*inputs, &*gradients);
        let runs = [Run { a: 0, b: 0, length: chunk_tiles }];
        let last = first + count == shape.batch;
        for_each(groups * panels, chunk_tiles * POSITIONS * step * gradient_step, |task| {
            let (channel, column) = (task / panels * ROWS, task % panels * PANEL);
            let rows = ROWS.min(shape.in_channels - channel);
            let mut own = scratch::take(if single { task_sums } else { 0 });
            // SAFETY: tasks own disjoint parts of the sums.
            let sums = if single { &mut own[..] } else { unsafe { shared_sums.range(task * task_sums, task_sums) } };
            for position in 0..POSITIONS {
                let product = Product {
                    a: inputs[position * chunk_tiles * step + channel..].as_ptr(),
                    rows: Rows::Adjacent { count: rows, a_step: step },
                    b: gradients[position * chunk_tiles * gradient_step + column..].as_ptr(),
                    b_step: gradient_step,
                    columns: panel_columns(column, shape.out_channels),
                    runs: &runs,
                    c: sums[position * ROWS * PANEL..].as_mut_ptr(),
                    c_step: PANEL,
                    accumulate: first > 0,
                };
                // SAFETY: both buffers hold `chunk_tiles` rows of their step; `columns` never passes the step.
                unsafe { product.run(level) };
            }
            if last {
                // SAFETY: tasks own different (output channel, input channel) kernels.
                unsafe { store(level, shape, sums, (channel, rows), column, weight_gradient) };
            }
        });
    }
    if shape.batch == 0 {
        // SAFETY: no task runs.
        unsafe { weight_gradient.range(0, shape.weight_length()).fill(0.0) };
    }
}

/// Transforms sums `[position, ROWS, PANEL]` into kernels and writes them.
///
/// # Safety
/// Nothing else may touch these kernels.
unsafe fn store(level: Level, shape: &Conv2dShape, sums: &[f32], (channel, rows): (usize, usize), column: usize, to: Shared) {
    // [row, tap, column]
    let mut kernels = [0.0f32; ROWS * 9 * PANEL];
    at_level!(level, transform_sums(sums, rows, &mut kernels));
    let columns = PANEL.min(shape.out_channels - column);
    let plane = shape.in_channels * 9;
    let at = (column * shape.in_channels + channel) * 9;
    // SAFETY: the caller's promise; `kernels` holds `rows * 9` panel rows.
    unsafe {
        let to = to.part(at, (columns - 1) * plane + rows * 9).pointer();
        pixels_to_planes(level, kernels.as_ptr(), PANEL, (rows * 9, columns), to, plane, Finish::NOTHING);
    }
}

#[inline(always)]
unsafe fn transform_sums<V: Vector>(sums: &[f32], rows: usize, kernels: &mut [f32; ROWS * 9 * PANEL]) {
    const STEP: usize = ROWS * PANEL;
    for row in 0..rows {
        for column in (0..PANEL).step_by(V::LANES) {
            // SAFETY: both hold `PANEL` numbers for every row and position or tap.
            unsafe {
                let from = sums[row * PANEL + column..].as_ptr();
                let to = kernels[row * 9 * PANEL + column..].as_mut_ptr();
                weight_gradient_tile::<V>(from, (6 * STEP, STEP), to, PANEL);
            }
        }
    }
}
