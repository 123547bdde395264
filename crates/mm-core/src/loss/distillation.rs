//! Terms that compare predicted distributions.

use candle_core::{Result, Tensor};
use candle_nn::ops::{log_softmax, softmax};

/// `T² KL(softmax(teacher/T) ‖ softmax(student/T))`, summed over classes, mean over the batch. The teacher gets no gradient.
pub fn softened_kl(student: &Tensor, teacher: &Tensor, temperature: f64) -> Result<Tensor> {
    let teacher = (teacher.detach() / temperature)?;
    let (log_teacher, log_student) = (log_softmax(&teacher, 1)?, log_softmax(&(student / temperature)?, 1)?);
    let divergence = softmax(&teacher, 1)?.mul(&(log_teacher - log_student)?)?.sum(1)?.mean_all()?;
    divergence * (temperature * temperature)
}

/// Entropy of `softmax(logits)` in nats, one number a sample; exactly 0 (not NaN) where a probability underflows.
pub fn entropy_per_sample(logits: &Tensor) -> Result<Tensor> {
    softmax(logits, 1)?.mul(&log_softmax(logits, 1)?)?.sum(1)?.neg()
}
