//! What a method provides to the training loop.

use super::Losses;
use crate::data::{Batch, Source};
use crate::error::Result;
use crate::modality::Presence;
use crate::model::Model;
use crate::nn::Parameters;
use crate::rng::Draws;
use candle_core::Device;

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
    /// The draws of this epoch for one purpose, a stream for each sample: they depend neither on other draws nor on the batch.
    pub fn draws(&self, purpose: &str) -> Draws {
        Draws::new(self.seed, purpose, &[self.epoch as u64])
    }

    /// Progress of the run in `[0, 1)`.
    pub fn progress(&self) -> f64 {
        (self.epoch as f64 + self.step as f64 / self.steps.max(1) as f64) / self.epochs.max(1) as f64
    }
}

/// Samples for other things than the gradient: for mining and model selection those kept out of it, never the test set.
pub struct HeldOut<'a> {
    /// The data set.
    pub source: &'a dyn Source,
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
        self.rows.chunks(self.batch_size.max(1)).map(|rows| self.source.batch(rows, self.device))
    }
}

/// A way to train a model on incomplete modalities. It owns the model, and what only training needs: a teacher, branches, mined sets.
pub trait Method: Send {
    /// The model as it is.
    fn model(&self) -> &dyn Model;

    /// The model alone, when training is over.
    fn into_model(self: Box<Self>) -> Box<dyn Model>;

    /// The loss of one batch, in training mode; the presence of its inputs is what the data has, and what is dropped on top of that is
    /// the method's affair. Without a term the step is skipped.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses>;

    /// Variables that only training has; the model's are its own.
    fn training_parameters(&self) -> Option<&Parameters> {
        None
    }

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

    /// Called once after training, with the weights that are kept: for what is fitted to the training samples by a finished network.
    fn after_training(&mut self, _training: &HeldOut) -> Result<()> {
        Ok(())
    }

    /// Called once after the last epoch; returns remarks for the log.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// What else training carries from step to step (mined sets, counts), for the checkpoint.
    fn state(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Takes up a saved [`Method::state`].
    fn restore(&mut self, _state: &serde_json::Value) -> Result<()> {
        Ok(())
    }

    /// All variables of the training: the model's and those that only training has.
    fn parameters(&self) -> Parameters {
        match self.training_parameters() {
            Some(training) => self.model().parameters().joined(training),
            None => self.model().parameters().clone(),
        }
    }
}
