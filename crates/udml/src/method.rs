//! The method as a whole: the model, the noise of its training, and when each term acts.

use crate::{
    DependenceForm, UdmlConfig, UdmlModel, WeightForm, fused_logits, leave_one_out_dependence, lone_modality_dependence, unimodal_logits,
};
use mm_core::data::Batch;
use mm_core::recipe::{Recipe, Setup};
use mm_core::train::{Losses, Method, Step};
use mm_core::{Model, Presence, Result};

/// Largest gradient norm where the training settings name none. With two or three rows in a batch, a batch normalisation passes on
/// gradients of hundreds, and the head, which reads samples of the features directly, answers with larger ones in the next step.
/// Batches of 16 and more stay below, so that nothing is cut there.
pub(crate) const CLIP_NORM: f64 = 30.0;

/// UDML: fusion that estimates how noisy each modality of each sample is, and trusts the cleaner ones.
pub struct Udml {
    model: UdmlModel,
}

impl Udml {
    /// A model to be trained.
    pub fn new(config: UdmlConfig, setup: &Setup) -> Result<Self> {
        Ok(Self { model: UdmlModel::new(config, setup)? })
    }

    /// The deployed model.
    pub fn deployed(&self) -> &UdmlModel {
        &self.model
    }
}

impl Method for Udml {
    /// Section 2.7: `L_fus + λ_u L_uni + λ_kl Σ KL + λ_l L_unc`.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let (schema, config) = (self.model.schema(), self.model.config());
        let modalities = schema.modalities.len();
        let (task, targets) = (schema.target.task(), batch.targets());
        let drawn = config.missing.draw_batch(batch.presence(), batch, schema, &step.draws("missing"))?;
        let noisy = config.noisy(batch.inputs(), schema, step)?;
        let encoded = self.model.run(&noisy.inputs, &drawn, Some(step))?;

        let log_level = if config.detach_weights { encoded.log_level.detach() } else { encoded.log_level.clone() };
        let log_level = if config.ignores_levels(step) { log_level.zeros_like()? } else { log_level };
        let weights = self.model.weights(&log_level, &encoded.present)?;
        let (bias, residual) = (self.model.head().bias(), config.residual);
        let logits = fused_logits(&encoded.parts, &weights, bias, residual)?;
        let unimodal = unimodal_logits(&encoded.parts, &weights, bias, residual)?;

        let mut losses = Losses::new("task", task.loss(&logits, targets)?);
        if config.lambda_unimodal > 0.0 {
            let repeated = targets.repeated(modalities)?;
            let each = repeated.weighted(&task.loss_per_sample(&unimodal.flatten(0, 1)?, &repeated)?)?;
            let mean = (each.mul(&encoded.present.flatten_all()?)?.sum_all()? / (batch.len() * modalities) as f64)?;
            losses = losses.with("unimodal", config.lambda_unimodal, mean);
        }
        if config.lambda_kl > 0.0 {
            losses = losses.with("kl", config.lambda_kl, self.model.kl(&encoded, &noisy.levels)?);
        }
        if config.weights == WeightForm::Dynamic {
            let level = config.level_loss.of(&encoded.log_level, &noisy.levels, Some(&encoded.estimated))?;
            losses = losses.with("level", config.lambda_level, level);
        }
        // Measured after the forward pass, used in the next step.
        self.model.dependence_mean().update(&match config.dependence {
            DependenceForm::LeaveOneOut => leave_one_out_dependence(&encoded.parts, Some(&encoded.present))?,
            DependenceForm::LoneModality => lone_modality_dependence(&unimodal, Some(&encoded.present))?,
        })?;
        Ok(losses)
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.model.config().check_samples(&self.model.schema().modalities, train, validation)
    }

    fn clip_norm(&self) -> Option<f64> {
        Some(CLIP_NORM)
    }

    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }
}
