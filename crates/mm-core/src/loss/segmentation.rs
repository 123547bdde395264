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

/// [`segmentation_cross_entropy`] of a prediction and of coarser ones, added; the labels of a coarser one are those of its upper left
/// pixels ([`coarser_labels`]).
pub fn segmentation_cross_entropy_at_scales(
    prediction: &Tensor,
    side: &[Tensor],
    labels: &Tensor,
    class_weight: &Tensor,
) -> Result<Tensor> {
    let mut loss = segmentation_cross_entropy(prediction, labels, class_weight)?;
    for logits in side {
        let (_, _, height, width) = logits.dims4()?;
        loss = (loss + segmentation_cross_entropy(logits, &coarser_labels(labels, (height, width))?, class_weight)?)?;
    }
    Ok(loss)
}

/// Labels `[batch, height, width]` at `size` (height, width): every 2nd, 4th, 8th, ... label, as many times smaller as `size` is, rounded up.
pub fn coarser_labels(labels: &Tensor, size: (usize, usize)) -> Result<Tensor> {
    let (_, height, width) = labels.dims3()?;
    let mut coarser = labels.clone();
    for (dim, from, to) in [(1, height, size.0), (2, width, size.1)] {
        if !(1..=from).contains(&to) {
            bail!("labels {:?} cannot become {size:?}", labels.dims());
        }
        // The least power of two that makes it small enough.
        let step = (0..).map(|power| 1usize << power).find(|step| to * step >= from).unwrap_or(1);
        if from.div_ceil(step) != to {
            bail!("labels {:?} are not a power of two times larger than {size:?}, rounded up", labels.dims());
        }
        if step > 1 {
            coarser = coarser.index_select(&Tensor::arange_step(0u32, from as u32, step as u32, labels.device())?, dim)?;
        }
    }
    Ok(coarser)
}
