//! Vectors in files of their own: numbers separated by commas, white space or line ends.

use super::{Kind, Open, open};
use crate::data::{Array, InputSpec, utf8};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

pub(super) const NAME: &str = "vector";
pub(super) const OPEN: Open = open::<Vector>;

/// A vector of so many numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    features: usize,
}

impl Vector {
    /// Of so many numbers.
    pub fn new(features: usize) -> Self {
        Self { features }
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
        &["csv", "txt"]
    }

    fn takes_numbers(&self) -> Option<usize> {
        Some(self.features)
    }

    fn decode(&self, bytes: &[u8], path: &Path) -> Result<Array> {
        let mut values = Vec::with_capacity(self.features);
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
        match values.len() == self.features {
            true => Ok(Array::exact([self.features], values)),
            false => Err(Error::shape(path.display().to_string(), format!("{} numbers", self.features), values.len())),
        }
    }

    fn settings(&self) -> serde_json::Value {
        // A struct of a number always serialises.
        serde_json::to_value(self).unwrap_or_default()
    }
}
