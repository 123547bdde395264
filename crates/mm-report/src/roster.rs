//! The cells that a bench is to run, which it writes beside their results: so that nobody has to guess whether one is missing.

use crate::Error;
use crate::FailureRates;
use mm_core::weights::write_atomically;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The file in a bench's folder.
pub const FILE: &str = "plan.json";

/// A plan as far as a report of its results needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// Name of the plan.
    pub plan: String,
    /// What it is for.
    pub description: String,
    /// Failure rates by data entry.
    pub failure: BTreeMap<String, FailureRates>,
    /// All cells, in the order of the report.
    pub cells: Vec<Listed>,
}

/// A cell of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Its folder below `cells`.
    pub key: String,
    /// Name of the data entry.
    pub data: String,
    /// Name of the run.
    pub run: String,
    /// Seed.
    pub seed: u64,
    /// Only a teacher for other cells, not a row of the report.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

impl std::fmt::Display for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} / {} / seed {}", self.data, self.run, self.seed)
    }
}

impl Roster {
    /// The one of a bench's folder; `None` where there is none, as older versions left it.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(FILE);
        let wrong = |problem: String| Error::Results { path: path.clone(), problem };
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(error.to_string())),
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| wrong(format!("not the list of a bench's cells ({error}); run the bench again"))),
        }
    }

    /// Writes it into a bench's folder.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        Ok(write_atomically(&folder.join(FILE), &serde_json::to_vec_pretty(self)?)?)
    }

    /// The keys of all cells.
    pub fn keys(&self) -> BTreeSet<&str> {
        self.cells.iter().map(|cell| cell.key.as_str()).collect()
    }

    /// A note on each row of the report that no folder has a result of.
    pub fn missing(&self, has: impl Fn(&str) -> bool) -> Vec<String> {
        let missing = self.cells.iter().filter(|cell| !cell.hidden && !has(&cell.key));
        missing.map(|cell| format!("cell {cell} is missing: it has no result yet")).collect()
    }
}
