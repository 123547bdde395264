//! The folder of a saved model: what is in its place, and how a save fills it.

use super::{CARD, CONFIG, WEIGHTS};
use crate::error::{Error, Result};
use crate::weights::is_temporary_name;
use std::io::ErrorKind;
use std::path::Path;

/// Where a save is put together, within the folder: that may be a disk of its own. Its presence says that a save did not come to its end.
const SAVING: &str = ".saving";
/// In the order in which they come into place. The last is `config.json`: a folder with it is complete.
const FILES: [&str; 3] = [WEIGHTS, CARD, CONFIG];

/// What is where a model is to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelPlace {
    /// Nothing, or no more than a save left that was killed.
    Free,
    /// A model; other files may be beside it.
    Model,
    /// Files that are no model.
    Other,
}

/// Whether a save into the folder did not come to its end.
pub fn is_unfinished(folder: &Path) -> bool {
    FILES.iter().any(|file| folder.join(SAVING).join(file).is_file())
}

impl ModelPlace {
    /// Looks at a folder.
    pub fn of(folder: &Path) -> Result<Self> {
        if folder.join(CONFIG).exists() && folder.join(WEIGHTS).exists() {
            return Ok(Self::Model);
        }
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::Free),
            entries => entries.map_err(Error::io(folder))?,
        };
        let was_killed = folder.join(SAVING).is_dir();
        for entry in entries {
            let name = entry.map_err(Error::io(folder))?.file_name();
            if !was_killed || (name != SAVING && !FILES.iter().any(|file| name == *file)) {
                return Ok(Self::Other);
            }
        }
        Ok(Self::Free)
    }
}

/// Fills a folder with the files that `write` puts into the one that it is given: none of them replaces another before all are written, so
/// that the old model is whole on the disk until the new one is.
pub fn fill(folder: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let saving = folder.join(SAVING);
    if saving.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
        return Err(Error::File { path: saving, problem: "is where a model is put together, and no folder of ours: move it away".into() });
    }
    std::fs::create_dir_all(&saving).map_err(Error::io(&saving))?;
    let into_place = |name: &&str| {
        let place = folder.join(name);
        std::fs::rename(saving.join(name), &place).map_err(Error::io(&place))
    };
    let filled = write(&saving).and_then(|()| FILES.iter().try_for_each(into_place));
    // What is left is of this save, or of one that was killed.
    for entry in std::fs::read_dir(&saving).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| FILES.contains(&name) || is_temporary_name(name)) {
            _ = std::fs::remove_file(entry.path());
        }
    }
    _ = std::fs::remove_dir(&saving);
    filled
}
