//! A manifest as a table of texts: CSV (plain or gzip), JSON lines or Parquet.

use super::super::parquet::{LeftOut, ParquetTable};
use super::super::table_text::{TableText, Writing, cell};
use super::super::text::{parse_error, text};
use crate::error::{Error, Result};
use bytes::Bytes;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Every cell as the text that a CSV file would have; an empty one is no value.
pub(in crate::data) struct Table {
    pub path: PathBuf,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    /// Whether it is JSON lines or Parquet, and no CSV.
    pub is_typed: bool,
    /// Columns of a Parquet file that are no cells.
    pub left_out: Vec<LeftOut>,
}

/// A line of a table.
pub(in crate::data) struct Row {
    /// Where it stands in the file: a line, or a row of a Parquet file, from 1.
    pub line: usize,
    pub cells: Vec<String>,
}

impl Table {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        if path.is_dir() {
            let problem = "is a folder and no table: in a card, folders = \"..\" names a folder of sensors".into();
            return Err(Error::File { path: path.into(), problem });
        }
        Self::of(path, std::fs::read(path).map_err(Error::io(path))?.into())
    }

    /// Of the bytes of a file; what it is says the ending of its name, and gzip its content.
    pub fn of(path: &Path, bytes: Bytes) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let ends = |ending: &str| name.ends_with(ending) || name.ends_with(&format!("{ending}.gz"));
        let is_typed = bytes.starts_with(b"PAR1") || ends(".jsonl") || ends(".ndjson");
        let mut left_out = Vec::new();
        let (columns, rows) = match () {
            _ if bytes.starts_with(b"PAR1") => {
                let table = ParquetTable::open(path, bytes)?;
                left_out = table.left_out().to_vec();
                let rows =
                    |table: ParquetTable| (1..).zip(table).map(|(line, cells)| Ok(Row { line, cells: cells? })).collect::<Result<_>>();
                (table.columns().to_vec(), rows(table)?)
            }
            _ if ends(".jsonl") || ends(".ndjson") => json_lines(path, &bytes)?,
            _ => {
                refuse_foreign(path)?;
                csv_rows(path, &bytes)?
            }
        };
        if rows.is_empty() {
            return Err(Error::File { path: path.into(), problem: "has no rows: a manifest has a row for each sample".into() });
        }
        let table = Self::without_rows(path, columns)?;
        Ok(Self { rows, is_typed, left_out, ..table })
    }

    /// The columns alone; each has a name of its own.
    pub fn without_rows(path: &Path, columns: Vec<String>) -> Result<Self> {
        match columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(name)) {
            Some((at, twice)) => Err(parse_error(path, 1, at + 1, format!("two columns are called `{twice}`: rename one"))),
            None => Ok(Self { path: path.into(), columns, rows: Vec::new(), is_typed: false, left_out: Vec::new() }),
        }
    }

    /// An error about a cell.
    pub fn error(&self, line: usize, column: usize, problem: impl Into<String>) -> Error {
        parse_error(&self.path, line, column + 1, problem)
    }

    /// What to know about the columns that are left out.
    pub fn remarks(&self) -> Vec<String> {
        self.left_out.iter().map(|left| format!("{}: column `{}` is left out: it {}", self.path.display(), left.column, left.why)).collect()
    }

    /// Why a column of a name is not read, where there is one.
    pub fn why_left_out(&self, name: &str) -> Option<&str> {
        self.left_out.iter().find(|left| left.column == name).map(|left| left.why.as_str())
    }

    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

type Read = (Vec<String>, Vec<Row>);

/// Texts that are no tables, by the ending of their name.
pub(super) fn refuse_foreign(path: &Path) -> Result<()> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let problem = match ending.as_str() {
        "json" => "is JSON; a table of samples has an object a line, without brackets around all of them, and a name that ends in .jsonl",
        "toml" => "is a card or a plan and no table of samples: name the table (CSV, JSON lines or Parquet)",
        _ => return Ok(()),
    };
    Err(Error::File { path: path.into(), problem: problem.into() })
}

fn csv_rows(path: &Path, bytes: &[u8]) -> Result<Read> {
    let table = TableText::open(path, bytes, &Writing::default(), &[])?;
    let Some((columns, _)) = table.header()? else {
        return Err(Error::File { path: path.into(), problem: "is empty; its first line names the columns".into() });
    };
    let mut records = table.records();
    records.next()?;
    let mut rows = Vec::new();
    while let Some((record, line)) = records.next()? {
        rows.push(csv_row(path, record, line, columns.len())?);
    }
    Ok((columns, rows))
}

/// A line of a CSV table with so many columns.
pub(super) fn csv_row(path: &Path, record: &csv::ByteRecord, line: usize, columns: usize) -> Result<Row> {
    if record.len() != columns {
        let advice = if record.len() > columns { "; put a field that holds the delimiter into double quotes" } else { "" };
        let fields = if record.len() == 1 { "field" } else { "fields" };
        let problem = format!("{} {fields}, but the header has {columns}{advice}", record.len());
        return Err(parse_error(path, line, record.len().min(columns + 1), problem));
    }
    Ok(Row { line, cells: record.iter().map(|field| cell(field).to_string()).collect() })
}

/// A JSON object with its names in the order of the text: the order of columns is that of a vector's numbers.
struct Object(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Pairs;
        impl<'de> serde::de::Visitor<'de> for Pairs {
            type Value = Object;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<Object, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Object(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// The columns of JSON lines, in the order in which their names first stand.
#[derive(Default)]
pub(super) struct JsonColumns {
    pub names: Vec<String>,
    places: HashMap<String, usize>,
}

impl JsonColumns {
    /// A line, an object; a name that is new becomes a column. A line of white space is none.
    pub fn row(&mut self, path: &Path, json: &[u8], line: usize) -> Result<Option<Row>> {
        if json.trim_ascii().is_empty() {
            return Ok(None);
        }
        let Object(object) = serde_json::from_slice(json).map_err(|e| {
            parse_error(path, line, e.column().max(1), format!("each line is a JSON object, such as {{\"label\": \"cat\"}}: {e}"))
        })?;
        let mut cells = vec![String::new(); self.names.len()];
        for (name, value) in object {
            let column = *self.places.entry(name.clone()).or_insert_with(|| {
                self.names.push(name.clone());
                self.names.len() - 1
            });
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) => text.trim().to_string(),
                Value::Number(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                Value::Array(_) | Value::Object(_) => {
                    let problem = format!("`{name}` is neither text nor a number: give a file, or a column a number (`{name}.first`)");
                    return Err(parse_error(path, line, column + 1, problem));
                }
            };
            cells.resize(self.names.len().max(cells.len()), String::new());
            cells[column] = text;
        }
        Ok(Some(Row { line, cells }))
    }
}

/// An object a line: names are columns.
fn json_lines(path: &Path, bytes: &[u8]) -> Result<Read> {
    let text = text(path, bytes)?;
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    let (mut columns, mut rows) = (JsonColumns::default(), Vec::new());
    for (line, json) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        rows.extend(columns.row(path, json, line)?);
    }
    rows.iter_mut().for_each(|row| row.cells.resize(columns.names.len(), String::new()));
    Ok((columns.names, rows))
}
