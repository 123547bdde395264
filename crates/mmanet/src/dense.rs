//! The method where every pixel has a class.

use crate::method::{REGULARIZATION, weak_mask};
use crate::{MinedCombinations, MmanetConfig, WeakSupervision, pixel_margin_distillation};
use candle_core::Tensor;
use mm_core::data::{Batch, Targets};
use mm_core::dense::{DenseDecoder, DenseModel};
use mm_core::missing::draw_among;
use mm_core::model::Output;
use mm_core::nn::{Mode, Parameters};
use mm_core::recipe::{Recipe, Setup};
use mm_core::task::Task;
use mm_core::teacher::Teacher;
use mm_core::train::{HeldOut, Losses, Method, Step};
use mm_core::{Error, Model, Presence, Result};

/// MMANet for a class of every pixel: every pixel of three fused maps is a sample of the distillation, the regularization branch is a second
/// decoder, and the combination whose mean IoU falls furthest is weak. What is deployed is a [`DenseModel`].
pub struct DenseMmanet {
    config: MmanetConfig,
    model: DenseModel,
    teacher: Box<dyn Teacher>,
    branch: Option<Branch>,
    mined: MinedCombinations,
}

/// A second decoder of the fused maps: `regularization.*`.
struct Branch {
    parameters: Parameters,
    decoder: Box<dyn DenseDecoder>,
}

impl DenseMmanet {
    /// A network to be trained with the help of `teacher`, a network of the same shape trained on complete data.
    pub fn new(config: MmanetConfig, setup: &Setup, teacher: impl Teacher + 'static) -> Result<Self> {
        let schema = setup.schema();
        config.validate()?;
        config.check_dense()?;
        config.check_modalities(&schema.modalities)?;
        let dense = config.network.dense.clone().unwrap_or_default();
        let model = DenseModel::new(&dense, schema, schema.target.classes(), setup.parameters())?;
        let branch = || -> Result<Branch> {
            let parameters = setup.parameters();
            let decoder = model.network().another_decoder(parameters.builder().pp(REGULARIZATION))?;
            Ok(Branch { parameters, decoder })
        };
        let supervised = config.lambda_mar > 0.0 && config.supervision != WeakSupervision::Redraw;
        let branch = supervised.then(branch).transpose()?;
        let mined = MinedCombinations::new(&config, &schema.modalities, setup.seed_value())?;
        Ok(Self { teacher: config.cached(teacher), config, model, branch, mined })
    }

    /// The deployed model.
    pub fn deployed(&self) -> &DenseModel {
        &self.model
    }

    /// Candidates, distances and weak set.
    pub fn mined(&self) -> &MinedCombinations {
        &self.mined
    }
}

impl Method for DenseMmanet {
    /// The task's loss at all scales, then also the two terms of the method.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let (schema, network) = (self.model.schema(), self.model.network());
        let (inputs, targets, task) = (batch.inputs(), batch.targets(), schema.target.task());
        let MmanetConfig { lambda_mad, lambda_mar, begin_epoch, supervision, weighting, .. } = self.config;
        let begun = step.epoch >= begin_epoch;
        let drawn = self.config.missing.draw_batch(batch.presence(), batch, schema, &step.draws("missing"))?;
        let redrawn = (begun && lambda_mar > 0.0 && supervision != WeakSupervision::Branch)
            .then(|| draw_among(batch.presence(), &self.mined.weak, batch.ids(), &step.draws("weak")));
        // What either draw needs is encoded once.
        let needed = redrawn.as_ref().map_or_else(|| Ok(drawn.clone()), |redrawn| drawn.union(redrawn))?;
        let encoded = network.encode(inputs, &needed, Mode::Train)?;
        let maps = network.fuse(&encoded, &drawn, Mode::Train)?;
        let output = network.decode(&maps, Mode::Train)?;
        let mut losses = Losses::new("task", task.loss_of_scales(&output.prediction, &output.side, targets)?);
        if !begun {
            return Ok(losses);
        }
        if lambda_mad > 0.0 {
            let teacher = self.teacher.teach(inputs)?;
            let mad = pixel_margin_distillation(&output.features, &teacher.features, &teacher.prediction, weighting)?;
            losses = losses.with("mad", lambda_mad, mad);
        }
        if let Some(branch) = self.branch.as_ref().filter(|_| lambda_mar > 0.0) {
            let weak = weak_mask(&drawn, &self.mined.weak);
            if weak.contains(&1.0) {
                let weak = Tensor::from_vec(weak, batch.len(), batch.device())?;
                let output = branch.decoder.decode(&maps, Mode::Train)?;
                losses = losses.with("mar", lambda_mar, weak_loss_of_scales(task, &output, targets, &weak)?);
            }
        }
        if let Some(redrawn) = &redrawn {
            let output = network.decode(&network.fuse(&encoded, redrawn, Mode::Train)?, Mode::Train)?;
            losses = losses.with("weak", lambda_mar, task.loss_of_scales(&output.prediction, &output.side, targets)?);
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
            mined.accumulate_mean_iou(&self.model, held_out)?;
        }
        if epoch + 1 == self.config.begin_epoch {
            mined.settle_dense(self.config.weak_count);
            notes = vec![mined.describe_weak(&self.model.schema().modalities)];
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

/// Eq. 14 at all scales: the loss of the samples with 1 in `weak`, f32 `[batch]`, over all samples of the batch.
fn weak_loss_of_scales(task: &dyn Task, output: &Output, targets: &Targets, weak: &Tensor) -> Result<Tensor> {
    // The weighted mean is over the weak samples alone; times their share it is over the batch.
    let (weights, share) = match targets.weights() {
        None => (weak.clone(), weak.mean_all()?),
        Some(weights) => {
            let weak = weak.mul(weights)?;
            let share = weak.mean_all()?.div(&weights.mean_all()?.maximum(f64::from(f32::MIN_POSITIVE))?)?;
            (weak, share)
        }
    };
    Ok(task.loss_of_scales(&output.prediction, &output.side, &targets.clone().with_weights(weights)?)?.mul(&share)?)
}
