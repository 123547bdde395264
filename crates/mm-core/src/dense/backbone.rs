//! Residual encoders that give a map at each of five depths.

use crate::error::{Error, Result};
use crate::nn::{
    BlockKind, Conv2dConfig, ConvNorm, Mode, ResidualBlock, check_widths, conv_norm, max_pool2d, residual_blocks, residual_stage,
};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// Depths at which an encoder gives a map: behind the stem and behind each of four stages, at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input.
pub const LEVELS: usize = 5;

/// What the stages of a [`DenseEncoder`] are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DenseBlock {
    /// Two 3x3 convolutions.
    #[serde(rename = "basic")]
    Basic,
    /// 3x1 and 1x3 convolutions, twice: fewer multiplications than [`DenseBlock::Basic`], with a ReLU more each.
    #[serde(rename = "non_bottleneck_1d")]
    NonBottleneck1d,
    /// 1x1, 3x3, 1x1.
    #[serde(rename = "bottleneck")]
    Bottleneck,
}

/// A residual encoder as written in a configuration; by default ResNet-34 of [`DenseBlock::NonBottleneck1d`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackboneConfig {
    /// 18, 34 or 50 layers.
    pub depth: usize,
    /// Blocks of the stages: `basic` or `non_bottleneck_1d` with 18 and 34 layers, `bottleneck` with 50. By default
    /// `non_bottleneck_1d`, with 50 layers `bottleneck`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<DenseBlock>,
    /// Channels of the stem and of the first stage; each further stage doubles them.
    pub width: usize,
}

impl Default for BackboneConfig {
    fn default() -> Self {
        Self { depth: 34, block: None, width: 64 }
    }
}

impl BackboneConfig {
    /// Refuses settings that no network has.
    pub fn validate(&self) -> Result<()> {
        if !matches!(self.depth, 18 | 34 | 50) {
            return Err(Error::config("depth", format!("a residual encoder has 18, 34 or 50 layers, found {}", self.depth)));
        }
        if (self.depth == 50) != (self.block_kind() == BlockKind::Bottleneck) {
            let fitting = if self.depth == 50 { "`bottleneck`" } else { "`basic` or `non_bottleneck_1d`" };
            return Err(Error::config("block", format!("{} layers are made of {fitting}", self.depth)));
        }
        check_widths("width", &[self.width])
    }

    fn block_kind(&self) -> BlockKind {
        match (self.block, self.depth) {
            (Some(DenseBlock::Basic), _) => BlockKind::Basic,
            (Some(DenseBlock::NonBottleneck1d), _) => BlockKind::NonBottleneck1d,
            (Some(DenseBlock::Bottleneck), _) | (None, 50) => BlockKind::Bottleneck,
            (None, _) => BlockKind::NonBottleneck1d,
        }
    }

    /// Channels at each depth.
    pub fn channels(&self) -> [usize; LEVELS] {
        let outputs = |stage: usize| self.block_kind().outputs(self.width << stage);
        [self.width, outputs(0), outputs(1), outputs(2), outputs(3)]
    }
}

/// Stem and four stages, to be run one by one, since networks fuse their sensors between them.
///
/// Parameters as torchvision's: `conv1.weight`, `bn1.*`, `layer<stage>.<block>.*`.
pub struct DenseEncoder {
    stem: ConvNorm,
    stages: Vec<Vec<ResidualBlock>>,
}

impl DenseEncoder {
    /// An encoder of maps of so many channels.
    pub fn new(config: &BackboneConfig, channels: usize, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let stem = conv_norm((channels, config.width), (7, 7), Conv2dConfig::square(2, 3), vb.pp("conv1"), vb.pp("bn1"))?;
        let blocks = if config.depth == 18 { [2, 2, 2, 2] } else { [3, 4, 6, 3] };
        let kind = config.block_kind();
        let stage = |(s, blocks): (usize, usize)| {
            let (from, stride) = (config.channels()[s], if s == 0 { 1 } else { 2 });
            residual_stage(kind, from, config.width << s, blocks, stride, vb.pp(format!("layer{}", s + 1)))
        };
        Ok(Self { stem, stages: blocks.into_iter().enumerate().map(stage).collect::<candle_core::Result<_>>()? })
    }

    /// The map of a depth from that of the depth before; of depth 0, from the input. Maps of depth 0 are pooled on the way to depth 1.
    pub fn level(&self, level: usize, input: &Tensor, mode: Mode) -> Result<Tensor> {
        let Some(stage) = level.checked_sub(1) else { return Ok(mode.result(self.stem.forward_relu(input, mode)?)) };
        let blocks = self.stages.get(stage).ok_or_else(|| Error::shape("level", format!("0 to {}", LEVELS - 1), level))?;
        let x = if stage == 0 { max_pool2d(input, 3, 2, 1)? } else { input.clone() };
        Ok(mode.result(residual_blocks(blocks, &x, mode)?))
    }
}
