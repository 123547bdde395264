//! Samples in a table: a row a sample, a column a sensor.

mod columns;
mod rows;
mod stream;
mod table;

pub use rows::{ManifestColumns, ManifestRow, ManifestRows, RowSensor};

use super::Bundle;
use super::files::{FileRow, FileSource, OnCorrupt};
use super::kinds::{Kind, Origin};
use super::labels::{Labels, Unusable, hardly_classes, look_alikes};
use super::{Part, Target, TargetValue};
use crate::error::{Error, Result};
use crate::modality::Modalities;
use columns::{Cells, Columns, Files};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use table::Table;

/// A table of samples: CSV (plain or gzip), JSON lines or Parquet, a row a sample.
///
/// | column | holds |
/// |---|---|
/// | the name of a modality | a file, from the folder of the table, or for a kind that reads texts the text itself; empty: the sensor gave nothing |
/// | `<modality>.start`, `<modality>.length` | where the file holds several readings one after another: where this one is, in samples of a sound, steps of a series, images of an IDX file or entries of a `.npy` file |
/// | `<modality>.<variable>` | for vectors in the table itself, a column a number |
/// | `label` | the class |
/// | `part` | `train`, `validation` or `test`; optional |
/// | `group` | samples of one group stay in one part; optional |
/// | `id` | the name of the sample; optional |
///
/// ```no_run
/// use mm_core::data::{Manifest, kinds::Image};
/// let data = Manifest::new("cats/samples.csv").modality("rgb", Image::rgb(112)).modality("depth", Image::gray(112)).open()?;
/// # Ok::<(), mm_core::Error>(())
/// ```
///
/// Other names of columns: [`Manifest::label`] and the like, [`Manifest::column`].
pub struct Manifest {
    path: PathBuf,
    modalities: Vec<Wanted>,
    names: Names,
    classes: Option<Vec<String>>,
    unlabelled: Unusable,
    on_corrupt: OnCorrupt,
    bundle: Option<Bundle>,
}

/// A modality, and where it stands if not under its name.
struct Wanted {
    name: String,
    kind: Arc<dyn Kind>,
    column: Option<String>,
}

/// Columns that have these names unless something else is said.
const LABEL: &str = "label";
const ID: &str = "id";

/// What the columns are called that are no sensors.
struct Names {
    label: String,
    id: String,
    group: String,
    part: String,
}

impl Manifest {
    /// Of a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let names = Names { label: LABEL.into(), id: ID.into(), group: "group".into(), part: "part".into() };
        let (unlabelled, on_corrupt) = (Unusable::default(), OnCorrupt::default());
        Self { path: path.into(), modalities: Vec::new(), names, classes: None, unlabelled, on_corrupt, bundle: None }
    }

    /// A modality, in the column of its name, and what its readings are.
    pub fn modality(self, name: impl Into<String>, kind: impl Kind + 'static) -> Self {
        self.kind(name, Arc::new(kind))
    }

    /// [`Manifest::modality`] of a kind that is known at run time only.
    pub fn kind(mut self, name: impl Into<String>, kind: Arc<dyn Kind>) -> Self {
        self.modalities.push(Wanted { name: name.into(), kind, column: None });
        self
    }

    /// The modality that was named last stands in this column.
    pub fn column(mut self, column: impl Into<String>) -> Self {
        if let Some(wanted) = self.modalities.last_mut() {
            wanted.column = Some(column.into());
        }
        self
    }

    /// The column of the class, instead of `label`.
    pub fn label(mut self, column: impl Into<String>) -> Self {
        self.names.label = column.into();
        self
    }

    /// The column of the name of a sample, instead of `id`.
    pub fn id(mut self, column: impl Into<String>) -> Self {
        self.names.id = column.into();
        self
    }

    /// The column of the group, instead of `group`.
    pub fn group(mut self, column: impl Into<String>) -> Self {
        self.names.group = column.into();
        self
    }

    /// The column of the part of the split, instead of `part`.
    pub fn part(mut self, column: impl Into<String>) -> Self {
        self.names.part = column.into();
        self
    }

    /// The classes, in order; any other label is then an error.
    pub fn classes(mut self, classes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.classes = Some(classes.into_iter().map(Into::into).collect());
        self
    }

    /// What to do with a sample without label: by default an error.
    pub fn unlabelled(self, unlabelled: Unusable) -> Self {
        Self { unlabelled, ..self }
    }

    /// What to do with a file that is not there or cannot be decoded: by default an error.
    pub fn on_corrupt(self, on_corrupt: OnCorrupt) -> Self {
        Self { on_corrupt, ..self }
    }

    /// The table and the files that it names are in memory.
    pub fn bundle(self, bundle: &Bundle) -> Self {
        Self { bundle: Some(bundle.clone()), ..self }
    }

    /// Reads the table, and none of the files that it names; that they exist is checked.
    pub fn open(self) -> Result<FileSource> {
        let table = match &self.bundle {
            Some(bundle) => Table::of(&self.path, bundle.get(&self.path).cloned().ok_or_else(|| self.not_in_bundle())?)?,
            None => Table::of(&self.path, std::fs::read(&self.path).map_err(Error::io(&self.path))?.into())?,
        };
        let modalities = Modalities::new(self.modalities.iter().map(|wanted| wanted.name.clone()))?;
        let sensors = self.modalities.iter().map(|wanted| {
            let column = wanted.column.as_deref().unwrap_or(&wanted.name);
            Columns::find(&table, &wanted.name, column, &*wanted.kind)
        });
        let sensors = sensors.collect::<Result<Vec<_>>>()?;
        let kept = self.kept(&table, &sensors)?;
        let texts: Vec<&str> = kept.rows.iter().map(|row| row.label).collect();
        let labels = Labels { classes: self.classes.as_deref(), missing: self.unlabelled };
        let (classes, numbers) = labels.classes(&texts);
        if self.classes.is_none()
            && let Some(problem) = hardly_classes(&classes, texts.len())
        {
            return Err(table.error(1, kept.label, problem));
        }
        let mut remarks = kept.remarks;
        for alike in look_alikes(classes.iter().map(String::as_str)) {
            remarks.push(format!(
                "{}: classes that look alike: {}; write them alike if they are the same",
                table.path.display(),
                alike.join(", ")
            ));
        }
        let rows = kept.rows.into_iter().zip(numbers).map(|(row, class)| {
            let mut file_row = FileRow::new(row.id, row.origins, TargetValue::Class(class))?;
            (file_row.part, file_row.group) = (row.part, row.group);
            Ok(file_row)
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let variables = self.modalities.iter().zip(&sensors).filter_map(|(wanted, columns)| match columns {
            Columns::Numbers(columns) => {
                let prefix = wanted.column.as_ref().unwrap_or(&wanted.name).len() + 1;
                Some((wanted.name.clone(), columns.iter().map(|&c| table.columns[c][prefix..].to_string()).collect()))
            }
            Columns::File { .. } | Columns::Text(_) => None,
        });
        let columns = ManifestColumns {
            label: (self.names.label != LABEL).then(|| self.names.label.clone()),
            id: (self.names.id != ID).then(|| self.names.id.clone()),
            modalities: self.modalities.iter().filter_map(|w| Some((w.name.clone(), w.column.clone()?))).collect(),
            variables: variables.collect(),
        };
        let kinds = self.modalities.into_iter().map(|wanted| wanted.kind).collect();
        let source = FileSource::new(modalities, kinds, Target::of_classes(classes), rows)?;
        Ok(source.on_corrupt(self.on_corrupt).with_remarks(remarks).with_columns(columns))
    }

    fn not_in_bundle(&self) -> Error {
        Error::File { path: self.path.clone(), problem: "is not among the files in memory".into() }
    }

    /// The rows that are samples.
    fn kept<'t>(&self, table: &'t Table, sensors: &[Columns]) -> Result<Kept<'t>> {
        let column = |name: &str| table.column(name);
        let label = column(&self.names.label).ok_or_else(|| columns::no_column(table, &self.names.label, "the label of each sample"))?;
        let (id, group, part) = (column(&self.names.id), column(&self.names.group), column(&self.names.part));
        let labels = Labels { classes: self.classes.as_deref(), missing: self.unlabelled };
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let files = if self.on_corrupt == OnCorrupt::Absent { Files::OrNothing } else { Files::Exist };
        let cells = Cells::new(table, folder, self.bundle.as_ref(), files);
        let (mut rows, mut unlabelled, mut nothing) = (Vec::with_capacity(table.rows.len()), 0, 0);
        for row in &table.rows {
            let text = |column: Option<usize>| column.map(|column| row.cells[column].as_str()).filter(|text| !text.is_empty());
            let read = labels.read(&row.cells[label]).map_err(|problem| table.error(row.line, label, problem))?;
            let Some(class) = read else {
                unlabelled += 1;
                continue;
            };
            let origins = sensors.iter().map(|sensor| sensor.origin(&cells, row)).collect::<Result<Vec<_>>>()?;
            if origins.iter().all(Option::is_none) {
                nothing += 1;
                continue;
            }
            let part = match (part, text(part)) {
                (Some(column), Some(text)) => Some(text.parse::<Part>().map_err(|problem| table.error(row.line, column, problem))?),
                _ => None,
            };
            let id = text(id).map_or_else(|| format!("line {}", row.line), String::from);
            rows.push(Sample { id, label: class, part, group: text(group).map(String::from), origins });
        }
        let of = table.rows.len();
        let told = [(unlabelled, "have no label and are left out"), (nothing, "have no reading of any sensor and are left out")];
        let told = told.iter().filter(|(count, _)| *count > 0);
        let mut remarks: Vec<String> = told.map(|(count, what)| format!("{}: {count} of {of} rows {what}", table.path.display())).collect();
        remarks.extend(cells.remarks());
        match rows.is_empty() {
            true => {
                Err(Error::File { path: table.path.clone(), problem: format!("none of its {of} rows is a sample: {}", remarks.join("; ")) })
            }
            false => Ok(Kept { label, rows, remarks }),
        }
    }
}

/// What a table holds that can be used.
struct Kept<'t> {
    /// The column of the label.
    label: usize,
    rows: Vec<Sample<'t>>,
    remarks: Vec<String>,
}

struct Sample<'t> {
    id: String,
    label: &'t str,
    part: Option<Part>,
    group: Option<String>,
    origins: Vec<Option<Origin>>,
}
