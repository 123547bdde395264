//! The extra task loss of hard combinations (hard combination regularizer, Eq. 11-12).

use crate::HardLoss;
use candle_core::Tensor;
use mm_core::loss::{cross_entropy, cross_entropy_per_sample};
use mm_core::{Error, Result};

/// `(1/B) Σ_i hard_i CE(logits_i, y_i)`: logits `[batch, classes]` of the sampled representations, labels u32 `[batch]`,
/// `hard` f32 `[batch]` with 1 where the sample's combination is hard. A scalar.
///
/// Divides by the batch, not by the number of hard samples: next to the task loss it weighs hard samples `1 + beta`.
/// [`HardLoss::ReferenceBroadcast`] is instead `(Σ hard) · mean CE`, which selects nothing.
pub fn hard_combination_loss(logits: &Tensor, labels: &Tensor, hard: &Tensor, form: HardLoss) -> Result<Tensor> {
    let batch = logits.dim(0)?;
    if hard.dims() != [batch] {
        return Err(Error::shape("hard", format!("[{batch}]"), hard.dims()));
    }
    match form {
        HardLoss::PerSample => Ok(cross_entropy_per_sample(logits, labels)?.mul(hard)?.mean_all()?),
        HardLoss::ReferenceBroadcast => Ok((cross_entropy(logits, labels)? * hard.sum_all()?)?),
    }
}
