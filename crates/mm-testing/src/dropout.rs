//! A small method for the tests of the training loop.

use crate::clear_to_weak_schema;
use candle_core::{Device, Tensor};
use mm_core::data::Batch;
use mm_core::fusion::{FusionModel, NetworkConfig};
use mm_core::missing::MissingPattern;
use mm_core::nn::{Mode, Parameters};
use mm_core::train::{Losses, Method, Step};
use mm_core::{Model, Result};

/// Modality dropout on the shared network and the data of [`crate::clear_to_weak`], with a counter in its state.
pub struct Dropout {
    /// What is trained.
    pub model: FusionModel,
    /// The counter: epochs that ended.
    pub epochs_seen: u64,
    /// From this epoch on the loss is NaN.
    pub nan_from: Option<usize>,
}

impl Dropout {
    /// Untrained, with these initial weights.
    pub fn new(seed: u64) -> Self {
        let parameters = Parameters::new(seed, &Device::Cpu);
        let model = FusionModel::new(&NetworkConfig::default(), &clear_to_weak_schema(), parameters).unwrap();
        Self { model, epochs_seen: 0, nan_from: None }
    }
}

impl Method for Dropout {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let schema = self.model.schema();
        let drawn = MissingPattern::Uniform.draw(batch.presence(), &schema.modalities, batch.ids(), &step.draws("missing"))?;
        let output = self.model.network().forward(batch.inputs(), &drawn, Mode::Train)?;
        let mut losses = Losses::new("task", schema.target.task().loss(&output.prediction, batch.targets())?);
        if self.nan_from.is_some_and(|epoch| step.epoch >= epoch) {
            losses = losses.with("broken", 1.0, Tensor::new(f32::NAN, &Device::Cpu)?);
        }
        Ok(losses)
    }

    fn end_of_epoch(&mut self, _: usize, _: &mm_core::train::HeldOut) -> Result<Vec<String>> {
        self.epochs_seen += 1;
        Ok(Vec::new())
    }

    fn state(&self) -> serde_json::Value {
        self.epochs_seen.into()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        self.epochs_seen = state.as_u64().unwrap_or_default();
        Ok(())
    }
}
