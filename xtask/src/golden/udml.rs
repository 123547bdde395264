//! The cases of UDML.

use super::case::{Case, Outputs};
use anyhow::Result;
use candle_core::Tensor;
use udml::ConcatHead;

/// Weights from noise levels and dependence; with a mask where modalities are absent.
pub fn weights(case: &Case) -> Result<Outputs> {
    let (log_level, dependence) = (case.variable("log_level")?, case.tensor("dependence")?);
    if let Ok(present) = case.tensor("present") {
        return Outputs::default().tensor("weights", &udml::udml_weights(&log_level, &dependence, Some(&present))?);
    }
    let weights = udml::udml_weights(&log_level, &dependence, None)?;
    let gradients = weights.sqr()?.sum_all()?.backward()?;
    let outputs = Outputs::default().tensor("weights", &weights)?.tensor("static", &udml::static_weights(&dependence)?)?;
    outputs.gradient("log_level", &log_level, &gradients)
}

/// Fused and unimodal logits of the head on the concatenation, and the dependence.
pub fn head(case: &Case) -> Result<Outputs> {
    let modalities: usize = case.param("modalities")?;
    let features = (0..modalities).map(|m| case.tensor(&format!("feature_{m}"))).collect::<Result<Vec<Tensor>>>()?;
    let widths = features.iter().map(|f| f.dim(1)).collect::<candle_core::Result<Vec<usize>>>()?;
    let head = ConcatHead::new(case.tensor("head.weight")?, case.tensor("head.bias")?, widths)?;
    let parts = features.iter().enumerate().map(|(m, f)| head.part(m, f)).collect::<mm_core::Result<Vec<Tensor>>>()?;
    let (parts, weights) = (Tensor::stack(&parts, 1)?, case.tensor("weights")?);
    let unimodal = udml::unimodal_logits(&parts, &weights, head.bias(), true)?;
    let mut outputs = Outputs::default()
        .tensor("logits", &udml::fused_logits(&parts, &weights, head.bias(), true)?)?
        .tensor("dependence_leave_one_out", &udml::leave_one_out_dependence(&parts, None)?)?;
    for m in 0..modalities {
        outputs = outputs.tensor(&format!("logits_{m}"), &unimodal.narrow(1, m, 1)?.squeeze(1)?)?;
    }
    Ok(outputs)
}

/// Squared error of the predicted level.
pub fn noise_level_loss(case: &Case) -> Result<Outputs> {
    Outputs::default().tensor("loss", &udml::noise_level_loss(&case.tensor("log_level")?, &case.tensor("level")?, None)?)
}
