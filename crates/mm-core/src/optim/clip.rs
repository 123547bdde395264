//! Gradient clipping by global norm.

use crate::error::{NonFiniteError, Result};
use crate::nn::{Parameters, runs_on_cpu_kernels, with_slices};
use candle_core::{DType, Tensor, backprop::GradStore};

/// Scales all gradients so that their joint L2 norm is at most `max_norm`; returns the norm before.
///
/// As PyTorch's `clip_grad_norm_`, with 1e-6 in the denominator. A gradient that is not finite is an error that names its parameter.
pub fn clip_gradient_norm(parameters: &Parameters, gradients: &mut GradStore, max_norm: f64) -> Result<f64> {
    let variables = parameters.variables();
    let mut squares = 0.0;
    for (name, var) in &variables {
        if let Some(gradient) = gradients.get(var) {
            let square = sum_of_squares(gradient)?;
            if !square.is_finite() {
                return Err(NonFiniteError::Gradient { parameter: name.clone() }.into());
            }
            squares += square;
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

/// In f64: squares of f32 overflow long before the numbers do.
fn sum_of_squares(gradient: &Tensor) -> candle_core::Result<f64> {
    const LANES: usize = 8;
    if !runs_on_cpu_kernels(gradient) {
        return gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar();
    }
    with_slices([gradient], |[gradient]| {
        let (chunks, rest) = gradient.as_chunks::<LANES>();
        let mut lanes = [0.0f64; LANES];
        for chunk in chunks {
            lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += f64::from(*x) * f64::from(*x));
        }
        lanes.iter_mut().zip(rest).for_each(|(lane, x)| *lane += f64::from(*x) * f64::from(*x));
        Ok(lanes.iter().sum())
    })
}
