//! A small method for the tests of the training loop.

use crate::clear_to_weak_schema;
use candle_core::{Device, Tensor};
use mm_core::data::Batch;
use mm_core::fusion::{FusionNetwork, NetworkConfig};
use mm_core::loss::cross_entropy;
use mm_core::missing::MissingPattern;
use mm_core::nn::{Mode, Parameters};
use mm_core::predict::{Predictions, Predictor};
use mm_core::train::{Losses, Method, Step};
use mm_core::{Result, Subset};

/// Modality dropout on the shared network and the data of [`crate::clear_to_weak`], with a counter in its state.
pub struct Dropout {
    /// Of the network.
    pub parameters: Parameters,
    /// What is trained.
    pub network: FusionNetwork,
    /// The counter: epochs that ended.
    pub epochs_seen: u64,
    /// From this epoch on the loss is NaN.
    pub nan_from: Option<usize>,
}

impl Dropout {
    /// Untrained, with these initial weights.
    pub fn new(seed: u64) -> Self {
        let parameters = Parameters::new(seed, &Device::Cpu);
        let network = FusionNetwork::new(&NetworkConfig::default(), &clear_to_weak_schema(), parameters.builder()).unwrap();
        Self { parameters, network, epochs_seen: 0, nan_from: None }
    }
}

impl Predictor for Dropout {
    fn predict(&self, batch: &Batch) -> Result<Tensor> {
        Ok(self.network.forward(batch, &batch.presence, Mode::Eval)?.logits)
    }

    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        self.network.predict_combinations(batch, subsets)
    }
}

impl Method for Dropout {
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let drawn = MissingPattern::Uniform.draw(&batch.presence, &clear_to_weak_schema().modalities, &mut step.rng("missing"))?;
        let logits = self.network.forward(batch, &drawn, Mode::Train)?.logits;
        let mut losses = Losses::new("task", cross_entropy(&logits, &batch.labels)?);
        if self.nan_from.is_some_and(|epoch| step.epoch >= epoch) {
            losses = losses.with("broken", 1.0, Tensor::new(f32::NAN, &Device::Cpu)?);
        }
        Ok(losses)
    }

    fn end_of_epoch(&mut self, _: usize, _: &mm_core::train::HeldOut) -> Result<Vec<String>> {
        self.epochs_seen += 1;
        Ok(Vec::new())
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn state(&self) -> serde_json::Value {
        self.epochs_seen.into()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        self.epochs_seen = state.as_u64().unwrap_or_default();
        Ok(())
    }
}
