//! Several labels a sample, any number of which hold.

use super::classes::{ECE_BINS, LEAST_PROBABILITY};
use super::measure::means;
use super::ranking::Ranking;
use super::{Measure, Scored, Scores, Task, check_names};
use crate::data::{DataError, TargetValue, Targets};
use crate::error::{Error, Result};
use crate::loss::{binary_cross_entropy_per_element, binary_entropy, softened_binary_kl};
use crate::statistics::Score;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Labels of which any number hold for a sample: predictions are `[batch, labels]`, the logit of each; one above 0 is predicted. Losses,
/// uncertainties and distances are means over the labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels {
    names: Vec<String>,
}

impl Labels {
    /// From their names.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect() }
    }

    /// Their names, in the order of the predictions.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

const MEASURES: [Measure; 8] = [
    Measure::share("macro_f1", "macro F1", "mean of F1 over the labels that hold for some sample or are predicted"),
    Measure::share("micro_f1", "micro F1", "F1 of all labels of all samples together"),
    Measure::share("map", "mean average precision", "average precision of each label, mean over those that hold for some samples"),
    Measure::share(
        "auroc",
        "AUROC",
        "probability that a sample with a label gets a higher probability of it than one without, mean over labels",
    ),
    Measure::share("exact_match", "exact match", "share of samples of which every label is predicted right"),
    Measure::error("hamming", "Hamming loss", "share of wrong labels"),
    Measure::error("nll", "log loss", "mean negative log-likelihood of a label, nats"),
    Measure::error("ece", "calibration error", "expected calibration error of the labels' probabilities over 15 equal intervals"),
];

impl Task for Labels {
    fn outputs(&self) -> usize {
        self.names.len()
    }

    fn check(&self) -> Result<()> {
        check_names(&self.names)
    }

    /// f32 `[batch, labels]`, 1 where a label holds.
    fn collate(&self, targets: &[TargetValue], device: &Device) -> Result<Targets> {
        let mut held = Vec::with_capacity(targets.len() * self.names.len());
        for target in targets {
            held.extend(labels_of(target, self.names.len())?.iter().map(|&holds| f32::from(u8::from(holds))));
        }
        Ok(Targets::new(Tensor::from_vec(held, (targets.len(), self.names.len()), device)?))
    }

    fn values(&self, targets: &Targets) -> Result<Vec<TargetValue>> {
        let rows = targets.values().to_vec2::<f32>()?;
        Ok(rows.into_iter().map(|row| TargetValue::Labels(row.into_iter().map(|held| held > 0.5).collect())).collect())
    }

    /// Mean binary cross entropy over the labels; class weights, where there are some, weigh a label where it holds.
    fn loss_per_sample(&self, prediction: &Tensor, targets: &Targets) -> Result<Tensor> {
        targets.per_sample(|held| {
            let loss = binary_cross_entropy_per_element(prediction, held)?;
            let loss = match &targets.options().class_weights {
                None => loss,
                Some(weights) => loss.mul(&(held.broadcast_mul(&(weights - 1.0)?)? + 1.0)?)?,
            };
            Ok(loss.mean(1)?)
        })
    }

    /// Mean binary entropy over the labels.
    fn uncertainty(&self, prediction: &Tensor) -> Result<Tensor> {
        Ok(binary_entropy(prediction)?.mean(1)?)
    }

    /// Mean over the labels of the divergence of one label's two probabilities.
    fn distillation(&self, student: &Tensor, teacher: &Tensor, temperature: f64) -> Result<Tensor> {
        Ok(softened_binary_kl(student, teacher, temperature)?)
    }

    fn divergence(&self, reference: &[f32], prediction: &[f32]) -> f64 {
        let each = reference.iter().zip(prediction).map(|(&a, &b)| {
            let (p, log_p, log_q) = (sigmoid(a), [a, -a].map(log_sigmoid), [b, -b].map(log_sigmoid));
            p * (log_p[0] - log_q[0]) + (1.0 - p) * (log_p[1] - log_q[1])
        });
        each.sum::<f64>() / self.names.len().max(1) as f64
    }

    fn expectation(&self, prediction: &Tensor) -> Result<Tensor> {
        Ok(candle_nn::ops::sigmoid(prediction)?)
    }

    fn of_expectation(&self, mean: &Tensor) -> Result<Tensor> {
        let [log_odds, log_odds_against] = [mean.clone(), (1.0 - mean)?].map(|p| (p + LEAST_PROBABILITY)?.log());
        Ok((log_odds? - log_odds_against?)?)
    }

    fn measures(&self) -> &'static [Measure] {
        &MEASURES
    }

    fn score(&self, measure: &str) -> Option<Score> {
        let labels = self.names.len();
        match measure {
            "macro_f1" => Some(Score::MeanF1 { classes: labels }),
            "micro_f1" => Some(Score::MicroF1 { classes: labels }),
            "map" => Some(Score::AveragePrecision { outputs: labels }),
            "auroc" => Some(Score::AreaUnderRoc { outputs: labels }),
            "exact_match" | "hamming" | "nll" => Some(Score::Mean),
            _ => None,
        }
    }

    fn scores(&self, measure: &str) -> Box<dyn Scores> {
        let numbers = match measure {
            "map" | "auroc" => Numbers::Odds,
            "exact_match" => Numbers::Exact,
            "hamming" => Numbers::Wrong,
            "nll" => Numbers::LogLoss,
            _ => Numbers::Counts,
        };
        Box::new(LabelScores::new(self.names.len(), numbers))
    }
}

fn labels_of(target: &TargetValue, labels: usize) -> Result<&[bool]> {
    match target {
        TargetValue::Labels(held) if held.len() == labels => Ok(held),
        TargetValue::Labels(held) => Err(Error::shape("labels of a sample", format!("[{labels}]"), [held.len()])),
        _ => Err(DataError::TargetKind { expected: "labels of which any number hold" }.into()),
    }
}

/// In f64.
pub(crate) fn sigmoid(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// `ln sigmoid(x)`, finite for every finite logit.
fn log_sigmoid(logit: f32) -> f64 {
    let x = f64::from(logit);
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// The numbers of a sample that a score asks for.
#[derive(Clone, Copy)]
enum Numbers {
    /// Right, called and actual, by label.
    Counts,
    /// The logit of each label, and whether it holds.
    Odds,
    Exact,
    Wrong,
    LogLoss,
}

/// Scores of labels, added up in the order of the samples.
struct LabelScores {
    samples: usize,
    numbers: Numbers,
    /// By label: samples for which it is right and holds, for which it is called, for which it holds.
    counts: Vec<[u64; 3]>,
    wrong: Vec<u64>,
    nll: Vec<f64>,
    exact: usize,
    /// How many hold and their summed probability, of each bin.
    calibration: Vec<(f64, f64)>,
    ranking: Ranking,
}

impl LabelScores {
    fn new(labels: usize, numbers: Numbers) -> Self {
        Self {
            samples: 0,
            numbers,
            counts: vec![[0; 3]; labels],
            wrong: vec![0; labels],
            nll: vec![0.0; labels],
            exact: 0,
            calibration: vec![(0.0, 0.0); ECE_BINS],
            ranking: Ranking::of_labels(labels),
        }
    }
}

impl Scores for LabelScores {
    fn add(&mut self, prediction: &[f32], target: &TargetValue, numbers: &mut Vec<f32>) -> Result<()> {
        let labels = self.counts.len();
        let held = labels_of(target, labels)?;
        if prediction.len() != labels {
            return Err(Error::shape("logits", format!("[{labels}]"), prediction.len()));
        }
        let (mut wrong_here, mut nll_here) = (0, 0.0);
        for (label, (&logit, &holds)) in prediction.iter().zip(held).enumerate() {
            let called = logit > 0.0;
            let counts = &mut self.counts[label];
            counts[0] += u64::from(called && holds);
            counts[1] += u64::from(called);
            counts[2] += u64::from(holds);
            let wrong = u64::from(called != holds);
            let nll = -log_sigmoid(if holds { logit } else { -logit });
            self.wrong[label] += wrong;
            self.nll[label] += nll;
            wrong_here += wrong;
            nll_here += nll;
            let probability = sigmoid(logit);
            let bins = self.calibration.len();
            let bin = &mut self.calibration[((probability * bins as f64).ceil() as usize).clamp(1, bins) - 1];
            bin.0 += f64::from(u8::from(holds));
            bin.1 += probability;
            self.ranking.add_label(label, logit, holds);
        }
        self.samples += 1;
        self.exact += usize::from(wrong_here == 0);
        let bit = |on: bool| f32::from(u8::from(on));
        match self.numbers {
            Numbers::Counts => {
                numbers.extend(prediction.iter().zip(held).map(|(&logit, &holds)| bit(logit > 0.0 && holds)));
                numbers.extend(prediction.iter().map(|&logit| bit(logit > 0.0)).chain(held.iter().map(|&holds| bit(holds))));
            }
            Numbers::Odds => numbers.extend(prediction.iter().copied().chain(held.iter().map(|&holds| bit(holds)))),
            Numbers::Exact => numbers.push(bit(wrong_here == 0)),
            Numbers::Wrong => numbers.push(wrong_here as f32 / labels as f32),
            Numbers::LogLoss => numbers.push((nll_here / labels as f64) as f32),
        }
        Ok(())
    }

    fn finish(&self) -> Scored {
        let samples = self.samples as f64;
        let areas = self.ranking.areas_of_labels();
        let of_label = |label: usize| {
            let [right, called, actual] = self.counts[label].map(|n| n as f64);
            let values = [("hamming", self.wrong[label] as f64 / samples), ("nll", self.nll[label] / samples)];
            let areas = areas.get(label).copied().flatten();
            let f1 = (called + actual > 0.0).then(|| ("f1", 2.0 * right / (called + actual)));
            values
                .into_iter()
                .chain(f1)
                .chain(areas.into_iter().flat_map(|(roc, pr)| [("auroc", roc), ("map", pr)]))
                .collect::<BTreeMap<_, _>>()
        };
        let outputs: Vec<BTreeMap<&'static str, f64>> = (0..self.counts.len()).map(of_label).collect();
        let mut values = means(&outputs);
        values.remove("f1");
        let f1: Vec<f64> = outputs.iter().filter_map(|of| of.get("f1").copied()).collect();
        if !f1.is_empty() {
            values.insert("macro_f1", f1.iter().sum::<f64>() / f1.len() as f64);
        }
        let defined: Vec<(f64, f64)> = areas.iter().copied().flatten().collect();
        for (name, of) in [("auroc", (|a| a.0) as fn(&(f64, f64)) -> f64), ("map", |a| a.1)] {
            if !defined.is_empty() {
                values.insert(name, defined.iter().map(of).sum::<f64>() / defined.len() as f64);
            }
        }
        let [right, called, actual] = (0..3).map(|k| self.counts.iter().map(|of| of[k] as f64).sum()).collect::<Vec<f64>>()[..] else {
            return Scored::default();
        };
        let labels = self.counts.len() as f64;
        values.extend([
            ("micro_f1", 2.0 * right / (called + actual).max(1.0)),
            ("exact_match", self.exact as f64 / samples),
            ("ece", self.calibration.iter().map(|(hold, sum)| (hold - sum).abs()).sum::<f64>() / (samples * labels)),
        ]);
        Scored { samples: self.samples, values, outputs, confusion: Vec::new() }
    }
}
