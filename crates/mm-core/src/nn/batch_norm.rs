//! Batch normalisation with optional fused ReLU; `[batch, features]` and `[batch, channels, height, width]`.

use super::Mode;
use super::cpu::{contiguous_f32, kernel_error, runs_on_cpu_kernels, with_slices};
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor, Var, bail};
use candle_nn::{Init, VarBuilder};
use mm_kernels::dense::{BatchStatistics, batch_norm_rows_backward, batch_norm_rows_forward, scale_shift_rows};
use std::sync::{Arc, Mutex};

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
    let get = |name: &str, value: f64| vb.get_with_hints(features, name, Init::Const(value));
    BatchNorm::new(get("weight", 1.0)?, get("bias", 0.0)?, get("running_mean", 0.0)?, get("running_var", 1.0)?, 1e-5, 0.1)
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

    /// Normalises `[batch, features]`.
    ///
    /// A training batch of one row has no variance: it is normalised with the running statistics and leaves them alone.
    pub fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        self.apply(input, mode, false)
    }

    /// [`BatchNorm::forward`] followed by ReLU, in one pass.
    pub fn forward_relu(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        self.apply(input, mode, true)
    }

    fn apply(&self, input: &Tensor, mode: Mode, relu: bool) -> Result<Tensor> {
        if input.rank() == 4 {
            // [batch, channels, height, width] as rows of channels.
            let (b, c, h, w) = input.dims4()?;
            let rows = input.permute((0, 2, 3, 1))?.reshape((b * h * w, c))?;
            return self.apply(&rows, mode, relu)?.reshape((b, h, w, c))?.permute((0, 3, 1, 2))?.contiguous();
        }
        let (rows, _) = input.dims2()?;
        let cpu = runs_on_cpu_kernels(input);
        match mode {
            Mode::Train if rows > 1 && cpu => self.train_fused(input, relu),
            Mode::Train if rows > 1 => self.train_composed(input, relu),
            _ => self.eval(input, relu, cpu),
        }
    }

    fn train_fused(&self, input: &Tensor, relu: bool) -> Result<Tensor> {
        let statistics = Arc::new(Mutex::new(BatchStatistics::default()));
        let op = BatchNormOp { eps: self.eps as f32, relu, statistics: statistics.clone() };
        let output = input.contiguous()?.apply_op3(&self.weight, &self.bias, op)?;
        let statistics = statistics.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let tensor = |values: &[f32]| Tensor::from_slice(values, values.len(), input.device());
        self.update_running(&tensor(&statistics.mean)?, &tensor(&statistics.variance)?, input.dim(0)?)?;
        Ok(output)
    }

    fn train_composed(&self, input: &Tensor, relu: bool) -> Result<Tensor> {
        let mean = input.mean_keepdim(0)?;
        let centred = input.broadcast_sub(&mean)?;
        let variance = centred.sqr()?.mean_keepdim(0)?;
        self.update_running(&mean.squeeze(0)?.detach(), &variance.squeeze(0)?.detach(), input.dim(0)?)?;
        let normal = centred.broadcast_div(&(variance + self.eps)?.sqrt()?)?;
        let output = normal.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?;
        if relu { output.relu() } else { Ok(output) }
    }

    fn update_running(&self, mean: &Tensor, variance: &Tensor, rows: usize) -> Result<()> {
        let mix = |running: &Var, batch: &Tensor, factor: f64| {
            running.set(&((running.as_tensor().detach() * (1.0 - self.momentum))? + (batch * (self.momentum * factor))?)?)
        };
        mix(&self.running_mean, mean, 1.0)?;
        // The running variance is the unbiased one.
        mix(&self.running_var, variance, rows as f64 / (rows as f64 - 1.0))
    }

    /// `(scale, shift)` with `y = x scale + shift`, from the running statistics: what a preceding layer can fold in.
    pub fn scale_shift(&self) -> Result<(Tensor, Tensor)> {
        let scale = (self.weight.detach() / (self.running_var.as_tensor().detach() + self.eps)?.sqrt()?)?;
        let shift = (self.bias.detach() - (self.running_mean.as_tensor().detach() * &scale)?)?;
        Ok((scale, shift))
    }

    fn eval(&self, input: &Tensor, relu: bool, cpu: bool) -> Result<Tensor> {
        let (scale, shift) = self.scale_shift()?;
        let input = &input.detach();
        if cpu {
            return with_slices([input, &scale, &shift], |[x, a, b]| {
                let mut output = vec![0.0; x.len()];
                scale_shift_rows(x, a, b, relu, &mut output).map_err(kernel_error)?;
                Tensor::from_vec(output, input.shape(), input.device())
            });
        }
        let output = input.broadcast_mul(&scale)?.broadcast_add(&shift)?;
        if relu { output.relu() } else { Ok(output) }
    }
}

struct BatchNormOp {
    eps: f32,
    relu: bool,
    statistics: Arc<Mutex<BatchStatistics>>,
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
        let features = input_layout.shape().dim(D::Minus1)?;
        if weight_layout.dims() != [features] {
            bail!("batch norm of {} features on an input {:?}", weight_layout.shape().elem_count(), input_layout.dims());
        }
        let x = contiguous_f32(input, input_layout)?;
        let (w, b) = (contiguous_f32(weight, weight_layout)?, contiguous_f32(bias, bias_layout)?);
        let mut output = vec![0.0; x.len()];
        let statistics = batch_norm_rows_forward(x, w, b, self.eps, self.relu, &mut output).map_err(kernel_error)?;
        *self.statistics.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = statistics;
        Ok((CpuStorage::F32(output), input_layout.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let statistics = self.statistics.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let gradients = with_slices([input, weight, output, gradient], |[x, w, y, g]| {
            batch_norm_rows_backward(x, w, &statistics, self.relu, y, g).map_err(kernel_error)
        })?;
        let tensor = |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device()).map(Some);
        Ok((tensor(gradients.input, input)?, tensor(gradients.weight, weight)?, tensor(gradients.bias, bias)?))
    }
}
