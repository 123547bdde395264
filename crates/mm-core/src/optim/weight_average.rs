//! The exponential moving average of weights.

use crate::error::{Error, Result};
use crate::nn::{Parameters, contiguous_f32, runs_on_cpu_kernels};
use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var, bail};
use mm_kernels::optimizer::move_towards;
use std::collections::BTreeMap;
use std::path::Path;

/// The exponential moving average of all variables over the steps of a training (Polyak and Juditsky 1992), running statistics included.
///
/// After step `t`, counted from 1, the average moves towards the variables by `1 - min(decay, t / (t + 9))` of the way: the first steps, whose weights say
/// nothing, are soon forgotten.
#[derive(Debug)]
pub struct WeightAverage {
    decay: f64,
    values: BTreeMap<String, Var>,
}

impl WeightAverage {
    /// Begins with the variables as they are. The decay is in `(0, 1)`.
    pub fn new(decay: f64, parameters: &Parameters) -> Result<Self> {
        let values = parameters.snapshot()?.into_iter().map(|(name, value)| Ok((name, Var::from_tensor(&value)?)));
        Ok(Self { decay, values: values.collect::<Result<_>>()? })
    }

    /// Takes up a saved average of the same variables.
    pub fn restore(&self, saved: &BTreeMap<String, Tensor>, source: &Path) -> Result<()> {
        for (name, var) in &self.values {
            match saved.get(name) {
                Some(value) if value.shape() == var.shape() && value.dtype() == var.dtype() => var.set(value)?,
                _ => return Err(Error::weights(source, format!("has no average of `{name}` that fits this model"))),
            }
        }
        Ok(())
    }

    /// Moves the average towards the variables, after step `step` of the optimizer (from 1).
    pub fn update(&self, parameters: &Parameters, step: u64) -> Result<()> {
        let step = step as f64;
        let share = Share(1.0 - self.decay.min(step / (step + 9.0)));
        for (name, var) in parameters.variables() {
            if let Some(average) = self.values.get(&name) {
                share.move_towards(average, &var)?;
            }
        }
        Ok(())
    }

    /// A copy of the average of each variable, by name.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Tensor>> {
        self.values.iter().map(|(name, var)| Ok((name.clone(), var.as_tensor().copy()?.detach()))).collect()
    }

    /// Sets the variables to the average.
    pub fn put(&self, parameters: &Parameters) -> Result<()> {
        parameters.restore(&self.snapshot()?, Path::new("the average of the weights"))
    }

    /// Runs `work` with the average in place of the variables, and puts those back.
    pub fn in_place<T>(&self, parameters: &Parameters, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let current = parameters.snapshot()?;
        self.put(parameters)?;
        let outcome = work();
        parameters.restore(&current, Path::new("the weights of the training"))?;
        outcome
    }
}

/// Which part of the way an average goes.
struct Share(f64);

impl Share {
    fn move_towards(&self, average: &Var, var: &Var) -> Result<()> {
        if runs_on_cpu_kernels(average) {
            average.inplace_op2(var, self)?;
        } else {
            let (old, new) = (average.as_tensor().detach(), var.as_tensor().detach());
            average.set(&(&old + ((new - &old)? * self.0)?)?)?;
        }
        Ok(())
    }
}

impl InplaceOp2 for Share {
    fn name(&self) -> &'static str {
        "weight-average"
    }

    fn cpu_fwd(&self, average: &mut CpuStorage, layout: &Layout, var: &CpuStorage, of_var: &Layout) -> candle_core::Result<()> {
        let var = contiguous_f32(var, of_var)?;
        let target = match (average, layout.contiguous_offsets()) {
            (CpuStorage::F32(data), Some((start, end))) => &mut data[start..end],
            _ => bail!("an average of weights must be contiguous f32"),
        };
        move_towards(self.0 as f32, target, var).map_err(candle_core::Error::wrap)
    }
}
