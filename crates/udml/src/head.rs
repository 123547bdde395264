//! The classifier (section 2.5): linear in the concatenation of features, so that each modality's part is computed once
//! and weights scale the parts.

use candle_core::{D, Tensor};
use candle_nn::VarBuilder;
use mm_core::nn::{Linear, linear};
use mm_core::{Error, ModalityError, Result};

/// `W · concat_m(f_m) + b`; parameters `weight [classes, Σ widths]` and `bias [classes]`.
#[derive(Debug, Clone)]
pub struct ConcatHead {
    weight: Tensor,
    bias: Tensor,
    widths: Vec<usize>,
}

impl ConcatHead {
    /// From its tensors and the width of each modality's feature.
    pub fn new(weight: Tensor, bias: Tensor, widths: Vec<usize>) -> Result<Self> {
        let (classes, columns) = weight.dims2()?;
        if columns != widths.iter().sum::<usize>() || bias.dims() != [classes] {
            return Err(Error::shape(
                "head",
                format!("[classes, {}] and [classes]", widths.iter().sum::<usize>()),
                (weight.dims(), bias.dims()),
            ));
        }
        Ok(Self { weight, bias, widths })
    }

    pub(crate) fn build(widths: Vec<usize>, classes: usize, vb: VarBuilder) -> Result<Self> {
        let layer = linear(widths.iter().sum(), classes, vb.clone())?;
        let bias = vb.get(classes, "bias")?;
        Self::new(layer.weight().clone(), bias, widths)
    }

    /// `[classes]`.
    pub fn bias(&self) -> &Tensor {
        &self.bias
    }

    /// `W_m f_m`: the share of modality `index` in the logits, `[rows, widths[index]]` to `[rows, classes]`.
    pub fn part(&self, index: usize, feature: &Tensor) -> Result<Tensor> {
        let Some(&width) = self.widths.get(index) else {
            return Err(ModalityError::Position { position: index, modalities: self.widths.len() }.into());
        };
        let start = self.widths[..index].iter().sum();
        Ok(Linear::new(self.weight.narrow(1, start, width)?, None).forward(feature)?)
    }
}

/// The parts scaled by `1 + w` (`residual`) or `w`: parts `[batch, modalities, classes]`, weights `[batch, modalities]`.
fn scaled(parts: &Tensor, weights: &Tensor, residual: bool) -> Result<Tensor> {
    let scale = if residual { (weights + 1.0)? } else { weights.clone() };
    Ok(parts.broadcast_mul(&scale.unsqueeze(2)?)?)
}

/// `out = Σ_m (1 + w_m) W_m f_m + b` from parts `[batch, modalities, classes]` that are zero where absent, weights
/// `[batch, modalities]` and bias `[classes]`: `[batch, classes]`. Without `residual` the factor is `w_m`.
pub fn fused_logits(parts: &Tensor, weights: &Tensor, bias: &Tensor, residual: bool) -> Result<Tensor> {
    Ok(scaled(parts, weights, residual)?.sum(1)?.broadcast_add(bias)?)
}

/// `out_m = (1 + w_m) W_m f_m + b`, the head on one modality with the others at zero: `[batch, modalities, classes]`.
/// `Σ_m out_m - (M - 1) b` are the fused logits.
pub fn unimodal_logits(parts: &Tensor, weights: &Tensor, bias: &Tensor, residual: bool) -> Result<Tensor> {
    Ok(scaled(parts, weights, residual)?.broadcast_add(bias)?)
}

/// Fused logits `[combinations, batch, classes]` for weights `[combinations, batch, modalities]` that are 0 for what a
/// combination leaves out, with its mask `[combinations, modalities]`.
pub(crate) fn combination_logits(parts: &Tensor, weights: &Tensor, mask: &Tensor, bias: &Tensor, residual: bool) -> Result<Tensor> {
    let scale = if residual { weights.broadcast_add(&mask.unsqueeze(1)?)? } else { weights.clone() };
    // One product [combinations, modalities] x [modalities, classes] a sample.
    let logits = scale.transpose(0, 1)?.contiguous()?.matmul(&parts.contiguous()?)?;
    Ok(logits.broadcast_add(bias)?.transpose(0, 1)?.contiguous()?)
}

/// `mean_b Σ_k |logits[b, m, k]|` over the samples that have the modality; 0 where none has. Result `[modalities]`.
pub(crate) fn mean_l1(logits: &Tensor, present: Option<&Tensor>) -> Result<Tensor> {
    let size = logits.abs()?.sum(D::Minus1)?;
    match present {
        None => Ok(size.mean(0)?),
        Some(present) => Ok((size.mul(present)?.sum(0)? / present.sum(0)?.maximum(1.0)?)?),
    }
}
