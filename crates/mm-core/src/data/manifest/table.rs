//! A manifest as a table of texts: CSV (plain or gzip), JSON lines or Parquet.

use super::super::parquet::{LeftOut, ParquetTable};
use super::super::table_text::{TableText, Writing, cell};
use super::super::text::parse_error;
use super::json_lines::json_lines;
use crate::error::{Error, Result};
use crate::weights::refuse_pipe;
use bytes::Bytes;
use std::collections::HashSet;
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
        refuse_pipe(path)?;
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
        let mut known = HashSet::new();
        match columns.iter().enumerate().find(|(_, name)| !known.insert(*name)) {
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

/// Columns and rows.
pub(super) type Read = (Vec<String>, Vec<Row>);

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
        let advice = match record.len() > columns {
            true if columns == 1 => "; the header is the first line of the file: take out lines above it",
            true => "; put a field that holds the delimiter into double quotes",
            false => "",
        };
        let fields = if record.len() == 1 { "field" } else { "fields" };
        let problem = format!("{} {fields}, but the header has {columns}{advice}", record.len());
        return Err(parse_error(path, line, record.len().min(columns + 1), problem));
    }
    Ok(Row { line, cells: record.iter().map(|field| cell(field).to_string()).collect() })
}
