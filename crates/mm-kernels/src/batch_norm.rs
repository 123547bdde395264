//! Batch normalisation of `[batch, channel, spatial]` tensors, with an optional residual and ReLU in the same pass.
//!
//! A task is a channel: its planes are read from memory once and stay in the cache for the passes over them. Sums are
//! f32 over 64 numbers a lane and f64 from there; error against f64 below 2e-6 of the largest output, and 1e-6 of the
//! terms that a gradient is the sum of (`tests/batch_norm.rs`).

use crate::dense::BatchStatistics;
use crate::error::{Error, Result, check_length};

use crate::short_planes;
use crate::simd::{Level, vectorize};
use crate::sums::{Sums, gradient_sums};
use crate::threads::{Shared, for_each};

/// Sizes of a tensor `[batch, channels, spatial]`; `spatial` is height times width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchNormShape<'a> {
    /// Images.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Numbers of one channel of one image.
    pub spatial: usize,
    /// How many of these, from the first, each image has, where sequences differ in length: `[batch]`, at most `spatial` each. What stands
    /// behind them is never read; outputs and gradients are zero there.
    pub filled: Option<&'a [usize]>,
}

impl BatchNormShape<'_> {
    /// Numbers in the tensor.
    pub fn length(&self) -> usize {
        self.batch * self.channels * self.spatial
    }

    pub(crate) fn check(&self, tensors: &[(&'static str, usize)], channels: &[(&'static str, usize)]) -> Result<()> {
        let Self { batch, channels: c, spatial, filled } = *self;
        if let Some(filled) = filled {
            check_length("filled", batch, filled.len())?;
            if let Some(found) = filled.iter().find(|found| **found > spatial) {
                return Err(Error::Shape(format!("{found} numbers of a channel are filled, of {spatial}")));
            }
        }
        if batch.checked_mul(c).and_then(|n| n.checked_mul(spatial)).is_none() {
            return Err(Error::Shape(format!("the tensor is too large: {self:?}")));
        }
        tensors.iter().try_for_each(|&(what, found)| check_length(what, self.length(), found))?;
        channels.iter().try_for_each(|&(what, found)| check_length(what, c, found))
    }

    /// Numbers of a channel of image `n` that count.
    pub(crate) fn filled_of(&self, n: usize) -> usize {
        self.filled.map_or(self.spatial, |filled| filled[n])
    }

    /// Numbers that the statistics of a channel are of.
    pub(crate) fn count(&self) -> usize {
        self.filled.map_or(self.batch * self.spatial, |filled| filled.iter().sum())
    }

    /// Where the planes of a channel start, and how many of their numbers count.
    pub(crate) fn planes(&self, channel: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..self.batch).map(move |n| ((n * self.channels + channel) * self.spatial, self.filled_of(n)))
    }

    /// What counts of the planes (x, g, y) of a channel; y stands in for g where there was no ReLU, and is not looked at then.
    pub(crate) fn gradient_planes<'a>(
        &self,
        channel: usize,
        input: &'a [f32],
        output: Option<&'a [f32]>,
        output_gradient: &'a [f32],
    ) -> Vec<[&'a [f32]; 3]> {
        let plane = |(at, filled): (usize, usize)| {
            let part = at..at + filled;
            let g = &output_gradient[part.clone()];
            [&input[part.clone()], g, output.map_or(g, |y| &y[part])]
        };
        self.planes(channel).map(plane).collect()
    }
}

/// Sets what stands behind the first `filled` numbers to zero, and hands out these.
pub(crate) fn zero_behind(plane: &mut [f32], filled: usize) -> &mut [f32] {
    let (plane, behind) = plane.split_at_mut(filled);
    behind.fill(0.0);
    plane
}

pub(crate) fn optional(what: &'static str, slice: Option<&[f32]>, otherwise: usize) -> (&'static str, usize) {
    (what, slice.map_or(otherwise, <[f32]>::len))
}

/// `output = relu((input - mean) / sqrt(variance + eps) * weight + bias + residual)` with the statistics of the batch.
///
/// `variance` of the result is the biased one; PyTorch's running variance takes it times `n / (n - 1)` with
/// `n = batch * spatial`, or the sum of what is filled.
#[allow(clippy::too_many_arguments)]
pub fn batch_norm_forward(
    shape: BatchNormShape,
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    residual: Option<&[f32]>,
    relu: bool,
    output: &mut [f32],
) -> Result<BatchStatistics> {
    let residual_length = optional("residual", residual, shape.length());
    shape.check(&[("input", input.len()), residual_length, ("output", output.len())], &[("weight", weight.len()), ("bias", bias.len())])?;
    if shape.count() == 0 {
        return Err(Error::Shape(format!("statistics of an empty batch: {shape:?}")));
    }
    let level = Level::current();
    let count = shape.count() as f64;
    let mut statistics =
        BatchStatistics { mean: vec![0.0; shape.channels], variance: vec![0.0; shape.channels], inverse_std: vec![0.0; shape.channels] };
    let shared = Shared::new(output);
    let [mean, variance, inverse_std] =
        [&mut statistics.mean, &mut statistics.variance, &mut statistics.inverse_std].map(|x| Shared::new(x));
    for_each(shape.channels, 4 * input.len(), |channel| {
        let plane = |(at, filled): (usize, usize)| &input[at..at + filled];
        let joined = shape.is_joined(short_planes::FORWARD).then(|| shape.join(channel, input));
        let planes: Vec<&[f32]> = joined.as_deref().map_or_else(|| shape.planes(channel).map(plane).collect(), |x| vec![x]);
        let (m, v) = vectorize(
            level,
            #[inline(always)]
            || {
                let mut total = Sums::default();
                for x in &planes {
                    total.add([x], |x| x);
                }
                let m = total.finish()[0] / count;
                // Deviations from the rounded mean, corrected for the rounding.
                let rounded = m as f32;
                let mut squares = Sums::default();
                for x in &planes {
                    squares.add([x], |[x]| [(x - rounded) * (x - rounded)]);
                }
                (m, (squares.finish()[0] / count - (m - f64::from(rounded)).powi(2)).max(0.0))
            },
        );
        let s = 1.0 / (v + f64::from(eps)).sqrt();
        let scale = f64::from(weight[channel]) * s;
        // (x - mean) first: with a large mean, x * scale would lose the digits that matter.
        let affine = (m as f32, scale as f32, (f64::from(bias[channel]) - (m - f64::from(m as f32)) * scale) as f32);
        // SAFETY: tasks own different channels.
        unsafe {
            mean.range(channel, 1)[0] = m as f32;
            variance.range(channel, 1)[0] = v as f32;
            inverse_std.range(channel, 1)[0] = s as f32;
        }
        if let Some(x) = &joined {
            // SAFETY: tasks own the planes of different channels.
            unsafe { short_planes::affine(level, (&shape, channel), x, affine, residual, relu, shared) };
            return;
        }
        for (at, filled) in shape.planes(channel) {
            // SAFETY: tasks own the planes of different channels.
            let out = zero_behind(unsafe { shared.range(at, shape.spatial) }, filled);
            affine_plane(level, plane((at, filled)), affine, residual.map(|r| &r[at..at + filled]), relu, out);
        }
    });
    Ok(statistics)
}

/// `relu((input - mean) * scale + shift + residual)` on one plane; `affine` is (mean, scale, shift).
pub(crate) fn affine_plane(
    level: Level,
    input: &[f32],
    (mean, scale, shift): (f32, f32, f32),
    residual: Option<&[f32]>,
    relu: bool,
    output: &mut [f32],
) {
    // Written so that NaN stays NaN.
    let close = move |y: f32| if relu && y < 0.0 { 0.0 } else { y };
    vectorize(
        level,
        #[inline(always)]
        move || match residual {
            None => {
                for (o, x) in output.iter_mut().zip(input) {
                    *o = close((x - mean) * scale + shift);
                }
            }
            Some(residual) => {
                for ((o, x), r) in output.iter_mut().zip(input).zip(residual) {
                    *o = close((x - mean) * scale + shift + r);
                }
            }
        },
    );
}

/// `output = relu(input * scale + shift + residual)` by channel: batch normalisation at inference, where
/// `scale = weight / sqrt(variance + eps)` and `shift = bias - mean * scale`.
pub fn scale_shift(
    shape: BatchNormShape,
    input: &[f32],
    scale: &[f32],
    shift: &[f32],
    residual: Option<&[f32]>,
    relu: bool,
    output: &mut [f32],
) -> Result<()> {
    let residual_length = optional("residual", residual, shape.length());
    shape.check(&[("input", input.len()), residual_length, ("output", output.len())], &[("scale", scale.len()), ("shift", shift.len())])?;
    let level = Level::current();
    let shared = Shared::new(output);
    for_each(shape.batch * shape.channels, input.len(), |plane| {
        let (channel, at, filled) = (plane % shape.channels, plane * shape.spatial, shape.filled_of(plane / shape.channels));
        let part = at..at + filled;
        // SAFETY: tasks own different planes.
        let out = zero_behind(unsafe { shared.range(at, shape.spatial) }, filled);
        let affine = (0.0, scale[channel], shift[channel]);
        affine_plane(level, &input[part.clone()], affine, residual.map(|r| &r[part]), relu, out);
    });
    Ok(())
}

/// Where [`batch_norm_backward`] writes its results.
#[derive(Debug)]
pub struct BatchNormGradientsMut<'a> {
    /// Gradient of the input, `[batch, channels, spatial]`.
    pub input: &'a mut [f32],
    /// Gradient of the weight, `[channels]`.
    pub weight: &'a mut [f32],
    /// Gradient of the bias, `[channels]`.
    pub bias: &'a mut [f32],
    /// Gradient of the residual, like the input: the output's gradient where the ReLU was open.
    pub residual: Option<&'a mut [f32]>,
}

/// Backward pass of [`batch_norm_forward`]. With `output`, the result of the forward pass, the gradient is first closed
/// where the ReLU was; without, there was no ReLU.
pub fn batch_norm_backward(
    shape: BatchNormShape,
    input: &[f32],
    weight: &[f32],
    statistics: &BatchStatistics,
    output: Option<&[f32]>,
    output_gradient: &[f32],
    gradients: BatchNormGradientsMut,
) -> Result<()> {
    let BatchStatistics { mean, inverse_std, .. } = statistics;
    shape.check(
        &[
            ("input", input.len()),
            optional("output", output, shape.length()),
            ("output gradient", output_gradient.len()),
            ("input gradient", gradients.input.len()),
            optional("residual gradient", gradients.residual.as_deref(), shape.length()),
        ],
        &[
            ("weight", weight.len()),
            ("mean", mean.len()),
            ("inverse std", inverse_std.len()),
            ("weight gradient", gradients.weight.len()),
            ("bias gradient", gradients.bias.len()),
        ],
    )?;
    let level = Level::current();
    let count = shape.count() as f64;
    let (input_gradient, residual_gradient) = (Shared::new(gradients.input), gradients.residual.map(Shared::new));
    let (weight_gradient, bias_gradient) = (Shared::new(gradients.weight), Shared::new(gradients.bias));
    for_each(shape.channels, 4 * input.len(), |channel| {
        let (m, s) = (mean[channel], inverse_std[channel]);
        let gated = output.is_some();
        let join = |from| shape.join(channel, from);
        let joined = shape.is_joined(short_planes::BACKWARD).then(|| (join(input), join(output_gradient), output.map(join)));
        let planes: Vec<[&[f32]; 3]> = match &joined {
            Some((x, g, y)) => vec![[x, g, y.as_deref().unwrap_or(g)]],
            None => shape.gradient_planes(channel, input, output, output_gradient),
        };
        let [sum_g, sum_gx] = gradient_sums(level, &planes, gated, m);
        let sum_gx = sum_gx * f64::from(s);
        // SAFETY: tasks own different channels.
        unsafe {
            bias_gradient.range(channel, 1)[0] = sum_g as f32;
            weight_gradient.range(channel, 1)[0] = sum_gx as f32;
        }
        // dx = w s (g - mean(g) - x̂ mean(g x̂)) = a g - b (x - m) - c
        let a = f64::from(weight[channel]) * f64::from(s);
        let (b, c) = ((a * sum_gx * f64::from(s) / count) as f32, (a * sum_g / count) as f32);
        let slope = [a as f32, b, c, m];
        if joined.is_some() {
            // SAFETY: tasks own the planes of different channels.
            unsafe { short_planes::gradients(level, (&shape, channel), planes[0], gated, slope, input_gradient, residual_gradient) };
            return;
        }
        for (plane, (at, filled)) in planes.into_iter().zip(shape.planes(channel)) {
            // SAFETY: tasks own the planes of different channels.
            let dx = unsafe { input_gradient.range(at, shape.spatial) };
            // SAFETY: as above.
            let dr = residual_gradient.map(|r| unsafe { r.range(at, shape.spatial) });
            gradient_plane(level, plane, gated, slope, zero_behind(dx, filled), dr.map(|dr| zero_behind(dr, filled)));
        }
    });
    Ok(())
}

/// The gradients of input and residual on one plane, from (x, g, y); that of the input is `a g - b (x - m) - c`.
fn gradient_plane(level: Level, [x, g, y]: [&[f32]; 3], gated: bool, [a, b, c, m]: [f32; 4], dx: &mut [f32], dr: Option<&mut [f32]>) {
    let dx_of = move |x: f32, g: f32| a * g - b * (x - m) - c;
    vectorize(
        level,
        #[inline(always)]
        move || match (gated, dr) {
            (false, dr) => {
                if let Some(dr) = dr {
                    dr.copy_from_slice(g);
                }
                for ((dx, x), g) in dx.iter_mut().zip(x).zip(g) {
                    *dx = dx_of(*x, *g);
                }
            }
            (true, None) => {
                for (((dx, x), g), y) in dx.iter_mut().zip(x).zip(g).zip(y) {
                    *dx = dx_of(*x, if *y > 0.0 { *g } else { 0.0 });
                }
            }
            (true, Some(dr)) => {
                for ((((dx, dr), x), g), y) in dx.iter_mut().zip(dr).zip(x).zip(g).zip(y) {
                    let g = if *y > 0.0 { *g } else { 0.0 };
                    *dr = g;
                    *dx = dx_of(*x, g);
                }
            }
        },
    );
}
