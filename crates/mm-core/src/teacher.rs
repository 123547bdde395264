//! A frozen network that a method learns from.

use crate::data::Batch;
use crate::error::{Error, Result};
use crate::fusion::{Fused, FusionNetwork};
use crate::nn::Mode;
use candle_core::Tensor;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;

/// A frozen network: features and logits of complete samples, without gradient.
pub trait Teacher: Send + Sync {
    /// The fused feature `[batch, ..]` and the logits `[batch, classes]`.
    fn teach(&self, batch: &Batch) -> Result<Fused>;
}

impl Teacher for FusionNetwork {
    fn teach(&self, batch: &Batch) -> Result<Fused> {
        let fused = self.forward(batch, &batch.presence, Mode::Eval)?;
        Ok(Fused { feature: fused.feature.detach(), logits: fused.logits.detach() })
    }
}

/// A teacher that runs once per sample, as long as the inputs of a sample do not change: an augmented batch passes by the cache.
///
/// It is asked for one sample at a time. The last bits of a matrix product depend on its number of rows, so an answer taken from a
/// whole batch would depend on which batch came first, and a resumed run would differ from an uninterrupted one.
pub struct CachedTeacher {
    teacher: Box<dyn Teacher>,
    cache: Mutex<HashMap<u64, Fused>>,
}

impl CachedTeacher {
    /// Wraps a teacher; the cache is keyed by the row of the data set.
    pub fn new(teacher: Box<dyn Teacher>) -> Self {
        Self { teacher, cache: Mutex::default() }
    }
}

impl Teacher for CachedTeacher {
    fn teach(&self, batch: &Batch) -> Result<Fused> {
        if batch.is_empty() {
            return Err(Error::Data("a batch without samples".into()));
        }
        if batch.augmented {
            return self.teacher.teach(batch);
        }
        let mut cache = self.cache.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (i, &row) in batch.rows.iter().enumerate() {
            if let Entry::Vacant(entry) = cache.entry(row) {
                entry.insert(self.teacher.teach(&batch.sample(i)?)?);
            }
        }
        let taught: Vec<&Fused> = batch.rows.iter().filter_map(|row| cache.get(row)).collect();
        let features: Vec<&Tensor> = taught.iter().map(|fused| &fused.feature).collect();
        let logits: Vec<&Tensor> = taught.iter().map(|fused| &fused.logits).collect();
        Ok(Fused { feature: Tensor::cat(&features, 0)?, logits: Tensor::cat(&logits, 0)? })
    }
}
