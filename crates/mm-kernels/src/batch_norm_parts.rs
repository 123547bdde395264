//! Batch normalisation of a batch whose samples lie in several processes: what one of them computes between the exchanges.
//!
//! [`moments`] of the own samples, [`combined`] with those of the others, [`normalise`]; then, for the gradient, [`gradient_sums`], their sum
//! over the processes, [`input_gradient`]. Numbers that are exchanged are f64.

use crate::batch_norm::{BatchNormShape, affine_plane, optional, zero_behind};
use crate::dense::BatchStatistics;
use crate::error::{Error, Result};
use crate::simd::{Level, vectorize};
use crate::sums::{self, Sums};
use crate::threads::{Shared, for_each};

/// Of each channel: how many numbers there are, their mean, and the sum of their squared deviations from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Numbers of a channel.
    pub count: f64,
    /// `[channels]`.
    pub mean: Vec<f64>,
    /// `[channels]`.
    pub squares: Vec<f64>,
}

impl Moments {
    /// Mean, biased variance and inverse deviation, as the backward pass takes them.
    pub fn statistics(&self, eps: f32) -> BatchStatistics {
        let variance = || self.squares.iter().map(|squares| squares / self.count);
        BatchStatistics {
            mean: self.mean.iter().map(|mean| *mean as f32).collect(),
            variance: variance().map(|v| v as f32).collect(),
            inverse_std: variance().map(|v| inverse_std(v, eps) as f32).collect(),
        }
    }
}

fn inverse_std(variance: f64, eps: f32) -> f64 {
    1.0 / (variance + f64::from(eps)).sqrt()
}

/// The moments of all parts together, summed in their order.
pub fn combined(parts: &[Moments]) -> Result<Moments> {
    let count: f64 = parts.iter().map(|part| part.count).sum();
    let channels = parts.first().map_or(0, |part| part.mean.len());
    if count < 1.0 || parts.iter().any(|part| part.mean.len() != channels || part.squares.len() != channels) {
        return Err(Error::Shape(format!("moments of {count} numbers in {} parts, which must have as many channels", parts.len())));
    }
    let mean: Vec<f64> = (0..channels).map(|c| parts.iter().map(|part| part.count * part.mean[c]).sum::<f64>() / count).collect();
    let squares = |c: usize| parts.iter().map(|part| part.squares[c] + part.count * (part.mean[c] - mean[c]).powi(2)).sum();
    let squares = (0..channels).map(squares).collect();
    Ok(Moments { count, mean, squares })
}

/// The moments of the own samples, `[batch, channels, spatial]`.
pub fn moments(shape: BatchNormShape, input: &[f32]) -> Result<Moments> {
    shape.check(&[("input", input.len())], &[])?;
    let (count, channels) = (shape.count() as f64, shape.channels);
    let divisor = count.max(1.0);
    if shape.spatial == 1 && shape.filled.is_none() {
        let (mut mean, mut squares) = (vec![0.0; channels], vec![0.0; channels]);
        for row in input.chunks_exact(channels.max(1)) {
            mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        mean.iter_mut().for_each(|sum: &mut f64| *sum /= divisor);
        for row in input.chunks_exact(channels.max(1)) {
            squares.iter_mut().zip(row).zip(&mean).for_each(|((sum, x), mean)| *sum += (f64::from(*x) - mean).powi(2));
        }
        return Ok(Moments { count, mean, squares });
    }
    let of_channels = by_channel(channels, 4 * input.len(), |channel, level| {
        vectorize(
            level,
            #[inline(always)]
            move || {
                let plane = |(at, filled): (usize, usize)| &input[at..at + filled];
                let mut total = Sums::default();
                shape.planes(channel).for_each(|at| total.add([plane(at)], |x| x));
                let mean = total.finish()[0] / divisor;
                let rounded = mean as f32;
                let mut squares = Sums::default();
                shape.planes(channel).for_each(|at| squares.add([plane(at)], |[x]| [(x - rounded) * (x - rounded)]));
                let squares = squares.finish()[0];
                // Deviations from the rounded mean, corrected for the rounding.
                [mean, (squares - count * (mean - f64::from(rounded)).powi(2)).max(0.0)]
            },
        )
    });
    Ok(Moments { count, mean: of_channels.iter().map(|x| x[0]).collect(), squares: of_channels.iter().map(|x| x[1]).collect() })
}

/// `output = relu((input - mean) / sqrt(variance + eps) * weight + bias + residual)` of the own samples with the moments of all.
#[allow(clippy::too_many_arguments)]
pub fn normalise(
    shape: BatchNormShape,
    input: &[f32],
    whole: &Moments,
    [weight, bias]: [&[f32]; 2],
    eps: f32,
    residual: Option<&[f32]>,
    relu: bool,
    output: &mut [f32],
) -> Result<()> {
    shape.check(
        &[("input", input.len()), optional("residual", residual, shape.length()), ("output", output.len())],
        &[("weight", weight.len()), ("bias", bias.len()), ("mean", whole.mean.len()), ("squares", whole.squares.len())],
    )?;
    let affine = |c: usize| {
        let (m, scale) = (whole.mean[c], f64::from(weight[c]) * inverse_std(whole.squares[c] / whole.count, eps));
        // (x - mean) first: with a large mean, x * scale would lose the digits that matter.
        (m as f32, scale as f32, (f64::from(bias[c]) - (m - f64::from(m as f32)) * scale) as f32)
    };
    let affine: Vec<(f32, f32, f32)> = (0..shape.channels).map(affine).collect();
    if shape.spatial == 1 && shape.filled.is_none() {
        for (n, row) in output.chunks_exact_mut(shape.channels.max(1)).enumerate() {
            let at = n * shape.channels;
            for (c, (o, (mean, scale, shift))) in row.iter_mut().zip(&affine).enumerate() {
                let y = (input[at + c] - mean) * scale + shift + residual.map_or(0.0, |r| r[at + c]);
                *o = if relu && y < 0.0 { 0.0 } else { y };
            }
        }
        return Ok(());
    }
    let (level, shared) = (Level::current(), Shared::new(output));
    for_each(shape.batch * shape.channels, input.len(), |plane| {
        let (at, filled) = (plane * shape.spatial, shape.filled_of(plane / shape.channels));
        // SAFETY: tasks own different planes.
        let out = zero_behind(unsafe { shared.range(at, shape.spatial) }, filled);
        let part = at..at + filled;
        affine_plane(level, &input[part.clone()], affine[plane % shape.channels], residual.map(|r| &r[part]), relu, out);
    });
    Ok(())
}

/// Of each channel the sums over the own samples of the gradient of the output, and of it times the normalised input: the gradients of bias and
/// weight. With `output`, the gradient is first closed where the ReLU was.
pub fn gradient_sums(
    shape: BatchNormShape,
    input: &[f32],
    statistics: &BatchStatistics,
    output: Option<&[f32]>,
    output_gradient: &[f32],
) -> Result<[Vec<f64>; 2]> {
    let BatchStatistics { mean, inverse_std, .. } = statistics;
    let lengths = [("input", input.len()), optional("output", output, shape.length()), ("output gradient", output_gradient.len())];
    shape.check(&lengths, &[("mean", mean.len()), ("inverse std", inverse_std.len())])?;
    if shape.spatial == 1 && shape.filled.is_none() {
        let mut totals = [vec![0.0; shape.channels], vec![0.0; shape.channels]];
        for (n, row) in input.chunks_exact(shape.channels.max(1)).enumerate() {
            let at = n * shape.channels;
            for (c, x) in row.iter().enumerate() {
                let g = open(output, output_gradient, at + c);
                totals[0][c] += f64::from(g);
                totals[1][c] += f64::from(g) * f64::from(x - mean[c]) * f64::from(inverse_std[c]);
            }
        }
        return Ok(totals);
    }
    let of_channels = by_channel(shape.channels, 4 * input.len(), |channel, level| {
        let planes = shape.gradient_planes(channel, input, output, output_gradient);
        let [g, gx] = sums::gradient_sums(level, &planes, output.is_some(), mean[channel]);
        [g, gx * f64::from(inverse_std[channel])]
    });
    Ok([of_channels.iter().map(|x| x[0]).collect(), of_channels.iter().map(|x| x[1]).collect()])
}

/// The gradient of the own inputs, from the sums over all samples ([`gradient_sums`]) and their number; and of the residual, where there is one.
#[allow(clippy::too_many_arguments)]
pub fn input_gradient(
    shape: BatchNormShape,
    input: &[f32],
    weight: &[f32],
    statistics: &BatchStatistics,
    (whole_sums, whole_count): (&[Vec<f64>; 2], f64),
    output: Option<&[f32]>,
    output_gradient: &[f32],
    gradient: &mut [f32],
    residual_gradient: Option<&mut [f32]>,
) -> Result<()> {
    let BatchStatistics { mean, inverse_std, .. } = statistics;
    shape.check(
        &[
            ("input", input.len()),
            optional("output", output, shape.length()),
            ("output gradient", output_gradient.len()),
            ("input gradient", gradient.len()),
            optional("residual gradient", residual_gradient.as_deref(), shape.length()),
        ],
        &[("weight", weight.len()), ("mean", mean.len()), ("sums", whole_sums[0].len()), ("sums", whole_sums[1].len())],
    )?;
    // dx = w s (g - mean(g) - x̂ mean(g x̂)) = a g - b (x - m) - c
    let factors = |c: usize| {
        let s = f64::from(inverse_std[c]);
        let a = f64::from(weight[c]) * s;
        (a as f32, (a * whole_sums[1][c] * s / whole_count) as f32, (a * whole_sums[0][c] / whole_count) as f32)
    };
    let factors: Vec<(f32, f32, f32)> = (0..shape.channels).map(factors).collect();
    let (shared, residual) = (Shared::new(gradient), residual_gradient.map(Shared::new));
    // Of matrices a task is a row, whose numbers lie side by side.
    let planes = if shape.spatial == 1 { 1 } else { shape.channels };
    let length = shape.channels * shape.spatial / planes.max(1);
    for_each(shape.batch * planes, input.len(), |task| {
        let (at, channel) = (task * length, if planes == 1 { 0 } else { task % planes });
        let filled = if planes == 1 { length * shape.filled_of(task) } else { shape.filled_of(task / planes) };
        // SAFETY: tasks own different parts.
        let dx = zero_behind(unsafe { shared.range(at, length) }, filled);
        // SAFETY: as above.
        let mut dr = residual.map(|r| zero_behind(unsafe { r.range(at, length) }, filled));
        for (i, dx) in dx.iter_mut().enumerate() {
            let c = if planes == 1 { i } else { channel };
            let ((a, b, shift), g) = (factors[c], open(output, output_gradient, at + i));
            *dx = a * g - b * (input[at + i] - mean[c]) - shift;
            if let Some(dr) = &mut dr {
                dr[i] = g;
            }
        }
    });
    Ok(())
}

/// The gradient at `at`, which is 0 where a ReLU was closed.
#[inline(always)]
fn open(output: Option<&[f32]>, output_gradient: &[f32], at: usize) -> f32 {
    match output {
        Some(output) if output[at] <= 0.0 => 0.0,
        _ => output_gradient[at],
    }
}

/// Two numbers of each channel, a task each.
fn by_channel(channels: usize, work: usize, of: impl Fn(usize, Level) -> [f64; 2] + Sync + Send) -> Vec<[f64; 2]> {
    use std::sync::OnceLock;
    let (level, results): (Level, Vec<OnceLock<[f64; 2]>>) = (Level::current(), (0..channels).map(|_| OnceLock::new()).collect());
    for_each(channels, work, |channel| _ = results[channel].set(of(channel, level)));
    results.into_iter().map(|result| result.into_inner().unwrap_or_default()).collect()
}
