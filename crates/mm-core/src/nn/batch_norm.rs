//! Batch normalisation with optional fused residual and ReLU; `[batch, features]` and `[batch, channels, height, width]`.
//!
//! On the CPU in f32 one op with its backward pass; everywhere else composed of candle ops, in the dtype of the
//! parameters: an input of half precision is normalised in f32 and comes back in its own dtype.

use super::backward::hand_over;
use super::cpu::{contiguous_f32, kernel_error, runs_on_cpu_kernels, with_slices};
use super::{Lengths, Mode};
use crate::parallel::{Communicator, norms_over, whole_moments, whole_sums};
use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Tensor, Var, bail};
use candle_nn::{Init, VarBuilder};
use mm_kernels::batch_norm::{BatchNormGradientsMut, BatchNormShape, batch_norm_backward, batch_norm_forward, scale_shift};
use mm_kernels::batch_norm_parts::{gradient_sums, input_gradient, moments, normalise};
use mm_kernels::dense::{BatchStatistics, batch_norm_rows_backward, batch_norm_rows_forward, scale_shift_rows};
use mm_kernels::unspecified;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Batch normalisation with PyTorch's parameter names: `weight`, `bias`, `running_mean`, `running_var`, all `[features]`.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Var,
    running_var: Var,
    eps: f64,
    momentum: f64,
}

/// A batch normalisation over `features`, with eps 1e-5 and momentum 0.1.
pub fn batch_norm(features: usize, vb: VarBuilder) -> Result<BatchNorm> {
    batch_norm_with_eps(features, 1e-5, vb)
}

/// As [`batch_norm`], with another number added to the variance.
pub fn batch_norm_with_eps(features: usize, eps: f64, vb: VarBuilder) -> Result<BatchNorm> {
    let get = |name: &str, value: f64| vb.get_with_hints(features, name, Init::Const(value));
    BatchNorm::new(get("weight", 1.0)?, get("bias", 0.0)?, get("running_mean", 0.0)?, get("running_var", 1.0)?, eps, 0.1)
}

impl BatchNorm {
    /// From its tensors, each `[features]`; running statistics that are variables are updated in place by training.
    pub fn new(weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor, eps: f64, momentum: f64) -> Result<Self> {
        let (running_mean, running_var) = (Var::from_tensor(&running_mean)?, Var::from_tensor(&running_var)?);
        Ok(Self { weight, bias, running_mean, running_var, eps, momentum })
    }

    /// Running mean and variance, each `[features]`.
    pub fn running_statistics(&self) -> (&Tensor, &Tensor) {
        (self.running_mean.as_tensor(), self.running_var.as_tensor())
    }

    /// Normalises `[batch, features]`, or `[batch, features, height, width]` over batch and pixels.
    ///
    /// A training batch of one row (one pixel, for images) has no variance: it is normalised with the running
    /// statistics and leaves them alone.
    pub fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        self.apply(input, None, false, None, mode)
    }

    /// [`BatchNorm::forward`] followed by ReLU, in one pass.
    pub fn forward_relu(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        self.apply(input, None, true, None, mode)
    }

    /// `relu(forward(input) + residual)`, in one pass; the residual has the shape of the input.
    pub fn forward_add_relu(&self, input: &Tensor, residual: &Tensor, mode: Mode) -> Result<Tensor> {
        self.apply(input, Some(residual), true, None, mode)
    }

    /// `relu(forward(input) + residual)` of sequences `[batch, features, 1, steps]`, of which statistics know what is filled alone; behind
    /// that the result is zero. Residual and ReLU are optional.
    pub fn forward_filled(&self, input: &Tensor, residual: Option<&Tensor>, relu: bool, lengths: &Lengths, mode: Mode) -> Result<Tensor> {
        self.apply(input, residual, relu, Some(lengths), mode)
    }

    pub(super) fn apply(
        &self,
        input: &Tensor,
        residual: Option<&Tensor>,
        relu: bool,
        lengths: Option<&Lengths>,
        mode: Mode,
    ) -> Result<Tensor> {
        let shape = Sizes { filled: lengths.cloned(), ..self.sizes(input)? };
        if let Some(lengths) = lengths {
            lengths.check(shape.batch, shape.spatial)?;
        }
        if let Some(residual) = residual.filter(|r| r.dims() != input.dims()) {
            bail!("batch norm: input {:?} and residual {:?} must have the same shape", input.dims(), residual.dims());
        }
        if mode.is_train()
            && let Some(communicator) = norms_over()
        {
            // The statistics travel in f64, whatever the input is of.
            let residual = residual.map(|residual| residual.to_dtype(DType::F32)).transpose()?;
            let output = self.train_fused(shape, &input.to_dtype(DType::F32)?, residual.as_ref(), relu, Some(communicator))?;
            return output.to_dtype(input.dtype());
        }
        let statistics_exist = mode.is_train() && shape.count() > 1;
        match (statistics_exist, runs_on_cpu_kernels(input)) {
            (true, true) => self.train_fused(shape, input, residual, relu, None),
            (true, false) => self.train_composed(shape, input, residual, relu),
            (false, cpu) => self.eval(shape, input, residual, relu, cpu),
        }
    }

    fn sizes(&self, input: &Tensor) -> Result<Sizes> {
        let (batch, channels, spatial) = match *input.dims() {
            [batch, channels] => (batch, channels, 1),
            [batch, channels, height, width] => (batch, channels, height * width),
            _ => bail!("batch norm takes [batch, features] or [batch, channels, height, width], found {:?}", input.dims()),
        };
        match self.weight.elem_count() {
            features if features == channels => Ok(Sizes { batch, channels, spatial, filled: None }),
            features => bail!("batch norm of {features} features on an input {:?}", input.dims()),
        }
    }

    fn train_fused(
        &self,
        shape: Sizes,
        input: &Tensor,
        residual: Option<&Tensor>,
        relu: bool,
        communicator: Option<Arc<dyn Communicator>>,
    ) -> Result<Tensor> {
        let op = self.op(shape, relu, communicator);
        let statistics = op.statistics.clone();
        let output = match residual {
            None => input.contiguous()?.apply_op3(&self.weight, &self.bias, op)?,
            // An op has three inputs at most.
            Some(residual) => {
                let affine = Tensor::stack(&[&self.weight, &self.bias], 0)?;
                input.contiguous()?.apply_op3(&affine, &residual.contiguous()?, ResidualOp(op))?
            }
        };
        self.update_from(&statistics, input.device())?;
        Ok(output)
    }

    fn op(&self, shape: Sizes, relu: bool, communicator: Option<Arc<dyn Communicator>>) -> BatchNormOp {
        let statistics = Arc::new(Mutex::new(Measured { count: shape.count(), ..Measured::default() }));
        BatchNormOp { shape, eps: self.eps as f32, relu, statistics, communicator }
    }

    /// Weight and bias.
    pub(super) fn parameters(&self) -> [&Tensor; 2] {
        [&self.weight, &self.bias]
    }

    /// Takes what a batch was found to be into the running statistics.
    pub(super) fn update_from(&self, statistics: &Mutex<Measured>, device: &Device) -> Result<()> {
        let Measured { count, statistics } = &*lock(statistics);
        let tensor = |values: &[f32]| Tensor::from_slice(values, values.len(), device);
        self.update_running(*count, &tensor(&statistics.mean)?, &tensor(&statistics.variance)?)
    }

    /// The op that trains on a map `[batch, features, height, width]` on the CPU in f32, for a layer that has it within; `None` where
    /// there is nothing to take statistics of.
    pub(super) fn op_within(&self, map: &Shape, relu: bool, lengths: Option<&Lengths>) -> Result<Option<BatchNormOp>> {
        let (batch, channels, height, width) = map.dims4()?;
        let shape = Sizes { batch, channels, spatial: height * width, filled: lengths.cloned() };
        let communicator = norms_over();
        if channels != self.weight.elem_count() || (communicator.is_none() && shape.count() < 2) {
            return Ok(None);
        }
        if let Some(lengths) = lengths {
            lengths.check(batch, shape.spatial)?;
        }
        Ok(Some(self.op(shape, relu, communicator)))
    }

    fn train_composed(&self, shape: Sizes, input: &Tensor, residual: Option<&Tensor>, relu: bool) -> Result<Tensor> {
        let x = input.to_dtype(self.weight.dtype())?;
        // Every dimension but that of the features.
        let others: Vec<usize> = (0..x.rank()).filter(|&dimension| dimension != 1).collect();
        let (centred, mean, variance) = match &shape.filled {
            None => {
                let mean = x.mean_keepdim(others.as_slice())?;
                let centred = x.broadcast_sub(&mean)?;
                let variance = centred.sqr()?.mean_keepdim(others)?;
                (centred, mean, variance)
            }
            Some(lengths) => {
                let share = 1.0 / shape.count() as f64;
                let mean = (lengths.zero_behind(&x)?.sum_keepdim(others.as_slice())? * share)?;
                let centred = lengths.zero_behind(&x.broadcast_sub(&mean)?)?;
                let variance = (centred.sqr()?.sum_keepdim(others)? * share)?;
                (centred, mean, variance)
            }
        };
        self.update_running(shape.count(), &mean.flatten_all()?.detach(), &variance.flatten_all()?.detach())?;
        let normal = centred.broadcast_div(&(variance + self.eps)?.sqrt()?)?;
        let output = normal.broadcast_mul(&by_feature(&self.weight, &x)?)?.broadcast_add(&by_feature(&self.bias, &x)?)?;
        shape.zero_behind(finish(output, residual, relu)?)?.to_dtype(input.dtype())
    }

    fn update_running(&self, count: usize, mean: &Tensor, variance: &Tensor) -> Result<()> {
        let mix = |running: &Var, batch: &Tensor, factor: f64| {
            running.set(&((running.as_tensor().detach() * (1.0 - self.momentum))? + (batch * (self.momentum * factor))?)?)
        };
        mix(&self.running_mean, mean, 1.0)?;
        // The running variance is the unbiased one.
        let count = count as f64;
        mix(&self.running_var, variance, count / (count - 1.0))
    }

    /// `(scale, shift)` with `y = x scale + shift`, from the running statistics: what a preceding layer can fold in.
    pub fn scale_shift(&self) -> Result<(Tensor, Tensor)> {
        let scale = (self.weight.detach() / (self.running_var.as_tensor().detach() + self.eps)?.sqrt()?)?;
        let shift = (self.bias.detach() - (self.running_mean.as_tensor().detach() * &scale)?)?;
        Ok((scale, shift))
    }

    fn eval(&self, shape: Sizes, input: &Tensor, residual: Option<&Tensor>, relu: bool, cpu: bool) -> Result<Tensor> {
        let (scale, shift) = self.scale_shift()?;
        let (input, residual) = (&input.detach(), residual.map(Tensor::detach));
        if !cpu {
            let x = input.to_dtype(scale.dtype())?;
            let output = x.broadcast_mul(&by_feature(&scale, &x)?)?.broadcast_add(&by_feature(&shift, &x)?)?;
            return shape.zero_behind(finish(output, residual.as_ref(), relu)?)?.to_dtype(input.dtype());
        }
        let run = |x: &[f32], a: &[f32], b: &[f32], residual: Option<&[f32]>| {
            let mut output = unspecified(x.len());
            match (shape.spatial, residual) {
                (1, None) if shape.filled.is_none() => scale_shift_rows(x, a, b, relu, &mut output),
                _ => scale_shift(shape.of_kernels(), x, a, b, residual, relu, &mut output),
            }
            .map_err(kernel_error)?;
            Tensor::from_vec(output, input.shape(), input.device())
        };
        match &residual {
            None => with_slices([input, &scale, &shift], |[x, a, b]| run(x, a, b, None)),
            Some(residual) => with_slices([input, &scale, &shift, residual], |[x, a, b, r]| run(x, a, b, Some(r))),
        }
    }
}

/// Sizes of an input, and how much of it is filled.
struct Sizes {
    batch: usize,
    channels: usize,
    spatial: usize,
    filled: Option<Lengths>,
}

impl Sizes {
    fn of_kernels(&self) -> BatchNormShape<'_> {
        let filled = self.filled.as_ref().map(Lengths::steps);
        BatchNormShape { batch: self.batch, channels: self.channels, spatial: self.spatial, filled }
    }

    /// Numbers that the statistics of a feature are of.
    fn count(&self) -> usize {
        self.filled.as_ref().map_or(self.batch * self.spatial, |lengths| lengths.steps().iter().sum())
    }

    fn zero_behind(&self, output: Tensor) -> Result<Tensor> {
        match &self.filled {
            Some(lengths) => lengths.zero_behind(&output),
            None => Ok(output),
        }
    }
}

/// `[features]` in a shape that broadcasts to `like`: `[1, features]` or `[1, features, 1, 1]`.
fn by_feature(values: &Tensor, like: &Tensor) -> Result<Tensor> {
    let mut dims = vec![1; like.rank()];
    dims[1] = values.elem_count();
    values.reshape(dims)
}

fn finish(output: Tensor, residual: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    let output = match residual {
        Some(residual) => (&output + residual.to_dtype(output.dtype())?)?,
        None => output,
    };
    if relu { output.relu() } else { Ok(output) }
}

/// What the forward pass found.
#[derive(Default)]
pub(super) struct Measured {
    /// Numbers that the statistics of a feature are of, on all ranks.
    count: usize,
    statistics: BatchStatistics,
}

/// What a forward pass leaves to whoever keeps running statistics, and to the backward pass.
pub(super) type Shared = Arc<Mutex<Measured>>;

fn lock(statistics: &Mutex<Measured>) -> MutexGuard<'_, Measured> {
    statistics.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of input, weight and bias.
pub(super) struct BatchNormOp {
    shape: Sizes,
    eps: f32,
    relu: bool,
    pub(super) statistics: Shared,
    /// Where the samples are divided among ranks and the statistics are those of all.
    communicator: Option<Arc<dyn Communicator>>,
}

/// Of input, weight and bias stacked to `[2, features]`, and residual.
struct ResidualOp(BatchNormOp);

/// Gradients of input, weight, bias and residual (empty where there was none).
pub(super) type Gradients = [Vec<f32>; 4];

impl BatchNormOp {
    /// A matrix, for which there are kernels that go by rows.
    fn is_rows(&self) -> bool {
        self.shape.spatial == 1 && self.shape.filled.is_none()
    }

    pub(super) fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32], residual: Option<&[f32]>) -> Result<Vec<f32>> {
        let mut output = unspecified(x.len());
        if let Some(communicator) = &self.communicator {
            let whole = whole_moments(&**communicator, &moments(self.shape.of_kernels(), x).map_err(kernel_error)?)?;
            normalise(self.shape.of_kernels(), x, &whole, [weight, bias], self.eps, residual, self.relu, &mut output)
                .map_err(kernel_error)?;
            *lock(&self.statistics) = Measured { count: whole.count as usize, statistics: whole.statistics(self.eps) };
            return Ok(output);
        }
        let statistics = match residual {
            None if self.is_rows() => batch_norm_rows_forward(x, weight, bias, self.eps, self.relu, &mut output),
            _ => batch_norm_forward(self.shape.of_kernels(), x, weight, bias, self.eps, residual, self.relu, &mut output),
        };
        lock(&self.statistics).statistics = statistics.map_err(kernel_error)?;
        Ok(output)
    }

    pub(super) fn backward(&self, x: &[f32], weight: &[f32], output: &[f32], gradient: &[f32], residual: bool) -> Result<Gradients> {
        let Measured { count, statistics } = &*lock(&self.statistics);
        if self.communicator.is_none() && self.is_rows() && !residual {
            let g = batch_norm_rows_backward(x, weight, statistics, self.relu, output, gradient).map_err(kernel_error)?;
            return Ok([g.input, g.weight, g.bias, Vec::new()]);
        }
        let of_residual = unspecified(if residual { x.len() } else { 0 });
        let mut gradients = [unspecified(x.len()), unspecified(weight.len()), unspecified(weight.len()), of_residual];
        let [input, weight_gradient, bias, of_residual] = &mut gradients;
        if let Some(communicator) = &self.communicator {
            let (shape, output) = (self.shape.of_kernels(), self.relu.then_some(output));
            let own = gradient_sums(shape, x, statistics, output, gradient).map_err(kernel_error)?;
            // Those of the parameters are this rank's part: all gradients of parameters are summed behind the step.
            bias.iter_mut().zip(&own[0]).for_each(|(to, sum)| *to = *sum as f32);
            weight_gradient.iter_mut().zip(&own[1]).for_each(|(to, sum)| *to = *sum as f32);
            let whole = (&whole_sums(&**communicator, &own)?, *count as f64);
            let of_residual = residual.then_some(&mut of_residual[..]);
            input_gradient(shape, x, weight, statistics, whole, output, gradient, input, of_residual).map_err(kernel_error)?;
            return Ok(gradients);
        }
        let into = BatchNormGradientsMut { input, weight: weight_gradient, bias, residual: residual.then_some(of_residual) };
        let output = self.relu.then_some(output);
        batch_norm_backward(self.shape.of_kernels(), x, weight, statistics, output, gradient, into).map_err(kernel_error)?;
        Ok(gradients)
    }
}

fn gradient(values: Vec<f32>, like: &Tensor) -> Result<Option<Tensor>> {
    hand_over(like, Tensor::from_vec(values, like.shape(), like.device())?)
}

impl CustomOp3 for BatchNormOp {
    fn name(&self) -> &'static str {
        "batch-norm"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (weight, bias) = (contiguous_f32(weight, weight_layout)?, contiguous_f32(bias, bias_layout)?);
        let output = self.forward(contiguous_f32(input, input_layout)?, weight, bias, None)?;
        Ok((CpuStorage::F32(output), input_layout.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        output: &Tensor,
        output_gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db, _] = with_slices([input, weight, output, output_gradient], |[x, w, y, g]| self.backward(x, w, y, g, false))?;
        Ok((gradient(dx, input)?, gradient(dw, weight)?, gradient(db, bias)?))
    }
}

impl CustomOp3 for ResidualOp {
    fn name(&self) -> &'static str {
        "batch-norm-residual"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        affine: &CpuStorage,
        affine_layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (weight, bias) = contiguous_f32(affine, affine_layout)?.split_at(self.0.shape.channels);
        let residual = contiguous_f32(residual, residual_layout)?;
        let output = self.0.forward(contiguous_f32(input, input_layout)?, weight, bias, Some(residual))?;
        Ok((CpuStorage::F32(output), input_layout.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        affine: &Tensor,
        residual: &Tensor,
        output: &Tensor,
        output_gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, mut dw, db, dr] = with_slices([input, affine, output, output_gradient], |[x, affine, y, g]| {
            self.0.backward(x, &affine[..self.0.shape.channels], y, g, true)
        })?;
        dw.extend(db);
        Ok((gradient(dx, input)?, gradient(dw, affine)?, gradient(dr, residual)?))
    }
}
