//! Residual stages behind the concatenation of maps.

use super::Trunk;
use crate::error::{Error, ModalityError, Result};
use crate::nn::{
    BatchNorm, BlockKind, ConcatConv2d, Conv2dConfig, ConvNorm, Mode, ResidualBlock, adaptive_avg_pool2d, batch_norm, check_widths,
    concat_conv2d, conv_norm, residual_block, residual_blocks, residual_stage,
};
use crate::parallel;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// A [`ResNetTrunk`] as written in a configuration; by default the third and fourth stage of a ResNet-18.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResNetTrunkConfig {
    /// Channels of each stage; every stage halves height and width.
    pub widths: Vec<usize>,
    /// Blocks of two 3x3 convolutions in each stage.
    pub blocks: Vec<usize>,
    /// Maps of different sizes are averaged down to the smallest height and width; otherwise they are refused.
    pub pool_to_smallest: bool,
}

impl Default for ResNetTrunkConfig {
    fn default() -> Self {
        Self { widths: vec![256, 512], blocks: vec![2, 2], pool_to_smallest: false }
    }
}

impl ResNetTrunkConfig {
    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        check_widths("trunk.widths", &self.widths)?;
        if self.widths.len() != self.blocks.len() || self.blocks.contains(&0) || self.blocks.iter().any(|&b| b > 100) {
            let found = format!("found widths {:?} and blocks {:?}", self.widths, self.blocks);
            return Err(Error::config("trunk.blocks", format!("must be one number of 1 to 100 a stage, as `widths`; {found}")));
        }
        Ok(())
    }
}

/// Trunk for maps: concatenation over channels, then residual stages of basic blocks, each with stride 2.
///
/// The two convolutions that read the concatenation (the first of the first block, and its projection) are linear, so the
/// part of a modality is its share of both, stacked over channels. Parameters: `<stage>.<block>.*` as
/// [`crate::nn::ResidualBlock`] names them.
pub struct ResNetTrunk {
    first: FirstBlock,
    blocks: Vec<ResidualBlock>,
    input_shapes: Vec<[usize; 3]>,
    /// Height and width at which the maps meet.
    size: (usize, usize),
    feature_shape: [usize; 3],
}

impl ResNetTrunk {
    /// Builds the stages for features of the given shapes; `names` of the modalities are for the errors.
    pub fn new(config: &ResNetTrunkConfig, names: &[String], feature_shapes: &[&[usize]], vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let (first_width, first_blocks) = (config.widths[0], config.blocks[0]);
        let input_shapes = names.iter().zip(feature_shapes).map(|(name, shape)| map_shape(name, shape)).collect::<Result<Vec<_>>>()?;
        let size = common_size(config, names, &input_shapes)?;
        let channels: Vec<usize> = input_shapes.iter().map(|shape| shape[0]).collect();
        let first = FirstBlock::new(&channels, first_width, vb.pp("0.0"))?;
        let mut blocks: Vec<ResidualBlock> = (1..first_blocks)
            .map(|i| residual_block(BlockKind::Basic, first_width, first_width, 1, vb.pp(0).pp(i)))
            .collect::<candle_core::Result<_>>()?;
        let mut from = first_width;
        for (s, (&width, &count)) in config.widths.iter().zip(&config.blocks).enumerate().skip(1) {
            blocks.extend(residual_stage(BlockKind::Basic, from, width, count, 2, vb.pp(s))?);
            from = width;
        }
        let halved = |n: usize| (0..config.widths.len()).fold(n, |n, _| n.div_ceil(2));
        Ok(Self { first, blocks, input_shapes, size, feature_shape: [from, halved(size.0), halved(size.1)] })
    }

    /// A map at the common size.
    fn resized(&self, map: &Tensor) -> Result<Tensor> {
        match map.dims4()? {
            (_, _, height, width) if (height, width) == self.size => Ok(map.clone()),
            _ => Ok(adaptive_avg_pool2d(map, self.size)?),
        }
    }

    fn behind_first(&self, x: Tensor, mode: Mode) -> Result<Tensor> {
        Ok(residual_blocks(&self.blocks, &x, mode)?)
    }
}

/// `[channels, height, width]` of a feature that is a map.
fn map_shape(name: &str, shape: &[usize]) -> Result<[usize; 3]> {
    shape.try_into().map_err(|_| {
        let problem = format!("a resnet trunk reads maps, but the feature of `{name}` has shape {shape:?}");
        Error::config("trunk.kind", format!("{problem}; choose a resnet encoder for `{name}`, or an MLP trunk"))
    })
}

/// The height and width of all maps, or the smallest of each.
fn common_size(config: &ResNetTrunkConfig, names: &[String], shapes: &[[usize; 3]]) -> Result<(usize, usize)> {
    let size = |shape: &[usize; 3]| (shape[1], shape[2]);
    let (Some(first), Some(first_name)) = (shapes.first().map(size), names.first()) else {
        return Err(Error::config("modalities", "a trunk needs at least one modality"));
    };
    match names.iter().zip(shapes).find(|(_, shape)| size(shape) != first) {
        Some((name, other)) if !config.pool_to_smallest => {
            let (found, expected) = (format!("{}x{}", other[1], other[2]), format!("{}x{}", first.0, first.1));
            let problem = format!("the map of `{name}` is {found}, that of `{first_name}` {expected}");
            Err(Error::config("trunk.pool_to_smallest", format!("{problem}: give both images one size, or set this to true")))
        }
        _ => Ok(shapes.iter().map(size).fold(first, |least, size| (least.0.min(size.0), least.1.min(size.1)))),
    }
}

impl Trunk for ResNetTrunk {
    fn part(&self, index: usize, feature: &Tensor) -> Result<Tensor> {
        self.first.part(index, &self.resized(feature)?)
    }

    fn finish(&self, sum: &Tensor, mode: Mode) -> Result<Tensor> {
        let width = sum.dim(1)? / 2;
        let (main, shortcut) = (sum.narrow(1, 0, width)?, sum.narrow(1, width, width)?);
        self.behind_first(self.first.finish(&main, &shortcut, mode)?, mode)
    }

    /// In training one convolution over the concatenation; in prediction the sum of the parts, as for all combinations.
    fn forward(&self, features: &[Option<Tensor>], mode: Mode) -> Result<Tensor> {
        let Some(present) = features.iter().flatten().next() else {
            return Err(ModalityError::NothingInBatch.into());
        };
        if !mode.is_train() {
            let parts = features.iter().enumerate().filter_map(|(m, f)| f.as_ref().map(|f| self.part(m, f)));
            let sum = parts.reduce(|sum, part| Ok((sum? + part?)?)).transpose()?;
            return self.finish(&sum.ok_or(ModalityError::NothingInBatch)?, mode);
        }
        let batch = present.dim(0)?;
        let map = |(feature, &[channels, ..]): (&Option<Tensor>, &[usize; 3])| match feature {
            Some(feature) => self.resized(feature),
            None => Ok(Tensor::zeros((batch, channels, self.size.0, self.size.1), present.dtype(), present.device())?),
        };
        let maps: Vec<Tensor> = features.iter().zip(&self.input_shapes).map(map).collect::<Result<_>>()?;
        let run = |maps: &Tensor| self.behind_first(self.first.forward(maps, mode)?, mode);
        let maps = Tensor::cat(&maps, 1)?;
        match parallel::share(batch) {
            Some(share) => {
                let own = share.take(&maps)?;
                share.gather(&share.run(|| run(&own))?)
            }
            None => run(&maps),
        }
    }

    fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }
}

/// A basic block with stride 2 behind a concatenation: [`ResidualBlock`] with its first convolutions split by modality.
struct FirstBlock {
    conv1: ConcatConv2d,
    bn1: BatchNorm,
    projection: ConcatConv2d,
    projection_norm: BatchNorm,
    second: ConvNorm,
}

impl FirstBlock {
    fn new(channels: &[usize], width: usize, vb: VarBuilder) -> Result<Self> {
        let downsample = vb.pp("downsample");
        Ok(Self {
            conv1: concat_conv2d(channels, width, 3, Conv2dConfig::square(2, 1), vb.pp("conv1"))?,
            bn1: batch_norm(width, vb.pp("bn1"))?,
            projection: concat_conv2d(channels, width, 1, Conv2dConfig::square(2, 0), downsample.pp(0))?,
            projection_norm: batch_norm(width, downsample.pp(1))?,
            second: conv_norm((width, width), (3, 3), Conv2dConfig::square(1, 1), vb.pp("conv2"), vb.pp("bn2"))?,
        })
    }

    /// Both convolutions of one modality's map, stacked over channels.
    fn part(&self, index: usize, map: &Tensor) -> Result<Tensor> {
        Ok(Tensor::cat(&[self.conv1.part(index, map)?, self.projection.part(index, map)?], 1)?)
    }

    /// The block behind its two first convolutions.
    fn finish(&self, main: &Tensor, shortcut: &Tensor, mode: Mode) -> Result<Tensor> {
        let x = self.bn1.forward_relu(main, mode)?;
        Ok(self.second.forward_add_relu(&x, &self.projection_norm.forward(shortcut, mode)?, mode)?)
    }

    fn forward(&self, concatenation: &Tensor, mode: Mode) -> Result<Tensor> {
        self.finish(&self.conv1.forward(concatenation)?, &self.projection.forward(concatenation)?, mode)
    }
}
