//! Two-dimensional convolution.
//!
//! On the CPU in f32 with kernels of our own; everywhere else made of candle ops, in the dtype of the input.

use super::backward::hand_over;
use super::conv_composed::composed;
use super::cpu::{contiguous_f32, kernel_error, runs_on_cpu_kernels, widened, with_slices};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use candle_nn::{Init, VarBuilder};
use mm_kernels::conv::{
    Conv2dShape, Epilogue, conv2d_bias_gradient, conv2d_forward, conv2d_forward_with, conv2d_input_gradient, conv2d_weight_gradient,
};
use mm_kernels::dense::relu_gradient;
use mm_kernels::unspecified;
use std::borrow::Cow;

/// Geometry of a convolution, each as (height, width).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dConfig {
    /// Step between windows.
    pub stride: (usize, usize),
    /// Zeros around the image.
    pub padding: (usize, usize),
    /// Step between the taps of a window.
    pub dilation: (usize, usize),
}

impl Default for Conv2dConfig {
    fn default() -> Self {
        Self { stride: (1, 1), padding: (0, 0), dilation: (1, 1) }
    }
}

impl Conv2dConfig {
    /// The same stride and padding in both directions.
    pub fn square(stride: usize, padding: usize) -> Self {
        Self { stride: (stride, stride), padding: (padding, padding), ..Self::default() }
    }
}

/// Convolution of `[batch, inputs, height, width]` with `weight [outputs, inputs, kernel height, kernel width]` and an
/// optional `bias [outputs]`.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    config: Conv2dConfig,
}

/// A convolution without bias, initialised as He et al. for ReLU (fan out), as the published residual networks.
pub fn conv2d_no_bias(inputs: usize, outputs: usize, kernel: (usize, usize), config: Conv2dConfig, vb: VarBuilder) -> Result<Conv2d> {
    let stdev = (2.0 / (outputs * kernel.0 * kernel.1) as f64).sqrt();
    let weight = vb.get_with_hints((outputs, inputs, kernel.0, kernel.1), "weight", Init::Randn { mean: 0.0, stdev })?;
    Ok(Conv2d::new(weight, None, config))
}

/// A convolution with bias, initialised as PyTorch does: uniform within `1 / sqrt(fan in)`.
pub fn conv2d(inputs: usize, outputs: usize, kernel: (usize, usize), config: Conv2dConfig, vb: VarBuilder) -> Result<Conv2d> {
    let bound = 1.0 / ((inputs * kernel.0 * kernel.1).max(1) as f64).sqrt();
    let init = Init::Uniform { lo: -bound, up: bound };
    let weight = vb.get_with_hints((outputs, inputs, kernel.0, kernel.1), "weight", init)?;
    Ok(Conv2d::new(weight, Some(vb.get_with_hints(outputs, "bias", init)?), config))
}

/// A convolution with bias, initialised as He et al. for ReLU (fan out), the bias with zeros.
pub fn conv2d_for_relu(inputs: usize, outputs: usize, kernel: (usize, usize), config: Conv2dConfig, vb: VarBuilder) -> Result<Conv2d> {
    let bias = vb.get_with_hints(outputs, "bias", Init::Const(0.0))?;
    Ok(Conv2d { bias: Some(bias), ..conv2d_no_bias(inputs, outputs, kernel, config, vb)? })
}

impl Conv2d {
    /// From its tensors.
    pub fn new(weight: Tensor, bias: Option<Tensor>, config: Conv2dConfig) -> Self {
        Self { weight, bias, config }
    }

    /// `[outputs, inputs, kernel height, kernel width]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[outputs]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// Its geometry.
    pub fn config(&self) -> Conv2dConfig {
        self.config
    }

    /// Applies it to `[batch, inputs, height, width]`.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        widened(input, |input| self.apply(input, false))
    }

    /// [`Conv2d::forward`] followed by ReLU, in one op.
    pub fn forward_relu(&self, input: &Tensor) -> Result<Tensor> {
        widened(input, |input| self.apply(input, true))
    }

    fn apply(&self, input: &Tensor, relu: bool) -> Result<Tensor> {
        if runs_on_cpu_kernels(input) {
            let (input, weight) = (input.contiguous()?, self.weight.contiguous()?);
            let op = ConvOp { config: self.config, relu };
            return match &self.bias {
                Some(bias) => input.apply_op3(&weight, bias, op),
                None => input.apply_op2(&weight, op),
            };
        }
        let output = add_bias(composed(input, &self.weight, self.config)?, self.bias.as_ref())?;
        if relu { output.relu() } else { Ok(output) }
    }
}

/// `output + bias`, a number a channel.
pub(super) fn add_bias(output: Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    match bias {
        Some(bias) => output.broadcast_add(&bias.reshape((1, bias.elem_count(), 1, 1))?.to_dtype(output.dtype())?),
        None => Ok(output),
    }
}

pub(super) struct ConvOp {
    pub(super) config: Conv2dConfig,
    pub(super) relu: bool,
}

/// The sizes of a convolution, refused where they do not fit each other.
pub(super) fn conv_shape(config: Conv2dConfig, input: &[usize], weight: &[usize]) -> Result<Conv2dShape> {
    let (&[batch, channels, height, width], &[outputs, inputs, kernel_height, kernel_width]) = (input, weight) else {
        bail!("conv2d: input {input:?} and weight {weight:?} must both have four dimensions");
    };
    if channels != inputs {
        bail!("conv2d: input {input:?} has {channels} channels, weight {weight:?} asks for {inputs}");
    }
    let Conv2dConfig { stride, padding, dilation } = config;
    let (in_channels, out_channels, kernel) = (inputs, outputs, (kernel_height, kernel_width));
    Conv2dShape { batch, in_channels, out_channels, height, width, kernel, stride, padding, dilation }.checked().map_err(kernel_error)
}

/// The shape of a convolution's output.
pub(super) fn output_shape(shape: &Conv2dShape) -> Shape {
    Shape::from((shape.batch, shape.out_channels, shape.out_height(), shape.out_width()))
}

impl ConvOp {
    fn run(
        &self,
        input: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = conv_shape(self.config, input.1.dims(), weight.1.dims())?;
        let bias = bias.map(|(storage, layout)| contiguous_f32(storage, layout)).transpose()?;
        let (x, w) = (contiguous_f32(input.0, input.1)?, contiguous_f32(weight.0, weight.1)?);
        Ok((CpuStorage::F32(self.forward(shape, x, w, bias)?), output_shape(&shape)))
    }

    pub(super) fn forward(&self, shape: Conv2dShape, x: &[f32], w: &[f32], bias: Option<&[f32]>) -> Result<Vec<f32>> {
        let mut output = unspecified(shape.output_length());
        match self.relu {
            false => conv2d_forward(shape, x, w, bias, &mut output),
            true => conv2d_forward_with(shape, x, w, Epilogue { relu: true, ..Epilogue::bias(bias) }, &mut output),
        }
        .map_err(kernel_error)?;
        Ok(output)
    }

    /// The gradient of what comes before the ReLU.
    fn before_relu<'a>(&self, output: &Tensor, gradient: &'a Tensor) -> Result<Cow<'a, Tensor>> {
        if !self.relu {
            return Ok(Cow::Borrowed(gradient));
        }
        let before = with_slices([output, gradient], |[y, g]| Self::relu_gradient(y, g))?;
        Ok(Cow::Owned(Tensor::from_vec(before, gradient.shape(), gradient.device())?))
    }

    pub(super) fn relu_gradient(y: &[f32], g: &[f32]) -> Result<Vec<f32>> {
        let mut before = unspecified(g.len());
        relu_gradient(y, g, &mut before).map_err(kernel_error)?;
        Ok(before)
    }

    pub(super) fn bias_gradient(shape: Conv2dShape, g: &[f32]) -> Result<Vec<f32>> {
        let mut out = vec![0.0; shape.out_channels];
        conv2d_bias_gradient(shape, g, &mut out).map_err(kernel_error)?;
        Ok(out)
    }

    pub(super) fn input_gradient(shape: Conv2dShape, g: &[f32], w: &[f32]) -> Result<Vec<f32>> {
        let mut out = unspecified(shape.input_length());
        conv2d_input_gradient(shape, g, w, &mut out).map_err(kernel_error)?;
        Ok(out)
    }

    pub(super) fn weight_gradient(shape: Conv2dShape, x: &[f32], g: &[f32]) -> Result<Vec<f32>> {
        let mut out = unspecified(shape.weight_length());
        conv2d_weight_gradient(shape, x, g, &mut out).map_err(kernel_error)?;
        Ok(out)
    }

    fn gradients(&self, input: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let shape = conv_shape(self.config, input.dims(), weight.dims())?;
        let tensor = |numbers: Vec<f32>, like: &Tensor| Tensor::from_vec(numbers, like.shape(), like.device());
        with_slices([input, weight, gradient], |[x, w, g]| {
            let of_input = input.track_op().then(|| tensor(Self::input_gradient(shape, g, w)?, input));
            let of_weight = weight.track_op().then(|| hand_over(weight, tensor(Self::weight_gradient(shape, x, g)?, weight)?));
            Ok((of_input.transpose()?, of_weight.transpose()?.flatten()))
        })
    }
}

impl CustomOp2 for ConvOp {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run((s1, l1), (s2, l2), None)
    }

    fn bwd(&self, input: &Tensor, weight: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(input, weight, self.before_relu(output, gradient)?.as_ref())
    }
}

impl CustomOp3 for ConvOp {
    fn name(&self) -> &'static str {
        "conv2d"
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
        self.run((s1, l1), (s2, l2), Some((s3, l3)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = self.before_relu(output, gradient)?;
        let gradient = gradient.as_ref();
        let (input_gradient, weight_gradient) = self.gradients(input, weight, gradient)?;
        let shape = conv_shape(self.config, input.dims(), weight.dims())?;
        let bias_gradient = with_slices([gradient], |[g]| Self::bias_gradient(shape, g))?;
        let bias_gradient = Tensor::from_vec(bias_gradient, bias.shape(), bias.device())?;
        Ok((input_gradient, weight_gradient, hand_over(bias, bias_gradient)?))
    }
}
