//! Extra supervision of weak combinations (MAR).

use candle_core::Tensor;
use mm_core::Result;
use mm_core::loss::cross_entropy_per_sample;

/// Eq. 14: `(1/B) Σ_b weak_b CE(logits_b, y_b)`: logits `[batch, classes]` of the regularization branch, labels u32 `[batch]`,
/// `weak` f32 `[batch]` with 1 where the sample's combination is weak. Divides by the batch, not by the number selected.
pub fn weak_combination_loss(logits: &Tensor, labels: &Tensor, weak: &Tensor) -> Result<Tensor> {
    let batch = logits.dim(0)? as f64;
    Ok((cross_entropy_per_sample(logits, labels)?.mul(weak)?.sum_all()? / batch)?)
}
