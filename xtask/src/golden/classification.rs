//! The cases of losses and metrics of classifiers.

use super::case::{Case, Outputs};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use mm_core::data::TargetValue;
use mm_core::eval::classification_metrics;
use mm_core::task::{FaceAntiSpoofing, Task};

/// Binary cross entropy at large logits.
pub fn bce_with_logits(case: &Case) -> Result<Outputs> {
    let logits = case.variable("logits")?;
    let loss = mm_core::loss::binary_cross_entropy_with_logits(&logits, &case.tensor("targets")?)?;
    Outputs::default().tensor("loss", &loss)?.gradient("logits", &logits, &loss.backward()?)
}

fn logits_and_labels(case: &Case) -> Result<(Tensor, Vec<f32>, Vec<u32>)> {
    let logits = case.tensor("logits")?;
    let flat = logits.flatten_all()?.to_vec1::<f32>()?;
    Ok((logits, flat, case.labels("labels")?.to_vec1::<u32>()?))
}

/// Accuracy, F1, recall, likelihood, calibration.
pub fn metrics(case: &Case) -> Result<Outputs> {
    let (logits, flat, labels) = logits_and_labels(case)?;
    let bins = case.param("ece_bins")?;
    ensure!(bins > 0, "no bins");
    let m = classification_metrics(&flat, logits.dim(1)?, &labels, bins)?;
    Ok(Outputs::default()
        .scalar("accuracy", m.accuracy)
        .scalar("macro_f1", m.macro_f1)
        .scalar("balanced_accuracy", m.balanced_accuracy)
        .scalar("nll", m.nll)
        .scalar("brier", m.brier)
        .scalar("ece", m.ece))
}

/// Presentation-attack error rates.
pub fn spoof(case: &Case) -> Result<Outputs> {
    let (_, flat, labels) = logits_and_labels(case)?;
    let mut scores = FaceAntiSpoofing::new(["attack", "live"].map(String::from)).scores("accuracy");
    let mut numbers = Vec::new();
    for (row, &label) in flat.chunks_exact(2).zip(&labels) {
        scores.add(row, &TargetValue::Class(label), &mut numbers)?;
    }
    let m = scores.finish();
    let scalar = |outputs: Outputs, name: &str| outputs.scalar(name, m.get(name));
    Ok(["apcer", "bpcer", "acer"].into_iter().fold(Outputs::default(), scalar))
}
