//! The rows of a manifest as a trained model is asked about them.

use super::super::InputSpec;
use super::super::files::OnCorrupt;
use super::super::kinds::{Kind, Origin, Written};
use super::super::names::{nearest, some, suggestion};
use super::columns::{Cells, Columns, Files};
use super::stream::TableStream;
use super::table::{Row, Table};
use super::{ID, LABEL};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which columns of a manifest hold what, where they are not called as the sensors, `label` and `id`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ManifestColumns {
    /// The column of the class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The column of the name of a sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The columns of modalities, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub modalities: BTreeMap<String, String>,
    /// The names of a vector's numbers in their order, by modality: each stands in the column `<modality>.<name>` or `<name>`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Vec<String>>,
}

impl ManifestColumns {
    /// Whether all columns have the names that they have unless something else is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A sensor of a model, as far as a manifest is concerned.
#[derive(Debug, Clone)]
pub struct RowSensor {
    name: String,
    /// `None`: numbers that stand in the table, a column each.
    written: Option<Written>,
    /// How many numbers it has, where they may stand in the table.
    numbers: Option<usize>,
}

impl RowSensor {
    /// Of a name, and a kind if the model knows it: without, its numbers stand in the table.
    pub fn new(name: &str, input: &InputSpec, kind: Option<&dyn Kind>) -> Self {
        let written = kind.map(|kind| kind.written());
        let numbers = kind.map_or(Some(input.elements()), |kind| kind.takes_numbers());
        Self { name: name.into(), written, numbers }
    }
}

/// A row of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestRow {
    /// Where it stands in the file: a line, or a row of a Parquet file, from 1.
    pub line: usize,
    /// Its name; without a column of names, `line 12`.
    pub id: String,
    /// Its class, if the table says one.
    pub label: Option<String>,
    /// By sensor; `None` where it gave nothing.
    pub origins: Vec<Option<Origin>>,
}

/// The rows of a manifest, one after another; memory does not grow with the table. Cells are checked as they come.
pub struct ManifestRows {
    stream: TableStream,
    sensors: Vec<Option<Columns>>,
    label: Option<usize>,
    id: Option<usize>,
    folder: PathBuf,
    files: Files,
    remarks: Vec<String>,
}

impl ManifestRows {
    /// Opens a table: CSV (plain or gzip), JSON lines or Parquet. Sensors without a column are absent in all rows; one of them must have some.
    pub fn open(path: PathBuf, sensors: Vec<RowSensor>, columns: &ManifestColumns, on_corrupt: OnCorrupt) -> Result<Self> {
        let stream = TableStream::open(&path)?;
        let table = &stream.table;
        let find = |sensor: &RowSensor| {
            let column = columns.modalities.get(&sensor.name).unwrap_or(&sensor.name);
            let files = sensor.written.filter(|_| table.column(column).is_some());
            match (columns.variables.get(&sensor.name), files, table.column(column)) {
                (Some(variables), None, _) => by_name(table, &sensor.name, column, variables),
                (None, None, Some(number)) if sensor.numbers == Some(1) => Ok(Some(Columns::Numbers(vec![number]))),
                (_, Some(written), _) => Columns::find_any(table, &sensor.name, column, written, sensor.numbers),
                (None, None, _) => Columns::find_numbers(table, &sensor.name, column, sensor.numbers),
            }
        };
        let found = sensors.iter().map(find).collect::<Result<Vec<_>>>()?;
        // A model that learnt from columns of other names is also asked where there are no such columns.
        let id = table.column(columns.id.as_deref().unwrap_or(ID));
        let label = table.column(columns.label.as_deref().unwrap_or(LABEL));
        let remarks = remarks(table, &sensors, &found, &[id, label])?;
        let folder = path.parent().unwrap_or(Path::new("")).into();
        let files = Files::Named { exist: on_corrupt == OnCorrupt::Error };
        Ok(Self { stream, sensors: found, label, id, folder, files, remarks })
    }

    /// What to know about the table: sensors without a column, columns without use.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The columns of the table.
    pub fn columns(&self) -> &[String] {
        &self.stream.table.columns
    }

    fn row(&self, row: &Row) -> Result<ManifestRow> {
        let cells = Cells::new(&self.stream.table, &self.folder, None, self.files);
        let origin = |columns: &Option<Columns>| columns.as_ref().map_or(Ok(None), |columns| columns.origin(&cells, row));
        let text = |column: Option<usize>| column.map(|column| row.cells[column].clone()).filter(|text| !text.is_empty());
        Ok(ManifestRow {
            line: row.line,
            id: text(self.id).unwrap_or_else(|| format!("line {}", row.line)),
            label: text(self.label),
            origins: self.sensors.iter().map(origin).collect::<Result<_>>()?,
        })
    }
}

impl Iterator for ManifestRows {
    type Item = Result<ManifestRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.stream.next().transpose()?;
        Some(row.and_then(|row| self.row(&row)))
    }
}

/// The columns of named numbers; all of them, or none.
fn by_name(table: &Table, sensor: &str, column: &str, variables: &[String]) -> Result<Option<Columns>> {
    let find = |name: &String| table.column(&format!("{column}.{name}")).or_else(|| table.column(name));
    let found: Vec<Option<usize>> = variables.iter().map(find).collect();
    match found.iter().position(Option::is_none) {
        None => Ok(Some(Columns::Numbers(found.into_iter().flatten().collect()))),
        Some(_) if found.iter().all(Option::is_none) => Ok(None),
        Some(missing) => {
            let (name, count) = (&variables[missing], variables.len());
            let near = suggestion(name, table.columns.iter().map(String::as_str));
            let problem = format!("there is no column `{column}.{name}` for the sensor `{sensor}`, which has {count} numbers; {near}");
            Err(table.error(1, 0, problem))
        }
    }
}

/// What to know about the columns; an error where one is probably a sensor's, misspelt, and where no sensor has one.
fn remarks(table: &Table, sensors: &[RowSensor], found: &[Option<Columns>], others: &[Option<usize>]) -> Result<Vec<String>> {
    let used: Vec<usize> = found.iter().flatten().flat_map(Columns::indices).chain(others.iter().flatten().copied()).collect();
    let usual = |name: &str| ["part", "group", LABEL, ID].contains(&name);
    let unused = (0..table.columns.len()).filter(|c| !used.contains(c) && !usual(&table.columns[*c]));
    let without: Vec<&str> = sensors.iter().zip(found).filter(|(_, found)| found.is_none()).map(|(s, _)| s.name.as_str()).collect();
    let path = table.path.display();
    let mut left = Vec::new();
    for column in unused {
        let name = table.columns[column].as_str();
        let sensor = name.split('.').next().unwrap_or_default();
        // Two letters are near any other two.
        let likely = |near: &&str| *near == sensor || sensor.chars().count() > 2;
        if let Some(near) = nearest(sensor, without.iter().copied()).filter(likely) {
            let whose = if sensor == near { "this is not how the columns of a sensor are called" } else { "the model has no such sensor" };
            let problem = format!("column `{name}`: {whose}; did you mean `{near}`? Rename the column, or take it out");
            return Err(table.error(1, column, problem));
        }
        left.push(name);
    }
    if without.len() == sensors.len() {
        let names: Vec<&str> = table.columns.iter().map(String::as_str).collect();
        let problem = format!(
            "no column holds readings of the model's sensors: it has {}, and the columns are {}; name a column after each sensor that is there",
            without.join(", "),
            some(&names, 8)
        );
        return Err(Error::File { path: table.path.clone(), problem });
    }
    let mut remarks = Vec::new();
    if !without.is_empty() {
        remarks.push(format!("{path}: no column for {}: absent in every row", without.join(", ")));
    }
    if !left.is_empty() {
        remarks.push(format!("{path}: columns that are not read: {}", some(&left, 8)));
    }
    Ok(remarks)
}
