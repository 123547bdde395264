//! NumPy files: the probabilities of an index, `[lines, classes]`, f32 or f64.

use super::error::{PredictionError, Result};
use std::path::Path;

/// A matrix, row-major.
#[derive(Debug, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// Reads the bytes of a file.
    pub fn read(path: &Path, bytes: &[u8]) -> Result<Self> {
        parse(bytes).map_err(|problem| PredictionError::File { path: path.into(), problem })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many numbers a row has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A row, if there is one.
    pub fn row(&self, row: usize) -> Option<&[f64]> {
        self.values.get(row.checked_mul(self.columns)?..)?.get(..self.columns)
    }
}

fn parse(bytes: &[u8]) -> std::result::Result<Matrix, String> {
    let cut = || "the file is cut off: write or copy it again".to_string();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("this is no NumPy file (.npy)")?;
    let (length, rest) = match rest.first().ok_or_else(cut)? {
        1 => (rest.get(2..4).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]]))), rest.get(4..)),
        _ => (rest.get(2..6).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize), rest.get(6..)),
    };
    let (header, data) = length.zip(rest).and_then(|(length, rest)| rest.split_at_checked(length)).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is no text")?;
    if entry(header, "fortran_order")? != "False" {
        return Err("its numbers are in Fortran order; save `np.ascontiguousarray(p)`".into());
    }
    let shape = entry(header, "shape")?;
    let wrong_shape = || format!("its shape is {shape}; probabilities have [lines of the index, classes]");
    let sizes: Option<Vec<usize>> = shape.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().ok()).collect();
    let Some([rows, columns]) = sizes.as_deref().and_then(|sizes| <[usize; 2]>::try_from(sizes).ok()) else { return Err(wrong_shape()) };
    let descr = entry(header, "descr")?;
    let size = match descr {
        "<f4" => 4,
        "<f8" => 8,
        other => return Err(format!("its numbers are `{other}`; save them as float32 or float64: `p.astype(np.float32)`")),
    };
    let expected = rows.checked_mul(columns).and_then(|n| n.checked_mul(size)).filter(|_| columns > 0).ok_or_else(wrong_shape)?;
    if data.len() != expected {
        return Err(format!(
            "its shape ({rows}, {columns}) asks for {expected} bytes, but there are {}: write or copy it again",
            data.len()
        ));
    }
    let values = match size {
        4 => data.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        _ => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
    };
    Ok(Matrix { rows, columns, values })
}

/// The value of a key in the header, a Python dictionary as text: without its quotes or brackets.
fn entry<'h>(header: &'h str, key: &str) -> std::result::Result<&'h str, String> {
    let missing = || format!("its header has no `{key}`");
    let (_, after) = header.split_once(&format!("'{key}':")).ok_or_else(missing)?;
    let after = after.trim_start();
    let end = match after.bytes().next().ok_or_else(missing)? {
        b'\'' => return after[1..].split_once('\'').map(|(value, _)| value).ok_or_else(missing),
        b'(' => return after[1..].split_once(')').map(|(value, _)| value).ok_or_else(missing),
        _ => after.find([',', '}']).ok_or_else(missing)?,
    };
    Ok(after[..end].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `np.save` writes it.
    fn npy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
        let header = format!("{header:<117}\n");
        [b"\x93NUMPY\x01\x00", (header.len() as u16).to_le_bytes().as_slice(), header.as_bytes(), data].concat()
    }

    #[test]
    fn matrices_are_read_and_others_refused() {
        let data: Vec<u8> = [0.25f32, 0.75, 1.0, 0.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let matrix = parse(&npy("<f4", "False", "(2, 2)", &data)).unwrap();
        assert_eq!((matrix.rows(), matrix.columns(), matrix.row(1), matrix.row(2)), (2, 2, Some(&[1.0, 0.0][..]), None));
        let f64s: Vec<u8> = [0.5f64, 0.5].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(parse(&npy("<f8", "False", "(1, 2)", &f64s)).unwrap().row(0), Some(&[0.5, 0.5][..]));
        for (bytes, expected) in [
            (npy("<f4", "True", "(2, 2)", &data), "Fortran order"),
            (npy("<f2", "False", "(2, 2)", &data), "float32"),
            (npy("<f4", "False", "(4,)", &data), "its shape is 4,"),
            (npy("<f4", "False", "(1, 2, 2)", &data), "its shape is 1, 2, 2"),
            (npy("<f4", "False", "(2, 3)", &data), "asks for 24 bytes, but there are 16"),
            (npy("<f4", "False", "(99999999999999, 99999999)", &data), "its shape is"),
            (npy("<f4", "False", "(2, 2)", &data)[..40].to_vec(), "cut off"),
            (b"PK\x03\x04".to_vec(), "no NumPy file"),
        ] {
            let problem = parse(&bytes).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
