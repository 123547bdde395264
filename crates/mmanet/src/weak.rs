//! Extra supervision of weak combinations (MAR).

use candle_core::Tensor;
use mm_core::Result;

/// Eq. 14: `(1/B) Σ_b weak_b CE(logits_b, y_b)` from the task's loss of each sample `[batch]`, of the regularization branch, and `weak`,
/// f32 `[batch]` with 1 where the sample's combination is weak. Divides by the batch, not by the number selected.
pub fn weak_combination_loss(loss_per_sample: &Tensor, weak: &Tensor) -> Result<Tensor> {
    let batch = loss_per_sample.dim(0)? as f64;
    Ok((loss_per_sample.mul(weak)?.sum_all()? / batch)?)
}
