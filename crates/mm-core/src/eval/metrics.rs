//! Metrics of a classifier, in f64.

use crate::data::TargetValue;
use crate::error::{Error, Result};
use crate::task::{ClassScores, Scored, Scores};
use serde::{Deserialize, Serialize};

/// Quality of predicted distributions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassificationMetrics {
    /// Samples.
    pub samples: usize,
    /// Share of right predictions.
    pub accuracy: f64,
    /// Mean over all classes of F1; a class that never occurs nor is predicted counts 0.
    pub macro_f1: f64,
    /// Mean recall over the classes that occur.
    pub balanced_accuracy: f64,
    /// Mean negative log-likelihood of the true class, nats.
    pub nll: f64,
    /// Squared error of the probabilities, summed over classes, mean over samples.
    pub brier: f64,
    /// Expected calibration error over `bins` equal intervals `(a, b]` of confidence.
    pub ece: f64,
}

/// Softmax of `logits [samples, classes]` in f64, row by row.
pub fn probabilities(logits: &[f32], classes: usize) -> Vec<f64> {
    let mut all = Vec::with_capacity(logits.len());
    for row in logits.chunks_exact(classes.max(1)) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let start = all.len();
        all.extend(row.iter().map(|&x| f64::from(x - largest).exp()));
        let sum: f64 = all[start..].iter().sum();
        all[start..].iter_mut().for_each(|p| *p /= sum);
    }
    all
}

/// Position of the largest number, the first of equals; 0 of nothing.
pub fn argmax<T: PartialOrd + Copy>(row: &[T]) -> usize {
    (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// `KL(a ‖ b)` of two distributions, in nats.
pub fn divergence(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(p, q)| if *p > 0.0 { p * (p.ln() - q.max(f64::MIN_POSITIVE).ln()) } else { 0.0 }).sum()
}

/// All metrics of `logits [samples, classes]`; NaN without samples.
pub fn classification_metrics(logits: &[f32], classes: usize, labels: &[u32], bins: usize) -> Result<ClassificationMetrics> {
    let scored = scored(logits, classes, labels, bins)?;
    Ok(ClassificationMetrics {
        samples: scored.samples,
        accuracy: scored.get("accuracy"),
        macro_f1: scored.get("macro_f1"),
        balanced_accuracy: scored.get("balanced_accuracy"),
        nll: scored.get("nll"),
        brier: scored.get("brier"),
        ece: scored.get("ece"),
    })
}

/// `matrix[true][predicted]` of `logits [samples, classes]`.
pub fn confusion_matrix(logits: &[f32], classes: usize, labels: &[u32]) -> Result<Vec<Vec<u64>>> {
    Ok(scored(logits, classes, labels, 1)?.confusion)
}

fn scored(logits: &[f32], classes: usize, labels: &[u32], bins: usize) -> Result<Scored> {
    if classes == 0 || logits.len() != classes * labels.len() {
        return Err(Error::shape("logits", format!("[{}, {classes}]", labels.len()), logits.len()));
    }
    let (mut scores, mut numbers) = (ClassScores::new(classes, bins), Vec::with_capacity(labels.len()));
    for (row, &label) in logits.chunks_exact(classes).zip(labels) {
        scores.add(row, &TargetValue::Class(label), &mut numbers)?;
    }
    Ok(scores.finish())
}
