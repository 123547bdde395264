//! One network for all combinations: full-only training, modality dropout, mean imputation, logit distillation.

use crate::{BaselineModel, DenseBaseline, DenseFusion};
use mm_core::data::Batch;
use mm_core::fusion::{FusionNetwork, NetworkConfig};
use mm_core::missing::MissingPattern;
use mm_core::nn::Mode;
use mm_core::recipe::{Recipe, RecipeCost, Setup};
use mm_core::teacher::{CachedTeacher, DEFAULT_CACHE_MIB, Teacher};
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, Modalities, Model, Presence, Result, Subset};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

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

impl Recipe for FusionConfig {
    const FAMILY: &'static str = "fusion";
    type Model = BaselineModel;
    type Method = Fusion;

    fn model(&self, setup: &Setup) -> Result<BaselineModel> {
        BaselineModel::new(self, setup)
    }

    fn method(&self, setup: &Setup, teacher: Option<Box<dyn Teacher>>) -> Result<Fusion> {
        let fusion = Fusion::new(self.clone(), setup)?;
        match &self.distillation {
            Some(_) => Ok(fusion.with_teacher(Self::need(teacher)?)),
            None => Ok(fusion),
        }
    }

    fn dense_model(&self, setup: &Setup) -> Result<Box<dyn Model>> {
        Ok(Box::new(DenseBaseline::new(self, setup)?))
    }

    fn dense_method(&self, setup: &Setup, teacher: Option<Box<dyn Teacher>>) -> Result<Box<dyn Method>> {
        Ok(Box::new(DenseFusion::new(self.clone(), setup, teacher)?))
    }

    fn network(&self) -> &NetworkConfig {
        &self.network
    }

    fn network_mut(&mut self) -> &mut NetworkConfig {
        &mut self.network
    }

    fn check_samples(&self, modalities: &Modalities, train: &Presence, _validation: &Presence) -> Result<()> {
        let Some(fixed) = self.missing.fixed(modalities)? else { return self.missing.check_samples(train, modalities) };
        match train.subsets().iter().filter(|has| has.intersection(fixed).is_some()).count() {
            0 | 1 => Err(Error::config(
                "missing.fixed",
                format!("fewer than two of {} training samples have any of {}", train.len(), modalities.format(fixed)),
            )),
            _ => Ok(()),
        }
    }

    fn teacher_sees(&self, modalities: &Modalities) -> Result<Option<Subset>> {
        Ok(self.distillation.map(|_| modalities.full()))
    }

    fn cost(&self, modalities: &Modalities) -> Result<RecipeCost> {
        let step = if self.distillation.is_some() { 1.3 } else { 1.0 };
        Ok(RecipeCost { step, ..RecipeCost::of_one_network(modalities) })
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

/// A fusion network trained with the task's loss.
pub struct Fusion {
    config: FusionConfig,
    model: BaselineModel,
    teacher: Option<CachedTeacher>,
}

impl Fusion {
    /// A network to be trained.
    pub fn new(config: FusionConfig, setup: &Setup) -> Result<Self> {
        let model = BaselineModel::new(&config, setup)?;
        Ok(Self { config, model, teacher: None })
    }

    /// Gives it the teacher that `distillation` asks for.
    pub fn with_teacher(mut self, teacher: impl Teacher + 'static) -> Self {
        let mib = self.config.distillation.map_or(DEFAULT_CACHE_MIB, |distillation| distillation.teacher_cache_mib);
        self.teacher = Some(CachedTeacher::with_budget(Box::new(teacher), mib));
        self
    }

    /// The network.
    pub fn network(&self) -> &FusionNetwork {
        self.model.network()
    }

    /// The model alone: a trained one is a teacher.
    pub fn into_deployed(self) -> BaselineModel {
        self.model
    }
}

impl Method for Fusion {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let Some(batch) = usable(batch, &self.model)? else { return Ok(Losses::default()) };
        let (schema, inputs) = (self.model.schema(), batch.inputs());
        let drawn = self.config.missing.draw_batch(batch.presence(), &batch, schema, &step.draws("missing"))?;
        let output = self.network().forward(inputs, &drawn, Mode::Train)?;
        let task = schema.target.task();
        let losses = Losses::new("task", task.loss(&output.prediction, batch.targets())?);
        let Some(distillation) = &self.config.distillation else { return Ok(losses) };
        let teacher =
            self.teacher.as_ref().ok_or_else(|| Error::config("distillation", "needs a teacher: give one with `with_teacher`"))?;
        let taught = teacher.teach(inputs)?.prediction;
        Ok(losses.with("distillation", distillation.weight, task.distillation(&output.prediction, &taught, distillation.temperature)?))
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.config.check_samples(&self.model.schema().modalities, train, validation)
    }
}

/// The samples that a model can be trained on; `None` where too few are left.
pub(crate) fn usable<'b>(batch: &'b Batch, model: &dyn Model) -> Result<Option<Cow<'b, Batch>>> {
    let has = batch.presence().subsets();
    let usable: Vec<usize> = (0..batch.len()).filter(|&i| model.supports(has[i])).collect();
    match usable.len() {
        // Batch statistics need two samples.
        n if n < batch.len().min(2) => Ok(None),
        n if n < batch.len() => Ok(Some(Cow::Owned(batch.select(&usable)?))),
        _ => Ok(Some(Cow::Borrowed(batch))),
    }
}
