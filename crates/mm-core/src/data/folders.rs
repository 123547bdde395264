//! Samples in folders of files: `root/modality/class/sample.png`.

use super::kinds::Kind;
use super::{Meta, Part, Sample, Schema, Source, Target, TargetValue};
use crate::error::{Error, Result};
use crate::modality::{Modalities, Subset};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder a modality, in it a folder a class, in it a file a sample: `photos/rgb/cat/0017.png` and `photos/depth/cat/0017.png` are one
/// sample of the class `cat`. A file that is not there is an absent sensor. With folders `train`, `validation` and `test` between modality
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
    pub fn modality(mut self, name: impl Into<String>, kind: impl Kind + 'static) -> Self {
        self.modalities.push((name.into(), Arc::new(kind)));
        self
    }

    /// Lists the files; reads none of them.
    pub fn open(self) -> Result<FolderSource> {
        let modalities = Modalities::new(self.modalities.iter().map(|(name, _)| name.clone()))?;
        let mut samples: BTreeMap<Key, Vec<Option<PathBuf>>> = BTreeMap::new();
        for (m, (name, kind)) in self.modalities.iter().enumerate() {
            let folder = self.root.join(name);
            for (class_folder, part, class) in class_folders(&folder)? {
                for path in entries(&class_folder)?.into_iter().filter(|path| path.is_file()) {
                    let Some((stem, extension)) = stem_and_extension(&path) else { continue };
                    if !kind.extensions().contains(&extension.as_str()) {
                        let known = kind.extensions().join(", ");
                        let problem = format!("is in the folder of `{name}`, whose files end in {known}: take it out, or convert it");
                        return Err(Error::File { path, problem });
                    }
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
        FolderSource::new(self.root, modalities, self.modalities.into_iter().map(|(_, kind)| kind).collect(), samples)
    }
}

/// What tells samples apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    part: Option<Part>,
    class: String,
    stem: String,
}

/// Samples in folders of files.
pub struct FolderSource {
    root: PathBuf,
    schema: Schema,
    kinds: Vec<Arc<dyn Kind>>,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    part: Option<Part>,
    class: u32,
    presence: Subset,
    files: Vec<Option<PathBuf>>,
}

impl FolderSource {
    fn new(root: PathBuf, modalities: Modalities, kinds: Vec<Arc<dyn Kind>>, samples: BTreeMap<Key, Vec<Option<PathBuf>>>) -> Result<Self> {
        let with_part = samples.keys().filter(|key| key.part.is_some()).count();
        if with_part != 0 && with_part != samples.len() {
            let problem = "some samples lie in a folder of a part (train, validation, test) and others do not".into();
            return Err(Error::File { path: root, problem });
        }
        let classes: Vec<&str> = samples.keys().map(|key| key.class.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
        let rows = samples.iter().map(|(key, files)| {
            let has = (0..files.len()).filter(|&m| files[m].is_some());
            let class = classes.binary_search(&key.class.as_str()).unwrap_or_default() as u32;
            let id = format!("{}/{}", key.class, key.stem);
            Ok(Row { id, part: key.part, class, presence: Subset::from_indices(has)?, files: files.clone() })
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let inputs = kinds.iter().map(|kind| kind.input()).collect();
        let schema = Schema::new(modalities, inputs, Target::of_classes(classes))?;
        Ok(Self { root, schema, kinds, rows })
    }

    /// The folder that everything is in.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Source for FolderSource {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn meta(&self, row: usize) -> Meta<'_> {
        let Row { id, part, class, presence, .. } = &self.rows[row];
        Meta { id: Some(id), part: *part, class: Some(*class), ..Meta::new(*presence) }
    }

    fn read(&self, row: usize) -> Result<Sample> {
        super::source::check_rows(&[row], self.rows.len())?;
        let row = &self.rows[row];
        let readings = self.kinds.iter().zip(&row.files).map(|(kind, file)| file.as_ref().map(|file| kind.read(file)).transpose());
        Ok(Sample { readings: readings.collect::<Result<_>>()?, target: TargetValue::Class(row.class) })
    }

    fn kinds(&self) -> Vec<Option<Arc<dyn Kind>>> {
        self.kinds.iter().cloned().map(Some).collect()
    }
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

fn stem_and_extension(path: &Path) -> Option<(String, String)> {
    let stem = path.file_stem()?.to_string_lossy().into_owned();
    Some((stem, path.extension()?.to_string_lossy().to_lowercase()))
}
