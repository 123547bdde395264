//! Features that are diagonal Gaussians: a mean for what the input says, a variance for how noisy it is.

use super::cpu::with_slices;
use super::{BatchNorm, Linear, Mode, at_every_position, batch_norm, linear, linear_no_bias, runs_on_cpu_kernels};
use crate::error::Result;
use candle_core::{D, Tensor};
use candle_nn::VarBuilder;

/// Mean and log-variance of a feature, each `[batch, features]` or `[batch, channels, height, width]`.
///
/// [`crate::loss::reparameterize`] draws from it, [`crate::loss::gaussian_kl`] compares it with a prior.
#[derive(Debug, Clone)]
pub struct GaussianFeature {
    /// What prediction uses.
    pub mean: Tensor,
    /// Logarithm of the variance.
    pub log_var: Tensor,
}

impl GaussianFeature {
    /// Standard deviation of every element, `exp(log_var / 2)`.
    pub fn spread(&self) -> Result<Tensor> {
        Ok((&self.log_var / 2.0)?.exp()?)
    }

    /// Mean predicted variance of each sample: `[batch]`.
    pub fn mean_variance(&self) -> Result<Tensor> {
        Ok(self.log_var.flatten_from(1)?.exp()?.mean(D::Minus1)?)
    }
}

/// Which parts the heads of a [`GaussianHeads`] have besides the weights.
#[derive(Debug, Clone, Copy)]
pub struct GaussianHeadsConfig {
    /// A bias in the linear layer, which a normalisation behind it cancels; published networks have it all the same.
    pub bias: bool,
    /// Batch normalisation behind the linear layer.
    pub norm: bool,
}

/// Two heads from a feature to a [`GaussianFeature`] of the same shape: linear over the channels (a 1x1 convolution where
/// there are positions), then batch normalisation.
///
/// Parameters: `{mean, log_var}.linear.weight`, and where configured `{mean, log_var}.{linear.bias, norm.*}`.
#[derive(Debug, Clone)]
pub struct GaussianHeads {
    mean: Head,
    log_var: Head,
}

impl GaussianHeads {
    /// Heads for features of `channels` channels (vectors: of that width).
    pub fn new(channels: usize, config: GaussianHeadsConfig, vb: VarBuilder) -> Result<Self> {
        Ok(Self { mean: Head::new(channels, config, vb.pp("mean"))?, log_var: Head::new(channels, config, vb.pp("log_var"))? })
    }

    /// Both heads on `[batch, features]` or `[batch, channels, height, width]`.
    ///
    /// Above 10, where the standard deviation is 150 times that of the prior, the log-variance goes on as a logarithm, so that the
    /// variance is linear in what the head says: an exponential there is infinite after one step too many.
    pub fn forward(&self, feature: &Tensor, mode: Mode) -> Result<GaussianFeature> {
        Ok(GaussianFeature { mean: self.mean.forward(feature, mode)?, log_var: tame(&self.log_var.forward(feature, mode)?)? })
    }

    /// The mean alone: all that prediction needs.
    pub fn predicted_mean(&self, feature: &Tensor) -> Result<Tensor> {
        self.mean.forward(feature, Mode::Eval)
    }
}

/// Up to here the variance is the exponential of what the head says. Far above what training with more than a few rows in a batch
/// reaches (7), so that nothing but runs that would diverge is changed.
const EXPONENTIAL_UP_TO: f64 = 10.0;

/// `x` up to the limit L, bit for bit; above, `L + ln(1 + x - L)`: the slope is 1 at the limit and never 0.
fn tame(log_var: &Tensor) -> Result<Tensor> {
    let calm = |x: &Tensor| with_slices([x], |[x]| Ok(x.iter().all(|x| *x <= EXPONENTIAL_UP_TO as f32)));
    if runs_on_cpu_kernels(log_var) && calm(log_var)? {
        return Ok(log_var.clone());
    }
    let excess = (log_var - EXPONENTIAL_UP_TO)?.relu()?;
    Ok((log_var.minimum(EXPONENTIAL_UP_TO)? + (excess + 1.0)?.log()?)?)
}

#[derive(Debug, Clone)]
struct Head {
    linear: Linear,
    norm: Option<BatchNorm>,
}

impl Head {
    fn new(channels: usize, config: GaussianHeadsConfig, vb: VarBuilder) -> Result<Self> {
        let layer = if config.bias { linear } else { linear_no_bias };
        let norm = config.norm.then(|| batch_norm(channels, vb.pp("norm"))).transpose()?;
        Ok(Self { linear: layer(channels, channels, vb.pp("linear"))?, norm })
    }

    fn forward(&self, feature: &Tensor, mode: Mode) -> Result<Tensor> {
        at_every_position(feature, |rows| {
            let mapped = self.linear.forward(rows)?;
            Ok(match &self.norm {
                Some(norm) => norm.forward(&mapped, mode)?,
                None => mode.result(mapped),
            })
        })
    }
}
