//! What is predicted, and all that hangs on it: the loss, the scores, the words. Another kind of target is a file here and a line in
//! [`Target`].

mod classes;
mod face_anti_spoofing;
mod labels;
mod measure;
mod numbers;
mod pixels;
mod ranking;

pub use classes::{ClassScores, Classes};
pub use face_anti_spoofing::FaceAntiSpoofing;
pub use labels::Labels;
pub(crate) use labels::sigmoid;
pub use measure::{Measure, Scored, Scores};
pub use numbers::Numbers;
pub use pixels::PixelClasses;
pub use ranking::{area_under_roc, average_precision};

use crate::data::{DataError, TargetValue, Targets, nearest};
use crate::error::Result;
use crate::statistics::Score;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// What is to be predicted, as a schema says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// One class a sample.
    Classes(Classes),
    /// Whether a face is live: two classes, the attack first.
    FaceAntiSpoofing(FaceAntiSpoofing),
    /// A class for each pixel of an image.
    Pixels(PixelClasses),
    /// Any number of labels a sample.
    Labels(Labels),
    /// One number a sample, or several.
    Numbers(Numbers),
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
            Self::Labels(task) => task,
            Self::Numbers(task) => task,
        }
    }

    /// The class names, in label order; none where the target is no one class.
    pub fn class_names(&self) -> &[String] {
        match self {
            Self::Classes(task) => task.names(),
            Self::FaceAntiSpoofing(task) => task.classes().names(),
            Self::Pixels(task) => task.names(),
            Self::Labels(_) | Self::Numbers(_) => &[],
        }
    }

    /// The name of each number that a model predicts: classes, labels, or numbers.
    pub fn output_names(&self) -> &[String] {
        match self {
            Self::Labels(task) => task.names(),
            Self::Numbers(task) => task.names(),
            _ => self.class_names(),
        }
    }

    /// What is predicted, in words: `10 classes`, `2 classes of each pixel`, `3 labels`, `1 number`.
    pub fn in_words(&self) -> String {
        let (count, what) = match self {
            Self::Labels(task) => (task.names().len(), ["label", "labels"]),
            Self::Numbers(task) => (task.names().len(), ["number", "numbers"]),
            Self::Pixels(task) => (task.names().len(), ["class of each pixel", "classes of each pixel"]),
            _ => (self.classes(), ["class", "classes"]),
        };
        format!("{count} {}", what[usize::from(count != 1)])
    }

    /// What there is in place of a score that there is not, or what that asks for: the end of a message.
    pub(crate) fn instead_of(&self, score: &str, known: &[&str]) -> String {
        let there_are = known.join(", ");
        match (self, nearest(score, known.iter().copied())) {
            (Self::Pixels(task), _) if task.asks_for_class(score) => {
                let asks = "`iou` and `dice` are of one class, which the card names under [pixels]: `of_interest = \"class\"`";
                format!("; {asks}. There are: {there_are}")
            }
            (_, Some(near)) => format!("; did you mean `{near}`? There are: {there_are}"),
            (_, None) => format!("; there are: {there_are}"),
        }
    }

    /// Whether a sample is of one class.
    pub fn is_class(&self) -> bool {
        matches!(self, Self::Classes(_) | Self::FaceAntiSpoofing(_))
    }

    /// Whether every pixel is predicted.
    pub fn is_dense(&self) -> bool {
        matches!(self, Self::Pixels(_))
    }

    /// Whether one of two classes is predicted, and nothing is special about either: what a threshold can decide between.
    pub fn is_two_classes(&self) -> bool {
        matches!(self, Self::Classes(task) if task.names().len() == 2)
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

    /// What is averaged where several models predict the same: probabilities, or the numbers themselves. Of the prediction's shape.
    fn expectation(&self, prediction: &Tensor) -> Result<Tensor>;

    /// The prediction whose [`Task::expectation`] this is.
    fn of_expectation(&self, mean: &Tensor) -> Result<Tensor>;

    /// Largest norm of the gradients where neither the settings nor the method say one.
    fn clip_norm(&self) -> Option<f64> {
        None
    }

    /// How far the prediction of one sample is from a reference: at least 0, and 0 where they say the same.
    fn divergence(&self, reference: &[f32], prediction: &[f32]) -> f64;

    /// The scores; the first selects models and heads the report, where nothing else is said ([`Schema::scored_by`](crate::data::Schema::scored_by)).
    fn measures(&self) -> &'static [Measure];

    /// How a measure comes about from the numbers of each sample, by its name: what intervals are made from. `None` for one that heads no
    /// report.
    fn score(&self, measure: &str) -> Option<Score>;

    /// Scores that add up over samples, with the numbers of each for the [`Task::score`] of a measure.
    fn scores(&self, measure: &str) -> Box<dyn Scores>;
}

/// Refuses names of classes, labels or numbers of which there are none, or one twice.
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
