//! The card of a folder of folders.

use super::column::{ENDINGS, kind_of};
use super::sensor::{Reading, Written, of_files};
use super::{Guess, name_of, named_from, quoted};
use crate::data::Part;
use crate::data::names::some;
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Deeper folders are not looked into.
const DEEPEST: usize = 5;
/// Files that are looked through for the form of the folders.
const MOST_FILES: usize = 200_000;
/// Names that folders of sensors have, where folders of classes lie above them.
const SENSORS: [&str; 16] = [
    "rgb", "depth", "ir", "image", "images", "img", "audio", "sound", "thermal", "text", "color", "colour", "radar", "lidar", "video",
    "nir",
];

/// Guesses it.
pub(super) fn guess(root: &Path, beside: &Path) -> Result<Guess> {
    let wrong = |problem: String| Error::File { path: root.into(), problem };
    let mut files = Vec::new();
    walk(root, &mut Vec::new(), &mut files)?;
    if files.is_empty() {
        let endings: Vec<&str> = ENDINGS.iter().flat_map(|(_, endings)| *endings).copied().collect();
        return Err(wrong(format!("holds no file that is read: images and sounds end in {}", endings.join(", "))));
    }
    // Without the folders of parts, wherever they are.
    let levels: Vec<(Vec<&str>, bool)> = files.iter().map(|file| without_part(&file.folders)).collect();
    let mut depths: BTreeMap<usize, usize> = BTreeMap::new();
    levels.iter().for_each(|(folders, _)| *depths.entry(folders.len()).or_default() += 1);
    let depth = depths.iter().max_by_key(|(_, count)| **count).map_or(0, |(depth, _)| *depth);
    let order = "a folder a sensor, in it a folder a class, in it the files; with one sensor the folders of the classes alone";
    let mut remarks = Vec::new();
    let others: usize = depths.iter().filter(|(d, _)| **d != depth).map(|(_, count)| count).sum();
    if others > 0 {
        remarks.push(format!("{others} files lie in more or fewer folders than most of them: the check names them"));
    }
    let sensors: Vec<(String, Option<String>, Vec<&File>)> = match depth {
        0 => return Err(wrong(format!("its files lie in no folders that tell their classes: {order}; or write a table of samples"))),
        1 => {
            let of: Vec<&File> = files.iter().zip(&levels).filter(|(_, (folders, _))| folders.len() == 1).map(|(file, _)| file).collect();
            if levels.iter().filter(|(folders, _)| folders.len() == 1).all(|(folders, _)| folders[0].parse::<Part>().is_ok()) {
                return Err(wrong(format!("its folders are parts and not classes: each holds a folder a class; {order}")));
            }
            vec![("".into(), Some(".".into()), of)]
        }
        2 => {
            let names = |level: usize| levels.iter().filter(|(f, _)| f.len() == 2).map(|(f, _)| f[level]).collect::<BTreeSet<&str>>();
            let known = |name: &&str| SENSORS.contains(&name.to_lowercase().as_str());
            if names(1).iter().all(known) && !names(0).iter().any(known) {
                return Err(wrong(format!(
                    "the folders of sensors lie inside those of classes: {order}; move them, or write a table of samples"
                )));
            }
            if files.iter().zip(&levels).any(|(file, (folders, _))| folders.len() == 2 && file.folders[0].parse::<Part>().is_ok()) {
                return Err(wrong(format!(
                    "the folders of parts lie around those of sensors: a sensor's folder holds those of parts; {order}"
                )));
            }
            let names = names(0);
            let of = |name: &str| files.iter().filter(|file| file.folders[0] == name).collect::<Vec<_>>();
            names.iter().map(|name| (name_of(name), (name_of(name) != *name).then(|| name.to_string()), of(name))).collect()
        }
        _ => return Err(wrong(format!("its files lie {depth} folders deep: {order}; or write a table of samples"))),
    };
    let name =
        name_of(&std::fs::canonicalize(root).ok().and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned())).unwrap_or_default());
    let mut card = format!("# Guessed by `mm data check` from {} files: look it over, and correct what is wrong.\n", files.len());
    card += &format!("name = {}\nfolders = {}\n", quoted(&name), quoted(&named_from(root, beside)?));
    if levels.iter().any(|(_, part)| *part) {
        card += "# The folders of parts (train, validation, test) are the split.\n";
    }
    for (sensor, column, files) in sensors {
        let mut kinds: BTreeMap<&'static str, Vec<Reading>> = BTreeMap::new();
        files.iter().for_each(|file| kinds.entry(file.kind).or_default().push((file.path.clone(), None)));
        let Some((kind, readings)) = kinds.iter().max_by_key(|(_, readings)| readings.len()) else { continue };
        if kinds.len() > 1 {
            let names: Vec<String> = kinds.iter().map(|(kind, readings)| format!("{} of {kind}", readings.len())).collect();
            let place = column.as_deref().unwrap_or(&sensor);
            remarks.push(format!("the folder `{place}` holds files of several kinds: {}; it is taken for {kind}", some(&names, 3)));
        }
        let sensor = if sensor.is_empty() { kind.to_string() } else { sensor };
        let written: Written = of_files(&sensor, kind, column, readings);
        card += &written.toml();
    }
    Ok(Guess { card, remarks })
}

/// A file that can be a reading.
struct File {
    path: PathBuf,
    kind: &'static str,
    /// Names of the folders between the root and it.
    folders: Vec<String>,
}

fn walk(folder: &Path, above: &mut Vec<String>, files: &mut Vec<File>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>().map_err(Error::io(folder))?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || files.len() >= MOST_FILES {
            continue;
        }
        if path.is_dir() {
            if above.len() < DEEPEST {
                above.push(name);
                walk(&path, above, files)?;
                above.pop();
            }
        } else if let Some(kind) = kind_of(&name) {
            files.push(File { path, kind, folders: above.clone() });
        }
    }
    Ok(())
}

/// The folders without the one of a part, and whether there was one; the class itself, the last, is none.
fn without_part(folders: &[String]) -> (Vec<&str>, bool) {
    let last = folders.len().saturating_sub(1);
    let part = folders[..last].iter().position(|name| name.parse::<Part>().is_ok());
    let names = folders.iter().enumerate().filter(|(at, _)| Some(*at) != part).map(|(_, name)| name.as_str());
    (names.collect(), part.is_some())
}
