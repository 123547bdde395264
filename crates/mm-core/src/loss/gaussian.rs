//! Diagonal Gaussians given by mean and log-variance.

use crate::error::Result;
use candle_core::{D, Tensor};

/// `mean + noise · exp(log_var / 2)` with `noise` from N(0, 1); all of one shape.
pub fn reparameterize(mean: &Tensor, log_var: &Tensor, noise: &Tensor) -> Result<Tensor> {
    Ok((mean + noise.mul(&(log_var / 2.0)?.exp()?)?)?)
}

/// KL from N(mean, exp(log_var)) to N(0, s), summed over all elements of a sample, mean over samples: a scalar.
///
/// `½ Σ (exp(log_var)/s + mean²/s - ln(exp(log_var)/s) - 1)`; `mean` and `log_var` are `[rows, ..]`, the prior's variances s are
/// `[rows]`, 1 where none are given.
pub fn gaussian_kl(mean: &Tensor, log_var: &Tensor, prior_variance: Option<&Tensor>) -> Result<Tensor> {
    let (mean, mut log_ratio) = (mean.flatten_from(1)?, log_var.flatten_from(1)?);
    let mut square = mean.sqr()?;
    if let Some(variance) = prior_variance {
        let variance = variance.unsqueeze(1)?;
        square = square.broadcast_div(&variance)?;
        log_ratio = log_ratio.broadcast_sub(&variance.log()?)?;
    }
    let elements = ((log_ratio.exp()? + square)? - &log_ratio)?;
    Ok(((elements - 1.0)? * 0.5)?.sum(D::Minus1)?.mean_all()?)
}
