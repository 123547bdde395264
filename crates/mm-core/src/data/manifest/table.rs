//! A manifest as a table of texts: CSV (plain or gzip), JSON lines or Parquet.

use super::super::table_text::{TableText, Writing, cell};
use super::super::text::{parse_error, text};
use crate::error::{Error, Result};
use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;
use std::collections::HashMap;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// Every cell as the text that a CSV file would have; an empty one is no value.
pub(super) struct Table {
    pub path: PathBuf,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

/// A line of a table.
pub(super) struct Row {
    /// Where it stands in the file: a line, or a row of a Parquet file, from 1.
    pub line: usize,
    pub cells: Vec<String>,
}

impl Table {
    /// Of the bytes of a file; what it is says the ending of its name, and gzip its content.
    pub fn of(path: &Path, bytes: Bytes) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let ends = |ending: &str| name.ends_with(ending) || name.ends_with(&format!("{ending}.gz"));
        let (columns, rows) = match () {
            _ if bytes.starts_with(b"PAR1") => parquet_rows(path, bytes)?,
            _ if ends(".jsonl") || ends(".ndjson") => json_lines(path, &bytes)?,
            _ => csv_rows(path, &bytes)?,
        };
        if rows.is_empty() {
            return Err(Error::File { path: path.into(), problem: "has no rows: a manifest has a row for each sample".into() });
        }
        let table = Self::without_rows(path, columns)?;
        Ok(Self { rows, ..table })
    }

    /// The columns alone; each has a name of its own.
    pub fn without_rows(path: &Path, columns: Vec<String>) -> Result<Self> {
        match columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(name)) {
            Some((at, twice)) => Err(parse_error(path, 1, at + 1, format!("two columns are called `{twice}`: rename one"))),
            None => Ok(Self { path: path.into(), columns, rows: Vec::new() }),
        }
    }

    /// An error about a cell.
    pub fn error(&self, line: usize, column: usize, problem: impl Into<String>) -> Error {
        parse_error(&self.path, line, column + 1, problem)
    }

    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

type Read = (Vec<String>, Vec<Row>);

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
        let problem = format!("{} fields, but the header has {columns}", record.len());
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

fn parquet_rows(path: &Path, bytes: Bytes) -> Result<Read> {
    let unreadable = |why: String| unreadable_parquet(path, &why);
    // The crate panics on some damaged files; nothing of ours is inside.
    let read = catch_unwind(|| parquet_table(bytes)).map_err(|_| unreadable("it is damaged".into()))?;
    let (columns, rows) = read.map_err(|error| unreadable(error.to_string()))?;
    let rows = (1..).zip(rows).map(|(line, row)| match row {
        Ok(cells) => Ok(Row { line, cells }),
        Err(column) => Err(neither(path, line, column, &columns)),
    });
    Ok((columns.clone(), rows.collect::<Result<_>>()?))
}

/// An error about a cell that is neither text nor a number.
pub(super) fn neither(path: &Path, line: usize, column: usize, columns: &[String]) -> Error {
    parse_error(path, line, column + 1, format!("`{}` is neither text nor a number", columns[column]))
}

pub(super) fn unreadable_parquet(path: &Path, why: &str) -> Error {
    let problem = format!("this Parquet file cannot be read ({why}); write it again, compressed with snappy or not at all");
    Error::File { path: path.into(), problem }
}

/// The names of the columns, and the rows; instead of a row the column that is neither text nor a number.
#[allow(clippy::type_complexity)]
fn parquet_table(bytes: Bytes) -> std::result::Result<(Vec<String>, Vec<std::result::Result<Vec<String>, usize>>), ParquetError> {
    let reader = SerializedFileReader::new(bytes)?;
    let fields = reader.metadata().file_metadata().schema().get_fields();
    let names = fields.iter().map(|column| column.name().to_string()).collect();
    let row = |row: std::result::Result<parquet::record::Row, ParquetError>| {
        let row = row?;
        Ok(parquet_cells(&row))
    };
    Ok((names, reader.get_row_iter(None)?.map(row).collect::<std::result::Result<_, ParquetError>>()?))
}

/// The cells of a row, or the column that is neither text nor a number.
pub(super) fn parquet_cells(row: &parquet::record::Row) -> std::result::Result<Vec<String>, usize> {
    row.get_column_iter().enumerate().map(|(column, (_, field))| parquet_text(field).ok_or(column)).collect()
}

fn parquet_text(field: &Field) -> Option<String> {
    Some(match field {
        Field::Null => String::new(),
        Field::Str(text) => text.trim().to_string(),
        Field::Bool(truth) => truth.to_string(),
        Field::Byte(n) => n.to_string(),
        Field::Short(n) => n.to_string(),
        Field::Int(n) => n.to_string(),
        Field::Long(n) => n.to_string(),
        Field::UByte(n) => n.to_string(),
        Field::UShort(n) => n.to_string(),
        Field::UInt(n) => n.to_string(),
        Field::ULong(n) => n.to_string(),
        Field::Float(x) => x.to_string(),
        Field::Double(x) => x.to_string(),
        _ => return None,
    })
}
