//! What is predicted, and all that hangs on it: the loss, the scores, the words. Another kind of target is a file here and a line in
//! [`Target`].

mod classes;
mod face_anti_spoofing;
mod pixels;
mod ranking;

pub use classes::{ClassScores, Classes};
pub use face_anti_spoofing::FaceAntiSpoofing;
pub use pixels::PixelClasses;
pub use ranking::{area_under_roc, average_precision};

use crate::data::{DataError, TargetValue, Targets};
use crate::error::Result;
use crate::statistics::Score;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// What is to be predicted, as a schema says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// One class a sample.
    Classes(Classes),
    /// Whether a face is live: two classes, the attack first.
    FaceAntiSpoofing(FaceAntiSpoofing),
    /// A class for each pixel of an image.
    Pixels(PixelClasses),
}

impl Target {
    /// One class a sample; label `i` is the class with the `i`-th name.
    ///
    /// ```
    /// let target = mm_core::data::Target::of_classes(["cat", "dog"]);
    /// assert_eq!(target.classes(), 2);
    /// ```
    pub fn of_classes<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::Classes(Classes::new(names))
    }

    /// Its task.
    pub fn task(&self) -> &dyn Task {
        match self {
            Self::Classes(task) => task,
            Self::FaceAntiSpoofing(task) => task,
            Self::Pixels(task) => task,
        }
    }

    /// The class names, in label order; none where the target is no class.
    pub fn class_names(&self) -> &[String] {
        match self {
            Self::Classes(task) => task.names(),
            Self::FaceAntiSpoofing(task) => task.classes().names(),
            Self::Pixels(task) => task.names(),
        }
    }

    /// Whether every pixel is predicted.
    pub fn is_dense(&self) -> bool {
        matches!(self, Self::Pixels(_))
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.class_names().len()
    }
}

/// A kind of target: everything in training, evaluation and report that depends on what is predicted.
pub trait Task: Send + Sync {
    /// Numbers that a model predicts for a sample: the width of its head.
    fn outputs(&self) -> usize;

    /// Refuses a description that makes no sense.
    fn check(&self) -> Result<()>;

    /// Puts the targets of samples together.
    fn collate(&self, targets: &[TargetValue], device: &Device) -> Result<Targets>;

    /// The targets sample by sample, on the CPU.
    fn values(&self, targets: &Targets) -> Result<Vec<TargetValue>>;

    /// The loss of each sample, `[batch]`, from predictions `[batch, outputs]`.
    fn loss_per_sample(&self, prediction: &Tensor, targets: &Targets) -> Result<Tensor>;

    /// The mean loss, weighted by the samples' weights: a scalar.
    fn loss(&self, prediction: &Tensor, targets: &Targets) -> Result<Tensor> {
        targets.mean(&self.loss_per_sample(prediction, targets)?)
    }

    /// The loss of a prediction and of coarser ones of the same, added: what networks that predict at several depths are trained with. A
    /// task without places has none.
    fn loss_of_scales(&self, prediction: &Tensor, _coarser: &[Tensor], targets: &Targets) -> Result<Tensor> {
        self.loss(prediction, targets)
    }

    /// How undecided a prediction is, one number a sample, at least 0: `[batch]`.
    fn uncertainty(&self, prediction: &Tensor) -> Result<Tensor>;

    /// How far a student's predictions are from a teacher's, softened by a temperature: a scalar. The teacher gets no gradient.
    fn distillation(&self, student: &Tensor, teacher: &Tensor, temperature: f64) -> Result<Tensor>;

    /// How far the prediction of one sample is from a reference: at least 0, and 0 where they say the same.
    fn divergence(&self, reference: &[f32], prediction: &[f32]) -> f64;

    /// The scores, the first of which selects models and heads the report.
    fn measures(&self) -> &'static [Measure];

    /// The first of the measures, from numbers that add up over samples: what intervals are made from.
    fn score(&self) -> Score {
        Score::Mean
    }

    /// Scores that add up over samples.
    fn scores(&self) -> Box<dyn Scores>;
}

/// Refuses names of classes of which there are none, or one twice.
fn check_names(names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Err(DataError::NoClasses.into());
    }
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(DataError::ClassTwice { class: name.clone() }.into()),
        None => Ok(()),
    }
}

/// One number of an evaluation, and its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Its key in results and settings.
    pub name: &'static str,
    /// What readers call it.
    pub title: &'static str,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// What it is, in a sentence.
    pub meaning: &'static str,
}

/// Scores of many samples, fed one by one: nothing of the size of all predictions is kept.
pub trait Scores: Send {
    /// Adds a sample; appends its numbers for [`Task::score`] (for classes 1 for right, 0 for wrong).
    fn add(&mut self, prediction: &[f32], target: &TargetValue, numbers: &mut Vec<f32>) -> Result<()>;

    /// What was reached.
    fn finish(&self) -> Scored;
}

/// What some samples reached.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scored {
    /// Samples.
    pub samples: usize,
    /// By [`Measure::name`]; a measure that the samples do not define (no sample of a class) is left out.
    pub values: BTreeMap<&'static str, f64>,
    /// `confusion[true][predicted]`; empty where the target is no class.
    pub confusion: Vec<Vec<u64>>,
}

impl Scored {
    /// A measure by name; NaN where it is not defined.
    pub fn get(&self, measure: &str) -> f64 {
        self.values.get(measure).copied().unwrap_or(f64::NAN)
    }
}
