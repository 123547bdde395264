//! Parameters of a model by name, as constants of a graph.

use crate::error::{Error, Result};
use candle_core::{DType, Device};
use mm_core::nn::Parameters;
use std::fmt::Display;

/// The parameters whose names begin alike.
#[derive(Clone)]
pub(crate) struct Scope<'p> {
    parameters: &'p Parameters,
    prefix: String,
}

/// Numbers of a parameter, row-major.
#[derive(Debug, Clone)]
pub(crate) struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl<'p> Scope<'p> {
    /// All parameters.
    pub fn new(parameters: &'p Parameters) -> Self {
        Self { parameters, prefix: String::new() }
    }

    /// Those below a name.
    pub fn pp(&self, name: impl Display) -> Self {
        Self { prefix: self.name(&name), ..self.clone() }
    }

    fn name(&self, name: &impl Display) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }

    /// Whether there is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.parameters.get(&self.name(&name)).is_some()
    }

    /// The parameter of this name.
    pub fn get(&self, name: &str) -> Result<Array> {
        let name = self.name(&name);
        let missing = || Error::Parameter {
            name: name.clone(),
            problem: "the model has none of this name; was it trained by another version?".into(),
        };
        let tensor = self.parameters.get(&name).ok_or_else(missing)?;
        let values = tensor.detach().to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(Array { shape: tensor.dims().to_vec(), values })
    }

    /// A vector of so many numbers.
    pub fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>> {
        let Array { shape, values } = self.get(name)?;
        match shape == [length] {
            true => Ok(values),
            false => Err(Error::Parameter { name: self.name(&name), problem: format!("has shape {shape:?}, expected [{length}]") }),
        }
    }

    /// For errors.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}
