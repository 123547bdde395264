//! The method where every pixel has a class.

use crate::{DenseDmrnetModel, Distribution, DmrnetConfig, HardSupervision, MinedCombinations, MiningScore, gaussian_kl, reparameterize};
use candle_core::Tensor;
use mm_core::data::{Batch, Targets};
use mm_core::dense::FusedMaps;
use mm_core::missing::draw_among;
use mm_core::model::{Encoded, Output};
use mm_core::nn::Mode;
use mm_core::recipe::{Recipe, Setup};
use mm_core::task::Task;
use mm_core::train::{HeldOut, Losses, Method, Step};
use mm_core::{Model, Presence, Result, Subset};

/// DMRNet for a class of every pixel: the deepest fused map is a distribution, at every position, and the decoder is trained on a sample of it.
pub struct DenseDmrnet {
    config: DmrnetConfig,
    model: DenseDmrnetModel,
    mined: MinedCombinations,
}

/// A training pass: the distribution and the predictions from one sample of it.
struct Sampled {
    distribution: Distribution,
    output: Output,
}

impl DenseDmrnet {
    /// A model to be trained.
    pub fn new(config: DmrnetConfig, setup: &Setup) -> Result<Self> {
        config.validate()?;
        config.check_dense()?;
        config.check_modalities(&setup.schema().modalities)?;
        let model = DenseDmrnetModel::new(&config, setup)?;
        let mined = MinedCombinations::new(&config, &setup.schema().modalities, setup.seed_value())?;
        Ok(Self { config, model, mined })
    }

    /// The deployed model.
    pub fn deployed(&self) -> &DenseDmrnetModel {
        &self.model
    }

    /// Candidates, scores and hard set.
    pub fn mined(&self) -> &MinedCombinations {
        &self.mined
    }

    /// One reparameterised sample of each context, decoded.
    fn sample(&self, batch: &Batch, encoded: &Encoded, presence: &Presence, step: &Step, purpose: &str) -> Result<Sampled> {
        let (maps, distribution) = self.model.represent(encoded, presence, Mode::Train)?;
        let Distribution { mean, log_var } = &distribution;
        let width = mean.elem_count() / batch.len().max(1);
        let noise = Tensor::from_vec(step.draws(purpose).standard_normal(batch.ids(), width), mean.shape(), mean.device())?;
        let maps = FusedMaps { context: reparameterize(mean, log_var, &noise)?, ..maps };
        Ok(Sampled { output: self.model.network().decode(&maps, Mode::Train)?, distribution })
    }
}

impl Method for DenseDmrnet {
    /// The task's loss at all scales `+ alpha KL`, and after the warm-up `+ beta L_H`.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let schema = self.model.schema();
        let (targets, task) = (batch.targets(), schema.target.task());
        let drawn = self.config.missing.draw_batch(batch.presence(), batch, schema, &step.draws("missing"))?;
        let supervision = self.config.supervises_in(step.epoch).then_some(self.config.supervision);
        let redrawn = (supervision == Some(HardSupervision::Redraw) && !self.mined.hard().is_empty())
            .then(|| draw_among(batch.presence(), self.mined.hard(), batch.ids(), &step.draws("hard")));
        // What either draw needs is encoded once.
        let needed = redrawn.as_ref().map_or_else(|| Ok(drawn.clone()), |redrawn| drawn.union(redrawn))?;
        let encoded = self.model.network().encode(batch.inputs(), &needed, Mode::Train)?;
        let Sampled { distribution, output } = self.sample(batch, &encoded, &drawn, step, "noise")?;
        let mut losses = Losses::new("task", task.loss_of_scales(&output.prediction, &output.side, targets)?);
        if self.config.alpha > 0.0 {
            losses = losses.with("kl", self.config.alpha, kl_of_positions(&distribution, self.config.kl_detached)?);
        }
        if self.config.mines_in(step.epoch) {
            match self.config.mining {
                MiningScore::TrainingLoss => {
                    let by_sample = targets.weighted(&task.loss_per_sample(&output.prediction.detach(), targets)?)?;
                    self.mined.observe(&drawn, &by_sample.to_vec1()?);
                }
                MiningScore::Variance => self.mined.observe(&drawn, &distribution.mean_variance()?.to_vec1()?),
                MiningScore::PerSampleKl => {}
            }
        }
        if supervision == Some(HardSupervision::Drawn) {
            let hard = |subset: &Subset| f32::from(self.mined.hard().contains(subset));
            let hard: Vec<f32> = drawn.subsets().iter().map(hard).collect();
            if hard.contains(&1.0) {
                let hard = Tensor::from_vec(hard, batch.len(), batch.device())?;
                losses = losses.with("hard", self.config.beta, hard_loss_of_scales(task, &output, targets, &hard)?);
            }
        }
        if let Some(redrawn) = &redrawn {
            let output = self.sample(batch, &encoded, redrawn, step, "hard-noise")?.output;
            losses = losses.with("hard", self.config.beta, task.loss_of_scales(&output.prediction, &output.side, targets)?);
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

/// KL from N(0, 1), summed over the channels, mean over samples and positions; without gradient if `detached`.
fn kl_of_positions(Distribution { mean, log_var }: &Distribution, detached: bool) -> Result<Tensor> {
    let (_, _, height, width) = mean.dims4()?;
    let kl = match detached {
        true => gaussian_kl(&mean.detach(), &log_var.detach())?,
        false => gaussian_kl(mean, log_var)?,
    };
    Ok((kl / (height * width) as f64)?)
}

/// Eq. 11-12 at all scales: the loss of the samples with 1 in `hard`, f32 `[batch]`, over all samples of the batch.
fn hard_loss_of_scales(task: &dyn Task, output: &Output, targets: &Targets, hard: &Tensor) -> Result<Tensor> {
    // The weighted mean is over the hard samples alone; times their share it is over the batch.
    let (weights, share) = match targets.weights() {
        None => (hard.clone(), hard.mean_all()?),
        Some(weights) => {
            let hard = hard.mul(weights)?;
            let share = hard.mean_all()?.div(&weights.mean_all()?.maximum(f64::from(f32::MIN_POSITIVE))?)?;
            (hard, share)
        }
    };
    Ok(task.loss_of_scales(&output.prediction, &output.side, &targets.clone().with_weights(weights)?)?.mul(&share)?)
}
