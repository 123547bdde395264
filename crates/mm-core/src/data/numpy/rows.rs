//! Parts of a `.npy` file, where they lie: files of many samples, or of long recordings, need not fit in memory.

use super::header::{self, Header};
use super::{NumpyError, row_major, values};
use crate::data::{Array, Values};
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

/// Places `part` along `axis` of a `.npy` file of one or two axes, row-major, and nothing else of the file; `path` is for messages.
pub fn part(file: &mut (impl Read + Seek), axis: usize, part: Range<u64>, path: &Path) -> Result<Array> {
    let (Header { number, big_endian, fortran, shape }, start) = head(file, path)?;
    let refused = Error::numpy(path);
    if !(1..=2).contains(&shape.len()) || axis >= shape.len() || part.start >= part.end || part.end > shape[axis] as u64 {
        return Err(refused(NumpyError::Row { row: part.end.saturating_sub(1), shape }));
    }
    let (count, across) = (part.end - part.start, if shape.len() == 2 { shape[1 - axis] as u64 } else { 1 });
    // Either a place is a line of numbers and the part is one stretch, or each line holds a stretch of it.
    let (lines, width) = if (axis == 0) != (fortran && shape.len() == 2) { (1, across) } else { (across, 1) };
    let size = number.size() as u64;
    let product = |factors: [u64; 3]| factors.into_iter().try_fold(1u64, u64::checked_mul);
    let (Some(stretch), Some(line)) = (product([count, width, size]), product([shape[axis] as u64, width, size])) else {
        return Err(refused(NumpyError::Size { size: number.size(), found: 0, shape }));
    };
    let mut bytes = Vec::new();
    for at in 0..lines {
        let place = at.checked_mul(line).and_then(|place| place.checked_add(start + part.start * width * size));
        let before = bytes.len() as u64;
        if let Some(place) = place {
            file.seek(SeekFrom::Start(place)).map_err(Error::io(path))?;
            file.by_ref().take(stretch).read_to_end(&mut bytes).map_err(Error::io(path))?;
        }
        let read = bytes.len() as u64 - before;
        if read != stretch {
            let found = place.map_or(0, |place| place - start + read) as usize;
            return Err(refused(NumpyError::Size { size: number.size(), found, shape }));
        }
    }
    let mut cut = shape;
    cut[axis] = count as usize;
    let values = match values(&bytes, number, big_endian) {
        Values::F32(values) if fortran => Values::F32(row_major(&values, &cut)),
        Values::F64(values) if fortran => Values::F64(row_major(&values, &cut)),
        values => values,
    };
    Ok(Array { values, shape: cut, length: None })
}

/// The header, and where the numbers begin.
fn head(file: &mut impl Read, path: &Path) -> Result<(Header, u64)> {
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(Error::io(path))?;
    let (header, rest) = header::split(&bytes).map_err(Error::numpy(path))?;
    Ok((header, (bytes.len() - rest.len()) as u64))
}
