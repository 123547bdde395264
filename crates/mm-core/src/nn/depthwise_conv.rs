//! Depthwise convolution: every channel has its own small kernel.

use super::backward::hand_over;
use super::conv::{Conv2dConfig, add_bias, output_shape};
use super::conv_composed::composed_depthwise;
use super::cpu::{contiguous_f32, kernel_error, runs_on_cpu_kernels, widened, with_slices};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use candle_nn::{Init, VarBuilder};
use mm_kernels::conv::{
    Conv2dShape, conv2d_bias_gradient, depthwise_conv2d_forward, depthwise_conv2d_input_gradient, depthwise_conv2d_weight_gradient,
};
use mm_kernels::unspecified;

/// Depthwise convolution of `[batch, channels, height, width]` with `weight [channels, 1, kernel height, kernel width]` and
/// an optional `bias [channels]`.
#[derive(Debug, Clone)]
pub struct DepthwiseConv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    config: Conv2dConfig,
}

/// A depthwise convolution without bias, initialised as He et al. for ReLU (fan out of one channel).
pub fn depthwise_conv2d(channels: usize, kernel: (usize, usize), config: Conv2dConfig, vb: VarBuilder) -> Result<DepthwiseConv2d> {
    let stdev = (2.0 / (kernel.0 * kernel.1).max(1) as f64).sqrt();
    let weight = vb.get_with_hints((channels, 1, kernel.0, kernel.1), "weight", Init::Randn { mean: 0.0, stdev })?;
    Ok(DepthwiseConv2d::new(weight, None, config))
}

impl DepthwiseConv2d {
    /// From its tensors.
    pub fn new(weight: Tensor, bias: Option<Tensor>, config: Conv2dConfig) -> Self {
        Self { weight, bias, config }
    }

    /// Applies it to `[batch, channels, height, width]`; refused if the channels are not those of the weight.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let shape = shape(self.config, input.dims(), self.weight.dims())?;
        widened(input, |input| {
            if runs_on_cpu_kernels(input) {
                let (input, weight) = (input.contiguous()?, self.weight.contiguous()?);
                return match &self.bias {
                    Some(bias) => input.apply_op3(&weight, bias, DepthwiseOp(shape)),
                    None => input.apply_op2(&weight, DepthwiseOp(shape)),
                };
            }
            add_bias(composed_depthwise(input, &self.weight, self.config)?, self.bias.as_ref())
        })
    }
}

fn shape(config: Conv2dConfig, input: &[usize], weight: &[usize]) -> Result<Conv2dShape> {
    let (&[batch, channels, height, width], &[outputs, 1, kernel_height, kernel_width]) = (input, weight) else {
        bail!("depthwise conv2d: input {input:?} must be [batch, channels, height, width], weight {weight:?} [channels, 1, height, width]");
    };
    if channels != outputs {
        bail!("depthwise conv2d: input {input:?} has {channels} channels, weight {weight:?} is for {outputs}");
    }
    let Conv2dConfig { stride, padding, dilation } = config;
    let (in_channels, out_channels, kernel) = (channels, channels, (kernel_height, kernel_width));
    Conv2dShape { batch, in_channels, out_channels, height, width, kernel, stride, padding, dilation }.checked().map_err(kernel_error)
}

struct DepthwiseOp(Conv2dShape);

impl DepthwiseOp {
    fn run(
        &self,
        input: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let bias = bias.map(|(storage, layout)| contiguous_f32(storage, layout)).transpose()?;
        let mut output = unspecified(self.0.output_length());
        let (x, w) = (contiguous_f32(input.0, input.1)?, contiguous_f32(weight.0, weight.1)?);
        depthwise_conv2d_forward(self.0, x, w, bias, &mut output).map_err(kernel_error)?;
        Ok((CpuStorage::F32(output), output_shape(&self.0)))
    }

    fn gradients(&self, input: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        with_slices([input, weight, gradient], |[x, w, g]| {
            let input_gradient = input.track_op().then(|| {
                let mut out = unspecified(x.len());
                depthwise_conv2d_input_gradient(self.0, g, w, &mut out).map_err(kernel_error)?;
                Tensor::from_vec(out, input.shape(), input.device())
            });
            let weight_gradient = weight.track_op().then(|| {
                let mut out = unspecified(w.len());
                depthwise_conv2d_weight_gradient(self.0, x, g, &mut out).map_err(kernel_error)?;
                hand_over(weight, Tensor::from_vec(out, weight.shape(), weight.device())?)
            });
            Ok((input_gradient.transpose()?, weight_gradient.transpose()?.flatten()))
        })
    }
}

impl CustomOp2 for DepthwiseOp {
    fn name(&self) -> &'static str {
        "depthwise-conv2d"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run((s1, l1), (s2, l2), None)
    }

    fn bwd(&self, input: &Tensor, weight: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(input, weight, gradient)
    }
}

impl CustomOp3 for DepthwiseOp {
    fn name(&self) -> &'static str {
        "depthwise-conv2d"
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
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (input_gradient, weight_gradient) = self.gradients(input, weight, gradient)?;
        let bias_gradient = with_slices([gradient], |[g]| {
            let mut out = vec![0.0; bias.elem_count()];
            conv2d_bias_gradient(self.0, g, &mut out).map_err(kernel_error)?;
            Tensor::from_vec(out, bias.shape(), bias.device())
        })?;
        Ok((input_gradient, weight_gradient, hand_over(bias, bias_gradient)?))
    }
}
