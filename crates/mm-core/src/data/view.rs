//! One CSV file read as one modality.

use super::InputSpec;
use super::column::Column;
use super::text::{parse_error, text};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Which columns of which file are a modality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ViewSpec {
    /// Name of the modality.
    pub modality: String,
    /// CSV or CSV.gz file, from the card's folder.
    pub file: String,
    /// SHA-256 of the file, in hexadecimal; checked if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The feature columns; otherwise all numeric columns that have no other use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<Column>>,
    /// The features of a sample are an image `[channels, height, width]`, row-major in the order of the columns; otherwise
    /// they are a vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<[usize; 3]>,
    /// Label column, if it is another one than the card says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Column>,
    /// Id column, if it is another one than the card says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Column>,
    /// Group column, if it is another one than the card says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Column>,
    /// Column of the fixed split, if it is another one than the card says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Column>,
}

impl ViewSpec {
    /// All numeric columns of a file.
    pub fn new(modality: impl Into<String>, file: impl Into<String>) -> Self {
        let (modality, file) = (modality.into(), file.into());
        Self { modality, file, sha256: None, columns: None, shape: None, label: None, id: None, group: None, part: None }
    }
}

/// What to do with a value that is not finite (`nan`, `inf`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NonFinite {
    /// The modality counts as missing for that sample; the read report says how often.
    #[default]
    Absent,
    /// An error that names the cell.
    Error,
}

/// The columns that are not features, in the order of [`KEY_NAMES`].
pub(super) type Keys<T> = [Option<T>; 4];
pub(super) const KEY_NAMES: [&str; 4] = ["label", "id", "group", "part"];
pub(super) const LABEL: usize = 0;
pub(super) const ID: usize = 1;
pub(super) const GROUP: usize = 2;
pub(super) const PART: usize = 3;

/// A key column of one file.
pub(super) struct KeyColumn {
    /// Index in the header.
    pub column: usize,
    /// One text a row, never empty.
    pub values: Vec<String>,
}

/// One file as read.
pub(super) struct View {
    pub path: PathBuf,
    pub modality: String,
    pub header: Vec<String>,
    pub features: Vec<String>,
    /// Form of a sample's features.
    pub input: InputSpec,
    /// `[rows, features]`; zeros where absent.
    pub values: Vec<f32>,
    pub present: Vec<bool>,
    /// Line of each row.
    pub lines: Vec<usize>,
    pub keys: Keys<KeyColumn>,
    /// Rows that count as absent because of a value that is not finite.
    pub non_finite: usize,
    /// Text columns that no one asked for.
    pub ignored: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Skip,
    Feature,
    Key(usize),
}

/// Reads a file; `defaults` are the key columns that any file may have.
pub(super) fn read_view(spec: &ViewSpec, defaults: Keys<&Column>, path: &Path, bytes: &[u8], policy: NonFinite) -> Result<View> {
    let text = text(path, bytes)?;
    let header = read_header(path, &text)?;
    let mut roles = roles(spec, defaults, path, &header)?;
    let mut ignored = Vec::new();
    let rows = match read_rows(path, &text, spec, &roles, policy) {
        // Perhaps the cell is in a column of text, which is no feature unless it was asked for.
        Err(error) if spec.columns.is_none() => {
            let numeric = numeric_columns(&text, header.len());
            for (column, role) in roles.iter_mut().enumerate() {
                if *role == Role::Feature && !numeric[column] {
                    *role = Role::Skip;
                    ignored.push(header[column].clone());
                }
            }
            if ignored.is_empty() {
                return Err(error);
            }
            if !roles.contains(&Role::Feature) {
                return Err(parse_error(path, 1, 1, format!("no column of modality `{}` holds numbers", spec.modality)));
            }
            tracing::warn!(file = %path.display(), columns = ?ignored, "columns without numbers are not used");
            read_rows(path, &text, spec, &roles, policy)?
        }
        rows => rows?,
    };
    if rows.lines.is_empty() {
        return Err(parse_error(path, 2, 1, "there are no samples after the header line"));
    }
    let features: Vec<String> = header.iter().zip(&roles).filter(|(_, r)| **r == Role::Feature).map(|(h, _)| h.clone()).collect();
    let input = spec.shape.map_or_else(|| InputSpec::vector(features.len()), InputSpec::image);
    if input.elements() != features.len() {
        let problem = format!(
            "modality `{}` has {} feature columns, but `shape = {:?}` needs {}; correct the shape, or list the `columns`",
            spec.modality,
            features.len(),
            input.shape,
            input.elements()
        );
        return Err(parse_error(path, 1, 1, problem));
    }
    let mut keys: Keys<KeyColumn> = [const { None }; 4];
    for (key, values) in rows.keys.into_iter().enumerate() {
        let column = roles.iter().position(|r| *r == Role::Key(key));
        keys[key] = column.map(|column| KeyColumn { column, values });
    }
    Ok(View {
        path: path.into(),
        modality: spec.modality.clone(),
        header,
        features,
        input,
        values: rows.values,
        present: rows.present,
        lines: rows.lines,
        keys,
        non_finite: rows.non_finite,
        ignored,
    })
}

fn reader(text: &[u8]) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text)
}

/// The next record; false at the end.
fn next(reader: &mut csv::Reader<&[u8]>, record: &mut csv::ByteRecord, path: &Path) -> Result<bool> {
    reader.read_byte_record(record).map_err(|error| {
        let line = error.position().map_or(1, |p| p.line() as usize);
        parse_error(path, line, 1, error.to_string())
    })
}

fn cell(field: &[u8]) -> &str {
    std::str::from_utf8(field).unwrap_or_default().trim()
}

fn read_header(path: &Path, text: &[u8]) -> Result<Vec<String>> {
    let mut record = csv::ByteRecord::new();
    if !next(&mut reader(text), &mut record, path)? {
        return Err(parse_error(path, 1, 1, "the file is empty; a header line with column names is needed"));
    }
    let header: Vec<String> = record.iter().map(|f| cell(f).to_string()).collect();
    for (column, name) in header.iter().enumerate() {
        if name.is_empty() {
            return Err(parse_error(path, 1, column + 1, "this column has no name; give it one in the header line"));
        }
        if name.parse::<f64>().is_ok() && name.parse::<u64>().is_err() {
            return Err(parse_error(
                path,
                1,
                column + 1,
                format!("`{name}` looks like data; the first line must be a header with column names"),
            ));
        }
    }
    Ok(header)
}

/// What each column is for.
fn roles(spec: &ViewSpec, defaults: Keys<&Column>, path: &Path, header: &[String]) -> Result<Vec<Role>> {
    let find = |column: &Column| column.find(header).map_err(|problem| parse_error(path, 1, 1, problem));
    let mut roles = vec![if spec.columns.is_some() { Role::Skip } else { Role::Feature }; header.len()];
    for column in spec.columns.iter().flatten() {
        roles[find(column)?] = Role::Feature;
    }
    let mut by_position = vec![false; header.len()];
    let own = [&spec.label, &spec.id, &spec.group, &spec.part];
    for (key, (own, default)) in own.into_iter().zip(defaults).enumerate() {
        let Some(column) = own.as_ref().or(default.filter(|c| c.is_in(header))) else { continue };
        let index = find(column)?;
        match roles[index] {
            Role::Key(other) => {
                let problem = format!("column `{}` is both {} and {}", header[index], KEY_NAMES[other], KEY_NAMES[key]);
                return Err(parse_error(path, 1, index + 1, problem));
            }
            Role::Feature if spec.columns.is_some() => {
                let problem = format!("column `{}` is both a feature and the {}; take it out of `columns`", header[index], KEY_NAMES[key]);
                return Err(parse_error(path, 1, index + 1, problem));
            }
            _ => roles[index] = Role::Key(key),
        }
        by_position[index] = matches!(column, Column::Position(_));
    }
    let mut seen = HashMap::new();
    for (column, name) in header.iter().enumerate().filter(|(column, _)| !by_position[*column]) {
        if let Some(first) = seen.insert(name, column + 1) {
            let problem =
                format!("columns {first} and {} are both called `{name}`; rename one, or is the header line missing?", column + 1);
            return Err(parse_error(path, 1, column + 1, problem));
        }
    }
    let mut names = header.iter().zip(&roles).filter(|(_, r)| **r == Role::Feature).map(|(name, _)| name).peekable();
    if names.peek().is_none() {
        return Err(parse_error(path, 1, 1, format!("no column is left for modality `{}`", spec.modality)));
    }
    // Numbered columns are a header (0, 1, 2, ...); numbers in any order are data.
    if let Ok(numbers) = names.map(|name| name.parse::<u64>()).collect::<std::result::Result<Vec<_>, _>>()
        && !numbers.is_sorted()
        && !numbers.iter().rev().is_sorted()
    {
        return Err(parse_error(path, 1, 1, "the first line looks like data; it must be a header with column names"));
    }
    Ok(roles)
}

/// Which columns hold at least one number.
fn numeric_columns(text: &[u8], width: usize) -> Vec<bool> {
    let mut numeric = vec![false; width];
    for record in reader(text).byte_records().skip(1).flatten() {
        for (found, field) in numeric.iter_mut().zip(&record) {
            *found = *found || number(field).is_some();
        }
    }
    numeric
}

fn number(field: &[u8]) -> Option<f32> {
    let text = std::str::from_utf8(field).ok()?;
    text.parse().or_else(|_| text.trim().parse()).ok()
}

#[derive(Default)]
struct Rows {
    values: Vec<f32>,
    present: Vec<bool>,
    lines: Vec<usize>,
    keys: [Vec<String>; 4],
    non_finite: usize,
}

fn read_rows(path: &Path, text: &[u8], spec: &ViewSpec, roles: &[Role], policy: NonFinite) -> Result<Rows> {
    let (mut reader, mut record) = (reader(text), csv::ByteRecord::new());
    let features = roles.iter().filter(|r| **r == Role::Feature).count();
    let mut rows = Rows { values: Vec::with_capacity(text.len() / 4), ..Rows::default() };
    next(&mut reader, &mut record, path)?; // the header
    while next(&mut reader, &mut record, path)? {
        let line = record.position().map_or(0, |p| p.line() as usize);
        let error = |column: usize, problem: String| Err(parse_error(path, line, column + 1, problem));
        if record.len() != roles.len() {
            let column = record.len().min(roles.len());
            return error(column, format!("the line has {} fields, the header has {}", record.len(), roles.len()));
        }
        let start = rows.values.len();
        let (mut empty, mut first_empty, mut finite) = (0, 0, true);
        for (column, (field, role)) in record.iter().zip(roles).enumerate() {
            match role {
                Role::Skip => {}
                Role::Key(key) => {
                    rows.keys[*key].push(key_cell(field, *key).map_err(|problem| parse_error(path, line, column + 1, problem))?)
                }
                Role::Feature => match number(field) {
                    Some(value) => {
                        if !value.is_finite() {
                            finite = false;
                            if policy == NonFinite::Error {
                                return error(
                                    column,
                                    format!("`{}` is not finite; empty the modality's cells, or set non_finite = \"absent\"", cell(field)),
                                );
                            }
                        }
                        rows.values.push(value);
                    }
                    None if cell(field).is_empty() => {
                        first_empty = if empty == 0 { column } else { first_empty };
                        empty += 1;
                        rows.values.push(0.0);
                    }
                    None => {
                        let shown: String = cell(field).chars().take(40).collect();
                        return error(
                            column,
                            format!(
                                "`{shown}` is not a number; if the sensor was missing, leave all cells of modality `{}` empty in this line",
                                spec.modality
                            ),
                        );
                    }
                },
            }
        }
        if empty > 0 && empty < features {
            return error(
                first_empty,
                format!(
                    "this cell is empty, but modality `{}` has other values in this line; fill it in, or empty all {features} cells if the sensor was missing",
                    spec.modality
                ),
            );
        }
        rows.present.push(empty == 0 && finite);
        rows.lines.push(line);
        if empty > 0 || !finite {
            rows.values[start..].fill(0.0);
            rows.non_finite += usize::from(!finite);
        }
    }
    Ok(rows)
}

fn key_cell(field: &[u8], key: usize) -> std::result::Result<String, String> {
    match cell(field) {
        "" => Err(format!("the {} is empty; every sample needs one", KEY_NAMES[key])),
        // A quote that is never closed swallows the lines below it.
        text if text.contains(['\n', '\r']) => Err(format!("the {} spans lines; is a closing quote missing?", KEY_NAMES[key])),
        text => Ok(text.into()),
    }
}
