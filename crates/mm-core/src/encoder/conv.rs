//! Encoder for small patches of images.

use super::{Encoder, EncoderCost, EncoderKind, EncoderRecipe};
use crate::data::{InputSpec, Reading};
use crate::error::{Error, Result};
use crate::nn::{Conv2dConfig, ConvNorm, Mode, check_widths, conv_norm};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

pub(super) const NAME: &str = "conv";

/// For the list of encoders.
pub(super) fn kind() -> EncoderKind {
    EncoderKind::new::<ConvConfig>(NAME)
}

/// Settings of a [`ConvEncoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvConfig {
    /// Channels of each layer.
    pub widths: Vec<usize>,
}

impl EncoderRecipe for ConvConfig {
    fn validate(&self) -> Result<()> {
        check_widths("widths", &self.widths)
    }

    fn build(&self, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        match *input.shape {
            [channels, height, width] => Ok(Box::new(ConvEncoder::new([channels, height, width], &self.widths, vb)?)),
            _ => {
                let problem = format!("`conv` reads images [channels, height, width], but `{name}` has shape {:?}", input.shape);
                Err(Error::config("kind", problem))
            }
        }
    }

    fn cost(&self, input: &InputSpec) -> EncoderCost {
        let positions = input.shape.iter().skip(1).product::<usize>() as f64;
        EncoderCost::chain(input.shape[0] as f64, &self.widths, 9.0, positions)
    }
}

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
    fn forward(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        self.layers.iter().try_fold(reading.values.clone(), |x, layer| Ok(layer.forward_relu(&x, mode)?))
    }

    fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }
}
