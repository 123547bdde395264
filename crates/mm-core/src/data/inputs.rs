//! What a model sees of some samples: readings by modality, and who has what. No labels.

use super::DataError;
use crate::error::{Error, ModalityError, Result};
use crate::modality::{Modalities, Presence};
use candle_core::{DType, Device, Tensor};

/// The readings of one modality of some samples.
#[derive(Debug, Clone)]
pub struct Reading {
    /// `[batch, ..shape]` f32. Rows of samples that lack the modality hold zeros and are never read.
    pub values: Tensor,
    /// How much of its last dimension each sample fills, where sequences differ: u32 `[batch]`.
    pub lengths: Option<Tensor>,
}

impl From<Tensor> for Reading {
    fn from(values: Tensor) -> Self {
        Self { values, lengths: None }
    }
}

impl Reading {
    /// The samples at these positions (u32 `[n]`).
    pub fn select(&self, positions: &Tensor) -> Result<Self> {
        let lengths = self.lengths.as_ref().map(|lengths| lengths.index_select(positions, 0)).transpose()?;
        Ok(Self { values: self.values.index_select(positions, 0)?, lengths })
    }

    /// The samples in `rows`, ascending positions of a batch.
    pub fn gather(&self, rows: &[u32]) -> Result<Self> {
        match rows.len() == self.values.dim(0)? {
            true => Ok(self.clone()),
            false => self.select(&Tensor::from_slice(rows, rows.len(), self.values.device())?),
        }
    }
}

/// Readings of some samples, by modality.
#[derive(Debug, Clone)]
pub struct Inputs {
    modalities: Modalities,
    readings: Vec<Option<Reading>>,
    presence: Presence,
    ids: Vec<u64>,
    altered: bool,
    device: Device,
}

impl Inputs {
    /// Puts inputs together: for each modality, in order, the values `[batch, ..shape]` (f32), or `None` where no sample has it; what each
    /// sample has; and the number of each sample, which is the key of whatever is drawn or kept for it.
    pub fn new<R: Into<Reading>>(
        modalities: &Modalities,
        readings: impl IntoIterator<Item = Option<R>>,
        presence: Presence,
        ids: Vec<u64>,
    ) -> Result<Self> {
        let readings: Vec<Option<Reading>> = readings.into_iter().map(|reading| reading.map(Into::into)).collect();
        let batch = ids.len();
        if presence.len() != batch {
            return Err(ModalityError::PresenceLength { found: presence.len(), expected: batch }.into());
        }
        if readings.len() != modalities.len() {
            return Err(DataError::Count { what: "readings", found: readings.len(), of: "modalities", expected: modalities.len() }.into());
        }
        for (m, (name, reading)) in modalities.names().iter().zip(&readings).enumerate() {
            match reading {
                Some(Reading { values, .. }) if values.dtype() != DType::F32 || values.dims().first() != Some(&batch) => {
                    return Err(Error::shape(format!("input `{name}`"), format!("f32 [{batch}, ..]"), (values.dtype(), values.dims())));
                }
                Some(Reading { lengths: Some(lengths), .. }) if lengths.dtype() != DType::U32 || lengths.dims() != [batch] => {
                    return Err(Error::shape(format!("lengths of `{name}`"), format!("u32 [{batch}]"), (lengths.dtype(), lengths.dims())));
                }
                None if presence.subsets().iter().any(|s| s.contains(m)) => {
                    return Err(DataError::NoTensor { modality: name.clone() }.into());
                }
                _ => {}
            }
        }
        if let Some(at) = presence.subsets().iter().position(|has| !has.is_subset_of(modalities.full())) {
            return Err(ModalityError::SamplePosition { sample: ids[at], modalities: modalities.len() }.into());
        }
        let device = readings.iter().flatten().next().map_or(Device::Cpu, |reading| reading.values.device().clone());
        Ok(Self { modalities: modalities.clone(), readings, presence, ids, altered: false, device })
    }

    /// The modalities, in order.
    pub fn modalities(&self) -> &Modalities {
        &self.modalities
    }

    /// The reading of a modality; `None` where no sample has it, an error where there is no such modality.
    pub fn reading(&self, modality: &str) -> Result<Option<&Reading>> {
        Ok(self.at(self.modalities.index(modality)?))
    }

    /// The reading of a modality by its position, for what goes through all of them in order.
    pub fn at(&self, position: usize) -> Option<&Reading> {
        self.readings.get(position).and_then(Option::as_ref)
    }

    /// All readings, in the order of the modalities.
    pub fn readings(&self) -> &[Option<Reading>] {
        &self.readings
    }

    /// Which modalities each sample has.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// The number of each sample in its data set: the key of per-sample randomness and of caches.
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// Whether values differ from those of the data set: what was computed from them must not be kept by [`Inputs::ids`].
    pub fn is_altered(&self) -> bool {
        self.altered
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Where the tensors are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Refuses inputs of other modalities than a model's, or of the same in another order.
    pub fn check_modalities(&self, expected: &Modalities) -> Result<()> {
        match self.modalities == *expected {
            true => Ok(()),
            false => Err(DataError::Modalities { found: self.modalities.clone(), expected: expected.clone() }.into()),
        }
    }

    /// The samples at these positions, in their order; a position past the end is a typed error.
    pub fn select(&self, positions: &[usize]) -> Result<Self> {
        if let Some(&row) = positions.iter().find(|&&position| position >= self.len()) {
            return Err(DataError::Row { row, samples: self.len() }.into());
        }
        let index = Tensor::from_vec(positions.iter().map(|&p| p as u32).collect::<Vec<_>>(), positions.len(), &self.device)?;
        let readings = self.readings.iter().map(|reading| reading.as_ref().map(|r| r.select(&index)).transpose());
        Ok(Self {
            readings: readings.collect::<Result<_>>()?,
            presence: Presence::new(positions.iter().map(|&p| self.presence.subsets()[p]).collect()),
            ids: positions.iter().map(|&p| self.ids[p]).collect(),
            ..self.clone()
        })
    }

    /// The same samples with other sensors alive: `presence` must be within what they have. Copies no values.
    pub fn with_presence(&self, presence: Presence) -> Result<Self> {
        if presence.len() != self.len() {
            return Err(ModalityError::PresenceLength { found: presence.len(), expected: self.len() }.into());
        }
        let pairs = presence.subsets().iter().zip(self.presence.subsets());
        if let Some((sample, _)) = pairs.enumerate().find(|(_, (new, has))| !new.is_subset_of(**has)) {
            return Err(ModalityError::NotWithin { sample }.into());
        }
        Ok(Self { presence, ..self.clone() })
    }

    /// The same samples with other values of one modality, `[batch, ..]`: they count as altered.
    pub fn with_values(mut self, position: usize, values: Tensor) -> Result<Self> {
        match self.readings.get_mut(position).and_then(Option::as_mut) {
            Some(reading) if reading.values.dims() == values.dims() => {
                reading.values = values;
                self.altered = true;
                Ok(self)
            }
            Some(reading) => Err(Error::shape("values", format!("{:?}", reading.values.dims()), values.dims())),
            None => Err(ModalityError::AbsentInBatch { position }.into()),
        }
    }

    /// Each sample mixed with another (`partners`, u32 `[batch]`): `own` (f32 `[batch]`) of its values stay its own, and it fills what the
    /// longer of the two fills.
    pub(super) fn mixed(&self, partners: &Tensor, own: &Tensor) -> Result<Self> {
        let mix = |reading: &Reading| -> Result<Reading> {
            let other = reading.select(partners)?;
            let mut shares = vec![1; reading.values.rank()];
            shares[0] = self.len();
            let own = own.reshape(shares)?;
            let lengths = match (&reading.lengths, &other.lengths) {
                (Some(a), Some(b)) => Some(a.maximum(b)?),
                _ => None,
            };
            let difference = (&reading.values - &other.values)?;
            Ok(Reading { values: (other.values + difference.broadcast_mul(&own)?)?, lengths })
        };
        let readings = self.readings.iter().map(|reading| reading.as_ref().map(mix).transpose()).collect::<Result<_>>()?;
        Ok(Self { readings, altered: true, ..self.clone() })
    }

    /// The same samples of some of the modalities, in the order of `modalities`, with what `presence` says they have of these.
    pub fn restricted(&self, modalities: &Modalities, presence: Presence) -> Result<Self> {
        let readings = modalities.names().iter().map(|name| Ok(self.reading(name)?.cloned()));
        let restricted = Self::new(modalities, readings.collect::<Result<Vec<_>>>()?, presence, self.ids.clone())?;
        Ok(Self { altered: self.altered, ..restricted })
    }

    /// Says that values differ from those of the data set.
    pub(crate) fn altered(mut self) -> Self {
        self.altered = true;
        self
    }

    /// The same on another device.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let moved = |reading: &Reading| -> Result<Reading> {
            let lengths = reading.lengths.as_ref().map(|lengths| lengths.to_device(device)).transpose()?;
            Ok(Reading { values: reading.values.to_device(device)?, lengths })
        };
        let readings = self.readings.iter().map(|reading| reading.as_ref().map(moved).transpose()).collect::<Result<_>>()?;
        Ok(Self { readings, device: device.clone(), ..self.clone() })
    }
}
