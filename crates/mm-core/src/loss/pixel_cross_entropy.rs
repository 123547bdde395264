//! Softmax cross entropy of every pixel.
//!
//! On the CPU in f32 one op with its backward pass: made of candle ops it takes a dozen passes over maps of all classes at full size, and twice
//! as many backward. Everywhere else it is made of them.

use super::cross_entropy_per_sample;
use crate::nn::{contiguous_f32, kernel_error, runs_on_cpu_kernels, with_slices};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use mm_kernels::pixel_loss::PixelLoss;
use mm_kernels::unspecified;
use std::sync::OnceLock;

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
    if !runs_on_cpu_kernels(logits) {
        return composed(logits, labels, class_weights);
    }
    let op = PixelOp {
        shape: [batch, classes, height * width],
        labels: labels.flatten_all()?.to_vec1()?,
        class_weights: class_weights.map(Tensor::to_vec1).transpose()?,
        measured: OnceLock::new(),
    };
    logits.contiguous()?.apply_op1(op)
}

/// Of candle ops.
fn composed(logits: &Tensor, labels: &Tensor, class_weights: Option<&Tensor>) -> Result<Tensor> {
    let (batch, classes, height, width) = logits.dims4()?;
    let pixels = logits.permute((0, 2, 3, 1))?.reshape((batch * height * width, classes))?;
    let labels = labels.flatten_all()?;
    let valid = labels.ne(0u32)?;
    // Void pixels take class 0 and weight 0. Not 0 - 1, which a debug build refuses.
    let one = labels.ones_like()?;
    let class = (labels.maximum(&one)? - one)?;
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

/// Of contiguous logits.
struct PixelOp {
    shape: [usize; 3],
    labels: Vec<u32>,
    class_weights: Option<Vec<f32>>,
    /// In the forward pass: the logarithms of the exponentials' sums, and the mean weight of an image.
    measured: OnceLock<(Vec<f32>, f64)>,
}

impl PixelOp {
    fn loss(&self) -> PixelLoss<'_> {
        PixelLoss { shape: self.shape, labels: &self.labels, class_weights: self.class_weights.as_deref() }
    }

    /// The loss of each image.
    fn forward(&self, logits: &[f32]) -> Result<Vec<f32>> {
        let mut log_sums = unspecified(self.labels.len());
        let images = self.loss().forward(logits, &mut log_sums).map_err(kernel_error)?;
        let mean_weight = images.iter().map(|image| image.weight).sum::<f64>() / images.len() as f64;
        let mean_weight = mean_weight.max(f64::from(f32::MIN_POSITIVE));
        let losses = images.iter().map(|image| (image.sum / mean_weight) as f32).collect();
        self.measured.get_or_init(|| (log_sums, mean_weight));
        Ok(losses)
    }
}

impl CustomOp1 for PixelOp {
    fn name(&self) -> &'static str {
        "pixel-cross-entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(self.forward(contiguous_f32(storage, layout)?)?), Shape::from(self.shape[0])))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let Some((log_sums, mean_weight)) = self.measured.get() else {
            bail!("the backward pass of the cross entropy of pixels comes after the forward pass");
        };
        with_slices([logits, gradient], |[x, of_images]| {
            let scales: Vec<f32> = of_images.iter().map(|g| (f64::from(*g) / mean_weight) as f32).collect();
            let mut to = unspecified(x.len());
            self.loss().backward(x, log_sums, &scales, &mut to).map_err(kernel_error)?;
            Tensor::from_vec(to, logits.shape(), logits.device()).map(Some)
        })
    }
}
