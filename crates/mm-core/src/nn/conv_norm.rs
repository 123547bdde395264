//! Convolution and batch normalisation as one unit.

use super::{BatchNorm, Conv2d, Conv2dConfig, Mode, batch_norm, conv2d_no_bias};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// A convolution without bias followed by batch normalisation: what residual networks are made of.
#[derive(Debug, Clone)]
pub struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

/// Builds both; published networks give them names of their own, so each has its builder.
pub fn conv_norm(
    (inputs, outputs): (usize, usize),
    kernel: (usize, usize),
    config: Conv2dConfig,
    conv: VarBuilder,
    norm: VarBuilder,
) -> Result<ConvNorm> {
    Ok(ConvNorm { conv: conv2d_no_bias(inputs, outputs, kernel, config, conv)?, norm: batch_norm(outputs, norm)? })
}

impl ConvNorm {
    /// `norm(conv(input))`, `[batch, inputs, height, width]` to `[batch, outputs, ..]`.
    pub fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        self.norm.forward(&self.conv.forward(input)?, mode)
    }

    /// `relu(norm(conv(input)))`.
    pub fn forward_relu(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        self.norm.forward_relu(&self.conv.forward(input)?, mode)
    }

    /// `relu(norm(conv(input)) + residual)`.
    pub fn forward_add_relu(&self, input: &Tensor, residual: &Tensor, mode: Mode) -> Result<Tensor> {
        self.norm.forward_add_relu(&self.conv.forward(input)?, residual, mode)
    }
}
