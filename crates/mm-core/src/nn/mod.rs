//! Layers with right gradients on every device, and the seeded store of their parameters.
//!
//! Layers are made as in candle-nn, from a [`candle_nn::VarBuilder`]; take it from [`Parameters::builder`] and every
//! initial value is a function of (seed, parameter name), whatever the order of construction.

mod attention;
mod backward;
mod batch_norm;
mod concat_conv;
mod concat_linear;
mod conv;
mod conv_chain;
mod conv_composed;
mod conv_norm;
mod conv_step;
mod cpu;
mod depthwise_conv;
mod dropout;
mod gaussian;
mod gelu;
mod handed_over;
mod lengths;
mod linear;
mod max_pool;
mod norm;
mod parameters;
mod positions;
mod resample;
mod residual;
mod scale_channels;
mod scatter;
mod squeeze_excite;

use crate::error::{Error, Result};
use candle_core::Tensor;

pub use attention::{Sequences, attention};
pub use backward::backward;
pub use batch_norm::{BatchNorm, batch_norm, batch_norm_with_eps};
pub use concat_conv::{ConcatConv2d, concat_conv2d};
pub use concat_linear::{ConcatLinear, concat_linear};
pub use conv::{Conv2d, Conv2dConfig, conv2d, conv2d_for_relu, conv2d_no_bias};
pub use conv_chain::{Residual, conv_chain};
pub use conv_norm::{ConvNorm, conv_norm};
pub(crate) use cpu::{add, kernel_error, with_slices};
pub use cpu::{contiguous_f32, runs_on_cpu_kernels};
pub use depthwise_conv::{DepthwiseConv2d, depthwise_conv2d};
pub use dropout::dropout;
pub use gaussian::{GaussianFeature, GaussianHeads, GaussianHeadsConfig};
pub use gelu::gelu;
pub use lengths::Lengths;
pub use linear::{Linear, linear, linear_no_bias};
pub use max_pool::max_pool2d;
pub use mm_kernels::conv::with_exact_sums;
pub use norm::{LayerNorm, l2_normalize, layer_norm};
pub use parameters::{Parameters, is_running_statistic};
pub(crate) use parameters::{is_to_be_loaded, name_list, name_lists, set_learning_rate_factor};
pub use positions::at_every_position;
pub use resample::{adaptive_avg_pool2d, avg_pool2d, mean_of_map, upsample_bilinear2d, upsample_nearest2d};
pub use residual::{BlockKind, ResidualBlock, residual_block, residual_blocks, residual_stage};
pub use scale_channels::scale_channels;
pub use scatter::{gather_rows, scatter_rows};
pub use squeeze_excite::{SqueezeExcite, squeeze_excite};

/// Widest layer of an MLP.
const WIDEST_LAYER: usize = 1 << 16;

/// Refuses an MLP without layers, and layers of width 0 or above 65 536; `field` is for the message.
pub fn check_widths(field: &str, widths: &[usize]) -> Result<()> {
    if widths.is_empty() {
        return Err(Error::config(field, "at least one layer is needed"));
    }
    match widths.iter().find(|width| !(1..=WIDEST_LAYER).contains(*width)) {
        Some(width) => Err(Error::config(field, format!("a layer has 1 to {WIDEST_LAYER} units, found {width}"))),
        None => Ok(()),
    }
}

/// Whether a pass is part of training (batch statistics, dropout, sampling) or of prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics, dropout and sampling are on; running statistics are updated.
    Train,
    /// Prediction: running statistics, no randomness, and results without a graph for gradients.
    Eval,
    /// As [`Mode::Eval`], of parameters that do not change any more: what is computed from them alone is kept and not checked again.
    Frozen,
}

impl Mode {
    /// `true` in training.
    pub fn is_train(self) -> bool {
        self == Mode::Train
    }

    /// What a pass of this mode hands out: in prediction, without the graph of how it came about.
    pub fn result(self, tensor: Tensor) -> Tensor {
        if self.is_train() { tensor } else { tensor.detach() }
    }
}
