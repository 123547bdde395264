//! Max pooling.

use super::cpu::{contiguous_f32, kernel_error, runs_on_cpu_kernels, with_slices};
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};
use mm_kernels::Pool2dShape;
use mm_kernels::max_pool::{max_pool2d_backward, max_pool2d_forward};
use mm_kernels::unspecified;
use std::sync::{Mutex, PoisonError};

/// Largest value of each window of `[batch, channels, height, width]`; padding never wins.
pub fn max_pool2d(input: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (batch, channels, height, width) = input.dims4()?;
    let pair = |n| (n, n);
    let shape = Pool2dShape { batch, channels, height, width, kernel: pair(kernel), stride: pair(stride), padding: pair(padding) };
    let shape = shape.checked().map_err(kernel_error)?;
    match runs_on_cpu_kernels(input) {
        true => input.contiguous()?.apply_op1(MaxPoolOp { shape, indices: Mutex::default() }),
        false => composed(input, shape),
    }
}

/// The largest of the shifted images, one for each tap: candle's own max pooling has a wrong gradient.
fn composed(input: &Tensor, shape: Pool2dShape) -> Result<Tensor> {
    let padded = pad_with_lowest(&pad_with_lowest(input, 2, shape.padding.0)?, 3, shape.padding.1)?;
    let (out_h, out_w) = (shape.out_height(), shape.out_width());
    let positions = |start: usize, count: usize, step: usize| {
        let all: Vec<u32> = (0..count).map(|i| (start + i * step) as u32).collect();
        Tensor::from_vec(all, count, input.device())
    };
    let mut largest: Option<Tensor> = None;
    for dy in 0..shape.kernel.0 {
        let rows = padded.index_select(&positions(dy, out_h, shape.stride.0)?, 2)?;
        for dx in 0..shape.kernel.1 {
            let tap = rows.index_select(&positions(dx, out_w, shape.stride.1)?, 3)?;
            largest = Some(match largest {
                Some(largest) => largest.maximum(&tap)?,
                None => tap,
            });
        }
    }
    largest.ok_or_else(|| candle_core::Error::Msg("a window of no taps".into()))
}

/// Padding that never wins: lower than any value, but finite, for infinity times a gradient of zero would be NaN.
fn pad_with_lowest(input: &Tensor, dim: usize, padding: usize) -> Result<Tensor> {
    if padding == 0 {
        return Ok(input.clone());
    }
    let lowest = if input.dtype() == DType::F16 { -65504.0 } else { f32::MIN / 2.0 };
    let mut dims = input.dims().to_vec();
    dims[dim] = padding;
    let side = Tensor::full(lowest, dims, input.device())?.to_dtype(input.dtype())?;
    Tensor::cat(&[&side, input, &side], dim)
}

struct MaxPoolOp {
    shape: Pool2dShape,
    indices: Mutex<Vec<u32>>,
}

impl CustomOp1 for MaxPoolOp {
    fn name(&self) -> &'static str {
        "max-pool2d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let length = self.shape.output_length();
        let (mut output, mut indices) = (unspecified(length), vec![0; length]);
        max_pool2d_forward(self.shape, contiguous_f32(storage, layout)?, &mut output, &mut indices).map_err(kernel_error)?;
        *self.indices.lock().unwrap_or_else(PoisonError::into_inner) = indices;
        let shape = Shape::from((self.shape.batch, self.shape.channels, self.shape.out_height(), self.shape.out_width()));
        Ok((CpuStorage::F32(output), shape))
    }

    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let indices = self.indices.lock().unwrap_or_else(PoisonError::into_inner);
        with_slices([gradient], |[g]| {
            let mut out = unspecified(input.elem_count());
            max_pool2d_backward(self.shape, &indices, g, &mut out).map_err(kernel_error)?;
            Tensor::from_vec(out, input.shape(), input.device()).map(Some)
        })
    }
}
