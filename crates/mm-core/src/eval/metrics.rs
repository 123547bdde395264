//! Metrics of a classifier, in f64.

use crate::error::{Error, Result};
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

/// Error rates of presentation-attack detection, class 0 an attack and class 1 live.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SpoofMetrics {
    /// Attacks called live, over attacks; 0 without attacks.
    pub apcer: f64,
    /// Live called attack, over live; 0 without live samples.
    pub bpcer: f64,
    /// Mean of both.
    pub acer: f64,
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

/// Position of the largest number, the first of equals.
fn argmax<T: PartialOrd + Copy>(row: &[T]) -> usize {
    (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

fn check(logits: &[f32], classes: usize, labels: &[u32]) -> Result<()> {
    if classes == 0 || logits.len() != classes * labels.len() {
        return Err(Error::shape("logits", format!("[{}, {classes}]", labels.len()), logits.len()));
    }
    match labels.iter().find(|&&label| label as usize >= classes) {
        Some(label) => Err(Error::Data(format!("label {label} of {classes} classes"))),
        None => Ok(()),
    }
}

/// `matrix[true][predicted]` of `logits [samples, classes]`.
pub fn confusion_matrix(logits: &[f32], classes: usize, labels: &[u32]) -> Result<Vec<Vec<u32>>> {
    check(logits, classes, labels)?;
    let mut matrix = vec![vec![0; classes]; classes];
    for (row, &label) in logits.chunks_exact(classes).zip(labels) {
        matrix[label as usize][argmax(row)] += 1;
    }
    Ok(matrix)
}

/// All metrics of `logits [samples, classes]`; NaN without samples.
pub fn classification_metrics(logits: &[f32], classes: usize, labels: &[u32], bins: usize) -> Result<ClassificationMetrics> {
    let matrix = confusion_matrix(logits, classes, labels)?;
    let probabilities = probabilities(logits, classes);
    let samples = labels.len() as f64;
    let (mut nll, mut brier) = (0.0, 0.0);
    let mut calibration = vec![(0.0, 0.0); bins];
    for ((p, row), &label) in probabilities.chunks_exact(classes).zip(logits.chunks_exact(classes)).zip(labels) {
        let label = label as usize;
        nll -= log_softmax_at(row, label);
        brier += p.iter().enumerate().map(|(k, p)| (p - f64::from(u8::from(k == label))).powi(2)).sum::<f64>();
        let predicted = argmax(row);
        let bin = ((p[predicted] * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        calibration[bin].0 += f64::from(u8::from(predicted == label));
        calibration[bin].1 += p[predicted];
    }
    let true_positives = |k: usize| f64::from(matrix[k][k]);
    let actual = |k: usize| matrix[k].iter().map(|&n| f64::from(n)).sum::<f64>();
    let predicted = |k: usize| matrix.iter().map(|row| f64::from(row[k])).sum::<f64>();
    let f1 = (0..classes).map(|k| 2.0 * true_positives(k) / (predicted(k) + actual(k)).max(1.0)).sum::<f64>();
    let occurring: Vec<usize> = (0..classes).filter(|&k| actual(k) > 0.0).collect();
    Ok(ClassificationMetrics {
        samples: labels.len(),
        accuracy: (0..classes).map(true_positives).sum::<f64>() / samples,
        macro_f1: f1 / classes as f64,
        balanced_accuracy: occurring.iter().map(|&k| true_positives(k) / actual(k)).sum::<f64>() / occurring.len() as f64,
        nll: nll / samples,
        brier: brier / samples,
        ece: calibration.iter().map(|(right, confidence)| (right - confidence).abs()).sum::<f64>() / samples,
    })
}

fn log_softmax_at(row: &[f32], label: usize) -> f64 {
    let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = row.iter().map(|&x| (f64::from(x) - largest).exp()).sum();
    f64::from(row[label]) - largest - sum.ln()
}

/// APCER, BPCER and ACER of two-class logits `[samples, 2]`.
pub fn spoof_metrics(logits: &[f32], labels: &[u32]) -> Result<SpoofMetrics> {
    let matrix = confusion_matrix(logits, 2, labels)?;
    let rate = |wrong: u32, right: u32| if wrong + right == 0 { 0.0 } else { f64::from(wrong) / f64::from(wrong + right) };
    let (apcer, bpcer) = (rate(matrix[0][1], matrix[0][0]), rate(matrix[1][0], matrix[1][1]));
    Ok(SpoofMetrics { apcer, bpcer, acer: (apcer + bpcer) / 2.0 })
}
