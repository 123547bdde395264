//! Layer normalisation and L2 normalisation with gradients (candle's fused paths drop them).

use super::backward::hand_over;
use super::cpu::{contiguous_f32, kernel_error, runs_on_cpu_kernels, with_slices};
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};
use candle_nn::{Init, VarBuilder};
use mm_kernels::layer_norm::{layer_norm_backward, layer_norm_forward};
use mm_kernels::unspecified;

/// Normalises the last dimension; parameters `weight` and `bias`, both `[features]`.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

/// A layer normalisation over the last dimension.
pub fn layer_norm(features: usize, eps: f64, vb: VarBuilder) -> Result<LayerNorm> {
    let get = |name: &str, value: f64| vb.get_with_hints(features, name, Init::Const(value));
    Ok(LayerNorm::new(get("weight", 1.0)?, get("bias", 0.0)?, eps))
}

impl LayerNorm {
    /// From its tensors, each `[features]`.
    pub fn new(weight: Tensor, bias: Tensor, eps: f64) -> Self {
        Self { weight, bias, eps }
    }

    /// Applies it to `[.., features]`; computes in the dtype of the parameters, returns that of the input.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let x = input.to_dtype(self.weight.dtype())?;
        if runs_on_cpu_kernels(&x) && x.dims().last() == Some(&self.weight.elem_count()) {
            let op = LayerNormOp { eps: self.eps as f32 };
            return x.contiguous()?.apply_op3(&self.weight.contiguous()?, &self.bias.contiguous()?, op)?.to_dtype(input.dtype());
        }
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let normal = centred.broadcast_div(&(variance + self.eps)?.sqrt()?)?;
        normal.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?.to_dtype(input.dtype())
    }
}

struct LayerNormOp {
    eps: f32,
}

impl CustomOp3 for LayerNormOp {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (input, weight, bias) = (contiguous_f32(s1, l1)?, contiguous_f32(s2, l2)?, contiguous_f32(s3, l3)?);
        let mut output = unspecified(input.len());
        layer_norm_forward(input, weight, bias, self.eps, &mut output).map_err(kernel_error)?;
        Ok((CpuStorage::F32(output), l1.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        with_slices([input, weight, gradient], |[x, w, g]| {
            let gradients = layer_norm_backward(x, w, self.eps, g).map_err(kernel_error)?;
            let tensor = |values, like: &Tensor| hand_over(like, Tensor::from_vec(values, like.shape(), like.device())?);
            Ok((tensor(gradients.input, input)?, tensor(gradients.weight, weight)?, tensor(gradients.bias, bias)?))
        })
    }
}

/// Divides each row of `[rows, features]` by `max(‖row‖₂, eps)`. A zero row stays zero and has gradient zero, not NaN.
pub fn l2_normalize(input: &Tensor, eps: f64) -> Result<Tensor> {
    let squares = input.sqr()?.sum_keepdim(1)?;
    // The floor sits under the root, where the derivative at zero would be infinite.
    let norm = squares.maximum(&squares.zeros_like()?.affine(0.0, (eps * eps).max(f64::from(f32::MIN_POSITIVE)))?)?.sqrt()?;
    input.broadcast_div(&norm)
}
