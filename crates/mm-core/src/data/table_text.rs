//! The text of a table: which delimiter, where the header is, record by record with its line.

use super::text::{parse_error, text};
use crate::error::Result;
use std::borrow::Cow;
use std::path::Path;

/// How a table is written, as the card says it.
#[derive(Clone, Copy, Default)]
pub(super) struct Writing<'a> {
    /// Between fields; found from the file if `None`.
    pub delimiter: Option<char>,
    /// First character of lines that are no data.
    pub comment: Option<char>,
    /// Cells that stand for no reading.
    pub missing: &'a [String],
    /// Whether numbers have a decimal comma.
    pub decimal_comma: bool,
}

/// Delimiters that are recognised.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// So many lines say which delimiter it is.
const LOOKED_AT: usize = 12;

/// A table as text.
pub(super) struct TableText<'a> {
    path: &'a Path,
    text: Cow<'a, [u8]>,
    /// Where the table begins: behind a byte-order mark and a line `sep=;`.
    start: usize,
    delimiter: u8,
    comment: Option<u8>,
}

impl<'a> TableText<'a> {
    /// Unpacks the file and finds its delimiter; `names` are columns that the header should have.
    pub fn open(path: &'a Path, bytes: &'a [u8], writing: &Writing, names: &[&str]) -> Result<Self> {
        let text = text(path, bytes)?;
        let mut start = if text.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        let stated = separator_line(&text[start..]);
        if let Some((_, length)) = stated {
            start += length;
        }
        let comment = writing.comment.map(|c| c as u8);
        let mut table = Self { path, text, start, delimiter: b',', comment };
        table.delimiter = match (writing.delimiter, stated) {
            (Some(delimiter), _) => delimiter as u8,
            (None, Some((delimiter, _))) => delimiter,
            (None, None) => table.likely_delimiter(names),
        };
        Ok(table)
    }

    /// The delimiter, as one writes it.
    pub fn delimiter(&self) -> char {
        char::from(self.delimiter)
    }

    /// How much text there is.
    pub fn len(&self) -> usize {
        self.text.len() - self.start
    }

    /// The header line, with its line number; `None` if there is nothing.
    pub fn header(&self) -> Result<Option<(Vec<String>, usize)>> {
        let mut records = self.records();
        Ok(records.next()?.map(|(record, line)| (record.iter().map(|f| cell(f).to_string()).collect(), line)))
    }

    /// All records, the header first.
    pub fn records(&self) -> Records<'_> {
        self.records_with(self.delimiter)
    }

    fn records_with(&self, delimiter: u8) -> Records<'_> {
        let text = &self.text[self.start..];
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(delimiter).comment(self.comment);
        let line = 1 + count_lines(&self.text, 0, self.start);
        let reader = builder.from_reader(text);
        Records {
            path: self.path,
            text,
            delimiter,
            comment: self.comment,
            reader,
            record: csv::ByteRecord::new(),
            line,
            at: 0,
            header_read: false,
            blank: None,
        }
    }

    /// The delimiter under which the wanted names are in the header, lines have as many fields as the header, and these are most.
    fn likely_delimiter(&self, names: &[&str]) -> u8 {
        let score = |&delimiter: &u8| {
            let mut records = self.records_with(delimiter);
            // An open quote is told once the delimiter is known.
            let header: Vec<String> = match records.read() {
                Ok(true) => records.record.iter().map(|f| cell(f).to_string()).collect(),
                _ => return (0, false, 0),
            };
            let wanted = names.iter().filter(|name| header.iter().any(|h| h == *name)).count();
            let mut even = true;
            for _ in 0..LOOKED_AT {
                match records.read() {
                    Ok(true) => even &= records.record.len() == header.len(),
                    _ => break,
                }
            }
            (wanted, even && header.len() > 1, header.len())
        };
        // Of equals the first: the comma.
        DELIMITERS.iter().rev().copied().max_by_key(score).unwrap_or(b',')
    }
}

/// Records of a table, one after another.
pub(super) struct Records<'t> {
    path: &'t Path,
    text: &'t [u8],
    delimiter: u8,
    comment: Option<u8>,
    reader: csv::Reader<&'t [u8]>,
    record: csv::ByteRecord,
    line: usize,
    /// Byte that `line` begins at.
    at: usize,
    header_read: bool,
    /// First blank line behind the header, and how many.
    blank: Option<(usize, usize)>,
}

impl<'t> Records<'t> {
    /// Of rows alone, the first of which begins at `line`.
    pub fn of_rows(path: &'t Path, text: &'t [u8], delimiter: char, line: usize) -> Self {
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(delimiter as u8);
        let (reader, record, delimiter) = (builder.from_reader(text), csv::ByteRecord::new(), delimiter as u8);
        Self { path, text, delimiter, comment: None, reader, record, line, at: 0, header_read: true, blank: None }
    }

    /// The next record and the line it begins at; an error where one of its quotes is still open at the end of the text.
    pub fn next(&mut self) -> Result<Option<(&csv::ByteRecord, usize)>> {
        if !self.read()? {
            return Ok(None);
        }
        if self.reader.position().byte() as usize == self.text.len()
            && let Some((line, field)) = open_quote(&self.text[self.at..], self.delimiter)
        {
            return Err(parse_error(self.path, self.line + line, field, OPEN_QUOTE));
        }
        Ok(Some((&self.record, self.line)))
    }

    /// Whether there is a next record, which is then in `record` and begins at `line`.
    fn read(&mut self) -> Result<bool> {
        let found = self.reader.read_byte_record(&mut self.record).map_err(|error| {
            let line = error.position().map_or(self.line, |p| self.line.max(p.line() as usize));
            parse_error(self.path, line, 1, error.to_string())
        })?;
        if !found {
            return Ok(false);
        }
        // The position is where the record before it ended: blank lines and comments may follow.
        let begin = self.record.position().map_or(self.at, |p| p.byte() as usize).min(self.text.len());
        self.line += count_lines(self.text, self.at, begin);
        self.at = begin;
        while let Some(&byte) = self.text.get(self.at) {
            let comment = Some(byte) == self.comment;
            if !comment && !matches!(byte, b'\n' | b'\r') {
                break;
            }
            // The end of the line before is left over where lines end in `\r\n`.
            let blank = !comment && self.at > 0 && ends_line(self.text, self.at - 1);
            if blank && self.header_read {
                let (first, count) = self.blank.unwrap_or((self.line, 0));
                self.blank = Some((first, count + 1));
            }
            let end = (self.at..self.text.len()).find(|&i| ends_line(self.text, i));
            self.line += usize::from(end.is_some());
            self.at = end.map_or(self.text.len(), |end| end + 1);
        }
        self.header_read = true;
        Ok(true)
    }

    /// The first blank line so far, and how many there are.
    pub fn blank_lines(&self) -> Option<(usize, usize)> {
        self.blank
    }
}

/// What is wrong with a quote that [`open_quote`] finds.
pub const OPEN_QUOTE: &str = "a quote opened here is never closed, so all that follows is one cell: close it, or take it out; within a quoted \
                              cell write a quote twice";

/// Where a quote stands that is still open at the end of a text that begins with a record: lines below the first, and the field from 1.
pub fn open_quote(text: &[u8], delimiter: u8) -> Option<(usize, usize)> {
    let mut quotes = Quotes::of(Some(delimiter));
    let (mut begin, mut field) = (0, 1);
    for (i, &byte) in text.iter().enumerate() {
        quotes.see(&text[i..=i]);
        match byte {
            _ if quotes.open => {}
            b'\n' | b'\r' => (begin, field) = (i + 1, 1),
            _ if byte == delimiter => (begin, field) = (i + 1, field + 1),
            _ => {}
        }
    }
    quotes.open.then(|| (count_lines(text, 0, begin), field))
}

/// Whether a text so far ends within a quoted field, as the reader of CSV sees it: line ends do not end a row there.
pub(super) struct Quotes {
    /// Any that is recognised, if `None`.
    delimiter: Option<u8>,
    pub open: bool,
    /// Whether a quote here would open a field, or stand for itself within one.
    opens: bool,
}

impl Quotes {
    /// At the begin of a row.
    pub fn of(delimiter: Option<u8>) -> Self {
        Self { delimiter, open: false, opens: true }
    }

    pub fn see(&mut self, text: &[u8]) {
        let delimits = |byte: &u8| self.delimiter.map_or(DELIMITERS.contains(byte), |delimiter| *byte == delimiter);
        for byte in text {
            match byte {
                b'"' if self.open || self.opens => (self.open, self.opens) = (!self.open, true),
                _ if self.open => {}
                byte => self.opens = matches!(byte, b'\n' | b'\r') || delimits(byte),
            }
        }
    }
}

/// What a field holds, without the space around it.
pub(super) fn cell(field: &[u8]) -> &str {
    std::str::from_utf8(field).unwrap_or_default().trim()
}

/// Whether a line ends with the byte at `i`: `\n`, or `\r` by itself.
fn ends_line(text: &[u8], i: usize) -> bool {
    text[i] == b'\n' || text[i] == b'\r' && text.get(i + 1) != Some(&b'\n')
}

pub(super) fn count_lines(text: &[u8], from: usize, to: usize) -> usize {
    (from..to).filter(|&i| ends_line(text, i)).count()
}

/// Excel's first line `sep=;`: the delimiter, and the length of the line.
fn separator_line(text: &[u8]) -> Option<(u8, usize)> {
    let end = text.iter().position(|b| *b == b'\n')?;
    let line = text[..end].trim_ascii_end();
    let line = line.strip_prefix(b"\"").and_then(|l| l.strip_suffix(b"\"")).unwrap_or(line);
    let (key, delimiter) = line.split_at_checked(4)?;
    match delimiter {
        [delimiter] if key.eq_ignore_ascii_case(b"sep=") => Some((*delimiter, end + 1)),
        _ => None,
    }
}
