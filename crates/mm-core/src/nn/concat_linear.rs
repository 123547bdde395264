//! The linear layer behind a concatenation of modalities, as a sum of one part a modality.

use super::linear::{Linear, apply_linear, linear_no_bias};
use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;

/// `y = concat_m(x_m) weightᵀ = Σ_m x_m weight_mᵀ`: stored as the one `weight [outputs, Σ widths]` of the concatenation.
///
/// Absent modalities are zero, so the output for a combination is the sum of its modalities' parts, and all combinations
/// share the same parts.
#[derive(Debug, Clone)]
pub struct ConcatLinear {
    linear: Linear,
    widths: Vec<usize>,
}

/// A linear layer without bias behind the concatenation of features of the given widths.
pub fn concat_linear(widths: &[usize], outputs: usize, vb: VarBuilder) -> Result<ConcatLinear> {
    Ok(ConcatLinear { linear: linear_no_bias(widths.iter().sum(), outputs, vb)?, widths: widths.to_vec() })
}

impl ConcatLinear {
    /// Applies the layer to features `[batch, widths[m]]`, one a modality; `None` stands for zeros.
    pub fn forward(&self, features: &[Option<Tensor>]) -> Result<Tensor> {
        if features.iter().all(Option::is_some) {
            let all: Vec<&Tensor> = features.iter().flatten().collect();
            return self.linear.forward(&Tensor::cat(&all, 1)?);
        }
        let mut sum: Option<Tensor> = None;
        for (m, feature) in features.iter().enumerate() {
            if let Some(feature) = feature {
                let part = self.part(m, feature)?;
                sum = Some(match sum {
                    Some(sum) => (sum + part)?,
                    None => part,
                });
            }
        }
        match sum {
            Some(sum) => Ok(sum),
            None => bail!("no modality is present"),
        }
    }

    /// The share of modality `index` in the output: `[batch, widths[index]]` to `[batch, outputs]`.
    pub fn part(&self, index: usize, feature: &Tensor) -> Result<Tensor> {
        let Some(&width) = self.widths.get(index) else {
            bail!("modality {index} of a layer for {} modalities", self.widths.len());
        };
        let start = self.widths[..index].iter().sum();
        apply_linear(feature, &self.linear.weight().narrow(1, start, width)?, None, false)
    }
}
