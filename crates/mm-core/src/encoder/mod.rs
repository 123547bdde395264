//! Encoders: input of one modality in, feature out.

mod mlp;

pub use mlp::MlpEncoder;

use crate::data::{InputKind, InputSpec};
use crate::error::{Error, Result};
use crate::nn::{Mode, check_widths};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// Turns the input of one modality, `[batch, ..shape]`, into a feature, `[batch, ..feature_shape]`.
pub trait Encoder: Send + Sync {
    /// Encodes a batch.
    fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor>;

    /// Shape of one sample's feature: `[features]` or `[channels, height, width]`.
    fn feature_shape(&self) -> &[usize];
}

/// An encoder as written in a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EncoderConfig {
    /// Linear, batch normalisation and ReLU per width; the last width is the feature's.
    Mlp {
        /// Width of each layer.
        widths: Vec<usize>,
    },
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self::Mlp { widths: vec![128, 64] }
    }
}

impl EncoderConfig {
    /// Refuses settings that cannot work; `field` is for the message.
    pub fn validate(&self, field: &str) -> Result<()> {
        match self {
            Self::Mlp { widths } => check_widths(&format!("{field}.widths"), widths),
        }
    }

    /// Builds the encoder for an input.
    pub fn build(&self, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        match self {
            Self::Mlp { widths } => match input.kind {
                InputKind::Vector => Ok(Box::new(MlpEncoder::new(input.elements(), widths, vb)?)),
                kind => Err(Error::config(format!("encoders.{name}"), format!("an MLP reads vectors, but `{name}` is of kind {kind:?}"))),
            },
        }
    }
}
