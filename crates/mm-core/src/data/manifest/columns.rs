//! Which columns of a manifest are a sensor, and what their cells say.

use super::super::Bundle;
use super::super::categories::{position, unknown};
use super::super::decimal_marks::Thousands;
use super::super::decimal_marks::in_thousands;
use super::super::image::Format;
use super::super::kinds::{Kind, Origin, Written};
use super::super::names::suggestion;
use super::super::number::{Cell, Numbers, comma_advice, fits, has_decimal_comma};
use super::super::table_text::Writing;
use super::super::view::Partial;
use super::missing::why_missing;
use super::table::{Row, Table};
use crate::error::{Error, Result};
use std::cell::Cell as Counter;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The columns of a sensor.
pub(super) enum Columns {
    /// A file a cell, perhaps a part of it; `numbers`: how a column of its numbers would be called, where they may stand in the table.
    File { path: usize, start: Option<usize>, length: Option<usize>, numbers: Option<String> },
    /// A text a cell.
    Text(usize),
    /// Numbers.
    Numbers(Vec<Number>),
    /// Numbers, some of which may be empty; behind them, for those at the positions `measured`, whether there was one.
    Measured { numbers: Vec<Number>, measured: Vec<usize> },
}

/// A number of a row.
#[derive(Clone)]
pub(super) struct Number {
    pub column: usize,
    /// Of a column of words: its categories, and which of them the number says is there.
    pub category: Option<(Arc<[String]>, usize)>,
}

impl From<usize> for Number {
    fn from(column: usize) -> Self {
        Self { column, category: None }
    }
}

/// An error about a column that is not there.
pub(super) fn no_column(table: &Table, name: &str, what: &str) -> Error {
    if let Some(why) = table.why_left_out(name) {
        return table.error(1, 0, format!("column `{name}` cannot be {what}: it {why}"));
    }
    if table.is_typed && table.column(&format!("{name}.1")).is_some() {
        let advice = "its parts are columns; labels are listed in one text, such as \"cough|fever\", with separator = \"|\" in the card";
        return table.error(1, 0, format!("`{name}` is a list (`{name}.1`, ..) and cannot be {what}: {advice}"));
    }
    let near = suggestion(name, table.columns.iter().map(String::as_str));
    table.error(1, 0, format!("there is no column `{name}` for {what}; {near}"))
}

impl Columns {
    /// Those of the modality `name`, which stand under `column`.
    pub fn find(table: &Table, name: &str, column: &str, kind: &dyn Kind) -> Result<Self> {
        let numbers = kind.takes_numbers();
        match (Self::find_any(table, name, column, kind.written(), numbers)?, kind.written()) {
            (Some(columns), _) => Ok(columns),
            (None, Written::File) if numbers.is_some() => {
                Err(no_column(table, column, &format!("the modality `{name}` (or columns `{column}.first`, ..)")))
            }
            (None, _) => Err(no_column(table, column, &format!("the modality `{name}`"))),
        }
    }

    /// The same, where a table may lack them; `numbers`: how many the modality has, where they may stand in the table.
    pub fn find_any(table: &Table, name: &str, column: &str, written: Written, numbers: Option<usize>) -> Result<Option<Self>> {
        let at = |suffix: &str| table.column(&format!("{column}.{suffix}"));
        match (table.column(column), written, numbers) {
            (Some(path), Written::File | Written::Folder, _) => {
                if let (Some(end), None, Written::File) = (at("end"), at("length"), written) {
                    let problem = format!(
                        "a part is given by its start and length: write `{column}.length`, end minus start, in place of `{column}.end`"
                    );
                    return Err(table.error(1, end, problem));
                }
                let numbers = numbers.map(|_| format!("{column}.1"));
                Ok(Some(Self::File { path, start: at("start"), length: at("length"), numbers }))
            }
            (Some(text), Written::Text, _) => Ok(Some(Self::Text(text))),
            (None, Written::File, numbers) => Self::find_numbers(table, name, column, numbers),
            (None, Written::Text | Written::Folder, _) => Ok(None),
        }
    }

    /// The columns `<column>.*`, if there are any: as many as the modality has numbers.
    pub fn find_numbers(table: &Table, name: &str, column: &str, numbers: Option<usize>) -> Result<Option<Self>> {
        let Some(expected) = numbers else { return Ok(None) };
        let prefix = format!("{column}.");
        let columns: Vec<usize> = (0..table.columns.len()).filter(|&c| table.columns[c].starts_with(&prefix)).collect();
        match columns.len() {
            0 => Ok(None),
            found if found != expected => {
                let problem = format!("{found} columns `{column}.*`, but the modality `{name}` has {expected} numbers");
                Err(table.error(1, columns[0], problem))
            }
            _ => Ok(Some(Self::Numbers(columns.into_iter().map(Number::from).collect()))),
        }
    }

    /// All of them.
    pub fn indices(&self) -> Vec<usize> {
        match self {
            Self::Text(column) => vec![*column],
            Self::Numbers(numbers) | Self::Measured { numbers, .. } => numbers.iter().map(|number| number.column).collect(),
            Self::File { path, start, length, .. } => [Some(*path), *start, *length].into_iter().flatten().collect(),
        }
    }

    /// A remark on numbers that look as if their marks stood between thousands.
    pub fn thousands(&self, table: &Table) -> Option<String> {
        let (Self::Numbers(numbers) | Self::Measured { numbers, .. }) = self else { return None };
        let columns: Vec<usize> = numbers.iter().filter(|number| number.category.is_none()).map(|number| number.column).collect();
        let look = |&column: &usize| {
            let mut thousands = Thousands::default();
            table.rows.iter().for_each(|row| thousands.see(&row.cells[column], row.line));
            thousands
        };
        let found: Vec<Thousands> = columns.iter().map(look).collect();
        Thousands::remark(columns.iter().zip(&found).map(|(&column, of)| (column, table.columns[column].as_str(), of)))
    }

    /// Where a row's reading is; `None` where the sensor gave nothing. `partial`: of numbers of which only some are there.
    pub fn origin(&self, cells: &Cells, row: &Row, partial: Partial) -> Result<Option<Origin>> {
        match self {
            Self::Text(column) => cells.text(row, *column),
            Self::File { path, start, length, numbers } => {
                let Some(file) = cells.file(row, *path, numbers.as_deref())? else { return Ok(None) };
                let whole = |column: &Option<usize>| column.map(|column| cells.whole_number(row, column)).transpose().map(Option::flatten);
                let part = match (whole(start)?, whole(length)?) {
                    (None, None) => None,
                    (from, Some(length)) => Some(from.unwrap_or(0)..from.unwrap_or(0).saturating_add(length)),
                    (Some(from), None) => Some(from..u64::MAX),
                };
                Ok(Some(cells.origin(file, part)))
            }
            Self::Numbers(numbers) => Ok(cells.numbers(row, numbers, partial)?.map(Origin::Numbers)),
            Self::Measured { numbers, measured } => {
                let numbers = cells.numbers(row, numbers, Partial::Indicate)?;
                Ok(numbers.map(|values| Origin::Numbers(with_indicators(values, measured))))
            }
        }
    }
}

/// Numbers, and behind them of some whether they were measured ([`Partial::Indicate`]): 0 where one is NaN, else 1.
pub(crate) fn with_indicators(mut values: Vec<f64>, measured: &[usize]) -> Vec<f64> {
    let indicators: Vec<f64> = measured.iter().map(|&at| f64::from(u8::from(!values[at].is_nan()))).collect();
    values.extend(indicators);
    values
}

/// Reads the cells of a table.
pub(super) struct Cells<'t> {
    table: &'t Table,
    /// Paths are from here.
    folder: &'t Path,
    /// Where the files are, if not on disk.
    bundle: Option<&'t Bundle>,
    files: Files,
    numbers: Numbers<'t>,
    missing_files: Counter<usize>,
    not_finite: Counter<usize>,
}

/// What becomes of a file that is not there, and of a number that is not finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// An error; such a number means that the sensor gave nothing.
    Exist,
    /// The sensor gave nothing, either way.
    OrNothing,
    /// It is named all the same: who reads it says what is wrong. So is such a number.
    Named {
        /// Whether a file has to be there.
        exist: bool,
    },
}

impl<'t> Cells<'t> {
    pub fn new(table: &'t Table, folder: &'t Path, bundle: Option<&'t Bundle>, files: Files, writing: &Writing<'t>) -> Self {
        Self { table, folder, bundle, files, numbers: Numbers::new(writing), missing_files: Counter::new(0), not_finite: Counter::new(0) }
    }

    /// A text, or the file that it is in: a name that ends in `.txt`.
    fn text(&self, row: &Row, column: usize) -> Result<Option<Origin>> {
        let cell = &row.cells[column];
        let is_name = cell.to_lowercase().ends_with(".txt") && !cell.contains('\n');
        // A sentence may end so, too.
        if is_name && (self.exists(&self.folder.join(cell)) || !cell.contains(char::is_whitespace)) {
            return Ok(self.file(row, column, None)?.map(|file| self.origin(file, None)));
        }
        Ok(Some(cell).filter(|text| !text.is_empty()).map(|text| Origin::Text(text.clone())))
    }

    fn exists(&self, path: &Path) -> bool {
        match self.bundle {
            Some(bundle) => bundle.get(path).is_some(),
            None => path.is_file() || path.is_dir(),
        }
    }

    /// A file that exists; `numbers` is how a column of numbers in its place would be called.
    fn file(&self, row: &Row, column: usize, numbers: Option<&str>) -> Result<Option<PathBuf>> {
        let cell = &row.cells[column];
        if cell.is_empty() {
            return Ok(None);
        }
        let path = self.folder.join(cell);
        if self.bundle.is_none() && self.files == (Files::Named { exist: false }) || self.exists(&path) {
            return Ok(Some(path));
        }
        match self.files {
            Files::OrNothing => {
                self.missing_files.set(self.missing_files.get() + 1);
                Ok(None)
            }
            Files::Exist | Files::Named { .. } => {
                let setting = if self.files == Files::Exist { "on_corrupt = \"absent\"" } else { "--on-corrupt absent" };
                let number = numbers.filter(|_| cell.parse::<f64>().is_ok());
                let why = number
                    .map(|called| format!("if it is a number of the sensor, call the column `{called}`"))
                    .or_else(|| why_missing(self.folder, &self.table.columns[column], cell))
                    .unwrap_or_else(|| format!("an empty cell says that the sensor gave nothing, {setting} takes such cells for it"));
                Err(self.table.error(row.line, column, format!("there is no file {}; {why}", path.display())))
            }
        }
    }

    /// Why a column of labels holds none: more than half of its cells are image files.
    pub fn images_as_labels(&self, column: usize) -> Option<Error> {
        let is_image = |cell: &&str| {
            let ending = Path::new(cell).extension().map(|ending| ending.to_string_lossy().to_lowercase());
            ending.is_some_and(|ending| Format::ENDINGS.contains(&ending.as_str())) && self.exists(&self.folder.join(cell))
        };
        let images: Vec<&str> = self.table.rows.iter().map(|row| row.cells[column].as_str()).filter(is_image).collect();
        let first = images.first().filter(|_| 2 * images.len() > self.table.rows.len())?;
        let name = &self.table.columns[column];
        let advice = "if they are label maps, the card needs [pixels] with `classes` and `size`; otherwise name the column of the classes";
        Some(self.table.error(
            1,
            column,
            format!("the label column `{name}` names image files, such as `{first}`, and no classes: {advice}"),
        ))
    }

    /// The file of a label map; `None` where the cell is empty. It has to exist, whatever becomes of readings.
    pub fn label_map(&self, row: &Row, column: usize) -> Result<Option<Origin>> {
        let cell = &row.cells[column];
        let path = self.folder.join(cell);
        if cell.is_empty() || self.exists(&path) {
            return Ok(Some(cell).filter(|cell| !cell.is_empty()).map(|_| self.origin(path, None)));
        }
        let why = why_missing(self.folder, &self.table.columns[column], cell)
            .unwrap_or_else(|| "with an empty cell, and missing_label = \"drop\" in the card, its sample is left out".into());
        Err(self.table.error(row.line, column, format!("there is no file {}; {why}", path.display())))
    }

    /// A file, or a part of it.
    fn origin(&self, path: PathBuf, part: Option<Range<u64>>) -> Origin {
        match self.bundle.and_then(|bundle| bundle.get(&path)) {
            Some(bytes) => Origin::Memory { bytes: bytes.clone(), name: path, part },
            None => Origin::File { path, part },
        }
    }

    fn whole_number(&self, row: &Row, column: usize) -> Result<Option<u64>> {
        match row.cells[column].as_str() {
            "" => Ok(None),
            text => {
                // Parquet and pandas write whole numbers of columns with gaps as 12.0.
                let whole = text.strip_suffix(".0").unwrap_or(text);
                let is_time = whole.parse::<f64>().is_ok_and(|x| x >= 0.0);
                let advice = if is_time { "; of a sound, seconds times the rate of the file" } else { "" };
                let problem = || format!("`{text}` is no number of samples: 0 or a whole number above{advice}");
                whole.parse().map(Some).map_err(|_| self.table.error(row.line, column, problem()))
            }
        }
    }

    /// Numbers of a row: all of them or none, or, as `partial` says, NaN for those that are empty; with one that is not finite the sensor gave
    /// nothing that can be used.
    fn numbers(&self, row: &Row, numbers: &[Number], partial: Partial) -> Result<Option<Vec<f64>>> {
        let is_empty = |number: &Number| self.numbers.read(row.cells[number.column].as_bytes()) == Cell::Empty;
        let empty = numbers.iter().filter(|number| is_empty(number)).count();
        if empty == numbers.len() {
            return Ok(None);
        }
        if let Some(number) = numbers.iter().find(|number| is_empty(number) && partial == Partial::Error) {
            // A column of words is several numbers.
            let count = |of: &dyn Fn(&Number) -> bool| {
                let columns: BTreeSet<usize> = numbers.iter().filter(|number| of(number)).map(|number| number.column).collect();
                columns.len()
            };
            let (empty, all) = (count(&is_empty), count(&|_| true));
            let problem = format!("{empty} of {all} columns of the modality are empty here: fill all of them, or none");
            return Err(self.table.error(row.line, number.column, problem));
        }
        let gaps = partial == Partial::Indicate;
        let mut values = Vec::with_capacity(numbers.len());
        for number in numbers {
            let column = number.column;
            if let Some((known, at)) = &number.category {
                let text = &row.cells[column];
                let found = (!is_empty(number)).then(|| position(known, text));
                match found {
                    None => values.push(0.0),
                    Some(Some(found)) => values.push(f64::from(u8::from(found == *at))),
                    Some(None) => {
                        let problem = unknown(known, text, &self.table.columns[column], false);
                        return Err(self.table.error(row.line, column, problem));
                    }
                }
                continue;
            }
            match self.numbers.read(row.cells[column].as_bytes()) {
                Cell::Number(x) => values.push(if x.is_nan() && gaps { f64::INFINITY } else { x }),
                Cell::Empty => values.push(f64::NAN),
                Cell::Text => {
                    let advice = match has_decimal_comma(&row.cells[column]) {
                        true => comma_advice(&row.cells[column], false),
                        false if in_thousands(&row.cells[column], ',') => "write it without separators between thousands".into(),
                        false => "leave all cells of a modality empty where there was no reading".into(),
                    };
                    let problem = format!("`{}` is no number; {advice}", row.cells[column]);
                    return Err(self.table.error(row.line, column, problem));
                }
            }
        }
        if empty > 0 && !gaps {
            return Ok(None);
        }
        if !matches!(self.files, Files::Named { .. }) && !values.iter().all(|x| fits(*x) || gaps && x.is_nan()) {
            self.not_finite.set(self.not_finite.get() + 1);
            return Ok(None);
        }
        Ok(Some(values))
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
