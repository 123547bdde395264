//! The cases of layers.

use super::case::{Case, Outputs};
use anyhow::Result;
use candle_core::{D, Tensor, Var};
use mm_core::nn::{BatchNorm, LayerNorm, Mode};

/// Output of `layer` on `input`, and the input's gradient of `Σ output · upstream`.
pub fn forward_backward(case: &Case, layer: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Outputs> {
    let input = case.variable("input")?;
    let output = layer(&input)?;
    let gradients = output.mul(&case.tensor("upstream")?)?.sum_all()?.backward()?;
    Outputs::default().tensor("output", &output)?.gradient("input", &input, &gradients)
}

/// Softmax over the last dimension.
pub fn softmax(case: &Case) -> Result<Outputs> {
    forward_backward(case, |x| Ok(candle_nn::ops::softmax(x, D::Minus1)?))
}

/// Log-softmax of scaled inputs.
pub fn log_softmax(case: &Case) -> Result<Outputs> {
    let scale: f64 = case.param("input_scale")?;
    forward_backward(case, |x| Ok(candle_nn::ops::log_softmax(&(x * scale)?, D::Minus1)?))
}

/// Rows of unit length.
pub fn l2_normalize(case: &Case) -> Result<Outputs> {
    let eps: f64 = case.param("eps")?;
    forward_backward(case, |x| Ok(mm_core::nn::l2_normalize(x, eps)?))
}

/// Batch normalisation in training, then the same layer in evaluation.
pub fn batch_norm(case: &Case) -> Result<Outputs> {
    let (eps, momentum): (f64, f64) = (case.param("eps")?, case.param("momentum")?);
    let (weight, bias) = (case.tensor("weight")?, case.tensor("bias")?);
    let features = weight.dim(0)?;
    let mean = Var::zeros(features, candle_core::DType::F32, case.device())?;
    let variance = Var::ones(features, candle_core::DType::F32, case.device())?;
    let norm = BatchNorm::new(weight, bias, mean.as_tensor().clone(), variance.as_tensor().clone(), eps, momentum)?;
    let outputs = forward_backward(case, |x| Ok(norm.forward(x, Mode::Train)?))?;
    let (mean, variance) = norm.running_statistics();
    let outputs = outputs.tensor("running_mean", mean)?.tensor("running_var", variance)?;
    outputs.tensor("eval_output", &norm.forward(&case.tensor("input")?, Mode::Eval)?)
}

/// Layer normalisation over the last dimension.
pub fn layer_norm(case: &Case) -> Result<Outputs> {
    let norm = LayerNorm::new(case.tensor("weight")?, case.tensor("bias")?, case.param("eps")?);
    forward_backward(case, |x| Ok(norm.forward(x)?))
}
