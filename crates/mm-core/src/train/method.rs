//! What a method provides to the training loop.

use crate::data::{Batch, Dataset};
use crate::error::{Error, Result};
use crate::modality::Presence;
use crate::nn::Parameters;
use crate::predict::Predictor;
use crate::rng::{self, Rng};
use candle_core::{Device, Tensor};

/// Where the training is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 0.
    pub epoch: usize,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Step within the epoch, from 0.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
}

impl Step {
    /// The generator of this step for one purpose; no other draw can shift it.
    pub fn rng(&self, purpose: &str) -> Rng {
        rng::stream(self.seed, purpose, &[self.epoch as u64, self.step as u64])
    }

    /// Progress of the run in `[0, 1)`.
    pub fn progress(&self) -> f64 {
        (self.epoch as f64 + self.step as f64 / self.steps.max(1) as f64) / self.epochs.max(1) as f64
    }
}

/// The named terms of a loss; the gradient is that of their weighted sum.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    terms: Vec<(&'static str, f64, Tensor)>,
}

impl Losses {
    /// A loss with one term of weight 1.
    pub fn new(name: &'static str, value: Tensor) -> Self {
        Self { terms: vec![(name, 1.0, value)] }
    }

    /// Adds `weight * value`, a scalar; logged without its weight.
    pub fn with(mut self, name: &'static str, weight: f64, value: Tensor) -> Self {
        self.terms.push((name, weight, value));
        self
    }

    /// Whether there is no term: the batch holds nothing that the method can learn from, and the step is skipped.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Names and unweighted values.
    pub fn terms(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        self.terms.iter().map(|(name, _, value)| (*name, value))
    }

    /// The weighted sum, a scalar tensor.
    pub fn total(&self) -> Result<Tensor> {
        let mut total: Option<Tensor> = None;
        for (_, weight, value) in &self.terms {
            let value = if *weight == 1.0 { value.clone() } else { (value * *weight)? };
            total = Some(match total {
                Some(total) => (total + value)?,
                None => value,
            });
        }
        total.ok_or_else(|| Error::config("loss", "a method returned no loss term"))
    }
}

/// Samples kept out of the gradient: for mining and model selection, never the test set.
pub struct HeldOut<'a> {
    /// The data set.
    pub dataset: &'a dyn Dataset,
    /// Its held-out rows; may be empty.
    pub rows: &'a [usize],
    /// Samples per batch.
    pub batch_size: usize,
    /// Where tensors go.
    pub device: &'a Device,
}

impl HeldOut<'_> {
    /// The held-out samples in batches.
    pub fn batches(&self) -> impl Iterator<Item = Result<Batch>> {
        self.rows.chunks(self.batch_size.max(1)).map(|rows| self.dataset.batch(rows, self.device))
    }
}

/// A way to train a model on incomplete modalities.
pub trait Method: Predictor {
    /// The loss of one batch, in training mode; `batch.presence` is what the data has, and what is dropped on top of that is
    /// the method's affair. Without a term the step is skipped.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses>;

    /// Refuses samples that the method cannot be trained on, before training begins: what those for training and those for
    /// validation have.
    fn check_samples(&self, _train: &Presence, _validation: &Presence) -> Result<()> {
        Ok(())
    }

    /// Largest L2 norm of all gradients together where the training settings say nothing; none by default.
    fn clip_norm(&self) -> Option<f64> {
        None
    }

    /// Called after each epoch, for mining and the like; returns remarks for the log.
    fn end_of_epoch(&mut self, _epoch: usize, _held_out: &HeldOut) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Called once after the last epoch; returns remarks for the log.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// All variables of the training: those of the deployed model and those that only training needs.
    fn parameters(&self) -> &Parameters;

    /// Whether a parameter belongs to the deployed model.
    fn is_deployed(&self, _name: &str) -> bool {
        true
    }

    /// What else training carries from step to step (mined sets, moving averages), for the checkpoint.
    fn state(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Takes up a saved [`Method::state`].
    fn restore(&mut self, _state: &serde_json::Value) -> Result<()> {
        Ok(())
    }
}
