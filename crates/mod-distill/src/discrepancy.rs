//! Maximum mean discrepancy of two sets of samples, of features alone and jointly with predictions.

use candle_core::{D, DType, Tensor};
use candle_nn::ops::softmax;
use mm_core::{Error, Result};

/// `MMD²`, biased estimator: the mean over all pairs of `K_rr + K_pp - K_rp - K_pr`, a scalar.
///
/// `restored` and `privileged` are `[batch, ..]` of the same shape, flattened to rows. `K(u, v) = Σ_i exp(-‖u - v‖² / (bw ·
/// kernel_mul^(i - kernel_num / 2)))`, `i = 0..kernel_num`, where `bw` is the mean squared distance of two distinct rows of both
/// sets together and has no gradient; neither has `privileged`. Where all rows are equal the result is a constant 0.
pub fn maximum_mean_discrepancy(restored: &Tensor, privileged: &Tensor, kernel_mul: f64, kernel_num: usize) -> Result<Tensor> {
    let batch = check_pair("restored feature", restored, privileged)?;
    match multi_kernel(&squared_distances(restored, privileged)?, kernel_mul, kernel_num)? {
        Some(kernel) => signed_mean(&kernel, batch),
        None => Ok(Tensor::zeros((), restored.dtype(), restored.device())?),
    }
}

/// The joint discrepancy of (feature, prediction): as [`maximum_mean_discrepancy`], with `K = K_feature · K_prediction`, where
/// `K_prediction(u, v) = exp(-‖softmax(u) - softmax(v)‖² / prediction_bandwidth)`.
///
/// Features `[batch, ..]`, logits `[batch, classes]`; the privileged side has no gradient.
pub fn joint_mmd(
    restored: &Tensor,
    privileged: &Tensor,
    restored_logits: &Tensor,
    privileged_logits: &Tensor,
    kernel_mul: f64,
    kernel_num: usize,
    prediction_bandwidth: f64,
) -> Result<Tensor> {
    let batch = check_pair("restored feature", restored, privileged)?;
    if check_pair("restored logits", restored_logits, privileged_logits)? != batch {
        return Err(Error::shape("restored logits", format!("[{batch}, classes]"), restored_logits.dims()));
    }
    let Some(features) = multi_kernel(&squared_distances(restored, privileged)?, kernel_mul, kernel_num)? else {
        return Ok(Tensor::zeros((), restored.dtype(), restored.device())?);
    };
    let distances = squared_distances(&softmax(restored_logits, D::Minus1)?, &softmax(privileged_logits, D::Minus1)?)?;
    let predictions = (distances * (-1.0 / prediction_bandwidth))?.exp()?;
    signed_mean(&(features * predictions)?, batch)
}

/// The batch size of two tensors of one shape.
fn check_pair(name: &str, restored: &Tensor, privileged: &Tensor) -> Result<usize> {
    match (restored.dims(), privileged.dims()) {
        (r, p) if r != p || r.len() < 2 || r[0] == 0 => Err(Error::shape(name, format!("{p:?}, as the privileged side"), r)),
        (r, _) => Ok(r[0]),
    }
}

/// `[2 batch, 2 batch]` squared distances between the rows of both sets, restored ones first.
fn squared_distances(restored: &Tensor, privileged: &Tensor) -> Result<Tensor> {
    let rows = Tensor::cat(&[&restored.flatten_from(1)?, &privileged.detach().flatten_from(1)?], 0)?;
    // Distances do not change when all rows move; near the origin little cancels, and equal rows become exact zeros.
    let rows = rows.broadcast_sub(&rows.narrow(0, 0, 1)?.detach())?;
    let squares = rows.sqr()?.sum_keepdim(1)?;
    let products = rows.matmul(&rows.t()?)?;
    Ok((squares.broadcast_add(&squares.t()?)? - (products * 2.0)?)?)
}

/// The sum of Gaussian kernels; `None` where all rows are equal.
fn multi_kernel(distances: &Tensor, kernel_mul: f64, kernel_num: usize) -> Result<Option<Tensor>> {
    if kernel_num == 0 || !(kernel_mul > 0.0 && kernel_mul.is_finite()) {
        let problem = format!("asks for one or more kernels with a positive ratio, found {kernel_num} with ratio {kernel_mul}");
        return Err(Error::config("kernel_num", problem));
    }
    let rows = distances.dim(0)? as f64;
    let sum = distances.detach().to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
    let bandwidth = sum / (rows * rows - rows);
    if bandwidth <= 0.0 {
        return Ok(None);
    }
    let mut total: Option<Tensor> = None;
    for i in 0..kernel_num {
        let scale = bandwidth * kernel_mul.powi(i as i32 - (kernel_num / 2) as i32);
        let kernel = (distances * (-1.0 / scale))?.exp()?;
        total = Some(match total {
            Some(total) => (total + kernel)?,
            None => kernel,
        });
    }
    Ok(total)
}

/// `sᵀ K s / batch²` with sign +1 for restored rows and -1 for privileged ones.
fn signed_mean(kernel: &Tensor, batch: usize) -> Result<Tensor> {
    let plus = Tensor::ones((batch, 1), kernel.dtype(), kernel.device())?;
    let signs = Tensor::cat(&[&plus, &plus.neg()?], 0)?;
    let sum = kernel.matmul(&signs)?.mul(&signs)?.sum_all()?;
    Ok((sum / (batch * batch) as f64)?)
}
