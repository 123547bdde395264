//! Samples in folders of files: `root/modality/class/sample.png`.

use super::files::{FileRow, FileSource, OnCorrupt, RowTarget};
use super::folder_entries::{entries, file_name, stem_and_extension, with_names};
use super::kinds::{Kind, Origin, Written};
use super::labels::Unusable;
use super::listing::{Listed, Listing, Problem};
use super::names::{some, suggestion};
use super::windows::NamedKind;
use super::{LabelMaps, ManifestColumns, ManifestRow, ManifestRows, Part, Target, TargetValue, Windows};
use crate::error::{Error, Result};
use crate::modality::Modalities;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder a modality, in it a folder a class, in it a file a sample: `photos/rgb/cat/0017.png` and `photos/depth/cat/0017.png` are one
/// sample of the class `cat`. A reading that is a folder (a video) lies there as a folder of that name. A file that is not there is an absent sensor. With folders `train`, `validation` and `test` between modality
/// and class, these are the split.
///
/// With [`Folders::pixels`] there are no classes: `rooms/rgb/0017.png` and its label map `rooms/labels/0017.png`, with folders of parts in between
/// or without.
///
/// Files are read when they are needed, so that the data need not fit in memory.
pub struct Folders {
    root: PathBuf,
    modalities: Vec<Wanted>,
    on_corrupt: OnCorrupt,
    unlabelled: Unusable,
    /// How label maps are read, and their folder.
    maps: Option<(LabelMaps, String)>,
    windows: Option<Windows>,
    /// Readings may lie in the folders of the sensors themselves, and sensors may have none.
    loose: bool,
}

/// A modality, its folder if that is not called as it, and what the files hold.
struct Wanted {
    name: String,
    folder: Option<String>,
    kind: Arc<dyn Kind>,
}

impl Folders {
    /// Below this folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let (on_corrupt, unlabelled) = (OnCorrupt::default(), Unusable::default());
        Self { root: root.into(), modalities: Vec::new(), on_corrupt, unlabelled, maps: None, windows: None, loose: false }
    }

    /// A modality: the name of its folder, and what its files hold.
    pub fn modality(self, name: impl Into<String>, kind: impl Kind + 'static) -> Self {
        self.kind(name, Arc::new(kind))
    }

    /// [`Folders::modality`] of a kind that is known at run time only.
    pub fn kind(mut self, name: impl Into<String>, kind: Arc<dyn Kind>) -> Self {
        self.modalities.push(Wanted { name: name.into(), folder: None, kind });
        self
    }

    /// The modality that was named last has this folder; `.` is the root itself, which then holds the folders of the classes.
    pub fn folder(mut self, folder: impl Into<String>) -> Self {
        if let Some(wanted) = self.modalities.last_mut() {
            wanted.folder = Some(folder.into());
        }
        self
    }

    /// What to do with a file that is none of its sensor or cannot be decoded: by default an error.
    pub fn on_corrupt(self, on_corrupt: OnCorrupt) -> Self {
        Self { on_corrupt, ..self }
    }

    /// Each pixel has a class: label maps lie in a folder of their own, each called as the readings of its sample.
    pub fn pixels(self, labels: LabelMaps, folder: impl Into<String>) -> Self {
        Self { maps: Some((labels, folder.into())), ..self }
    }

    /// A file is a recording, and samples are windows of it.
    pub fn windows(self, windows: Windows) -> Self {
        Self { windows: Some(windows), ..self }
    }

    /// What to do with a sample without label map: by default an error.
    pub fn unlabelled(self, unlabelled: Unusable) -> Self {
        Self { unlabelled, ..self }
    }

    /// Lists the files; reads none of them. Where windows are cut, how long recordings are is read.
    pub fn open(self) -> Result<FileSource> {
        let modalities = Modalities::new(self.modalities.iter().map(|wanted| wanted.name.clone()))?;
        let mut listing = self.list();
        if self.on_corrupt == OnCorrupt::Absent {
            listing.forgive(&self.root);
        }
        listing.refuse()?;
        let labels = || listing.samples.iter().filter_map(|sample| sample.label.as_deref());
        let classes: Vec<String> = labels().collect::<BTreeSet<_>>().into_iter().map(String::from).collect();
        let rows = listing.samples.iter().map(|sample| {
            let label = sample.label.as_deref().unwrap_or_default();
            let class = classes.binary_search_by(|class| class.as_str().cmp(label)).unwrap_or_default() as u32;
            let target = sample.map.clone().map_or(TargetValue::Class(class).into(), RowTarget::Map);
            let mut row = FileRow::new(sample.id.clone(), sample.origins.clone(), target)?;
            (row.part, row.group) = (sample.part, sample.group.clone());
            Ok(row)
        });
        let rows = rows.collect::<Result<_>>()?;
        let folders = self.modalities.iter().filter_map(|w| Some((w.name.clone(), w.folder.clone()?))).collect();
        let columns = ManifestColumns { modalities: folders, windows: self.windows, ..ManifestColumns::default() };
        let kinds: Vec<Arc<dyn Kind>> = self.modalities.into_iter().map(|wanted| wanted.kind).collect();
        let source = match self.maps {
            Some((labels, _)) => {
                let labels = labels.fitted(modalities.names(), &kinds)?;
                let target = labels.target();
                FileSource::new(modalities, kinds, target, rows)?.labels(labels)
            }
            None => FileSource::new(modalities, kinds, Target::of_classes(classes), rows)?,
        };
        Ok(source.on_corrupt(self.on_corrupt).with_remarks(listing.remarks).with_columns(columns))
    }

    /// Lists the samples as a trained model with the sensors `names` is asked about them: folders of classes may be missing, and folders of
    /// sensors.
    pub(crate) fn rows(self, names: &[String]) -> Result<ManifestRows> {
        let folders = Self { loose: true, ..self };
        let there: Vec<String> = entries(&folders.root)?.iter().filter(|path| path.is_dir()).map(|path| file_name(path)).collect();
        let place: Vec<Option<usize>> =
            names.iter().map(|name| folders.modalities.iter().position(|wanted| wanted.name == *name)).collect();
        let has = |place: &Option<usize>| place.is_some_and(|m| folders.folder_of(&folders.modalities[m]).is_dir());
        let without: Vec<&str> = names.iter().zip(&place).filter(|(_, place)| !has(place)).map(|(name, _)| name.as_str()).collect();
        if without.len() == names.len() {
            let near = if there.is_empty() { "it has no folders at all".into() } else { format!("there are: {}", some(&there, 8)) };
            let problem = format!(
                "has no folder of a sensor of the model ({}): each sensor has a folder of its readings; {near}",
                without.join(", ")
            );
            return Err(Error::File { path: folders.root, problem });
        }
        let mut listing = folders.list();
        if folders.on_corrupt == OnCorrupt::Absent {
            listing.forgive(&folders.root);
        }
        listing.refuse()?;
        if !without.is_empty() {
            listing.remarks.push(format!("{}: no folder for {}: absent in every sample", folders.root.display(), without.join(", ")));
        }
        let parts: BTreeSet<String> = listing.samples.iter().filter_map(|sample| Some(sample.part?.to_string())).collect();
        if !parts.is_empty() {
            let parts = parts.into_iter().collect::<Vec<_>>().join(", ");
            listing.remarks.push(format!("{}: has folders of parts ({parts}), and all of them are read", folders.root.display()));
        }
        let row = |(line, sample): (usize, Listed)| {
            let origins = place.iter().map(|place| sample.origins[(*place)?].clone()).collect();
            // Parts often count their files alike.
            let id = sample.part.map_or_else(|| sample.id.clone(), |part| format!("{part}/{}", sample.id));
            ManifestRow { line, id, label: sample.label, origins }
        };
        Ok(ManifestRows::of_folders(there, (1..).zip(listing.samples).map(row).collect(), listing.remarks))
    }

    fn folder_of(&self, wanted: &Wanted) -> PathBuf {
        match wanted.folder.as_deref().unwrap_or(&wanted.name) {
            "." => self.root.clone(),
            folder => self.root.join(folder),
        }
    }

    /// What the folders list, and all that is wrong about it.
    pub(super) fn list(&self) -> Listing {
        let mut listing = Listing::default();
        let mut samples: BTreeMap<Key, Vec<Option<PathBuf>>> = BTreeMap::new();
        let mut ignored = Ignored::default();
        for (m, wanted) in self.modalities.iter().enumerate() {
            let folder = self.folder_of(wanted);
            if self.loose && !folder.is_dir() {
                continue;
            }
            let classes = self.class_folders(&folder, &*wanted.kind, &mut listing.problems);
            for (class_folder, part, class) in classes.unwrap_or_else(|error| {
                listing.problems.push(Problem::new(error));
                Vec::new()
            }) {
                let files = entries(&class_folder).unwrap_or_else(|error| {
                    listing.problems.push(Problem::new(error));
                    Vec::new()
                });
                let files = with_names(files, |error| listing.problems.push(Problem::new(error)));
                if files.is_empty() {
                    ignored.empty.push(class_folder.display().to_string());
                }
                for path in files {
                    let wants_folders = wanted.kind.written() == Written::Folder;
                    if path.is_dir() && !wants_folders {
                        if !class.is_empty() || self.maps.is_some() && part_of(&path).is_none() {
                            ignored.folders.push(path.display().to_string());
                        }
                        continue;
                    }
                    let (stem, extension) = if wants_folders { (file_name(&path), String::new()) } else { stem_and_extension(&path) };
                    listing.rows += 1;
                    let problem = match wants_folders {
                        true if path.is_dir() => None,
                        true => Some(no_folder(&wanted.name, &path)),
                        false if wanted.kind.extensions().contains(&extension.as_str()) => None,
                        false => {
                            let known = wanted.kind.extensions().join(", ");
                            Some(format!("is in the folder of `{}`, whose files end in {known}: take it out, or convert it", wanted.name))
                        }
                    };
                    if let Some(problem) = problem {
                        let sample = path.display().to_string();
                        listing.problems.push(Problem::of(m, &sample, Error::File { path, problem }));
                        continue;
                    }
                    let key = Key { part, class: class.clone(), stem };
                    let sample = key.id();
                    let files = samples.entry(key).or_insert_with(|| vec![None; self.modalities.len()]);
                    if let Some(other) = files[m].replace(path.clone()) {
                        let problem = format!("and {} are the same reading of one sample: keep one", other.display());
                        listing.problems.push(Problem::of(m, &sample, Error::File { path, problem }));
                    }
                }
            }
        }
        listing.remarks.extend(ignored.remarks());
        if samples.is_empty() && listing.problems.is_empty() {
            let where_to = match (self.maps.is_some(), self.loose) {
                (true, _) => "modality/sample",
                (false, true) => "modality/sample and modality/class/sample",
                (false, false) => "modality/class/sample",
            };
            let problem = format!("holds no sample: files are looked for in {where_to}");
            listing.problems.push(Problem::new(Error::File { path: self.root.clone(), problem }));
        }
        let without: BTreeSet<&str> = samples.keys().filter(|key| key.part.is_none()).map(|key| key.class.as_str()).collect();
        if !without.is_empty() && samples.keys().any(|key| key.part.is_some()) {
            let names: Vec<&str> = without.into_iter().collect();
            let problem = format!(
                "some samples lie in a folder of a part (train, validation, test) and others do not: those in the folders {}; is one of these \
                 a part under another name?",
                some(&names, 5)
            );
            listing.problems.push(Problem::new(Error::File { path: self.root.clone(), problem }));
        }
        let mut maps = match &self.maps {
            Some((_, folder)) => self.label_maps(&self.root.join(folder), &mut listing.problems),
            None => BTreeMap::new(),
        };
        let mut unlabelled = 0;
        for (key, files) in samples {
            let map = maps.remove(&key).map(Origin::file);
            if let (Some((_, folder)), None) = (&self.maps, &map) {
                match self.unlabelled {
                    Unusable::Drop => {
                        unlabelled += 1;
                        continue;
                    }
                    Unusable::Error => {
                        let path = self.root.join(folder).join(key.file("png"));
                        let problem = "is not there, and is the label map of a sample; write missing_label = \"drop\" in the card to leave such samples out";
                        listing.problems.push(Problem::new(Error::File { path, problem: problem.into() }));
                    }
                }
            }
            listing.samples.push(Listed { map, ..key.sample(files) });
        }
        if unlabelled > 0 {
            listing.remarks.push(format!("{unlabelled} samples have no label map and are left out"));
        }
        if !maps.is_empty() {
            let names: Vec<String> = maps.values().map(|path| path.display().to_string()).collect();
            listing.remarks.push(format!("label maps belong to no reading of a sensor and are left out: {}", some(&names, 3)));
        }
        let classes: BTreeSet<String> = listing.samples.iter().filter_map(|sample| sample.label.clone()).collect();
        let place = self.root.display().to_string();
        listing.remark_look_alikes("classes", &Vec::from_iter(classes), &place);
        listing.remark_cases(&place);
        if let Some(windows) = &self.windows {
            let sensors: Vec<NamedKind> = self.modalities.iter().map(|wanted| (wanted.name.as_str(), &*wanted.kind)).collect();
            windows.cut(&mut listing, &sensors, false, &self.root);
        }
        listing
    }

    /// The label maps in their folder.
    fn label_maps(&self, folder: &Path, problems: &mut Vec<Problem>) -> BTreeMap<Key, PathBuf> {
        let mut maps = BTreeMap::new();
        let folders = part_folders(folder).unwrap_or_else(|error| {
            problems.push(Problem::new(error));
            Vec::new()
        });
        for (folder, part) in folders {
            let files = entries(&folder).unwrap_or_else(|error| {
                problems.push(Problem::new(error));
                Vec::new()
            });
            let files = files.into_iter().filter(|path| !path.is_dir()).collect();
            for path in with_names(files, |error| problems.push(Problem::new(error))) {
                let (stem, extension) = stem_and_extension(&path);
                if extension != "png" {
                    let problem =
                        "is in the folder of label maps, which are PNG files of one number a pixel: take it out, or convert it".into();
                    problems.push(Problem::new(Error::File { path, problem }));
                    continue;
                }
                maps.insert(Key { part, class: String::new(), stem }, path);
            }
        }
        maps
    }

    /// The folders of classes below a modality's, with part and class.
    fn class_folders(&self, folder: &Path, kind: &dyn Kind, problems: &mut Vec<Problem>) -> Result<Vec<(PathBuf, Option<Part>, String)>> {
        if !self.root.is_dir() {
            let problem =
                if self.root.exists() { "is a table or another file: name it as manifest = \"..\" in the card" } else { "is not there" };
            return Err(Error::File { path: self.root.clone(), problem: format!("{problem}, and `folders` names a folder") });
        }
        if !folder.is_dir() {
            let name = file_name(folder);
            let there: Vec<String> = entries(&self.root)?.iter().filter(|path| path.is_dir()).map(|path| file_name(path)).collect();
            let near = match there.is_empty() {
                true => "it has no folders at all".into(),
                false => suggestion(&name, there.iter().map(String::as_str)),
            };
            let holds = if self.maps.is_some() { "" } else { ", which holds a folder a class" };
            let problem = format!("has no folder `{name}`: each sensor has a folder{holds}; {near}");
            return Err(Error::File { path: self.root.clone(), problem });
        }
        if self.maps.is_some() {
            return Ok(part_folders(folder)?.into_iter().map(|(folder, part)| (folder, part, String::new())).collect());
        }
        let mut found = Vec::new();
        // Readings without a class.
        if self.loose && holds_readings(folder, kind)? {
            found.push((folder.to_path_buf(), None, String::new()));
            if kind.written() == Written::Folder {
                return Ok(found);
            }
        }
        let mut within = |folder: &Path, part: Option<Part>| -> Result<Vec<PathBuf>> {
            let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
            let folders = with_names(folders, |error| problems.push(Problem::new(error)));
            for path in files {
                if !self.loose && kind.extensions().contains(&stem_and_extension(&path).1.as_str()) {
                    let where_to = if part.is_some() { "in the folder of a part" } else { "in the folder of a sensor" };
                    let problem = format!("lies {where_to}, beside the folders of the classes: put it into the folder of its class");
                    problems.push(Problem::new(Error::File { path, problem }));
                }
            }
            Ok(folders)
        };
        for path in within(folder, None)? {
            let name = file_name(&path);
            match name.parse::<Part>() {
                Ok(part) => {
                    if self.loose && holds_readings(&path, kind)? {
                        found.push((path.clone(), Some(part), String::new()));
                        if kind.written() == Written::Folder {
                            continue;
                        }
                    }
                    found.extend(within(&path, Some(part))?.into_iter().map(|class| (class.clone(), Some(part), file_name(&class))))
                }
                Err(_) => found.push((path, None, name)),
            }
        }
        Ok(found)
    }
}

/// A folder itself, and the folders of parts in it.
fn part_folders(folder: &Path) -> Result<Vec<(PathBuf, Option<Part>)>> {
    let parts = entries(folder)?.into_iter().filter_map(|path| part_of(&path).map(|part| (path, Some(part))));
    Ok(std::iter::once((folder.to_path_buf(), None)).chain(parts).collect())
}

/// The part that a folder is called after.
fn part_of(path: &Path) -> Option<Part> {
    if path.is_dir() { file_name(path).parse().ok() } else { None }
}

/// Whether readings lie in a folder itself: files, or folders that hold files and not the folders of samples.
fn holds_readings(folder: &Path, kind: &dyn Kind) -> Result<bool> {
    let entries_of = entries(folder)?;
    if kind.written() != Written::Folder {
        return Ok(entries_of.iter().any(|path| path.is_file()));
    }
    for sample in entries_of.iter().filter(|path| path.is_dir()) {
        if entries(sample)?.iter().any(|path| path.is_file()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Why a file is no reading of a sensor whose readings are folders.
fn no_folder(sensor: &str, path: &Path) -> String {
    let (stem, extension) = stem_and_extension(path);
    match ["mp4", "avi", "mov", "mkv", "webm", "gif", "m4v", "mpg", "mpeg"].contains(&extension.as_str()) {
        true => format!(
            "is a film, and the readings of `{sensor}` are folders of frames: make the folder `{stem}` beside it, write its frames there with \
             `ffmpeg -i {stem}.{extension} -vf fps=5 {stem}/frame%04d.jpg`, and take the film out"
        ),
        false => format!("is in the folder of `{sensor}`, whose readings are folders, one a sample: take it out"),
    }
}

/// What is in the folders of classes and is not read.
#[derive(Default)]
struct Ignored {
    folders: Vec<String>,
    empty: Vec<String>,
}

impl Ignored {
    fn remarks(self) -> impl Iterator<Item = String> {
        let told = [("folders inside the folders of classes are not read", self.folders), ("folders of classes are empty", self.empty)];
        told.into_iter().filter(|(_, names)| !names.is_empty()).map(|(what, names)| format!("{what}: {}", some(&names, 3)))
    }
}

/// What tells samples apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    part: Option<Part>,
    class: String,
    stem: String,
}

impl Key {
    fn id(&self) -> String {
        if self.class.is_empty() { self.stem.clone() } else { format!("{}/{}", self.class, self.stem) }
    }

    /// Its file in the folder of a sensor.
    fn file(&self, extension: &str) -> PathBuf {
        let part = self.part.map(|part| part.to_string()).unwrap_or_default();
        Path::new(&part).join(format!("{}.{extension}", self.stem))
    }

    fn sample(self, files: Vec<Option<PathBuf>>) -> Listed {
        Listed {
            id: self.id(),
            line: None,
            label: Some(self.class).filter(|class| !class.is_empty()),
            values: Vec::new(),
            map: None,
            part: self.part,
            group: None,
            weight: 1.0,
            origins: files.into_iter().map(|file| file.map(Origin::file)).collect(),
        }
    }
}
