//! A small method and small data for the tests of the training loop.
#![allow(dead_code)] // each test file uses a part of it

use candle_core::{Device, Tensor};
use mm_core::data::{Batch, InputSpec, Schema, TableDataset, Target};
use mm_core::fusion::{FusionNetwork, NetworkConfig};
use mm_core::loss::cross_entropy;
use mm_core::missing::MissingPattern;
use mm_core::nn::{Mode, Parameters};
use mm_core::predict::{Predictions, Predictor};
use mm_core::train::{Losses, Method, Step};
use mm_core::{Modalities, Presence, Result, Subset, rng};
use rand::RngExt;

/// Three modalities of widths 6, 5, 4; the first tells the class clearly, the others less.
pub fn schema() -> Schema {
    let inputs = [6, 5, 4].map(InputSpec::vector).to_vec();
    let classes = ["a", "b", "c"].map(String::from).to_vec();
    Schema::new(Modalities::new(["strong", "middle", "weak"]).unwrap(), inputs, Target::Classes(classes)).unwrap()
}

/// `samples` of [`schema`], seeded.
pub fn data(samples: usize, seed: u64) -> TableDataset {
    let mut random = rng::stream(seed, "test-data", &[]);
    let labels: Vec<u32> = (0..samples as u32).map(|i| i % 3).collect();
    let columns = [(6, 2.0), (5, 1.0), (4, 0.4)].map(|(width, signal): (usize, f32)| {
        let mut column = Vec::new();
        for &label in &labels {
            column.extend((0..width).map(|d| signal * f32::from(d as u32 == label) + random.random::<f32>() - 0.5));
        }
        column
    });
    TableDataset::new(schema(), columns.to_vec(), Presence::uniform(Subset::full(3), samples), labels).unwrap()
}

/// Modality dropout on the shared network, with a counter in its state.
pub struct Dropout {
    pub parameters: Parameters,
    pub network: FusionNetwork,
    pub epochs_seen: u64,
    /// From this epoch on the loss is NaN.
    pub nan_from: Option<usize>,
}

impl Dropout {
    pub fn new(seed: u64) -> Self {
        let parameters = Parameters::new(seed, &Device::Cpu);
        let network = FusionNetwork::new(&NetworkConfig::default(), &schema(), parameters.builder()).unwrap();
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
        let drawn = MissingPattern::Uniform.draw(&batch.presence, 3, &mut step.rng("missing"))?;
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
