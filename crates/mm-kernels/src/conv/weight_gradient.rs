//! Gradient of a convolution's weight: for every tap a product of the shifted input with the output's gradient,
//! summed over all pixels of all images.

use crate::conv::shape::Conv2dShape;
use crate::conv::taps::{self, Source, Taps, pixel_step};
use crate::layout::{Finish, pixels_to_planes};
use crate::microkernel::{PANEL, Product, Rows, Run, panel_columns};
use crate::scratch;
use crate::simd::Level;
use crate::threads::{Shared, for_each};

/// Numbers of the input and the output's gradient that are held as pixels at a time.
const CHUNK: usize = 192 << 10;

/// Rows of the weight that one task sums.
const ROWS: usize = 14;

/// The output's gradient as a source without border, rounded up so that whole vectors of channels can be read.
fn gradient_source(shape: &Conv2dShape, channel_step: usize) -> Source {
    let size = (shape.out_height(), shape.out_width());
    Source { channels: shape.out_channels, channel_step, size, before: (0, 0), padded: size }
}

/// Writes the gradient of the weight to `weight_gradient`.
pub(crate) fn direct(level: Level, shape: &Conv2dShape, input: &[f32], output_gradient: &[f32], weight_gradient: &mut [f32]) {
    let (source, taps) = taps::forward(shape);
    let columns = shape.out_channels.next_multiple_of(PANEL / 2);
    let gradient = gradient_source(shape, pixel_step(columns));
    let inner = taps.inner(shape.in_channels);
    let mut sums = scratch::take(inner * columns);
    let tiles = row_tiles(&taps);
    let panels = columns.div_ceil(PANEL);

    // The chunks are the same for any number of threads, and so is the order of every sum.
    let image = source.image_length() + gradient.image_length();
    let at_a_time = (CHUNK.max(sums.len() / 2) / image).clamp(1, shape.batch.max(1));
    let mut pixels = scratch::take(at_a_time * source.image_length());
    let mut gradient_pixels = scratch::take(at_a_time * gradient.image_length());
    if shape.batch == 0 {
        sums.fill(0.0);
    }
    let (planes, gradient_planes) = (shape.input_length() / shape.batch.max(1), shape.output_length() / shape.batch.max(1));
    for first in (0..shape.batch).step_by(at_a_time) {
        let count = at_a_time.min(shape.batch - first);
        let pixels = &mut pixels[..count * source.image_length()];
        let gradient_pixels = &mut gradient_pixels[..count * gradient.image_length()];
        source.load(level, &input[first * planes..][..count * planes], pixels);
        gradient.load(level, &output_gradient[first * gradient_planes..][..count * gradient_planes], gradient_pixels);
        let runs = image_rows(shape, &source, &gradient, count);
        let (pixels, gradient_pixels) = (&*pixels, &*gradient_pixels);
        let shared = Shared::new(&mut sums);
        let work = count * shape.multiply_adds() / shape.batch;
        for_each(tiles.len() * panels, work, |task| {
            let (&(offset, row, rows), column) = (&tiles[task / panels], task % panels * PANEL);
            let product = Product {
                a: pixels[offset..].as_ptr(),
                rows: Rows::Adjacent { count: rows, a_step: shape.stride.1 * source.channel_step },
                b: gradient_pixels[column..].as_ptr(),
                b_step: gradient.channel_step,
                columns: panel_columns(column, columns),
                runs: &runs,
                // SAFETY: tasks own disjoint tiles of `sums`, which has a row for every row of the tiles.
                c: unsafe { shared.pointer().add(row * columns + column) },
                c_step: columns,
                accumulate: first > 0,
            };
            // SAFETY: taps stay inside the padded image; pixels of the gradient are whole vectors.
            unsafe { product.run(level) };
        });
    }
    unpack(level, shape, &taps, &sums, columns, weight_gradient);
}

/// (offset in the source, first row, rows) of every tile of weight rows; a row is a (tap, input channel).
fn row_tiles(taps: &Taps) -> Vec<(usize, usize, usize)> {
    let mut tiles = Vec::new();
    for run in &taps.runs {
        let parts = run.length.div_ceil(ROWS);
        for i in 0..parts {
            let (start, end) = (run.length * i / parts, run.length * (i + 1) / parts);
            tiles.push((run.a + start, run.b / PANEL + start, end - start));
        }
    }
    tiles
}

/// The inner dimension: a run for every row of output pixels.
fn image_rows(shape: &Conv2dShape, source: &Source, gradient: &Source, images: usize) -> Vec<Run> {
    let (height, width) = (shape.out_height(), shape.out_width());
    let rows = (0..images).flat_map(|image| (0..height).map(move |row| (image, row)));
    rows.map(|(image, row)| Run {
        a: image * source.image_length() + source.pixel(row * shape.stride.0, 0),
        b: image * gradient.image_length() + gradient.pixel(row, 0),
        length: width,
    })
    .collect()
}

/// `weight_gradient[out channel, in channel, tap] = sums[(tap, in channel), out channel]`.
pub(crate) fn unpack(level: Level, shape: &Conv2dShape, taps: &Taps, sums: &[f32], columns: usize, weight_gradient: &mut [f32]) {
    let (channels, area) = (shape.in_channels, shape.kernel.0 * shape.kernel.1);
    let inner = channels * area;
    let shared = Shared::new(weight_gradient);
    for_each(shape.out_channels.div_ceil(8), sums.len() / 4, |group| {
        let first = group * 8;
        let count = 8.min(shape.out_channels - first);
        let mut rows = scratch::take(8 * inner);
        // SAFETY: `sums` has `inner` rows of at least `first + count` numbers, `rows` holds `count * inner`.
        unsafe {
            let from = sums[first..].as_ptr();
            pixels_to_planes(level, from, columns, (inner, count), rows.as_mut_ptr(), inner, Finish::NOTHING);
        }
        // SAFETY: groups own disjoint output channels.
        let to = unsafe { shared.range(first * inner, count * inner) };
        for (row, to) in rows.chunks_exact(inner).zip(to.chunks_exact_mut(inner)) {
            for (from, &(ky, kx)) in row.chunks_exact(channels).zip(&taps.order) {
                let tap = ky * shape.kernel.1 + kx;
                for (to, from) in to[tap..].iter_mut().step_by(area).zip(from) {
                    *to = *from;
                }
            }
        }
    });
}
