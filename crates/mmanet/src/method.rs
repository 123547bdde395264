//! The method as a whole: deployment network, teacher, regularization branch, and when each acts.

use crate::mining::MinedCombinations;
use crate::{MmanetConfig, WeakSupervision, margin_aware_distillation, weak_combination_loss};
use candle_core::{Device, Tensor};
use mm_core::data::{Batch, Schema};
use mm_core::fusion::{FusionNetwork, Trunk, keep_present, pool};
use mm_core::loss::cross_entropy;
use mm_core::missing::draw_among;
use mm_core::nn::{Linear, Mode, Parameters, linear};
use mm_core::predict::{Predictions, Predictor};
use mm_core::teacher::{CachedTeacher, Teacher};
use mm_core::train::{HeldOut, Losses, Method, Step};
use mm_core::{Error, Presence, Result, Subset};

/// Everything that only training has lives under this name.
pub(crate) const REGULARIZATION: &str = "regularization";

/// MMANet: a deployment network that learns from a full-modality teacher and from its own weak combinations.
pub struct Mmanet {
    config: MmanetConfig,
    schema: Schema,
    parameters: Parameters,
    network: FusionNetwork,
    training: Option<TrainingParts>,
}

/// What is needed for training only.
struct TrainingParts {
    teacher: Box<dyn Teacher>,
    branch: Option<RegularizationBranch>,
    mined: MinedCombinations,
}

/// A second, separately initialised trunk and head on the features of the deployment network.
struct RegularizationBranch {
    trunk: Box<dyn Trunk>,
    head: Linear,
}

impl RegularizationBranch {
    /// Logits `[batch, classes]` from features that are zero where absent.
    fn forward(&self, features: &[Option<Tensor>], mode: Mode) -> Result<Tensor> {
        Ok(self.head.forward(&pool(&self.trunk.forward(features, mode)?)?)?)
    }
}

/// Puts an [`Mmanet`] together.
pub struct MmanetBuilder {
    schema: Schema,
    config: MmanetConfig,
    seed: u64,
    device: Device,
}

impl MmanetBuilder {
    /// Settings other than the defaults.
    pub fn config(mut self, config: MmanetConfig) -> Self {
        self.config = config;
        self
    }

    /// Seed of the initial weights (0 by default).
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Device of the weights (the CPU by default).
    pub fn device(mut self, device: &Device) -> Self {
        self.device = device.clone();
        self
    }

    /// A model to be trained with the help of `teacher`, a network trained on complete data.
    pub fn build_with_teacher(self, teacher: impl Teacher + 'static) -> Result<Mmanet> {
        self.config.check_modalities(&self.schema.modalities)?;
        let seed = self.seed;
        let mut model = self.build()?;
        let supervised = model.config.lambda_mar > 0.0 && model.config.supervision != WeakSupervision::Redraw;
        let branch = supervised.then(|| model.regularization_branch()).transpose()?;
        let teacher: Box<dyn Teacher> = match model.config.cache_teacher {
            true => Box::new(CachedTeacher::with_budget(Box::new(teacher), model.config.teacher_cache_mib)),
            false => Box::new(teacher),
        };
        let mined = MinedCombinations::new(&model.config, &model.schema.modalities, seed)?;
        model.training = Some(TrainingParts { teacher, branch, mined });
        Ok(model)
    }

    /// A model for prediction: load its weights with [`Parameters::load`] on [`Method::parameters`].
    pub fn build(self) -> Result<Mmanet> {
        self.config.validate()?;
        let parameters = Parameters::new(self.seed, &self.device);
        let network = FusionNetwork::new(&self.config.network, &self.schema, parameters.builder())?;
        Ok(Mmanet { config: self.config, schema: self.schema, parameters, network, training: None })
    }
}

impl Mmanet {
    /// A builder for data of this schema.
    pub fn builder(schema: Schema) -> MmanetBuilder {
        MmanetBuilder { schema, config: MmanetConfig::default(), seed: 0, device: Device::Cpu }
    }

    /// The deployment network.
    pub fn network(&self) -> &FusionNetwork {
        &self.network
    }

    /// Candidates, distances and weak set; `None` in a model built for prediction.
    pub fn mined(&self) -> Option<&MinedCombinations> {
        self.training.as_ref().map(|t| &t.mined)
    }

    /// Logits `[batch, classes]` of the regularization branch from what [`FusionNetwork::encode`] gave; `None` in a model
    /// without a branch.
    pub fn regularization_logits(&self, features: &[Option<Tensor>], mode: Mode) -> Result<Option<Tensor>> {
        let branch = self.training.as_ref().and_then(|t| t.branch.as_ref());
        branch.map(|branch| branch.forward(features, mode)).transpose()
    }

    fn regularization_branch(&self) -> Result<RegularizationBranch> {
        let vb = self.parameters.builder().pp(REGULARIZATION);
        let trunk =
            self.config.network.trunk.build(self.schema.modalities.names(), &self.network.encoders().feature_shapes(), vb.pp("trunk"))?;
        let head = linear(trunk.feature_shape()[0], self.schema.target.classes(), vb.pp("head"))?;
        Ok(RegularizationBranch { trunk, head })
    }
}

impl Predictor for Mmanet {
    fn predict(&self, batch: &Batch) -> Result<Tensor> {
        Ok(self.network.forward(batch, &batch.presence, Mode::Eval)?.logits.detach())
    }

    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        self.network.predict_combinations(batch, subsets)
    }
}

impl Method for Mmanet {
    /// Eq. of section 2.5: cross entropy, then also the two terms of the method.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let training = self
            .training
            .as_ref()
            .ok_or_else(|| Error::config("teacher", "this model was built for prediction: build it with a teacher to train it"))?;
        let MmanetConfig { lambda_mad, lambda_mar, begin_epoch, supervision, .. } = self.config;
        let begun = step.epoch >= begin_epoch;
        let drawn = self.config.missing.draw(&batch.presence, &self.schema.modalities, &mut step.rng("missing"))?;
        let redrawn = (begun && lambda_mar > 0.0 && supervision != WeakSupervision::Branch)
            .then(|| draw_among(&batch.presence, &training.mined.weak, &mut step.rng("weak")));
        // What either draw needs is encoded once; both then pass the trunk as one batch.
        let needed = redrawn.as_ref().map_or_else(|| Ok(drawn.clone()), |redrawn| drawn.union(redrawn))?;
        let features = self.network.encode(batch, &needed, Mode::Train)?;
        let fused = match &redrawn {
            None => self.network.fuse(&features, Mode::Train)?,
            Some(redrawn) => self.network.fuse(&keep_present(&features, &[&drawn, redrawn])?, Mode::Train)?,
        };
        let task =
            |draw: usize| -> Result<_> { Ok(cross_entropy(&fused.logits.narrow(0, draw * batch.len(), batch.len())?, &batch.labels)?) };
        let mut losses = Losses::new("task", task(0)?);
        if !begun {
            return Ok(losses);
        }
        if lambda_mad > 0.0 {
            let teacher = training.teacher.teach(batch)?;
            let feature = fused.feature.narrow(0, 0, batch.len())?;
            let mad = margin_aware_distillation(&feature, &teacher.feature, &teacher.logits, self.config.weighting)?;
            losses = losses.with("mad", lambda_mad, mad);
        }
        if let Some(branch) = training.branch.as_ref().filter(|_| lambda_mar > 0.0) {
            let weak = weak_mask(&drawn, &training.mined.weak);
            if weak.contains(&1.0) {
                let logits = branch.forward(&keep_present(&features, &[&drawn])?, Mode::Train)?;
                let weak = Tensor::from_vec(weak, batch.len(), batch.device())?;
                losses = losses.with("mar", lambda_mar, weak_combination_loss(&logits, &batch.labels, &weak)?);
            }
        }
        if redrawn.is_some() {
            losses = losses.with("weak", lambda_mar, task(1)?);
        }
        Ok(losses)
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.config.check_samples(&self.schema.modalities, train, validation)
    }

    fn end_of_epoch(&mut self, epoch: usize, held_out: &HeldOut) -> Result<Vec<String>> {
        let begin = self.config.begin_epoch;
        let mines = self.config.lambda_mar > 0.0 && self.config.weak_combinations.is_none() && epoch < begin;
        let Some(mut mined) = self.training.as_ref().filter(|_| mines).map(|t| t.mined.clone()) else {
            return Ok(Vec::new());
        };
        let mut notes = Vec::new();
        // Counted from 1 as in the paper: after epochs 2 to begin - 1 (or the last one before the beginning).
        if (epoch >= 1 && epoch + 1 < begin) || begin == 2 && epoch == 1 {
            mined.accumulate(self, held_out, self.config.ranking)?;
        }
        if epoch + 1 == begin {
            mined.settle(self.config.weak_count, self.schema.modalities.len());
            notes = mined.describe(&self.schema.modalities, self.config.ranking);
        }
        if let Some(training) = &mut self.training {
            training.mined = mined;
        }
        Ok(notes)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn is_deployed(&self, name: &str) -> bool {
        !name.starts_with(REGULARIZATION)
    }

    fn state(&self) -> serde_json::Value {
        // A struct of numbers always serialises.
        serde_json::to_value(self.mined()).unwrap_or_default()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        let mined: Option<MinedCombinations> =
            serde_json::from_value(state.clone()).map_err(|e| Error::Data(format!("the saved mined set is corrupt: {e}")))?;
        if let (Some(training), Some(mined)) = (&mut self.training, mined) {
            training.mined = mined;
        }
        Ok(())
    }
}

/// 1 where the sample's combination is weak.
fn weak_mask(drawn: &Presence, weak: &[Subset]) -> Vec<f32> {
    drawn.subsets().iter().map(|s| f32::from(weak.contains(s))).collect()
}
