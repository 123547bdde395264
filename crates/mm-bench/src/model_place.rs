//! Where `mm train` puts its model: refused before the training, and taken by one training at a time.

use crate::output::{names, remove_checkpoints, remove_if_empty};
use anyhow::{Context, Result, bail};
use mm_core::pipeline::ModelPlace;
use mm_core::train::latest_checkpoint;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Empty; its lock says that a training is running.
const LOCK: &str = "train.lock";
/// Digits of a run's fingerprint that name its folder.
const NAME: usize = 16;

/// Before hours of training, and not behind them.
pub fn refuse_existing(out: &Path, overwrite: bool) -> Result<()> {
    // The nearest that exists has to be a folder that can be written to.
    let mut above = out.ancestors().map(|path| if path == Path::new("") { Path::new(".") } else { path });
    if let Some(there) = above.find(|path| path.symlink_metadata().is_ok()) {
        if !there.exists() {
            bail!("{} is a link to something that is not there: give a new or empty folder for the model", there.display());
        }
        if !there.is_dir() {
            bail!("{} is a file: give a new or empty folder for the model", there.display());
        }
        tempfile::tempfile_in(there)
            .with_context(|| format!("{} cannot be written to: give another folder for the model", there.display()))?;
    }
    let checkpoints = checkpoint_folder(out);
    if checkpoints.symlink_metadata().is_ok() && !checkpoints.is_dir() {
        bail!("{} is a file, and a folder of this name holds the checkpoints: give another folder for the model", checkpoints.display());
    }
    match ModelPlace::of(out)? {
        ModelPlace::Other => bail!("{} holds other files: give a new or empty folder for the model", out.display()),
        ModelPlace::Model if !overwrite => bail!("{} holds a model: give another folder, or `--overwrite`", out.display()),
        _ => Ok(()),
    }
}

/// Where an interrupted run is kept: beside the model's folder, which holds nothing but a finished model.
pub fn checkpoint_folder(out: &Path) -> PathBuf {
    // `.` has no name, but the folder that it is.
    let named = if out.file_name().is_none() { out.canonicalize().ok() } else { None };
    let out = named.as_deref().unwrap_or(out);
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".checkpoints");
    out.with_file_name(name)
}

/// The folder of checkpoints, which no other training takes until this is dropped.
pub struct Taken {
    folder: PathBuf,
    /// Runs that were interrupted before, by the names of their folders.
    begun: Vec<String>,
    _lock: File,
}

impl Taken {
    /// Takes it; refused while another training has it.
    pub fn new(out: &Path) -> Result<Self> {
        let folder = checkpoint_folder(out);
        std::fs::create_dir_all(&folder).with_context(|| {
            format!("creating {} for the checkpoints, beside the model: give an `--out` where that can be written", folder.display())
        })?;
        let path = folder.join(LOCK);
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.with_context(|| format!("opening {}", path.display()))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => bail!("another `mm train` is writing {}", out.display()),
            // Some file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut begun = runs(&folder)?;
        begun.retain(|run| latest_checkpoint(&folder.join(run)).is_ok_and(|newest| newest.is_some()));
        Ok(Self { folder, begun, _lock: lock })
    }

    /// Whether it holds a run that was interrupted, besides that of this teacher; with other settings or data, if a training begins anyway.
    pub fn holds_another(&self, teacher: Option<&String>) -> bool {
        self.begun.iter().any(|run| teacher.is_none_or(|teacher| !teacher.starts_with(run)))
    }

    /// Removes all checkpoints that trainings left there.
    pub fn clear(&self) -> Result<()> {
        runs(&self.folder)?.iter().try_for_each(|run| remove_checkpoints(&self.folder.join(run)))
    }
}

impl Drop for Taken {
    /// A training that ended before its first checkpoint leaves nothing.
    fn drop(&mut self) {
        _ = std::fs::remove_file(self.folder.join(LOCK));
        _ = remove_if_empty(&self.folder);
    }
}

/// The names of the folders of runs.
fn runs(folder: &Path) -> Result<Vec<String>> {
    let is_run = |name: &String| name.len() == NAME && name.bytes().all(|b| b.is_ascii_hexdigit());
    Ok(names(folder)?.into_iter().filter(|name| is_run(name) && folder.join(name).is_dir()).collect())
}
