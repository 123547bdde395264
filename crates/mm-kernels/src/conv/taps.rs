//! A convolution as a list of taps over a zero-bordered image of pixels.
//!
//! Both the forward pass and the gradient of the input have this form: output pixel (i, j) is a sum over taps of the
//! source pixel at `(i, j) * step + tap`, times a weight. The gradient of a strided convolution falls into one such
//! sum for each phase of its output, so no multiplication by an inserted zero is ever made.

use crate::conv::shape::Conv2dShape;
use crate::layout::planes_to_pixels;
use crate::microkernel::{PANEL, Run};
use crate::simd::Level;
use crate::threads::{MOVED, Shared, for_each};
use std::ops::Range;

/// Distance of pixels with so many channels. Multiples of 512 bytes would put the rows that the inner loop reads side by
/// side into a few sets of the L1 cache, where they evict each other.
pub(crate) fn pixel_step(channels: usize) -> usize {
    if channels.is_multiple_of(128) { channels + 16 } else { channels }
}

/// The source of a convolution, stored as pixels `[row, column, channel]` with a border of zeros.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub channels: usize,
    /// Distance of two pixels: at least the channels. Up to the next multiple of 16 the rest is zero.
    pub channel_step: usize,
    /// Height and width without the border.
    pub size: (usize, usize),
    /// Rows above and columns left of the image.
    pub before: (usize, usize),
    /// Height and width with the border.
    pub padded: (usize, usize),
}

impl Source {
    /// Numbers of one image.
    pub(crate) fn image_length(&self) -> usize {
        self.padded.0 * self.padded.1 * self.channel_step
    }

    /// Offset of a pixel of the padded image.
    pub(crate) fn pixel(&self, row: usize, column: usize) -> usize {
        (row * self.padded.1 + column) * self.channel_step
    }

    /// Fills `to` (whole images) from planes `[image, channel, height, width]`.
    pub(crate) fn load(&self, level: Level, planes: &[f32], to: &mut [f32]) {
        let (height, width) = self.size;
        let plane = height * width;
        let images = to.len() / self.image_length().max(1);
        assert_eq!(planes.len(), images * self.channels * plane, "planes of the source");
        // Strips of about 512 pixels, so that one image can use several threads.
        let strip = (512 / width).clamp(1, height.div_ceil(rayon::current_num_threads()));
        let strips = height.div_ceil(strip);
        let shared = Shared::new(to);
        for_each(images * strips, MOVED * planes.len(), |task| {
            let (image, strip_index) = (task / strips, task % strips);
            let first = strip_index * strip;
            let end = (first + strip).min(height);
            let top = if first == 0 { 0 } else { self.before.0 + first };
            let bottom = if end == height { self.padded.0 } else { self.before.0 + end };
            // SAFETY: tasks own disjoint rows of disjoint images.
            let rows = unsafe {
                shared.range(image * self.image_length() + self.pixel(top, 0), (bottom - top) * self.padded.1 * self.channel_step)
            };
            self.load_rows(level, &planes[image * self.channels * plane..], top..bottom, rows);
        });
    }

    /// Fills `to` with rows of a padded image, from its planes `[channel, height, width]`.
    pub(crate) fn load_rows(&self, level: Level, planes: &[f32], rows: Range<usize>, to: &mut [f32]) {
        let (height, width) = self.size;
        let plane = height * width;
        assert_eq!(to.len(), rows.len() * self.padded.1 * self.channel_step, "rows of the source");
        let end = rows.end.saturating_sub(self.before.0).min(height);
        let first = rows.start.saturating_sub(self.before.0).min(end);
        let above = self.before.0 + first - rows.start.min(self.before.0 + first);
        self.clear_border(to, above, end - first);
        if first == end {
            return;
        }
        let from = &planes[first * width..];
        let pixels = (end - first) * width;
        assert!(from.len() >= (self.channels - 1) * plane + pixels, "rows of the planes");
        let origin = self.pixel(above, self.before.1);
        let (row_step, step) = (self.padded.1 * self.channel_step, self.channel_step);
        // SAFETY: `from` holds these rows of all planes (asserted), `to` their padded rows.
        unsafe {
            let to = to.as_mut_ptr();
            if self.padded.1 == width {
                planes_to_pixels(level, from.as_ptr(), plane, (self.channels, pixels), to, |p| origin + p * step);
            } else {
                let place = |p: usize| origin + p / width * row_step + p % width * step;
                planes_to_pixels(level, from.as_ptr(), plane, (self.channels, pixels), to, place);
            }
        }
    }

    /// Zeros what [`load`](Self::load) does not write: `image_rows` rows from `first` on hold the image.
    fn clear_border(&self, rows: &mut [f32], first: usize, image_rows: usize) {
        if self.channel_step != self.channels && !self.channels.is_multiple_of(16) {
            rows.fill(0.0);
            return;
        }
        let (left, right) = (self.before.1 * self.channel_step, (self.before.1 + self.size.1) * self.channel_step);
        for (i, row) in rows.chunks_exact_mut(self.padded.1 * self.channel_step).enumerate() {
            if i < first || i >= first + image_rows {
                row.fill(0.0);
            } else {
                row[..left].fill(0.0);
                row[right..].fill(0.0);
            }
        }
    }
}

/// The taps of one phase of an output.
#[derive(Debug, Clone)]
pub(crate) struct Taps {
    /// Height and width of the grid of output pixels.
    pub grid: (usize, usize),
    /// Source pixels from one grid pixel to the next.
    pub step: (usize, usize),
    /// The kernel's taps (row, column) in the order of the inner dimension, each with all channels of the source.
    pub order: Vec<(usize, usize)>,
    /// The same as stretches of the source, relative to the grid pixel; `b` counts in a panel of weights.
    pub runs: Vec<Run>,
    /// Where grid pixel (0, 0) is in the output.
    pub first: (usize, usize),
    /// Output pixels from one grid pixel to the next.
    pub spread: (usize, usize),
}

impl Taps {
    /// Taps as (source row, source column, kernel tap), relative to the unpadded grid pixel.
    fn new(source: &Source, grid: (usize, usize), step: (usize, usize), mut taps: Vec<(isize, isize, (usize, usize))>) -> Self {
        taps.sort_unstable();
        let mut runs: Vec<Run> = Vec::new();
        for (i, &(row, column, _)) in taps.iter().enumerate() {
            // Not negative: the border was made to hold every tap.
            let (row, column) = ((row + source.before.0 as isize) as usize, (column + source.before.1 as isize) as usize);
            let at = source.pixel(row, column);
            match runs.last_mut() {
                // Neighbouring taps are adjacent in memory: one longer run (it matters with few channels).
                Some(last) if last.a + last.length == at && source.channels == source.channel_step => last.length += source.channels,
                _ => runs.push(Run { a: at, b: i * source.channels * PANEL, length: source.channels }),
            }
        }
        let order = taps.into_iter().map(|(_, _, tap)| tap).collect();
        Self { grid, step, order, runs, first: (0, 0), spread: (1, 1) }
    }

    /// Length of the inner dimension, over a source with this many channels.
    pub(crate) fn inner(&self, channels: usize) -> usize {
        self.order.len() * channels
    }
}

/// One axis of the taps of the forward pass: (source offset, kernel tap).
fn forward_axis(kernel: usize, padding: usize, dilation: usize) -> Vec<(isize, usize)> {
    (0..kernel).map(|k| ((k * dilation) as isize - padding as isize, k)).collect()
}

/// One axis of the taps of a phase of the input's gradient.
fn gradient_axis(kernel: usize, stride: usize, padding: usize, dilation: usize, phase: usize) -> Vec<(isize, usize)> {
    let distance = |k: usize| phase as isize + padding as isize - (k * dilation) as isize;
    (0..kernel).filter(|&k| distance(k) % stride as isize == 0).map(|k| (distance(k) / stride as isize, k)).collect()
}

fn cross(rows: &[(isize, usize)], columns: &[(isize, usize)]) -> Vec<(isize, isize, (usize, usize))> {
    rows.iter().flat_map(|&(y, ky)| columns.iter().map(move |&(x, kx)| (y, x, (ky, kx)))).collect()
}

/// Border before an axis, and its padded length, so that all `(grid, step, offset)` stay inside.
fn border(size: usize, reads: impl Iterator<Item = (usize, usize, isize)>) -> (usize, usize) {
    let (mut before, mut end) = (0, size as isize);
    for (grid, step, offset) in reads {
        before = before.max(-offset);
        end = end.max((grid as isize - 1) * step as isize + offset + 1);
    }
    (before as usize, (before + end) as usize)
}

/// The forward pass; its source is the input.
pub(crate) fn forward(shape: &Conv2dShape) -> (Source, Taps) {
    let rows = forward_axis(shape.kernel.0, shape.padding.0, shape.dilation.0);
    let columns = forward_axis(shape.kernel.1, shape.padding.1, shape.dilation.1);
    let grid = (shape.out_height(), shape.out_width());
    let vertical = border(shape.height, rows.iter().map(|r| (grid.0, shape.stride.0, r.0)));
    let horizontal = border(shape.width, columns.iter().map(|c| (grid.1, shape.stride.1, c.0)));
    let source = Source {
        channels: shape.in_channels,
        channel_step: pixel_step(shape.in_channels),
        size: (shape.height, shape.width),
        before: (vertical.0, horizontal.0),
        padded: (vertical.1, horizontal.1),
    };
    let taps = Taps::new(&source, grid, shape.stride, cross(&rows, &columns));
    (source, taps)
}

/// The gradient of the input, one `Taps` a phase; its source is the gradient of the output.
pub(crate) fn input_gradient(shape: &Conv2dShape) -> (Source, Vec<Taps>) {
    let axis = |size: usize, kernel, stride, padding, dilation| -> Vec<(usize, Vec<(isize, usize)>)> {
        let phase = |phase: usize| ((size - phase).div_ceil(stride), gradient_axis(kernel, stride, padding, dilation, phase));
        (0..stride.min(size)).map(phase).collect()
    };
    let rows = axis(shape.height, shape.kernel.0, shape.stride.0, shape.padding.0, shape.dilation.0);
    let columns = axis(shape.width, shape.kernel.1, shape.stride.1, shape.padding.1, shape.dilation.1);
    fn reads(axis: &[(usize, Vec<(isize, usize)>)]) -> impl Iterator<Item = (usize, usize, isize)> {
        axis.iter().flat_map(|(grid, taps)| taps.iter().map(|t| (*grid, 1, t.0)))
    }
    let vertical = border(shape.out_height(), reads(&rows));
    let horizontal = border(shape.out_width(), reads(&columns));
    let source = Source {
        channels: shape.out_channels,
        channel_step: pixel_step(shape.out_channels),
        size: (shape.out_height(), shape.out_width()),
        before: (vertical.0, horizontal.0),
        padded: (vertical.1, horizontal.1),
    };
    let mut phases = Vec::new();
    for (i, (grid_height, row_taps)) in rows.iter().enumerate() {
        for (j, (grid_width, column_taps)) in columns.iter().enumerate() {
            let taps = Taps::new(&source, (*grid_height, *grid_width), (1, 1), cross(row_taps, column_taps));
            phases.push(Taps { first: (i, j), spread: shape.stride, ..taps });
        }
    }
    (source, phases)
}
