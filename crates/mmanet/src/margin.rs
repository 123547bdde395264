//! Margin-aware distillation (MAD).

use crate::Weighting;
use candle_core::{D, Tensor};
use mm_core::nn::l2_normalize;
use mm_core::{Error, Result};

/// `Σ_i h_i Σ_j (Ĝ_s[i,j] - Ĝ_t[i,j])²`: the student keeps the teacher's sample-to-sample similarities, most of all for
/// samples near the teacher's decision boundary.
///
/// `G = F Fᵀ` with rows normalised; `h` is the teacher's uncertainty, for classes the entropy of its prediction, normalised to sum 1
/// over the batch (uniform if all of it is 0). Features `[batch, ..]` of student and teacher may differ in size; `uncertainty` is
/// `[batch]` and not negative ([`mm_core::task::Task::uncertainty`]). The teacher gets no gradient. A batch of one gives 0.
pub fn margin_aware_distillation(student: &Tensor, teacher: &Tensor, uncertainty: &Tensor, weighting: Weighting) -> Result<Tensor> {
    let batch = student.dim(0)?;
    if teacher.dim(0)? != batch || uncertainty.dims() != [batch] {
        return Err(Error::shape("teacher", format!("[{batch}, ..]"), (teacher.dims(), uncertainty.dims())));
    }
    let difference = (similarity(student)? - similarity(&teacher.detach())?)?.sqr()?;
    let weight = margin_weights(&uncertainty.detach())?;
    let weighted = match weighting {
        Weighting::Sample => difference.sum(1)?.mul(&weight)?,
        Weighting::Reference => difference.broadcast_mul(&weight.unsqueeze(0)?)?.sum(D::Minus1)?,
    };
    Ok(weighted.sum_all()?)
}

fn similarity(feature: &Tensor) -> Result<Tensor> {
    let flat = feature.flatten_from(1)?;
    Ok(l2_normalize(&flat.matmul(&flat.t()?)?, 1e-12)?)
}

/// The uncertainties over their sum.
pub(crate) fn margin_weights(entropy: &Tensor) -> Result<Tensor> {
    let total = entropy.sum_all()?;
    // A saturated teacher gives no margin: all samples count the same.
    let uniform = (entropy.ones_like()? / entropy.elem_count() as f64)?;
    let saturated = total.le(0.0)?.broadcast_as(entropy.shape())?;
    let floor = (total + f64::from(f32::MIN_POSITIVE))?;
    Ok(saturated.where_cond(&uniform, &entropy.broadcast_div(&floor)?)?)
}
