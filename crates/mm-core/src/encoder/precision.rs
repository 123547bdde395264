//! Encoders in half precision.

use super::Encoder;
use crate::data::Reading;
use crate::error::Result;
use crate::nn::Mode;
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// The numbers that encoders compute with. Parameters, their gradients, features, trunk and losses are f32 in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderDType {
    /// Single precision.
    #[default]
    F32,
    /// Half precision with the range of f32: for GPUs with products of bf16. The CPU has none and takes longer for less
    /// precision: it computes in f32 and rounds.
    Bf16,
}

impl EncoderDType {
    /// Whether it is f32.
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// The encoder, computing with such numbers; one that reads ids computes in f32 in any case.
    pub fn wrap(self, encoder: Box<dyn Encoder>) -> Box<dyn Encoder> {
        match self {
            Self::F32 => encoder,
            Self::Bf16 if encoder.reads_ids() => encoder,
            Self::Bf16 => Box::new(Bf16Encoder(encoder)),
        }
    }
}

/// Casts the input; layers then cast their parameters to its dtype, and norms compute in f32.
struct Bf16Encoder(Box<dyn Encoder>);

fn rounded(reading: &Reading) -> Result<Reading> {
    Ok(Reading { values: reading.values.to_dtype(DType::BF16)?, lengths: reading.lengths.clone() })
}

impl Encoder for Bf16Encoder {
    fn forward(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        Ok(self.0.forward(&rounded(reading)?, mode)?.to_dtype(reading.values.dtype())?)
    }

    fn forward_once(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        Ok(self.0.forward_once(&rounded(reading)?, mode)?.to_dtype(reading.values.dtype())?)
    }

    fn feature_shape(&self) -> &[usize] {
        self.0.feature_shape()
    }
}
