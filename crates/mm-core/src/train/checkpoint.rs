//! Checkpoint folders: complete or absent, never a part.
//!
//! Each checkpoint is a folder `epoch-000012-000034` (epochs done, steps of the next) with `model.safetensors`, `optimizer.safetensors`, `best.safetensors` (where a
//! best epoch is tracked), `average.safetensors` (where weights are averaged) and `state.json`, which holds the checksums of them all and of itself. It is written under a
//! temporary name and renamed; the one before it is kept.

use super::EpochLog;
use crate::error::{Error, Result};
use crate::weights;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::DirEntry;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that a run needs to go on as if it had never stopped.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// All variables.
    pub model: BTreeMap<String, Tensor>,
    /// State of the optimizer.
    pub optimizer: BTreeMap<String, Tensor>,
    /// The best variables so far, where a best epoch is tracked.
    pub best: Option<BTreeMap<String, Tensor>>,
    /// The average of all variables, where one is kept.
    pub average: Option<BTreeMap<String, Tensor>>,
    /// The rest.
    pub state: State,
}

/// The part of a checkpoint that is not tensors.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Which run this is.
    pub fingerprint: String,
    /// Version of this crate.
    pub version: String,
    /// Epochs done.
    pub epochs_done: usize,
    /// Steps of the next epoch that are done.
    pub steps_done: usize,
    /// Sums of each named loss term over these steps, those that were skipped left out.
    pub loss_sums: BTreeMap<String, f64>,
    /// How many steps are in these sums.
    pub loss_steps: usize,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Steps the optimizer took.
    pub optimizer_steps: u64,
    /// Epoch and score of the best validation so far.
    pub best: Option<(usize, f64)>,
    /// Validations since then.
    pub validations_since_best: usize,
    /// Steps that were skipped, their batch holding nothing to learn from.
    pub skipped_steps: u64,
    /// History so far.
    pub history: Vec<EpochLog>,
    /// Remarks so far.
    pub notes: Vec<String>,
    /// The method's own state.
    pub method: serde_json::Value,
}

/// What is in `state.json`: a checkpoint is what was written, to the bit, or it is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    /// SHA-256 of `content` as compact JSON.
    sha256: String,
    content: Content,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// SHA-256 of the other files, by name.
    files: BTreeMap<String, String>,
    state: State,
}

impl Content {
    fn hash(&self, path: &Path) -> Result<String> {
        Ok(weights::hash(&serde_json::to_vec(self).map_err(|e| Error::weights(path, e.to_string()))?))
    }
}

const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const BEST: &str = "best.safetensors";
const AVERAGE: &str = "average.safetensors";
const STATE: &str = "state.json";

const UNFINISHED: &str = ".unfinished-";

/// How many checkpoints stay in the folder.
const KEPT: usize = 2;

fn folder_name(epochs_done: usize, steps_done: usize) -> String {
    format!("epoch-{epochs_done:06}-{steps_done:06}")
}

/// Whether a name is that of a checkpoint's folder, or of one that was not finished; other folders beside them are somebody's own.
pub fn is_checkpoint_name(name: &str) -> bool {
    is_finished(name) || name.strip_prefix(UNFINISHED).is_some_and(weights::is_random)
}

fn is_finished(name: &str) -> bool {
    name.strip_prefix("epoch-").is_some_and(|numbers| numbers.split('-').all(|number| number.parse::<u64>().is_ok()))
}

/// Epochs and steps in a folder's name: as numbers, whatever their digits.
fn place(path: &Path) -> Vec<u64> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split('-').filter_map(|part| part.parse().ok()).collect()
}

/// Complete checkpoints in `folder`, oldest first.
fn existing(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.file_name().and_then(|n| n.to_str()).is_some_and(is_finished) {
            found.push(path);
        }
    }
    found.sort_by_key(|path| place(path));
    Ok(found)
}

/// The newest checkpoint in `folder`, if there is one.
pub fn latest(folder: &Path) -> Result<Option<PathBuf>> {
    Ok(existing(folder)?.pop())
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(folder)(error)),
        _ => Ok(()),
    }
}

/// How long nobody takes to write a checkpoint.
const OLD: Duration = Duration::from_secs(600);

fn is_old(entry: &DirEntry) -> bool {
    let modified = entry.metadata().and_then(|found| found.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > OLD))
}

const OF_ANOTHER: &str = "belongs to a run with another configuration, or the files of its data have changed since";

impl Checkpoint {
    /// Writes the checkpoint into `folder` and removes all but the two newest.
    pub fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        // Unfinished ones of a killed process would only collect; one that is in work may be of another process with the same run.
        for entry in std::fs::read_dir(folder).map_err(Error::io(folder))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) && is_old(&entry) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(folder).map_err(Error::io(folder))?;
        let mut files = BTreeMap::new();
        let (best, average) = (self.best.as_ref(), self.average.as_ref());
        let tensors = [(MODEL, Some(&self.model)), (OPTIMIZER, Some(&self.optimizer)), (BEST, best), (AVERAGE, average)];
        for (name, tensors) in tensors.into_iter().filter_map(|(name, tensors)| Some((name, tensors?))) {
            let path = unfinished.path().join(name);
            let bytes = weights::encode(&path, tensors, None)?;
            weights::write_atomically(&path, &bytes)?;
            files.insert(name.to_string(), weights::hash(&bytes));
        }
        let path = unfinished.path().join(STATE);
        let content = Content { files, state: self.state.clone() };
        let sealed = Sealed { sha256: content.hash(&path)?, content };
        weights::write_atomically(&path, &serde_json::to_vec_pretty(&sealed).map_err(|e| Error::weights(&path, e.to_string()))?)?;
        let target = folder.join(folder_name(self.state.epochs_done, self.state.steps_done));
        remove(&target)?;
        let unfinished = unfinished.keep();
        match std::fs::rename(&unfinished, &target) {
            // Another process with the same run was faster, with the same bytes.
            Err(_) if target.exists() => remove(&unfinished)?,
            renamed => renamed.map_err(Error::io(&target))?,
        }
        let all = existing(folder)?;
        all[..all.len().saturating_sub(KEPT)].iter().try_for_each(|old| remove(old))
    }

    /// Reads one checkpoint (a folder `epoch-...`) with every check; the error says which folder to remove to fall back on
    /// the one before.
    pub fn load(checkpoint: &Path, fingerprint: &str, device: &Device) -> Result<Self> {
        Self::read(checkpoint, fingerprint, device).map_err(|error| match error {
            Error::Weights { path, problem } if problem == OF_ANOTHER => {
                let folder = checkpoint.parent().unwrap_or(checkpoint).display();
                Error::Weights { path, problem: format!("{problem}; remove the folder {folder} to begin anew") }
            }
            Error::Weights { path, problem } => Error::Weights {
                path,
                problem: format!("{problem}; remove the folder {} to go on from the checkpoint before it", checkpoint.display()),
            },
            other => other,
        })
    }

    fn read(checkpoint: &Path, fingerprint: &str, device: &Device) -> Result<Self> {
        let bytes = |path: &Path| std::fs::read(path).map_err(|e| Error::weights(path, format!("unreadable: {e}")));
        let path = checkpoint.join(STATE);
        let sealed: Sealed = serde_json::from_slice(&bytes(&path)?).map_err(|e| Error::weights(&path, format!("corrupt: {e}")))?;
        if sealed.sha256 != sealed.content.hash(&path)? {
            return Err(Error::weights(&path, "corrupt: its checksum is wrong"));
        }
        let Content { files, state } = sealed.content;
        if state.fingerprint != fingerprint {
            return Err(Error::weights(&path, OF_ANOTHER));
        }
        let read = |name: &str| -> Result<BTreeMap<String, Tensor>> {
            let path = checkpoint.join(name);
            let bytes = bytes(&path)?;
            // First tensor by tensor, so that the message names the damaged one.
            let (tensors, _) = weights::decode(&path, &bytes, device)?;
            match files.get(name) == Some(&weights::hash(&bytes)) {
                true => Ok(tensors),
                false => Err(Error::weights(&path, format!("corrupt, or not of this checkpoint: its checksum is not the one in {STATE}"))),
            }
        };
        let read_if_there = |name: &str| files.contains_key(name).then(|| read(name)).transpose();
        let (best, average) = (read_if_there(BEST)?, read_if_there(AVERAGE)?);
        Ok(Self { model: read(MODEL)?, optimizer: read(OPTIMIZER)?, best, average, state })
    }
}
