//! Data set cards: one TOML file says what a data set is, where it comes from and how it is read.

use super::join::{Join, Joined, join};
use super::text::parse_error;
use super::view::{NonFinite, ViewSpec, read_view};
use super::{Column, Split, SplitSpec, parse_toml};
use crate::error::{Error, Result};
use crate::modality::Modalities;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// What a data set is and how it is read.
///
/// ```
/// use mm_core::data::{DatasetCard, Dataset};
/// let card = DatasetCard::from_str(
///     r#"
///     name = "weather"
///     label = "rain"
///     [[view]]
///     modality = "thermometer"
///     file = "thermometer.csv"
///     [[view]]
///     modality = "barometer"
///     file = "barometer.csv"
///     "#,
///     "weather.toml",
/// )?;
/// // From memory here; `card.load_files()` reads them from the card's folder.
/// let loaded = card.load(|file| match file {
///     "thermometer.csv" => Ok(b"celsius,rain\n21.5,no\n9.0,yes\n".as_slice().into()),
///     _ => Ok(b"hPa\n1021\n\"\"\n".as_slice().into()),
/// })?;
/// assert_eq!(loaded.data.len(), 2);
/// assert_eq!(loaded.report[1].absent, 1);
/// # Ok::<(), mm_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DatasetCard {
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
    /// How the files' rows belong together.
    #[serde(default)]
    pub join: Join,
    /// With `join = "id"`: a file may lack ids; the modality is absent there.
    #[serde(default)]
    pub allow_unmatched: bool,
    /// What to do with `nan` and `inf`.
    #[serde(default)]
    pub non_finite: NonFinite,
    /// The label column, in every file that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Column>,
    /// The id column, in every file that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Column>,
    /// The group column, in every file that has it: samples of a group stay in one part of the split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Column>,
    /// The column that says train, validation or test, in every file that has it; instead of `split`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Column>,
    /// How samples are divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitSpec>,
    /// The modalities, in order.
    #[serde(rename = "view")]
    pub views: Vec<ViewSpec>,
    /// Where the card was read.
    #[serde(skip)]
    path: PathBuf,
}

/// A data set as its card reads it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadedData {
    /// The samples, with ids, groups and the read report.
    pub joined: Joined,
    split: SplitSpec,
}

impl std::ops::Deref for LoadedData {
    type Target = Joined;
    fn deref(&self) -> &Joined {
        &self.joined
    }
}

impl LoadedData {
    /// [`LoadedData::split`] with only so many training rows of each class, where a number is given.
    pub fn split_with(&self, train_per_class: Option<usize>, seed: u64) -> Result<Split> {
        let split = self.split(seed)?;
        match train_per_class {
            Some(count) => split.with_train_per_class(count, &self.data, seed),
            None => Ok(split),
        }
    }

    /// The split that the card asks for: the fixed one, by groups, or by classes.
    pub fn split(&self, seed: u64) -> Result<Split> {
        match (&self.parts, &self.groups) {
            (Some(parts), _) => Split::from_parts(parts),
            (None, Some(groups)) => self.split.draw_grouped(&self.data, groups, seed),
            (None, None) => self.split.draw(&self.data, seed),
        }
    }
}

impl DatasetCard {
    /// Reads a card file.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let text = super::text::text(path, &bytes)?;
        Self::from_str(&String::from_utf8_lossy(&text), path)
    }

    /// Reads a card; `path` is where it is said to be, for messages and for the folder of its files.
    pub fn from_str(text: &str, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut card: Self = parse_toml(path, text)?;
        card.path = path.into();
        card.check()?;
        Ok(card)
    }

    fn check(&self) -> Result<()> {
        let at = |field: &str| format!("{field} in {}", self.path.display());
        Modalities::new(self.views.iter().map(|v| &v.modality)).map_err(|e| Error::config(at("view"), e.to_string()))?;
        if let Some(view) = self.views.iter().find(|v| v.shape.is_some_and(|shape| shape.contains(&0))) {
            let problem = format!("the shape of `{}` has a 0; it is [channels, height, width]", view.modality);
            return Err(Error::config(at("view.shape"), problem));
        }
        if self.split.is_some() && self.has_column(&self.part, |v| &v.part) {
            return Err(Error::config(at("split"), "the split is fixed by the column `part`; keep one of the two"));
        }
        if let Some(Err(problem)) = self.split.map(|split| split.validate()) {
            return Err(Error::config(at("split"), problem));
        }
        if !self.has_column(&self.label, |v| &v.label) {
            return Err(Error::config(at("label"), "no label column is named; write label = \"column\", or label = -1 for the last"));
        }
        if self.join == Join::Id && !self.has_column(&self.id, |v| &v.id) {
            return Err(Error::config(at("id"), "join = \"id\" needs an id column; write id = \"column\""));
        }
        if self.allow_unmatched && self.join != Join::Id {
            return Err(Error::config(at("allow_unmatched"), "only has a meaning with join = \"id\""));
        }
        Ok(())
    }

    fn has_column<'a>(&'a self, own: &Option<Column>, of_view: impl Fn(&'a ViewSpec) -> &'a Option<Column>) -> bool {
        own.is_some() || self.views.iter().any(|v| of_view(v).is_some())
    }

    /// Folder that the files are in.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Reads the data from the card's folder.
    pub fn load_files(&self) -> Result<LoadedData> {
        self.load(|file| {
            let path = self.folder().join(file);
            std::fs::read(&path).map(Cow::Owned).map_err(Error::io(path))
        })
    }

    /// Reads the data; `read` gives the bytes of each file named in the card, from wherever they are.
    pub fn load<'a>(&self, read: impl Fn(&str) -> Result<Cow<'a, [u8]>>) -> Result<LoadedData> {
        let defaults = [self.label.as_ref(), self.id.as_ref(), self.group.as_ref(), self.part.as_ref()];
        let mut views = Vec::with_capacity(self.views.len());
        for spec in &self.views {
            let path = self.folder().join(&spec.file);
            let bytes = read(&spec.file)?;
            if let Some(expected) = &spec.sha256 {
                let found = hexadecimal(&Sha256::digest(&bytes));
                if !expected.eq_ignore_ascii_case(&found) {
                    let problem = format!("sha256 is {found}, but the card says {expected}; get the file again or correct the card");
                    return Err(Error::Data(format!("{}: {problem}", path.display())));
                }
            }
            views.push(read_view(spec, defaults, &path, &bytes, self.non_finite)?);
        }
        // A column that any file may have must be in one of them.
        for (key, column) in defaults.into_iter().enumerate() {
            if let (Some(column), true) = (column, views.iter().all(|v| v.keys[key].is_none())) {
                let problem = views.iter().find_map(|v| column.find(&v.header).err()).unwrap_or_default();
                return Err(parse_error(&views[0].path, 1, 1, format!("{problem} (in none of the files)")));
            }
        }
        // A label under the same name in another file must not become a feature.
        for name in self.views.iter().filter_map(|v| match &v.label {
            Some(Column::Name(name)) => Some(name),
            _ => None,
        }) {
            if let Some(view) = views.iter().find(|v| v.features.contains(name)) {
                let problem =
                    format!("column `{name}` is the label in another file; name it as `label` of this view too, or list the `columns`");
                return Err(parse_error(&view.path, 1, 1, problem));
            }
        }
        let joined = join(views, self.join, self.allow_unmatched)?;
        Ok(LoadedData { joined, split: self.split.unwrap_or_default() })
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
