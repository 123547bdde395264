//! What a file of weights holds, tensor by tensor.

use super::source::{TensorInfo, WeightsFile};
use crate::error::Result;
use std::collections::BTreeMap;

/// A tensor, and what its numbers come to.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSummary {
    /// Name, type and shape.
    pub tensor: TensorInfo,
    /// The sum of its numbers in 64 bits; `None` for a type that this library does not compute with.
    pub sum: Option<f64>,
}

/// Reads every tensor of a file, one after the other, and sums it up; sorted by name.
pub fn inspect(file: WeightsFile) -> Result<Vec<TensorSummary>> {
    let tensors = file.tensors();
    let mut sums = BTreeMap::new();
    file.visit(&|_| true, &mut |names, dtype, _, content| {
        let sum = content.sum(dtype);
        sums.extend(names.iter().map(|name| (name.to_string(), sum)));
        Ok(())
    })?;
    Ok(tensors.into_iter().map(|tensor| TensorSummary { sum: sums.get(&tensor.name).copied().flatten(), tensor }).collect())
}
