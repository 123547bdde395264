//! NumPy files: the probabilities or numbers of an index, `[lines, classes]`.

use super::error::{PredictionError, Result};
use mm_core::data::{Array, numpy};
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
    let Array { shape, values, .. } = numpy::read(bytes, None).map_err(|error| error.to_string())?;
    match shape[..] {
        [rows, columns] if columns > 0 => Ok(Matrix { rows, columns, values: values.to_f64() }),
        _ => Err(format!("its shape is {shape:?}, not [lines of the index, classes (or labels, or numbers)]")),
    }
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
        assert_eq!(parse(&npy("<f4", "True", "(2, 2)", &data)).unwrap().row(0), Some(&[0.25, 1.0][..]));
        for (bytes, expected) in [
            (npy("|O", "False", "(2, 2)", &data), "Python objects"),
            (npy("<f4", "False", "(4,)", &data), "its shape is [4]"),
            (npy("<f4", "False", "(1, 2, 2)", &data), "its shape is [1, 2, 2]"),
            (npy("<f4", "False", "(2, 3)", &data), "there are 16 bytes of numbers"),
            (npy("<f4", "False", "(99999999999999, 99999999)", &data), "its shape is"),
            (npy("<f4", "False", "(2, 2)", &data)[..40].to_vec(), "cut off"),
            (b"GIF89a".to_vec(), "no file of NumPy"),
        ] {
            let problem = parse(&bytes).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
