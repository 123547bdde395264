//! The bytes of a file as text: gzip undone, UTF-8 checked.

use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

/// An [`Error::Parse`].
pub(super) fn parse_error(path: &Path, line: usize, column: usize, problem: impl Into<String>) -> Error {
    Error::Parse { path: path.into(), line, column, problem: problem.into() }
}

/// Decompresses what is gzip (by content, or by the name `*.gz`) and checks that the result is UTF-8.
pub(super) fn text<'a>(path: &Path, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let gzip = bytes.starts_with(&[0x1f, 0x8b]) || path.extension().is_some_and(|e| e == "gz");
    let text = match gzip {
        true => Cow::Owned(decompress(path, bytes)?),
        false => Cow::Borrowed(bytes),
    };
    utf8(path, &text)?;
    Ok(text)
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
