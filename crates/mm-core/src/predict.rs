//! Prediction with some sensors missing.

use crate::data::Batch;
use crate::error::Result;
use crate::modality::Subset;
use candle_core::Tensor;

/// Predictions for several combinations of the same samples.
#[derive(Debug, Clone)]
pub struct Predictions {
    /// `[combinations, batch, classes]`; their softmax is the predicted distribution.
    pub logits: Tensor,
    /// Encoder runs that it took.
    pub encoder_passes: usize,
}

/// A trained model that predicts with whatever modalities are there.
pub trait Predictor {
    /// Logits `[batch, classes]`, each sample with the modalities that `batch.presence` says it has.
    fn predict(&self, batch: &Batch) -> Result<Tensor>;

    /// Logits of each combination, as if every sample had exactly its modalities. Rows of samples that lack one of them
    /// have no meaning.
    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions>;

    /// Whether the model can predict from this combination.
    fn supports(&self, _subset: Subset) -> bool {
        true
    }
}
