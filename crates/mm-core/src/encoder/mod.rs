//! Encoders: input of one modality in, feature out.

mod conv;
mod mlp;
mod precision;
mod resnet;

pub use conv::ConvEncoder;
pub use mlp::MlpEncoder;
pub use precision::EncoderDType;
pub use resnet::{ResNet, ResNetBackbone, ResNetConfig, ResNetEncoder, Stem};

use crate::data::InputSpec;
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
    /// Linear, batch normalisation and ReLU per width; the last width is the feature's. Reads any input as one long vector.
    Mlp {
        /// Width of each layer.
        widths: Vec<usize>,
    },
    /// 3x3 convolution, batch normalisation and ReLU per width, for small patches of images: its feature is a map of their size.
    Conv {
        /// Channels of each layer.
        widths: Vec<usize>,
    },
    /// A residual network for images, and for videos frame by frame; its feature is a map (see [`ResNetEncoder`]).
    #[serde(rename = "resnet")]
    ResNet(ResNetConfig),
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
            Self::Mlp { widths } | Self::Conv { widths } => check_widths(&format!("{field}.widths"), widths),
            Self::ResNet(config) => config.validate().map_err(|error| match error {
                Error::Config { field: inner, problem } => Error::config(format!("{field}.{inner}"), problem),
                other => other,
            }),
        }
    }

    /// Builds the encoder for an input.
    pub fn build(&self, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        // The field as a user wrote it: a modality's own entry, or the one for all.
        let named = |error| match error {
            Error::Config { field, problem } => Error::config(format!("encoders.{name}.{field}"), problem),
            other => other,
        };
        let encoder: Result<Box<dyn Encoder>> = match (self, input.shape.as_slice()) {
            (Self::Mlp { widths }, _) => MlpEncoder::new(input.elements(), widths, vb).map(|e| Box::new(e) as _),
            (Self::Conv { widths }, &[channels, height, width]) => {
                ConvEncoder::new([channels, height, width], widths, vb).map(|e| Box::new(e) as _)
            }
            (Self::Conv { .. }, shape) => {
                Err(Error::config("kind", format!("`conv` reads images [channels, height, width], but `{name}` has shape {shape:?}")))
            }
            (Self::ResNet(config), &[channels, height, width]) => {
                ResNetEncoder::new(config, channels, 1, [height, width], vb).map(|e| Box::new(e) as _)
            }
            (Self::ResNet(config), &[channels, frames, height, width]) => {
                ResNetEncoder::new(config, channels, frames, [height, width], vb).map(|e| Box::new(e) as _)
            }
            (Self::ResNet(_), shape) => {
                let reads = "a resnet reads images [channels, height, width] or videos [channels, frames, height, width]";
                Err(Error::config("kind", format!("{reads}, but `{name}` has shape {shape:?}")))
            }
        };
        encoder.map_err(named)
    }
}
