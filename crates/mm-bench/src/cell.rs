//! A cell: everything that determines one result, and its key.

use super::absence::Absence;
use super::corruption::PlannedCorruption;
use crate::dataset::{TrainingSamples, hex};
use crate::pretrained;
use mm_core::DeviceName;
use mm_core::train::TrainConfig;
use mm_kernels::simd::Level;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// One (data, run, seed) of a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CellSpec {
    /// Hash of `resolved`: the folder of the result.
    pub key: String,
    /// Name of the plan's data entry.
    pub data: String,
    /// Name of the plan's run.
    pub run: String,
    /// Only a teacher for other cells, not a row of the report.
    pub hidden: bool,
    /// Rough cost in seconds of one core, for the order of cells and the estimate of `--dry-run`.
    pub estimated_seconds: f64,
    /// What determines the result.
    pub resolved: Resolved,
}

/// Everything that can change a result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resolved {
    /// What computes it, as [`Registry::computes`](crate::Registry::computes) says.
    pub program: String,
    /// The level of vector instructions, where the plan pins it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LevelName>,
    /// The device that it is computed on.
    #[serde(default, skip_serializing_if = "is_cpu")]
    pub device: DeviceName,
    /// Hash of the card and of what its files hold.
    pub data_hash: String,
    /// Of files that are read when they are needed, what would change with them and takes no reading; the key does not depend on it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data_stamp: String,
    /// Where the card is.
    pub card: String,
    /// The measure that selects models and heads the report, if it is another one than the card says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// Training samples of each class.
    pub train_per_class: Option<usize>,
    /// Whether the samples for validation train.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub train_on_validation: bool,
    /// Which sensors samples lose for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<Absence>,
    /// The method.
    pub method: String,
    /// Its settings, as written in the plan.
    pub options: toml::Table,
    /// Training settings, seed included.
    pub train: TrainConfig,
    /// Evaluated combinations; all by default.
    pub combinations: Option<Vec<String>>,
    /// Corruptions evaluated with all modalities present.
    pub corruptions: Vec<PlannedCorruption>,
    /// Key of the cell that trains the teacher.
    pub teacher: Option<String>,
    /// Hash of each file of weights that encoders begin with, by its place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, String>,
}

impl Resolved {
    /// Which samples train.
    pub fn training_samples(&self) -> TrainingSamples {
        TrainingSamples { per_class: self.train_per_class, with_validation: self.train_on_validation }
    }
}

impl std::fmt::Display for CellSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} / {} / seed {}", self.data, self.run, self.resolved.train.seed)
    }
}

impl CellSpec {
    /// A cell with its key.
    pub fn new(data: &str, run: &str, estimated_seconds: f64, resolved: Resolved) -> Self {
        let mut cell = Self { key: String::new(), data: data.into(), run: run.into(), hidden: false, estimated_seconds, resolved };
        cell.key = cell.hash();
        cell
    }

    /// Not a row of the report.
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Names the teacher's cell.
    pub fn set_teacher(&mut self, key: String) {
        self.resolved.teacher = Some(key);
        self.key = self.hash();
    }

    fn hash(&self) -> String {
        // Where card and weights lie does not matter, what they hold does.
        let options = pretrained::by_content(&self.resolved.options, &self.resolved.weights);
        let (card, data_stamp) = Default::default();
        let identity = Resolved { card, data_stamp, options, weights: BTreeMap::new(), ..self.resolved.clone() };
        hex(&Sha256::digest(serde_json::to_vec(&identity).unwrap_or_default()))[..16].to_string()
    }
}

/// So that the keys of cells on the CPU are what they were before there was a choice.
fn is_cpu(device: &DeviceName) -> bool {
    *device == DeviceName::Cpu
}

/// The name of a level of vector instructions that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LevelName(Level);

impl LevelName {
    /// The level.
    pub fn level(&self) -> Level {
        self.0
    }
}

impl TryFrom<String> for LevelName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let names = || Level::ALL.map(Level::name).join(", ");
        let level = Level::ALL.into_iter().find(|level| level.name() == name);
        level.map(Self).ok_or_else(|| format!("there is no level `{name}` of vector instructions; there are: {}", names()))
    }
}

impl From<LevelName> for String {
    fn from(level: LevelName) -> Self {
        level.0.name().into()
    }
}
