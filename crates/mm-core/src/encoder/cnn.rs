//! A small convolutional network for images and spectrograms that need no deep one.

use super::{Encoder, EncoderCost, EncoderKind, EncoderRecipe};
use crate::data::{InputSpec, Reading};
use crate::error::{Error, Result};
use crate::nn::{Conv2dConfig, ConvNorm, Mode, adaptive_avg_pool2d, check_widths, conv_norm, max_pool2d};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

pub(super) const NAME: &str = "cnn";

/// For the list of encoders.
pub(super) fn kind() -> EncoderKind {
    EncoderKind::new::<CnnConfig>(NAME)
}

/// Settings of a [`CnnEncoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CnnConfig {
    /// Channels of each layer; height and width are halved between two layers.
    pub widths: Vec<usize>,
    /// Rows and columns of the grid whose means are the feature. `[1, 4]` keeps what a spectrogram does in each quarter of its time;
    /// `[1, 1]` is the mean over everything. Where readings differ in length, the columns divide what each one has.
    pub grid: [usize; 2],
}

impl Default for CnnConfig {
    fn default() -> Self {
        Self { widths: vec![16, 32, 64], grid: [2, 2] }
    }
}

impl EncoderRecipe for CnnConfig {
    fn validate(&self) -> Result<()> {
        check_widths("widths", &self.widths)?;
        check_widths("grid", &self.grid)
    }

    fn build(&self, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        match *input.shape {
            [channels, height, width] => Ok(Box::new(CnnEncoder::new([channels, height, width], self, vb)?)),
            _ => {
                let reads = "`cnn` reads images and spectrograms [channels, height, width]";
                Err(Error::config("kind", format!("{reads}, but `{name}` has shape {:?}", input.shape)))
            }
        }
    }

    fn cost(&self, input: &InputSpec) -> EncoderCost {
        let mut positions = input.shape.iter().skip(1).product::<usize>() as f64;
        let (mut from, mut parameters, mut multiplications) = (input.shape[0] as f64, 0.0, 0.0);
        for &width in &self.widths {
            let weights = from * width as f64 * 9.0;
            parameters += weights;
            multiplications += weights * positions;
            (from, positions) = (width as f64, positions / 4.0);
        }
        let cells = self.grid.iter().product::<usize>() as f64;
        EncoderCost { parameters, multiplications, channels: from * cells, positions: 1.0 }
    }
}

/// Layers of 3x3 convolution, batch normalisation and ReLU, with 2x2 max pooling between them, and means over a grid:
/// `[batch, channels, height, width]` to `[batch, widths.last() * rows * columns]`.
///
/// Parameters of layer `i`: `i.conv.weight`, `i.norm.{weight, bias, running_mean, running_var}`.
pub struct CnnEncoder {
    layers: Vec<ConvNorm>,
    grid: (usize, usize),
    feature_shape: [usize; 1],
}

impl CnnEncoder {
    /// Builds the layers for readings `[channels, height, width]`; an error if they are too small for so many layers.
    pub fn new([channels, height, width]: [usize; 3], config: &CnnConfig, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let (halvings, [rows, columns]) = (config.widths.len() - 1, config.grid);
        let left = |side: usize| side.checked_shr(halvings as u32).unwrap_or(0);
        if left(height) < rows || left(width) < columns {
            let problem = format!("{height} x {width}, halved {halvings} times, is {} x {}", left(height), left(width));
            let advice = format!("less than the grid of {rows} x {columns}: give fewer widths or a smaller grid");
            return Err(Error::config("widths", format!("{problem}, {advice}")));
        }
        let mut from = channels;
        let mut layers = Vec::with_capacity(config.widths.len());
        for (i, &outputs) in config.widths.iter().enumerate() {
            let vb = vb.pp(i);
            layers.push(conv_norm((from, outputs), (3, 3), Conv2dConfig::square(1, 1), vb.pp("conv"), vb.pp("norm"))?);
            from = outputs;
        }
        Ok(Self { layers, grid: (rows, columns), feature_shape: [from * rows * columns] })
    }
}

impl CnnEncoder {
    /// Means over a grid whose columns divide what each sample has, so that a cell is the same part of a short and of a long sound.
    /// `x`: `[batch, channels, height, width]`; `lengths`: `[batch]`, in columns of the reading.
    fn filled_cells(&self, x: &Tensor, lengths: &Tensor) -> Result<Tensor> {
        let ((rows, columns), (batch, channels, _, width)) = (self.grid, x.dims4()?);
        let halvings = self.layers.len() - 1;
        let mut shares = vec![0f32; batch * width * columns];
        for (shares, length) in shares.chunks_exact_mut(width * columns).zip(lengths.to_vec1::<u32>()?) {
            // What is left of a part of a column counts as a column, and a sample has at least one.
            let filled = ((length as usize).div_ceil(1 << halvings)).clamp(1, width);
            for cell in 0..columns {
                let (from, to) = (cell * filled / columns, ((cell + 1) * filled).div_ceil(columns));
                (from..to).for_each(|at| shares[at * columns + cell] = 1.0 / (to - from) as f32);
            }
        }
        let shares = Tensor::from_vec(shares, (batch, width, columns), x.device())?.to_dtype(x.dtype())?;
        let lines = adaptive_avg_pool2d(x, (rows, width))?.reshape((batch, channels * rows, width))?;
        Ok(lines.matmul(&shares)?.flatten_from(1)?)
    }
}

impl Encoder for CnnEncoder {
    fn forward(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        let mut x = reading.values.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            if i > 0 {
                x = max_pool2d(&x, 2, 2, 0)?;
            }
            x = layer.forward_relu(&x, mode)?;
        }
        match &reading.lengths {
            Some(lengths) => self.filled_cells(&x, lengths),
            None => Ok(adaptive_avg_pool2d(&x, self.grid)?.flatten_from(1)?),
        }
    }

    fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }
}
