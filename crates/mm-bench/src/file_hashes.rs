//! What the files of a data set hold, as hashes: a result depends on it, and not on where the files lie or when they were copied there.

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use mm_core::weights::{hash_file, write_atomically};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::Metadata;
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
    /// On Unix when the system last noted a change of any kind, in seconds and nanoseconds: no program sets it back, as copies do the other.
    #[serde(default)]
    pub noted: Option<(i64, i64)>,
}

impl Stamp {
    /// Of a file as it is now.
    pub fn of(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).with_context(|| format!("looking at {}", path.display()))?;
        let since = |time: std::time::SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|time| time.as_nanos() as u64);
        let changed = metadata.modified().ok().and_then(since);
        Ok(Self { path: path.into(), bytes: metadata.len(), changed, noted: noted(&metadata) })
    }
}

// The number of the file would tell no more, and some file systems give a new one each time.
#[cfg(unix)]
fn noted(metadata: &Metadata) -> Option<(i64, i64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.ctime(), metadata.ctime_nsec()))
}

#[cfg(not(unix))]
fn noted(_: &Metadata) -> Option<(i64, i64)> {
    None
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn another_content_of_the_same_size_and_time_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let (first, mut hashes) = (Stamp::of(&path).unwrap(), FileHashes::default());
        let one = hashes.of(std::slice::from_ref(&first)).unwrap();
        // The clock of file systems ticks some hundred times a second.
        std::thread::sleep(Duration::from_millis(50));
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, "two").unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let second = Stamp::of(&path).unwrap();
        assert_eq!((first.bytes, first.changed), (second.bytes, second.changed));
        assert_ne!(hashes.of(&[second]).unwrap(), one);
    }
}
