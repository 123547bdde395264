//! One entry of the first axis of a `.npy` file, where it lies: files of many samples need not fit in memory.

use super::header::{self, Header};
use super::{NumpyError, values};
use crate::data::Array;
use crate::error::{Error, Result};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Longest header that is read; those of plain arrays have some hundred bytes.
const LONGEST: u64 = 1 << 16;

/// The shape of a `.npy` file, of which nothing but the header is read; `path` is for messages.
pub fn shape(file: &mut impl Read, path: &Path) -> Result<Vec<usize>> {
    Ok(head(file, path)?.0.shape)
}

/// Entry `row` of the first axis, in the shape of the other axes, and nothing else of the file; `path` is for messages.
pub fn row(file: &mut (impl Read + Seek), row: u64, path: &Path) -> Result<Array> {
    let (Header { number, big_endian, fortran, shape }, start) = head(file, path)?;
    let refused = Error::numpy(path);
    let Some((&rows, rest)) = shape.split_first().filter(|(rows, _)| row < **rows as u64) else {
        return Err(refused(NumpyError::Row { row, shape }));
    };
    if fortran && !rest.is_empty() {
        return Err(refused(NumpyError::Scattered { shape }));
    }
    let size = rest.iter().try_fold(number.size(), |size, &side| size.checked_mul(side));
    let place = size.and_then(|size| (size as u64).checked_mul(row)?.checked_add(start));
    let (Some(size), Some(place)) = (size, place) else {
        return Err(refused(NumpyError::Size { size: number.size(), found: 0, shape }));
    };
    file.seek(SeekFrom::Start(place)).map_err(Error::io(path))?;
    let mut bytes = Vec::new();
    file.take(size as u64).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if bytes.len() != size {
        let found = size * row.min(rows as u64) as usize + bytes.len();
        return Err(refused(NumpyError::Size { size: number.size(), found, shape }));
    }
    Ok(Array { values: values(&bytes, number, big_endian), shape: rest.to_vec(), length: None })
}

/// The header, and where the numbers begin.
fn head(file: &mut impl Read, path: &Path) -> Result<(Header, u64)> {
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(Error::io(path))?;
    let (header, rest) = header::split(&bytes).map_err(Error::numpy(path))?;
    Ok((header, (bytes.len() - rest.len()) as u64))
}
