//! Vectors in files of their own: numbers separated by commas, white space or line ends, or arrays of NumPy.

use super::{Kind, Open, open};
use crate::data::{Array, InputSpec, numpy, utf8};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

pub(super) const NAME: &str = "vector";
pub(super) const OPEN: Open = open::<Vector>;

/// A vector of so many numbers. Of an array of NumPy the shape does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    features: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
}

impl Vector {
    /// Of so many numbers.
    pub fn new(features: usize) -> Self {
        Self { features, entry: None }
    }

    /// The entry of `.npz` archives, where they have several.
    pub fn entry(self, entry: impl Into<String>) -> Self {
        Self { entry: Some(entry.into()), ..self }
    }
}

impl Kind for Vector {
    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> InputSpec {
        InputSpec::vector(self.features)
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["csv", "txt", "npy", "npz"]
    }

    fn takes_numbers(&self) -> Option<usize> {
        Some(self.features)
    }

    fn decode(&self, bytes: &[u8], path: &Path) -> Result<Array> {
        let values = match numpy::is_numpy(bytes) {
            true => numpy::read(bytes, self.entry.as_deref()).map_err(Error::numpy(path))?.values.to_f64(),
            false => written(bytes, path)?,
        };
        match values.len() == self.features {
            true => Ok(Array::exact([self.features], values)),
            false => Err(Error::shape(path.display().to_string(), format!("{} numbers", self.features), values.len())),
        }
    }

    fn settings(&self) -> serde_json::Value {
        // A struct of a number and a name always serialises.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The numbers of a text.
fn written(bytes: &[u8], path: &Path) -> Result<Vec<f64>> {
    let mut values = Vec::new();
        for (line, text) in utf8(path, bytes)?.lines().enumerate() {
            for (column, cell) in text.split([',', ';', ' ', '\t']).map(str::trim).filter(|cell| !cell.is_empty()).enumerate() {
                values.push(cell.parse::<f64>().map_err(|_| Error::Parse {
                    path: path.into(),
                    line: line + 1,
                    column: column + 1,
                    problem: format!("`{cell}` is no number"),
                })?);
            }
        }
    Ok(values)
}
