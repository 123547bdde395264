//! The terms of a loss, their means over an epoch, and the guard against NaN.

use super::Step;
use crate::error::{Error, NonFiniteError, Result};
use candle_core::{DType, Tensor};
use std::collections::BTreeMap;

/// The named terms of a loss; the gradient is that of their weighted sum.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    terms: Vec<(&'static str, f64, Tensor)>,
}

impl Losses {
    /// A loss with one term of weight 1.
    pub fn new(name: &'static str, value: Tensor) -> Self {
        Self { terms: vec![(name, 1.0, value)] }
    }

    /// Adds `weight * value`, a scalar; logged without its weight.
    pub fn with(mut self, name: &'static str, weight: f64, value: Tensor) -> Self {
        self.terms.push((name, weight, value));
        self
    }

    /// Whether there is no term: the batch holds nothing that the method can learn from, and the step is skipped.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Names and unweighted values.
    pub fn terms(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        self.terms.iter().map(|(name, _, value)| (*name, value))
    }

    /// The weighted sum, a scalar tensor.
    pub fn total(&self) -> Result<Tensor> {
        let mut total: Option<Tensor> = None;
        for (_, weight, value) in &self.terms {
            let value = if *weight == 1.0 { value.clone() } else { (value * *weight)? };
            total = Some(match total {
                Some(total) => (total + value)?,
                None => value,
            });
        }
        total.ok_or_else(|| Error::config("loss", "a method returned no loss term"))
    }
}

/// Elsewhere than on the CPU, losses are fetched from the device every so many steps: each time it waits.
const STEPS_PER_READING: usize = 16;

/// Sums of each named term over the steps of an epoch. The terms of a step stay on the device, in one tensor, until they are read.
#[derive(Default)]
pub(super) struct Means {
    sums: BTreeMap<String, f64>,
    steps: usize,
    unread: Vec<Unread>,
}

struct Unread {
    names: Vec<&'static str>,
    /// `[terms]`.
    values: Tensor,
    step: Step,
    samples: Vec<u64>,
}

impl Means {
    /// Takes up the sums of an epoch that was interrupted.
    pub fn resume(sums: BTreeMap<String, f64>, steps: usize) -> Self {
        Self { sums, steps, unread: Vec::new() }
    }

    /// Sums and steps so far; nothing may be unread.
    pub fn state(&self) -> (BTreeMap<String, f64>, usize) {
        (self.sums.clone(), self.steps)
    }

    /// Adds the terms of a step; an error if one that was read is NaN or infinite.
    pub fn add(&mut self, losses: &Losses, total: &Tensor, step: &Step, samples: &[u64]) -> Result<()> {
        let mut names: Vec<&'static str> = losses.terms().map(|(name, _)| name).collect();
        names.push("total");
        let scalars = losses.terms().map(|(_, value)| value).chain([total]).map(|value| value.detach().reshape(())?.to_dtype(DType::F32));
        let scalars = scalars.collect::<candle_core::Result<Vec<_>>>()?;
        let values = Tensor::stack(&scalars, 0)?;
        let on_cpu = values.device().is_cpu();
        self.unread.push(Unread { names, values, step: *step, samples: samples.iter().take(8).copied().collect() });
        match on_cpu || self.unread.len() >= STEPS_PER_READING {
            true => self.read(),
            false => Ok(()),
        }
    }

    /// Fetches what is on the device.
    pub fn read(&mut self) -> Result<()> {
        for Unread { names, values, step, samples } in self.unread.drain(..) {
            self.steps += 1;
            for (name, value) in names.into_iter().zip(values.to_vec1::<f32>()?) {
                let value = f64::from(value);
                if !value.is_finite() {
                    let Step { epoch, step, .. } = step;
                    return Err(NonFiniteError::Loss { term: name.into(), value, epoch, step, samples }.into());
                }
                *self.sums.entry(name.to_string()).or_default() += value;
            }
        }
        Ok(())
    }

    /// The means of the epoch.
    pub fn finish(mut self) -> Result<BTreeMap<String, f64>> {
        self.read()?;
        let steps = self.steps.max(1) as f64;
        Ok(self.sums.into_iter().map(|(name, sum)| (name, sum / steps)).collect())
    }
}
