//! What the files of a data set hold, as hashes: a result depends on it, and not on where the files lie or when they were copied there.

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use mm_core::weights::{hash_file, write_atomically};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A file, and by what it is seen to have changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was changed, in nanoseconds since 1970; unknown where the disk does not say.
    pub changed: Option<u64>,
}

impl Stamp {
    /// Of a file as it is now.
    pub fn of(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).with_context(|| format!("looking at {}", path.display()))?;
        let since = |time: std::time::SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|time| time.as_nanos() as u64);
        Ok(Self { path: path.into(), bytes: metadata.len(), changed: metadata.modified().ok().and_then(since) })
    }
}

/// Hashes of files, each computed once and again where the file has another stamp.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct FileHashes {
    known: BTreeMap<PathBuf, (Stamp, String)>,
    #[serde(skip)]
    is_new: bool,
}

impl FileHashes {
    /// Those that [`write`](Self::write) kept; none where they cannot be read, which costs time and nothing else.
    pub fn read(path: &Path) -> Self {
        std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Keeps them for the next time, if there are new ones.
    pub fn write(&self, path: &Path) -> Result<()> {
        match self.is_new {
            true => Ok(write_atomically(path, &serde_json::to_vec(self)?)?),
            false => Ok(()),
        }
    }

    /// The SHA-256 of each file, in order. Those that are not known are read, all cores at a time, with a bar.
    pub fn of(&mut self, files: &[Stamp]) -> Result<Vec<String>> {
        let is_known = |stamp: &&Stamp| stamp.changed.is_some() && self.known.get(&stamp.path).is_some_and(|(known, _)| known == *stamp);
        let unknown: Vec<&Stamp> = files.iter().filter(|stamp| !is_known(stamp)).collect();
        let bar = ProgressBar::new(unknown.iter().map(|stamp| stamp.bytes).sum());
        if let Ok(style) =
            ProgressStyle::with_template("reading the data once, to know it again {bar:30} {bytes} of {total_bytes}, {eta} left")
        {
            bar.set_style(style);
        }
        let hashed: Result<Vec<String>> = unknown.par_iter().map(|stamp| Ok(hash_file(&stamp.path, |read| bar.inc(read))?)).collect();
        bar.finish_and_clear();
        for (stamp, hash) in unknown.iter().zip(hashed?) {
            self.is_new = true;
            self.known.insert(stamp.path.clone(), ((*stamp).clone(), hash));
        }
        Ok(files.iter().filter_map(|stamp| self.known.get(&stamp.path)).map(|(_, hash)| hash.clone()).collect())
    }
}
