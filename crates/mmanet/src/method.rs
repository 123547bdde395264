//! The method as a whole: deployment network, teacher, regularization branch, and when each acts.

use crate::mining::MinedCombinations;
use crate::{MmanetConfig, WeakSupervision, margin_aware_distillation, weak_combination_loss};
use candle_core::Tensor;
use mm_core::data::Batch;
use mm_core::fusion::{FusionModel, FusionNetwork, Trunk, keep_present, pool};
use mm_core::missing::draw_among;
use mm_core::nn::{Linear, Mode, Parameters, linear};
use mm_core::recipe::{Recipe, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{HeldOut, Losses, Method, Step};
use mm_core::{Error, Model, Presence, Result, Subset};

/// Prefix of the regularization branch, which only training has.
pub(crate) const REGULARIZATION: &str = "regularization";

/// MMANet: a deployment network that learns from a full-modality teacher and from its own weak combinations.
pub struct Mmanet {
    config: MmanetConfig,
    model: FusionModel,
    teacher: Box<dyn Teacher>,
    branch: Option<RegularizationBranch>,
    mined: MinedCombinations,
}

/// A second, separately initialised trunk and head on the features of the deployment network: `regularization.*`.
struct RegularizationBranch {
    parameters: Parameters,
    trunk: Box<dyn Trunk>,
    head: Linear,
}

impl RegularizationBranch {
    fn new(config: &MmanetConfig, model: &FusionModel, setup: &Setup) -> Result<Self> {
        let parameters = setup.parameters();
        let vb = parameters.builder().pp(REGULARIZATION);
        let (names, shapes) = (model.schema().modalities.names(), model.network().encoders().feature_shapes());
        let trunk = config.network.trunk.build(names, &shapes, vb.pp("trunk"))?;
        let head = linear(trunk.feature_shape()[0], model.schema().target.task().outputs(), vb.pp("head"))?;
        Ok(Self { parameters, trunk, head })
    }

    /// Predictions `[batch, ..]` from features that are zero where absent.
    fn forward(&self, features: &[Option<Tensor>], mode: Mode) -> Result<Tensor> {
        Ok(self.head.forward(&pool(&self.trunk.forward(features, mode)?)?)?)
    }
}

impl Mmanet {
    /// A model to be trained with the help of `teacher`, a network trained on complete data.
    pub fn new(config: MmanetConfig, setup: &Setup, teacher: impl Teacher + 'static) -> Result<Self> {
        config.validate()?;
        config.check_modalities(&setup.schema().modalities)?;
        let model = config.model(setup)?;
        let supervised = config.lambda_mar > 0.0 && config.supervision != WeakSupervision::Redraw;
        let branch = supervised.then(|| RegularizationBranch::new(&config, &model, setup)).transpose()?;
        let teacher = config.cached(teacher);
        let mined = MinedCombinations::new(&config, &setup.schema().modalities, setup.seed_value())?;
        Ok(Self { config, model, teacher, branch, mined })
    }

    /// The deployment network.
    pub fn network(&self) -> &FusionNetwork {
        self.model.network()
    }

    /// Candidates, distances and weak set.
    pub fn mined(&self) -> &MinedCombinations {
        &self.mined
    }

    /// Predictions `[batch, ..]` of the regularization branch from what [`FusionNetwork::encode`] gave; `None` in a model
    /// without a branch.
    pub fn regularization_logits(&self, features: &[Option<Tensor>], mode: Mode) -> Result<Option<Tensor>> {
        self.branch.as_ref().map(|branch| branch.forward(features, mode)).transpose()
    }
}

impl Method for Mmanet {
    /// Eq. of section 2.5: cross entropy, then also the two terms of the method.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let (schema, network) = (self.model.schema(), self.model.network());
        let (inputs, targets, task_of) = (batch.inputs(), batch.targets(), schema.target.task());
        let MmanetConfig { lambda_mad, lambda_mar, begin_epoch, supervision, .. } = self.config;
        let begun = step.epoch >= begin_epoch;
        let drawn = self.config.missing.draw_batch(batch.presence(), batch, schema, &step.draws("missing"))?;
        let redrawn = (begun && lambda_mar > 0.0 && supervision != WeakSupervision::Branch)
            .then(|| draw_among(batch.presence(), &self.mined.weak, batch.ids(), &step.draws("weak")));
        // What either draw needs is encoded once; both then pass the trunk as one batch.
        let needed = redrawn.as_ref().map_or_else(|| Ok(drawn.clone()), |redrawn| drawn.union(redrawn))?;
        let features = network.encode(inputs, &needed, Mode::Train)?;
        let fused = match &redrawn {
            None => network.fuse(&features, Mode::Train)?,
            Some(redrawn) => network.fuse(&keep_present(&features, &[&drawn, redrawn])?, Mode::Train)?,
        };
        let task = |draw: usize| task_of.loss(&fused.prediction.narrow(0, draw * batch.len(), batch.len())?, targets);
        let mut losses = Losses::new("task", task(0)?);
        if !begun {
            return Ok(losses);
        }
        if lambda_mad > 0.0 {
            let teacher = self.teacher.teach(inputs)?;
            let feature = fused.feature()?.narrow(0, 0, batch.len())?;
            let margin = task_of.uncertainty(&teacher.prediction.detach())?;
            let mad = margin_aware_distillation(&feature, teacher.feature()?, &margin, self.config.weighting)?;
            losses = losses.with("mad", lambda_mad, mad);
        }
        if let Some(branch) = self.branch.as_ref().filter(|_| lambda_mar > 0.0) {
            let weak = weak_mask(&drawn, &self.mined.weak);
            if weak.contains(&1.0) {
                let logits = branch.forward(&keep_present(&features, &[&drawn])?, Mode::Train)?;
                let weak = Tensor::from_vec(weak, batch.len(), batch.device())?;
                losses = losses.with(
                    "mar",
                    lambda_mar,
                    weak_combination_loss(&targets.weighted(&task_of.loss_per_sample(&logits, targets)?)?, &weak)?,
                );
            }
        }
        if redrawn.is_some() {
            losses = losses.with("weak", lambda_mar, task(1)?);
        }
        Ok(losses)
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.config.check_samples(&self.model.schema().modalities, train, validation)
    }

    fn end_of_epoch(&mut self, epoch: usize, held_out: &HeldOut) -> Result<Vec<String>> {
        if !self.config.mines_in(epoch) {
            return Ok(Vec::new());
        }
        let mut mined = self.mined.clone();
        let mut notes = Vec::new();
        if self.config.measures_in(epoch) {
            mined.accumulate(&self.model, held_out, self.config.ranking)?;
        }
        if epoch + 1 == self.config.begin_epoch {
            let modalities = &self.model.schema().modalities;
            mined.settle(self.config.weak_count, modalities.len());
            notes = mined.describe(modalities, self.config.ranking);
        }
        self.mined = mined;
        Ok(notes)
    }

    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    fn training_parameters(&self) -> Option<&Parameters> {
        self.branch.as_ref().map(|branch| &branch.parameters)
    }

    fn state(&self) -> serde_json::Value {
        // A struct of numbers always serialises.
        serde_json::to_value(&self.mined).unwrap_or_default()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        self.mined = serde_json::from_value(state.clone()).map_err(Error::state("mined set"))?;
        Ok(())
    }
}

/// 1 where the sample's combination is weak.
pub(crate) fn weak_mask(drawn: &Presence, weak: &[Subset]) -> Vec<f32> {
    drawn.subsets().iter().map(|s| f32::from(weak.contains(s))).collect()
}
