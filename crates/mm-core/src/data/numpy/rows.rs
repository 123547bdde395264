//! Parts of a `.npy` file, where they lie: files of many samples, or of long recordings, need not fit in memory.

use super::header::{self, Header};
use super::{NumpyError, values};
use crate::data::Array;
use crate::error::{Error, Result};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
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

/// Places `part` along `axis` of a `.npy` file of one or two axes, and nothing else of it, in the order of the file; `path` is for messages. An
/// array in Fortran order is refused with [`NumpyError::Scattered`].
pub fn part(file: &mut (impl Read + Seek), axis: usize, part: Range<u64>, path: &Path) -> Result<Array> {
    let (Header { number, big_endian, fortran, shape }, start) = head(file, path)?;
    let refused = Error::numpy(path);
    let (lines, places) = match shape[..] {
        [places] if axis == 0 => (1, places),
        [places, width] if axis == 0 => (1, places.saturating_mul(width)),
        [lines, places] if axis == 1 => (lines, places),
        _ => return Err(refused(NumpyError::Row { row: part.start, shape })),
    };
    if fortran && shape.len() > 1 {
        return Err(refused(NumpyError::Scattered { shape }));
    }
    if part.start >= part.end || part.end > shape[axis] as u64 {
        return Err(refused(NumpyError::Row { row: part.end, shape }));
    }
    // Numbers of a place: along the first axis it is a whole line.
    let width = if axis == 0 { shape.get(1).copied().unwrap_or(1) as u64 } else { 1 };
    let (size, count) = (number.size() as u64, part.end - part.start);
    let wrong = |found: u64| NumpyError::Size { size: number.size(), found: found as usize, shape: shape.clone() };
    let bytes_of_line = count.checked_mul(width).and_then(|numbers| numbers.checked_mul(size));
    let (Some(bytes_of_line), Some(all)) = (bytes_of_line, (lines as u64).checked_mul(places as u64).and_then(|n| n.checked_mul(size))) else {
        return Err(refused(wrong(0)));
    };
    let mut bytes = Vec::new();
    for line in 0..lines as u64 {
        let place = start + line * (all / lines as u64) + part.start * width * size;
        file.seek(SeekFrom::Start(place)).map_err(Error::io(path))?;
        file.by_ref().take(bytes_of_line).read_to_end(&mut bytes).map_err(Error::io(path))?;
        if bytes.len() as u64 != (line + 1) * bytes_of_line {
            let found = place - start + bytes.len() as u64 - line * bytes_of_line;
            return Err(refused(wrong(found)));
        }
    }
    let mut cut = shape;
    cut[axis] = count as usize;
    Ok(Array { values: values(&bytes, number, big_endian), shape: cut, length: None })
}

/// The header, and where the numbers begin.
fn head(file: &mut impl Read, path: &Path) -> Result<(Header, u64)> {
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(Error::io(path))?;
    let (header, rest) = header::split(&bytes).map_err(Error::numpy(path))?;
    Ok((header, (bytes.len() - rest.len()) as u64))
}
