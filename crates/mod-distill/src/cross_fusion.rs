//! The network that fuses the sensors themselves by cross translation: what the method's teacher looks like, and a model of its own.

use crate::ConvTranslation;
use candle_core::{Device, Tensor};
use mm_core::data::{Batch, Schema};
use mm_core::encoder::EncoderConfig;
use mm_core::fusion::{Encoders, Fused, NetworkConfig, Trunk, TrunkConfig, map_combination_sums, pool};
use mm_core::loss::cross_entropy;
use mm_core::missing::MissingPattern;
use mm_core::nn::{Linear, Mode, Parameters, linear, scatter_rows};
use mm_core::predict::{Predictions, Predictor};
use mm_core::teacher::Teacher;
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, Modalities, Presence, Result, Subset};
use serde::{Deserialize, Serialize};

/// Settings of a [`CrossFusion`]; the defaults are the published network for small patches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossFusionConfig {
    /// The encoders, whose features must be maps of one shape, and the trunk behind the fusion.
    pub network: NetworkConfig,
    /// Channels of each translator.
    pub width: usize,
    /// How sensors go missing in training.
    pub missing: MissingPattern,
}

impl Default for CrossFusionConfig {
    fn default() -> Self {
        let network = NetworkConfig {
            encoder: Some(EncoderConfig::Conv { widths: vec![32, 64] }),
            trunk: TrunkConfig::Pointwise { widths: vec![128, 64] },
            ..NetworkConfig::default()
        };
        Self { network, width: 128, missing: MissingPattern::Natural }
    }
}

/// An encoder a modality, a [`ConvTranslation`] of their features, trunk and linear head.
///
/// A sample's fusion is the mean over the modalities that it has (published: all). Parameters: `encoders.<modality>.*`,
/// `fusion.translate_<k>.*` with k from 1 in the order of the modalities, `trunk.*`, `head.{weight, bias}`.
pub struct CrossFusion {
    config: CrossFusionConfig,
    modalities: Modalities,
    parameters: Parameters,
    encoders: Encoders,
    translation: ConvTranslation,
    trunk: Box<dyn Trunk>,
    head: Linear,
}

impl CrossFusion {
    /// A network with initial weights from `seed`.
    pub fn new(config: CrossFusionConfig, schema: &Schema, seed: u64, device: &Device) -> Result<Self> {
        config.network.validate()?;
        config.missing.check(&schema.modalities)?;
        let parameters = Parameters::new(seed, device);
        let vb = parameters.builder();
        let names = schema.modalities.names();
        let encoders = Encoders::build(&config.network, schema, vb.pp("encoders"))?;
        let shapes = encoders.feature_shapes();
        if let Some((name, shape)) = names.iter().zip(&shapes).find(|(_, shape)| **shape != shapes[0]) {
            return Err(Error::shape(format!("feature of `{name}`"), format!("{:?}, as that of `{}`", shapes[0], names[0]), shape));
        }
        let translation = ConvTranslation::new(shapes[0], names.len(), config.width, vb.pp("fusion"))?;
        let trunk = config.network.trunk.build(&["fused".to_string()], &[translation.joint_shape()], vb.pp("trunk"))?;
        let head = linear(trunk.feature_shape()[0], schema.target.classes(), vb.pp("head"))?;
        Ok(Self { config, modalities: schema.modalities.clone(), parameters, encoders, translation, trunk, head })
    }

    /// Feature and prediction of a batch where each sample uses the modalities of `presence` (within what it has).
    pub fn forward(&self, batch: &Batch, presence: &Presence, mode: Mode) -> Result<Fused> {
        let (joints, _) = self.joints(batch, presence, mode)?;
        let sum = joints.into_iter().flatten().map(Ok).reduce(|sum, joint| Ok((sum? + joint?)?));
        let sum = sum.unwrap_or_else(|| Err(Error::Modality("no sample of the batch has any modality".into())))?;
        let shares: Vec<f32> = presence.subsets().iter().map(|subset| 1.0 / subset.len() as f32).collect();
        let shares = Tensor::from_vec(shares, (presence.len(), 1, 1, 1), sum.device())?;
        self.finish(&sum.broadcast_mul(&shares)?, mode)
    }

    /// The joint of each modality, `[batch, ..]` and zero where it is absent, and how many encoders ran.
    fn joints(&self, batch: &Batch, presence: &Presence, mode: Mode) -> Result<(Vec<Option<Tensor>>, usize)> {
        let encoded = if mode.is_train() && self.config.network.encode_dropped { &batch.presence } else { presence };
        let features = self.encoders.forward(batch, encoded, mode)?;
        let joint = |(m, feature): (usize, &Option<Tensor>)| -> Result<Option<Tensor>> {
            let rows = presence.rows_with(m);
            let Some(feature) = feature.as_ref().filter(|_| !rows.is_empty()) else { return Ok(None) };
            // A translator of zeros is not zero: only what is there is translated.
            let present = match rows.len() == batch.len() {
                true => feature.clone(),
                false => feature.index_select(&Tensor::from_slice(&rows, rows.len(), feature.device())?, 0)?,
            };
            Ok(Some(scatter_rows(&self.translation.joint(&present, mode)?, &rows, batch.len())?))
        };
        let joints = features.tensors.iter().enumerate().map(joint).collect::<Result<_>>()?;
        Ok((joints, features.encoder_passes))
    }

    /// Everything behind the mean of the joints.
    fn finish(&self, mean: &Tensor, mode: Mode) -> Result<Fused> {
        let feature = self.trunk.forward(&[Some(mean.clone())], mode)?;
        let logits = self.head.forward(&pool(&feature)?)?;
        Ok(Fused { feature, logits })
    }
}

impl Predictor for CrossFusion {
    fn predict(&self, batch: &Batch) -> Result<Tensor> {
        Ok(self.forward(batch, &batch.presence, Mode::Eval)?.logits.detach())
    }

    /// Every modality is encoded and translated once; a combination costs a mean and the trunk.
    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        let (joints, encoder_passes) = self.joints(batch, &batch.presence, Mode::Eval)?;
        // A modality that no sample has counts as zero: its combinations have no valid row in this batch.
        let zero = joints.iter().flatten().next().map(Tensor::zeros_like).transpose()?;
        let joints: Vec<Option<Tensor>> = joints.into_iter().map(|joint| joint.or_else(|| zero.clone()).map(|j| j.detach())).collect();
        let sums = map_combination_sums(&joints, subsets, |sum| Ok(sum.clone()))?;
        let logits = sums.iter().zip(subsets).map(|(sum, subset)| {
            let mean = (sum * f64::from(1.0 / subset.len() as f32))?;
            Ok(self.finish(&mean.detach(), Mode::Eval)?.logits.detach())
        });
        let logits = logits.collect::<Result<Vec<_>>>()?;
        if logits.is_empty() {
            return Err(Error::Modality("no combination was asked for".into()));
        }
        Ok(Predictions { logits: Tensor::stack(&logits, 0)?, encoder_passes })
    }
}

impl Teacher for CrossFusion {
    fn teach(&self, batch: &Batch) -> Result<Fused> {
        let fused = self.forward(batch, &batch.presence, Mode::Eval)?;
        Ok(Fused { feature: fused.feature.detach(), logits: fused.logits.detach() })
    }
}

impl Method for CrossFusion {
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let drawn = self.config.missing.draw(&batch.presence, &self.modalities, &mut step.rng("missing"))?;
        Ok(Losses::new("task", cross_entropy(&self.forward(batch, &drawn, Mode::Train)?.logits, &batch.labels)?))
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
