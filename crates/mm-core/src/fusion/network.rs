//! Encoders, trunk and head: the network that the methods and baselines share.

use super::{Encoders, Features, Trunk, TrunkConfig, keep_present, map_combination_sums, pool};
use crate::data::{Batch, Schema};
use crate::encoder::{Encoder, EncoderConfig, EncoderDType};
use crate::error::{Error, Result};
use crate::modality::{Presence, Subset};
use crate::nn::{Linear, Mode, linear};
use crate::predict::Predictions;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Architecture of a [`FusionNetwork`] as written in a configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Encoder of every modality that `encoders` does not name; by default an MLP of widths 128 and 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<EncoderConfig>,
    /// Encoders by modality name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub encoders: BTreeMap<String, EncoderConfig>,
    /// What encoders compute with, by default f32.
    #[serde(skip_serializing_if = "EncoderDType::is_f32")]
    pub encoder_dtype: EncoderDType,
    /// The shared part.
    pub trunk: TrunkConfig,
    /// Whether training also encodes the modalities that it then drops, so that they count in the batch statistics of the
    /// encoders, as the published code does. Off: only what is kept is encoded, which is faster.
    pub encode_dropped: bool,
}

impl NetworkConfig {
    /// Builds the configured encoder of modality `index`; refuses encoders for modalities that the schema does not have.
    pub fn build_encoder(&self, schema: &Schema, index: usize, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        let names = schema.modalities.names();
        if let Some(unknown) = self.encoders.keys().find(|name| !names.contains(name)) {
            let problem = format!("no modality has that name; there are: {}", names.join(", "));
            return Err(Error::config(format!("network.encoders.{unknown}"), problem));
        }
        let (Some(name), Some(input)) = (names.get(index), schema.inputs.get(index)) else {
            return Err(Error::Modality(format!("modality {index} of {}", names.len())));
        };
        let default = EncoderConfig::default();
        let encoder = self.encoders.get(name).or(self.encoder.as_ref()).unwrap_or(&default);
        Ok(self.encoder_dtype.wrap(encoder.build(name, input, vb)?))
    }

    /// Refuses settings that cannot work for any data set.
    pub fn validate(&self) -> Result<()> {
        self.encoder.iter().try_for_each(|encoder| encoder.validate("network.encoder"))?;
        self.encoders.iter().try_for_each(|(name, encoder)| encoder.validate(&format!("network.encoders.{name}")))?;
        self.trunk.validate()
    }
}

/// What a fusion gives.
#[derive(Debug, Clone)]
pub struct Fused {
    /// The fused feature before pooling, `[batch, ..]`.
    pub feature: Tensor,
    /// `[batch, classes]`.
    pub logits: Tensor,
}

/// One encoder a modality, a trunk behind the concatenation of their features, and a linear head.
///
/// Parameters: `encoders.<modality>.*`, `trunk.*`, `head.{weight, bias}`.
pub struct FusionNetwork {
    encode_dropped: bool,
    encoders: Encoders,
    trunk: Box<dyn Trunk>,
    head: Linear,
}

impl FusionNetwork {
    /// Builds the network for a data set's schema.
    pub fn new(config: &NetworkConfig, schema: &Schema, vb: VarBuilder) -> Result<Self> {
        let encoders = Encoders::build(config, schema, vb.pp("encoders"))?;
        let trunk = config.trunk.build(schema.modalities.names(), &encoders.feature_shapes(), vb.pp("trunk"))?;
        let head = linear(trunk.feature_shape()[0], schema.target.classes(), vb.pp("head"))?;
        Ok(Self { encode_dropped: config.encode_dropped, encoders, trunk, head })
    }

    /// From parts of the caller's own.
    pub fn from_parts(encoders: Encoders, trunk: Box<dyn Trunk>, head: Linear) -> Self {
        Self { encode_dropped: false, encoders, trunk, head }
    }

    /// The encoders.
    pub fn encoders(&self) -> &Encoders {
        &self.encoders
    }

    /// The shared part.
    pub fn trunk(&self) -> &dyn Trunk {
        &*self.trunk
    }

    /// The linear head.
    pub fn head(&self) -> &Linear {
        &self.head
    }

    /// Features and prediction of a batch where each sample uses the modalities of `presence` (within what it has).
    pub fn forward(&self, batch: &Batch, presence: &Presence, mode: Mode) -> Result<Fused> {
        self.fuse(&self.encode(batch, presence, mode)?, mode)
    }

    /// Features `[batch, ..]` by modality, zero where `presence` (within what each sample has) leaves one out.
    pub fn encode(&self, batch: &Batch, presence: &Presence, mode: Mode) -> Result<Vec<Option<Tensor>>> {
        match mode == Mode::Train && self.encode_dropped {
            true => keep_present(&self.encoders.forward(batch, &batch.presence, mode)?.tensors, &[presence]),
            false => Ok(self.encoders.forward(batch, presence, mode)?.tensors),
        }
    }

    /// Fuses features that are zero where absent.
    pub fn fuse(&self, features: &[Option<Tensor>], mode: Mode) -> Result<Fused> {
        let feature = mode.result(self.trunk.forward(features, mode)?);
        let logits = mode.result(self.head.forward(&pool(&feature)?)?);
        Ok(Fused { feature, logits })
    }

    /// Logits for every combination, each as if all samples had exactly that combination: one run of each encoder.
    pub fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        self.predict_combinations_with(batch, subsets, |feature| Ok(self.head.forward(&pool(feature)?)?))
    }

    /// As [`FusionNetwork::predict_combinations`] with `head` from the fused feature `[batch, ..]` to logits.
    pub fn predict_combinations_with(
        &self,
        batch: &Batch,
        subsets: &[Subset],
        head: impl Fn(&Tensor) -> Result<Tensor> + Sync,
    ) -> Result<Predictions> {
        let features = self.encoders.forward(batch, &batch.presence, Mode::Eval)?;
        let logits = combination_logits(self.trunk(), &features, subsets, head)?;
        Ok(Predictions { logits, encoder_passes: features.encoder_passes })
    }
}

/// `[subsets, batch, classes]` from features, each part of the first layer computed once.
fn combination_logits(
    trunk: &dyn Trunk,
    features: &Features,
    subsets: &[Subset],
    head: impl Fn(&Tensor) -> Result<Tensor> + Sync,
) -> Result<Tensor> {
    let parts = features.tensors.iter().enumerate().map(|(m, f)| f.as_ref().map(|f| trunk.part(m, &f.detach())).transpose());
    let parts: Vec<Option<Tensor>> = parts.collect::<Result<_>>()?;
    // A modality that no sample has counts as zero: its combinations have no valid row in this batch.
    let zero = parts.iter().flatten().next().map(Tensor::zeros_like).transpose()?;
    let parts: Vec<Option<Tensor>> = parts.into_iter().map(|p| p.or_else(|| zero.clone())).collect();
    let logits = map_combination_sums(&parts, subsets, |sum| Ok(head(&trunk.finish(&sum.detach(), Mode::Eval)?)?.detach()))?;
    if logits.is_empty() {
        return Err(Error::Modality("no combination was asked for".into()));
    }
    Ok(Tensor::stack(&logits, 0)?)
}
