//! Reading what lies in a data set's folder, and writing files whole.

use super::error::{Error, Result};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Longest text file that is read.
const LONGEST: u64 = 1 << 28;

/// A file or folder of the data set, which must be there; `how` says where a user gets it.
pub(super) fn found(path: PathBuf, what: &str, how: &str) -> Result<PathBuf> {
    match path.exists() {
        true => Ok(path),
        false => Err(Error::Missing { path, what: what.into(), how: how.into() }),
    }
}

/// Names in a folder that are text, in order; hidden files are left out.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let name = entry.map_err(Error::io(folder))?.file_name();
        names.extend(name.to_str().filter(|name| !name.starts_with('.')).map(String::from));
    }
    names.sort();
    Ok(names)
}

/// A text file without the mark of its encoding (UTF-8).
pub(super) fn text(path: &Path) -> Result<String> {
    let size = std::fs::metadata(path).map_err(Error::io(path))?.len();
    if size > LONGEST {
        return Err(Error::content(path, format!("has {size} bytes; a text of at most {LONGEST} is expected")));
    }
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let text = String::from_utf8(bytes).map_err(|_| Error::content(path, "is no text in UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').map(String::from).unwrap_or(text))
}

/// The lines of a text that hold something, with their numbers from 1.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).map(|(number, line)| (number, line.trim())).filter(|(_, line)| !line.is_empty())
}

/// Writes a file under another name and renames it, so that nobody finds half of it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(Error::io(path))
}
