//! One class a sample.

use super::ranking::Ranking;
use super::{Measure, Scored, Scores, Task, check_names};
use crate::data::{DataError, TargetValue, Targets};
use crate::error::{Error, Result};
use crate::eval::{argmax, decide, divergence, probabilities};
use crate::loss::{cross_entropy_per_sample, entropy_per_sample, softened_kl};
use crate::statistics::Score;
use candle_core::{Device, Tensor};
use candle_nn::ops::softmax;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Keeps the logarithm of an averaged probability finite.
pub(super) const LEAST_PROBABILITY: f64 = 1e-12;
/// Bins of the calibration error.
pub(crate) const ECE_BINS: usize = 15;

/// One class a sample: label `i` is the class with the `i`-th name; predictions are logits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Classes {
    names: Vec<String>,
}

impl Classes {
    /// From the names, in label order.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect() }
    }

    /// The names, in label order.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

const MEASURES: [Measure; 8] = [
    Measure::share("accuracy", "accuracy", "share of right predictions"),
    Measure::share("macro_f1", "macro F1", "mean of F1 over the classes that occur or are predicted"),
    Measure::share("balanced_accuracy", "balanced accuracy", "mean recall over the classes that occur"),
    Measure::share(
        "auroc",
        "AUROC",
        "probability that a sample of a class gets a higher probability of it than another sample; with more than two classes the mean over classes",
    ),
    Measure::share("auprc", "AUPRC", "average precision of the second class; with more than two classes the mean over classes"),
    Measure::error("nll", "log loss", "mean negative log-likelihood of the true class, nats"),
    Measure::error("brier", "Brier score", "squared error of the probabilities, summed over classes, mean over samples"),
    Measure::error("ece", "calibration error", "expected calibration error over 15 equal intervals of confidence"),
];

impl Task for Classes {
    fn outputs(&self) -> usize {
        self.names.len()
    }

    fn check(&self) -> Result<()> {
        check_names(&self.names)
    }

    fn collate(&self, targets: &[TargetValue], device: &Device) -> Result<Targets> {
        let labels: Vec<u32> = targets.iter().map(label_of).collect::<Result<_>>()?;
        Ok(Targets::new(Tensor::from_vec(labels, targets.len(), device)?))
    }

    fn values(&self, targets: &Targets) -> Result<Vec<TargetValue>> {
        Ok(targets.values().to_vec1::<u32>()?.into_iter().map(TargetValue::Class).collect())
    }

    fn loss_per_sample(&self, prediction: &Tensor, targets: &Targets) -> Result<Tensor> {
        targets.per_sample(|labels| Ok(cross_entropy_per_sample(prediction, labels)?))
    }

    fn uncertainty(&self, prediction: &Tensor) -> Result<Tensor> {
        Ok(entropy_per_sample(prediction)?)
    }

    fn distillation(&self, student: &Tensor, teacher: &Tensor, temperature: f64) -> Result<Tensor> {
        Ok(softened_kl(student, teacher, temperature)?)
    }

    fn divergence(&self, reference: &[f32], prediction: &[f32]) -> f64 {
        divergence(&probabilities(reference, self.names.len()), &probabilities(prediction, self.names.len()))
    }

    fn expectation(&self, prediction: &Tensor) -> Result<Tensor> {
        Ok(softmax(prediction, 1)?)
    }

    /// Log-probabilities, which are logits of the distribution.
    fn of_expectation(&self, mean: &Tensor) -> Result<Tensor> {
        Ok((mean + LEAST_PROBABILITY)?.log()?)
    }

    fn measures(&self) -> &'static [Measure] {
        &MEASURES
    }

    fn score(&self, measure: &str) -> Option<Score> {
        let classes = self.names.len();
        match measure {
            "accuracy" | "nll" | "brier" => Some(Score::Mean),
            "macro_f1" => Some(Score::MeanF1 { classes }),
            "balanced_accuracy" => Some(Score::MeanRecall { classes }),
            // Of two classes the second's is the other's.
            "auroc" => Some(Score::AreaUnderRoc { outputs: if classes == 2 { 1 } else { classes } }),
            "auprc" => Some(Score::AveragePrecision { outputs: if classes == 2 { 1 } else { classes } }),
            _ => None,
        }
    }

    fn scores(&self, measure: &str) -> Box<dyn Scores> {
        Box::new(ClassScores::new(self.names.len(), ECE_BINS).numbers_of(measure))
    }
}

/// The numbers of a sample that a score asks for.
#[derive(Debug, Clone, Copy)]
enum Numbers {
    Right,
    LogLoss,
    Brier,
    /// Right, called and actual, by class.
    Counts,
    /// Right and actual, by class.
    Recall,
    /// The odds of each class, and which it is.
    Odds,
}

fn label_of(target: &TargetValue) -> Result<u32> {
    match target {
        TargetValue::Class(label) => Ok(*label),
        _ => Err(DataError::TargetKind { expected: "one class" }.into()),
    }
}

/// Scores of predicted distributions, added up in the order of the samples, in f64.
#[derive(Debug, Clone)]
pub struct ClassScores {
    samples: usize,
    /// `[true][predicted]`.
    confusion: Vec<Vec<u64>>,
    nll: f64,
    brier: f64,
    /// Right answers and confidence of each bin.
    calibration: Vec<(f64, f64)>,
    ranking: Ranking,
    /// `exp(logit - largest)` of the sample at hand.
    shares: Vec<f64>,
    numbers: Numbers,
    /// From which probability on the second of two classes is predicted.
    threshold: Option<f64>,
}

impl ClassScores {
    /// Of so many classes, with the calibration error over so many bins.
    pub fn new(classes: usize, bins: usize) -> Self {
        Self {
            samples: 0,
            confusion: vec![vec![0; classes]; classes],
            nll: 0.0,
            brier: 0.0,
            calibration: vec![(0.0, 0.0); bins.max(1)],
            ranking: Ranking::new(classes),
            shares: vec![0.0; classes],
            numbers: Numbers::Right,
            threshold: None,
        }
    }

    /// With the numbers of each sample that [`Task::score`] of a measure asks for.
    pub(super) fn numbers_of(self, measure: &str) -> Self {
        let numbers = match measure {
            "nll" => Numbers::LogLoss,
            "brier" => Numbers::Brier,
            "macro_f1" => Numbers::Counts,
            "balanced_accuracy" => Numbers::Recall,
            "auroc" | "auprc" => Numbers::Odds,
            _ => Numbers::Right,
        };
        Self { numbers, ..self }
    }

    /// Appends them for a sample whose shares are known.
    fn append(&self, prediction: &[f32], sum: f64, (label, predicted): (usize, usize), (nll, brier): (f64, f64), numbers: &mut Vec<f32>) {
        let classes = self.shares.len();
        let is = |class: usize| move |k: usize| f32::from(u8::from(k == class));
        let right = |k: usize| f32::from(u8::from(k == label && label == predicted));
        match self.numbers {
            Numbers::Right => numbers.push(f32::from(u8::from(predicted == label))),
            Numbers::LogLoss => numbers.push(nll as f32),
            Numbers::Brier => numbers.push(brier as f32),
            Numbers::Counts => {
                numbers.extend((0..classes).map(right).chain((0..classes).map(is(predicted))).chain((0..classes).map(is(label))));
            }
            Numbers::Recall => numbers.extend((0..classes).map(right).chain((0..classes).map(is(label)))),
            Numbers::Odds if classes == 2 => numbers.extend([prediction[1] - prediction[0], is(label)(1)]),
            Numbers::Odds => {
                numbers.extend(self.shares.iter().map(|share| (share / (sum - share)) as f32));
                numbers.extend((0..classes).map(is(label)));
            }
        }
    }
}

impl Scores for ClassScores {
    fn add(&mut self, prediction: &[f32], target: &TargetValue, numbers: &mut Vec<f32>) -> Result<()> {
        let label = label_of(target)?;
        let classes = self.confusion.len();
        if prediction.len() != classes {
            return Err(Error::shape("logits", format!("[{classes}]"), prediction.len()));
        }
        if label as usize >= classes {
            return Err(DataError::Label { label, classes }.into());
        }
        let label = label as usize;
        let likeliest = argmax(prediction);
        let predicted = decide(prediction, self.threshold);
        let above = |k: usize| f64::from(prediction[k]) - f64::from(prediction[likeliest]);
        self.shares.iter_mut().enumerate().for_each(|(k, share)| *share = above(k).exp());
        let sum: f64 = self.shares.iter().sum();
        self.samples += 1;
        self.confusion[label][predicted] += 1;
        let nll = sum.ln() - above(label);
        let of_label = |k: usize| f64::from(u8::from(k == label));
        let brier = self.shares.iter().enumerate().map(|(k, share)| (share / sum - of_label(k)).powi(2)).sum::<f64>();
        self.nll += nll;
        self.brier += brier;
        let (bins, confidence) = (self.calibration.len(), self.shares[likeliest] / sum);
        let bin = ((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        self.calibration[bin].0 += f64::from(u8::from(likeliest == label));
        self.calibration[bin].1 += confidence;
        self.ranking.add(prediction, &self.shares, sum, label);
        self.append(prediction, sum, (label, predicted), (nll, brier), numbers);
        Ok(())
    }

    fn decide_at(&mut self, threshold: f64) {
        self.threshold = Some(threshold);
    }

    fn finish(&self) -> Scored {
        let (samples, classes, matrix) = (self.samples as f64, self.confusion.len(), &self.confusion);
        let true_positives = |k: usize| matrix[k][k] as f64;
        let actual = |k: usize| matrix[k].iter().map(|&n| n as f64).sum::<f64>();
        let predicted = |k: usize| matrix.iter().map(|row| row[k] as f64).sum::<f64>();
        let concerned = (0..classes).filter(|&k| predicted(k) + actual(k) > 0.0);
        let f1: Vec<f64> = concerned.map(|k| 2.0 * true_positives(k) / (predicted(k) + actual(k))).collect();
        let occurring: Vec<usize> = (0..classes).filter(|&k| actual(k) > 0.0).collect();
        let mut values = BTreeMap::from([
            ("accuracy", (0..classes).map(true_positives).sum::<f64>() / samples),
            ("macro_f1", f1.iter().sum::<f64>() / f1.len() as f64),
            ("balanced_accuracy", occurring.iter().map(|&k| true_positives(k) / actual(k)).sum::<f64>() / occurring.len() as f64),
            ("nll", self.nll / samples),
            ("brier", self.brier / samples),
            ("ece", self.calibration.iter().map(|(right, confidence)| (right - confidence).abs()).sum::<f64>() / samples),
        ]);
        values.extend(self.ranking.areas().into_iter().flat_map(|(roc, pr)| [("auroc", roc), ("auprc", pr)]));
        Scored { samples: self.samples, values, confusion: self.confusion.clone(), ..Scored::default() }
    }
}
