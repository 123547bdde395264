//! One network for all combinations: full-only training, modality dropout, mean imputation, logit distillation.

use crate::imputation::predict_with_mean_imputation;
use candle_core::{Device, Tensor};
use mm_core::data::{Batch, Schema};
use mm_core::fusion::{FusionNetwork, NetworkConfig};
use mm_core::loss::{cross_entropy, softened_kl};
use mm_core::missing::MissingPattern;
use mm_core::nn::{Mode, Parameters};
use mm_core::predict::{Predictions, Predictor};
use mm_core::teacher::{CachedTeacher, Teacher};
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, Result, Subset};
use serde::{Deserialize, Serialize};

/// Settings of [`Fusion`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FusionConfig {
    /// The network.
    pub network: NetworkConfig,
    /// How sensors go missing in training.
    pub missing: MissingPattern,
    /// What stands in for an absent sensor at prediction.
    pub imputation: Imputation,
    /// Distillation from a full-modality teacher; none by default.
    pub distillation: Option<DistillationConfig>,
}

impl Default for FusionConfig {
    fn default() -> Self {
        Self {
            network: NetworkConfig::default(),
            missing: MissingPattern::Natural,
            imputation: Imputation::ZeroFeature,
            distillation: None,
        }
    }
}

impl FusionConfig {
    /// Trained on everything that each sample has.
    pub fn full_only() -> Self {
        Self::default()
    }

    /// Trained with a random combination for each sample.
    pub fn modality_dropout() -> Self {
        Self { missing: MissingPattern::Uniform, ..Self::default() }
    }

    /// Full-only training; the encoders read the training mean in place of an absent sensor.
    pub fn mean_imputation() -> Self {
        Self { imputation: Imputation::Mean, ..Self::default() }
    }

    /// Modality dropout, and the softened prediction of a full-modality teacher.
    pub fn logit_distillation() -> Self {
        Self { distillation: Some(DistillationConfig::default()), ..Self::modality_dropout() }
    }
}

/// What stands in for an absent sensor at prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Imputation {
    /// A feature of zeros; the encoder does not run.
    ZeroFeature,
    /// The encoder's feature of the training mean (zeros, after standardisation).
    Mean,
}

/// Settings of logit distillation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistillationConfig {
    /// Temperature of both predictions.
    pub temperature: f64,
    /// Weight of the term (which holds the factor T²).
    pub weight: f64,
}

impl Default for DistillationConfig {
    fn default() -> Self {
        Self { temperature: 2.0, weight: 1.0 }
    }
}

/// A fusion network trained with cross entropy.
pub struct Fusion {
    config: FusionConfig,
    schema: Schema,
    parameters: Parameters,
    network: FusionNetwork,
    teacher: Option<CachedTeacher>,
}

impl Fusion {
    /// A network with initial weights from `seed`.
    pub fn new(config: FusionConfig, schema: &Schema, seed: u64, device: &Device) -> Result<Self> {
        let parameters = Parameters::new(seed, device);
        let network = FusionNetwork::new(&config.network, schema, parameters.builder())?;
        Ok(Self { config, schema: schema.clone(), parameters, network, teacher: None })
    }

    /// Gives it the teacher that `distillation` asks for.
    pub fn with_teacher(mut self, teacher: impl Teacher + 'static) -> Self {
        self.teacher = Some(CachedTeacher::new(Box::new(teacher)));
        self
    }

    /// The network.
    pub fn network(&self) -> &FusionNetwork {
        &self.network
    }

    /// The network alone: a trained one is a teacher.
    pub fn into_network(self) -> FusionNetwork {
        self.network
    }
}

impl Predictor for Fusion {
    fn predict(&self, batch: &Batch) -> Result<Tensor> {
        match self.config.imputation {
            Imputation::ZeroFeature => Ok(self.network.forward(batch, &batch.presence, Mode::Eval)?.logits.detach()),
            Imputation::Mean => {
                predict_with_mean_imputation(&self.network, &self.schema, batch, None).map(|p| p.logits.squeeze(0))?.map_err(Error::from)
            }
        }
    }

    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        match self.config.imputation {
            Imputation::ZeroFeature => self.network.predict_combinations(batch, subsets),
            Imputation::Mean => predict_with_mean_imputation(&self.network, &self.schema, batch, Some(subsets)),
        }
    }
}

impl Method for Fusion {
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let drawn = self.config.missing.draw(&batch.presence, self.schema.modalities.len(), &mut step.rng("missing"))?;
        let fused = self.network.forward(batch, &drawn, Mode::Train)?;
        let losses = Losses::new("task", cross_entropy(&fused.logits, &batch.labels)?);
        let Some(distillation) = &self.config.distillation else { return Ok(losses) };
        let teacher =
            self.teacher.as_ref().ok_or_else(|| Error::config("distillation", "needs a teacher: give one with `with_teacher`"))?;
        let kl = softened_kl(&fused.logits, &teacher.teach(batch)?.logits, distillation.temperature)?;
        Ok(losses.with("distillation", distillation.weight, kl))
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
