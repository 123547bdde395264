//! Cross entropy of every pixel.

use super::cross_entropy_per_sample;
use candle_core::{Result, Tensor, bail};

/// The share of each image in the cross entropy over all labelled pixels, divided by their summed class weight: `[batch]`, whose mean is the
/// loss of the batch. An image without a labelled pixel has 0, and so has a batch.
///
/// Logits `[batch, classes, height, width]`; labels u32 `[batch, height, width]`, 0 for void (ignored) and `k + 1` for class
/// `k`; class weights `[classes]`, 1 each where there are none.
pub fn pixel_cross_entropy(logits: &Tensor, labels: &Tensor, class_weights: Option<&Tensor>) -> Result<Tensor> {
    let (batch, classes, height, width) = logits.dims4()?;
    if labels.dims() != [batch, height, width] {
        bail!("labels {:?} for logits {:?}", labels.dims(), logits.dims());
    }
    let pixels = logits.permute((0, 2, 3, 1))?.reshape((batch * height * width, classes))?;
    let labels = labels.flatten_all()?;
    let valid = labels.ne(0u32)?;
    // Void pixels take class 0 and weight 0.
    let class = valid.where_cond(&labels.broadcast_sub(&labels.ones_like()?)?, &labels.zeros_like()?)?;
    let weight = match class_weights {
        Some(weights) => {
            let weight = weights.index_select(&class, 0)?;
            valid.where_cond(&weight, &weight.zeros_like()?)?
        }
        None => valid.to_dtype(logits.dtype())?,
    };
    let mean_weight = (weight.sum_all()? / batch as f64)?.maximum(f64::from(f32::MIN_POSITIVE))?;
    let of_pixels = cross_entropy_per_sample(&pixels, &class)?.mul(&weight)?;
    of_pixels.reshape((batch, height * width))?.sum(1)?.broadcast_div(&mean_weight)
}

/// Weighted cross entropy over labelled pixels, divided by their summed weight: a scalar, the mean of [`pixel_cross_entropy`].
pub fn segmentation_cross_entropy(logits: &Tensor, labels: &Tensor, class_weight: &Tensor) -> Result<Tensor> {
    pixel_cross_entropy(logits, labels, Some(class_weight))?.mean_all()
}

/// Labels `[batch, height, width]` at a coarser size: those of the nearest pixels, as torch's nearest interpolation takes them.
pub fn nearest_labels(labels: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (_, from_height, from_width) = labels.dims3()?;
    let nearest =
        |from: usize, to: usize| Tensor::from_vec((0..to).map(|i| (i * from / to) as u32).collect::<Vec<_>>(), to, labels.device());
    labels.index_select(&nearest(from_height, height)?, 1)?.contiguous()?.index_select(&nearest(from_width, width)?, 2)?.contiguous()
}
