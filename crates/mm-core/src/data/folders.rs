//! Samples in folders of files: `root/modality/class/sample.png`.

use super::files::{FileRow, FileSource};
use super::kinds::{Kind, Origin, Written};
use super::{Part, Target, TargetValue};
use crate::error::{Error, Result};
use crate::modality::Modalities;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder a modality, in it a folder a class, in it a file a sample: `photos/rgb/cat/0017.png` and `photos/depth/cat/0017.png` are one
/// sample of the class `cat`. A reading that is a folder (a video) lies there as a folder of that name. A file that is not there is an absent sensor. With folders `train`, `validation` and `test` between modality
/// and class, these are the split.
///
/// Files are read when they are needed, so that the data need not fit in memory.
pub struct Folders {
    root: PathBuf,
    modalities: Vec<(String, Arc<dyn Kind>)>,
}

impl Folders {
    /// Below this folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), modalities: Vec::new() }
    }

    /// A modality: the name of its folder, and what its files hold.
    pub fn modality(self, name: impl Into<String>, kind: impl Kind + 'static) -> Self {
        self.kind(name, Arc::new(kind))
    }

    /// [`Folders::modality`] of a kind that is known at run time only.
    pub fn kind(mut self, name: impl Into<String>, kind: Arc<dyn Kind>) -> Self {
        self.modalities.push((name.into(), kind));
        self
    }

    /// Lists the files; reads none of them.
    pub fn open(self) -> Result<FileSource> {
        let modalities = Modalities::new(self.modalities.iter().map(|(name, _)| name.clone()))?;
        let mut samples: BTreeMap<Key, Vec<Option<PathBuf>>> = BTreeMap::new();
        for (m, (name, kind)) in self.modalities.iter().enumerate() {
            let folder = self.root.join(name);
            for (class_folder, part, class) in class_folders(&folder)? {
                for path in entries(&class_folder)? {
                    let Some(stem) = stem(&path, name, &**kind)? else { continue };
                    let key = Key { part, class: class.clone(), stem };
                    let files = samples.entry(key).or_insert_with(|| vec![None; modalities.len()]);
                    if let Some(other) = files[m].replace(path.clone()) {
                        let problem = format!("and {} are the same reading of one sample: keep one", other.display());
                        return Err(Error::File { path, problem });
                    }
                }
            }
        }
        if samples.is_empty() {
            return Err(Error::File { path: self.root, problem: "holds no sample: files are looked for in modality/class/sample".into() });
        }
        let classes: Vec<&str> = samples.keys().map(|key| key.class.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
        let rows = rows(&self.root, &classes, &samples)?;
        FileSource::new(modalities, self.modalities.into_iter().map(|(_, kind)| kind).collect(), Target::of_classes(classes), rows)
    }
}

/// What tells samples apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    part: Option<Part>,
    class: String,
    stem: String,
}

/// The rows of samples by their files.
fn rows(root: &Path, classes: &[&str], samples: &BTreeMap<Key, Vec<Option<PathBuf>>>) -> Result<Vec<FileRow>> {
    let with_part = samples.keys().filter(|key| key.part.is_some()).count();
    if with_part != 0 && with_part != samples.len() {
        let problem = "some samples lie in a folder of a part (train, validation, test) and others do not".into();
        return Err(Error::File { path: root.into(), problem });
    }
    let row = |(key, files): (&Key, &Vec<Option<PathBuf>>)| {
        let class = classes.binary_search(&key.class.as_str()).unwrap_or_default() as u32;
        let origins = files.iter().map(|file| file.clone().map(Origin::file)).collect();
        let mut row = FileRow::new(format!("{}/{}", key.class, key.stem), origins, TargetValue::Class(class))?;
        row.part = key.part;
        Ok(row)
    };
    samples.iter().map(row).collect()
}

/// The folders of classes below a modality's, with part and class.
fn class_folders(folder: &Path) -> Result<Vec<(PathBuf, Option<Part>, String)>> {
    let mut found = Vec::new();
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let name = file_name(&path);
        match name.parse::<Part>() {
            Ok(part) => {
                let classes = entries(&path)?.into_iter().filter(|path| path.is_dir());
                found.extend(classes.map(|class| (class.clone(), Some(part), file_name(&class))));
            }
            Err(_) => found.push((path, None, name)),
        }
    }
    Ok(found)
}

/// What a folder holds, in order, without what starts with a point.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    let mut paths = list.map(|entry| entry.map(|entry| entry.path()).map_err(Error::io(folder))).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| !file_name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The name of the sample whose reading a file or folder is; `None` of what is no reading.
fn stem(path: &Path, modality: &str, kind: &dyn Kind) -> Result<Option<String>> {
    let refused = |problem: String| Err(Error::File { path: path.into(), problem });
    match (kind.written(), path.is_dir()) {
        (Written::Folder, true) => return Ok(Some(file_name(path))),
        (Written::Folder, false) => {
            return refused(format!("is in the folder of `{modality}`, whose readings are folders, one a sample: take it out"));
        }
        (_, true) => return Ok(None),
        (_, false) => {}
    }
    let (Some(stem), Some(extension)) = (path.file_stem(), path.extension()) else { return Ok(None) };
    if !kind.extensions().contains(&extension.to_string_lossy().to_lowercase().as_str()) {
        let known = kind.extensions().join(", ");
        return refused(format!("is in the folder of `{modality}`, whose files end in {known}: take it out, or convert it"));
    }
    Ok(Some(stem.to_string_lossy().into_owned()))
}
