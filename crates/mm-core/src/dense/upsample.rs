//! Enlarging maps by a layer that learns.

use crate::error::Result;
use crate::nn::{Conv2dConfig, DepthwiseConv2d, is_to_be_loaded, upsample_nearest2d};
use candle_core::{Tensor, Var};
use candle_nn::{Init, VarBuilder};

/// Nearest neighbour to twice the size, then a depthwise 3x3 convolution that starts as bilinear interpolation.
///
/// Parameters `conv.{weight, bias}`.
pub struct LearnedUpsample {
    conv: DepthwiseConv2d,
}

impl LearnedUpsample {
    /// For maps of so many channels.
    pub fn new(channels: usize, vb: VarBuilder) -> Result<Self> {
        let vb = vb.pp("conv");
        let is_new = !vb.contains_tensor("weight") && !is_to_be_loaded(&vb);
        let weight = vb.get_with_hints((channels, 1, 3, 3), "weight", Init::Const(1.0 / 9.0))?;
        if is_new {
            let bilinear = [1f32, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0].map(|weight| weight / 16.0);
            let bilinear = Tensor::from_slice(&bilinear, (1, 1, 3, 3), weight.device())?.to_dtype(weight.dtype())?;
            Var::from_tensor(&weight)?.set(&bilinear.broadcast_as(weight.shape())?.contiguous()?)?;
        }
        let bias = vb.get_with_hints(channels, "bias", Init::Const(0.0))?;
        Ok(Self { conv: DepthwiseConv2d::new(weight, Some(bias), Conv2dConfig::square(1, 1)) })
    }

    /// `[batch, channels, height, width]` to `[batch, channels, 2 height, 2 width]`.
    pub fn forward(&self, map: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = map.dims4()?;
        Ok(self.conv.forward(&upsample_nearest2d(map, (2 * height, 2 * width))?)?)
    }
}
