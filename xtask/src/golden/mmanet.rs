//! The cases of MMANet.

use super::case::{Case, Outputs};
use anyhow::{Result, ensure};
use mm_core::loss::{cross_entropy_per_sample, entropy_per_sample};
use mmanet::{Weighting, histogram_distance, margin_aware_distillation, reference_histogram_distance};

/// Margin-aware distillation, both weightings and a zero row.
pub fn mad(case: &Case) -> Result<Outputs> {
    let weighting: Weighting = case.param("weighting")?;
    let student = case.variable("student")?;
    let mut input = student.as_tensor().clone();
    if let Ok(mask) = case.tensor("student_row_mask") {
        input = input.broadcast_mul(&mask.unsqueeze(1)?)?;
    }
    let loss =
        margin_aware_distillation(&input, &case.tensor("teacher")?, &entropy_per_sample(&case.tensor("teacher_logits")?)?, weighting)?;
    Outputs::default().tensor("loss", &loss)?.gradient("student", &student, &loss.backward()?)
}

/// Distances of prediction counts, smoothed and as published.
pub fn mar_distance(case: &Case) -> Result<Outputs> {
    let full = case.numbers("count_full")?;
    let counts = case.numbers("counts")?;
    ensure!(!full.is_empty(), "no class is counted");
    let rows = || counts.chunks_exact(full.len());
    let smoothed: Vec<f64> = rows().map(|row| histogram_distance(row, &full)).collect();
    let reference: Vec<f64> = rows().map(|row| reference_histogram_distance(row, &full)).collect();
    let shape = [smoothed.len()];
    Ok(Outputs::default().numbers("smoothed", &shape, smoothed).numbers("reference", &shape, reference))
}

/// Cross entropy on weak samples only.
pub fn weak_combination_loss(case: &Case) -> Result<Outputs> {
    let logits = case.variable("logits")?;
    let loss = mmanet::weak_combination_loss(&cross_entropy_per_sample(&logits, &case.labels("labels")?)?, &case.tensor("weak")?)?;
    Outputs::default().tensor("loss", &loss)?.gradient("logits", &logits, &loss.backward()?)
}
