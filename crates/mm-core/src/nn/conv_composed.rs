//! Convolution where no kernel of our own runs: candle's forward pass, and gradients that are made of its forward passes.
//!
//! Candle's own gradient with respect to the input takes the rest of a strided height for that of the width, so it fails on images whose
//! sides differ; and on a GPU its transposed convolution is no product of matrices.

use super::conv::Conv2dConfig;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, MetalStorage, Result, Shape, Tensor, bail};

/// The convolution of `[batch, inputs, height, width]` with `weight [outputs, inputs, kernel height, kernel width]`, in the dtype of the input.
pub(super) fn composed(input: &Tensor, weight: &Tensor, config: Conv2dConfig) -> Result<Tensor> {
    let weight = weight.to_dtype(input.dtype())?;
    let output = plain(&input.detach(), &weight.detach(), config)?;
    match input.track_op() || weight.track_op() {
        true => input.apply_op3(&weight, &output.contiguous()?, WithGradients(config)),
        false => Ok(output),
    }
}

/// The same with a kernel `[channels, 1, kernel height, kernel width]` of each channel's own: a product of the whole image for each tap, for
/// candle convolves channel after channel.
pub(super) fn composed_depthwise(input: &Tensor, weight: &Tensor, config: Conv2dConfig) -> Result<Tensor> {
    let weight = weight.to_dtype(input.dtype())?;
    let (channels, _, kernel_height, kernel_width) = weight.dims4()?;
    let padded = padded(input, config.padding)?;
    // From a position on, every `stride`-th, as many as the output has.
    let tap = |image: &Tensor, dim: usize, at: usize, span: usize, stride: usize| {
        let size = image.dim(dim)? - span;
        let from_there = image.narrow(dim, at, size)?;
        every(&from_there, dim, stride)
    };
    let spans = (config.dilation.0 * (kernel_height - 1), config.dilation.1 * (kernel_width - 1));
    let mut sum: Option<Tensor> = None;
    for y in 0..kernel_height {
        let rows = tap(&padded, 2, y * config.dilation.0, spans.0, config.stride.0)?;
        for x in 0..kernel_width {
            let image = tap(&rows, 3, x * config.dilation.1, spans.1, config.stride.1)?;
            let factor = weight.narrow(2, y, 1)?.narrow(3, x, 1)?.reshape((1, channels, 1, 1))?;
            let product = image.broadcast_mul(&factor)?;
            sum = Some(match sum {
                Some(sum) => (sum + product)?,
                None => product,
            });
        }
    }
    sum.ok_or_else(|| candle_core::Error::Msg("a convolution of no taps".into()))
}

/// Candle's convolution, which knows one stride, padding and dilation for both directions.
fn plain(input: &Tensor, weight: &Tensor, config: Conv2dConfig) -> Result<Tensor> {
    let Conv2dConfig { stride, padding, .. } = config;
    let dilation = one_dilation(config, weight)?;
    let (padded, padding) = match padding.0 == padding.1 {
        true => (input.clone(), padding.0),
        false => (padded(input, padding)?, 0),
    };
    if stride.0 == stride.1 {
        return padded.conv2d(weight, padding, stride.0, dilation, 1);
    }
    let dense = padded.conv2d(weight, padding, 1, dilation, 1)?;
    every(&every(&dense, 2, stride.0)?, 3, stride.1)
}

/// The dilation of a kernel; it does nothing in a direction of one tap.
fn one_dilation(config: Conv2dConfig, weight: &Tensor) -> Result<usize> {
    let (Conv2dConfig { dilation, .. }, (_, _, kernel_height, kernel_width)) = (config, weight.dims4()?);
    match (kernel_height, kernel_width) {
        (1, _) => Ok(dilation.1),
        (_, 1) => Ok(dilation.0),
        _ if dilation.0 == dilation.1 => Ok(dilation.0),
        _ => bail!("a dilation of {dilation:?} for a kernel of {kernel_height}x{kernel_width} has no path on this device"),
    }
}

fn padded(input: &Tensor, padding: (usize, usize)) -> Result<Tensor> {
    input.pad_with_zeros(2, padding.0, padding.0)?.pad_with_zeros(3, padding.1, padding.1)
}

/// The first of a dimension and every `step`-th from there.
fn every(tensor: &Tensor, dim: usize, step: usize) -> Result<Tensor> {
    if step == 1 {
        return Ok(tensor.clone());
    }
    tensor.contiguous()?.index_select(&Tensor::arange_step(0, tensor.dim(dim)? as u32, step as u32, tensor.device())?, dim)
}

/// Hands on an output that was computed without a graph, and knows its gradients.
struct WithGradients(Conv2dConfig);

impl WithGradients {
    /// What each input gave to the output: the gradient, each side filled with as many zeros as the strides left out and brought to the size at
    /// which all taps lie over it, convolved with the turned kernels.
    fn of_input(&self, input: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let Conv2dConfig { stride, padding, dilation } = self.0;
        let (_, _, kernel_height, kernel_width) = weight.dims4()?;
        let mut spread = spread(gradient, stride)?;
        for (dim, padding, span) in [(2, padding.0, dilation.0 * (kernel_height - 1)), (3, padding.1, dilation.1 * (kernel_width - 1))] {
            let (span, padding) = (span as isize, padding as isize);
            let before = span - padding;
            let behind = input.dim(dim)? as isize + span - spread.dim(dim)? as isize - before;
            spread = resized(&spread, dim, before, behind)?;
        }
        let turned = weight.transpose(0, 1)?.contiguous()?.flip(&[2, 3])?;
        spread.conv2d(&turned, 0, 1, one_dilation(self.0, weight)?, 1)
    }

    /// A convolution of the images, one for each channel, with the gradients for kernels.
    fn of_weight(&self, input: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let Conv2dConfig { stride, padding, .. } = self.0;
        let (_, _, kernel_height, kernel_width) = weight.dims4()?;
        let (gradient, step) = match stride.0 == stride.1 {
            true => (gradient.clone(), stride.0),
            false => (spread(gradient, stride)?, 1),
        };
        let images = padded(input, padding)?.transpose(0, 1)?.contiguous()?;
        let taps = images.conv2d(&gradient.transpose(0, 1)?.contiguous()?, 0, one_dilation(self.0, weight)?, step, 1)?;
        // Rows and columns that no window reaches give taps that the kernel does not have.
        taps.narrow(2, 0, kernel_height)?.narrow(3, 0, kernel_width)?.transpose(0, 1)?.contiguous()
    }
}

/// With `stride - 1` zeros between its rows and columns.
fn spread(gradient: &Tensor, stride: (usize, usize)) -> Result<Tensor> {
    let mut spread = gradient.clone();
    for (dim, stride) in [(2, stride.0), (3, stride.1)].into_iter().filter(|(_, stride)| *stride > 1) {
        let mut dims = spread.dims().to_vec();
        let filled = spread.unsqueeze(dim + 1)?.pad_with_zeros(dim + 1, 0, stride - 1)?;
        let size = (dims[dim] * stride + 1).saturating_sub(stride);
        dims[dim] *= stride;
        spread = filled.reshape(dims)?.narrow(dim, 0, size)?;
    }
    spread.contiguous()
}

/// With so many zeros more at either side; of a negative number, so many less of what is there.
fn resized(tensor: &Tensor, dim: usize, before: isize, behind: isize) -> Result<Tensor> {
    let less = |side: isize| usize::try_from(-side).unwrap_or(0);
    let more = |side: isize| usize::try_from(side).unwrap_or(0);
    let kept = tensor.dim(dim)?.saturating_sub(less(before) + less(behind));
    tensor.narrow(dim, less(before), kept)?.pad_with_zeros(dim, more(before), more(behind))
}

impl CustomOp3 for WithGradients {
    fn name(&self) -> &'static str {
        "conv2d-of-candle"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout, s3: &CpuStorage, l3: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((s3.try_clone(l3)?, l3.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        s3: &CudaStorage,
        l3: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((s3.try_clone(l3)?, l3.shape().clone()))
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
        s3: &MetalStorage,
        l3: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        Ok((s3.try_clone(l3)?, l3.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (x, w, g) = (input.detach(), weight.detach(), gradient.detach());
        let of_input = input.track_op().then(|| self.of_input(&x, &w, &g)).transpose()?;
        let of_weight = weight.track_op().then(|| self.of_weight(&x, &w, &g)).transpose()?;
        Ok((of_input, of_weight, None))
    }
}
