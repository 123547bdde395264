//! What came of the test samples: with each combination, with what they have, with sensors that degrade.

use super::Metrics;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Test metrics of one combination.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CombinationResult {
    /// The combination as text, `rgb+depth`.
    pub subset: String,
    /// Its metrics.
    pub metrics: Metrics,
    /// One character a test sample: `1` right, `0` wrong, `-` not evaluated; where there are sums, `1` is evaluated.
    pub correct: String,
    /// The numbers of each test sample that the score adds up, where they are more than right and wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sums: Vec<f32>,
    /// Why the samples that are missing from `metrics` are.
    #[serde(default)]
    pub excluded: Excluded,
    /// `confusion[true][predicted]`.
    pub confusion: Vec<Vec<u64>>,
    /// Scores of each label or number alone, in the order of [`CellResult::outputs`](super::CellResult::outputs).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<BTreeMap<String, f64>>,
}

/// Samples that were not evaluated, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// They have no reading of a modality of the combination.
    pub absent: usize,
    /// They have all of its readings, but one at least is not finite.
    pub non_finite: usize,
    /// The model cannot predict from it.
    pub unusable: usize,
}

/// A combination that was asked for and of which no sample could be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotEvaluated {
    /// The combination as text.
    pub subset: String,
    /// Why.
    pub excluded: Excluded,
    /// Whether samples were predicted, which do not define the score that heads the report.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undefined: bool,
}

/// What test samples have of one modality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readings {
    /// Name of the modality.
    pub modality: String,
    /// Readings that can be used.
    pub present: usize,
    /// Samples without a reading.
    pub absent: usize,
    /// Readings that count as absent because of a value that is not finite.
    pub non_finite: usize,
}

/// Test metrics on what each sample has, where some lack a sensor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AvailableResult {
    /// Its metrics.
    pub metrics: Metrics,
    /// As in [`CombinationResult`].
    pub correct: String,
    /// As in [`CombinationResult`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sums: Vec<f32>,
    /// As in [`CombinationResult`].
    #[serde(default)]
    pub excluded: Excluded,
    /// Where there are two classes: of each test sample, the share of the other class that it is on the right side of
    /// ([`mm_core::statistics::placements`]); -1 where it was not evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placements: Vec<f32>,
    /// When 1, 2, .. more sensors go.
    #[serde(default)]
    pub removed: Vec<RemovedResult>,
}

/// Test metrics when so many sensors more than those that a sample lacks are gone; each sample keeps one at least.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemovedResult {
    /// How many.
    pub count: usize,
    /// Its metrics, each the mean over draws of which sensors go.
    pub metrics: Metrics,
    /// Predictions, of all draws together, that the model could not make.
    #[serde(default)]
    pub left_out: usize,
}

/// Test metrics without any corruption, on what each sample has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CleanResult {
    /// Its metrics.
    pub metrics: Metrics,
    /// As in [`CombinationResult`].
    pub correct: String,
    /// As in [`CombinationResult`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sums: Vec<f32>,
    /// As in [`CombinationResult`].
    #[serde(default)]
    pub excluded: Excluded,
}

/// Test metrics under one corruption.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CorruptionResult {
    /// Family, such as `gaussian`.
    pub corruption: String,
    /// 1 to 5.
    pub severity: u8,
    /// The corrupted modalities as text.
    pub subset: String,
    /// Metrics with everything each sample has.
    pub metrics: Metrics,
    /// As in [`CombinationResult`].
    pub correct: String,
    /// As in [`CombinationResult`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sums: Vec<f32>,
    /// As in [`CombinationResult`].
    #[serde(default)]
    pub excluded: Excluded,
    /// Non-finite values met and treated as absent (sample-modality pairs).
    pub non_finite: usize,
}
