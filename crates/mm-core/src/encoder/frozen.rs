//! Encoders that are not trained.

use super::{Encoder, FeatureCache};
use crate::data::Reading;
use crate::error::{Error, Result};
use crate::nn::{Mode, Parameters};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::hash::Hasher;
use std::sync::{Arc, Mutex, PoisonError};
use twox_hash::XxHash3_64;

/// Runs an encoder in prediction mode, in training too: its norms keep their statistics, it has no graph, and no parameter changes.
///
/// With a cache, the feature of a reading is computed once, by itself: it does not depend on what else is in a batch, nor on who computed
/// it first.
pub(super) struct FrozenEncoder {
    encoder: Box<dyn Encoder>,
    parameters: Parameters,
    /// Kind and settings of the encoder.
    settings: String,
    cache: Option<Arc<FeatureCache>>,
    /// A quick hash of the parameters, and what keys begin with as long as it is this one.
    seen: Mutex<Option<(u64, [u8; 32])>>,
}

impl FrozenEncoder {
    pub fn new(encoder: Box<dyn Encoder>, parameters: Parameters, settings: String, cache: Option<Arc<FeatureCache>>) -> Self {
        Self { encoder, parameters, settings, cache, seen: Mutex::new(None) }
    }

    /// A hash of what, beside a reading, the features come from: settings, weights, and this library's version.
    fn identity(&self) -> Result<[u8; 32]> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let variables = self.parameters.variables();
        let mut quick = XxHash3_64::new();
        for (_, variable) in &variables {
            visit_bytes(variable.as_tensor(), |bytes| quick.write(bytes))?;
        }
        let quick = quick.finish();
        if let Some((known, identity)) = *seen
            && known == quick
        {
            return Ok(identity);
        }
        let mut hash = Sha256::new_with_prefix(format!("{}\n{}\n", env!("CARGO_PKG_VERSION"), self.settings));
        for (name, variable) in &variables {
            hash.update(format!("{name} {:?}\n", variable.dims()));
            visit_bytes(variable.as_tensor(), |bytes| hash.update(bytes))?;
        }
        let identity = hash.finalize().into();
        *seen = Some((quick, identity));
        Ok(identity)
    }

    /// The features, as far as they are known; the others are computed one by one and kept.
    fn cached(&self, cache: &FeatureCache, reading: &Reading, mode: Mode) -> Result<Tensor> {
        let (batch, device, dtype) = (reading.values.dim(0)?, reading.values.device(), reading.values.dtype());
        let identity = self.identity()?;
        let host = reading.values.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
        let lengths = reading.lengths.as_ref().map(|lengths| lengths.to_device(&Device::Cpu)?.to_vec1::<u32>()).transpose()?;
        if let Some(lengths) = lengths.as_ref().filter(|lengths| lengths.len() != batch) {
            return Err(Error::shape("lengths", format!("[{batch}]"), [lengths.len()]));
        }
        let shape = self.encoder.feature_shape();
        let count = shape.iter().product::<usize>();
        let feature = |row: usize| -> Result<Vec<f32>> {
            let values = host.narrow(0, row, 1)?;
            let mut key = Sha256::new_with_prefix(identity);
            key.update(format!("{dtype:?} {:?} {:?}\n", values.dims(), lengths.as_ref().map(|lengths| lengths[row])));
            visit_bytes(&values, |bytes| key.update(bytes))?;
            let key = key.finalize().into();
            if let Some(feature) = cache.get(&key, count) {
                return Ok(feature);
            }
            let lengths = reading.lengths.as_ref().map(|lengths| lengths.narrow(0, row, 1)).transpose()?;
            let alone = Reading { values: reading.values.narrow(0, row, 1)?.contiguous()?, lengths };
            let feature = self.encoder.forward(&alone, mode)?.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?;
            let feature = feature.to_vec1::<f32>()?;
            cache.put(&key, &feature)?;
            Ok(feature)
        };
        let features = match device.is_cpu() {
            true => (0..batch).into_par_iter().map(feature).collect::<Result<Vec<_>>>()?,
            false => (0..batch).map(feature).collect::<Result<Vec<_>>>()?,
        };
        let mut dims = vec![batch];
        dims.extend(shape);
        Ok(Tensor::from_vec(features.concat(), dims, device)?.to_dtype(dtype)?)
    }
}

/// Hands over the numbers of a tensor as bytes.
fn visit_bytes(tensor: &Tensor, mut visit: impl FnMut(&[u8])) -> Result<()> {
    let values = tensor.detach().to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    crate::nn::with_slices([&values], |[values]| {
        visit(bytemuck::cast_slice(values));
        Ok(())
    })?;
    Ok(())
}

/// The mode of an encoder that is not trained.
fn predicting(mode: Mode) -> Mode {
    if mode.is_train() { Mode::Eval } else { mode }
}

impl Encoder for FrozenEncoder {
    fn forward(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        match &self.cache {
            Some(cache) => self.cached(cache, reading, predicting(mode)),
            None => self.forward_once(reading, mode),
        }
    }

    fn forward_once(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        Ok(self.encoder.forward(reading, predicting(mode))?.detach())
    }

    fn feature_shape(&self) -> &[usize] {
        self.encoder.feature_shape()
    }

    fn reads_ids(&self) -> bool {
        self.encoder.reads_ids()
    }
}
