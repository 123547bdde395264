//! A folder that is there when it is whole.

use crate::error::{Error, Result};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What is written until then, in a folder that is there already; beside one that is not, the name stands between.
const UNFINISHED: &str = ".unfinished";
/// Says that the unfinished folder is ours; locked for as long as somebody writes to it.
const LOCK: &str = "lock";

/// A new folder, filled elsewhere and put into its place when it is whole. What a killed process left is removed by the next one that is to
/// write the same folder.
pub struct NewFolder {
    out: PathBuf,
    unfinished: PathBuf,
    /// Whether there is an empty folder, which stays: another disk may hang there, or a shell stand in it.
    is_there: bool,
    _lock: File,
}

impl NewFolder {
    /// Begins one; `out` is not there, or an empty folder.
    pub fn begin(out: &Path) -> Result<Self> {
        let is_there = out.is_dir();
        let unfinished = match is_there {
            true => out.join(UNFINISHED),
            false => out.with_file_name(format!(".{}{UNFINISHED}", out.file_name().unwrap_or_default().to_string_lossy())),
        };
        Self::refuse(out)?;
        if unfinished.exists() && !unfinished.join(LOCK).is_file() {
            let problem = "is where the folder is made, and was not left by this program: move it away".into();
            return Err(Error::File { path: unfinished, problem });
        }
        std::fs::create_dir_all(&unfinished).map_err(Error::io(&unfinished))?;
        let path = unfinished.join(LOCK);
        let lock = File::options().write(true).create(true).truncate(false).open(&path).map_err(Error::io(&path))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(Error::File {
                    path: out.into(),
                    problem: "is being written by another run: give the name of another folder".into(),
                });
            }
            // Some file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let new = Self { out: out.into(), unfinished, is_there, _lock: lock };
        match std::fs::remove_dir_all(new.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io(new.path())(error)),
            _ => {}
        }
        std::fs::create_dir_all(new.path()).map_err(Error::io(new.path()))?;
        Ok(new)
    }

    /// Refuses a file, and a folder that holds anything but what a killed process left.
    pub fn refuse(out: &Path) -> Result<()> {
        let is_ours = |name: &std::ffi::OsStr| name == UNFINISHED && out.join(UNFINISHED).join(LOCK).is_file();
        let is_empty = match std::fs::read_dir(out) {
            Ok(mut entries) => entries.all(|entry| entry.is_ok_and(|entry| is_ours(&entry.file_name()))),
            Err(_) => out.symlink_metadata().is_err(),
        };
        let problem = "is there already, and is not overwritten: give the name of a new folder";
        if is_empty { Ok(()) } else { Err(Error::File { path: out.into(), problem: problem.into() }) }
    }

    /// Where its files are to be written.
    pub fn path(&self) -> PathBuf {
        self.unfinished.join("folder")
    }

    /// Puts it into its place.
    pub fn finish(self) -> Result<()> {
        // Somebody may have written there meanwhile.
        Self::refuse(&self.out)?;
        let whole = self.path();
        if !self.is_there {
            return std::fs::rename(&whole, &self.out).map_err(Error::io(&self.out));
        }
        for entry in std::fs::read_dir(&whole).map_err(Error::io(&whole))? {
            let path = entry.map_err(Error::io(&whole))?.path();
            std::fs::rename(&path, self.out.join(path.file_name().unwrap_or_default())).map_err(Error::io(&path))?;
        }
        Ok(())
    }
}

impl Drop for NewFolder {
    /// What failed leaves nothing.
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.unfinished);
    }
}
