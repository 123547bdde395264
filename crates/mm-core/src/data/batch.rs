//! What a model sees of a data set: some samples, modality by modality.

use crate::error::{Error, Result};
use crate::modality::Presence;
use candle_core::{DType, Device, Tensor};

/// Some samples put together.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Batch {
    /// One `[batch, ..shape]` f32 tensor a modality; `None` if no sample of the batch has it. The rows of samples that
    /// lack the modality hold zeros and are never read.
    pub inputs: Vec<Option<Tensor>>,
    /// Which modalities each sample has.
    pub presence: Presence,
    /// Class of each sample: u32 `[batch]`.
    pub labels: Tensor,
    /// Which samples these are, as numbered in the data set: the key of per-sample randomness and of caches.
    pub rows: Vec<u64>,
    /// Whether inputs differ from those of the data set: what was computed from them must not be cached by `rows`.
    pub augmented: bool,
}

impl Batch {
    /// Puts a batch together from its parts, which must have the same number of samples.
    pub fn new(inputs: Vec<Option<Tensor>>, presence: Presence, labels: Tensor, rows: Vec<u64>) -> Result<Self> {
        let batch = rows.len();
        if presence.len() != batch {
            return Err(Error::Data(format!("a batch of {batch} samples with the presence of {}", presence.len())));
        }
        if labels.dtype() != DType::U32 || labels.dims().first() != Some(&batch) {
            return Err(Error::shape("labels", format!("u32 [{batch}]"), (labels.dtype(), labels.dims())));
        }
        for (m, input) in inputs.iter().enumerate() {
            match input {
                Some(input) if input.dtype() != DType::F32 || input.dims().first() != Some(&batch) => {
                    return Err(Error::shape(format!("input {m}"), format!("f32 [{batch}, ..]"), (input.dtype(), input.dims())));
                }
                None if presence.subsets().iter().any(|s| s.contains(m)) => {
                    return Err(Error::Data(format!("a sample of the batch has modality {m}, but there is no tensor for it")));
                }
                _ => {}
            }
        }
        let last = presence.subsets().iter().map(|s| s.bits().ilog2() as usize).max();
        match last {
            Some(m) if m >= inputs.len() => Err(Error::Data(format!("a sample has modality {m}, but the batch holds {}", inputs.len()))),
            _ => Ok(Self { inputs, presence, labels, rows, augmented: false }),
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Where the tensors are.
    pub fn device(&self) -> &Device {
        self.labels.device()
    }

    /// Sample `i` as a batch of one; a position past the end is a typed error.
    pub fn sample(&self, i: usize) -> Result<Self> {
        self.select(&[i])
    }

    /// The samples at these positions, in their order; a position past the end is a typed error.
    pub fn select(&self, positions: &[usize]) -> Result<Self> {
        if let Some(position) = positions.iter().find(|&&position| position >= self.len()) {
            return Err(Error::Data(format!("sample {position} of a batch of {}", self.len())));
        }
        let index = Tensor::from_vec(positions.iter().map(|&p| p as u32).collect::<Vec<_>>(), positions.len(), self.device())?;
        let select = |input: &Option<Tensor>| input.as_ref().map(|t| t.index_select(&index, 0)).transpose();
        let inputs = self.inputs.iter().map(select).collect::<candle_core::Result<_>>()?;
        let presence = Presence::new(positions.iter().map(|&p| self.presence.subsets()[p]).collect());
        let rows = positions.iter().map(|&p| self.rows[p]).collect();
        let selected = Self::new(inputs, presence, self.labels.index_select(&index, 0)?, rows)?;
        Ok(Self { augmented: self.augmented, ..selected })
    }

    /// The same samples with other sensors alive: `presence` must be within what the batch has. Copies no data.
    pub fn with_presence(&self, presence: Presence) -> Result<Self> {
        if presence.len() != self.len() {
            return Err(Error::Modality(format!("a presence of {} samples for a batch of {}", presence.len(), self.len())));
        }
        let pairs = presence.subsets().iter().zip(self.presence.subsets());
        if let Some((sample, _)) = pairs.enumerate().find(|(_, (new, has))| !new.is_subset_of(**has)) {
            return Err(Error::Modality(format!(
                "sample {sample} of the batch does not have every modality that the new presence asks for"
            )));
        }
        Ok(Self { presence, ..self.clone() })
    }
}
