//! The extra task loss of hard combinations (hard combination regularizer, Eq. 11-12).

use crate::HardLoss;
use candle_core::Tensor;
use mm_core::{Error, Result};

/// `(1/B) Σ_i hard_i CE(logits_i, y_i)` from the task's loss of each sample `[batch]`, of the sampled representations, and `hard`, f32
/// `[batch]` with 1 where the sample's combination is hard. A scalar.
///
/// Divides by the batch, not by the number of hard samples: next to the task loss it weighs hard samples `1 + beta`.
/// [`HardLoss::ReferenceBroadcast`] is instead `(Σ hard) · mean CE`, which selects nothing.
pub fn hard_combination_loss(loss_per_sample: &Tensor, hard: &Tensor, form: HardLoss) -> Result<Tensor> {
    let batch = loss_per_sample.dim(0)?;
    if hard.dims() != [batch] {
        return Err(Error::shape("hard", format!("[{batch}]"), hard.dims()));
    }
    match form {
        HardLoss::PerSample => Ok(loss_per_sample.mul(hard)?.mean_all()?),
        HardLoss::ReferenceBroadcast => Ok((loss_per_sample.mean_all()? * hard.sum_all()?)?),
    }
}
