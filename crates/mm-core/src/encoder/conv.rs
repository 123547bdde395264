//! Encoder for small patches of images.

use super::Encoder;
use crate::error::Result;
use crate::nn::{Conv2dConfig, ConvNorm, Mode, check_widths, conv_norm};
use candle_core::Tensor;
use candle_nn::VarBuilder;

/// Layers of 3x3 convolution, batch normalisation and ReLU that keep the size: `[batch, channels, height, width]` to
/// `[batch, widths.last(), height, width]`.
///
/// Parameters of layer `i`: `i.conv.weight`, `i.norm.{weight, bias, running_mean, running_var}`.
pub struct ConvEncoder {
    layers: Vec<ConvNorm>,
    feature_shape: [usize; 3],
}

impl ConvEncoder {
    /// Builds the layers for images `[channels, height, width]`.
    pub fn new([channels, height, width]: [usize; 3], widths: &[usize], vb: VarBuilder) -> Result<Self> {
        check_widths("widths", widths)?;
        let mut from = channels;
        let mut layers = Vec::with_capacity(widths.len());
        for (i, &outputs) in widths.iter().enumerate() {
            let vb = vb.pp(i);
            layers.push(conv_norm((from, outputs), (3, 3), Conv2dConfig::square(1, 1), vb.pp("conv"), vb.pp("norm"))?);
            from = outputs;
        }
        Ok(Self { layers, feature_shape: [from, height, width] })
    }
}

impl Encoder for ConvEncoder {
    fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        self.layers.iter().try_fold(input.clone(), |x, layer| Ok(layer.forward_relu(&x, mode)?))
    }

    fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }
}
