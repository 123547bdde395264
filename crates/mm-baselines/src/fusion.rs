//! One network for all combinations: full-only training, modality dropout, mean imputation, logit distillation.

use crate::imputation::predict_with_mean_imputation;
use candle_core::{Device, Tensor};
use mm_core::data::{Batch, Schema};
use mm_core::fusion::{FusionNetwork, NetworkConfig};
use mm_core::loss::{cross_entropy, softened_kl};
use mm_core::missing::MissingPattern;
use mm_core::nn::{Mode, Parameters};
use mm_core::predict::{Predictions, Predictor};
use mm_core::teacher::{CachedTeacher, DEFAULT_CACHE_MIB, Teacher};
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, Modalities, Presence, Result, Subset};
use serde::{Deserialize, Serialize};

/// Settings of [`Fusion`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FusionConfig {
    /// The network.
    pub network: NetworkConfig,
    /// How sensors go missing in training. A network whose modalities are fixed trains on the samples that have one of them, and
    /// ignores all others at prediction.
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

impl FusionConfig {
    /// Refuses samples that training would stumble over.
    pub fn check_samples(&self, modalities: &Modalities, train: &Presence) -> Result<()> {
        let Some(fixed) = self.missing.fixed(modalities)? else { return self.missing.check_samples(train, modalities) };
        match train.subsets().iter().filter(|has| has.intersection(fixed).is_some()).count() {
            0 | 1 => Err(Error::config(
                "missing.fixed",
                format!("fewer than two of {} training samples have any of {}", train.len(), modalities.format(fixed)),
            )),
            _ => Ok(()),
        }
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
    /// Memory for the teacher's answers in MiB; samples that find no place are asked for again, with the same bits.
    pub teacher_cache_mib: usize,
}

impl Default for DistillationConfig {
    fn default() -> Self {
        Self { temperature: 2.0, weight: 1.0, teacher_cache_mib: DEFAULT_CACHE_MIB }
    }
}

/// A fusion network trained with cross entropy.
pub struct Fusion {
    config: FusionConfig,
    schema: Schema,
    /// The modalities that training knows.
    reads: Subset,
    parameters: Parameters,
    network: FusionNetwork,
    teacher: Option<CachedTeacher>,
}

impl Fusion {
    /// A network with initial weights from `seed`.
    pub fn new(config: FusionConfig, schema: &Schema, seed: u64, device: &Device) -> Result<Self> {
        config.missing.check(&schema.modalities)?;
        let reads = config.missing.fixed(&schema.modalities)?.unwrap_or(schema.modalities.full());
        let parameters = Parameters::new(seed, device);
        let network = FusionNetwork::new(&config.network, schema, parameters.builder())?;
        Ok(Self { config, schema: schema.clone(), reads, parameters, network, teacher: None })
    }

    /// Gives it the teacher that `distillation` asks for.
    pub fn with_teacher(mut self, teacher: impl Teacher + 'static) -> Self {
        let mib = self.config.distillation.map_or(DEFAULT_CACHE_MIB, |distillation| distillation.teacher_cache_mib);
        self.teacher = Some(CachedTeacher::with_budget(Box::new(teacher), mib));
        self
    }

    /// What it reads of a combination; an error where that is nothing.
    fn read(&self, subset: Subset) -> Result<Subset> {
        subset.intersection(self.reads).ok_or_else(|| {
            let (found, read) = (self.schema.modalities.format(subset), self.schema.modalities.format(self.reads));
            Error::Modality(format!("{found} holds nothing that this model was trained on, which is {read}"))
        })
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
        let read: Vec<Subset> = batch.presence.subsets().iter().map(|&has| self.read(has)).collect::<Result<_>>()?;
        let batch = &batch.with_presence(Presence::new(read))?;
        match self.config.imputation {
            Imputation::ZeroFeature => Ok(self.network.forward(batch, &batch.presence, Mode::Eval)?.logits.detach()),
            Imputation::Mean => {
                predict_with_mean_imputation(&self.network, &self.schema, batch, None).map(|p| p.logits.squeeze(0))?.map_err(Error::from)
            }
        }
    }

    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        let read: Vec<Subset> = subsets.iter().map(|&subset| self.read(subset)).collect::<Result<_>>()?;
        match self.config.imputation {
            Imputation::ZeroFeature => self.network.predict_combinations(batch, &read),
            Imputation::Mean => predict_with_mean_imputation(&self.network, &self.schema, batch, Some(&read)),
        }
    }

    fn supports(&self, subset: Subset) -> bool {
        subset.intersection(self.reads).is_some()
    }
}

impl Method for Fusion {
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let usable: Vec<usize> = (0..batch.len()).filter(|&i| self.supports(batch.presence.subsets()[i])).collect();
        let selected = match usable.len() {
            // Batch statistics need two samples.
            n if n < batch.len().min(2) => return Ok(Losses::default()),
            n if n < batch.len() => Some(batch.select(&usable)?),
            _ => None,
        };
        let batch = selected.as_ref().unwrap_or(batch);
        let drawn = self.config.missing.draw(&batch.presence, &self.schema.modalities, &mut step.rng("missing"))?;
        let fused = self.network.forward(batch, &drawn, Mode::Train)?;
        let losses = Losses::new("task", cross_entropy(&fused.logits, &batch.labels)?);
        let Some(distillation) = &self.config.distillation else { return Ok(losses) };
        let teacher =
            self.teacher.as_ref().ok_or_else(|| Error::config("distillation", "needs a teacher: give one with `with_teacher`"))?;
        let kl = softened_kl(&fused.logits, &teacher.teach(batch)?.logits, distillation.temperature)?;
        Ok(losses.with("distillation", distillation.weight, kl))
    }

    fn check_samples(&self, train: &Presence, _validation: &Presence) -> Result<()> {
        self.config.check_samples(&self.schema.modalities, train)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
