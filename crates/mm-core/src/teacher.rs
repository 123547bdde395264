//! A frozen network that a method learns from.

use crate::data::Batch;
use crate::error::{Error, Result};
use crate::fusion::{Fused, FusionNetwork};
use crate::nn::Mode;
use candle_core::Tensor;
use std::collections::HashMap;
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

/// A teacher that runs once per sample: right as long as the inputs of a sample do not change (no augmentation).
pub struct CachedTeacher {
    teacher: Box<dyn Teacher>,
    cache: Mutex<HashMap<u64, (Tensor, Tensor)>>,
}

impl CachedTeacher {
    /// Wraps a teacher; the cache is keyed by the row of the data set.
    pub fn new(teacher: Box<dyn Teacher>) -> Self {
        Self { teacher, cache: Mutex::default() }
    }
}

impl Teacher for CachedTeacher {
    fn teach(&self, batch: &Batch) -> Result<Fused> {
        let mut cache = self.cache.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if batch.is_empty() {
            return Err(Error::Data("a batch without samples".into()));
        }
        if batch.rows.iter().any(|row| !cache.contains_key(row)) {
            let fused = self.teacher.teach(batch)?;
            for (i, &row) in batch.rows.iter().enumerate() {
                // Copies, so that a cached row does not keep its whole batch in memory.
                let one = |t: &Tensor| t.narrow(0, i, 1)?.copy();
                cache.insert(row, (one(&fused.feature)?, one(&fused.logits)?));
            }
        }
        let rows: Vec<&(Tensor, Tensor)> = batch.rows.iter().filter_map(|row| cache.get(row)).collect();
        let features: Vec<&Tensor> = rows.iter().map(|(feature, _)| feature).collect();
        let logits: Vec<&Tensor> = rows.iter().map(|(_, logits)| logits).collect();
        Ok(Fused { feature: Tensor::cat(&features, 0)?, logits: Tensor::cat(&logits, 0)? })
    }
}
