//! From noise levels to weights (sections 2.3 to 2.5).

use crate::{UdmlConfig, WeightForm};
use candle_core::{D, Tensor};
use candle_nn::ops::softmax;
use mm_core::{Error, Result};

/// `w_m = n · softmax_m(-x_m - ln d_m)` over the n modalities that a sample has; the same as `n u_m / Σ_j u_j` with
/// `u_m = t_m⁻² / d_m` and `t = exp(x / 2)`, but without overflow.
///
/// Log-levels x are `[batch, modalities]`, the dependence d is positive `[modalities]`, `present` is 1 or 0 and
/// `[batch, modalities]`. Absent modalities get exactly 0, whatever their x holds; a row sums to n.
pub fn udml_weights(log_level: &Tensor, dependence: &Tensor, present: Option<&Tensor>) -> Result<Tensor> {
    let (_, modalities) = log_level.dims2()?;
    if dependence.dims() != [modalities] {
        return Err(Error::shape("dependence", format!("[{modalities}]"), dependence.dims()));
    }
    let score = log_level.neg()?.broadcast_sub(&dependence.log()?)?;
    match present {
        None => Ok((softmax(&score, D::Minus1)? * modalities as f64)?),
        Some(present) => {
            let absent = Tensor::new(f32::NEG_INFINITY, score.device())?.to_dtype(score.dtype())?.broadcast_as(score.shape())?;
            let masked = present.gt(0.0)?.where_cond(&score, &absent)?;
            Ok(softmax(&masked, D::Minus1)?.broadcast_mul(&present.sum_keepdim(D::Minus1)?)?)
        }
    }
}

/// The weights of equal noise levels, `M · softmax(-ln d)`: those of the static phase, when all modalities are present.
/// Dependence and result are `[modalities]`.
pub fn static_weights(dependence: &Tensor) -> Result<Tensor> {
    Ok((softmax(&dependence.log()?.neg()?, 0)? * dependence.dim(0)? as f64)?)
}

/// `c w + (1 - c)`: weights that become even as the cleanest modality of the sample becomes noisy. Ours, not published.
///
/// `c = clamp((T - min_m t_m) / (T - 1), 0, 1)^power` with `T = max_level`, over the modalities that are present: 1 if one of
/// them is clean, 0 if all are as noisy as training ever was. A weight can only move trust to a cleaner sensor; where there
/// is none, errors of the estimator are all that it adds. Shapes as in [`udml_weights`].
pub fn soften(weights: &Tensor, log_level: &Tensor, present: &Tensor, max_level: f64, power: f64) -> Result<Tensor> {
    // Absent modalities are as noisy as can be, so that they never are the cleanest.
    let top = Tensor::new(2.0 * max_level.ln(), log_level.device())?.to_dtype(log_level.dtype())?.broadcast_as(log_level.shape())?;
    let cleanest = (present.gt(0.0)?.where_cond(log_level, &top)?.min_keepdim(D::Minus1)? / 2.0)?.exp()?;
    let contrast = (((cleanest - max_level)? / (1.0 - max_level))?.clamp(0.0, 1.0)?.powf(power))?;
    let even = present.broadcast_sub(&present.broadcast_mul(&contrast)?)?;
    Ok((weights.broadcast_mul(&contrast)? + even)?)
}

impl UdmlConfig {
    /// Dynamic weights (Eq. of section 2.5, softened as configured), or 1 for what is present in static fusion; shapes as in [`udml_weights`].
    pub(crate) fn weigh(&self, log_level: &Tensor, dependence: &Tensor, present: &Tensor) -> Result<Tensor> {
        if self.weights == WeightForm::Static {
            return Ok(present.clone());
        }
        let mut weights = udml_weights(&(log_level / self.temperature)?, dependence, Some(present))?;
        if self.even_when_noisy > 0.0 {
            weights = soften(&weights, log_level, present, f64::from(self.noise.max_level), self.even_when_noisy)?;
        }
        if self.weight_floor > 0.0 {
            weights = ((weights * (1.0 - self.weight_floor))? + (present * self.weight_floor)?)?;
        }
        Ok(weights)
    }
}
