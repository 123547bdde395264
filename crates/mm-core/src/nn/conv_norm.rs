//! Convolution and batch normalisation as one unit, folded into one pass at prediction.

use super::conv::{conv_shape, output_shape};
use super::cpu::{kernel_error, runs_on_cpu_kernels, with_slices};
use super::{BatchNorm, Conv2d, Conv2dConfig, Mode, batch_norm, conv2d_no_bias};
use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;
use mm_kernels::conv::{Conv2dShape, Epilogue, PreparedWeights, conv2d_forward_prepared};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// A convolution without bias followed by batch normalisation: what residual networks are made of.
///
/// In [`Mode::Eval`] on the CPU in f32 it is one convolution whose weights were multiplied with the scale of the norm and
/// rearranged before; the norm's shift, the residual and the ReLU are applied as its outputs are stored. The folded
/// weights are kept from one pass to the next, with the numbers they were made from: every pass compares these with the
/// present ones, bit for bit, and folds anew if they differ. So whatever sets the variables (an optimizer, a checkpoint,
/// [`candle_core::Var::set`]), the next pass sees it. The comparison reads as much memory as twice the weights; what is
/// kept is two to five times their size. A pass in [`Mode::Train`] frees it. Clones share it, as they share the variables.
#[derive(Debug, Clone)]
pub struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
    folded: Arc<Mutex<Option<Arc<Folded>>>>,
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
    Ok(ConvNorm { conv, norm, folded: Arc::default() })
}

impl ConvNorm {
    /// `norm(conv(input))`, `[batch, inputs, height, width]` to `[batch, outputs, ..]`.
    pub fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        if self.folds(input, mode) {
            return self.forward_folded(input, None, false);
        }
        self.norm.forward(&self.conv.forward(input)?, mode)
    }

    /// `relu(norm(conv(input)))`.
    pub fn forward_relu(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        if self.folds(input, mode) {
            return self.forward_folded(input, None, true);
        }
        self.norm.forward_relu(&self.conv.forward(input)?, mode)
    }

    /// `relu(norm(conv(input)) + residual)`.
    pub fn forward_add_relu(&self, input: &Tensor, residual: &Tensor, mode: Mode) -> Result<Tensor> {
        if self.folds(input, mode) {
            return self.forward_folded(input, Some(residual), true);
        }
        self.norm.forward_add_relu(&self.conv.forward(input)?, residual, mode)
    }

    fn folds(&self, input: &Tensor, mode: Mode) -> bool {
        if mode.is_train() {
            *self.folded.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        !mode.is_train() && runs_on_cpu_kernels(input)
    }

    fn forward_folded(&self, input: &Tensor, residual: Option<&Tensor>, relu: bool) -> Result<Tensor> {
        let shape = conv_shape(self.conv.config(), input.dims(), self.conv.weight().dims())?;
        let output_shape = output_shape(&shape);
        if let Some(residual) = residual.filter(|r| r.dims() != output_shape.dims()) {
            bail!("conv2d and batch norm: output {output_shape:?} and residual {:?} must have the same shape", residual.dims());
        }
        let (scale, shift) = self.norm.scale_shift()?;
        let folded = with_slices([self.conv.weight(), &scale, &shift], |[w, scale, shift]| self.folded(&shape, w, scale, shift))?;
        let run = |x: &[f32], residual: Option<&[f32]>| {
            let mut output = vec![0.0; shape.output_length()];
            let epilogue = Epilogue { bias: Some(&folded.shift), residual, relu };
            conv2d_forward_prepared(shape, x, &folded.prepared, epilogue, &mut output).map_err(kernel_error)?;
            Tensor::from_vec(output, &output_shape, input.device())
        };
        match residual {
            None => with_slices([input], |[x]| run(x, None)),
            Some(residual) => with_slices([input, residual], |[x, r]| run(x, Some(r))),
        }
    }

    /// What was kept, if it was made from these numbers and for such a shape; else it is made.
    fn folded(&self, shape: &Conv2dShape, weight: &[f32], scale: &[f32], shift: &[f32]) -> Result<Arc<Folded>> {
        let kept = self.folded.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept.filter(|kept| kept.is_of(shape, weight, scale, shift)) {
            return Ok(kept);
        }
        let folded = Arc::new(Folded::new(*shape, weight, scale, shift)?);
        *self.folded.lock().unwrap_or_else(PoisonError::into_inner) = Some(folded.clone());
        Ok(folded)
    }
}

/// Folded weights, and the numbers they were made from.
#[derive(Debug)]
struct Folded {
    weight: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    prepared: PreparedWeights,
}

impl Folded {
    fn new(shape: Conv2dShape, weight: &[f32], scale: &[f32], shift: &[f32]) -> Result<Self> {
        let outputs = weight.chunks(weight.len() / shape.out_channels).zip(scale);
        let scaled: Vec<f32> = outputs.flat_map(|(weight, scale)| weight.iter().map(move |w| w * scale)).collect();
        let prepared = PreparedWeights::new(shape, &scaled).map_err(kernel_error)?;
        Ok(Self { weight: weight.to_vec(), scale: scale.to_vec(), shift: shift.to_vec(), prepared })
    }

    fn is_of(&self, shape: &Conv2dShape, weight: &[f32], scale: &[f32], shift: &[f32]) -> bool {
        // Weights arranged for another shape would do, but then bits would depend on the passes before.
        let same_norm = same_bits(&self.scale, scale) && same_bits(&self.shift, shift);
        self.prepared.suits(shape) && same_norm && same_bits(&self.weight, weight)
    }
}

/// Whether all numbers are the same, NaN and the sign of zero included.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    const CHUNK: usize = 1 << 16;
    let same = |(a, b): (&[f32], &[f32])| a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a.to_bits() ^ b.to_bits())) == 0;
    match a.len() {
        length if length != b.len() => false,
        length if length <= CHUNK => same((a, b)),
        _ => a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).all(same),
    }
}
