//! A convolution with its norm, as a part of an op.

use super::batch_norm::BatchNormOp;
use super::conv::{ConvOp, conv_shape, output_shape};
use super::cpu::with_slices;
use super::handed_over::{HandedOver, Slot};
use super::{ConvNorm, Lengths};
use candle_core::{Result, Shape, Tensor};
use mm_kernels::conv::Conv2dShape;
use std::borrow::Cow;

/// A parameter: its numbers, and where its gradient goes.
struct Parameter {
    numbers: Tensor,
    slot: Slot,
}

impl Parameter {
    fn new(tensor: &Tensor, parameters: &mut HandedOver) -> Result<Self> {
        Ok(Self { numbers: tensor.detach().contiguous()?, slot: parameters.add(tensor)? })
    }
}

/// A convolution, and the norm behind it if it has one.
pub(super) struct Step {
    /// With the ReLU where there is no norm.
    conv: ConvOp,
    pub(super) shape: Conv2dShape,
    weight: Parameter,
    bias: Option<Parameter>,
    norm: Option<(BatchNormOp, [Parameter; 2])>,
}

impl Step {
    pub(super) fn new(
        layer: &ConvNorm,
        relu: bool,
        lengths: Option<&Lengths>,
        input: &Shape,
        parameters: &mut HandedOver,
    ) -> Result<Option<Self>> {
        layer.forget();
        let conv = layer.conv();
        let shape = conv_shape(conv.config(), input.dims(), conv.weight().dims())?;
        let norm = match layer.norm() {
            Some(norm) => {
                let Some(op) = norm.op_within(&output_shape(&shape), relu, lengths)? else {
                    return Ok(None);
                };
                let [weight, bias] = norm.parameters();
                Some((op, [Parameter::new(weight, parameters)?, Parameter::new(bias, parameters)?]))
            }
            // Nobody sets to zero what is behind the end of a sequence.
            None if lengths.is_some() => return Ok(None),
            None => None,
        };
        Ok(Some(Self {
            conv: ConvOp { config: conv.config(), relu: relu && norm.is_none() },
            shape,
            weight: Parameter::new(conv.weight(), parameters)?,
            bias: conv.bias().map(|bias| Parameter::new(bias, parameters)).transpose()?,
            norm,
        }))
    }

    pub(super) fn statistics(&self) -> Option<super::batch_norm::Shared> {
        self.norm.as_ref().map(|(op, _)| op.statistics.clone())
    }

    /// The map before the norm (empty without one), and the output.
    pub(super) fn forward(&self, x: &[f32], residual: Option<&[f32]>) -> Result<[Vec<f32>; 2]> {
        let convolved = with_slices([&self.weight.numbers], |[weight]| match &self.bias {
            None => self.conv.forward(self.shape, x, weight, None),
            Some(bias) => with_slices([&bias.numbers], |[bias]| self.conv.forward(self.shape, x, weight, Some(bias))),
        })?;
        let Some((op, [weight, bias])) = &self.norm else {
            return Ok([Vec::new(), convolved]);
        };
        let output = with_slices([&weight.numbers, &bias.numbers], |[weight, bias]| op.forward(&convolved, weight, bias, residual))?;
        Ok([convolved, output])
    }

    /// Gradients of its input (if it is asked for) and of the residual (if there is one); those of the parameters are left in their slots.
    pub(super) fn backward(
        &self,
        x: &[f32],
        [between, y]: [&[f32]; 2],
        g: &[f32],
        has_residual: bool,
        asked: bool,
    ) -> Result<[Vec<f32>; 2]> {
        let (before, of_residual) = match &self.norm {
            Some((op, [weight, bias])) => {
                let gradients = with_slices([&weight.numbers], |[weight]| op.backward(between, weight, y, g, has_residual))?;
                let [before, of_weight, of_bias, of_residual] = gradients;
                weight.slot.leave(of_weight);
                bias.slot.leave(of_bias);
                (Cow::Owned(before), of_residual)
            }
            None if self.conv.relu => (Cow::Owned(ConvOp::relu_gradient(y, g)?), Vec::new()),
            None => (Cow::Borrowed(g), Vec::new()),
        };
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.slot.wanted()) {
            bias.slot.leave(ConvOp::bias_gradient(self.shape, &before)?);
        }
        if self.weight.slot.wanted() {
            self.weight.slot.leave(ConvOp::weight_gradient(self.shape, x, &before)?);
        }
        let of_input = match asked {
            true => with_slices([&self.weight.numbers], |[weight]| ConvOp::input_gradient(self.shape, &before, weight))?,
            false => Vec::new(),
        };
        Ok([of_input, of_residual])
    }
}
