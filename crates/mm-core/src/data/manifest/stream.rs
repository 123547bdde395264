//! The rows of a manifest one after another: memory does not grow with the table.

use super::super::parquet::ParquetTable;
use super::super::table_text::{Quotes, Records, TableText, Writing, count_lines};
use super::super::text::{parse_error, text};
use super::json_lines::JsonColumns;
use super::table::{Row, Table, csv_row, refuse_foreign};
use crate::error::{Error, Result};
use crate::weights::refuse_pipe;
use flate2::bufread::MultiGzDecoder;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of CSV that are parsed together, at least.
const BLOCK: usize = 256 << 10;
/// A row is no longer than this: it is a quote that was never closed, or no table.
const LONGEST_ROW: u64 = 16 << 20;

/// A table that is read row by row.
pub(in crate::data) struct TableStream {
    /// Its columns; it has no rows.
    pub table: Table,
    rows: Rows,
}

enum Rows {
    Csv(CsvRows),
    Json(Lines, JsonColumns),
    Parquet { rows: ParquetTable, line: usize },
}

impl TableStream {
    /// Opens a file and finds its columns; what it is says its ending, and Parquet and gzip their content. JSON lines are read once for that.
    pub fn open(path: &Path) -> Result<Self> {
        refuse_pipe(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let ends = |ending: &str| name.ends_with(ending) || name.ends_with(&format!("{ending}.gz"));
        let mut head = [0; 4];
        let begins = |head: &[u8; 4], magic: &[u8]| head.starts_with(magic);
        let found = File::open(path).and_then(|file| file.take(4).read(&mut head)).map_err(Error::io(path))?;
        let mut left_out = Vec::new();
        let (columns, rows) = match () {
            _ if begins(&head, b"PAR1") => {
                let rows = ParquetTable::open(path, File::open(path).map_err(Error::io(path))?)?;
                left_out = rows.left_out().to_vec();
                (rows.columns().to_vec(), Rows::Parquet { rows, line: 0 })
            }
            _ if found == 0 => {
                return Err(Error::File { path: path.into(), problem: "is empty; its first line names the columns".into() });
            }
            _ if ends(".jsonl") || ends(".ndjson") => {
                let mut columns = JsonColumns::default();
                let mut lines = Lines::open(path, begins(&head, &[0x1f, 0x8b]))?;
                while let Some(line) = lines.next(path)? {
                    columns.row(path, &lines.line, line)?;
                }
                (columns.names.clone(), Rows::Json(Lines::open(path, begins(&head, &[0x1f, 0x8b]))?, columns))
            }
            _ => {
                refuse_foreign(path)?;
                let (columns, rows) = CsvRows::open(path, begins(&head, &[0x1f, 0x8b]))?;
                (columns, Rows::Csv(rows))
            }
        };
        Ok(Self { table: Table { left_out, ..Table::without_rows(path, columns)? }, rows })
    }

    /// What stands between the fields of a CSV file.
    pub fn delimiter(&self) -> Option<char> {
        if let Rows::Csv(rows) = &self.rows { Some(rows.delimiter) } else { None }
    }

    /// The next row.
    pub fn next(&mut self) -> Result<Option<Row>> {
        let (path, columns) = (&self.table.path, &self.table.columns);
        match &mut self.rows {
            Rows::Csv(rows) => rows.next(path, columns.len()),
            Rows::Json(lines, names) => {
                while let Some(line) = lines.next(path)? {
                    if let Some(mut row) = names.row(path, &lines.line, line)? {
                        row.cells.resize(columns.len(), String::new());
                        return Ok(Some(row));
                    }
                }
                Ok(None)
            }
            Rows::Parquet { rows, line } => {
                *line += 1;
                Ok(rows.next().transpose()?.map(|cells| Row { line: *line, cells }))
            }
        }
    }
}

fn unpacked(path: &Path, gzip: bool) -> Result<Box<dyn BufRead + Send>> {
    let file = BufReader::new(File::open(path).map_err(Error::io(path))?);
    Ok(if gzip { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) })
}

/// The lines of a text.
struct Lines {
    input: Box<dyn BufRead + Send>,
    /// The last one, without its end.
    line: Vec<u8>,
    number: usize,
}

impl Lines {
    fn open(path: &Path, gzip: bool) -> Result<Self> {
        Ok(Self { input: unpacked(path, gzip)?, line: Vec::new(), number: 0 })
    }

    /// Reads the next line; its number.
    fn next(&mut self, path: &Path) -> Result<Option<usize>> {
        self.line.clear();
        self.number += 1;
        let read = self.input.by_ref().take(LONGEST_ROW).read_until(b'\n', &mut self.line).map_err(Error::io(path))?;
        if read as u64 == LONGEST_ROW {
            return Err(parse_error(path, self.number, 1, format!("a line of more than {LONGEST_ROW} bytes: is this a table of samples?")));
        }
        if self.number == 1 && self.line.starts_with("\u{feff}".as_bytes()) {
            self.line.drain(..3);
        }
        while matches!(self.line.last(), Some(b'\n' | b'\r')) {
            self.line.pop();
        }
        Ok((read > 0).then_some(self.number))
    }
}

/// The rows of a CSV file, parsed block by block.
struct CsvRows {
    input: Box<dyn BufRead + Send>,
    delimiter: char,
    /// Where the next block begins.
    line: usize,
    /// Rows that are parsed already.
    rows: VecDeque<Row>,
}

impl CsvRows {
    fn open(path: &Path, gzip: bool) -> Result<(Vec<String>, Self)> {
        let mut rows = Self { input: unpacked(path, gzip)?, delimiter: ',', line: 1, rows: VecDeque::new() };
        let block = rows.block(path, Vec::with_capacity(BLOCK + 4096), None)?;
        // The block is unpacked, whatever the file is called.
        let plain = path.with_extension("csv");
        let named = |error| named(error, path);
        text(&plain, &block).map_err(named)?;
        rows.delimiter = TableText::open(&plain, &block, &Writing::default(), &[]).map_err(named)?.delimiter();
        // Only the delimiter says for sure whether a row ends here.
        let block = rows.block(path, block, Some(rows.delimiter))?;
        let table =
            TableText::open(&plain, &block, &Writing { delimiter: Some(rows.delimiter), ..Writing::default() }, &[]).map_err(named)?;
        let Some((columns, _)) = table.header().map_err(named)? else {
            return Err(Error::File { path: path.into(), problem: "is empty; its first line names the columns".into() });
        };
        let mut records = table.records();
        records.next().map_err(named)?;
        while let Some((record, line)) = records.next().map_err(named)? {
            rows.rows.push_back(csv_row(path, record, line, columns.len())?);
        }
        rows.line += count_lines(&block, 0, block.len());
        Ok((columns, rows))
    }

    fn next(&mut self, path: &Path, columns: usize) -> Result<Option<Row>> {
        while self.rows.is_empty() {
            let block = self.block(path, Vec::with_capacity(BLOCK + 4096), Some(self.delimiter))?;
            if block.is_empty() {
                return Ok(None);
            }
            if let Err(error) = std::str::from_utf8(&block) {
                let line = self.line + count_lines(&block, 0, error.valid_up_to());
                let byte = block[error.valid_up_to()];
                return Err(parse_error(path, line, 1, format!("byte 0x{byte:02x} is not valid UTF-8; save the file as UTF-8")));
            }
            let mut records = Records::of_rows(path, &block, self.delimiter, self.line);
            while let Some((record, line)) = records.next()? {
                self.rows.push_back(csv_row(path, record, line, columns)?);
            }
            self.line += count_lines(&block, 0, block.len());
        }
        Ok(self.rows.pop_front())
    }

    /// The next bytes behind those of `block`, as many whole rows as make up one.
    fn block(&mut self, path: &Path, mut block: Vec<u8>, delimiter: Option<char>) -> Result<Vec<u8>> {
        let (mut quotes, mut row) = (Quotes::of(delimiter.map(|delimiter| delimiter as u8)), 0);
        quotes.see(&block);
        if !quotes.open && block.len() >= BLOCK {
            return Ok(block);
        }
        loop {
            let before = block.len();
            let read = self.input.by_ref().take(LONGEST_ROW).read_until(b'\n', &mut block).map_err(Error::io(path))?;
            quotes.see(&block[before..]);
            row += read as u64;
            if row >= LONGEST_ROW {
                let line = self.line + count_lines(&block, 0, block.len() - row as usize);
                return Err(parse_error(path, line, 1, format!("a row of more than {LONGEST_ROW} bytes: is a closing quote missing?")));
            }
            if !quotes.open {
                row = 0;
            }
            if read == 0 || !quotes.open && block.len() >= BLOCK {
                return Ok(block);
            }
        }
    }
}

/// An error of a path, said of another.
fn named(error: Error, path: &Path) -> Error {
    match error {
        Error::Parse { line, column, problem, .. } => Error::Parse { path: path.into(), line, column, problem },
        other => other,
    }
}
