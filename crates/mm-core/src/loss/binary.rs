//! Losses of labels that hold or not, each by its own logit.

use candle_core::{Result, Tensor};

/// Of each element `max(x, 0) - x t + log(1 + exp(-|x|))`, finite for every finite logit; logits and targets of one shape.
pub fn binary_cross_entropy_per_element(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    (logits.relu()? - logits.mul(targets)?)? + log_one_plus_exp(logits)?
}

/// Mean over all elements of [`binary_cross_entropy_per_element`].
pub fn binary_cross_entropy_with_logits(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    binary_cross_entropy_per_element(logits, targets)?.mean_all()
}

/// `log(1 + exp(-|x|))`.
fn log_one_plus_exp(logits: &Tensor) -> Result<Tensor> {
    (logits.abs()?.neg()?.exp()? + 1.0)?.log()
}

/// Entropy in nats of each element's `sigmoid(logit)`, never negative.
pub fn binary_entropy(logits: &Tensor) -> Result<Tensor> {
    binary_cross_entropy_per_element(logits, &candle_nn::ops::sigmoid(logits)?)?.relu()
}

/// `T² KL(sigmoid(teacher/T) ‖ sigmoid(student/T))` of one label's two outcomes, mean over labels and batch. The teacher gets no gradient.
pub fn softened_binary_kl(student: &Tensor, teacher: &Tensor, temperature: f64) -> Result<Tensor> {
    let (teacher, student) = ((teacher.detach() / temperature)?, (student / temperature)?);
    let probability = candle_nn::ops::sigmoid(&teacher)?;
    let own = binary_cross_entropy_per_element(&teacher, &probability)?;
    let divergence = (binary_cross_entropy_per_element(&student, &probability)? - own)?;
    divergence.mean_all()? * (temperature * temperature)
}
