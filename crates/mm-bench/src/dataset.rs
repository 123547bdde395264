//! Data sets by name (built in) or by the path of a card.

use crate::file_hashes::{FileHashes, Stamp};
use anyhow::{Context, Result, bail};
use mm_core::Error;
use mm_core::data::kinds::Origin;
use mm_core::data::{Bundle, Column, DatasetCard, FileCard, Joined, ManifestColumns, OnCorrupt, Partial, Source, Split, SplitSpec};
use mm_datasets::BuiltIn;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Name of the built-in data set of the default plan.
pub const BUILT_IN: &str = "multiple-features";

/// The samples of a data set, and what to know about them.
pub struct Dataset {
    /// The samples.
    pub source: Box<dyn Source>,
    /// How they are split.
    pub split: SplitSpec,
    /// By sample, the modalities that count as missing because of a value that is not finite: bit `m` is modality `m`. Empty: none.
    pub non_finite: Vec<u16>,
    /// How rows of several files found each other, in words.
    pub matched: Vec<String>,
    /// What the reader remarked.
    pub remarks: Vec<String>,
    /// Which columns of a manifest hold the readings: a saved model is asked with such manifests.
    pub columns: ManifestColumns,
    /// Whether all readings were read when it was opened: none is found to be of no use later.
    pub is_read: bool,
}

impl Dataset {
    /// The split of a seed, with the training samples that a plan asks for.
    pub fn draw(&self, training: TrainingSamples, seed: u64) -> mm_core::Result<Split> {
        let mut split = self.split.draw(&*self.source, seed)?;
        if training.with_validation {
            split.train.append(&mut split.validation);
            split.train.sort_unstable();
        }
        match training.per_class {
            Some(count) => split.with_train_per_class(count, &*self.source, seed),
            None => Ok(split),
        }
    }

    /// What to know about a split before training.
    pub fn remarks_on(&self, split: &Split) -> Vec<String> {
        let remarks = split.remarks(&*self.source).into_iter().chain(self.split.remark(split, &*self.source));
        remarks.chain(self.few_groups(split)).collect()
    }

    /// Samples of one person are alike, and intervals know nothing of it.
    fn few_groups(&self, split: &Split) -> Option<String> {
        let of = |row: &usize| self.source.meta(*row).group;
        let groups: HashSet<&str> = split.test.iter().filter_map(of).collect();
        let is_told = !groups.is_empty() && groups.len() < FEW_GROUPS && 2 * groups.len() <= split.test.len();
        is_told.then(|| {
            format!(
                "the test has {} samples of {} group{}: intervals and verdicts take samples as independent, and other groups may differ by more than they say",
                split.test.len(),
                groups.len(),
                if groups.len() == 1 { "" } else { "s" }
            )
        })
    }

    /// Reads what a training reads late, for validation and test: a file that is of no use stops it before, and not after hours.
    pub fn try_held_out(&self, split: &Split) -> mm_core::Result<()> {
        if self.is_read {
            return Ok(());
        }
        [&split.validation, &split.test].into_iter().try_for_each(|rows| self.source.visit_values(rows, &mut |_, _| ()))
    }
}

/// Means over fewer persons, or other groups, say little of the next ones.
const FEW_GROUPS: usize = 30;

/// Which samples of a split train; all of its training part by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrainingSamples {
    /// Only so many of each class.
    pub per_class: Option<usize>,
    /// Those for validation as well; none is for validation then.
    pub with_validation: bool,
}

/// What tells a data set from others.
pub struct Identity {
    /// Hash of the card, the list of samples, and of tables and built-in files what they hold.
    listed: String,
    /// The files of the samples, in the order in which they are named first.
    files: Vec<Stamp>,
}

impl Identity {
    /// Changes where the card, a table, or the size or time of change of a file does.
    pub fn stamp(&self) -> String {
        self.with(self.files.iter().map(|file| format!("{}\0{}\0{:?}", file.path.display(), file.bytes, file.changed)))
    }

    /// As [`stamp`](Self::stamp), and where anything else about a file does: its owner, or another file of the same size and time in its place.
    pub(crate) fn full_stamp(&self) -> String {
        self.with(self.files.iter().map(|file| format!("{file:?}")))
    }

    /// With the files as they are by now.
    pub(crate) fn now(&self) -> Result<Self> {
        let files = self.files.iter().map(|file| Stamp::of(&file.path)).collect::<Result<_>>()?;
        Ok(Self { listed: self.listed.clone(), files })
    }

    /// Changes where the card or what a file holds does: the same on every machine that has a copy. Reads the files that are not known.
    pub(crate) fn hash(&self, known: &mut FileHashes) -> Result<String> {
        Ok(self.with(known.of(&self.files)?.into_iter()))
    }

    /// That of a data set without files beside it needs none of them.
    fn with(&self, files: impl Iterator<Item = String>) -> String {
        if self.files.is_empty() {
            return self.listed.clone();
        }
        let mut hash = Sha256::new_with_prefix(&self.listed);
        files.for_each(|file| hash.update(file + "\0"));
        hex(&hash.finalize())
    }
}

/// A card and where its files are.
pub struct CardReader(Card);

enum Card {
    /// Of a table in memory, built in or on disk.
    Tables(Box<DatasetCard>, Option<&'static BuiltIn>),
    /// Of files that are read when they are needed, built in or on disk.
    Files(Box<FileCard>, Option<&'static BuiltIn>),
}

impl CardReader {
    /// Opens the built-in data set by name, or the card at a path.
    pub fn open(card: &str) -> Result<Self> {
        if let Some(data) = mm_datasets::by_name(card) {
            let name = format!("{}.toml", data.name);
            return Ok(Self(match FileCard::is_meant_by(data.card) {
                true => Card::Files(Box::new(FileCard::from_str(data.card, name)?), Some(data)),
                false => Card::Tables(Box::new(DatasetCard::from_str(data.card, name)?), Some(data)),
            }));
        }
        let path = Path::new(card);
        if !path.exists() {
            let names = mm_datasets::ALL.map(|data| format!("`{}`", data.name)).join(" or ");
            bail!("no data set `{card}`: give {names} or the path of a card (see docs/src/your-data.md)");
        }
        let is_table =
            ["csv", "tsv", "jsonl", "ndjson", "parquet", "gz"].map(OsStr::new).into_iter().any(|ending| path.extension() == Some(ending));
        if is_table || path.is_dir() {
            let what = if is_table { "table" } else { "folder" };
            bail!("`{card}` is a {what} and no card: `mm data check {card} --write-card card.toml` writes one for it");
        }
        let text = std::fs::read(path).map_err(Error::io(path))?;
        Ok(Self(match FileCard::is_meant_by(&String::from_utf8_lossy(&text)) {
            true => Card::Files(Box::new(FileCard::from_path(path)?), None),
            false => Card::Tables(Box::new(DatasetCard::from_path(path)?), None),
        }))
    }

    /// With another measure that selects models and heads the report than the card says; `None` changes nothing.
    pub fn scored_by(mut self, measure: Option<&str>) -> Self {
        if let Some(measure) = measure {
            let score = match &mut self.0 {
                Card::Tables(card, _) => &mut card.score,
                Card::Files(card, _) => &mut card.score,
            };
            *score = Some(measure.into());
        }
        self
    }

    /// Of data that a trained model is asked about ([`DatasetCard::of_new_data`]).
    pub fn of_new_data(self) -> Self {
        match self.0 {
            Card::Tables(card, built_in) => Self(Card::Tables(Box::new(card.of_new_data()), built_in)),
            files => Self(files),
        }
    }

    /// Reads the samples, or lists those that are files; with them what tells the data from others.
    pub fn load(&self) -> Result<(Dataset, Identity)> {
        match &self.0 {
            Card::Tables(card, built_in) => tables(card, *built_in).with_context(|| format!("reading the data set `{}`", card.name)),
            Card::Files(card, built_in) => files(card, *built_in).with_context(|| format!("reading the data set `{}`", card.name)),
        }
    }
}

/// Tables, with the hash of the very bytes they were read from.
fn tables(card: &DatasetCard, built_in: Option<&BuiltIn>) -> Result<(Dataset, Identity)> {
    let hash = RefCell::new(Sha256::new_with_prefix(serde_json::to_vec(card)?));
    let contents = built_in.map(BuiltIn::files).transpose()?;
    let read = |file: &str| {
        let bytes: Cow<[u8]> = match &contents {
            Some(files) => {
                let found = files.iter().find(|(name, _)| *name == file);
                let missing = || Error::File { path: file.into(), problem: "is not built in".into() };
                found.map(|(_, bytes)| Cow::Borrowed(&bytes[..])).ok_or_else(missing)?
            }
            None => {
                let path = card.folder().join(file);
                std::fs::read(&path).map(Cow::Owned).map_err(Error::io(path))?
            }
        };
        hash.borrow_mut().update(Sha256::digest(&bytes));
        Ok(bytes)
    };
    let loaded = card.load(read)?;
    let split = loaded.split_spec();
    let Joined { data, non_finite, files, remarks, report, .. } = loaded.joined;
    let mut columns = ManifestColumns::default();
    columns.variables = report.into_iter().map(|view| (view.modality, view.features)).collect();
    columns.label = card.label.as_ref().and_then(column_name).filter(|name| name != "label");
    columns.id = card.id.as_ref().and_then(column_name).filter(|name| name != "id");
    columns.decimal_comma = card.decimal == Some(',') || card.views.iter().any(|view| view.decimal == Some(','));
    let of_views = card.views.iter().flat_map(|view| view.missing.as_deref().unwrap_or(&card.missing));
    columns.missing = of_views.cloned().collect::<BTreeSet<_>>().into_iter().collect();
    // Rows that keep gaps are known by the columns that say where; a model that saw no gaps takes a sensor with some for absent.
    let partial = card.views.iter().filter(|view| view.partial.unwrap_or(card.partial) != Partial::Error);
    columns.partial = partial.map(|view| (view.modality.clone(), Partial::Absent)).collect();
    let several = data.ids().is_some() && files.len() > 1;
    let matched = files.iter().filter(|_| several).map(ToString::to_string).collect();
    let identity = Identity { listed: hex(&hash.into_inner().finalize()), files: Vec::new() };
    Ok((Dataset { source: Box::new(data), split, non_finite, matched, remarks, columns, is_read: true }, identity))
}

/// A column that has a name; a position says nothing of another table.
fn column_name(column: &Column) -> Option<String> {
    match column {
        Column::Name(name) => Some(name.clone()),
        Column::Position(_) => None,
    }
}

/// Files: they are not read here, unless the card takes those that are of no use for absent. Reading gigabytes before every cell to hash them
/// would take longer than the cell. Those that are built in are hashed whole.
fn files(card: &FileCard, built_in: Option<&BuiltIn>) -> Result<(Dataset, Identity)> {
    let mut hash = Sha256::new_with_prefix(serde_json::to_vec(card)?);
    let source = match built_in {
        Some(data) => {
            let files = data.files()?;
            files.iter().for_each(|(_, bytes)| hash.update(Sha256::digest(bytes)));
            card.open_bundle(&Bundle::new(files))?
        }
        None => card.open()?,
    };
    let (mut stamps, mut named) = (Vec::new(), HashSet::new());
    for row in source.rows() {
        hash.update(serde_json::to_vec(&(&row.id, &row.part, &row.group, &format!("{:?}", row.target)))?);
        if row.weight != 1.0 {
            hash.update(row.weight.to_le_bytes());
        }
        for origin in row.origins.iter() {
            match origin {
                Some(Origin::File { path, part }) => {
                    hash.update(format!("{part:?}\0"));
                    // A reading that is a folder is what is in it.
                    let within = if path.is_dir() { entries(path)? } else { vec![path.clone()] };
                    for path in within {
                        // Of what lies elsewhere, the name: where that is differs from machine to machine.
                        let inside = path.strip_prefix(card.folder()).ok().or_else(|| path.file_name().map(Path::new));
                        hash.update(format!("{}\0", inside.unwrap_or(&path).display()));
                        if named.insert(path.clone()) {
                            stamps.push(Stamp::of(&path)?);
                        }
                    }
                }
                Some(Origin::Memory { name, part, .. }) => hash.update(format!("{}\0{part:?}\0", name.display())),
                other => hash.update(format!("{other:?}\0")),
            }
        }
    }
    let remarks = source.remarks().to_vec();
    remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
    let (split, columns) = (card.split.unwrap_or_default(), source.columns().clone());
    let (non_finite, matched) = Default::default();
    let identity = Identity { listed: hex(&hash.finalize()), files: stamps };
    let is_read = card.on_corrupt == OnCorrupt::Absent;
    Ok((Dataset { source: Box::new(source), split, non_finite, matched, remarks, columns, is_read }, identity))
}

/// What is in a folder, in order.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    let mut paths = list.map(|entry| entry.map(|entry| entry.path()).map_err(Error::io(folder))).collect::<mm_core::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
