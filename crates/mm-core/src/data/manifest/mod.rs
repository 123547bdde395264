//! Samples in a table: a row a sample, a column a sensor.

mod columns;
mod concat;
mod json_lines;
mod missing;
mod roles;
mod rows;
mod stream;
mod table;
mod unread;

pub(crate) use columns::with_indicators;
pub use concat::concat_parts;
pub use rows::{ManifestColumns, ManifestRow, ManifestRows, RowSensor};

use super::Bundle;
use super::files::{FileRow, FileSource, OnCorrupt, RowTarget};
use super::kinds::Kind;
use super::labels::{Labels, Unusable, hardly_classes};
use super::listing::{Listed, Listing, Problem};
use super::table_text::Writing;
use super::view::Partial;
use super::windows::NamedKind;
use super::{LabelMaps, Part, TargetValue, TaskKind, Windows};
use crate::error::{Error, Result};
use crate::modality::Modalities;
use columns::{Cells, Columns, Files};
use roles::Role;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub(super) use stream::TableStream;
pub(super) use table::{Row, Table};

/// A table of samples: CSV (plain or gzip), JSON lines or Parquet, a row a sample.
///
/// | column | holds |
/// |---|---|
/// | the name of a modality | a file, from the folder of the table, or for a kind that reads texts the text itself; empty: the sensor gave nothing |
/// | `<modality>.start`, `<modality>.length` | where the file holds several readings one after another: where this one is, in samples of a sound, steps of a series, images of an IDX file or entries of a `.npy` file |
/// | `<modality>.<variable>` | for vectors in the table itself, a column a number |
/// | `label` | the class; or labels and numbers in columns of their own: [`Manifest::labels`], [`Manifest::numbers`] |
/// | `part` | `train`, `validation` or `test`; optional |
/// | `group` | samples of one group stay in one part; optional |
/// | `id` | the name of the sample; optional |
/// | a column of your choice | the weight of the sample in the loss: [`Manifest::weight`] |
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
    label: String,
    id: Role,
    group: Role,
    part: Role,
    classes: Option<Vec<String>>,
    task: TaskKind,
    /// Columns of labels or numbers.
    targets: Vec<String>,
    /// Between the labels of a list.
    separator: Option<char>,
    weight: Option<String>,
    score: Option<String>,
    pixels: Option<LabelMaps>,
    unlabelled: Unusable,
    on_corrupt: OnCorrupt,
    bundle: Option<Bundle>,
    windows: Option<Windows>,
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

impl Manifest {
    /// Of a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            modalities: Vec::new(),
            label: LABEL.into(),
            id: Role::ID,
            group: Role::GROUP,
            part: Role::PART,
            classes: None,
            task: TaskKind::Classes,
            targets: Vec::new(),
            separator: None,
            weight: None,
            score: None,
            pixels: None,
            unlabelled: Unusable::default(),
            on_corrupt: OnCorrupt::default(),
            bundle: None,
            windows: None,
        }
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
        self.label = column.into();
        self
    }

    /// The column of the name of a sample, instead of `id`; it has to be there.
    pub fn id(self, column: impl Into<String>) -> Self {
        Self { id: self.id.in_column(column), ..self }
    }

    /// The column of the group, instead of `group`; it has to be there.
    pub fn group(self, column: impl Into<String>) -> Self {
        Self { group: self.group.in_column(column), ..self }
    }

    /// The column of the part of the split, instead of `part`; it has to be there.
    pub fn part(self, column: impl Into<String>) -> Self {
        Self { part: self.part.in_column(column), ..self }
    }

    /// The classes, in order; any other label is then an error.
    pub fn classes(mut self, classes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.classes = Some(classes.into_iter().map(Into::into).collect());
        self
    }

    /// Numbers are to be predicted, one in each of these columns.
    pub fn numbers(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { task: TaskKind::Numbers, targets: columns.into_iter().map(Into::into).collect(), ..self }
    }

    /// Labels are to be predicted, any number of which hold: 1 or 0, true or false, yes or no in each of these columns.
    pub fn labels(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { task: TaskKind::Labels, targets: columns.into_iter().map(Into::into).collect(), ..self }
    }

    /// Labels are to be predicted, any number of which hold: the label column lists them, with this between two; an empty cell says that
    /// none holds.
    pub fn label_lists(self, separator: char) -> Self {
        Self { task: TaskKind::Labels, separator: Some(separator), ..self }
    }

    /// The column of the weight of each sample in the loss.
    pub fn weight(mut self, column: impl Into<String>) -> Self {
        self.weight = Some(column.into());
        self
    }

    /// The measure that selects models and heads reports, such as `auroc`; by default the first of the task.
    pub fn scored_by(mut self, measure: impl Into<String>) -> Self {
        self.score = Some(measure.into());
        self
    }

    /// How what is to be predicted is read.
    fn reading(&self) -> Labels<'_> {
        Labels { classes: self.classes.as_deref(), missing: self.unlabelled, task: self.task, decimal_comma: None, none: &[] }
    }

    /// The label is a map: the column names a file with a class for each pixel.
    pub fn pixels(self, labels: LabelMaps) -> Self {
        Self { pixels: Some(labels), ..self }
    }

    /// What to do with a sample without label: by default an error.
    pub fn unlabelled(self, unlabelled: Unusable) -> Self {
        Self { unlabelled, ..self }
    }

    /// What to do with a file that is not there, cannot be decoded or holds a value that is not finite, and with a cell that should be a number
    /// and is none: by default an error.
    pub fn on_corrupt(self, on_corrupt: OnCorrupt) -> Self {
        Self { on_corrupt, ..self }
    }

    /// The table and the files that it names are in memory.
    pub fn bundle(self, bundle: &Bundle) -> Self {
        Self { bundle: Some(bundle.clone()), ..self }
    }

    /// A row is a recording, and samples are windows of it.
    pub fn windows(self, windows: Windows) -> Self {
        Self { windows: Some(windows), ..self }
    }

    /// Reads the table, and none of the files that it names; that they exist is checked. Where windows are cut, how long recordings are is read.
    pub fn open(self) -> Result<FileSource> {
        let table = match &self.bundle {
            Some(bundle) => Table::of(&self.path, bundle.get(&self.path).cloned().ok_or_else(|| self.not_in_bundle())?)?,
            None => Table::read(&self.path)?,
        };
        let modalities = Modalities::new(self.modalities.iter().map(|wanted| wanted.name.clone()))?;
        let mut listing = self.list(&table, self.on_corrupt == OnCorrupt::Absent);
        if self.on_corrupt == OnCorrupt::Absent {
            listing.forgive(&self.path);
        }
        listing.refuse()?;
        listing.remark_torn_group(&self.path, if self.group.is_said() { "" } else { " (a column of that name is read as it)" });
        if listing.samples.is_empty() {
            let problem = format!("none of its {} rows is a sample: {}", listing.rows, listing.remarks.join("; "));
            return Err(Error::File { path: self.path, problem });
        }
        let (names, values) = self.values(&listing);
        let mut values = values.into_iter();
        let rows = listing.samples.iter().map(|sample| {
            let target = match &sample.map {
                Some(map) => RowTarget::Map(map.clone()),
                None => values.next().unwrap_or(TargetValue::Class(0)).into(),
            };
            let mut row = FileRow::new(sample.id.clone(), sample.origins.clone(), target)?;
            (row.part, row.group, row.weight) = (sample.part, sample.group.clone(), sample.weight);
            Ok(row)
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let sensors = self
            .modalities
            .iter()
            .map(|wanted| Columns::find(&table, &wanted.name, wanted.column.as_deref().unwrap_or(&wanted.name), &*wanted.kind));
        let sensors = sensors.collect::<Result<Vec<_>>>()?;
        let variables = self.modalities.iter().zip(&sensors).filter_map(|(wanted, columns)| match columns {
            Columns::Numbers(columns) => {
                let prefix = wanted.column.as_ref().unwrap_or(&wanted.name).len() + 1;
                Some((wanted.name.clone(), columns.iter().map(|number| table.columns[number.column][prefix..].to_string()).collect()))
            }
            Columns::File { .. } | Columns::Text(_) | Columns::Measured { .. } => None,
        });
        let columns = ManifestColumns {
            label: (self.label != LABEL).then(|| self.label.clone()),
            id: self.id.other_name().cloned(),
            modalities: self.modalities.iter().filter_map(|w| Some((w.name.clone(), w.column.clone()?))).collect(),
            variables: variables.collect(),
            windows: self.windows,
            ..ManifestColumns::default()
        };
        let kinds: Vec<Arc<dyn Kind>> = self.modalities.into_iter().map(|wanted| wanted.kind).collect();
        let source = match self.pixels {
            Some(labels) => {
                let labels = labels.fitted(modalities.names(), &kinds)?;
                let target = labels.target();
                FileSource::new(modalities, kinds, target, rows)?.labels(labels)
            }
            None => FileSource::new(modalities, kinds, self.task.target(names)?, rows)?,
        };
        let source = source.scored_by(self.score.as_deref())?;
        Ok(source.on_corrupt(self.on_corrupt).with_remarks(listing.remarks).with_columns(columns))
    }

    /// The names of classes, labels or numbers, and the target of each sample that has no map.
    fn values(&self, listing: &Listing) -> (Vec<String>, Vec<TargetValue>) {
        let reading = self.reading();
        if let Some(separator) = self.separator {
            let texts: Vec<&str> = listing.samples.iter().filter_map(|sample| sample.values.first().map(String::as_str)).collect();
            return reading.lists(&texts, separator);
        }
        if self.task.has_columns() {
            let value = |sample: &Listed| reading.value(sample.values.iter().map(String::as_str));
            return (self.targets.clone(), listing.samples.iter().map(value).collect());
        }
        let texts: Vec<&str> = listing.samples.iter().filter_map(|sample| sample.label.as_deref()).collect();
        let (classes, labels) = reading.classes(&texts);
        (classes, labels.into_iter().map(TargetValue::Class).collect())
    }

    fn not_in_bundle(&self) -> Error {
        Error::File { path: self.path.clone(), problem: "is not among the files in memory".into() }
    }

    /// What the table lists, and all that is wrong about it. If `lenient`, a file that is not there is an absent sensor.
    pub(super) fn list(&self, table: &Table, lenient: bool) -> Listing {
        let mut listing = Listing { rows: table.rows.len(), ..Listing::default() };
        let mut sensors = Vec::with_capacity(self.modalities.len());
        for wanted in &self.modalities {
            let column = wanted.column.as_deref().unwrap_or(&wanted.name);
            let found = Columns::find(table, &wanted.name, column, &*wanted.kind);
            sensors.push(found.map_err(|error| listing.problems.push(Problem::new(error))).ok());
        }
        let column = |name: &str| table.column(name);
        let mut label = column(&self.label);
        let in_columns = self.task.has_columns() && self.separator.is_none();
        if label.is_none() && !in_columns {
            listing.problems.push(Problem::new(columns::no_column(table, &self.label, "the label of each sample")));
        }
        let mut wanted = |name: &String, what: &str| {
            let found = column(name);
            found.is_none().then(|| listing.problems.push(Problem::new(columns::no_column(table, name, what))));
            found
        };
        let targets: Vec<usize> = self.targets.iter().filter_map(|name| wanted(name, "what is to be predicted")).collect();
        let weight = self.weight.as_ref().and_then(|name| wanted(name, "the weight of each sample"));
        let mut find = |role: &Role| role.column(table).map_err(|error| listing.problems.push(Problem::new(error))).ok().flatten();
        let (id, group, part) = (find(&self.id), find(&self.group), find(&self.part));
        let labels = self.reading();
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let cells =
            Cells::new(table, folder, self.bundle.as_ref(), if lenient { Files::OrNothing } else { Files::Exist }, &Writing::default());
        if self.pixels.is_none()
            && self.classes.is_none()
            && !self.task.has_columns()
            && let Some(error) = label.and_then(|column| cells.images_as_labels(column))
        {
            listing.problems.push(Problem::new(error));
            label = None;
        }
        let (mut unlabelled, mut nothing) = (0, 0);
        for row in &table.rows {
            let text = |column: Option<usize>| column.map(|column| row.cells[column].as_str()).filter(|text| !text.is_empty());
            let id = text(id).map_or_else(|| format!("line {}", row.line), String::from);
            let (mut class, mut map, mut values) = (None, None, Vec::new());
            if in_columns || self.separator.is_some() {
                let read = |column: usize| {
                    let text = &row.cells[column];
                    let read = self.separator.map_or_else(|| labels.read_column(text), |separator| labels.read_list(text, separator));
                    read.map_err(|problem| table.error(row.line, column, problem))
                };
                let columns = if in_columns { targets.clone() } else { label.into_iter().collect() };
                match columns.into_iter().map(read).collect::<Result<Option<Vec<&str>>>>() {
                    Ok(Some(texts)) => values = texts.into_iter().map(String::from).collect(),
                    Ok(None) => {
                        unlabelled += 1;
                        continue;
                    }
                    Err(error) => listing.problems.push(Problem::new(error)),
                }
            } else if let (Some(label), true) = (label, self.pixels.is_some()) {
                match cells.label_map(row, label) {
                    Ok(Some(origin)) => map = Some(origin),
                    Ok(None) if self.unlabelled == Unusable::Drop => {
                        unlabelled += 1;
                        continue;
                    }
                    Ok(None) => {
                        let problem = "there is no label map; write missing_label = \"drop\" in the card to leave such samples out";
                        listing.problems.push(Problem::new(table.error(row.line, label, problem)));
                    }
                    Err(error) => listing.problems.push(Problem::new(error)),
                }
            } else if let Some(label) = label {
                match labels.read(&row.cells[label]) {
                    Ok(Some(text)) => class = Some(text.to_string()),
                    Ok(None) => {
                        unlabelled += 1;
                        continue;
                    }
                    Err(problem) => listing.problems.push(Problem::new(table.error(row.line, label, problem))),
                }
            }
            let before = listing.problems.len();
            let origins = sensors.iter().enumerate().map(|(m, sensor)| {
                let origin = sensor.as_ref().map_or(Ok(None), |sensor| sensor.origin(&cells, row, Partial::Error));
                origin.unwrap_or_else(|error| {
                    listing.problems.push(Problem::of(m, &id, error));
                    None
                })
            });
            let origins: Vec<_> = origins.collect();
            if origins.iter().all(Option::is_none) && before == listing.problems.len() {
                nothing += 1;
                continue;
            }
            let part = match (part, text(part)) {
                (Some(column), Some(text)) => {
                    let read = text.parse::<Part>().map_err(|problem| table.error(row.line, column, problem));
                    read.map_err(|error| listing.problems.push(Problem::new(error))).ok()
                }
                _ => None,
            };
            let group = text(group).map(String::from);
            let weight = weight.map_or(Ok(1.0), |column| match row.cells[column].parse::<f32>() {
                Ok(weight) if weight >= 0.0 && weight.is_finite() => Ok(weight),
                _ => {
                    let problem = format!("`{}` is no weight of a sample: a finite number that is not negative", row.cells[column]);
                    Err(table.error(row.line, column, problem))
                }
            });
            let weight = weight.unwrap_or_else(|error| {
                listing.problems.push(Problem::new(error));
                1.0
            });
            listing.samples.push(Listed { id, line: Some(row.line), label: class, values, map, part, group, weight, origins });
        }
        if let Some(column) = id {
            listing.refuse_equal_ids(|twice, first| {
                let place = first.line.map_or(String::new(), |line| format!(" of line {line} too"));
                let problem = format!("`{}` is the id{place}: an id is one sample, give each row its own", twice.id);
                table.error(twice.line.unwrap_or(1), column, problem)
            });
        }
        if let Some(windows) = &self.windows {
            let sensors: Vec<NamedKind> = self.modalities.iter().map(|wanted| (wanted.name.as_str(), &*wanted.kind)).collect();
            windows.cut(&mut listing, &sensors, lenient, &self.path);
        }
        let of = table.rows.len();
        let told = [(unlabelled, "have no label and are left out"), (nothing, "have no reading of any sensor and are left out")];
        let told = told.iter().filter(|(count, _)| *count > 0);
        listing.remarks.extend(told.map(|(count, what)| format!("{}: {count} of {of} rows {what}", table.path.display())));
        listing.remarks.extend(cells.remarks());
        listing.remarks.extend(table.remarks());
        let thousands = sensors.iter().flatten().filter_map(|sensor| sensor.thousands(table));
        listing.remarks.extend(thousands.map(|remark| format!("{}: {remark}", table.path.display())));
        let own = [label, weight, id, group, part].into_iter().flatten().chain(targets);
        let read: Vec<usize> = own.chain(sensors.iter().flatten().flat_map(Columns::indices)).collect();
        listing.remarks.extend([&self.id, &self.group, &self.part].iter().filter_map(|role| role.remark(table, &read)));
        let named = self.modalities.iter().map(|wanted| (wanted.column.as_deref().unwrap_or(&wanted.name), &wanted.kind));
        let found = named.zip(&sensors).filter_map(|((column, kind), columns)| Some((column, kind, columns.as_ref()?)));
        listing.remarks.extend(unread::remarks(table, found, &read));
        self.look_at_classes(table, label, &mut listing);
        listing
    }

    /// Whether the labels are classes.
    fn look_at_classes(&self, table: &Table, column: Option<usize>, listing: &mut Listing) {
        let texts: Vec<&str> = listing.samples.iter().filter_map(|sample| sample.label.as_deref()).collect();
        let (classes, _) = self.reading().classes(&texts);
        if self.classes.is_none()
            && self.separator.is_none()
            && let (Some(column), Some(problem)) = (column, hardly_classes(&texts))
        {
            listing.problems.push(Problem::new(table.error(1, column, problem)));
        }
        // A list of labels is none of classes.
        let (what, names) = if self.separator.is_some() { ("labels", self.values(listing).0) } else { ("classes", classes) };
        listing.remark_look_alikes(what, &names, &table.path.display().to_string());
    }
}
