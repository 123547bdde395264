//! Tables of text: CSV, plain or gzip, record by record with its line.

use super::error::{Place, PredictionError, Result};
use super::table::Sink;
use csv::StringRecord;
use flate2::read::MultiGzDecoder;
use mm_core::data::{OPEN_QUOTE, open_quote, utf8};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Reads a CSV file into `sink`.
pub fn read(path: &Arc<Path>, bytes: &[u8], sink: &mut impl Sink) -> Result<()> {
    let unpacked = decompressed(path, bytes)?;
    let text = utf8(path, unpacked.as_deref().unwrap_or(bytes))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let (mut record, mut fields) = (StringRecord::new(), None);
    loop {
        let found = reader.read_record(&mut record).map_err(|error| {
            let line = error.position().map_or(1, |p| p.line() as usize);
            mm_core::Error::Parse { path: path.to_path_buf(), line, column: 1, problem: error.to_string() }
        })?;
        if !found {
            break;
        }
        let begin = record.position().map_or(0, |p| p.byte() as usize);
        if reader.position().byte() as usize == text.len()
            && let Some((below, column)) = open_quote(&text.as_bytes()[begin..], b',')
        {
            let line = record.position().map_or(1, |p| p.line() as usize) + below;
            return Err(mm_core::Error::Parse { path: path.to_path_buf(), line, column, problem: OPEN_QUOTE.into() }.into());
        }
        let place = Place { path: path.clone(), line: line(text, &record) };
        match fields {
            None => {
                fields = Some(record.len());
                sink.header(&place, &record)?;
            }
            Some(expected) if record.len() != expected => {
                let problem = format!("{} fields, but the header has {expected}", record.len());
                return Err(mm_core::Error::Parse { path: path.to_path_buf(), line: place.line, column: record.len(), problem }.into());
            }
            Some(_) => sink.row(&place, &record)?,
        }
    }
    match fields {
        Some(_) => Ok(()),
        None => {
            Err(PredictionError::File { path: path.to_path_buf(), problem: "the file is empty; its first line names the columns".into() })
        }
    }
}

/// The line that a record begins in: its position is where the one before it ended, and blank lines may follow that.
fn line(text: &str, record: &StringRecord) -> usize {
    let Some(position) = record.position() else { return 1 };
    let rest = text.as_bytes().get(position.byte() as usize..).unwrap_or_default();
    let blank = rest.iter().take_while(|b| matches!(b, b'\n' | b'\r')).filter(|b| **b == b'\n').count();
    position.line() as usize + blank
}

/// What is gzip by content or by name, unpacked; `None` for plain text.
fn decompressed(path: &Path, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) && path.extension().is_none_or(|e| e != "gz") {
        return Ok(None);
    }
    let mut text = Vec::with_capacity(bytes.len().saturating_mul(5));
    match MultiGzDecoder::new(bytes).read_to_end(&mut text) {
        Ok(_) => Ok(Some(text)),
        Err(error) => {
            let line = text.iter().filter(|b| **b == b'\n').count() + 1;
            let problem = format!("the gzip data is cut off or damaged here ({error}); write or copy the file again");
            Err(mm_core::Error::Parse { path: path.into(), line, column: 1, problem }.into())
        }
    }
}
