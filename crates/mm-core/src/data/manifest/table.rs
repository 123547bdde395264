//! A manifest as a table of texts: CSV (plain or gzip), JSON lines or Parquet.

use super::super::table_text::{TableText, Writing, cell};
use super::super::text::{parse_error, text};
use crate::error::{Error, Result};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;
use std::collections::HashMap;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// Every cell as the text that a CSV file would have; an empty one is no value.
pub(in crate::data) struct Table {
    pub path: PathBuf,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    /// Whether it is JSON lines or Parquet, and no CSV.
    pub is_typed: bool,
}

/// A line of a table.
pub(in crate::data) struct Row {
    /// Where it stands in the file: a line, or a row of a Parquet file, from 1.
    pub line: usize,
    pub cells: Vec<String>,
}

impl Table {
    /// Reads a file; what it is says its ending, and gzip its content.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let ends = |ending: &str| name.ends_with(ending) || name.ends_with(&format!("{ending}.gz"));
        let is_typed = bytes.starts_with(b"PAR1") || ends(".jsonl") || ends(".ndjson");
        let (columns, rows) = match () {
            _ if bytes.starts_with(b"PAR1") => parquet_rows(path, bytes)?,
            _ if ends(".jsonl") || ends(".ndjson") => json_lines(path, &bytes)?,
            _ => csv_rows(path, &bytes)?,
        };
        if rows.is_empty() {
            return Err(Error::File { path: path.into(), problem: "has no rows: a manifest has a row for each sample".into() });
        }
        if let Some((at, twice)) = columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(name)) {
            return Err(parse_error(path, 1, at + 1, format!("two columns are called `{twice}`: rename one")));
        }
        Ok(Self { path: path.into(), columns, rows, is_typed })
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
        if record.len() != columns.len() {
            let problem = format!("{} fields, but the header has {}", record.len(), columns.len());
            return Err(parse_error(path, line, record.len().min(columns.len() + 1), problem));
        }
        rows.push(Row { line, cells: record.iter().map(|field| cell(field).to_string()).collect() });
    }
    Ok((columns, rows))
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

/// An object a line: names are columns, in the order in which they first stand.
fn json_lines(path: &Path, bytes: &[u8]) -> Result<Read> {
    let text = text(path, bytes)?;
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    let (mut columns, mut places, mut rows) = (Vec::<String>::new(), HashMap::<String, usize>::new(), Vec::new());
    for (line, json) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        if json.trim_ascii().is_empty() {
            continue;
        }
        let Object(object) = serde_json::from_slice(json).map_err(|e| {
            parse_error(path, line, e.column().max(1), format!("each line is a JSON object, such as {{\"label\": \"cat\"}}: {e}"))
        })?;
        let mut cells = vec![String::new(); columns.len()];
        for (name, value) in object {
            let column = *places.entry(name.clone()).or_insert_with(|| {
                columns.push(name.clone());
                columns.len() - 1
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
            cells.resize(columns.len().max(cells.len()), String::new());
            cells[column] = text;
        }
        rows.push(Row { line, cells });
    }
    rows.iter_mut().for_each(|row| row.cells.resize(columns.len(), String::new()));
    Ok((columns, rows))
}

fn parquet_rows(path: &Path, bytes: Vec<u8>) -> Result<Read> {
    let unreadable = |why: String| {
        let problem = format!("this Parquet file cannot be read ({why}); write it again, compressed with snappy or not at all");
        Error::File { path: path.into(), problem }
    };
    // The crate panics on some damaged files; nothing of ours is inside.
    let read = catch_unwind(|| parquet_table(bytes)).map_err(|_| unreadable("it is damaged".into()))?;
    let (columns, rows) = read.map_err(|error| unreadable(error.to_string()))?;
    let rows = (1..).zip(rows).map(|(line, row)| match row {
        Ok(cells) => Ok(Row { line, cells }),
        Err(column) => Err(parse_error(path, line, column + 1, format!("`{}` is neither text nor a number", columns[column]))),
    });
    Ok((columns.clone(), rows.collect::<Result<_>>()?))
}

/// The names of the columns, and the rows; instead of a row the column that is neither text nor a number.
#[allow(clippy::type_complexity)]
fn parquet_table(bytes: Vec<u8>) -> std::result::Result<(Vec<String>, Vec<std::result::Result<Vec<String>, usize>>), ParquetError> {
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes))?;
    let fields = reader.metadata().file_metadata().schema().get_fields();
    let names = fields.iter().map(|column| column.name().to_string()).collect();
    let row = |row: std::result::Result<parquet::record::Row, ParquetError>| {
        let row = row?;
        let cells = row.get_column_iter().enumerate().map(|(column, (_, field))| parquet_text(field).ok_or(column));
        Ok(cells.collect())
    };
    Ok((names, reader.get_row_iter(None)?.map(row).collect::<std::result::Result<_, ParquetError>>()?))
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
