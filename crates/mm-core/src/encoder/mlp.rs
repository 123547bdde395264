//! Encoder for vectors.

use super::{Encoder, EncoderCost, EncoderKind, EncoderRecipe};
use crate::data::{InputSpec, Reading};
use crate::error::Result;
use crate::nn::{BatchNorm, Linear, Mode, batch_norm, check_widths, linear_no_bias};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

pub(super) const NAME: &str = "mlp";

/// For the list of encoders.
pub(super) fn kind() -> EncoderKind {
    EncoderKind::new::<MlpConfig>(NAME)
}

/// Settings of an [`MlpEncoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpConfig {
    /// Width of each layer.
    pub widths: Vec<usize>,
}

impl EncoderRecipe for MlpConfig {
    fn validate(&self) -> Result<()> {
        check_widths("widths", &self.widths)
    }

    fn build(&self, _name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(MlpEncoder::new(input.elements(), &self.widths, vb)?))
    }

    fn cost(&self, input: &InputSpec) -> EncoderCost {
        EncoderCost::chain(input.elements() as f64, &self.widths, 1.0, 1.0)
    }
}

/// Layers of linear, batch normalisation and ReLU: `[batch, inputs]` to `[batch, widths.last()]`.
///
/// Parameters of layer `i`: `i.linear.weight`, `i.norm.{weight, bias, running_mean, running_var}`.
pub struct MlpEncoder {
    layers: Vec<(Linear, BatchNorm)>,
    feature_shape: [usize; 1],
}

impl MlpEncoder {
    /// Builds the layers.
    pub fn new(inputs: usize, widths: &[usize], vb: VarBuilder) -> Result<Self> {
        check_widths("widths", widths)?;
        let mut from = inputs;
        let mut layers = Vec::with_capacity(widths.len());
        for (i, &width) in widths.iter().enumerate() {
            let vb = vb.pp(i);
            layers.push((linear_no_bias(from, width, vb.pp("linear"))?, batch_norm(width, vb.pp("norm"))?));
            from = width;
        }
        Ok(Self { layers, feature_shape: [from] })
    }
}

impl Encoder for MlpEncoder {
    fn forward(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        let mut x = reading.values.flatten_from(1)?;
        for (linear, norm) in &self.layers {
            x = norm.forward_relu(&linear.forward(&x)?, mode)?;
        }
        Ok(x)
    }

    fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }
}
