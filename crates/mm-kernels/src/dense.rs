//! Linear layers and batch normalisation on row-major `[rows, features]` matrices.
//!
//! Sums run in a fixed order on one thread: the results do not depend on the number of threads.
//!
//! Everything follows the [`Level`]; all but the matrix products has the same bits at every one.

use crate::error::{Error, Result, check_length as check};
use crate::in_place;
use crate::product::{Operand, matmul};
use crate::simd::{Level, vectorize};
use crate::threads::in_pieces;

/// Shape of a linear layer: `output[rows, outputs] = input[rows, inputs] weight[outputs, inputs]ᵀ + bias[outputs]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearShape {
    /// Rows (samples).
    pub rows: usize,
    /// Width of the input.
    pub inputs: usize,
    /// Width of the output.
    pub outputs: usize,
}

/// Forward pass of a linear layer, then ReLU if `relu`. Error against f64 below 1e-6 of the largest output at width 384.
pub fn linear_forward(
    shape: LinearShape,
    input: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    output: &mut [f32],
) -> Result<()> {
    let LinearShape { rows, inputs, outputs } = shape;
    if let Some(bias) = bias {
        check("bias", outputs, bias.len())?;
    }
    if in_place::suits(shape) {
        check("input", rows * inputs, input.len())?;
        check("weight", outputs * inputs, weight.len())?;
        check("output", rows * outputs, output.len())?;
        in_place::forward(Level::current(), shape, input, weight, bias, relu, output);
        return Ok(());
    }
    if let Some(bias) = bias {
        check("output", rows * outputs, output.len())?;
        for row in output.chunks_exact_mut(outputs.max(1)) {
            row.copy_from_slice(bias);
        }
    }
    let weight = Operand::new(weight, outputs, inputs);
    matmul(Operand::new(input, rows, inputs), weight.t(), output, bias.is_some())?;
    if relu {
        vectorize(
            Level::current(),
            #[inline(always)]
            || output.iter_mut().for_each(|y| *y = if *y < 0.0 { 0.0 } else { *y }),
        );
    }
    Ok(())
}

/// Gradient of a ReLU: that of its output where the output is not 0.
pub fn relu_gradient(output: &[f32], output_gradient: &[f32], input_gradient: &mut [f32]) -> Result<()> {
    check("output gradient", output.len(), output_gradient.len())?;
    check("input gradient", output.len(), input_gradient.len())?;
    in_pieces(
        input_gradient,
        [output, output_gradient],
        #[inline(always)]
        |to, [y, g]| relu_gradient_loop(to, y, g),
    );
    Ok(())
}

#[inline(always)]
fn relu_gradient_loop(to: &mut [f32], y: &[f32], g: &[f32]) {
    for ((to, y), g) in to.iter_mut().zip(y).zip(g) {
        *to = if *y <= 0.0 { 0.0 } else { *g };
    }
}

/// Gradient of a linear layer with respect to its input: `output_gradient weight`.
pub fn linear_input_gradient(shape: LinearShape, output_gradient: &[f32], weight: &[f32], input_gradient: &mut [f32]) -> Result<()> {
    let LinearShape { rows, inputs, outputs } = shape;
    matmul(Operand::new(output_gradient, rows, outputs), Operand::new(weight, outputs, inputs), input_gradient, false)
}

/// Gradient of a linear layer with respect to its weight: `output_gradientᵀ input`.
pub fn linear_weight_gradient(shape: LinearShape, output_gradient: &[f32], input: &[f32], weight_gradient: &mut [f32]) -> Result<()> {
    let LinearShape { rows, inputs, outputs } = shape;
    matmul(Operand::new(output_gradient, rows, outputs).t(), Operand::new(input, rows, inputs), weight_gradient, false)
}

/// Column sums of a `[rows, columns]` matrix: the gradient of a bias.
pub fn column_sums(input: &[f32], columns: usize, output: &mut [f32]) -> Result<()> {
    check("output", columns, output.len())?;
    check("whole rows of the input", 0, input.len() % columns.max(1))?;
    vectorize(
        Level::current(),
        #[inline(always)]
        || add_rows(input, output),
    );
    Ok(())
}

#[inline(always)]
fn add_rows(input: &[f32], output: &mut [f32]) {
    output.fill(0.0);
    for row in input.chunks_exact(output.len().max(1)) {
        for (sum, x) in output.iter_mut().zip(row) {
            *sum += x;
        }
    }
}

/// What the training pass of a batch normalisation leaves for the backward pass and the running statistics.
#[derive(Debug, Clone, Default)]
pub struct BatchStatistics {
    /// Mean of each feature.
    pub mean: Vec<f32>,
    /// Biased variance of each feature.
    pub variance: Vec<f32>,
    /// `1 / sqrt(variance + eps)`.
    pub inverse_std: Vec<f32>,
}

/// Batch normalisation of `[rows, features]` with the statistics of the batch, then ReLU if `relu`.
///
/// Two passes over the data; the sums of 64 rows are f32, those of the blocks f64: error against f64 below 1e-6.
pub fn batch_norm_rows_forward(
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    relu: bool,
    output: &mut [f32],
) -> Result<BatchStatistics> {
    let features = weight.len();
    check("bias", features, bias.len())?;
    check("output", input.len(), output.len())?;
    if features == 0 || input.is_empty() || !input.len().is_multiple_of(features) {
        return Err(Error::Length { what: "input (whole rows, at least one)", expected: features, found: input.len() });
    }
    let rows = (input.len() / features) as f64;
    let mut statistics = BatchStatistics::default();
    let mean_of = |sums: Vec<f64>| -> Vec<f32> { sums.into_iter().map(|s| (s / rows) as f32).collect() };
    statistics.mean = mean_of(vectorize(
        Level::current(),
        #[inline(always)]
        || row_sums(input, features),
    ));
    statistics.variance = mean_of(vectorize(
        Level::current(),
        #[inline(always)]
        || row_square_sums(input, &statistics.mean),
    ));
    statistics.inverse_std = statistics.variance.iter().map(|v| 1.0 / (v + eps).sqrt()).collect();
    let scale: Vec<f32> = weight.iter().zip(&statistics.inverse_std).map(|(w, s)| w * s).collect();
    let shift: Vec<f32> = bias.iter().zip(&statistics.mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
    vectorize(
        Level::current(),
        #[inline(always)]
        || scale_shift(input, &scale, &shift, relu, output),
    );
    Ok(statistics)
}

/// `output = input * scale + shift` by feature, then ReLU if `relu`: batch normalisation at inference.
pub fn scale_shift_rows(input: &[f32], scale: &[f32], shift: &[f32], relu: bool, output: &mut [f32]) -> Result<()> {
    check("shift", scale.len(), shift.len())?;
    check("output", input.len(), output.len())?;
    check("whole rows of the input", 0, input.len() % scale.len().max(1))?;
    vectorize(
        Level::current(),
        #[inline(always)]
        || scale_shift(input, scale, shift, relu, output),
    );
    Ok(())
}

#[inline(always)]
fn scale_shift(input: &[f32], scale: &[f32], shift: &[f32], relu: bool, output: &mut [f32]) {
    let features = scale.len().max(1);
    for (row, out) in input.chunks_exact(features).zip(output.chunks_exact_mut(features)) {
        for (((o, x), a), b) in out.iter_mut().zip(row).zip(scale).zip(shift) {
            let y = x * a + b;
            // Written so that NaN stays NaN.
            *o = if relu && y < 0.0 { 0.0 } else { y };
        }
    }
}

/// Rows whose f32 sums are added up before they join the f64 total.
const BLOCK: usize = 64;

/// Sum of each feature over the rows.
#[inline(always)]
fn row_sums(input: &[f32], features: usize) -> Vec<f64> {
    let mut total = vec![0.0f64; features];
    let mut block_sum = vec![0.0f32; features];
    for block in input.chunks(BLOCK * features) {
        block_sum.fill(0.0);
        for row in block.chunks_exact(features) {
            for (sum, &x) in block_sum.iter_mut().zip(row) {
                *sum += x;
            }
        }
        for (t, &s) in total.iter_mut().zip(&block_sum) {
            *t += f64::from(s);
        }
    }
    total
}

/// Sum over the rows of each feature's squared distance from its mean.
#[inline(always)]
fn row_square_sums(input: &[f32], mean: &[f32]) -> Vec<f64> {
    let features = mean.len();
    let mut total = vec![0.0f64; features];
    let mut block_sum = vec![0.0f32; features];
    for block in input.chunks(BLOCK * features) {
        block_sum.fill(0.0);
        for row in block.chunks_exact(features) {
            for ((sum, &x), &m) in block_sum.iter_mut().zip(row).zip(mean) {
                *sum += (x - m) * (x - m);
            }
        }
        for (t, &s) in total.iter_mut().zip(&block_sum) {
            *t += f64::from(s);
        }
    }
    total
}

/// Gradients of [`batch_norm_rows_forward`].
#[derive(Debug, Clone)]
pub struct BatchNormGradients {
    /// `[rows, features]`.
    pub input: Vec<f32>,
    /// `[features]`.
    pub weight: Vec<f32>,
    /// `[features]`.
    pub bias: Vec<f32>,
}

/// Backward pass of [`batch_norm_rows_forward`]; `output` (its result) is read where `relu` closed.
pub fn batch_norm_rows_backward(
    input: &[f32],
    weight: &[f32],
    statistics: &BatchStatistics,
    relu: bool,
    output: &[f32],
    output_gradient: &[f32],
) -> Result<BatchNormGradients> {
    let features = weight.len();
    check("statistics", features, statistics.mean.len())?;
    check("statistics", features, statistics.inverse_std.len())?;
    check("output", input.len(), output.len())?;
    check("output gradient", input.len(), output_gradient.len())?;
    check("whole rows of the input", 0, input.len() % features.max(1))?;
    let rows = input.len() / features.max(1);
    let mut gradients = BatchNormGradients { input: vec![0.0; input.len()], weight: vec![0.0; features], bias: vec![0.0; features] };
    let BatchStatistics { mean, inverse_std, .. } = statistics;
    let open = Open { output, relu };
    vectorize(
        Level::current(),
        #[inline(always)]
        || norm_parameter_gradients(input, open, output_gradient, mean, &mut gradients.weight, &mut gradients.bias),
    );
    gradients.weight.iter_mut().zip(inverse_std).for_each(|(w, s)| *w *= s);
    // dx = w s (g - mean(g) - x̂ mean(g x̂)), as g a - (x - m) b - c with constants by feature.
    let n = rows as f32;
    let a: Vec<f32> = weight.iter().zip(inverse_std).map(|(w, s)| w * s).collect();
    let b: Vec<f32> = (0..features).map(|i| a[i] * gradients.weight[i] * inverse_std[i] / n).collect();
    let c: Vec<f32> = (0..features).map(|i| a[i] * gradients.bias[i] / n).collect();
    vectorize(
        Level::current(),
        #[inline(always)]
        || norm_input_gradient(input, open, output_gradient, [mean, &a, &b, &c], &mut gradients.input),
    );
    Ok(gradients)
}

/// Where the ReLU behind the normalisation lets the gradient through.
#[derive(Clone, Copy)]
struct Open<'a> {
    output: &'a [f32],
    relu: bool,
}

/// Sums over rows of the gradient (for the bias) and of gradient times centred input (for the weight).
#[inline(always)]
fn norm_parameter_gradients(input: &[f32], open: Open, gradient: &[f32], mean: &[f32], weight: &mut [f32], bias: &mut [f32]) {
    let features = mean.len().max(1);
    let rows = input.chunks_exact(features).zip(open.output.chunks_exact(features)).zip(gradient.chunks_exact(features));
    for ((x, y), g) in rows {
        let sums = weight.iter_mut().zip(bias.iter_mut());
        for (((((weight, bias), x), y), g), m) in sums.zip(x).zip(y).zip(g).zip(mean) {
            let g = if open.relu && *y <= 0.0 { 0.0 } else { *g };
            *bias += g;
            *weight += g * (x - m);
        }
    }
}

/// `g a - (x - m) b - c` by feature, from `[m, a, b, c]`.
#[inline(always)]
fn norm_input_gradient(input: &[f32], open: Open, gradient: &[f32], constants: [&[f32]; 4], output: &mut [f32]) {
    let [mean, a, b, c] = constants;
    let features = mean.len().max(1);
    let rows = input.chunks_exact(features).zip(open.output.chunks_exact(features)).zip(gradient.chunks_exact(features));
    for (((x, y), g), out) in rows.zip(output.chunks_exact_mut(features)) {
        let values = out.iter_mut().zip(x).zip(y).zip(g).zip(mean).zip(a).zip(b).zip(c);
        for (((((((out, x), y), g), m), a), b), c) in values {
            let g = if open.relu && *y <= 0.0 { 0.0 } else { *g };
            *out = g * a - (x - m) * b - c;
        }
    }
}
