//! How much of each sequence of a batch is filled.

use candle_core::{Device, Result, Tensor, bail};
use std::sync::Arc;

/// How many steps of each sequence of `[batch, channels, 1, steps]` are filled, from the first; what stands behind them counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lengths(Arc<[usize]>);

impl Lengths {
    /// Of u32 `[batch]`, none above `steps`.
    pub fn new(lengths: &Tensor, steps: usize) -> Result<Self> {
        let lengths: Vec<u32> = lengths.to_device(&Device::Cpu)?.to_vec1()?;
        match lengths.iter().find(|length| **length as usize > steps) {
            Some(found) => bail!("a sequence of {steps} steps cannot have {found} of them filled"),
            None => Ok(Self(lengths.into_iter().map(|length| length as usize).collect())),
        }
    }

    /// Those of a reading of so many steps; `None` where all sequences are whole, so that nothing need be looked at.
    pub fn of(lengths: Option<&Tensor>, steps: usize) -> Result<Option<Self>> {
        let lengths = lengths.map(|lengths| Self::new(lengths, steps)).transpose()?;
        Ok(lengths.filter(|lengths| lengths.0.iter().any(|length| *length < steps)))
    }

    /// Filled steps of each sequence.
    pub fn steps(&self) -> &[usize] {
        &self.0
    }

    /// Those of what a layer makes that looks at every `stride`-th step: as many of its results lie at a filled step.
    pub fn strided(&self, stride: usize) -> Self {
        Self(self.0.iter().map(|length| length.div_ceil(stride)).collect())
    }

    /// Refuses those of another batch, or of longer sequences.
    pub(super) fn check(&self, batch: usize, steps: usize) -> Result<()> {
        match self.0.len() == batch && self.0.iter().all(|length| *length <= steps) {
            true => Ok(()),
            false => bail!("lengths {:?} are not those of {batch} sequences of {steps} steps", self.0),
        }
    }

    /// 1 where `[batch, 1, 1, steps]` is filled, 0 behind.
    fn mask(&self, steps: usize, like: &Tensor) -> Result<Tensor> {
        let mask: Vec<u8> = self.0.iter().flat_map(|length| (0..steps).map(move |step| u8::from(step < *length))).collect();
        Tensor::from_vec(mask, (self.0.len(), 1, 1, steps), like.device())
    }

    /// `[batch, channels, 1, steps]` with zeros behind what is filled, whatever stood there.
    pub fn zero_behind(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, _, _, steps) = x.dims4()?;
        self.check(batch, steps)?;
        self.mask(steps, x)?.broadcast_as(x.shape())?.where_cond(x, &x.zeros_like()?)
    }

    /// Mean over what is filled of `[batch, channels, 1, steps]` with zeros behind it: `[batch, channels]`, zero where nothing is filled.
    pub fn mean(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, _, _, steps) = x.dims4()?;
        self.check(batch, steps)?;
        let shares: Vec<f64> = self.0.iter().map(|length| 1.0 / (*length).max(1) as f64).collect();
        let shares = Tensor::from_vec(shares, (batch, 1), x.device())?.to_dtype(x.dtype())?;
        x.sum((2, 3))?.broadcast_mul(&shares)
    }

    /// Largest filled number of each channel of `[batch, channels, 1, steps]`: `[batch, channels]`, zero where nothing is filled.
    pub fn max(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, _, _, steps) = x.dims4()?;
        self.check(batch, steps)?;
        let mask = self.mask(steps, x)?.broadcast_as(x.shape())?;
        let lowest = Tensor::new(f32::MIN, x.device())?.to_dtype(x.dtype())?.broadcast_as(x.shape())?;
        let most = mask.where_cond(x, &lowest)?.max(3)?.squeeze(2)?;
        let some: Vec<u8> = self.0.iter().map(|length| u8::from(*length > 0)).collect();
        let some = Tensor::from_vec(some, (batch, 1), x.device())?.broadcast_as(most.shape())?;
        some.where_cond(&most, &most.zeros_like()?)
    }
}
