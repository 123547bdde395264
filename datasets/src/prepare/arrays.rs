//! Many samples in one `.npy` file.

use super::error::{Error, Result};
use mm_core::data::numpy;
use std::path::Path;

/// The shape of a file.
pub(super) fn shape(path: &Path) -> Result<Vec<usize>> {
    let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
    Ok(numpy::shape(&mut file, path)?)
}

/// Numbers of a file with one a sample, in any shape.
pub(super) fn numbers(path: &Path) -> Result<Vec<f64>> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let array = numpy::read(&bytes, None).map_err(mm_core::Error::numpy(path))?;
    let samples = array.shape.first().copied().unwrap_or(1);
    match array.shape.iter().product::<usize>() == samples {
        true => Ok(array.values.to_f64()),
        false => Err(Error::content(path, format!("has the shape {:?}, and one number a sample is expected", array.shape))),
    }
}
