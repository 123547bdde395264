//! Linear layer: one matrix product forward, two backward, on the CPU without a transposed copy.

use super::backward::hand_over;
use super::cpu::{contiguous_f32, kernel_error, runs_on_cpu_kernels, widened, with_slices};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use candle_nn::{Init, VarBuilder};
use mm_kernels::dense::{LinearShape, column_sums, linear_forward, linear_input_gradient, linear_weight_gradient, relu_gradient};
use mm_kernels::unspecified;
use std::borrow::Cow;

/// `y[batch, outputs] = x[batch, inputs] weightᵀ + bias`; parameters `weight [outputs, inputs]` and `bias [outputs]`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

/// A linear layer with bias, initialised as PyTorch does: uniform within `1/sqrt(inputs)`.
pub fn linear(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Linear> {
    let bound = 1.0 / (inputs.max(1) as f64).sqrt();
    let init = Init::Uniform { lo: -bound, up: bound };
    Ok(Linear::new(vb.get_with_hints((outputs, inputs), "weight", init)?, Some(vb.get_with_hints(outputs, "bias", init)?)))
}

/// A linear layer without bias, for use before a batch normalisation (which would cancel it).
pub fn linear_no_bias(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Linear> {
    let bound = 1.0 / (inputs.max(1) as f64).sqrt();
    Ok(Linear::new(vb.get_with_hints((outputs, inputs), "weight", Init::Uniform { lo: -bound, up: bound })?, None))
}

impl Linear {
    /// From `weight [outputs, inputs]` and `bias [outputs]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// `[outputs, inputs]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[outputs]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// Applies the layer to `[batch, inputs]`.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        apply_linear(input, &self.weight, self.bias.as_ref(), false)
    }

    /// [`Linear::forward`] followed by ReLU, in one op.
    pub fn forward_relu(&self, input: &Tensor) -> Result<Tensor> {
        apply_linear(input, &self.weight, self.bias.as_ref(), true)
    }
}

impl candle_core::Module for Linear {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        Linear::forward(self, input)
    }
}

pub(crate) fn apply_linear(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    widened(input, |input| product(input, weight, bias, relu))
}

fn product(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    if !runs_on_cpu_kernels(input) {
        // In the dtype of the input: an encoder of half precision casts its f32 parameters where it uses them.
        // A product of a GPU takes no part of a wider weight, as it lies there.
        let product = input.contiguous()?.matmul(&weight.to_dtype(input.dtype())?.contiguous()?.t()?)?;
        let output = match bias {
            Some(bias) => product.broadcast_add(&bias.to_dtype(input.dtype())?)?,
            None => product,
        };
        return if relu { output.relu() } else { Ok(output) };
    }
    let input = input.contiguous()?;
    match bias {
        Some(bias) => input.apply_op3(&weight.contiguous()?, bias, LinearOp { relu }),
        None => input.apply_op2(&weight.contiguous()?, LinearOp { relu }),
    }
}

struct LinearOp {
    relu: bool,
}

impl LinearOp {
    fn shape(input: &[usize], weight: &[usize]) -> Result<LinearShape> {
        match (input, weight) {
            (&[rows, inputs], &[outputs, width]) if width == inputs => Ok(LinearShape { rows, inputs, outputs }),
            _ => bail!("linear: input {input:?} does not fit weight {weight:?} (outputs, inputs)"),
        }
    }

    fn run(
        &self,
        input: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = Self::shape(input.1.dims(), weight.1.dims())?;
        let bias = bias.map(|(storage, layout)| contiguous_f32(storage, layout)).transpose()?;
        let (x, w) = (contiguous_f32(input.0, input.1)?, contiguous_f32(weight.0, weight.1)?);
        let mut output = unspecified(shape.rows * shape.outputs);
        linear_forward(shape, x, w, bias, self.relu, &mut output).map_err(kernel_error)?;
        Ok((CpuStorage::F32(output), Shape::from((shape.rows, shape.outputs))))
    }

    /// The gradient of what comes before the ReLU.
    fn before_relu<'a>(&self, output: &Tensor, gradient: &'a Tensor) -> Result<Cow<'a, Tensor>> {
        if !self.relu {
            return Ok(Cow::Borrowed(gradient));
        }
        with_slices([output, gradient], |[y, g]| {
            let mut before = unspecified(g.len());
            relu_gradient(y, g, &mut before).map_err(kernel_error)?;
            Ok(Cow::Owned(Tensor::from_vec(before, gradient.shape(), gradient.device())?))
        })
    }

    fn gradients(input: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let shape = Self::shape(input.dims(), weight.dims())?;
        with_slices([input, weight, gradient], |[x, w, g]| {
            let input_gradient = input.track_op().then(|| {
                let mut out = unspecified(x.len());
                linear_input_gradient(shape, g, w, &mut out).map_err(kernel_error)?;
                Tensor::from_vec(out, input.shape(), input.device())
            });
            let weight_gradient = weight.track_op().then(|| {
                let mut out = unspecified(w.len());
                linear_weight_gradient(shape, g, x, &mut out).map_err(kernel_error)?;
                hand_over(weight, Tensor::from_vec(out, weight.shape(), weight.device())?)
            });
            Ok((input_gradient.transpose()?, weight_gradient.transpose()?.flatten()))
        })
    }
}

impl CustomOp2 for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run((s1, l1), (s2, l2), None)
    }

    fn bwd(&self, input: &Tensor, weight: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Self::gradients(input, weight, self.before_relu(output, gradient)?.as_ref())
    }
}

impl CustomOp3 for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
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
        let (input_gradient, weight_gradient) = Self::gradients(input, weight, gradient)?;
        let bias_gradient = with_slices([gradient], |[g]| {
            let mut out = vec![0.0; bias.elem_count()];
            column_sums(g, out.len(), &mut out).map_err(kernel_error)?;
            Tensor::from_vec(out, bias.shape(), bias.device())
        })?;
        Ok((input_gradient, weight_gradient, hand_over(bias, bias_gradient)?))
    }
}
