//! Cross entropy of every pixel.

use super::cross_entropy_per_sample;
use candle_core::{Result, Tensor, bail};

/// Weighted cross entropy over labelled pixels, divided by their summed weight.
///
/// Logits `[batch, classes, height, width]`; labels u32 `[batch, height, width]`, 0 for void (ignored) and `k + 1` for class
/// `k`; class weights `[classes]`. Without a labelled pixel the loss is 0.
pub fn segmentation_cross_entropy(logits: &Tensor, labels: &Tensor, class_weight: &Tensor) -> Result<Tensor> {
    let (batch, classes, height, width) = logits.dims4()?;
    if labels.dims() != [batch, height, width] {
        bail!("labels {:?} for logits {:?}", labels.dims(), logits.dims());
    }
    let pixels = logits.permute((0, 2, 3, 1))?.reshape((batch * height * width, classes))?;
    let labels = labels.flatten_all()?;
    let valid = labels.ne(0u32)?;
    // Void pixels take class 0 and weight 0.
    let class = valid.where_cond(&labels.broadcast_sub(&labels.ones_like()?)?, &labels.zeros_like()?)?;
    let weight = class_weight.index_select(&class, 0)?;
    let weight = valid.where_cond(&weight, &weight.zeros_like()?)?;
    let total = weight.sum_all()?;
    let sum = cross_entropy_per_sample(&pixels, &class)?.mul(&weight)?.sum_all()?;
    sum / total.maximum(f64::from(f32::MIN_POSITIVE))?
}
