//! Layer normalisation of rows `[rows, features]`.

use crate::error::{Error, Result, check_length as check};
use crate::simd::{Level, vectorize};
use crate::sums::sums;
use crate::threads::for_each_of;

/// Numbers of one task, at least one row.
const CHUNK: usize = 1 << 14;
/// What one number costs, in multiply-adds: for the choice of threads.
const WORK: usize = 8;

/// Mean and `1 / sqrt(variance + eps)` of a row; sums of 1,024 numbers are f32, those of blocks f64.
#[inline(always)]
fn statistics(row: &[f32], eps: f32) -> (f32, f32) {
    let count = row.len() as f64;
    let [sum] = sums([row], |[x]| [x]);
    let mean = (sum / count) as f32;
    let [squares] = sums([row], |[x]| [(x - mean) * (x - mean)]);
    (mean, 1.0 / ((squares / count) as f32 + eps).sqrt())
}

/// Refuses input that is not whole rows of at least one feature.
fn check_rows(input: &[f32], features: usize) -> Result<()> {
    match features > 0 && input.len().is_multiple_of(features) {
        true => Ok(()),
        false => Err(Error::Length { what: "input (whole rows)", expected: features, found: input.len() }),
    }
}

/// `output = (x - mean) / sqrt(variance + eps) weight + bias`, mean and (biased) variance those of the row.
pub fn layer_norm_forward(input: &[f32], weight: &[f32], bias: &[f32], eps: f32, output: &mut [f32]) -> Result<()> {
    let features = weight.len();
    check_rows(input, features)?;
    check("bias", features, bias.len())?;
    check("output", input.len(), output.len())?;
    let (level, chunk) = (Level::current(), CHUNK.div_ceil(features) * features);
    let parts = input.chunks(chunk).zip(output.chunks_mut(chunk)).collect();
    for_each_of(parts, input.len() * WORK, |(x, y)| {
        vectorize(
            level,
            #[inline(always)]
            move || {
                for (x, y) in x.chunks_exact(features).zip(y.chunks_exact_mut(features)) {
                    let (mean, inverse) = statistics(x, eps);
                    for (((y, x), w), b) in y.iter_mut().zip(x).zip(weight).zip(bias) {
                        *y = (x - mean) * inverse * w + b;
                    }
                }
            },
        );
    });
    Ok(())
}

/// Gradients of [`layer_norm_forward`].
#[derive(Debug, Clone)]
pub struct LayerNormGradients {
    /// `[rows, features]`.
    pub input: Vec<f32>,
    /// `[features]`.
    pub weight: Vec<f32>,
    /// `[features]`.
    pub bias: Vec<f32>,
}

/// Backward pass of [`layer_norm_forward`]; the statistics of the rows are computed again.
pub fn layer_norm_backward(input: &[f32], weight: &[f32], eps: f32, output_gradient: &[f32]) -> Result<LayerNormGradients> {
    let features = weight.len();
    check_rows(input, features)?;
    check("output gradient", input.len(), output_gradient.len())?;
    let mut gradients = LayerNormGradients { input: vec![0.0; input.len()], weight: vec![0.0; features], bias: vec![0.0; features] };
    let mut rows = vec![(0.0, 0.0); input.len() / features];
    let (level, chunk) = (Level::current(), CHUNK.div_ceil(features) * features);
    let parts = input.chunks(chunk).zip(output_gradient.chunks(chunk)).zip(gradients.input.chunks_mut(chunk));
    let parts = parts.zip(rows.chunks_mut(chunk / features)).collect();
    for_each_of(parts, input.len() * WORK, |(((x, g), to), rows)| {
        vectorize(
            level,
            #[inline(always)]
            move || {
                let all = x.chunks_exact(features).zip(g.chunks_exact(features)).zip(to.chunks_exact_mut(features));
                for (((x, g), to), row) in all.zip(rows) {
                    *row = statistics(x, eps);
                    input_gradient(x, g, weight, *row, to);
                }
            },
        );
    });
    // In the order of the rows: sums do not depend on the number of threads.
    vectorize(
        level,
        #[inline(always)]
        || {
            let all = input.chunks_exact(features).zip(output_gradient.chunks_exact(features));
            for ((x, g), (mean, inverse)) in all.zip(&rows) {
                let sums = gradients.weight.iter_mut().zip(&mut gradients.bias);
                for (((weight, bias), x), g) in sums.zip(x).zip(g) {
                    *bias += g;
                    *weight += g * ((x - mean) * inverse);
                }
            }
        },
    );
    Ok(gradients)
}

/// `inverse (h - mean(h) - x̂ mean(h x̂))` with `h = g weight` and `x̂` the normalised row.
#[inline(always)]
fn input_gradient(x: &[f32], g: &[f32], weight: &[f32], (mean, inverse): (f32, f32), to: &mut [f32]) {
    let count = x.len() as f64;
    let [sum, products] = sums([x, g, weight], |[x, g, w]| [g * w, g * w * ((x - mean) * inverse)]);
    let (mean_h, mean_product) = ((sum / count) as f32, (products / count) as f32);
    for (((to, x), g), w) in to.iter_mut().zip(x).zip(g).zip(weight) {
        *to = inverse * (g * w - mean_h - (x - mean) * inverse * mean_product);
    }
}
