//! Layer normalisation and L2 normalisation, composed of ops that have gradients (candle's fused paths drop them).

use candle_core::{D, Result, Tensor};
use candle_nn::{Init, VarBuilder};

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
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let normal = centred.broadcast_div(&(variance + self.eps)?.sqrt()?)?;
        normal.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?.to_dtype(input.dtype())
    }
}

/// Divides each row of `[rows, features]` by `max(‖row‖₂, eps)`. A zero row stays zero and has gradient zero, not NaN.
pub fn l2_normalize(input: &Tensor, eps: f64) -> Result<Tensor> {
    let squares = input.sqr()?.sum_keepdim(1)?;
    // The floor sits under the root, where the derivative at zero would be infinite.
    let norm = squares.maximum(&squares.zeros_like()?.affine(0.0, (eps * eps).max(f64::from(f32::MIN_POSITIVE)))?)?.sqrt()?;
    input.broadcast_div(&norm)
}
