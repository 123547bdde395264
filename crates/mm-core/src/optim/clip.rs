//! Gradient clipping by global norm.

use crate::nn::Parameters;
use candle_core::{Result, backprop::GradStore};

/// Scales all gradients so that their joint L2 norm is at most `max_norm`; returns the norm before.
///
/// As PyTorch's `clip_grad_norm_`, with 1e-6 in the denominator.
pub fn clip_gradient_norm(parameters: &Parameters, gradients: &mut GradStore, max_norm: f64) -> Result<f64> {
    let variables = parameters.variables();
    let mut squares = 0.0;
    for (_, var) in &variables {
        if let Some(gradient) = gradients.get(var) {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
    }
    let norm = squares.sqrt();
    let scale = max_norm / (norm + 1e-6);
    if scale < 1.0 {
        for (_, var) in &variables {
            if let Some(gradient) = gradients.remove(var) {
                gradients.insert(var, (gradient * scale)?);
            }
        }
    }
    Ok(norm)
}
