//! The decoder of the published network, and the skips that lead to it.

use super::{DenseDecoder, FusedMaps, LearnedUpsample, crop};
use crate::error::{Error, Result};
use crate::model::Output;
use crate::nn::{
    BlockKind, Conv2d, Conv2dConfig, ConvNorm, Mode, ResidualBlock, check_widths, conv_norm, conv2d, residual_blocks, residual_stage,
};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// A decoder as written in a configuration; by default the published one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecoderConfig {
    /// Channels of the three modules, from the deepest.
    pub channels: [usize; 3],
    /// Residual blocks of each module.
    pub blocks: usize,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self { channels: [512, 256, 128], blocks: 3 }
    }
}

impl DecoderConfig {
    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        check_widths("decoder.channels", &self.channels)?;
        match self.blocks <= 64 {
            true => Ok(()),
            false => Err(Error::config("decoder.blocks", format!("0 to 64 blocks a module are possible, found {}", self.blocks))),
        }
    }
}

/// 1x1 convolutions of the fused maps behind stages 1 to 3, to the channels of the decoder; where these agree the map is taken as it is.
///
/// Parameters: `skip_layer<stage><suffix>.0.{conv, bn}.*`.
pub struct Skips {
    /// The finest first.
    layers: Vec<Option<ConvNorm>>,
}

impl Skips {
    /// From maps of these channels, the finest first.
    pub fn new(channels: [usize; 3], decoder: &DecoderConfig, suffix: &str, vb: VarBuilder) -> Result<Self> {
        let layer = |(i, from): (usize, usize)| {
            let (to, vb) = (decoder.channels[2 - i], vb.pp(format!("skip_layer{}{suffix}", i + 1)).pp(0));
            let project = || conv_norm((from, to), (1, 1), Conv2dConfig::default(), vb.pp("conv"), vb.pp("bn"));
            (from != to).then(project).transpose()
        };
        Ok(Self { layers: channels.into_iter().enumerate().map(layer).collect::<candle_core::Result<_>>()? })
    }

    /// The skip of stage `1 + index`.
    pub fn forward(&self, index: usize, map: &Tensor, mode: Mode) -> Result<Tensor> {
        match self.layers.get(index) {
            Some(Some(layer)) => Ok(mode.result(layer.forward_relu(map, mode)?)),
            Some(None) => Ok(map.clone()),
            None => Err(Error::shape("skip", "0 to 2", index)),
        }
    }
}

/// Convolution 3x3, residual blocks, side output, enlarged to twice the size, plus the skip.
struct DecoderModule {
    conv: ConvNorm,
    blocks: Vec<ResidualBlock>,
    side: Conv2d,
    upsample: LearnedUpsample,
}

impl DecoderModule {
    fn new(from: usize, to: usize, blocks: usize, classes: usize, vb: VarBuilder) -> Result<Self> {
        let conv = vb.pp("conv3x3");
        Ok(Self {
            conv: conv_norm((from, to), (3, 3), Conv2dConfig::square(1, 1), conv.pp("conv"), conv.pp("bn"))?,
            blocks: residual_stage(BlockKind::NonBottleneck1d, to, to, blocks, 1, vb.pp("decoder_blocks"))?,
            side: conv2d(to, classes, (1, 1), Conv2dConfig::default(), vb.pp("side_output"))?,
            upsample: LearnedUpsample::new(to, vb.pp("upsample"))?,
        })
    }

    /// The next finer map, and in training the class scores of this one.
    fn forward(&self, map: &Tensor, skip: &Tensor, mode: Mode) -> Result<(Tensor, Option<Tensor>)> {
        let x = residual_blocks(&self.blocks, &self.conv.forward_relu(map, mode)?, mode)?;
        let side = mode.is_train().then(|| self.side.forward(&x)).transpose()?;
        let finer = (self.upsample.forward(&x)? + skip)?;
        Ok((mode.result(finer), side))
    }
}

/// Three modules, a 3x3 convolution to the classes and two learned enlargements: from 1/32 of the image to all of it.
///
/// Parameters as published: `decoder_module_<1..3>.{conv3x3, decoder_blocks, side_output, upsample}.*`, `conv_out.*`, `upsample1.*`,
/// `upsample2.*`.
pub struct Decoder {
    modules: Vec<DecoderModule>,
    last: Conv2d,
    upsamples: [LearnedUpsample; 2],
}

impl Decoder {
    /// For a context of `config.channels[0]` channels and skips of [`Skips`].
    pub fn new(config: &DecoderConfig, classes: usize, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let [first, second, third] = config.channels;
        let module = |(i, (from, to)): (usize, (usize, usize))| {
            DecoderModule::new(from, to, config.blocks, classes, vb.pp(format!("decoder_module_{}", i + 1)))
        };
        Ok(Self {
            modules: [(first, first), (first, second), (second, third)].into_iter().enumerate().map(module).collect::<Result<_>>()?,
            last: conv2d(third, classes, (3, 3), Conv2dConfig::square(1, 1), vb.pp("conv_out"))?,
            upsamples: [LearnedUpsample::new(classes, vb.pp("upsample1"))?, LearnedUpsample::new(classes, vb.pp("upsample2"))?],
        })
    }
}

impl DenseDecoder for Decoder {
    /// Coarser predictions are at 1/8, 1/16 and 1/32 of the image.
    fn decode(&self, maps: &FusedMaps, mode: Mode) -> Result<Output> {
        if maps.skips.len() != self.modules.len() {
            return Err(Error::shape("skips", format!("{} maps", self.modules.len()), maps.skips.len()));
        }
        let (mut x, mut side) = (maps.context.clone(), Vec::new());
        for (i, (module, skip)) in self.modules.iter().zip(maps.skips.iter().rev()).enumerate() {
            let (finer, coarse) = module.forward(&x, skip, mode)?;
            x = finer;
            if let Some(coarse) = coarse {
                let (factor, (height, width)) = (32 >> i, maps.size);
                side.insert(0, crop(&coarse, (height.div_ceil(factor), width.div_ceil(factor)))?);
            }
        }
        x = self.last.forward(&x)?;
        for upsample in &self.upsamples {
            x = upsample.forward(&x)?;
        }
        Ok(Output { prediction: mode.result(crop(&x, maps.size)?), features: maps.distilled(), side })
    }
}
