//! Softmax cross entropy.

use candle_core::{Result, Tensor};
use candle_nn::ops::log_softmax;

/// `-log softmax(logits)[label]`, one number a sample: logits `[batch, classes]`, labels u32 `[batch]`, result `[batch]`.
pub fn cross_entropy_per_sample(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    log_softmax(logits, 1)?.gather(&labels.unsqueeze(1)?, 1)?.squeeze(1)?.neg()
}

/// Mean of [`cross_entropy_per_sample`] over the batch: a scalar.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    cross_entropy_per_sample(logits, labels)?.mean_all()
}
