//! Average pooling: with a window, to a fixed output size, and over the whole plane.
//!
//! Error against f64 below 1e-6 of the largest number (`tests/pool.rs`).

use std::ops::Range;

use crate::error::{Error, Result, check_length};
use crate::simd::{Level, vectorize};
use crate::sums::sums;
use crate::threads::{Shared, for_each};
use crate::window::Pool2dShape;

/// The windows of an axis, and by what their sum is divided along it.
#[derive(Debug, Clone)]
struct Axis {
    windows: Vec<(Range<usize>, usize)>,
}

impl Axis {
    fn strided(size: usize, outputs: usize, kernel: usize, stride: usize, padding: usize, count_include_pad: bool) -> Self {
        let window = |i: usize| {
            let start = i * stride;
            // Windows never reach past the padding on the far side: the output size is rounded down.
            let range = start.saturating_sub(padding)..(start + kernel).saturating_sub(padding).min(size);
            let count = if count_include_pad { kernel } else { range.len() };
            (range, count)
        };
        Self { windows: (0..outputs).map(window).collect() }
    }

    fn adaptive(size: usize, outputs: usize) -> Self {
        let window = |i: usize| {
            let range = i * size / outputs..((i + 1) * size).div_ceil(outputs);
            let count = range.len();
            (range, count)
        };
        Self { windows: (0..outputs).map(window).collect() }
    }
}

/// A pooling of planes `height x width` with the windows of two axes.
struct Averages {
    planes: usize,
    size: (usize, usize),
    rows: Axis,
    columns: Axis,
}

impl Averages {
    fn windowed(shape: Pool2dShape, count_include_pad: bool) -> Result<Self> {
        let s = shape.checked()?;
        let axis = |size, out, kernel, stride, padding| Axis::strided(size, out, kernel, stride, padding, count_include_pad);
        Ok(Self {
            planes: s.batch * s.channels,
            size: (s.height, s.width),
            rows: axis(s.height, s.out_height(), s.kernel.0, s.stride.0, s.padding.0),
            columns: axis(s.width, s.out_width(), s.kernel.1, s.stride.1, s.padding.1),
        })
    }

    fn adaptive(planes: usize, size: (usize, usize), out: (usize, usize)) -> Result<Self> {
        let sizes = [size.0, size.1, out.0, out.1];
        if sizes.contains(&0) || sizes.iter().any(|&n| n >= 1 << 20) || planes.checked_mul(size.0 * size.1).is_none() {
            return Err(Error::Shape(format!("average pooling of {planes} planes {size:?} to {out:?}")));
        }
        Ok(Self { planes, size, rows: Axis::adaptive(size.0, out.0), columns: Axis::adaptive(size.1, out.1) })
    }

    fn lengths(&self) -> (usize, usize) {
        (self.size.0 * self.size.1, self.rows.windows.len() * self.columns.windows.len())
    }

    fn forward(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let (plane, out_plane) = self.lengths();
        check_length("input", self.planes * plane, input.len())?;
        check_length("output", self.planes * out_plane, output.len())?;
        let level = Level::current();
        let width = self.columns.windows.len();
        let shared = Shared::new(output);
        for_each(self.planes, input.len() + self.planes * out_plane, |task| {
            let input = &input[task * plane..][..plane];
            // SAFETY: tasks own different planes.
            let output = unsafe { shared.range(task * out_plane, out_plane) };
            vectorize(
                level,
                #[inline(always)]
                move || {
                    if out_plane == 1 && self.rows.windows[0].0.len() * self.columns.windows[0].0.len() == plane {
                        let count = self.rows.windows[0].1 * self.columns.windows[0].1;
                        output[0] = (sums([input], |x| x)[0] / count as f64) as f32;
                        return;
                    }
                    // Rows of a window first: one vector sum over the width.
                    let mut row_sum = vec![0.0f32; self.size.1];
                    for ((rows, row_count), output) in self.rows.windows.iter().zip(output.chunks_exact_mut(width)) {
                        row_sum.fill(0.0);
                        for row in input[rows.start * self.size.1..rows.end * self.size.1].chunks_exact(self.size.1) {
                            for (sum, x) in row_sum.iter_mut().zip(row) {
                                *sum += x;
                            }
                        }
                        for ((columns, count), output) in self.columns.windows.iter().zip(output) {
                            *output = row_sum[columns.clone()].iter().sum::<f32>() / (row_count * count) as f32;
                        }
                    }
                },
            );
        });
        Ok(())
    }

    fn backward(&self, output_gradient: &[f32], input_gradient: &mut [f32]) -> Result<()> {
        let (plane, out_plane) = self.lengths();
        check_length("output gradient", self.planes * out_plane, output_gradient.len())?;
        check_length("input gradient", self.planes * plane, input_gradient.len())?;
        let level = Level::current();
        let width = self.columns.windows.len();
        let shared = Shared::new(input_gradient);
        for_each(self.planes, self.planes * (plane + out_plane), |task| {
            let gradient = &output_gradient[task * out_plane..][..out_plane];
            // SAFETY: tasks own different planes.
            let to = unsafe { shared.range(task * plane, plane) };
            vectorize(
                level,
                #[inline(always)]
                move || {
                    to.fill(0.0);
                    let mut spread = vec![0.0f32; self.size.1];
                    for ((rows, row_count), gradient) in self.rows.windows.iter().zip(gradient.chunks_exact(width)) {
                        spread.fill(0.0);
                        for ((columns, count), g) in self.columns.windows.iter().zip(gradient) {
                            let share = g / (row_count * count) as f32;
                            spread[columns.clone()].iter_mut().for_each(|to| *to += share);
                        }
                        for row in to[rows.start * self.size.1..rows.end * self.size.1].chunks_exact_mut(self.size.1) {
                            for (to, share) in row.iter_mut().zip(&spread) {
                                *to += share;
                            }
                        }
                    }
                },
            );
        });
        Ok(())
    }
}

/// `output` = mean of each window; padding counts as zeros if `count_include_pad` (PyTorch's default).
pub fn avg_pool2d_forward(shape: Pool2dShape, count_include_pad: bool, input: &[f32], output: &mut [f32]) -> Result<()> {
    Averages::windowed(shape, count_include_pad)?.forward(input, output)
}

/// Gradient of the input of [`avg_pool2d_forward`].
pub fn avg_pool2d_backward(shape: Pool2dShape, count_include_pad: bool, output_gradient: &[f32], input_gradient: &mut [f32]) -> Result<()> {
    Averages::windowed(shape, count_include_pad)?.backward(output_gradient, input_gradient)
}

/// Mean over windows that split each plane into `out` = (height, width) parts, as PyTorch's `adaptive_avg_pool2d`;
/// `(1, 1)` is the global average. `planes` is batch times channels, `size` a plane's (height, width).
pub fn adaptive_avg_pool2d_forward(
    planes: usize,
    size: (usize, usize),
    out: (usize, usize),
    input: &[f32],
    output: &mut [f32],
) -> Result<()> {
    Averages::adaptive(planes, size, out)?.forward(input, output)
}

/// Gradient of the input of [`adaptive_avg_pool2d_forward`].
pub fn adaptive_avg_pool2d_backward(
    planes: usize,
    size: (usize, usize),
    out: (usize, usize),
    output_gradient: &[f32],
    input_gradient: &mut [f32],
) -> Result<()> {
    Averages::adaptive(planes, size, out)?.backward(output_gradient, input_gradient)
}
