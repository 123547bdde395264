//! A small residual network of convolutions over time.

use super::{Encoder, EncoderCost, EncoderKind, EncoderRecipe};
use crate::data::{InputSpec, Reading};
use crate::error::{Error, Result};
use crate::nn::{Conv2dConfig, ConvNorm, Lengths, Mode, Residual, check_widths, conv_chain, conv_norm, mean_of_map};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

pub(super) const NAME: &str = "temporal";

/// Taps of a convolution, at most.
const LARGEST_KERNEL: usize = 255;
/// Steps between two taps, at most: dilations grow from block to block.
const LARGEST_DILATION: usize = 1 << 16;
/// Blocks of a stage, at most.
const MOST_BLOCKS: usize = 64;

/// For the list of encoders.
pub(super) fn kind() -> EncoderKind {
    EncoderKind::new::<TemporalConfig>(NAME)
}

/// What becomes of the steps that are left behind the last layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimePooling {
    /// The mean of each channel.
    #[default]
    Mean,
    /// The largest number of each channel.
    Max,
    /// Both, one behind the other: the feature is twice as long.
    MeanMax,
}

impl TimePooling {
    /// Numbers of the feature that a channel becomes.
    fn numbers(self) -> usize {
        if self == Self::MeanMax { 2 } else { 1 }
    }

    /// `[batch, channels, 1, steps]` to `[batch, channels * numbers]`; behind what is filled stand zeros.
    fn of(self, x: &Tensor, lengths: Option<&Lengths>) -> Result<Tensor> {
        let mean = || lengths.map_or_else(|| mean_of_map(x), |lengths| lengths.mean(x));
        let max = || lengths.map_or_else(|| x.max(3)?.squeeze(2), |lengths| lengths.max(x));
        Ok(match self {
            Self::Mean => mean()?,
            Self::Max => max()?,
            Self::MeanMax => Tensor::cat(&[mean()?, max()?], 1)?,
        })
    }
}

/// Settings of a [`TemporalEncoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TemporalConfig {
    /// Channels of each stage.
    pub widths: Vec<usize>,
    /// Taps of the convolutions; odd.
    pub kernel: usize,
    /// Each stage leaves one of so many steps.
    pub stride: usize,
    /// Each block's taps are so many times as far apart as those of the block before it; 1: next to each other in all blocks.
    pub dilation: usize,
    /// Residual blocks of a stage.
    pub blocks: usize,
    /// What becomes of the steps that are left.
    pub pooling: TimePooling,
}

impl Default for TemporalConfig {
    fn default() -> Self {
        Self { widths: vec![32, 64, 128], kernel: 5, stride: 2, dilation: 1, blocks: 1, pooling: TimePooling::Mean }
    }
}

impl TemporalConfig {
    /// For series of so many steps: about eight are left behind the last stage.
    pub(super) fn for_steps(steps: usize) -> Self {
        let stride = if steps < 1024 { 2 } else { 4 };
        let stages = (steps / 8).max(2).ilog(stride).clamp(1, 5) as usize;
        Self { widths: (0..stages).map(|stage| 32 << stage.min(2)).collect(), stride, ..Self::default() }
    }

    /// Of each block, in order: channels in and out, stride, dilation.
    fn blocks_of(&self, channels: usize) -> Vec<[usize; 4]> {
        let (mut from, mut dilation, mut blocks) = (channels, 1, Vec::new());
        for &width in &self.widths {
            for block in 0..self.blocks {
                blocks.push([from, width, if block == 0 { self.stride } else { 1 }, dilation]);
                (from, dilation) = (width, dilation.saturating_mul(self.dilation));
            }
        }
        blocks
    }
}

impl EncoderRecipe for TemporalConfig {
    fn validate(&self) -> Result<()> {
        check_widths("widths", &self.widths)?;
        let within = |field: &str, found: usize, most: usize| match (1..=most).contains(&found) {
            true => Ok(()),
            false => Err(Error::config(field, format!("must be 1 to {most}, found {found}"))),
        };
        within("kernel", self.kernel, LARGEST_KERNEL)?;
        within("stride", self.stride, LARGEST_KERNEL)?;
        within("dilation", self.dilation, LARGEST_KERNEL)?;
        within("blocks", self.blocks, MOST_BLOCKS)?;
        if self.kernel.is_multiple_of(2) {
            return Err(Error::config("kernel", format!("must be odd, so that steps have as many neighbours on both sides, found {}", self.kernel)));
        }
        match self.blocks_of(1).last() {
            Some(&[_, _, _, dilation]) if dilation > LARGEST_DILATION => {
                let problem = format!("the taps of the last block would be {dilation} steps apart, more than {LARGEST_DILATION}");
                Err(Error::config("dilation", format!("{problem}: give fewer blocks or a smaller dilation")))
            }
            _ => Ok(()),
        }
    }

    fn build(&self, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        match *input.shape {
            [channels, _] => Ok(Box::new(TemporalEncoder::new(channels, self, vb)?)),
            _ => {
                let problem = format!("`temporal` reads series [channels, steps], but `{name}` has shape {:?}", input.shape);
                Err(Error::config("kind", problem))
            }
        }
    }

    fn cost(&self, input: &InputSpec) -> EncoderCost {
        let mut steps = input.shape.last().copied().unwrap_or(1);
        let (mut parameters, mut multiplications, mut channels) = (0.0, 0.0, 0);
        for [from, to, stride, _] in self.blocks_of(input.shape[0]) {
            steps = steps.div_ceil(stride);
            let projection = if stride != 1 || from != to { from * to } else { 0 };
            let weights = ((from + to) * to * self.kernel + projection) as f64;
            parameters += weights;
            multiplications += weights * steps as f64;
            channels = to;
        }
        EncoderCost { parameters, multiplications, channels: (channels * self.pooling.numbers()) as f64, positions: 1.0 }
    }
}

/// Two convolutions over time with batch normalisation, added to their input, and ReLU.
struct Block {
    first: ConvNorm,
    last: ConvNorm,
    shortcut: Option<ConvNorm>,
    stride: usize,
}

impl Block {
    fn new([inputs, width, stride, dilation]: [usize; 4], kernel: usize, vb: VarBuilder) -> Result<Self> {
        let unit = |name: &str, inputs, kernel: usize, stride, dilation: usize| {
            let config = Conv2dConfig { stride: (1, stride), padding: (0, dilation * (kernel / 2)), dilation: (1, dilation) };
            let vb = vb.pp(name);
            conv_norm((inputs, width), (1, kernel), config, vb.pp("conv"), vb.pp("norm"))
        };
        Ok(Self {
            first: unit("first", inputs, kernel, stride, dilation)?,
            last: unit("last", width, kernel, 1, dilation)?,
            shortcut: (stride != 1 || inputs != width).then(|| unit("shortcut", inputs, 1, stride, 1)).transpose()?,
            stride,
        })
    }

    /// `[batch, inputs, 1, steps]` to `[batch, width, 1, steps / stride]`, and how much of that is filled.
    fn forward(&self, x: &Tensor, lengths: Option<Lengths>, mode: Mode) -> Result<(Tensor, Option<Lengths>)> {
        let lengths = lengths.map(|lengths| lengths.strided(self.stride));
        let residual = self.shortcut.as_ref().map_or(Residual::Input, Residual::Projection);
        let output = conv_chain(&[(&self.first, true), (&self.last, true)], residual, lengths.as_ref(), x, mode)?;
        Ok((output, lengths))
    }
}

/// Stages of residual blocks (He et al. 2016) of convolutions over time, the first of each stage with the stride, and the mean over what
/// is left of the time: `[batch, channels, steps]` to `[batch, widths.last()]`.
///
/// [`Reading::lengths`] says how many steps each sample has. What stands behind them changes nothing: it is zero before every convolution,
/// as what lies outside of a series, and neither the statistics of the norms nor the pooling know it. So a sample has the same feature
/// alone and in a batch with longer ones; a sample without steps has the feature zero. Without lengths every sample has all steps.
///
/// Parameters of block `i`: `i.first.conv.weight`, `[width, inputs, 1, kernel]`, `i.first.norm.{weight, bias, running_mean, running_var}`, the
/// same of `i.last`, and of `i.shortcut` where the width changes or there is a stride.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use mm_core::data::Reading;
/// use mm_core::encoder::{Encoder, TemporalConfig, TemporalEncoder};
/// use mm_core::nn::{Mode, Parameters};
/// let parameters = Parameters::new(0, &Device::Cpu);
/// let encoder = TemporalEncoder::new(3, &TemporalConfig { widths: vec![8, 16], ..Default::default() }, parameters.builder())?;
/// let values = Tensor::rand(0f32, 1.0, (2, 3, 100), &Device::Cpu)?;
/// let reading = Reading { values, lengths: Some(Tensor::new(&[100u32, 40], &Device::Cpu)?) };
/// assert_eq!(encoder.forward(&reading, Mode::Eval)?.dims(), [2, 16]);
/// # Ok::<(), mm_core::Error>(())
/// ```
pub struct TemporalEncoder {
    blocks: Vec<Block>,
    pooling: TimePooling,
    feature_shape: [usize; 1],
}

impl TemporalEncoder {
    /// Builds the layers for series of so many channels.
    pub fn new(channels: usize, config: &TemporalConfig, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let blocks = config.blocks_of(channels).into_iter().enumerate();
        let width = config.widths.last().copied().unwrap_or_default();
        Ok(Self {
            blocks: blocks.map(|(i, sizes)| Block::new(sizes, config.kernel, vb.pp(i))).collect::<Result<_>>()?,
            pooling: config.pooling,
            feature_shape: [width * config.pooling.numbers()],
        })
    }
}

impl Encoder for TemporalEncoder {
    fn forward(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        let &[_, _, steps] = reading.values.dims() else {
            return Err(Error::shape("series", "[batch, channels, steps]", reading.values.dims()));
        };
        let mut x = reading.values.unsqueeze(2)?;
        let mut lengths = Lengths::of(reading.lengths.as_ref(), steps)?;
        if let Some(lengths) = &lengths {
            x = lengths.zero_behind(&x)?;
        }
        for block in &self.blocks {
            (x, lengths) = block.forward(&x, lengths, mode)?;
        }
        self.pooling.of(&x, lengths.as_ref())
    }

    fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }
}
