//! A data set of files, described in TOML: where its samples are listed, and what each sensor's readings are.

use super::card::check_targets;
use super::files::{FileSource, OnCorrupt};
use super::kinds::{Kind, SavedKind};
use super::labels::Unusable;
use super::toml_text::explained;
use super::{Bundle, Folders, LabelMaps, Manifest, SplitSpec, TaskKind, Windows, parse_toml};
use crate::error::{Error, Result};
use crate::modality::Modalities;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A data set of files: a manifest or folders, and what the readings are.
///
/// ```toml
/// name = "cats"
/// manifest = "samples.csv"
///
/// [[modality]]
/// name = "rgb"
/// kind = "image"
/// channels = "rgb"
/// size = [112, 112]
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FileCard {
    /// Short name.
    pub name: String,
    /// What the samples are.
    #[serde(default)]
    pub description: String,
    /// Licence of the data.
    #[serde(default)]
    pub licence: String,
    /// Who is to be named.
    #[serde(default)]
    pub attribution: String,
    /// Where the data comes from.
    #[serde(default)]
    pub source: String,
    /// The table of samples, from the card's folder ([`Manifest`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Or the folder of the sensors' folders, from the card's folder ([`Folders`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folders: Option<String>,
    /// Column of the class, if it is not `label`; with `folders` and `[pixels]` the folder of the label maps, if it is not `labels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Column of the name of a sample, if it is not `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Column of the group, if it is not `group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Column of the part, if it is not `part`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The classes, in order; otherwise those that occur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// What is to be predicted, where it is no class: `labels` or `numbers`.
    #[serde(default, skip_serializing_if = "TaskKind::is_classes")]
    pub task: TaskKind,
    /// The columns of labels or numbers; a single one may be the `label`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// With the task `labels`: the label column lists those that hold, with this between two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<char>,
    /// A column with the weight of each sample in the loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// The measure that selects models and heads the report, such as `auroc`; otherwise the first of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// A class for each pixel: the label names a file that holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<LabelMaps>,
    /// What is listed are recordings, and samples are windows of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windows>,
    /// What to do with a sample without label.
    #[serde(default)]
    pub missing_label: Unusable,
    /// What to do with a file that is not there, cannot be decoded or holds a value that is not finite.
    #[serde(default)]
    pub on_corrupt: OnCorrupt,
    /// How samples are split where the data do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitSpec>,
    /// The sensors.
    #[serde(rename = "modality")]
    pub modalities: Vec<ModalityCard>,
    /// Where the card is.
    #[serde(skip)]
    path: PathBuf,
}

/// A sensor: its name, and what its readings are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModalityCard {
    /// Its name.
    pub name: String,
    /// Its kind, such as `image`.
    pub kind: String,
    /// The column of a manifest, or the folder, if it is not called as the sensor; `.` is the folder that holds the folders of classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The device that it is part of: random changes in training are drawn once for all its sensors, as one clock and one case move them
    /// together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Settings of the kind; without a `size` that of `[pixels]`, where it says one.
    #[serde(flatten)]
    pub settings: toml::Table,
}

impl FileCard {
    /// Whether a card in TOML is one of these, and not a [`super::DatasetCard`] of tables.
    pub fn is_meant_by(text: &str) -> bool {
        let table = text.parse::<toml::Table>().unwrap_or_default();
        ["manifest", "folders", "modality"].iter().any(|key| table.contains_key(*key))
    }

    /// Reads a card file.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_str(&super::text::read_text(path)?, path)
    }

    /// Reads a card; `path` is where it is said to be, for messages and for the folder of its files.
    pub fn from_str(text: &str, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut card: Self = parse_toml(path, text)?;
        card.path = path.into();
        card.check()?;
        Ok(card)
    }

    /// The folder that its files are named from.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The file or folder that lists the samples.
    pub fn listed_in(&self) -> PathBuf {
        self.folder().join(self.manifest.as_deref().or(self.folders.as_deref()).unwrap_or_default())
    }

    fn check(&self) -> Result<()> {
        let at = |field: &str| format!("{field} in {}", self.path.display());
        Modalities::new(self.modalities.iter().map(|m| &m.name)).map_err(|e| Error::config(at("modality"), e.to_string()))?;
        let sensors_of = |device: &String| self.modalities.iter().filter(|modality| modality.device.as_ref() == Some(device)).count();
        if let Some(device) = self.modalities.iter().filter_map(|modality| modality.device.as_ref()).find(|device| sensors_of(device) == 1)
        {
            let problem = format!("`{device}` has one sensor: write the same name in the others that are part of it, or leave it out");
            return Err(Error::config(at("device"), problem));
        }
        match (&self.manifest, &self.folders) {
            (Some(_), Some(_)) => {
                Err(Error::config(at("folders"), "the samples are listed by `manifest` or by `folders`: keep one of the two"))
            }
            (None, None) => {
                let problem = "says where the samples are listed: write manifest = \"samples.csv\", or folders = \"photos\"";
                Err(Error::config(at("manifest"), problem))
            }
            (None, Some(_))
                if [&self.id, &self.group, &self.part].iter().any(|column| column.is_some())
                    || self.label.is_some() && self.pixels.is_none() =>
            {
                Err(Error::config(at("folders"), "has no columns: label, id, group and part name columns of a manifest"))
            }
            (None, Some(_)) if self.task.has_columns() || !self.targets.is_empty() || self.weight.is_some() => {
                Err(Error::config(at("folders"), "has no columns: labels, numbers and weights are columns of a manifest"))
            }
            _ if self.pixels.is_some() && !self.task.is_classes() => {
                Err(Error::config(at("task"), "of data with [pixels] is a class for each pixel: leave it out"))
            }
            _ if self.task == TaskKind::FaceAntiSpoofing => Err(Error::config(at("task"), "of files is `classes`, `labels` or `numbers`")),
            _ if self.separator.is_some() && (self.task != TaskKind::Labels || !self.targets.is_empty()) => {
                let problem = "stands between the labels of a list: write task = \"labels\", and no `targets`";
                Err(Error::config(at("separator"), problem))
            }
            _ if self.task.has_columns() && self.targets.is_empty() && self.label.is_none() => {
                let problem = "lists the columns that are to be predicted, such as targets = [\"age\"]";
                Err(Error::config(at("targets"), problem))
            }
            _ if self.pixels.is_some() && self.classes.is_some() => {
                Err(Error::config(at("classes"), "the classes of pixels are named in [pixels]: keep those"))
            }
            _ if self.pixels.is_some() && self.windows.is_some() => Err(Error::config(
                at("windows"),
                "are cut from series, and [pixels] has a label for each pixel of an image: keep one of the two",
            )),
            _ => {
                let classes = self.classes.as_deref().filter(|_| self.separator.is_none());
                match check_targets(self.task, &self.targets, self.label.as_deref(), classes) {
                    Err((field, problem)) => Err(Error::config(at(field), problem)),
                    Ok(()) => self.check_split(&at),
                }
            }
        }
    }

    fn check_split(&self, at: &dyn Fn(&str) -> String) -> Result<()> {
        match self.split.map(|split| split.validate()) {
            Some(Err(problem)) => Err(Error::config(at("split"), problem)),
            _ => Ok(()),
        }
    }

    /// Lists the samples; their readings are read when they are needed. With `on_corrupt = "absent"` each is read once now, as it has to be known
    /// which count as absent ([`FileSource::with_known_absences`]). Of series, the first lines are read ([`FileSource::settled`]).
    pub fn open(&self) -> Result<FileSource> {
        self.listed(None)?.with_known_absences(&self.listed_in())?.settled()
    }

    /// [`FileCard::open`], with manifest and files in memory.
    pub fn open_bundle(&self, bundle: &Bundle) -> Result<FileSource> {
        self.listed(Some(bundle))?.with_known_absences(&self.listed_in())?.settled()
    }

    /// Lists the samples, and reads none.
    pub(super) fn listed(&self, bundle: Option<&Bundle>) -> Result<FileSource> {
        let source = match self.lists(bundle)? {
            Lists::Folders(folders) => (*folders).open(),
            Lists::Manifest(manifest) => (*manifest).open(),
        }?;
        Ok(source.devices(&self.modalities.iter().map(|modality| modality.device.clone()).collect::<Vec<_>>()))
    }

    /// The kinds of its sensors, in order.
    pub(super) fn kinds(&self) -> Result<Vec<Arc<dyn Kind>>> {
        let place = |name: &str| format!("modality.{name} in {}", self.path.display());
        let kinds = self.modalities.iter().map(|modality| {
            let wrong = |problem: String| Error::config(place(&modality.name), problem);
            let mut settings = serde_json::to_value(&modality.settings).map_err(|e| wrong(e.to_string()))?;
            if let Some(size) = self.pixels.as_ref().and_then(|pixels| pixels.size)
                && ["image", "depth", "array"].contains(&modality.kind.as_str())
                && settings["size"].is_null()
            {
                settings["size"] = size.into();
            }
            // As all paths of a card, from where the card is.
            if let Some(tokenizer) = settings["tokenizer"].as_str().filter(|_| modality.kind == "text") {
                settings["tokenizer"] = self.folder().join(tokenizer).to_string_lossy().into();
            }
            let saved = SavedKind { kind: modality.kind.clone(), settings };
            let kind = saved.open().map_err(|error| match error {
                Error::Config { problem, .. } if self.pixels.is_some() && problem.contains("missing field `size`") => {
                    wrong(format!("{problem}: write size = [height, width] in [pixels], which serves all sensors and the label maps"))
                }
                Error::Config { problem, .. } => wrong(explained(&problem)),
                other => other,
            })?;
            kind.ok_or_else(|| wrong(SavedKind::unknown(&modality.kind)))
        });
        kinds.collect()
    }

    /// The columns of labels or numbers.
    fn target_columns(&self) -> Vec<String> {
        if self.targets.is_empty() { self.label.iter().cloned().collect() } else { self.targets.clone() }
    }

    /// What lists its samples.
    pub(super) fn lists(&self, bundle: Option<&Bundle>) -> Result<Lists> {
        let named = self.modalities.iter().zip(self.kinds()?);
        if self.folders.is_some() {
            let mut folders = Folders::new(self.listed_in()).on_corrupt(self.on_corrupt).unlabelled(self.missing_label);
            for (modality, kind) in named {
                folders = folders.kind(&modality.name, kind);
                folders = modality.column.iter().fold(folders, |folders, folder| folders.folder(folder));
            }
            folders = self.windows.into_iter().fold(folders, Folders::windows);
            let label = self.label.as_deref().unwrap_or("labels");
            let folders = self.pixels.iter().cloned().fold(folders, |folders, maps| folders.pixels(maps, label));
            return Ok(Lists::Folders(Box::new(folders)));
        }
        let mut manifest = Manifest::new(self.listed_in()).unlabelled(self.missing_label).on_corrupt(self.on_corrupt);
        manifest = bundle.into_iter().fold(manifest, Manifest::bundle);
        for (modality, kind) in named {
            manifest = manifest.kind(&modality.name, kind);
            manifest = modality.column.iter().fold(manifest, |manifest, column| manifest.column(column));
        }
        manifest = self.label.iter().fold(manifest, |manifest, column| manifest.label(column));
        manifest = match (self.task, self.separator) {
            (TaskKind::Labels, Some(separator)) => manifest.label_lists(separator),
            (TaskKind::Labels, None) => manifest.labels(self.target_columns()),
            (TaskKind::Numbers, _) => manifest.numbers(self.target_columns()),
            (TaskKind::Classes | TaskKind::FaceAntiSpoofing, _) => manifest,
        };
        manifest = self.weight.iter().fold(manifest, |manifest, column| manifest.weight(column));
        manifest = self.score.iter().fold(manifest, |manifest, measure| manifest.scored_by(measure));
        manifest = self.id.iter().fold(manifest, |manifest, column| manifest.id(column));
        manifest = self.group.iter().fold(manifest, |manifest, column| manifest.group(column));
        manifest = self.part.iter().fold(manifest, |manifest, column| manifest.part(column));
        manifest = self.windows.into_iter().fold(manifest, Manifest::windows);
        manifest = self.pixels.iter().cloned().fold(manifest, Manifest::pixels);
        Ok(Lists::Manifest(Box::new(self.classes.iter().fold(manifest, |manifest, classes| manifest.classes(classes)))))
    }
}

/// What lists the samples of a card.
pub(super) enum Lists {
    /// A table.
    Manifest(Box<Manifest>),
    /// Folders.
    Folders(Box<Folders>),
}
