//! Dependence (section 2.4): how much the model relies on each modality, whatever its quality in one sample.

use crate::head::mean_l1;
use candle_core::{Tensor, Var};
use candle_nn::{Init, VarBuilder};
use mm_core::Result;

/// Keeps the logarithm finite for a modality whose features are all zero.
const SMALLEST: f64 = 1e-6;

/// `mean_b Σ_k |logits(all) - logits(all but m)|` on features that are not scaled: for a linear head that is the size of the
/// modality's part. Parts are `[batch, modalities, classes]`, `present` (1 or 0) is `[batch, modalities]`; result
/// `[modalities]`, 0 for a modality that no sample has.
pub fn leave_one_out_dependence(parts: &Tensor, present: Option<&Tensor>) -> Result<Tensor> {
    mean_l1(&parts.detach(), present)
}

/// `mean_b Σ_k |out_m|`, the published code's form, from unimodal logits `[batch, modalities, classes]`: it holds the bias and
/// the weights of the step before.
pub fn lone_modality_dependence(unimodal: &Tensor, present: Option<&Tensor>) -> Result<Tensor> {
    mean_l1(&unimodal.detach(), present)
}

/// The moving average, stored with the model as `running_mean [modalities]`; 0 where nothing was measured yet.
pub(crate) struct Dependence {
    running_mean: Var,
    momentum: f64,
}

impl Dependence {
    pub fn new(modalities: usize, momentum: f64, vb: VarBuilder) -> Result<Self> {
        let running_mean = Var::from_tensor(&vb.get_with_hints(modalities, "running_mean", Init::Const(0.0))?)?;
        Ok(Self { running_mean, momentum })
    }

    /// Positive, `[modalities]`. What was never measured counts like the largest, so that it is not preferred.
    pub fn value(&self) -> Result<Tensor> {
        let measured = self.running_mean.as_tensor().detach();
        let largest = measured.max(0)?.broadcast_as(measured.shape())?;
        Ok(measured.gt(0.0)?.where_cond(&measured, &largest)?.maximum(SMALLEST)?)
    }

    /// Takes in a batch; a modality's first measurement is its start, and one that is 0 (absent) changes nothing.
    pub fn update(&self, batch: &Tensor) -> Result<()> {
        let old = self.running_mean.as_tensor().detach();
        let mixed = ((&old * self.momentum)? + (batch * (1.0 - self.momentum))?)?;
        let started = old.gt(0.0)?.where_cond(&mixed, batch)?;
        self.running_mean.set(&batch.gt(0.0)?.where_cond(&started, &old)?)?;
        Ok(())
    }
}
