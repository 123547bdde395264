//! Training of a convolution with the batch normalisation behind it as one op.
//!
//! As two ops the map between them is a node of the graph: candle sets its gradient to zero and adds the only part of it, and keeps the
//! map until the loss is dropped. Here the op keeps it, and its backward pass frees it.

use super::Lengths;
use super::batch_norm::{BatchNorm, BatchNormOp};
use super::conv::{Conv2d, ConvOp, conv_shape, output_shape};
use super::cpu::{contiguous_f32, runs_on_cpu_kernels, with_slices};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use mm_kernels::conv::Conv2dShape;
use std::sync::{Mutex, PoisonError};

/// `norm(conv(input))`, with a ReLU behind it or none, in training; `None` where it has to be two ops (no kernels, no statistics).
pub(super) fn train_as_one(
    conv: &Conv2d,
    norm: &BatchNorm,
    input: &Tensor,
    relu: bool,
    lengths: Option<&Lengths>,
) -> Result<Option<Tensor>> {
    if !runs_on_cpu_kernels(input) {
        return Ok(None);
    }
    let shape = conv_shape(conv.config(), input.dims(), conv.weight().dims())?;
    let Some(norm_op) = norm.op_within(&output_shape(&shape), relu, lengths)? else {
        return Ok(None);
    };
    let statistics = norm_op.statistics.clone();
    let channels = match conv.bias() {
        None => norm.affine()?,
        Some(bias) => Tensor::cat(&[norm.affine()?, bias.unsqueeze(0)?], 0)?,
    };
    let op = ConvNormOp { conv: ConvOp { config: conv.config(), relu: false }, norm: norm_op, shape, between: Mutex::default() };
    let output = input.contiguous()?.apply_op3(&conv.weight().contiguous()?, &channels, op)?;
    norm.update_from(&statistics, input.device())?;
    Ok(Some(output))
}

/// Of input, weight, and what there is a number a channel of: the norm's weight and bias, and the bias of the convolution if it has one.
struct ConvNormOp {
    conv: ConvOp,
    norm: BatchNormOp,
    shape: Conv2dShape,
    /// The map between the two, until a backward pass took it.
    between: Mutex<Option<Vec<f32>>>,
}

impl ConvNormOp {
    fn between(&self) -> std::sync::MutexGuard<'_, Option<Vec<f32>>> {
        self.between.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Weight and bias of the norm, bias of the convolution.
    fn parts<'a>(&self, channels: &'a [f32]) -> (&'a [f32], &'a [f32], Option<&'a [f32]>) {
        let (weight, rest) = channels.split_at(self.shape.out_channels);
        let (bias, of_conv) = rest.split_at(self.shape.out_channels);
        (weight, bias, (!of_conv.is_empty()).then_some(of_conv))
    }
}

impl CustomOp3 for ConvNormOp {
    fn name(&self) -> &'static str {
        "conv2d-batch-norm"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        channels: &CpuStorage,
        channels_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w) = (contiguous_f32(input, input_layout)?, contiguous_f32(weight, weight_layout)?);
        let (norm_weight, norm_bias, bias) = self.parts(contiguous_f32(channels, channels_layout)?);
        let between = self.conv.forward(self.shape, x, w, bias)?;
        let output = self.norm.forward(&between, norm_weight, norm_bias, None)?;
        *self.between() = Some(between);
        Ok((CpuStorage::F32(output), output_shape(&self.shape)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        channels: &Tensor,
        output: &Tensor,
        output_gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let kept = self.between().take();
        let (between_gradient, channels_gradient) = with_slices([channels, output, output_gradient], |[channels, y, g]| {
            let (norm_weight, _, bias) = self.parts(channels);
            let between = match kept {
                Some(between) => between,
                // A second backward pass over the same graph.
                None => with_slices([input, weight], |[x, w]| self.conv.forward(self.shape, x, w, bias))?,
            };
            let [between_gradient, mut channels_gradient, of_bias, _] = self.norm.backward(&between, norm_weight, y, g, false)?;
            channels_gradient.extend(of_bias);
            if bias.is_some() {
                channels_gradient.extend(self.conv.bias_gradient(self.shape, &between_gradient)?);
            }
            Ok((between_gradient, channels_gradient))
        })?;
        let (input_gradient, weight_gradient) = self.conv.gradients_of(input, weight, &between_gradient)?;
        Ok((input_gradient, weight_gradient, Some(Tensor::from_vec(channels_gradient, channels.shape(), channels.device())?)))
    }
}
