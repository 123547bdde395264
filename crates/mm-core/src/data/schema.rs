//! What a sample of a data set holds.

use super::DataError;
use crate::error::{Error, Result};
use crate::eval::decide;
use crate::modality::Modalities;
use crate::statistics::Score;
use crate::task::{Measure, Scores, Target};
use serde::{Deserialize, Serialize};

/// What a sample holds: its modalities, the form of each, and what is to be predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// The modalities, in the order used everywhere.
    pub modalities: Modalities,
    /// Form of each modality, in the order of `modalities`.
    pub inputs: Vec<InputSpec>,
    /// What is to be predicted.
    pub target: Target,
    /// Name of the measure that selects models and heads reports; otherwise the first of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    score: Option<String>,
    /// From which probability on the second of two classes is predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
}

impl Schema {
    /// Puts a schema together; one input for each modality, no empty shape, distinct class names.
    pub fn new(modalities: Modalities, inputs: Vec<InputSpec>, target: Target) -> Result<Self> {
        let schema = Self { modalities, inputs, target, score: None, threshold: None };
        schema.check()?;
        Ok(schema)
    }

    /// With another measure that selects models and heads reports, by its name; `None`: the first of the task.
    pub fn scored_by(self, measure: Option<&str>) -> Result<Self> {
        let schema = Self { score: measure.map(String::from), ..self };
        schema.check_score()?;
        Ok(schema)
    }

    /// Predicts the second of two classes from this probability on, greater than 0 and less than 1; `None`: the likelier class, of equals the first.
    pub fn deciding_at(self, threshold: Option<f64>) -> Result<Self> {
        let schema = Self { threshold, ..self };
        schema.check_threshold()?;
        Ok(schema)
    }

    /// From which probability on the second of two classes is predicted, where that was chosen.
    pub fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    /// The class that logits `[classes]` decide for.
    pub fn decide(&self, logits: &[f32]) -> usize {
        decide(logits, self.threshold)
    }

    fn check_threshold(&self) -> Result<()> {
        match self.threshold {
            Some(_) if !self.target.is_two_classes() => Err(Error::config(
                "threshold",
                format!("a threshold decides between two classes of a sample, and there are {}", self.target.in_words()),
            )),
            Some(threshold) if !(threshold > 0.0 && threshold < 1.0) => {
                Err(Error::config("threshold", format!("{threshold} is no probability between 0 and 1")))
            }
            _ => Ok(()),
        }
    }

    /// The measure that selects models and heads reports.
    pub fn measure(&self) -> Measure {
        let measures = self.target.task().measures();
        measures.iter().find(|measure| Some(measure.name) == self.score.as_deref()).copied().unwrap_or(measures[0])
    }

    /// How that measure comes about from numbers of each sample.
    pub fn score(&self) -> Score {
        self.target.task().score(self.measure().name).unwrap_or(Score::Mean)
    }

    /// Scores that add up over samples, with the numbers of each.
    pub fn scores(&self) -> Box<dyn Scores> {
        let mut scores = self.target.task().scores(self.measure().name);
        if let Some(threshold) = self.threshold {
            scores.decide_at(threshold);
        }
        scores
    }

    fn check_score(&self) -> Result<()> {
        let task = self.target.task();
        let heads = |name: &str| task.measures().iter().any(|measure| measure.name == name) && task.score(name).is_some();
        match &self.score {
            Some(score) if !heads(score) => {
                let known: Vec<&str> = task.measures().iter().map(|measure| measure.name).filter(|name| heads(name)).collect();
                let instead = self.target.instead_of(score, &known);
                Err(Error::config("score", format!("no report on this target is headed by `{score}`{instead}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether the parts fit together.
    pub fn check(&self) -> Result<()> {
        if self.inputs.len() != self.modalities.len() {
            return Err(
                DataError::Count { what: "inputs", found: self.inputs.len(), of: "modalities", expected: self.modalities.len() }.into()
            );
        }
        for (name, input) in self.modalities.names().iter().zip(&self.inputs) {
            if input.shape.is_empty() || input.elements() == 0 {
                return Err(Error::shape(name, "with at least one number", &input.shape));
            }
        }
        self.target.task().check()?;
        self.check_threshold()?;
        self.check_score()
    }
}

/// Form of one modality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InputSpec {
    /// What the numbers are.
    pub kind: InputKind,
    /// Shape of one sample, without the batch, as its [`InputKind`] says.
    pub shape: Vec<usize>,
}

impl InputSpec {
    /// An input of any kind.
    pub fn new(kind: InputKind, shape: impl Into<Vec<usize>>) -> Self {
        Self { kind, shape: shape.into() }
    }

    /// A vector of so many features.
    pub fn vector(features: usize) -> Self {
        Self::new(InputKind::Vector, [features])
    }

    /// An image `[channels, height, width]`.
    pub fn image(shape: [usize; 3]) -> Self {
        Self::new(InputKind::Image, shape)
    }

    /// Numbers in one sample (saturating).
    pub fn elements(&self) -> usize {
        self.shape.iter().fold(1, |n, &d| n.saturating_mul(d))
    }
}

/// What the numbers of an input are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InputKind {
    /// Features without spatial order; shape `[features]`.
    Vector,
    /// An image; shape `[channels, height, width]`.
    Image,
    /// Images in a row, such as frames of a film; shape `[channels, frames, height, width]`.
    Video,
    /// Strengths over frequency and time; shape `[channels, bands, frames]`. Samples may differ in length.
    Spectrogram,
    /// Values over time; shape `[channels, time]`. Samples may differ in length.
    Series,
    /// Numbers of words or parts of words in a vocabulary; shape `[length]`. Samples may differ in length.
    Tokens,
}
