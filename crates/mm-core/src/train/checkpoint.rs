//! Checkpoint folders: complete or absent, never a part.
//!
//! Each checkpoint is a folder `epoch-000012` with `model.safetensors`, `optimizer.safetensors`, `best.safetensors` (where a
//! best epoch is tracked) and `state.json`. It is written under a temporary name and renamed; the one before it is kept.

use super::trainer::EpochLog;
use crate::error::{Error, Result};
use crate::weights;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Everything that a run needs to go on as if it had never stopped.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// All variables.
    pub model: BTreeMap<String, Tensor>,
    /// State of the optimizer.
    pub optimizer: BTreeMap<String, Tensor>,
    /// The best variables so far, where a best epoch is tracked.
    pub best: Option<BTreeMap<String, Tensor>>,
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
    /// Steps the optimizer took.
    pub optimizer_steps: u64,
    /// Epoch and score of the best validation so far.
    pub best: Option<(usize, f64)>,
    /// Whether the best epoch's variables are in the checkpoint.
    pub best_saved: bool,
    /// Validations since then.
    pub validations_since_best: usize,
    /// History so far.
    pub history: Vec<EpochLog>,
    /// Remarks so far.
    pub notes: Vec<String>,
    /// The method's own state.
    pub method: serde_json::Value,
}

/// How many checkpoints stay in the folder.
const KEPT: usize = 2;

fn folder_name(epochs_done: usize) -> String {
    format!("epoch-{epochs_done:06}")
}

/// Complete checkpoints in `folder`, oldest first.
fn existing(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("epoch-")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The newest checkpoint in `folder`, if there is one.
pub fn latest(folder: &Path) -> Result<Option<PathBuf>> {
    Ok(existing(folder)?.pop())
}

impl Checkpoint {
    /// Writes the checkpoint into `folder` and removes all but the two newest.
    pub fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        // Unfinished ones of a killed process would only collect.
        for entry in std::fs::read_dir(folder).map_err(Error::io(folder))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(".unfinished-") {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let unfinished = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(folder).map_err(Error::io(folder))?;
        weights::save(&unfinished.path().join("model.safetensors"), &self.model, None)?;
        weights::save(&unfinished.path().join("optimizer.safetensors"), &self.optimizer, None)?;
        if let Some(best) = &self.best {
            weights::save(&unfinished.path().join("best.safetensors"), best, None)?;
        }
        let state_path = unfinished.path().join("state.json");
        let state = serde_json::to_vec_pretty(&self.state).map_err(|e| Error::weights(&state_path, e.to_string()))?;
        weights::write_atomically(&state_path, &state)?;
        let target = folder.join(folder_name(self.state.epochs_done));
        if target.exists() {
            std::fs::remove_dir_all(&target).map_err(Error::io(&target))?;
        }
        std::fs::rename(unfinished.keep(), &target).map_err(Error::io(&target))?;
        let all = existing(folder)?;
        for old in &all[..all.len().saturating_sub(KEPT)] {
            std::fs::remove_dir_all(old).map_err(Error::io(old))?;
        }
        Ok(())
    }

    /// Reads one checkpoint (a folder `epoch-...`) with every check; the error says which folder to remove to fall back on
    /// the one before.
    pub fn load(checkpoint: &Path, fingerprint: &str, device: &Device) -> Result<Self> {
        Self::read(checkpoint, fingerprint, device).map_err(|error| match error {
            Error::Weights { path, problem } => Error::Weights {
                path,
                problem: format!("{problem}; remove the folder {} to go on from the checkpoint before it", checkpoint.display()),
            },
            other => other,
        })
    }

    fn read(checkpoint: &Path, fingerprint: &str, device: &Device) -> Result<Self> {
        let path = checkpoint.join("state.json");
        let text = std::fs::read(&path).map_err(|e| Error::weights(&path, format!("unreadable: {e}")))?;
        let state: State = serde_json::from_slice(&text).map_err(|e| Error::weights(&path, format!("corrupt: {e}")))?;
        if state.fingerprint != fingerprint {
            return Err(Error::weights(&path, "belongs to a run with another configuration or other data"));
        }
        let read = |name: &str| -> Result<BTreeMap<String, Tensor>> {
            let path = checkpoint.join(name);
            weights::load(&path, device).map(|(tensors, _)| tensors).map_err(|error| match error {
                Error::Io { path, source } => Error::weights(path, format!("unreadable: {source}")),
                other => other,
            })
        };
        let best = state.best_saved.then(|| read("best.safetensors")).transpose()?;
        Ok(Self { model: read("model.safetensors")?, optimizer: read("optimizer.safetensors")?, best, state })
    }
}
