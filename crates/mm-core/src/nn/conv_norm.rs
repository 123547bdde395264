//! Convolution and batch normalisation as one unit, folded into one pass at prediction.

use super::conv::{conv_shape, output_shape};
use super::conv_chain::{Residual, train_as_one};
use super::cpu::{kernel_error, runs_on_cpu_kernels, with_slices};
use super::{BatchNorm, Conv2d, Conv2dConfig, Lengths, Mode, batch_norm, conv2d_no_bias};
use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;
use mm_kernels::conv::{Conv2dShape, Epilogue, PreparedWeights, conv2d_forward_prepared, conv2d_forward_with};
use mm_kernels::unspecified;
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};
use twox_hash::XxHash3_64;

/// A convolution followed by batch normalisation, or by none ([`ConvNorm::without_norm`]): what residual networks are made of.
///
/// In [`Mode::Eval`] on the CPU in f32 it is one convolution whose weights were multiplied with the scale of the norm and
/// rearranged before; the norm's shift, the residual and the ReLU are applied as its outputs are stored.
///
/// From the second pass on the folded weights (one to four times the size of the weights) are kept, with a hash of the
/// numbers they were made from: every pass compares it with the hash of the present ones (but for [`Mode::Frozen`]). So whatever sets the variables (an
/// optimizer, a checkpoint, [`candle_core::Var::set`]), the next pass sees it. The first pass keeps nothing, so that a single
/// prediction needs no memory for it; a pass in [`Mode::Train`] frees what is kept. Clones share it, as they share the variables.
#[derive(Debug, Clone)]
pub struct ConvNorm {
    conv: Conv2d,
    norm: Option<BatchNorm>,
    kept: Arc<Mutex<Kept>>,
}

/// What earlier passes in [`Mode::Eval`] left.
#[derive(Debug, Clone, Default)]
enum Kept {
    #[default]
    Nothing,
    /// There was one pass.
    Seen,
    Folded(Arc<Folded>),
}

/// Builds both; published networks give them names of their own, so each has its builder.
pub fn conv_norm(
    (inputs, outputs): (usize, usize),
    kernel: (usize, usize),
    config: Conv2dConfig,
    conv: VarBuilder,
    norm: VarBuilder,
) -> Result<ConvNorm> {
    let (conv, norm) = (conv2d_no_bias(inputs, outputs, kernel, config, conv)?, batch_norm(outputs, norm)?);
    Ok(ConvNorm::new(conv, norm))
}

impl ConvNorm {
    /// From its parts; some published networks have a bias in the convolution, though the norm takes it away again.
    pub fn new(conv: Conv2d, norm: BatchNorm) -> Self {
        Self { conv, norm: Some(norm), kept: Arc::default() }
    }

    /// A convolution alone, whose weights are kept in prediction as those of the others.
    pub fn without_norm(conv: Conv2d) -> Self {
        Self { conv, norm: None, kept: Arc::default() }
    }

    /// `(scale, shift)` that stand for the norm behind the convolution without its bias.
    fn scale_shift(&self) -> Result<(Tensor, Tensor)> {
        let weight = self.conv.weight();
        let (scale, shift) = match &self.norm {
            Some(norm) => norm.scale_shift()?,
            None => {
                let ones = Tensor::ones(weight.dim(0)?, weight.dtype(), weight.device())?;
                (ones.clone(), ones.zeros_like()?)
            }
        };
        match self.conv.bias() {
            Some(bias) => Ok((scale.clone(), (shift + (bias.detach() * scale)?)?)),
            None => Ok((scale, shift)),
        }
    }

    /// `norm(conv(input))`, `[batch, inputs, height, width]` to `[batch, outputs, ..]`.
    pub fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        self.apply(input, None, false, None, mode)
    }

    /// `relu(norm(conv(input)))`.
    pub fn forward_relu(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        self.apply(input, None, true, None, mode)
    }

    /// `relu(norm(conv(input)) + residual)`.
    pub fn forward_add_relu(&self, input: &Tensor, residual: &Tensor, mode: Mode) -> Result<Tensor> {
        self.apply(input, Some(residual), true, None, mode)
    }

    /// `relu(norm(conv(input)) + residual)`; residual and ReLU are optional. Of sequences with `lengths`, which are those of the output, it is
    /// zero behind what is filled.
    pub(super) fn apply(
        &self,
        input: &Tensor,
        residual: Option<&Tensor>,
        relu: bool,
        lengths: Option<&Lengths>,
        mode: Mode,
    ) -> Result<Tensor> {
        if !mode.is_train() && runs_on_cpu_kernels(input) {
            let output = self.forward_folded(input, residual, relu, mode)?;
            return lengths.map_or(Ok(output.clone()), |lengths| lengths.zero_behind(&output));
        }
        if mode.is_train() {
            self.forget();
            let residual = residual.map_or(Residual::Nothing, Residual::Map);
            if let Some(output) = train_as_one(&[(vec![(self, relu)], residual)], lengths, input)? {
                return Ok(output);
            }
        }
        if let Some(norm) = &self.norm {
            return norm.apply(&self.conv.forward(input)?, residual, relu, lengths, mode);
        }
        let output = match residual {
            None if relu => self.conv.forward_relu(input)?,
            None => self.conv.forward(input)?,
            Some(residual) if relu => (self.conv.forward(input)? + residual)?.relu()?,
            Some(residual) => (self.conv.forward(input)? + residual)?,
        };
        lengths.map_or(Ok(output.clone()), |lengths| lengths.zero_behind(&output))
    }

    pub(super) fn conv(&self) -> &Conv2d {
        &self.conv
    }

    pub(super) fn norm(&self) -> Option<&BatchNorm> {
        self.norm.as_ref()
    }

    /// Frees what is kept for prediction.
    pub(super) fn forget(&self) {
        self.keep(Kept::Nothing);
    }

    fn keep(&self, kept: Kept) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    fn forward_folded(&self, input: &Tensor, residual: Option<&Tensor>, relu: bool, mode: Mode) -> Result<Tensor> {
        let shape = conv_shape(self.conv.config(), input.dims(), self.conv.weight().dims())?;
        let output_shape = output_shape(&shape);
        if let Some(residual) = residual.filter(|r| r.dims() != output_shape.dims()) {
            bail!("conv2d and batch norm: output {output_shape:?} and residual {:?} must have the same shape", residual.dims());
        }
        let frozen = if mode == Mode::Frozen { Some(self.frozen(&shape)?) } else { None };
        let run = |x: &[f32], residual: Option<&[f32]>| {
            let mut output = unspecified(shape.output_length());
            if let Some(folded) = &frozen {
                let epilogue = Epilogue { bias: Some(&folded.shift), residual, relu };
                conv2d_forward_prepared(shape, x, &folded.weights, epilogue, &mut output).map_err(kernel_error)?;
                return Tensor::from_vec(output, &output_shape, input.device());
            }
            let (scale, shift) = self.scale_shift()?;
            with_slices([self.conv.weight(), &scale, &shift], |[weight, scale, shift]| {
                let epilogue = Epilogue { bias: Some(shift), residual, relu };
                match self.folded(&shape, weight, scale, shift)? {
                    Some(folded) => conv2d_forward_prepared(shape, x, &folded.weights, epilogue, &mut output),
                    None => conv2d_forward_with(shape, x, &scaled(&shape, weight, scale), epilogue, &mut output),
                }
                .map_err(kernel_error)
            })?;
            Tensor::from_vec(output, &output_shape, input.device())
        };
        match residual {
            None => with_slices([input], |[x]| run(x, None)),
            Some(residual) => with_slices([input, residual], |[x, r]| run(x, Some(r))),
        }
    }

    /// Those of a frozen network: folded in its first pass, and taken without a look at the numbers.
    fn frozen(&self, shape: &Conv2dShape) -> Result<Arc<Folded>> {
        if let Kept::Folded(folded) = self.kept()
            && folded.weights.suits(shape)
        {
            return Ok(folded);
        }
        let (scale, shift) = self.scale_shift()?;
        with_slices([self.conv.weight(), &scale, &shift], |[weight, scale, shift]| self.fold(shape, weight, scale, shift))
    }

    /// The folded weights, except in a first pass with these numbers and such a shape.
    fn folded(&self, shape: &Conv2dShape, weight: &[f32], scale: &[f32], shift: &[f32]) -> Result<Option<Arc<Folded>>> {
        match self.kept() {
            Kept::Folded(folded) if folded.is_of(shape, weight, scale) => Ok(Some(folded)),
            Kept::Nothing | Kept::Folded(_) => {
                self.keep(Kept::Seen);
                Ok(None)
            }
            Kept::Seen => self.fold(shape, weight, scale, shift).map(Some),
        }
    }

    fn fold(&self, shape: &Conv2dShape, weight: &[f32], scale: &[f32], shift: &[f32]) -> Result<Arc<Folded>> {
        let weights = PreparedWeights::new(*shape, &scaled(shape, weight, scale)).map_err(kernel_error)?;
        let folded = Arc::new(Folded { of: hash(weight, scale), weights, shift: shift.to_vec() });
        self.keep(Kept::Folded(folded.clone()));
        Ok(folded)
    }

    fn kept(&self) -> Kept {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The weight of each output channel times its scale.
fn scaled(shape: &Conv2dShape, weight: &[f32], scale: &[f32]) -> Vec<f32> {
    let inner = weight.len() / shape.out_channels;
    let mut scaled = unspecified(weight.len());
    scaled.par_chunks_mut(inner).zip(weight.par_chunks(inner)).zip(scale).with_min_len(16).for_each(|((scaled, weight), scale)| {
        for (scaled, w) in scaled.iter_mut().zip(weight) {
            *scaled = w * scale;
        }
    });
    scaled
}

/// Folded weights, and a hash of the numbers they were made from.
#[derive(Debug)]
struct Folded {
    of: [u64; 2],
    weights: PreparedWeights,
    /// What is added behind them; only a frozen network takes it from here.
    shift: Vec<f32>,
}

impl Folded {
    fn is_of(&self, shape: &Conv2dShape, weight: &[f32], scale: &[f32]) -> bool {
        // Weights arranged for another shape would do, but then bits would depend on the passes before.
        self.weights.suits(shape) && self.of == hash(weight, scale)
    }
}

/// Of the bits, so NaN and the sign of zero count.
fn hash(weight: &[f32], scale: &[f32]) -> [u64; 2] {
    const CHUNK: usize = 1 << 16;
    let of = |numbers: &[f32]| XxHash3_64::oneshot(bytemuck::cast_slice(numbers));
    let chunks: Vec<u64> = match weight.len() {
        length if length <= CHUNK => vec![of(weight)],
        _ => weight.par_chunks(CHUNK).map(of).collect(),
    };
    [XxHash3_64::oneshot(bytemuck::cast_slice(&chunks)), of(scale)]
}
