//! Which columns of a manifest are a sensor, and what their cells say.

use super::super::kinds::{Kind, Origin, Written};
use super::super::names::suggestion;
use super::super::number::{Cell, Numbers};
use super::super::table_text::Writing;
use super::missing::why_missing;
use super::table::{Row, Table};
use crate::error::{Error, Result};
use std::cell::Cell as Counter;
use std::path::{Path, PathBuf};

/// The columns of a sensor.
pub(super) enum Columns {
    /// A file a cell, perhaps a part of it.
    File { path: usize, start: Option<usize>, length: Option<usize> },
    /// A text a cell.
    Text(usize),
    /// A number a column.
    Numbers(Vec<usize>),
}

/// An error about a column that is not there.
pub(super) fn no_column(table: &Table, name: &str, what: &str) -> Error {
    let near = suggestion(name, table.columns.iter().map(String::as_str));
    table.error(1, 0, format!("there is no column `{name}` for {what}; {near}"))
}

impl Columns {
    /// Those of the modality `name`, which stand under `column`.
    pub fn find(table: &Table, name: &str, column: &str, kind: &dyn Kind) -> Result<Self> {
        let at = |suffix: &str| table.column(&format!("{column}.{suffix}"));
        match (table.column(column), kind.written()) {
            (Some(path), Written::File) => Ok(Self::File { path, start: at("start"), length: at("length") }),
            (Some(text), Written::Text) => Ok(Self::Text(text)),
            (None, Written::File) if kind.takes_numbers().is_some() => {
                let prefix = format!("{column}.");
                let columns: Vec<usize> = (0..table.columns.len()).filter(|&c| table.columns[c].starts_with(&prefix)).collect();
                match (columns.len(), kind.takes_numbers()) {
                    (0, _) => Err(no_column(table, column, &format!("the modality `{name}` (or columns `{column}.first`, ..)"))),
                    (found, Some(expected)) if found != expected => {
                        let problem = format!("{found} columns `{column}.*`, but the modality `{name}` has {expected} numbers");
                        Err(table.error(1, columns[0], problem))
                    }
                    _ => Ok(Self::Numbers(columns)),
                }
            }
            (None, _) => Err(no_column(table, column, &format!("the modality `{name}`"))),
        }
    }

    /// Where a row's reading is; `None` where the sensor gave nothing.
    pub fn origin(&self, cells: &Cells, row: &Row) -> Result<Option<Origin>> {
        match self {
            Self::Text(column) => Ok(Some(&row.cells[*column]).filter(|text| !text.is_empty()).map(|text| Origin::Text(text.clone()))),
            Self::File { path, start, length } => {
                let Some(file) = cells.file(row, *path)? else { return Ok(None) };
                let whole = |column: &Option<usize>| column.map(|column| cells.whole_number(row, column)).transpose().map(Option::flatten);
                let part = match (whole(start)?, whole(length)?) {
                    (None, None) => None,
                    (from, Some(length)) => Some(from.unwrap_or(0)..from.unwrap_or(0).saturating_add(length)),
                    (Some(from), None) => Some(from..u64::MAX),
                };
                Ok(Some(Origin::File { path: file, part }))
            }
            Self::Numbers(columns) => cells.numbers(row, columns),
        }
    }
}

/// Reads the cells of a table.
pub(super) struct Cells<'t> {
    table: &'t Table,
    /// Paths are from here.
    folder: &'t Path,
    /// A file that is not there is an absent sensor.
    lenient: bool,
    numbers: Numbers<'t>,
    missing_files: Counter<usize>,
    not_finite: Counter<usize>,
}

impl<'t> Cells<'t> {
    pub fn new(table: &'t Table, folder: &'t Path, lenient: bool) -> Self {
        Self {
            table,
            folder,
            lenient,
            numbers: Numbers::new(&Writing::default()),
            missing_files: Counter::new(0),
            not_finite: Counter::new(0),
        }
    }

    /// A file that exists.
    fn file(&self, row: &Row, column: usize) -> Result<Option<PathBuf>> {
        let cell = &row.cells[column];
        if cell.is_empty() {
            return Ok(None);
        }
        let path = self.folder.join(cell);
        match path.is_file() || path.is_dir() {
            true => Ok(Some(path)),
            false if self.lenient => {
                self.missing_files.set(self.missing_files.get() + 1);
                Ok(None)
            }
            false => {
                let why = why_missing(self.folder, cell).unwrap_or_else(|| {
                    "an empty cell says that the sensor gave nothing, on_corrupt = \"absent\" takes such cells for it".into()
                });
                Err(self.table.error(row.line, column, format!("there is no file {}; {why}", path.display())))
            }
        }
    }

    fn whole_number(&self, row: &Row, column: usize) -> Result<Option<u64>> {
        match row.cells[column].as_str() {
            "" => Ok(None),
            text => {
                // Parquet and pandas write whole numbers of columns with gaps as 12.0.
                let whole = text.strip_suffix(".0").unwrap_or(text);
                let problem = || format!("`{text}` is no number of samples: 0 or a whole number above");
                whole.parse().map(Some).map_err(|_| self.table.error(row.line, column, problem()))
            }
        }
    }

    /// Numbers of a row: all of them or none; with one that is not finite the sensor gave nothing that can be used.
    fn numbers(&self, row: &Row, columns: &[usize]) -> Result<Option<Origin>> {
        let empty = columns.iter().filter(|&&column| row.cells[column].is_empty()).count();
        if empty == columns.len() {
            return Ok(None);
        }
        if let Some(&column) = columns.iter().find(|&&column| row.cells[column].is_empty()) {
            let problem = format!("{empty} of {} columns of the modality are empty here: fill all of them, or none", columns.len());
            return Err(self.table.error(row.line, column, problem));
        }
        let mut values = Vec::with_capacity(columns.len());
        for &column in columns {
            match self.numbers.read(row.cells[column].as_bytes()) {
                Cell::Number(x) => values.push(x),
                Cell::Empty | Cell::Text => {
                    let problem =
                        format!("`{}` is no number; leave all cells of a modality empty where there was no reading", row.cells[column]);
                    return Err(self.table.error(row.line, column, problem));
                }
            }
        }
        if !values.iter().all(|x| x.is_finite()) {
            self.not_finite.set(self.not_finite.get() + 1);
            return Ok(None);
        }
        Ok(Some(Origin::Numbers(values)))
    }

    /// What was taken for absent.
    pub fn remarks(&self) -> impl Iterator<Item = String> {
        let (path, counts) = (self.table.path.display().to_string(), [self.missing_files.get(), self.not_finite.get()]);
        let what = [
            "files are not there: their sensors count as absent",
            "readings hold a value that is not finite: their sensors count as absent",
        ];
        counts.into_iter().zip(what).filter(|(count, _)| *count > 0).map(move |(count, what)| format!("{path}: {count} {what}"))
    }
}
