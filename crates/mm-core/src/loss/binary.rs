//! Binary cross entropy.

use candle_core::{Result, Tensor};

/// Mean over all elements of `max(x, 0) - x t + log(1 + exp(-|x|))`, finite for every finite logit.
pub fn binary_cross_entropy_with_logits(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let log_term = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    ((logits.relu()? - logits.mul(targets)?)? + log_term)?.mean_all()
}
