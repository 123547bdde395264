//! Prediction with some sensors missing.

use crate::corrupt::{Screened, screen_non_finite};
use crate::data::{Batch, NonFinite};
use crate::error::{Error, Result};
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

/// Refuses logits `[samples, classes]` that are NaN or infinite: what follows would call them class 0 or a mistake. The error names the
/// combination and the first such sample.
pub fn check_logits(logits: &[f32], classes: usize, combination: &str, samples: impl IntoIterator<Item = u64>) -> Result<()> {
    let broken = logits.chunks_exact(classes.max(1)).zip(samples).find(|(row, _)| row.iter().any(|x| !x.is_finite()));
    match broken {
        None => Ok(()),
        Some((row, sample)) => Err(Error::NonFinite(format!(
            "the model's prediction from {combination} for sample {sample} (row of the data set, counted from 0) is {row:?}; either its weights have diverged or a reading is far outside what it was trained on"
        ))),
    }
}

/// A trained model that predicts with whatever modalities are there.
pub trait Predictor {
    /// Logits `[batch, classes]`, each sample with the modalities that `batch.presence` says it has. What it says is there is
    /// read, be it NaN; [`Predictor::predict_screened`] looks first.
    fn predict(&self, batch: &Batch) -> Result<Tensor>;

    /// [`Predictor::predict`] of what [`screen_non_finite`] leaves of the batch: readings with a NaN or an infinity count as
    /// absent, and so no such value is read. The logits are of the samples of [`Screened::batch`].
    fn predict_screened(&self, batch: &Batch) -> Result<(Tensor, Screened)> {
        let screened = screen_non_finite(batch, NonFinite::Absent)?;
        Ok((self.predict(&screened.batch)?, screened))
    }

    /// Logits of each combination, as if every sample had exactly its modalities. Rows of samples that lack one of them
    /// have no meaning.
    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions>;

    /// Whether the model can predict from this combination.
    fn supports(&self, _subset: Subset) -> bool {
        true
    }
}
