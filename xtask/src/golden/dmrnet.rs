//! The cases of DMRNet.

use super::case::{Case, Outputs};
use anyhow::Result;
use dmrnet::HardLoss;
use mm_core::loss::cross_entropy_per_sample;

/// KL of diagonal Gaussians to N(0, I).
pub fn gaussian_kl(case: &Case) -> Result<Outputs> {
    let (mean, log_var) = (case.variable("mean")?, case.variable("log_var")?);
    let loss = dmrnet::gaussian_kl(&mean, &log_var)?;
    let gradients = loss.backward()?;
    Outputs::default().tensor("loss", &loss)?.gradient("mean", &mean, &gradients)?.gradient("log_var", &log_var, &gradients)
}

/// A sample with given noise, and the gradients of its squared length.
pub fn reparameterize(case: &Case) -> Result<Outputs> {
    let (mean, log_var) = (case.variable("mean")?, case.variable("log_var")?);
    let sample = dmrnet::reparameterize(&mean, &log_var, &case.tensor("noise")?)?;
    let gradients = sample.sqr()?.sum_all()?.backward()?;
    Outputs::default().tensor("sample", &sample)?.gradient("mean", &mean, &gradients)?.gradient("log_var", &log_var, &gradients)
}

/// Extra loss of hard combinations, both forms.
pub fn hard_combination_loss(case: &Case) -> Result<Outputs> {
    let mode: HardLoss = case.param("mode")?;
    let logits = case.variable("logits")?;
    let loss = dmrnet::hard_combination_loss(&cross_entropy_per_sample(&logits, &case.labels("labels")?)?, &case.tensor("hard")?, mode)?;
    Outputs::default().tensor("loss", &loss)?.gradient("logits", &logits, &loss.backward()?)
}
