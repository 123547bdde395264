//! Why a file that a table names is not there, as far as one can tell.

use std::path::{Component, Path, PathBuf};
use unicode_normalization_alignments::UnicodeNormalization;

/// What is probably wrong with the name of a file in a column, from the folder of the table, and what to write.
pub(super) fn why_missing(folder: &Path, column: &str, cell: &str) -> Option<String> {
    if ["http://", "https://", "s3://", "gs://"].iter().any(|scheme| cell.to_lowercase().starts_with(scheme)) {
        return Some("it is an address on the internet: fetch the file, and name it from the folder of the table".into());
    }
    let drive = cell.as_bytes().get(1) == Some(&b':') && cell.contains(['\\', '/']);
    if cell.contains('\\') && !drive {
        let slashes = cell.replace('\\', "/");
        let there = found(folder, &slashes).map(|name| format!(": write `{name}`, which is there"));
        return Some(format!("folders are parted by `/`, not by `\\`{}", there.unwrap_or_else(|| format!(": write `{slashes}`"))));
    }
    if drive || Path::new(cell).is_absolute() {
        let name = cell.rsplit(['\\', '/']).next().unwrap_or(cell);
        let there = if folder.join(name).is_file() { format!(", such as `{name}`, which is there") } else { String::new() };
        return Some(format!("it names the folders of one computer: name files from the folder of the table{there}"));
    }
    if folder.join(column).join(cell).is_file() {
        return Some(format!("there is `{column}/{cell}`: name files from the folder of the table"));
    }
    found(folder, cell).map(|name| match composed(&name) == composed(cell) {
        true => format!(
            "there is `{name}`, which looks the same and is written with other Unicode characters (an accent and its letter are one or two): \
             write the table with the names as the files have them"
        ),
        false => format!("there is `{name}`: names are told apart by upper and lower case, spaces and ending; write it so"),
    })
}

/// With one character for a letter and its accent (NFC), where macOS and some archives have two.
fn composed(name: &str) -> String {
    name.nfc().map(|(letter, _)| letter).collect()
}

/// The name of a file that is called so but for case, spaces at the ends and ending, from the folder.
fn found(folder: &Path, name: &str) -> Option<String> {
    let mut at = folder.to_path_buf();
    let mut written = PathBuf::new();
    for component in Path::new(name).components() {
        let Component::Normal(wanted) = component else {
            at.push(component);
            written.push(component);
            continue;
        };
        let wanted = wanted.to_string_lossy();
        let exact = at.join(&*wanted);
        let next = if exact.exists() { wanted.into_owned() } else { nearest_entry(&at, &wanted)? };
        at.push(&next);
        written.push(&next);
    }
    at.is_file().then(|| written.display().to_string())
}

/// An entry of a folder that a person would take for the wanted one.
fn nearest_entry(folder: &Path, wanted: &str) -> Option<String> {
    // A table that is named without a folder lies in the current one.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    let plain = |name: &str| composed(name).to_lowercase();
    let same = |name: &String| plain(name.trim()) == plain(wanted);
    let stem = |name: &str| plain(name.rsplit_once('.').map_or(name, |(stem, _)| stem));
    names.iter().find(|name| same(name)).or_else(|| names.iter().find(|name| stem(name) == stem(wanted))).cloned()
}
