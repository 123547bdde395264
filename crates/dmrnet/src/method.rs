//! The method as a whole: the model, and when each term acts.

use crate::{
    Distribution, DmrnetConfig, DmrnetModel, HardSupervision, MinedCombinations, MiningScore, gaussian_kl, hard_combination_loss,
    reparameterize,
};
use candle_core::Tensor;
use mm_core::data::Batch;
use mm_core::missing::draw_among;
use mm_core::nn::Mode;
use mm_core::recipe::{Recipe, Setup};
use mm_core::train::{HeldOut, Losses, Method, Step};
use mm_core::{Model, Presence, Result};

/// DMRNet: a network that represents each (sample, combination) by a distribution, and trains harder on hard combinations.
pub struct Dmrnet {
    config: DmrnetConfig,
    model: DmrnetModel,
    mined: MinedCombinations,
}

/// A training pass: the distribution and the predictions `[batch, ..]` from one sample of it.
struct Sampled {
    distribution: Distribution,
    prediction: Tensor,
}

impl Dmrnet {
    /// A model to be trained.
    pub fn new(config: DmrnetConfig, setup: &Setup) -> Result<Self> {
        config.validate()?;
        config.check_modalities(&setup.schema().modalities)?;
        let model = DmrnetModel::new(&config, setup)?;
        let mined = MinedCombinations::new(&config, &setup.schema().modalities, setup.seed_value())?;
        Ok(Self { config, model, mined })
    }

    /// The deployed model.
    pub fn deployed(&self) -> &DmrnetModel {
        &self.model
    }

    /// Candidates, scores and hard set.
    pub fn mined(&self) -> &MinedCombinations {
        &self.mined
    }

    /// One reparameterised sample of each representation, classified.
    fn sample(&self, batch: &Batch, presence: &Presence, step: &Step, purpose: &str) -> Result<Sampled> {
        let distribution = self.model.represent(batch.inputs(), presence, Mode::Train)?;
        let Distribution { mean, log_var } = &distribution;
        let width = mean.elem_count() / batch.len().max(1);
        let noise = Tensor::from_vec(step.draws(purpose).standard_normal(batch.ids(), width), mean.shape(), mean.device())?;
        let prediction = self.model.classify(&reparameterize(mean, log_var, &noise)?)?;
        Ok(Sampled { distribution, prediction })
    }

    /// The extra loss of hard combinations; `None` where no sample of the batch has one.
    fn hard_loss(&self, batch: &Batch, drawn: &Presence, by_sample: &Tensor, step: &Step) -> Result<Option<Tensor>> {
        let hard = self.mined.hard();
        match self.config.supervision {
            HardSupervision::Drawn => {
                let mask: Vec<f32> = drawn.subsets().iter().map(|s| f32::from(hard.contains(s))).collect();
                if !mask.contains(&1.0) {
                    return Ok(None);
                }
                let mask = Tensor::from_vec(mask, batch.len(), batch.device())?;
                hard_combination_loss(by_sample, &mask, self.config.hard_loss).map(Some)
            }
            HardSupervision::Redraw if hard.is_empty() => Ok(None),
            HardSupervision::Redraw => {
                let redrawn = draw_among(batch.presence(), hard, batch.ids(), &step.draws("hard"));
                let prediction = self.sample(batch, &redrawn, step, "hard-noise")?.prediction;
                Ok(Some(self.model.schema().target.task().loss(&prediction, batch.targets())?))
            }
        }
    }
}

impl Method for Dmrnet {
    /// `CE + alpha KL`, and after the warm-up `+ beta L_H`.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let schema = self.model.schema();
        let drawn = self.config.missing.draw_batch(batch.presence(), batch, schema, &step.draws("missing"))?;
        let Sampled { distribution, prediction } = self.sample(batch, &drawn, step, "noise")?;
        let by_sample = batch.targets().weighted(&schema.target.task().loss_per_sample(&prediction, batch.targets())?)?;
        let mut losses = Losses::new("task", by_sample.mean_all()?);
        if self.config.alpha > 0.0 {
            let Distribution { mean, log_var } = &distribution;
            let kl = match self.config.kl_detached {
                true => gaussian_kl(&mean.detach(), &log_var.detach())?,
                false => gaussian_kl(mean, log_var)?,
            };
            losses = losses.with("kl", self.config.alpha, kl);
        }
        if self.config.mines_in(step.epoch) {
            match self.config.mining {
                MiningScore::TrainingLoss => self.mined.observe(&drawn, &by_sample.to_vec1()?),
                MiningScore::Variance => self.mined.observe(&drawn, &distribution.mean_variance()?.to_vec1()?),
                MiningScore::PerSampleKl => {}
            }
        }
        if self.config.supervises_in(step.epoch)
            && let Some(hard) = self.hard_loss(batch, &drawn, &by_sample, step)?
        {
            losses = losses.with("hard", self.config.beta, hard);
        }
        Ok(losses)
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.config.check_samples(&self.model.schema().modalities, train, validation)
    }

    fn end_of_epoch(&mut self, epoch: usize, held_out: &HeldOut) -> Result<Vec<String>> {
        self.mined.end_of_epoch(epoch, &self.config, &self.model, held_out)
    }

    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    fn state(&self) -> serde_json::Value {
        // A struct of numbers always serialises.
        serde_json::to_value(&self.mined).unwrap_or_default()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        self.mined.restore(state)
    }
}
