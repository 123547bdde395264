//! Depthwise convolution: every channel has its own small kernel, and no sum crosses channels.
//!
//! `shape.in_channels == shape.out_channels`, `weight` is `[channels, 1, kernel.0, kernel.1]`. Each row of a plane is a
//! vector sum over taps. Error against f64 below 1e-6 of the terms summed (`tests/depthwise.rs`).

use crate::conv::shape::Conv2dShape;
use crate::error::{Error, Result, check_length};
use crate::simd::{Level, vectorize};
use crate::sums::sums;
use crate::threads::{Shared, for_each};
use crate::window::reached;

/// One tap over one row of the output: these outputs, read from here on in the input row.
struct Stretch {
    tap: usize,
    out: std::ops::Range<usize>,
    first: usize,
}

struct Depthwise {
    shape: Conv2dShape,
    level: Level,
    plane: usize,
    out_plane: usize,
    out_width: usize,
    taps: usize,
    /// By column of the kernel; `tap` is that column.
    columns: Vec<Stretch>,
}

impl Depthwise {
    fn new(shape: Conv2dShape, input: usize, weight: usize, output: usize) -> Result<Self> {
        let shape = shape.checked()?;
        if shape.in_channels != shape.out_channels {
            return Err(Error::Shape(format!("a depthwise convolution keeps its channels: {shape:?}")));
        }
        let taps = shape.kernel.0 * shape.kernel.1;
        check_length("input", shape.input_length(), input)?;
        check_length("weight", shape.in_channels * taps, weight)?;
        check_length("output", shape.output_length(), output)?;
        let out_width = shape.out_width();
        let column = |k: usize| {
            let tap = k * shape.dilation.1;
            let out = reached(out_width, shape.stride.1, tap, shape.padding.1, shape.width);
            let first = if out.is_empty() { 0 } else { out.start * shape.stride.1 + tap - shape.padding.1 };
            Stretch { tap: k, out, first }
        };
        Ok(Self {
            shape,
            level: Level::current(),
            plane: shape.height * shape.width,
            out_plane: shape.out_height() * out_width,
            out_width,
            taps,
            columns: (0..shape.kernel.1).map(column).filter(|s| !s.out.is_empty()).collect(),
        })
    }

    /// Calls `visit` for every (output row, kernel row) that reaches an input row: (output row, input row, kernel row).
    #[inline(always)]
    fn rows(&self, mut visit: impl FnMut(usize, usize, usize)) {
        for y in 0..self.shape.out_height() {
            for ky in 0..self.shape.kernel.0 {
                let row = (y * self.shape.stride.0 + ky * self.shape.dilation.0).checked_sub(self.shape.padding.0);
                if let Some(row) = row.filter(|&row| row < self.shape.height) {
                    visit(y, row, ky);
                }
            }
        }
    }

    fn work(&self) -> usize {
        self.shape.output_length() * self.taps
    }
}

/// `output = depthwise convolution(input, weight) + bias`.
pub fn depthwise_conv2d_forward(shape: Conv2dShape, input: &[f32], weight: &[f32], bias: Option<&[f32]>, output: &mut [f32]) -> Result<()> {
    let d = Depthwise::new(shape, input.len(), weight.len(), output.len())?;
    check_length("bias", shape.out_channels, bias.map_or(shape.out_channels, <[f32]>::len))?;
    let shared = Shared::new(output);
    for_each(shape.batch * shape.in_channels, d.work(), |task| {
        let channel = task % shape.in_channels;
        let input = &input[task * d.plane..][..d.plane];
        let weight = &weight[channel * d.taps..][..d.taps];
        // SAFETY: tasks own different planes.
        let output = unsafe { shared.range(task * d.out_plane, d.out_plane) };
        vectorize(
            d.level,
            #[inline(always)]
            || {
                output.fill(bias.map_or(0.0, |b| b[channel]));
                d.rows(|y, row, ky| {
                    let from = &input[row * shape.width..][..shape.width];
                    let to = &mut output[y * d.out_width..][..d.out_width];
                    for s in &d.columns {
                        let w = weight[ky * shape.kernel.1 + s.tap];
                        let to = &mut to[s.out.clone()];
                        if shape.stride.1 == 1 {
                            for (to, x) in to.iter_mut().zip(&from[s.first..]) {
                                *to += w * x;
                            }
                        } else {
                            for (to, x) in to.iter_mut().zip(from[s.first..].iter().step_by(shape.stride.1)) {
                                *to += w * x;
                            }
                        }
                    }
                });
            },
        );
    });
    Ok(())
}

/// Gradient of the input.
pub fn depthwise_conv2d_input_gradient(
    shape: Conv2dShape,
    output_gradient: &[f32],
    weight: &[f32],
    input_gradient: &mut [f32],
) -> Result<()> {
    let d = Depthwise::new(shape, input_gradient.len(), weight.len(), output_gradient.len())?;
    let shared = Shared::new(input_gradient);
    for_each(shape.batch * shape.in_channels, d.work(), |task| {
        let weight = &weight[task % shape.in_channels * d.taps..][..d.taps];
        let gradient = &output_gradient[task * d.out_plane..][..d.out_plane];
        // SAFETY: tasks own different planes.
        let to = unsafe { shared.range(task * d.plane, d.plane) };
        vectorize(
            d.level,
            #[inline(always)]
            || {
                to.fill(0.0);
                d.rows(|y, row, ky| {
                    let gradient = &gradient[y * d.out_width..][..d.out_width];
                    let to = &mut to[row * shape.width..][..shape.width];
                    for s in &d.columns {
                        let w = weight[ky * shape.kernel.1 + s.tap];
                        let gradient = &gradient[s.out.clone()];
                        if shape.stride.1 == 1 {
                            for (to, g) in to[s.first..].iter_mut().zip(gradient) {
                                *to += w * g;
                            }
                        } else {
                            for (to, g) in to[s.first..].iter_mut().step_by(shape.stride.1).zip(gradient) {
                                *to += w * g;
                            }
                        }
                    }
                });
            },
        );
    });
    Ok(())
}

/// Gradient of the weight.
pub fn depthwise_conv2d_weight_gradient(
    shape: Conv2dShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
) -> Result<()> {
    let d = Depthwise::new(shape, input.len(), weight_gradient.len(), output_gradient.len())?;
    let shared = Shared::new(weight_gradient);
    for_each(shape.in_channels, d.work(), |channel| {
        let mut totals = vec![0.0f64; d.taps];
        vectorize(
            d.level,
            #[inline(always)]
            || {
                for image in 0..shape.batch {
                    let plane = image * shape.in_channels + channel;
                    let input = &input[plane * d.plane..][..d.plane];
                    let gradient = &output_gradient[plane * d.out_plane..][..d.out_plane];
                    d.rows(|y, row, ky| {
                        let gradient = &gradient[y * d.out_width..][..d.out_width];
                        let from = &input[row * shape.width..][..shape.width];
                        for s in &d.columns {
                            let (g, x) = (&gradient[s.out.clone()], &from[s.first..]);
                            totals[ky * shape.kernel.1 + s.tap] += if shape.stride.1 == 1 {
                                sums([g, x], |[g, x]| [g * x])[0]
                            } else {
                                g.iter().zip(x.iter().step_by(shape.stride.1)).map(|(g, x)| f64::from(g * x)).sum()
                            };
                        }
                    });
                }
            },
        );
        // SAFETY: tasks own different channels.
        let to = unsafe { shared.range(channel * d.taps, d.taps) };
        for (to, total) in to.iter_mut().zip(totals) {
            *to = total as f32;
        }
    });
    Ok(())
}
