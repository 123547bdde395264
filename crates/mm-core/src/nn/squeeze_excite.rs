//! Squeeze and excitation (Hu et al. 2018): channels scaled by a gate that sees the whole image.

use super::{Linear, linear, mean_of_map, scale_channels};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// `x · sigmoid(fc.2(relu(fc.0(mean over positions))))`; parameters `fc.0.*` and `fc.2.*`.
#[derive(Debug, Clone)]
pub struct SqueezeExcite {
    squeeze: Linear,
    excite: Linear,
}

/// A gate over `channels`, with `channels / reduction` hidden units.
pub fn squeeze_excite(channels: usize, reduction: usize, vb: VarBuilder) -> Result<SqueezeExcite> {
    let hidden = (channels / reduction.max(1)).max(1);
    Ok(SqueezeExcite::new(linear(channels, hidden, vb.pp("fc.0"))?, linear(hidden, channels, vb.pp("fc.2"))?))
}

impl SqueezeExcite {
    /// From its two layers.
    pub fn new(squeeze: Linear, excite: Linear) -> Self {
        Self { squeeze, excite }
    }

    /// Applies it to `[batch, channels, height, width]`.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let pooled = mean_of_map(input)?;
        let gate = candle_nn::ops::sigmoid(&self.excite.forward(&self.squeeze.forward_relu(&pooled)?)?)?;
        scale_channels(input, &gate)
    }
}
