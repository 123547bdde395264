//! GELU.

use super::cpu::{contiguous_f32, kernel_error, runs_on_cpu_kernels, widened, with_slices};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use mm_kernels::gelu::{gelu_backward, gelu_forward};
use mm_kernels::unspecified;

/// The exact GELU (Hendrycks & Gimpel 2016): `x Φ(x)`, with Φ the distribution function of N(0, 1).
pub fn gelu(input: &Tensor) -> Result<Tensor> {
    widened(input, |input| if runs_on_cpu_kernels(input) { input.contiguous()?.apply_op1(GeluOp) } else { input.gelu_erf() })
}

struct GeluOp;

impl CustomOp1 for GeluOp {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let input = contiguous_f32(storage, layout)?;
        let mut output = unspecified(input.len());
        gelu_forward(input, &mut output).map_err(kernel_error)?;
        Ok((CpuStorage::F32(output), layout.shape().clone()))
    }

    fn bwd(&self, input: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        with_slices([input, gradient], |[x, g]| {
            let mut to = unspecified(x.len());
            gelu_backward(x, g, &mut to).map_err(kernel_error)?;
            Tensor::from_vec(to, input.shape(), input.device()).map(Some)
        })
    }
}
