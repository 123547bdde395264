//! Resizing of planes, bilinear and nearest, as PyTorch's `interpolate` with a given output size.
//!
//! Error against f64 below 1e-6 of the largest number (`tests/resize.rs`); nearest is exact.

use crate::error::{Error, Result, check_length};
use crate::scratch;
use crate::simd::{Level, vectorize};
use crate::threads::{Shared, for_each};

/// How numbers between pixels are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The pixel at `floor(i * size / out)`.
    Nearest,
    /// Linear in both directions.
    Bilinear {
        /// Corner pixels keep their centres (PyTorch's `align_corners=True`).
        align_corners: bool,
    },
}

/// Sizes of a resize of `planes` (batch times channels) planes; pairs are (height, width).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResizeShape {
    /// Batch times channels.
    pub planes: usize,
    /// Size of a plane of the input.
    pub size: (usize, usize),
    /// Size of a plane of the output.
    pub out: (usize, usize),
}

impl ResizeShape {
    /// The shape itself if it can be. Every kernel checks this too.
    pub fn checked(self) -> Result<Self> {
        let sizes = [self.size.0, self.size.1, self.out.0, self.out.1];
        let fits = |(h, w): (usize, usize)| self.planes.checked_mul(h * w).is_some();
        if sizes.contains(&0) || sizes.iter().any(|&n| n >= 1 << 20) || !fits(self.size) || !fits(self.out) {
            return Err(Error::Shape(format!("resize: {self:?}")));
        }
        Ok(self)
    }

    /// Numbers in the input.
    pub fn input_length(&self) -> usize {
        self.planes * self.size.0 * self.size.1
    }

    /// Numbers in the output.
    pub fn output_length(&self) -> usize {
        self.planes * self.out.0 * self.out.1
    }
}

/// Of one output coordinate: two input coordinates, and the share of the second.
#[derive(Debug, Clone, Copy)]
struct Tap {
    low: usize,
    high: usize,
    share: f32,
}

fn axis(size: usize, out: usize, mode: Interpolation) -> Vec<Tap> {
    let at = |i: usize| {
        let position = match mode {
            // In whole numbers: a rounded scale would miss the pixel at some sizes.
            Interpolation::Nearest => return Tap { low: i * size / out, high: i * size / out, share: 0.0 },
            Interpolation::Bilinear { align_corners: true } if out == 1 => 0.0,
            Interpolation::Bilinear { align_corners: true } => i as f64 * (size - 1) as f64 / (out - 1) as f64,
            Interpolation::Bilinear { align_corners: false } => ((i as f64 + 0.5) * size as f64 / out as f64 - 0.5).max(0.0),
        };
        let low = (position as usize).min(size - 1);
        Tap { low, high: (low + 1).min(size - 1), share: (position - low as f64) as f32 }
    };
    (0..out).map(at).collect()
}

/// `output` = the resized planes.
pub fn resize_forward(shape: ResizeShape, mode: Interpolation, input: &[f32], output: &mut [f32]) -> Result<()> {
    let shape = shape.checked()?;
    check_length("input", shape.input_length(), input.len())?;
    check_length("output", shape.output_length(), output.len())?;
    let (rows, columns) = (axis(shape.size.0, shape.out.0, mode), axis(shape.size.1, shape.out.1, mode));
    let (width, out_width) = (shape.size.1, shape.out.1);
    let (plane, out_plane) = (shape.size.0 * width, shape.out.0 * out_width);
    let level = Level::current();
    let shared = Shared::new(output);
    for_each(shape.planes, 2 * shape.output_length(), |task| {
        let input = &input[task * plane..][..plane];
        // SAFETY: tasks own different planes.
        let output = unsafe { shared.range(task * out_plane, out_plane) };
        let mut widened = scratch::take(2 * out_width);
        vectorize(
            level,
            #[inline(always)]
            || {
                // The two input rows last widened to the output's width.
                let (mut low, mut high) = widened.split_at_mut(out_width);
                let (mut low_row, mut high_row) = (usize::MAX, usize::MAX);
                for (tap, out) in rows.iter().zip(output.chunks_exact_mut(out_width)) {
                    if low_row != tap.low {
                        std::mem::swap(&mut low, &mut high);
                        std::mem::swap(&mut low_row, &mut high_row);
                    }
                    if low_row != tap.low {
                        widen(&input[tap.low * width..][..width], &columns, low);
                        low_row = tap.low;
                    }
                    if tap.share == 0.0 || tap.high == tap.low {
                        out.copy_from_slice(low);
                        continue;
                    }
                    if high_row != tap.high {
                        widen(&input[tap.high * width..][..width], &columns, high);
                        high_row = tap.high;
                    }
                    for ((out, a), b) in out.iter_mut().zip(&*low).zip(&*high) {
                        *out = a + (b - a) * tap.share;
                    }
                }
            },
        );
    });
    Ok(())
}

/// Resizes one row.
#[inline(always)]
fn widen(row: &[f32], columns: &[Tap], out: &mut [f32]) {
    for (out, tap) in out.iter_mut().zip(columns) {
        let a = row[tap.low];
        // With no share the other pixel must not matter, whatever it holds.
        *out = if tap.share == 0.0 { a } else { a + (row[tap.high] - a) * tap.share };
    }
}

/// Gradient of the input of [`resize_forward`].
pub fn resize_backward(shape: ResizeShape, mode: Interpolation, output_gradient: &[f32], input_gradient: &mut [f32]) -> Result<()> {
    let shape = shape.checked()?;
    check_length("output gradient", shape.output_length(), output_gradient.len())?;
    check_length("input gradient", shape.input_length(), input_gradient.len())?;
    let (rows, columns) = (axis(shape.size.0, shape.out.0, mode), axis(shape.size.1, shape.out.1, mode));
    let (width, out_width) = (shape.size.1, shape.out.1);
    let (plane, out_plane) = (shape.size.0 * width, shape.out.0 * out_width);
    let level = Level::current();
    let shared = Shared::new(input_gradient);
    for_each(shape.planes, 2 * shape.output_length(), |task| {
        let gradient = &output_gradient[task * out_plane..][..out_plane];
        // SAFETY: tasks own different planes.
        let to = unsafe { shared.range(task * plane, plane) };
        // First vertically, into input rows of the output's width; then each row once horizontally.
        let mut tall = scratch::take_zeroed(shape.size.0 * out_width);
        vectorize(
            level,
            #[inline(always)]
            || {
                for (tap, gradient) in rows.iter().zip(gradient.chunks_exact(out_width)) {
                    for (row, share) in [(tap.low, 1.0 - tap.share), (tap.high, tap.share)] {
                        if share != 0.0 {
                            for (to, g) in tall[row * out_width..][..out_width].iter_mut().zip(gradient) {
                                *to += g * share;
                            }
                        }
                    }
                }
                to.fill(0.0);
                for (row, to) in tall.chunks_exact(out_width).zip(to.chunks_exact_mut(width)) {
                    for (g, tap) in row.iter().zip(&columns) {
                        to[tap.low] += g * (1.0 - tap.share);
                        if tap.share != 0.0 {
                            to[tap.high] += g * tap.share;
                        }
                    }
                }
            },
        );
    });
    Ok(())
}
