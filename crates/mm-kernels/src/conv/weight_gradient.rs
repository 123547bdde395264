//! Gradient of a convolution's weight: for every tap a product of the shifted input with the output's gradient,
//! summed over all pixels of all images.

use crate::conv::choice;
use crate::conv::shape::Conv2dShape;
use crate::conv::taps::{self, Source, Taps, pixel_step};
use crate::layout::{Finish, pixels_to_planes};
use crate::microkernel::{PANEL, Product, Rows, Run, panel_columns};
use crate::scratch::{self, Scratch};
use crate::simd::Level;
use crate::threads::{MOVED, Shared, for_each};
use std::ops::Range;

/// Numbers of the input and the output's gradient that are held as pixels at a time.
const CHUNK: usize = 192 << 10;

/// Rows of the weight that one task sums.
const ROWS: usize = 14;

/// Numbers of the sums of all parts that one task adds up.
const PIECE: usize = 1 << 12;

/// The output's gradient as a source without border, rounded up so that whole vectors of channels can be read.
fn gradient_source(shape: &Conv2dShape, channel_step: usize) -> Source {
    let size = (shape.out_height(), shape.out_width());
    Source { channels: shape.out_channels, channel_step, size, before: (0, 0), padded: size }
}

/// Least output pixels of a part: with fewer, adding up the parts takes longer than what they save.
const PART_PIXELS: usize = 128;

/// Most numbers of the sums of a part, which is gone through for every few images: with more, parts are no faster.
const PART_SUMS: usize = 48 << 10;

/// Writes the gradient of the weight to `weight_gradient`.
pub(crate) fn direct(level: Level, shape: &Conv2dShape, input: &[f32], output_gradient: &[f32], weight_gradient: &mut [f32]) {
    let (source, taps) = taps::forward(shape);
    let columns = shape.out_channels.next_multiple_of(PANEL / 2);
    let gradient = gradient_source(shape, pixel_step(columns));
    let tiles = row_tiles(&taps);
    let sum = Sum { level, shape, input, output_gradient, source, gradient, tiles, columns };
    let length = taps.inner(shape.in_channels) * columns;
    let rows = shape.batch * shape.out_height();
    let sums = match choice::weight_gradient_parts(rows, rows * shape.out_width() / PART_PIXELS) {
        Some(parts) if length <= PART_SUMS => sum.by_part(parts, length),
        _ => sum.by_weight(length),
    };
    unpack(level, shape, &taps, &sums, columns, weight_gradient);
}

/// What is summed.
struct Sum<'a> {
    level: Level,
    shape: &'a Conv2dShape,
    input: &'a [f32],
    output_gradient: &'a [f32],
    source: Source,
    gradient: Source,
    tiles: Vec<(usize, usize, usize)>,
    columns: usize,
}

impl Sum<'_> {
    /// Numbers of an image and of its gradient.
    fn image_lengths(&self) -> (usize, usize) {
        (self.shape.input_length() / self.shape.batch, self.shape.output_length() / self.shape.batch)
    }

    /// A task is a part of the output's rows, with sums of its own, which are added up.
    fn by_part(&self, parts: usize, length: usize) -> Scratch {
        let rows = self.shape.batch * self.shape.out_height();
        let mut sums = scratch::take(parts * length);
        let shared = Shared::new(&mut sums);
        for_each(parts, self.shape.multiply_adds(), |part| {
            // SAFETY: parts own disjoint sums.
            let sums = unsafe { shared.range(part * length, length) };
            for (i, stretch) in self.stretches(rows * part / parts..rows * (part + 1) / parts).enumerate() {
                let (pixels, gradient_pixels, runs) = self.load(&stretch);
                let sums = Shared::new(sums);
                for task in 0..self.tasks() {
                    // SAFETY: the sums are this part's own.
                    unsafe { self.add(task, &pixels, &gradient_pixels, &runs, i > 0, sums) };
                }
            }
        });
        let pieces = length.div_ceil(PIECE);
        for_each(pieces, parts * length, |piece| {
            let (at, count) = (piece * PIECE, PIECE.min(length - piece * PIECE));
            // SAFETY: tasks own different numbers of every part.
            unsafe { shared.add_up(parts, length, at, count) };
        });
        sums
    }

    /// The rows, counted over all images, in stretches that a core's cache holds: several images or a part of one.
    fn stretches(&self, rows: Range<usize>) -> impl Iterator<Item = Vec<ImageRows>> {
        let height = self.shape.out_height();
        let numbers = self.source.pixel(self.shape.stride.0, 0) + self.gradient.pixel(1, 0);
        let most = (CHUNK / 2 / numbers).max(1);
        let most = if most > height { most / height * height } else { most };
        let end = rows.end;
        rows.step_by(most).map(move |first| {
            let end = end.min(first + most);
            let image = move |image: usize| ImageRows {
                image,
                rows: first.max(image * height) - image * height..end.min((image + 1) * height) - image * height,
            };
            (first / height..end.div_ceil(height)).map(image).collect()
        })
    }

    /// The source and the gradient of a stretch as pixels, and a run for every row.
    fn load(&self, stretch: &[ImageRows]) -> (Scratch, Scratch, Vec<Run>) {
        let Self { level, shape, source, gradient, .. } = self;
        let (planes, gradient_planes) = self.image_lengths();
        let held = stretch.iter().map(|rows| rows.held(self)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        let (mut pixels, mut gradient_pixels) = (scratch::take(held.0), scratch::take(held.1));
        let mut runs = Vec::new();
        let mut at = (0, 0);
        for rows in stretch {
            let held = rows.held(self);
            let from = &self.input[rows.image * planes..][..planes];
            source.load_rows(*level, from, rows.of_source(shape), &mut pixels[at.0..][..held.0]);
            let from = &self.output_gradient[rows.image * gradient_planes..][..gradient_planes];
            gradient.load_rows(*level, from, rows.rows.clone(), &mut gradient_pixels[at.1..][..held.1]);
            runs.extend(self.runs(rows.rows.len(), at));
            at = (at.0 + held.0, at.1 + held.1);
        }
        (pixels, gradient_pixels, runs)
    }

    /// A part of the inner dimension: a run for each of so many rows of output pixels of an image, from where its pixels are.
    fn runs(&self, rows: usize, at: (usize, usize)) -> impl Iterator<Item = Run> {
        let run = move |row| Run {
            a: at.0 + self.source.pixel(row * self.shape.stride.0, 0),
            b: at.1 + self.gradient.pixel(row, 0),
            length: self.shape.out_width(),
        };
        (0..rows).map(run)
    }

    /// A task is a part of the weight, over as many images as are held at a time.
    fn by_weight(&self, length: usize) -> Scratch {
        let Self { level, shape, source, gradient, .. } = self;
        let mut sums = scratch::take(length);
        if shape.batch == 0 {
            sums.fill(0.0);
            return sums;
        }
        let (planes, gradient_planes) = self.image_lengths();
        // The chunks are the same for any number of threads, and so is the order of every sum.
        let at_a_time = (CHUNK.max(length / 2) / (source.image_length() + gradient.image_length())).clamp(1, shape.batch);
        let mut pixels = scratch::take(at_a_time * source.image_length());
        let mut gradient_pixels = scratch::take(at_a_time * gradient.image_length());
        for first in (0..shape.batch).step_by(at_a_time) {
            let count = at_a_time.min(shape.batch - first);
            let pixels = &mut pixels[..count * source.image_length()];
            let gradient_pixels = &mut gradient_pixels[..count * gradient.image_length()];
            source.load(*level, &self.input[first * planes..][..count * planes], pixels);
            gradient.load(*level, &self.output_gradient[first * gradient_planes..][..count * gradient_planes], gradient_pixels);
            let of_image = |image| self.runs(shape.out_height(), (image * source.image_length(), image * gradient.image_length()));
            let runs: Vec<Run> = (0..count).flat_map(of_image).collect();
            let (pixels, gradient_pixels) = (&*pixels, &*gradient_pixels);
            let shared = Shared::new(&mut sums);
            for_each(self.tasks(), count * shape.multiply_adds() / shape.batch, |task| {
                // SAFETY: tasks own disjoint tiles of the sums.
                unsafe { self.add(task, pixels, gradient_pixels, &runs, first > 0, shared) };
            });
        }
        sums
    }

    fn tasks(&self) -> usize {
        self.tiles.len() * self.columns.div_ceil(PANEL)
    }

    /// Adds the products of the runs to a tile of weight rows and a panel of columns of the sums, or begins with them.
    ///
    /// # Safety
    /// Nothing else may touch these sums.
    unsafe fn add(&self, task: usize, pixels: &[f32], gradient_pixels: &[f32], runs: &[Run], accumulate: bool, sums: Shared) {
        let panels = self.columns.div_ceil(PANEL);
        let ((offset, row, rows), column) = (self.tiles[task / panels], task % panels * PANEL);
        let product = Product {
            a: pixels[offset..].as_ptr(),
            rows: Rows::Adjacent { count: rows, a_step: self.shape.stride.1 * self.source.channel_step },
            b: gradient_pixels[column..].as_ptr(),
            b_step: self.gradient.channel_step,
            columns: panel_columns(column, self.columns),
            runs,
            // SAFETY: `sums` has a row for every row of the tiles.
            c: unsafe { sums.pointer().add(row * self.columns + column) },
            c_step: self.columns,
            accumulate,
        };
        // SAFETY: taps stay inside the padded image; pixels of the gradient are whole vectors.
        unsafe { product.run(self.level) };
    }
}

/// Rows of the output of one image.
struct ImageRows {
    image: usize,
    rows: Range<usize>,
}

impl ImageRows {
    /// Rows of the source that they need.
    fn of_source(&self, shape: &Conv2dShape) -> Range<usize> {
        let reach = (shape.kernel.0 - 1) * shape.dilation.0 + 1;
        self.rows.start * shape.stride.0..(self.rows.end - 1) * shape.stride.0 + reach
    }

    /// Numbers of the source and of the gradient that are held for them.
    fn held(&self, sum: &Sum) -> (usize, usize) {
        (sum.source.pixel(self.of_source(sum.shape).len(), 0), sum.gradient.pixel(self.rows.len(), 0))
    }
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

/// `weight_gradient[out channel, in channel, tap] = sums[(tap, in channel), out channel]`.
pub(crate) fn unpack(level: Level, shape: &Conv2dShape, taps: &Taps, sums: &[f32], columns: usize, weight_gradient: &mut [f32]) {
    let (channels, area) = (shape.in_channels, shape.kernel.0 * shape.kernel.1);
    let inner = channels * area;
    let shared = Shared::new(weight_gradient);
    for_each(shape.out_channels.div_ceil(8), MOVED * sums.len(), |group| {
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
