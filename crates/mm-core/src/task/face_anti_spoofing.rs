//! Whether a face is live: two classes with the error rates of presentation-attack detection (ISO/IEC 30107-3).

use super::{ClassScores, Classes, Measure, Scored, Scores, Task};
use crate::data::{DataError, TargetValue, Targets};
use crate::error::Result;
use crate::statistics::Score;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Two classes, the attack first and the live face second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaceAntiSpoofing {
    classes: Classes,
}

impl FaceAntiSpoofing {
    /// From the names of the two classes, the attack first.
    pub fn new(names: [String; 2]) -> Self {
        Self { classes: Classes::new(names) }
    }

    /// The two classes.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }
}

const MEASURES: [Measure; 6] = [
    Measure::share("accuracy", "accuracy", "share of right predictions"),
    Measure::error("acer", "ACER", "mean of APCER and BPCER"),
    Measure::error("apcer", "APCER", "attacks called live, over attacks; 0 without attacks"),
    Measure::error("bpcer", "BPCER", "live faces called attack, over live faces; 0 without live faces"),
    Measure::share("auroc", "AUROC", "probability that a live face looks more live than an attack"),
    Measure::error("ece", "calibration error", "expected calibration error over 15 equal intervals of confidence"),
];

impl Task for FaceAntiSpoofing {
    fn outputs(&self) -> usize {
        self.classes.outputs()
    }

    fn check(&self) -> Result<()> {
        match self.classes.names().len() {
            2 => self.classes.check(),
            found => Err(DataError::NotTwoClasses { found }.into()),
        }
    }

    fn collate(&self, targets: &[TargetValue], device: &Device) -> Result<Targets> {
        self.classes.collate(targets, device)
    }

    fn values(&self, targets: &Targets) -> Result<Vec<TargetValue>> {
        self.classes.values(targets)
    }

    fn loss_per_sample(&self, prediction: &Tensor, targets: &Targets) -> Result<Tensor> {
        self.classes.loss_per_sample(prediction, targets)
    }

    fn uncertainty(&self, prediction: &Tensor) -> Result<Tensor> {
        self.classes.uncertainty(prediction)
    }

    fn distillation(&self, student: &Tensor, teacher: &Tensor, temperature: f64) -> Result<Tensor> {
        self.classes.distillation(student, teacher, temperature)
    }

    fn divergence(&self, reference: &[f32], prediction: &[f32]) -> f64 {
        self.classes.divergence(reference, prediction)
    }

    fn expectation(&self, prediction: &Tensor) -> Result<Tensor> {
        self.classes.expectation(prediction)
    }

    fn of_expectation(&self, mean: &Tensor) -> Result<Tensor> {
        self.classes.of_expectation(mean)
    }

    fn measures(&self) -> &'static [Measure] {
        &MEASURES
    }

    fn score(&self, measure: &str) -> Option<Score> {
        self.classes.score(measure)
    }

    fn scores(&self, measure: &str) -> Box<dyn Scores> {
        Box::new(SpoofScores(ClassScores::new(2, super::classes::ECE_BINS).numbers_of(measure)))
    }
}

/// The scores of classes, and the error rates of their confusion.
struct SpoofScores(ClassScores);

impl Scores for SpoofScores {
    fn add(&mut self, prediction: &[f32], target: &TargetValue, numbers: &mut Vec<f32>) -> Result<()> {
        self.0.add(prediction, target, numbers)
    }

    fn finish(&self) -> Scored {
        let mut scored = self.0.finish();
        let rate = |wrong: u64, right: u64| if wrong + right == 0 { 0.0 } else { wrong as f64 / (wrong + right) as f64 };
        let matrix = &scored.confusion;
        let (apcer, bpcer) = (rate(matrix[0][1], matrix[0][0]), rate(matrix[1][0], matrix[1][1]));
        scored.values.extend([("apcer", apcer), ("bpcer", bpcer), ("acer", (apcer + bpcer) / 2.0)]);
        scored
    }
}
