//! The card of a folder of folders.

use super::column::{ENDINGS, key, kind_of};
use super::pixels::{MAPS, MOST_CLASSES, of_maps};
use super::sensor::{Reading, Written, of_files};
use super::{COPY, Guess, name_of, named_from, quoted};
use crate::data::Part;
use crate::data::check::copied::Told;
use crate::data::names::some;
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
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
        return Err(wrong(format!("holds no file that is read: their names end in {}", endings.join(", "))));
    }
    let mut remarks = tables_in(root);
    if let Some(guess) = of_label_maps(root, beside, &files, &mut remarks)? {
        return Ok(guess);
    }
    // Without the folders of parts, wherever they are.
    let levels: Vec<(Vec<&str>, bool)> = files.iter().map(|file| without_part(&file.folders)).collect();
    let tops = tops(&levels);
    let order = "a folder a sensor, in it a folder a class, in it the files; with one sensor the folders of the classes alone";
    let others = levels.iter().filter(|(folders, _)| folders.first().is_none_or(|top| tops[top] != folders.len())).count();
    if others > 0 {
        remarks.push(format!("{others} files lie in more or fewer folders than most of them: the check names them"));
    }
    if tops.is_empty() {
        return Err(wrong(format!("its files lie in no folders that tell their classes: {order}; or write a table of samples")));
    }
    let classes_alone = 2 * tops.values().filter(|depth| **depth == 1).count() > tops.len();
    let deepest = tops.values().copied().max().unwrap_or(0);
    let sensors: Vec<(String, Option<String>, Vec<&File>)> = if classes_alone {
        if levels.iter().filter(|(folders, _)| folders.len() == 1).all(|(folders, _)| folders[0].parse::<Part>().is_ok()) {
            return Err(wrong(format!("its folders are parts and not classes: each holds a folder a class; {order}")));
        }
        let of: Vec<&File> = files.iter().zip(&levels).filter(|(_, (folders, _))| folders.len() == 1).map(|(file, _)| file).collect();
        vec![("".into(), Some(".".into()), of)]
    } else {
        let names = |level: usize| levels.iter().filter_map(|(folders, _)| folders.get(level).copied()).collect::<BTreeSet<&str>>();
        let known = |name: &&str| SENSORS.contains(&name.to_lowercase().as_str());
        let classes = levels.iter().filter(|(f, _)| f.len() >= 2).map(|(f, _)| f[1]).collect::<BTreeSet<&str>>();
        if classes.iter().all(known) && !names(0).iter().any(known) {
            return Err(wrong(format!(
                "the folders of sensors lie inside those of classes: {order}; move them, or write a table of samples"
            )));
        }
        if files.iter().zip(&levels).any(|(file, (folders, _))| folders.len() >= 2 && file.folders[0].parse::<Part>().is_ok()) {
            return Err(wrong(format!(
                "the folders of parts lie around those of sensors: a sensor's folder holds those of parts; {order}"
            )));
        }
        if deepest > 3 {
            return Err(wrong(format!("its files lie {deepest} folders deep: {order}; or write a table of samples")));
        }
        let of = |top: &str, depth: usize| -> Vec<&File> {
            let is_of = |(folders, _): &(Vec<&str>, bool)| folders.len() == depth && folders[0] == top;
            files.iter().zip(&levels).filter(|(_, level)| is_of(level)).map(|(file, _)| file).collect()
        };
        let (flat, sensors): (Vec<_>, Vec<_>) = tops.iter().partition(|(_, depth)| **depth == 1);
        if !flat.is_empty() {
            let names: Vec<&str> = flat.iter().map(|(top, _)| **top).collect();
            remarks.push(format!("folders are left out, because their files lie in no folder of a class: {}", some(&names, 5)));
        }
        sensors.iter().map(|(top, depth)| (name_of(top), (name_of(top) != **top).then(|| top.to_string()), of(top, **depth))).collect()
    };
    let name =
        name_of(&std::fs::canonicalize(root).ok().and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned())).unwrap_or_default());
    let mut card = format!("# Guessed by `mm data check` from {} files: look it over, and correct what is wrong.\n", files.len());
    card += &format!("name = {}\nfolders = {}\n", quoted(&name), quoted(&named_from(root, beside)?));
    if levels.iter().any(|(_, part)| *part) {
        card += "# The folders of parts (train, validation, test) are the split.\n";
    }
    let classes: BTreeSet<&str> = levels.iter().filter_map(|(f, _)| f.get(usize::from(!classes_alone)).copied()).collect();
    let classes: Vec<&str> = classes.into_iter().collect();
    card += &format!(
        "# {} are the classes: {}\n",
        if classes_alone { "The folders" } else { "Below the folders of the sensors" },
        some(&classes, 10)
    );
    let suspects: Vec<&str> = classes.iter().copied().filter(|name| SENSORS.contains(&name.to_lowercase().as_str())).collect();
    if !suspects.is_empty() {
        remarks.push(format!("is this a class, or a sensor: {}? {order}", some(&suspects, 5)));
    }
    for (sensor, column, files) in sensors {
        let mut kinds: BTreeMap<&'static str, Vec<Reading>> = BTreeMap::new();
        files.iter().for_each(|file| kinds.entry(file.kind).or_default().push((file.path.clone(), None)));
        let Some((mut kind, mut readings)) = kinds.iter().map(|(kind, of)| (*kind, of.clone())).max_by_key(|(_, of)| of.len()) else {
            continue;
        };
        let place = column.as_deref().unwrap_or(&sensor);
        if kinds.len() > 1 {
            let names: Vec<String> = kinds.iter().map(|(kind, readings)| format!("{} of {kind}", readings.len())).collect();
            remarks.push(format!("the folder `{place}` holds files of several kinds: {}; it is taken for {kind}", some(&names, 3)));
        }
        // A folder deeper than others: a folder a sample, which holds its frames.
        if tops.get(place) == Some(&3) {
            if kind != "image" {
                return Err(wrong(format!("the files of `{place}` lie 3 folders deep, and are no frames of videos: {order}")));
            }
            kind = "video";
            readings = readings.iter().filter_map(|(path, _)| Some((path.parent()?.to_path_buf(), None))).collect();
            readings.dedup();
        }
        let sensor = if sensor.is_empty() { kind.to_string() } else { sensor };
        let written: Written = of_files(&sensor, kind, column, &readings);
        card += &written.toml();
    }
    Ok(Guess { card, remarks, findings: Vec::new() })
}

/// The card of folders of sensors and one of label maps, with folders of parts in them or without; `None` where there is none.
fn of_label_maps(root: &Path, beside: &Path, files: &[File], remarks: &mut Vec<String>) -> Result<Option<Guess>> {
    let mut tops: BTreeMap<&str, Vec<&File>> = BTreeMap::new();
    for file in files {
        match file.folders.as_slice() {
            [top] => tops.entry(top).or_default().push(file),
            [top, part] if part.parse::<Part>().is_ok() => tops.entry(top).or_default().push(file),
            _ => {}
        }
    }
    let is_called = |name: &str| MAPS.iter().position(|map| key(name) == *map || key(name) == format!("{map}s"));
    let Some((_, maps)) = tops.keys().filter_map(|top| Some((is_called(top)?, *top))).min() else { return Ok(None) };
    let samples = stems(&tops[maps]);
    // A sensor may be missing in most samples.
    let is_sensor = |files: &[&File]| 10 * stems(files).intersection(&samples).count() >= samples.len();
    let sensors: Vec<(&str, &Vec<&File>)> =
        tops.iter().filter(|(top, files)| **top != maps && is_sensor(files)).map(|(t, f)| (*t, f)).collect();
    let paths: Vec<PathBuf> = tops[maps].iter().map(|file| file.path.clone()).collect();
    let pixels = match of_maps(&paths, MOST_CLASSES) {
        Ok(_) if sensors.is_empty() => return strangers(root, maps, &tops).map_or(Ok(None), Err),
        Ok(pixels) => pixels,
        Err(why) => {
            remarks.extend((!sensors.is_empty()).then(|| format!("the folder `{maps}` is not taken for label maps: {why}")));
            return Ok(None);
        }
    };
    let name = std::fs::canonicalize(root).ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let mut card = format!("# Guessed by `mm data check` from {} files: look it over, and correct what is wrong.\n", files.len());
    card += &format!("name = {}\nfolders = {}\n", quoted(&name_of(&name.unwrap_or_default())), quoted(&named_from(root, beside)?));
    if maps != "labels" {
        card += &format!("label = {}  # the folder of the label maps\n", quoted(maps));
    }
    card += &pixels.card;
    for (top, files) in sensors {
        let kind = files[0].kind;
        if !["image", "array"].contains(&kind) {
            remarks.push(format!("the folder `{top}` is left out: what predicts pixels reads images, depth maps and arrays"));
            continue;
        }
        if Told::of(&pairs(&tops[maps], files), &pixels.void).is_copy() {
            remarks.push(format!("the folder `{top}` {COPY}"));
            continue;
        }
        let readings: Vec<Reading> = files.iter().map(|file| (file.path.clone(), None)).collect();
        let column = (name_of(top) != top).then(|| top.to_string());
        card += &of_files(&name_of(top), kind, column, &readings).sized_by_maps().toml();
    }
    Ok(Some(Guess { card, remarks: std::mem::take(remarks), findings: Vec::new() }))
}

/// The error of label maps beside photographs none of which is called as they are.
fn strangers(root: &Path, maps: &str, tops: &BTreeMap<&str, Vec<&File>>) -> Option<Error> {
    let paths = |files: &[&File]| files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
    let is_photographs = |files: &[&File]| files[0].kind == "image" && of_maps(&paths(files), MOST_CLASSES).is_err();
    let (_, photographs) = tops.iter().find(|(top, files)| **top != maps && is_photographs(files))?;
    let (photograph, map) = (&photographs[0].path, &tops[maps][0].path);
    let wanted = map.with_file_name(format!("{}.png", photograph.file_stem()?.to_string_lossy()));
    let problem = format!(
        "the folder `{maps}` holds label maps, and none is called as an image: that of {} must be {}, and there is {}. Rename them, or write \
         a table of samples; if `{maps}` is a class, write a card",
        photograph.display(),
        wanted.display(),
        map.display()
    );
    Some(Error::File { path: root.into(), problem })
}

/// A file's name, with the folder of its part.
fn stem(file: &File) -> (Option<&String>, Option<&OsStr>) {
    (file.folders.get(1), file.path.file_stem())
}

fn stems<'f>(files: &[&'f File]) -> BTreeSet<(Option<&'f String>, Option<&'f OsStr>)> {
    files.iter().map(|file| stem(file)).collect()
}

/// Label maps and the files that are called as they are.
fn pairs(maps: &[&File], files: &[&File]) -> Vec<(PathBuf, PathBuf)> {
    let named: BTreeMap<_, &PathBuf> = maps.iter().map(|map| (stem(map), &map.path)).collect();
    files.iter().filter_map(|file| Some(((*named.get(&stem(file))?).clone(), file.path.clone()))).collect()
}

/// The folders at the top, each with how many folders most of its files lie in.
fn tops<'l>(levels: &[(Vec<&'l str>, bool)]) -> BTreeMap<&'l str, usize> {
    let mut depths: BTreeMap<&str, BTreeMap<usize, usize>> = BTreeMap::new();
    for (folders, _) in levels.iter().filter(|(folders, _)| !folders.is_empty()) {
        *depths.entry(folders[0]).or_default().entry(folders.len()).or_default() += 1;
    }
    let most = |depths: BTreeMap<usize, usize>| depths.into_iter().max_by_key(|(_, count)| *count).map_or(0, |(depth, _)| depth);
    depths.into_iter().map(|(top, depths)| (top, most(depths))).collect()
}

/// Tables beside the folders: one of them may list the samples, with their labels.
fn tables_in(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_table =
        |path: &PathBuf| path.extension().is_some_and(|ending| ["csv", "tsv", "jsonl", "parquet"].iter().any(|known| ending == *known));
    let mut tables: Vec<String> = entries.filter(is_table).map(|path| path.display().to_string()).collect();
    tables.sort();
    match tables.first() {
        Some(first) => {
            vec![format!("{} is not read here: if it lists the samples, check it instead: `mm data check {first}`", some(&tables, 3))]
        }
        None => Vec::new(),
    }
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
