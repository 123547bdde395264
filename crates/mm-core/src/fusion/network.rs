//! Encoders, trunk and head: the network that the methods and baselines share.

use super::{Encoders, Trunk, TrunkConfig, keep_present, parts, pool, visit_combination_outputs};
use crate::data::{InputSpec, Inputs, Schema};
use crate::dense::DenseConfig;
use crate::encoder::{Encoder, EncoderConfig, EncoderDType, EncoderKind, FeatureCache, Pretrained};
use crate::error::{Error, ModalityError, Result};
use crate::modality::{Presence, Subset};
use crate::model::{Output, Visit};
use crate::nn::{Linear, Mode, linear};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Architecture of a [`FusionNetwork`] as written in a configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Encoder of every modality that `encoders` does not name; by default what [`EncoderConfig::for_input`] says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<EncoderConfig>,
    /// Encoders by modality name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub encoders: BTreeMap<String, EncoderConfig>,
    /// The network where every pixel is predicted; encoders and trunk are then its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense: Option<DenseConfig>,
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
            return Err(ModalityError::Position { position: index, modalities: names.len() }.into());
        };
        Ok(self.encoder_dtype.wrap(self.encoder_of(name, input)?.build(name, input, vb)?))
    }

    /// The encoder of a modality as configured, or what suits its input.
    pub fn encoder_of(&self, name: &str, input: &InputSpec) -> Result<Cow<'_, EncoderConfig>> {
        match self.encoders.get(name).or(self.encoder.as_ref()) {
            Some(encoder) => Ok(Cow::Borrowed(encoder)),
            None => EncoderConfig::for_input(name, input).map(Cow::Owned),
        }
    }

    /// Looks for the encoders' kinds among `kinds`, where they are not known yet.
    pub fn resolve_encoders(&mut self, kinds: &[EncoderKind]) -> Result<()> {
        self.encoder.iter_mut().chain(self.encoders.values_mut()).try_for_each(|encoder| encoder.resolve(kinds))
    }

    /// Keeps the features of frozen encoders in `cache`.
    pub fn cache_features(&mut self, cache: &Arc<FeatureCache>) {
        self.encoder.iter_mut().chain(self.encoders.values_mut()).for_each(|encoder| encoder.cache_features(cache));
    }

    /// The published weights that its encoders begin with.
    pub fn pretrained_weights(&self) -> impl Iterator<Item = &Pretrained> {
        self.encoder.iter().chain(self.encoders.values()).filter_map(EncoderConfig::pretrained_weights)
    }

    /// Whether one of its encoders is frozen.
    pub fn has_frozen_encoder(&self) -> bool {
        self.encoder.iter().chain(self.encoders.values()).any(EncoderConfig::is_frozen)
    }

    /// What to say of encoders that are frozen before they learnt anything.
    pub fn frozen_at_random(&self) -> Vec<String> {
        let named = self.encoders.iter().map(|(name, encoder)| (format!("network.encoders.{name}"), encoder));
        let all = self.encoder.iter().map(|encoder| ("network.encoder".to_string(), encoder)).chain(named);
        let random = all.filter(|(_, encoder)| encoder.is_frozen() && encoder.pretrained_weights().is_none());
        let remark = |(field, _)| {
            format!(
                "`{field}` is frozen without `pretrained`: its random weights are never trained; write `pretrained`, or leave `frozen` out"
            )
        };
        random.map(remark).collect()
    }

    /// Refuses settings that cannot work for any data set.
    pub fn validate(&self) -> Result<()> {
        self.encoder.iter().try_for_each(|encoder| encoder.validate("network.encoder"))?;
        self.encoders.iter().try_for_each(|(name, encoder)| encoder.validate(&format!("network.encoders.{name}")))?;
        self.dense.iter().try_for_each(DenseConfig::validate)?;
        self.trunk.validate()
    }
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
        let head = linear(trunk.feature_shape()[0], schema.target.task().outputs(), vb.pp("head"))?;
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

    /// Prediction and fused feature of samples of which each uses the modalities of `presence` (within what it has).
    pub fn forward(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Output> {
        self.fuse(&self.encode(inputs, presence, mode)?, mode)
    }

    /// Features `[batch, ..]` by modality, zero where `presence` (within what each sample has) leaves one out.
    pub fn encode(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Vec<Option<Tensor>>> {
        match mode.is_train() && self.encode_dropped {
            true => keep_present(&self.encoders.forward(inputs, inputs.presence(), mode)?.0, &[presence]),
            false => Ok(self.encoders.forward(inputs, presence, mode)?.0),
        }
    }

    /// Fuses features that are zero where absent.
    pub fn fuse(&self, features: &[Option<Tensor>], mode: Mode) -> Result<Output> {
        let feature = mode.result(self.trunk.forward(features, mode)?);
        let prediction = mode.result(self.head.forward(&pool(&feature)?)?);
        Ok(Output::with_feature(prediction, feature))
    }

    /// Calls `visit` with each combination's output from the features of all modalities, each part of the trunk's first layer computed
    /// once; `head` goes from the fused feature `[batch, ..]` to the output.
    pub fn visit_combinations(
        &self,
        features: &[Option<Tensor>],
        subsets: &[Subset],
        mode: Mode,
        head: impl Fn(Tensor) -> Result<Output> + Sync,
        visit: Visit,
    ) -> Result<()> {
        let parts = parts(self.trunk(), features)?;
        visit_combination_outputs(&parts, subsets, |sum| Ok(head(self.trunk.finish(&sum.detach(), mode)?)?.detach()), visit)
    }
}
