//! What one finished cell (data, run, seed) leaves behind: `result.json`, all the report is made from.

use crate::pictured::Pictured;
use crate::rows::Rows;
use crate::words::capitalized;
use mm_core::data::Schema;
use mm_core::statistics::{Judging, Score};
use mm_core::task::{Measure, Scored};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The outcome of one cell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CellResult {
    /// Hash of everything that can change the result.
    pub key: String,
    /// Name of the plan's data entry, such as `numerals-1400`.
    pub data: String,
    /// Name of the plan's run, such as `mmanet`.
    pub run: String,
    /// The method behind the run, such as `modality-dropout`.
    pub method: String,
    /// What that method does, in a sentence; empty where nobody said it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub meaning: String,
    /// Seed of the split, the initialisation, the masks and the order of samples.
    pub seed: u64,
    /// Names of the modalities, in order.
    pub modalities: Vec<String>,
    /// Names of the classes, in order.
    pub classes: Vec<String>,
    /// Names of the labels or numbers, in order, where no one class is predicted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// What is predicted, in words, such as `3 labels`; results without are of classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicts: Option<String>,
    /// The score that heads the report.
    #[serde(default)]
    pub measure: Measured,
    /// Test samples.
    pub test_samples: usize,
    /// Which rows of the data set they are; results without are of an older version.
    #[serde(default)]
    pub test_rows: Option<Rows>,
    /// Their ids, where the data set has an id column; elsewhere the number of its row is a sample's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_ids: Option<Vec<String>>,
    /// The class of each, by position; results without are of an older version.
    #[serde(default)]
    pub truths: Option<Vec<u32>>,
    /// What the test samples have, one entry a modality.
    #[serde(default)]
    pub readings: Vec<Readings>,
    /// Remarks on the data as read.
    #[serde(default)]
    pub data_remarks: Vec<String>,
    /// One entry per evaluated combination, in the order of `Subset::all_non_empty`.
    pub combinations: Vec<CombinationResult>,
    /// Combinations that were asked for and of which no sample could be evaluated.
    #[serde(default)]
    pub not_evaluated: Vec<NotEvaluated>,
    /// All test samples with the sensors that each of them has, and with fewer; absent where every sample has every sensor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<AvailableResult>,
    /// All test samples with everything each of them has and nothing corrupted: what corruptions are compared with.
    #[serde(default)]
    pub clean: Option<CleanResult>,
    /// One entry per corruption, severity and corrupted subset, evaluated with everything each sample has.
    #[serde(default)]
    pub corruptions: Vec<CorruptionResult>,
    /// Means over the combinations; absent if none was evaluated.
    pub summary: Option<Summary>,
    /// Cost of the cell, where it is known: predictions of other programs do not say it.
    #[serde(default)]
    pub cost: Option<Cost>,
    /// Training history, one entry an epoch, where it is known.
    #[serde(default)]
    pub epochs: Vec<EpochRecord>,
    /// Remarks of the run for the reader: mined combinations, selected epoch, counted non-finite values, warnings.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Where and how it was made; predictions of other programs do not say it.
    #[serde(default)]
    pub provenance: Option<Provenance>,
    /// The test samples of which pictures lie beside the result: where each pixel has a class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<Pictured>,
    /// The folder that the result was read from, for its pictures.
    #[serde(skip)]
    pub folder: Option<PathBuf>,
}

impl Metrics {
    /// Of what was scored; `measure` is what heads the report.
    pub fn new(scored: &Scored, measure: &Measured) -> Self {
        let spoof = || Some(SpoofMetrics { apcer: *scored.values.get("apcer")?, bpcer: scored.get("bpcer"), acer: scored.get("acer") });
        let others = scored.values.iter().filter(|(name, _)| **name != measure.name && !SPOOF.contains(name));
        // What is not defined, as the area under the curve of samples of one class, is not known.
        let others = others.filter(|(_, value)| !value.is_nan());
        Self {
            samples: scored.samples,
            score: scored.get(&measure.name),
            values: others.map(|(name, value)| (name.to_string(), *value)).collect(),
            spoof: spoof(),
        }
    }

    /// One of the other scores; NaN where it is not known.
    pub fn get(&self, name: &str) -> f64 {
        self.values.get(name).copied().unwrap_or(f64::NAN)
    }
}

/// The scores of [`SpoofMetrics`].
const SPOOF: [&str; 3] = ["apcer", "bpcer", "acer"];

/// The score that heads a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Its key in settings, such as `accuracy`.
    pub name: String,
    /// What readers call it.
    pub title: String,
    /// How it comes about from the numbers of samples.
    pub score: Score,
    /// Whether more is better.
    #[serde(default = "yes")]
    pub higher_is_better: bool,
    /// Whether it is a share, shown in percent.
    #[serde(default = "yes")]
    pub share: bool,
}

/// Of older results, which were all of this kind.
fn yes() -> bool {
    true
}

impl Default for Measured {
    fn default() -> Self {
        Self { name: "accuracy".into(), title: "accuracy".into(), score: Score::Mean, higher_is_better: true, share: true }
    }
}

impl Measured {
    /// Whether every sample is right or wrong.
    pub fn is_marks(&self) -> bool {
        self.score == Score::Mean && self.share
    }

    /// How its differences are judged.
    pub fn judging(&self) -> Judging {
        Judging { higher_is_better: self.higher_is_better, share: self.share }
    }

    /// The larger the better.
    pub fn goodness(&self, score: f64) -> f64 {
        if self.higher_is_better { score } else { -score }
    }

    /// What readers call it, at the beginning of a sentence.
    pub fn heading(&self) -> String {
        capitalized(&self.title)
    }
}

impl From<&Schema> for Measured {
    fn from(schema: &Schema) -> Self {
        let Measure { name, title, higher_is_better, is_share, .. } = schema.measure();
        Self { name: name.into(), title: title.into(), score: schema.score(), higher_is_better, share: is_share }
    }
}

/// What a score is made from, as a result keeps it: one character a sample, and the numbers behind them where those are more than right
/// and wrong.
pub fn marks(outcomes: &[f32], measure: &Measured) -> (String, Vec<f32>) {
    let score = measure.score;
    let mark = |numbers: &[f32]| match numbers {
        [first, ..] if first.is_nan() => '-',
        [0.0] if measure.is_marks() => '0',
        _ => '1',
    };
    let correct = outcomes.chunks_exact(score.width()).map(mark).collect();
    let sums = if measure.is_marks() { Vec::new() } else { outcomes.iter().map(|x| if x.is_nan() { 0.0 } else { *x }).collect() };
    (correct, sums)
}

impl Summary {
    /// Means over the combinations; nothing if there are none. `full` is the combination of all modalities as text.
    pub fn of(combinations: &[CombinationResult], full: &str, measure: &Measured) -> Option<Self> {
        let goodness = |c: &CombinationResult| measure.goodness(c.metrics.score);
        let worst = combinations.iter().min_by(|a, b| goodness(a).total_cmp(&goodness(b)))?;
        let full = combinations.iter().find(|c| c.subset == full).map(|c| c.metrics.score);
        Some(Self {
            mean: combinations.iter().map(|c| c.metrics.score).sum::<f64>() / combinations.len() as f64,
            worst: worst.metrics.score,
            worst_subset: worst.subset.clone(),
            full,
            gap: full.map(|full| measure.goodness(full) - goodness(worst)),
        })
    }
}

impl CellResult {
    /// What is predicted, in words.
    pub fn predicts(&self) -> String {
        self.predicts.clone().unwrap_or_else(|| format!("{} classes", self.classes.len()))
    }

    /// The id of each test sample; nothing in results of an older version.
    pub fn sample_ids(&self) -> Option<Vec<String>> {
        let rows = || Some(self.test_rows.as_ref()?.numbers().iter().map(usize::to_string).collect());
        self.test_ids.clone().or_else(rows)
    }
}

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
    /// Scores of each label or number alone, in the order of [`CellResult::outputs`].
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

/// Scores of one evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ReadMetrics")]
pub struct Metrics {
    /// Samples evaluated.
    pub samples: usize,
    /// The score that heads the report: [`CellResult::measure`].
    pub score: f64,
    /// All others, by name.
    #[serde(flatten)]
    pub values: BTreeMap<String, f64>,
    /// Error rates of two-class (attack 0, live 1) tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spoof: Option<SpoofMetrics>,
}

/// [`Metrics`] as files have them.
#[derive(Deserialize)]
struct ReadMetrics {
    samples: usize,
    score: Option<f64>,
    #[serde(flatten)]
    values: BTreeMap<String, f64>,
    #[serde(default)]
    spoof: Option<SpoofMetrics>,
}

impl TryFrom<ReadMetrics> for Metrics {
    type Error = &'static str;

    /// Older results called the score that heads the report by its name, which was always the accuracy.
    fn try_from(ReadMetrics { samples, score, mut values, spoof }: ReadMetrics) -> Result<Self, Self::Error> {
        let score = score.or_else(|| values.remove("accuracy")).ok_or("has neither `score` nor `accuracy`")?;
        Ok(Self { samples, score, values, spoof })
    }
}

/// Presentation-attack error rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SpoofMetrics {
    /// Attacks called live.
    pub apcer: f64,
    /// Live called attack.
    pub bpcer: f64,
    /// Mean of both.
    pub acer: f64,
}

/// The score over the combinations.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// Mean over the combinations.
    pub mean: f64,
    /// The lowest.
    pub worst: f64,
    /// Where it is.
    pub worst_subset: String,
    /// With all modalities; absent if that combination was not evaluated.
    pub full: Option<f64>,
    /// `full - worst`.
    pub gap: Option<f64>,
}

/// What the cell cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cost {
    /// Training, seconds of wall clock.
    pub train_seconds: f64,
    /// Evaluation of all combinations, seconds of wall clock.
    pub evaluation_seconds: f64,
    /// Whole process, from start to finished result.
    pub total_seconds: f64,
    /// Optimizer steps.
    pub steps: usize,
    /// Runs of one modality's encoder over one test batch.
    pub evaluation_encoder_passes: usize,
    /// Test batches.
    pub evaluation_batches: usize,
    /// Numbers trained.
    pub trained_parameters: usize,
    /// Numbers in the deployed model.
    pub deployed_parameters: usize,
    /// Peak resident memory of the process.
    pub peak_memory_bytes: Option<u64>,
    /// Threads the process was given.
    pub threads: usize,
}

/// One line of the training history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 0.
    pub epoch: usize,
    /// Learning rate at its end.
    pub learning_rate: f64,
    /// Mean of each named loss term over the epoch.
    pub losses: BTreeMap<String, f64>,
    /// Mean validation score over combinations, where it was measured.
    #[serde(alias = "validation_accuracy")]
    pub validation_score: Option<f64>,
}

/// Where a result comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the program, with the commit where known.
    pub version: String,
    /// Hash of the data as read.
    pub data_hash: String,
    /// Processor, level of vector instructions, cores, operating system.
    pub machine: String,
    /// The level alone, such as `avx2`: between levels the last bits differ. Older results do not say it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub level: String,
    /// RFC 3339.
    pub finished_at: String,
}
