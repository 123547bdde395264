//! The method as a whole: the network with its distribution heads, and when each term acts.

use crate::{
    Distribution, DmrnetConfig, HardSupervision, MinedCombinations, MiningScore, gaussian_kl, hard_combination_loss, reparameterize,
};
use candle_core::{Device, Tensor};
use mm_core::data::{Batch, Schema};
use mm_core::fusion::{FusionNetwork, pool};
use mm_core::loss::{cross_entropy, cross_entropy_per_sample};
use mm_core::missing::draw_among;
use mm_core::nn::{GaussianHeads, GaussianHeadsConfig, Mode, Parameters};
use mm_core::predict::{Predictions, Predictor};
use mm_core::rng::{Rng, standard_normal};
use mm_core::train::{HeldOut, Losses, Method, Step};
use mm_core::{Error, Presence, Result, Subset};

/// DMRNet: a network that represents each (sample, combination) by a distribution, and trains harder on hard combinations.
///
/// Parameters: `encoders.<modality>.*`, `trunk.*`, `mean.*`, `log_var.*`, `head.{weight, bias}`. All are deployed: prediction
/// needs only the mean, but [`Dmrnet::distribution`] gives the spread of a shipped model as well.
pub struct Dmrnet {
    config: DmrnetConfig,
    schema: Schema,
    parameters: Parameters,
    network: FusionNetwork,
    heads: GaussianHeads,
    mined: MinedCombinations,
}

/// Puts a [`Dmrnet`] together.
pub struct DmrnetBuilder {
    schema: Schema,
    config: DmrnetConfig,
    seed: u64,
    device: Device,
}

impl DmrnetBuilder {
    /// Settings other than the defaults.
    pub fn config(mut self, config: DmrnetConfig) -> Self {
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

    /// A model to be trained, or to be given weights with [`Parameters::load`] on [`Method::parameters`].
    pub fn build(self) -> Result<Dmrnet> {
        self.config.validate()?;
        self.config.check_modalities(&self.schema.modalities)?;
        let parameters = Parameters::new(self.seed, &self.device);
        let network = FusionNetwork::new(&self.config.network, &self.schema, parameters.builder())?;
        let heads = GaussianHeadsConfig { bias: true, norm: self.config.head_norm };
        let heads = GaussianHeads::new(network.trunk().feature_shape()[0], heads, parameters.builder())?;
        let mined = MinedCombinations::new(&self.config, &self.schema.modalities, self.seed)?;
        Ok(Dmrnet { config: self.config, schema: self.schema, parameters, network, heads, mined })
    }
}

/// A training pass: the distribution and the logits `[batch, classes]` of one sample from it.
struct Sampled {
    distribution: Distribution,
    logits: Tensor,
}

impl Dmrnet {
    /// A builder for data of this schema.
    pub fn builder(schema: Schema) -> DmrnetBuilder {
        DmrnetBuilder { schema, config: DmrnetConfig::default(), seed: 0, device: Device::Cpu }
    }

    /// Encoders, trunk and head; the distribution heads lie between trunk and head.
    pub fn network(&self) -> &FusionNetwork {
        &self.network
    }

    /// Candidates, scores and hard set.
    pub fn mined(&self) -> &MinedCombinations {
        &self.mined
    }

    /// The predicted distribution of each sample's representation, with the modalities that `batch.presence` says it has.
    ///
    /// The spread says how much noise the classifier was trained to bear there. It is not a confidence: where the evidence is
    /// strong, the KL term is free to let it grow.
    pub fn distribution(&self, batch: &Batch) -> Result<Distribution> {
        let Distribution { mean, log_var } = self.represent(batch, &batch.presence, Mode::Eval)?;
        Ok(Distribution { mean: mean.detach(), log_var: log_var.detach() })
    }

    fn represent(&self, batch: &Batch, presence: &Presence, mode: Mode) -> Result<Distribution> {
        let features = self.network.encode(batch, presence, mode)?;
        let Distribution { mean, log_var } = self.heads.forward(&self.network.trunk().forward(&features, mode)?, mode)?;
        let log_var = match self.config.clamp_log_var {
            Some(limit) => log_var.clamp(-limit as f32, limit as f32)?,
            None => log_var,
        };
        Ok(Distribution { mean, log_var })
    }

    /// One reparameterised sample of each representation, classified. Pooling comes after sampling.
    fn sample(&self, batch: &Batch, presence: &Presence, rng: &mut Rng) -> Result<Sampled> {
        let distribution = self.represent(batch, presence, Mode::Train)?;
        let Distribution { mean, log_var } = &distribution;
        let noise = Tensor::from_vec(standard_normal(rng, mean.elem_count()), mean.shape(), mean.device())?;
        let logits = self.classify(&reparameterize(mean, log_var, &noise)?)?;
        Ok(Sampled { distribution, logits })
    }

    fn classify(&self, representation: &Tensor) -> Result<Tensor> {
        Ok(self.network.head().forward(&pool(representation)?)?)
    }

    fn mines_in(&self, epoch: usize) -> bool {
        self.config.beta > 0.0 && self.config.hard_combinations.is_none() && epoch < self.config.warm_up_epochs
    }

    /// The extra loss of hard combinations; `None` where no sample of the batch has one.
    fn hard_loss(&self, batch: &Batch, drawn: &Presence, logits: &Tensor, step: &Step) -> Result<Option<Tensor>> {
        let hard = self.mined.hard();
        match self.config.supervision {
            HardSupervision::Drawn => {
                let mask: Vec<f32> = drawn.subsets().iter().map(|s| f32::from(hard.contains(s))).collect();
                if !mask.contains(&1.0) {
                    return Ok(None);
                }
                let mask = Tensor::from_vec(mask, batch.len(), batch.device())?;
                hard_combination_loss(logits, &batch.labels, &mask, self.config.hard_loss).map(Some)
            }
            HardSupervision::Redraw if hard.is_empty() => Ok(None),
            HardSupervision::Redraw => {
                let redrawn = draw_among(&batch.presence, hard, &mut step.rng("hard"));
                let logits = self.sample(batch, &redrawn, &mut step.rng("hard-noise"))?.logits;
                Ok(Some(cross_entropy(&logits, &batch.labels)?))
            }
        }
    }
}

impl Predictor for Dmrnet {
    /// From the mean of the representation; nothing is sampled.
    fn predict(&self, batch: &Batch) -> Result<Tensor> {
        let features = self.network.encode(batch, &batch.presence, Mode::Eval)?;
        let fused = self.network.trunk().forward(&features, Mode::Eval)?;
        Ok(self.classify(&self.heads.predicted_mean(&fused)?)?.detach())
    }

    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        self.network.predict_combinations_with(batch, subsets, |fused| self.classify(&self.heads.predicted_mean(fused)?))
    }
}

impl Method for Dmrnet {
    /// `CE + alpha KL`, and after the warm-up `+ beta L_H`.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let drawn = self.config.missing.draw(&batch.presence, &self.schema.modalities, &mut step.rng("missing"))?;
        let Sampled { distribution, logits } = self.sample(batch, &drawn, &mut step.rng("noise"))?;
        let by_sample = cross_entropy_per_sample(&logits, &batch.labels)?;
        let mut losses = Losses::new("task", by_sample.mean_all()?);
        if self.config.alpha > 0.0 {
            let Distribution { mean, log_var } = &distribution;
            let kl = match self.config.kl_detached {
                true => gaussian_kl(&mean.detach(), &log_var.detach())?,
                false => gaussian_kl(mean, log_var)?,
            };
            losses = losses.with("kl", self.config.alpha, kl);
        }
        if self.mines_in(step.epoch) {
            match self.config.mining {
                MiningScore::TrainingLoss => self.mined.observe(&drawn, &by_sample.to_vec1()?),
                MiningScore::Variance => self.mined.observe(&drawn, &distribution.mean_variance()?.to_vec1()?),
                MiningScore::PerSampleKl => {}
            }
        }
        if self.config.beta > 0.0
            && step.epoch >= self.config.warm_up_epochs
            && let Some(hard) = self.hard_loss(batch, &drawn, &logits, step)?
        {
            losses = losses.with("hard", self.config.beta, hard);
        }
        Ok(losses)
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.config.check_samples(&self.schema.modalities, train, validation)
    }

    fn end_of_epoch(&mut self, epoch: usize, held_out: &HeldOut) -> Result<Vec<String>> {
        if !self.mines_in(epoch) || epoch + 1 < self.config.warm_up_epochs {
            return Ok(Vec::new());
        }
        let mut mined = self.mined.clone();
        if self.config.mining == MiningScore::PerSampleKl {
            mined.measure_divergence(self, held_out)?;
        }
        mined.settle(self.config.hard_count, self.schema.modalities.len());
        let correlation = mined.correlation_with_error(self, held_out)?;
        let notes = mined.describe(&self.schema.modalities, self.config.mining, correlation);
        self.mined = mined;
        Ok(notes)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn state(&self) -> serde_json::Value {
        // A struct of numbers always serialises.
        serde_json::to_value(&self.mined).unwrap_or_default()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        let saved: MinedCombinations =
            serde_json::from_value(state.clone()).map_err(|e| Error::Data(format!("the saved mined set is corrupt: {e}")))?;
        self.mined.check_same_candidates(&saved)?;
        self.mined = saved;
        Ok(())
    }
}
