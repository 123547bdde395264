//! The simplest fusion of features: their sum.

use super::Trunk;
use crate::error::{Error, Result};
use crate::nn::Mode;
use candle_core::Tensor;

/// The sum of features of one shape, without parameters; of one modality, its feature.
pub struct SumTrunk {
    feature_shape: Vec<usize>,
}

impl SumTrunk {
    /// For features of the given shapes, which must be one; `names` of the modalities are for the error.
    pub fn new(names: &[String], feature_shapes: &[&[usize]]) -> Result<Self> {
        let Some(&first) = feature_shapes.first() else {
            return Err(Error::config("modalities", "a trunk needs at least one modality"));
        };
        if let Some((name, other)) = names.iter().zip(feature_shapes).find(|(_, shape)| **shape != first) {
            let problem = format!("a sum needs features of one shape, but that of `{name}` is {other:?}, that of `{}` {first:?}", names[0]);
            return Err(Error::config("trunk.kind", problem));
        }
        Ok(Self { feature_shape: first.to_vec() })
    }
}

impl Trunk for SumTrunk {
    fn part(&self, _index: usize, feature: &Tensor) -> Result<Tensor> {
        Ok(feature.clone())
    }

    fn finish(&self, sum: &Tensor, _mode: Mode) -> Result<Tensor> {
        Ok(sum.clone())
    }

    fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }
}
