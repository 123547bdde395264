//! Recordings that were decoded, kept for the other windows of them.

use super::Array;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Numbers of all recordings that are kept (256 MiB).
const MOST_NUMBERS: usize = 1 << 25;

/// Recordings that were decoded as a whole. A training reads every window in every epoch, in any order, and decoding a text takes a hundred times
/// as long as cutting a window from its numbers. What does not fit any more is decoded anew each time.
#[derive(Debug, Default)]
pub(super) struct Recordings(Mutex<HashMap<PathBuf, (Version, Arc<Array>)>>);

/// By what a file that was changed is known.
type Version = (u64, Option<SystemTime>);

impl Recordings {
    /// The recording in a file, decoded now or before.
    pub fn of(&self, path: &Path, decode: impl FnOnce() -> Result<Array>) -> Result<Arc<Array>> {
        let metadata = std::fs::metadata(path).map_err(Error::io(path))?;
        let version = (metadata.len(), metadata.modified().ok());
        if let Some((_, array)) = self.kept().get(path).filter(|(kept, _)| *kept == version) {
            return Ok(array.clone());
        }
        let array = Arc::new(decode()?);
        let mut kept = self.kept();
        kept.remove(path);
        if kept.values().map(|(_, array)| array.values.len()).sum::<usize>() + array.values.len() <= MOST_NUMBERS {
            kept.insert(path.into(), (version, array.clone()));
        }
        Ok(array)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (Version, Arc<Array>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
