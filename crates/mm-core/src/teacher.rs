//! A frozen network that a method learns from.

use crate::data::{DataError, Inputs, Standardizer};
use crate::error::Result;
use crate::fusion::FusionNetwork;
use crate::model::{Model, Output};
use crate::nn::Mode;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

/// A frozen network: features and predictions of complete samples, without gradient.
pub trait Teacher: Send + Sync {
    /// Its prediction and the feature behind it, each sample from what it has.
    fn teach(&self, inputs: &Inputs) -> Result<Output>;

    /// The statistics that its inputs were standardized with, where it knows: those of a student must be the same.
    fn standardizer(&self) -> Option<&Standardizer> {
        None
    }
}

impl<M: Model> Teacher for M {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        Ok(self.predict(inputs)?.detach())
    }
}

/// Memory that a [`CachedTeacher`] takes at most where nothing else is said, in MiB.
pub const DEFAULT_CACHE_MIB: usize = 256;

/// A teacher that runs once per sample, as long as the inputs of a sample do not change: an augmented batch passes by the cache.
///
/// It is asked for one sample at a time. The last bits of a matrix product depend on its number of rows, so an answer taken from a
/// whole batch would depend on which batch came first, and a resumed run would differ from an uninterrupted one. So they would on
/// what is still in the cache: what finds no place in it is asked for again, one sample at a time too.
pub struct CachedTeacher {
    teacher: Box<dyn Teacher>,
    /// In bytes.
    budget: usize,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    answers: HashMap<u64, Output>,
    bytes: usize,
}

impl CachedTeacher {
    /// Wraps a teacher; the cache is keyed by the row of the data set and takes [`DEFAULT_CACHE_MIB`] at most.
    pub fn new(teacher: Box<dyn Teacher>) -> Self {
        Self::with_budget(teacher, DEFAULT_CACHE_MIB)
    }

    /// The same with another budget, in MiB. Which samples it holds changes no bit of the answers.
    pub fn with_budget(teacher: Box<dyn Teacher>, mib: usize) -> Self {
        Self { teacher, budget: mib.saturating_mul(1 << 20), cache: Mutex::default() }
    }

    /// Bytes of the answers in the cache.
    pub fn bytes(&self) -> usize {
        self.cache().bytes
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Memory of an answer: its numbers, and what keeps them.
fn size_of(answer: &Output) -> usize {
    const OVERHEAD: usize = 512;
    OVERHEAD + answer.tensors().map(|t| t.elem_count() * t.dtype().size_in_bytes()).sum::<usize>()
}

impl Teacher for CachedTeacher {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        if inputs.is_empty() {
            return Err(DataError::EmptyBatch.into());
        }
        if inputs.is_altered() {
            return self.teacher.teach(inputs);
        }
        let known: Vec<Option<Output>> = {
            let cache = self.cache();
            inputs.ids().iter().map(|id| cache.answers.get(id).cloned()).collect()
        };
        // Without the lock: the teacher's work is spread over threads that may want the cache as well. Two that ask for the same
        // sample get the same bits.
        let answer = |(i, known): (usize, Option<Output>)| known.map_or_else(|| self.teacher.teach(&inputs.select(&[i])?), Ok);
        let answers: Vec<Output> = known.into_iter().enumerate().map(answer).collect::<Result<_>>()?;
        let mut cache = self.cache();
        for (&id, answer) in inputs.ids().iter().zip(&answers) {
            let bytes = size_of(answer);
            // What came first stays: every sample comes once an epoch, and throwing out the oldest would miss them all.
            if cache.bytes + bytes <= self.budget && !cache.answers.contains_key(&id) {
                cache.answers.insert(id, answer.clone());
                cache.bytes += bytes;
            }
        }
        drop(cache);
        Output::cat(&answers)
    }

    fn standardizer(&self) -> Option<&Standardizer> {
        self.teacher.standardizer()
    }
}

impl Teacher for Box<dyn Teacher> {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        (**self).teach(inputs)
    }

    fn standardizer(&self) -> Option<&Standardizer> {
        (**self).standardizer()
    }
}

impl Teacher for FusionNetwork {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        Ok(self.forward(inputs, inputs.presence(), Mode::Eval)?.detach())
    }
}
