//! Numbers to predict: regression.

use super::measure::means;
use super::{Measure, Scored, Scores, Task, check_names};
use crate::data::{DataError, TargetValue, Targets};
use crate::error::{Error, Result};
use crate::statistics::Score;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One number a sample, or several. Models predict `[batch, numbers]` in standard deviations from the mean of the training samples, which
/// [`crate::data::Standardized`] finds; everything that people see is in the unit of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    names: Vec<String>,
    /// Mean and standard deviation of each in the training part; empty as long as they are not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scale: Vec<[f64; 2]>,
}

impl Numbers {
    /// From their names.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), scale: Vec::new() }
    }

    /// With the mean and the standard deviation of each in the training part.
    pub fn scaled(self, scale: Vec<[f64; 2]>) -> Self {
        Self { scale, ..self }
    }

    /// Their names, in the order of the predictions.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What a model predicts, in the unit of the data.
    pub fn in_unit(&self, prediction: &[f32]) -> Vec<f64> {
        prediction.iter().enumerate().map(|(k, &x)| self.of(k)[0] + f64::from(x) * self.of(k)[1]).collect()
    }

    fn of(&self, number: usize) -> [f64; 2] {
        self.scale.get(number).copied().unwrap_or([0.0, 1.0])
    }
}

/// Largest gradient norm where neither the settings nor the method say one: squared errors have no bound, and at a learning rate that suits
/// classes a step after large errors would be followed by a larger one.
const CLIP_NORM: f64 = 2.0;

const MEASURES: [Measure; 5] = [
    Measure::coefficient(
        "r2",
        "R²",
        "share of the variance that is explained: 1 is perfect, 0 as good as the mean of the test samples; mean over the numbers",
    ),
    Measure::error("mae", "mean absolute error", "mean distance from the true value, in its unit; mean over the numbers"),
    Measure::error("rmse", "root mean squared error", "root of the mean squared distance, in the unit of the value; mean over the numbers"),
    Measure::coefficient("pearson", "Pearson correlation", "linear correlation of predicted and true values, mean over the numbers"),
    Measure::coefficient(
        "concordance",
        "concordance",
        "Lin's concordance correlation: Pearson's, lowered by differences of mean and spread; mean over the numbers",
    ),
];

impl Task for Numbers {
    fn outputs(&self) -> usize {
        self.names.len()
    }

    fn check(&self) -> Result<()> {
        check_names(&self.names)?;
        let sound = |[mean, std]: &[f64; 2]| mean.is_finite() && std.is_finite() && *std > 0.0;
        match (self.scale.is_empty() || self.scale.len() == self.names.len()) && self.scale.iter().all(sound) {
            true => Ok(()),
            false => Err(Error::config("target.scale", "needs a finite mean and a standard deviation above 0 for each number")),
        }
    }

    /// f32 `[batch, numbers]`, standardized.
    fn collate(&self, targets: &[TargetValue], device: &Device) -> Result<Targets> {
        let mut values = Vec::with_capacity(targets.len() * self.names.len());
        for target in targets {
            let numbers = numbers_of(target, self.names.len())?;
            values.extend(numbers.iter().enumerate().map(|(k, x)| ((x - self.of(k)[0]) / self.of(k)[1]) as f32));
        }
        Ok(Targets::new(Tensor::from_vec(values, (targets.len(), self.names.len()), device)?))
    }

    fn values(&self, targets: &Targets) -> Result<Vec<TargetValue>> {
        let rows = targets.values().to_vec2::<f32>()?;
        Ok(rows.iter().map(|row| TargetValue::Numbers(self.in_unit(row))).collect())
    }

    /// Half the squared error in standard deviations, mean over the numbers; with a Huber threshold it grows linearly from there on.
    fn loss_per_sample(&self, prediction: &Tensor, targets: &Targets) -> Result<Tensor> {
        targets.per_sample(|values| {
            let error = (prediction - values)?;
            let loss = match targets.options().huber {
                0.0 => error.sqr()?,
                // e² up to the threshold, then its tangent: 2 d |e| - d². Halved below, as in Huber's paper.
                threshold => {
                    let size = error.abs()?;
                    let within = size.minimum(threshold)?;
                    ((size * 2.0)? - &within)?.mul(&within)?
                }
            };
            Ok((loss.mean(1)? / 2.0)?)
        })
    }

    /// The same for every prediction: a number says nothing about its own error.
    fn uncertainty(&self, prediction: &Tensor) -> Result<Tensor> {
        Ok(Tensor::ones(prediction.dim(0)?, prediction.dtype(), prediction.device())?)
    }

    /// Half the squared distance in standard deviations, mean over the numbers; there is nothing that a temperature softens.
    fn distillation(&self, student: &Tensor, teacher: &Tensor, _temperature: f64) -> Result<Tensor> {
        Ok(((student - teacher.detach())?.sqr()?.mean_all()? / 2.0)?)
    }

    fn divergence(&self, reference: &[f32], prediction: &[f32]) -> f64 {
        let squares = reference.iter().zip(prediction).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
        squares.sum::<f64>() / (2 * self.names.len().max(1)) as f64
    }

    fn clip_norm(&self) -> Option<f64> {
        Some(CLIP_NORM)
    }

    fn expectation(&self, prediction: &Tensor) -> Result<Tensor> {
        Ok(prediction.clone())
    }

    fn of_expectation(&self, mean: &Tensor) -> Result<Tensor> {
        Ok(mean.clone())
    }

    fn measures(&self) -> &'static [Measure] {
        &MEASURES
    }

    fn score(&self, measure: &str) -> Option<Score> {
        let targets = self.names.len();
        match measure {
            "r2" => Some(Score::R2 { targets }),
            "mae" => Some(Score::Mean),
            "rmse" => Some(Score::RootMean { targets }),
            "pearson" => Some(Score::Pearson { targets }),
            "concordance" => Some(Score::Concordance { targets }),
            _ => None,
        }
    }

    fn scores(&self, measure: &str) -> Box<dyn Scores> {
        let zeros = || vec![[0.0; 7]; self.names.len()];
        Box::new(NumberScores { task: self.clone(), asked: measure.into(), samples: 0, sums: zeros() })
    }
}

fn numbers_of(target: &TargetValue, numbers: usize) -> Result<&[f64]> {
    match target {
        TargetValue::Numbers(values) if values.len() == numbers => Ok(values),
        TargetValue::Numbers(values) => Err(Error::shape("numbers of a sample", format!("[{numbers}]"), [values.len()])),
        _ => Err(DataError::TargetKind { expected: "numbers" }.into()),
    }
}

/// Scores of numbers, added up in the order of the samples.
struct NumberScores {
    task: Numbers,
    asked: String,
    samples: usize,
    /// Of each number, in standard deviations: error's size, its square, true value, predicted, their squares, their product.
    sums: Vec<[f64; 7]>,
}

impl Scores for NumberScores {
    fn add(&mut self, prediction: &[f32], target: &TargetValue, numbers: &mut Vec<f32>) -> Result<()> {
        let truths = numbers_of(target, self.sums.len())?;
        if prediction.len() != self.sums.len() {
            return Err(Error::shape("prediction", format!("[{}]", self.sums.len()), prediction.len()));
        }
        let mut absolute = 0.0;
        for (k, ((&predicted, truth), sums)) in prediction.iter().zip(truths).zip(&mut self.sums).enumerate() {
            let [mean, std] = self.task.of(k);
            let (predicted, truth) = (f64::from(predicted), (truth - mean) / std);
            let error = predicted - truth;
            let of = [error.abs(), error * error, truth, predicted, truth * truth, predicted * predicted, truth * predicted];
            sums.iter_mut().zip(of).for_each(|(sum, x)| *sum += x);
            absolute += of[0] * std / truths.len() as f64;
            match self.asked.as_str() {
                "mae" => {}
                "rmse" => numbers.push((of[1] * std * std) as f32),
                "pearson" | "concordance" => numbers.extend(of[2..].iter().map(|&x| x as f32)),
                _ => numbers.extend([of[1], of[2], of[4]].map(|x| x as f32)),
            }
        }
        if self.asked == "mae" {
            numbers.push(absolute as f32);
        }
        self.samples += 1;
        Ok(())
    }

    fn finish(&self) -> Scored {
        let samples = self.samples as f64;
        let of_number = |(k, sums): (usize, &[f64; 7])| {
            let [_, std] = self.task.of(k);
            let [absolute, squared, truth, ..] = *sums;
            let values = [
                ("r2", Score::R2 { targets: 1 }.of(&[squared, truth, sums[4]], samples)),
                ("mae", absolute / samples * std),
                ("rmse", (squared / samples).sqrt() * std),
                ("pearson", Score::Pearson { targets: 1 }.of(&sums[2..], samples)),
                ("concordance", Score::Concordance { targets: 1 }.of(&sums[2..], samples)),
            ];
            values.into_iter().filter(|(_, value)| !value.is_nan()).collect::<BTreeMap<_, _>>()
        };
        let outputs: Vec<BTreeMap<&'static str, f64>> = self.sums.iter().enumerate().map(of_number).collect();
        Scored { samples: self.samples, values: means(&outputs), outputs, confusion: Vec::new() }
    }
}
