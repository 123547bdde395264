//! The rows of a manifest as a trained model is asked about them.

use super::super::InputSpec;
use super::super::categories;
use super::super::files::OnCorrupt;
use super::super::kinds::{Kind, Origin, Written};
use super::super::names::{slip, some, suggestion};
use super::super::reader::MEASURED;
use super::super::table_text::Writing;
use super::super::view::Partial;
use super::super::windows::{Cutter, Windows};
use super::columns::{Cells, Columns, Files, Number};
use super::stream::TableStream;
use super::table::{Row, Table};
use super::{ID, LABEL};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a manifest is read: which columns hold what, where they are not called as the sensors, `label` and `id`, and whether a row is a recording.
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
    /// The names of a vector's numbers in their order, by modality: each stands in the column `<modality>.<name>` or `<name>`, or all in
    /// `<modality>.1`, `<modality>.2` and so on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Vec<String>>,
    /// Whether a comma may stand for the point of numbers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decimal_comma: bool,
    /// Cells that stand for no number, besides empty ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What becomes of rows in which only some numbers of a modality are empty, by modality: an error where nothing is said.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub partial: BTreeMap<String, Partial>,
    /// Where a row is a recording, and samples are windows of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windows>,
}

impl ManifestColumns {
    /// Whether all columns have the names that they have unless something else is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Positions of the numbers of a modality that were missing in the training ([`Partial::Indicate`]): behind all numbers, a reading says of
    /// each of these whether it was measured.
    pub fn measured(&self, modality: &str) -> Vec<usize> {
        let names = self.variables.get(modality).map(Vec::as_slice).unwrap_or_default();
        let stem = |name: &String| names.iter().position(|of| name.strip_suffix(MEASURED) == Some(of));
        let mut measured: Vec<usize> = names.iter().rev().map_while(stem).collect();
        measured.reverse();
        measured
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

/// The rows of a manifest, one after another; memory does not grow with the table. Cells are checked as they come. Folders are listed as a
/// whole, one row a sample. Where rows are recordings ([`ManifestColumns::windows`]), their windows come, one after another.
pub struct ManifestRows {
    of: Of,
    remarks: Vec<String>,
    cutter: Option<Cutter>,
}

enum Of {
    Table(Box<TableRows>),
    /// Their names, and what they hold.
    Folders(Vec<String>, std::vec::IntoIter<ManifestRow>),
}

struct TableRows {
    stream: TableStream,
    sensors: Vec<(Option<Columns>, Partial)>,
    label: Option<usize>,
    id: Option<usize>,
    folder: PathBuf,
    files: Files,
    decimal_comma: bool,
    missing: Vec<String>,
}

impl ManifestRows {
    /// Opens a table: CSV (plain or gzip), JSON lines or Parquet. Sensors without a column are absent in all rows; one of them must have some.
    pub fn open(path: PathBuf, sensors: Vec<RowSensor>, columns: &ManifestColumns, on_corrupt: OnCorrupt) -> Result<Self> {
        let stream = TableStream::open(&path)?;
        let table = &stream.table;
        let find = |sensor: &RowSensor| {
            // One whose readings lay in the folder itself had no column.
            let column = columns.modalities.get(&sensor.name).filter(|column| *column != ".").unwrap_or(&sensor.name);
            if let Some(why) = table.why_left_out(column) {
                return Err(table.error(1, 0, format!("column `{column}` cannot be the sensor `{}`: it {why}", sensor.name)));
            }
            let files = sensor.written.filter(|_| table.column(column).is_some());
            match (columns.variables.get(&sensor.name), files, table.column(column)) {
                (Some(variables), None, _) => by_name(table, &sensor.name, column, variables),
                (None, None, Some(number)) if sensor.numbers == Some(1) => Ok(Some(Columns::Numbers(vec![number.into()]))),
                (variables, Some(written), _) => {
                    let mut found = Columns::find_any(table, &sensor.name, column, written, sensor.numbers)?;
                    if let (Some(Columns::File { numbers, .. }), Some(first)) = (&mut found, variables.and_then(|names| names.first())) {
                        *numbers = Some(whole_name(column, first));
                    }
                    Ok(found)
                }
                (None, None, _) => Columns::find_numbers(table, &sensor.name, column, sensor.numbers),
            }
        };
        let found = sensors.iter().map(find).collect::<Result<Vec<_>>>()?;
        // A model that learnt from columns of other names is also asked where there are no such columns, or the usual ones.
        let called = |name: &Option<String>, usual| name.as_ref().and_then(|name| table.column(name)).or_else(|| table.column(usual));
        let (id, label) = (called(&columns.id, ID), called(&columns.label, LABEL));
        let mut remarks = remarks(table, &sensors, &found, &[id, label], columns)?;
        remarks.extend(read_twice(table, &sensors, &found));
        let folder = path.parent().unwrap_or(Path::new("")).into();
        let files = Files::Named { exist: on_corrupt == OnCorrupt::Error };
        let (decimal_comma, missing) = (columns.decimal_comma, columns.missing.clone());
        let partial = sensors.iter().map(|sensor| columns.partial.get(&sensor.name).copied().unwrap_or_default());
        let sensors = found.into_iter().zip(partial).collect();
        let of = Of::Table(Box::new(TableRows { stream, sensors, label, id, folder, files, decimal_comma, missing }));
        Ok(Self { of, remarks, cutter: None })
    }

    /// Of folders of sensors, with or without folders of classes in them, or of parts.
    pub(in crate::data) fn of_folders(names: Vec<String>, rows: Vec<ManifestRow>, remarks: Vec<String>) -> Self {
        Self { of: Of::Folders(names, rows.into_iter()), remarks, cutter: None }
    }

    /// Cuts each row.
    pub(crate) fn cut(self, cutter: Option<Cutter>) -> Self {
        Self { cutter, ..self }
    }

    /// How many of the recordings so far were left out, since they are shorter than a window ([`Windows::short`]).
    pub fn short(&self) -> usize {
        self.cutter.as_ref().map_or(0, |cutter| cutter.short)
    }

    /// What to know about the table: sensors without a column, columns without use.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The columns of the table, or the names of the folders.
    pub fn columns(&self) -> &[String] {
        match &self.of {
            Of::Table(rows) => &rows.stream.table.columns,
            Of::Folders(names, _) => names,
        }
    }
}

impl TableRows {
    fn row(&self, row: &Row) -> Result<ManifestRow> {
        let writing = Writing { decimal_comma: self.decimal_comma, missing: &self.missing, ..Writing::default() };
        let cells = Cells::new(&self.stream.table, &self.folder, None, self.files, &writing);
        let lenient = matches!(self.files, Files::Named { exist: false });
        let origin = |(columns, partial): &(Option<Columns>, Partial)| {
            let origin = columns.as_ref().map_or(Ok(None), |columns| columns.origin(&cells, row, *partial));
            // As in a training that takes what cannot be read for absent.
            origin.or_else(|error| if lenient { Ok(None) } else { Err(error) })
        };
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
        match &mut self.cutter {
            Some(cutter) => cutter.next(&mut self.of),
            None => self.of.next(),
        }
    }
}

impl Iterator for Of {
    type Item = Result<ManifestRow>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Table(rows) => {
                let row = rows.stream.next().transpose()?;
                Some(row.and_then(|row| rows.row(&row)))
            }
            Self::Folders(_, rows) => rows.next().map(Ok),
        }
    }
}

/// The columns of named numbers; all of them, or none. What says whether another number was measured ([`Partial::Indicate`]) has no column.
fn by_name(table: &Table, sensor: &str, column: &str, variables: &[String]) -> Result<Option<Columns>> {
    let of_name = |name: &str| table.column(&format!("{column}.{name}")).or_else(|| table.column(name));
    let find = |name: &String| of_name(name).map(Number::from).or_else(|| category(name, variables, &of_name));
    let indicated = |name: &String| {
        let stem = name.strip_suffix(MEASURED).filter(|_| find(name).is_none())?;
        variables.iter().position(|variable| variable == stem)
    };
    let measured: Vec<usize> = variables.iter().filter_map(indicated).collect();
    if !measured.is_empty() {
        let numbers = by_name(table, sensor, column, &variables[..variables.len() - measured.len()])?;
        return Ok(numbers.map(|found| match found {
            Columns::Numbers(numbers) => Columns::Measured { numbers, measured },
            other => other,
        }));
    }
    let found: Vec<Option<Number>> = variables.iter().map(find).collect();
    match found.iter().position(Option::is_none) {
        None => Ok(Some(Columns::Numbers(found.into_iter().flatten().collect()))),
        Some(_) if found.iter().all(Option::is_none) => by_number(table, sensor, column, variables),
        Some(missing) => {
            let (variable, count) = (&variables[missing], variables.len());
            // Of a column of words, the column.
            let name = &categories::stems(variable).next().map_or(variable.as_str(), |(stem, _)| stem).to_string();
            let near = suggestion(name, table.columns.iter().map(String::as_str));
            // As the others are called.
            let is_short = variables.iter().any(|name| table.column(name).is_some());
            let whole = if is_short { name.clone() } else { whole_name(column, name) };
            let problem = format!("there is no column `{whole}` for the sensor `{sensor}`, which has {count} numbers; {near}");
            Err(table.error(1, 0, problem))
        }
    }
}

/// A remark on columns that are read for several sensors, which each have a number of that name.
fn read_twice(table: &Table, sensors: &[RowSensor], found: &[Option<Columns>]) -> Option<String> {
    let named = sensors.iter().zip(found).filter_map(|(sensor, columns)| match columns {
        Some(columns @ (Columns::Numbers(_) | Columns::Measured { .. })) => Some((sensor.name.as_str(), columns.indices())),
        _ => None,
    });
    let named: Vec<(&str, Vec<usize>)> = named.collect();
    let twice = (0..table.columns.len()).find_map(|column| {
        let sensors: Vec<&str> = named.iter().filter(|(_, of)| of.contains(&column)).map(|(name, _)| *name).collect();
        (sensors.len() > 1).then_some((table.columns[column].as_str(), sensors))
    });
    twice.map(|(column, sensors)| {
        let whole: Vec<String> = sensors.iter().map(|sensor| format!("`{sensor}.{column}`")).collect();
        format!(
            "column `{column}` is read for {}: if it is of one of them only, call the columns {}, as far as they are there",
            sensors.join(" and "),
            whole.join(" and ")
        )
    })
}

/// A number that says whether a column of words holds a category.
fn category(name: &str, variables: &[String], column: &dyn Fn(&str) -> Option<usize>) -> Option<Number> {
    let (stem, category, at) = categories::stems(name).find_map(|(stem, category)| Some((stem, category, column(stem)?)))?;
    let of_stem = variables.iter().filter_map(|variable| variable.strip_prefix(stem)?.strip_prefix('='));
    let known: Arc<[String]> = of_stem.map(String::from).collect();
    let position = known.iter().position(|known| known == category)?;
    Some(Number { column: at, category: Some((known, position)) })
}

fn whole_name(column: &str, variable: &str) -> String {
    if variable.starts_with(&format!("{column}.")) { variable.into() } else { format!("{column}.{variable}") }
}

/// Columns that have numbers for names, `gps.1`, `gps.2`, as a list in JSON lines has: the named numbers in their order. An error where a
/// sensor has columns of still other names.
fn by_number(table: &Table, sensor: &str, column: &str, variables: &[String]) -> Result<Option<Columns>> {
    let prefix = format!("{column}.");
    let there: Vec<usize> = (0..table.columns.len()).filter(|&at| table.columns[at].starts_with(&prefix)).collect();
    let Some(&first) = there.first() else { return Ok(None) };
    let mut numbered: Vec<(usize, usize)> =
        there.iter().filter_map(|&at| Some((table.columns[at][prefix.len()..].parse().ok()?, at))).collect();
    numbered.sort_unstable();
    if numbered.len() == there.len() && numbered.iter().map(|(number, _)| *number).eq(1..=variables.len()) {
        return Ok(Some(Columns::Numbers(numbered.into_iter().map(|(_, at)| at.into()).collect())));
    }
    let (found, count) = (&table.columns[first], variables.len());
    let names: Vec<String> = variables.iter().map(|name| whole_name(column, name)).collect();
    let problem = format!(
        "column `{found}`: the {count} numbers of the sensor `{sensor}` are called {} in the model; rename the columns, or number them in this \
         order, `{column}.1` to `{column}.{count}`",
        some(&names, 8)
    );
    Err(table.error(1, first, problem))
}

/// What to know about the columns; an error where one is probably a sensor's, misspelt, and where no sensor has one.
fn remarks(
    table: &Table,
    sensors: &[RowSensor],
    found: &[Option<Columns>],
    others: &[Option<usize>],
    columns: &ManifestColumns,
) -> Result<Vec<String>> {
    let used: Vec<usize> = found.iter().flatten().flat_map(Columns::indices).chain(others.iter().flatten().copied()).collect();
    let usual = |name: &str| ["part", "group", LABEL, ID].contains(&name);
    let unused = (0..table.columns.len()).filter(|c| !used.contains(c) && !usual(&table.columns[*c]));
    let without: Vec<&str> = sensors.iter().zip(found).filter(|(_, found)| found.is_none()).map(|(s, _)| s.name.as_str()).collect();
    let path = table.path.display();
    let mut left = Vec::new();
    for column in unused {
        let name = table.columns[column].as_str();
        let sensor = name.split('.').next().unwrap_or_default();
        // Two letters are near any other two, and the same ones in another case are a slip.
        let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        let likely = |near: &&str| same(near, sensor) || sensor.chars().count() > 2;
        let of_case = |of: &str| {
            let names = columns.variables.get(of).into_iter().flatten().find(|right| same(right, name));
            names.or_else(|| columns.modalities.get(of).filter(|right| same(right, sensor) && *right != sensor))
        };
        if let Some((of, right)) = without.iter().find_map(|of| Some((of, of_case(of)?))) {
            let problem =
                format!("column `{name}`: the sensor `{of}` was read from `{right}` in the training; write the name so, or take it out");
            return Err(table.error(1, column, problem));
        }
        if let Some(near) = slip(sensor, without.iter().copied()).filter(likely) {
            let problem = match columns.modalities.get(near) {
                Some(expected) if sensor == near => {
                    format!(
                        "`{near}` is read from the column `{expected}`, which is not there (the columns are {}); rename the column `{name}`, or \
                         name it for the sensor",
                        some(&table.columns, 8)
                    )
                }
                _ if sensor == near => {
                    format!(
                        "column `{name}`: this is not how the columns of a sensor are called; did you mean `{near}`? Rename the column, or take it out"
                    )
                }
                _ => format!("column `{name}`: the model has no such sensor; did you mean `{near}`? Rename the column, or take it out"),
            };
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
    let mut remarks = table.remarks();
    if !without.is_empty() {
        remarks.push(format!("{path}: no column for {}: absent in every row", without.join(", ")));
    }
    if !left.is_empty() {
        remarks.push(format!("{path}: columns that are not read: {}", some(&left, 8)));
        if let Some(label) = left.iter().find(|name| name.eq_ignore_ascii_case(LABEL)) {
            remarks.push(format!("{path}: if `{label}` is the class, say which column is: `--label {label}`"));
        }
    }
    Ok(remarks)
}
