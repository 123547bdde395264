//! What one finished cell (data, run, seed) leaves behind: `result.json`, all the report is made from.

mod defined;
mod evaluated;
mod scores;
mod sealed;

pub use evaluated::{AvailableResult, CleanResult, CombinationResult, CorruptionResult, Excluded, NotEvaluated, Readings, RemovedResult};
pub use scores::{Measured, Metrics, SpoofMetrics, Summary, marks};

use crate::pictured::Pictured;
use crate::rows::Rows;
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
    /// The group of each, such as a speaker or a patient, where the data set has a column of groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_groups: Option<Vec<String>>,
    /// The class of each, by position; results without are of an older version.
    #[serde(default)]
    pub truths: Option<Vec<u32>>,
    /// The numbers of each, or 1 and 0 for labels, in the order of `outputs`; empty elsewhere and in results of an older version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub true_outputs: Vec<Vec<f64>>,
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
