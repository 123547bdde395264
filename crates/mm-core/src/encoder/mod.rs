//! Encoders: input of one modality in, feature out.

mod cache;
mod config;
mod frozen;
mod precision;
mod pretrained;

pub use bert::{BertConfig, BertEncoder, Pooling, published_bert_names};
pub use cache::{DEFAULT_CACHE_BYTES, FeatureCache};
pub use cnn::{CnnConfig, CnnEncoder};
pub use config::{CheckpointSettings, EncoderConfig, EncoderCost, EncoderKind, EncoderRecipe};
pub use conv::{ConvConfig, ConvEncoder};
pub use mlp::{MlpConfig, MlpEncoder};
pub use precision::EncoderDType;
pub use pretrained::Pretrained;
pub use resnet::{ResNet, ResNetBackbone, ResNetConfig, ResNetEncoder, Stem};
pub use temporal::{TemporalConfig, TemporalEncoder, TimePooling};
pub use transformer::{TransformerConfig, TransformerEncoder};

use crate::data::Reading;
use crate::error::Result;
use crate::nn::Mode;
use candle_core::Tensor;

/// Each encoder is a file with a function `kind`; a new one is its file and its name here.
macro_rules! encoders {
    ($($file:ident),*) => {
        $(mod $file;)*

        /// The encoders that every program knows.
        pub fn kinds() -> Vec<EncoderKind> {
            vec![$($file::kind()),*]
        }
    };
}

encoders!(bert, cnn, conv, mlp, resnet, temporal, transformer);

/// Turns the readings of one modality, `[batch, ..shape]`, into a feature, `[batch, ..feature_shape]`.
pub trait Encoder: Send + Sync {
    /// Encodes a batch.
    fn forward(&self, reading: &Reading, mode: Mode) -> Result<Tensor>;

    /// As [`Encoder::forward`], of readings that do not come again, such as augmented ones: nothing of them is kept.
    fn forward_once(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        self.forward(reading, mode)
    }

    /// Shape of one sample's feature: `[features]` or `[channels, height, width]`.
    fn feature_shape(&self) -> &[usize];

    /// Whether its input are whole numbers that stand for something, such as token ids: half precision would round them.
    fn reads_ids(&self) -> bool {
        false
    }
}
