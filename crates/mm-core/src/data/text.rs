//! The bytes of a file as text: gzip undone, UTF-8 checked, other kinds of files named.

use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

/// An [`Error::Parse`].
pub(super) fn parse_error(path: &Path, line: usize, column: usize, problem: impl Into<String>) -> Error {
    Error::Parse { path: path.into(), line, column, problem: problem.into() }
}

/// Decompresses what is gzip (by content, or by the name `*.gz`) and checks that the result is text in UTF-8.
pub(super) fn text<'a>(path: &Path, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let gzip = bytes.starts_with(&[0x1f, 0x8b]) || path.extension().is_some_and(|e| e == "gz");
    let text = match gzip {
        true => Cow::Owned(decompress(path, bytes)?),
        false => Cow::Borrowed(bytes),
    };
    if let Some(found) = no_text(&text) {
        return Err(parse_error(path, 1, 1, found));
    }
    utf8(path, &text)?;
    Ok(text)
}

/// The text of a file.
pub(super) fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    Ok(String::from_utf8_lossy(&text(path, &bytes)?).into_owned())
}

/// Files that are taken for tables by mistake, by how they begin; what they are and what to do.
const NO_TEXT: [(&[u8], &str); 13] = [
    (b"PK\x03\x04", "this is a ZIP archive (an .xlsx is one too); unpack it, or save the sheet as CSV in UTF-8"),
    (b"\xff\xfe", "this is text in UTF-16; save it as UTF-8 (in Excel: \"CSV UTF-8\")"),
    (b"\xfe\xff", "this is text in UTF-16; save it as UTF-8 (in Excel: \"CSV UTF-8\")"),
    (b"\xd0\xcf\x11\xe0", "this is an old Excel file (.xls); save the sheet as CSV in UTF-8"),
    (b"PAR1", "this is a Parquet file; write it as CSV"),
    (b"\x93NUMPY", "this is a NumPy file; write it as CSV"),
    (b"\x89HDF", "this is an HDF5 file; write its tables as CSV"),
    (b"\x28\xb5\x2f\xfd", "this is compressed with zstd; unpack it or use gzip"),
    (b"BZh", "this is compressed with bzip2; unpack it or use gzip"),
    (b"\xfd7zXZ", "this is compressed with xz; unpack it or use gzip"),
    (b"version https://git-lfs", "this is a pointer of Git LFS, not the file; fetch it with `git lfs pull`"),
    (b"<!DOCTYPE", "this is a web page, not a table; perhaps a download that asked for a login"),
    (b"<html", "this is a web page, not a table; perhaps a download that asked for a login"),
];

fn no_text(bytes: &[u8]) -> Option<&'static str> {
    let begins = |start: &[u8]| bytes.get(..start.len()).is_some_and(|b| b.eq_ignore_ascii_case(start));
    if let Some((_, what)) = NO_TEXT.iter().find(|(start, _)| begins(start)) {
        return Some(what);
    }
    // Text has no zeros; UTF-16 has one in nearly every letter.
    bytes[..bytes.len().min(64)]
        .contains(&0)
        .then_some("this is no text in UTF-8 (UTF-16 without a mark, or a binary file); save it as CSV in UTF-8")
}

/// The bytes of a file as text; where they are not UTF-8, the error says where.
pub fn utf8<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = place(&bytes[..error.valid_up_to()]);
        let byte = bytes[error.valid_up_to()];
        parse_error(path, line, column, format!("byte 0x{byte:02x} is not valid UTF-8; save the file as UTF-8"))
    })
}

fn decompress(path: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::with_capacity(bytes.len().saturating_mul(5));
    match MultiGzDecoder::new(bytes).read_to_end(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => {
            let (line, column) = place(&text);
            let problem = format!("the gzip data is cut off or damaged here ({error}); get the file again");
            Err(parse_error(path, line, column, problem))
        }
    }
}

/// Line and column (field) of what follows `before`, both counted from 1.
fn place(before: &[u8]) -> (usize, usize) {
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').filter(|b| **b == b',').count() + 1;
    (line, column)
}
