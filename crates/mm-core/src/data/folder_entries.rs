//! What a folder holds, and the parts of names.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Files that systems leave in folders.
const LEFT_BY_SYSTEMS: [&str; 3] = ["thumbs.db", "desktop.ini", "ehthumbs.db"];

/// What a folder holds, in order, without what starts with a point and what systems leave there.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    let mut paths = list.map(|entry| entry.map(|entry| entry.path()).map_err(Error::io(folder))).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| !file_name(path).starts_with('.') && !LEFT_BY_SYSTEMS.contains(&file_name(path).to_lowercase().as_str()));
    paths.sort();
    Ok(paths)
}

/// The name of a file or folder.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The stem and the ending of a file's name, this in small letters; it is empty where there is none.
pub fn stem_and_extension(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    (text(path.file_stem()), text(path.extension()).to_lowercase())
}

/// Of what a folder of samples holds, what has a name in UTF-8; the others are told: read as text, two of them may be one.
pub fn with_names(mut paths: Vec<PathBuf>, mut told: impl FnMut(Error)) -> Vec<PathBuf> {
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default();
        if name.to_str().is_none() {
            let problem = format!("holds {name:?}, a name that is not UTF-8 (other bytes are shown as \\x..): rename it");
            told(Error::File { path: path.parent().unwrap_or(path).into(), problem });
        }
        name.to_str().is_some()
    });
    paths
}
