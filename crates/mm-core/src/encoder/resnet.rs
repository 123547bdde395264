//! Residual networks (He et al. 2016) as torchvision builds them: ResNet-18, 34 and 50.

use super::{Encoder, EncoderCost, EncoderKind, EncoderRecipe};
use crate::data::{InputSpec, Reading};
use crate::error::{Error, Result};
use crate::nn::{
    BlockKind, Conv2dConfig, ConvNorm, Linear, Mode, ResidualBlock, SqueezeExcite, check_widths, conv_norm, linear, max_pool2d,
    residual_blocks, residual_stage, squeeze_excite,
};
use crate::weights::NameMap;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

pub(super) const NAME: &str = "resnet";

/// For the list of encoders.
pub(super) fn kind() -> EncoderKind {
    EncoderKind::new::<ResNetConfig>(NAME)
}

/// Hidden units of the squeeze-and-excitation gate: one for so many channels.
const REDUCTION: usize = 16;

/// A residual network as written in a configuration; by default the convolutional part of torchvision's ResNet-18.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResNetConfig {
    /// 18, 34 or 50 layers.
    pub depth: usize,
    /// What comes before the stages.
    pub stem: Stem,
    /// How many of the four stages are kept.
    pub stages: usize,
    /// Channels of stem and first stage; each further stage doubles them. Small images do well with less than the usual 64.
    pub width: usize,
    /// A squeeze-and-excitation gate behind the last stage, reduction 16.
    pub squeeze_excite: bool,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self { depth: 18, stem: Stem::Large, stages: 4, width: 64, squeeze_excite: false }
    }
}

/// First layers of a residual network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stem {
    /// Convolution 7x7 with stride 2, then max pooling 3x3 with stride 2: the published one, for images of about 224x224.
    #[serde(rename = "7x7")]
    Large,
    /// Convolution 3x3 with stride 2, then max pooling 3x3 with stride 2: for images of about 112x112.
    #[serde(rename = "3x3")]
    Medium,
    /// Convolution 3x3 with stride 1, no pooling: for images of 16x16 to 32x32.
    #[serde(rename = "small")]
    Small,
}

impl Stem {
    /// Kernel and stride of the convolution.
    fn convolution(self) -> (usize, usize) {
        match self {
            Self::Large => (7, 2),
            Self::Medium => (3, 2),
            Self::Small => (3, 1),
        }
    }

    fn pools(self) -> bool {
        self != Self::Small
    }
}

impl ResNetConfig {
    /// Refuses settings that no network has.
    pub fn validate(&self) -> Result<()> {
        if !matches!(self.depth, 18 | 34 | 50) {
            return Err(Error::config("depth", format!("a residual network has 18, 34 or 50 layers, found {}", self.depth)));
        }
        if !(1..=4).contains(&self.stages) {
            return Err(Error::config("stages", format!("must be 1 to 4, found {}", self.stages)));
        }
        check_widths("width", &[self.width])
    }

    fn block_kind(&self) -> BlockKind {
        if self.depth == 50 { BlockKind::Bottleneck } else { BlockKind::Basic }
    }

    /// Blocks of each of the four stages.
    fn blocks(&self) -> [usize; 4] {
        if self.depth == 18 { [2, 2, 2, 2] } else { [3, 4, 6, 3] }
    }
}

impl EncoderRecipe for ResNetConfig {
    fn validate(&self) -> Result<()> {
        Self::validate(self)
    }

    fn build(&self, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        match *input.shape {
            [channels, height, width] => Ok(Box::new(ResNetEncoder::new(self, channels, 1, [height, width], vb)?)),
            [channels, frames, height, width] => Ok(Box::new(ResNetEncoder::new(self, channels, frames, [height, width], vb)?)),
            _ => {
                let reads = "a resnet reads images [channels, height, width] or videos [channels, frames, height, width]";
                Err(Error::config("kind", format!("{reads}, but `{name}` has shape {:?}", input.shape)))
            }
        }
    }

    /// torchvision's and timm's; the classifier and the stages that are not kept are left out.
    fn published_names(&self) -> NameMap {
        (self.stages..4).fold(NameMap::new().skip("fc."), |names, stage| names.skip(format!("layer{}.", stage + 1)))
    }

    fn first_convolution(&self) -> Option<&'static str> {
        Some("conv1.weight")
    }

    fn cost(&self, input: &InputSpec) -> EncoderCost {
        let positions = input.shape.iter().skip(1).product::<usize>() as f64;
        let (kernel, mut positions) = match self.stem {
            Stem::Large => (49.0, positions / 4.0),
            Stem::Medium => (9.0, positions / 4.0),
            Stem::Small => (9.0, positions),
        };
        let mut width = self.width as f64;
        let mut cost = EncoderCost::chain(input.shape[0] as f64, &[self.width], kernel, positions);
        if self.stem.pools() {
            positions /= 4.0;
        }
        // Two convolutions of 3x3, or 1x1, 3x3 and 1x1 to four times the channels.
        let (kernels, expansion) = if self.depth == 50 { (17.0, 4.0) } else { (18.0, 1.0) };
        for (stage, blocks) in self.blocks().into_iter().take(self.stages).enumerate() {
            if stage > 0 {
                (width, positions) = (2.0 * width, (positions / 4.0).max(1.0));
            }
            let parameters = width * width * kernels * blocks as f64;
            cost.parameters += parameters;
            cost.multiplications += parameters * positions;
        }
        EncoderCost { channels: expansion * width, positions, ..cost }
    }
}

/// Stem and stages: `[batch, channels, height, width]` to `[batch, channels(), ..]`, no pooling at the end.
///
/// Parameters as torchvision's and timm's: `conv1.weight`, `bn1.*`, `layer<stage>.<block>.*`; the gate is `se.*`.
pub struct ResNetBackbone {
    config: ResNetConfig,
    stem: ConvNorm,
    stages: Vec<Vec<ResidualBlock>>,
    gate: Option<SqueezeExcite>,
    channels: usize,
}

impl ResNetBackbone {
    /// Builds the layers for images of so many channels.
    pub fn new(config: &ResNetConfig, channels: usize, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let (kernel, stride) = config.stem.convolution();
        let stem_config = Conv2dConfig::square(stride, kernel / 2);
        let stem = conv_norm((channels, config.width), (kernel, kernel), stem_config, vb.pp("conv1"), vb.pp("bn1"))?;
        let (kind, mut from) = (config.block_kind(), config.width);
        let mut stages = Vec::with_capacity(config.stages);
        for (s, blocks) in config.blocks().into_iter().take(config.stages).enumerate() {
            let (width, stride) = (config.width << s, if s == 0 { 1 } else { 2 });
            stages.push(residual_stage(kind, from, width, blocks, stride, vb.pp(format!("layer{}", s + 1)))?);
            from = kind.outputs(width);
        }
        let gate = config.squeeze_excite.then(|| squeeze_excite(from, REDUCTION, vb.pp("se"))).transpose()?;
        Ok(Self { config: *config, stem, stages, gate, channels: from })
    }

    /// Runs the layers.
    pub fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        let mut x = self.stem.forward_relu(input, mode)?;
        if self.config.stem.pools() {
            x = max_pool2d(&x, 3, 2, 1)?;
        }
        x = residual_blocks(self.stages.iter().flatten(), &x, mode)?;
        match &self.gate {
            Some(gate) => Ok(gate.forward(&x)?),
            None => Ok(x),
        }
    }

    /// Channels it gives.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height or width it gives for an image of that height or width: every stride of 2 halves it, rounded up.
    pub fn output_size(&self, size: usize) -> usize {
        let (_, stem_stride) = self.config.stem.convolution();
        let halvings = usize::from(stem_stride == 2) + usize::from(self.config.stem.pools()) + self.config.stages - 1;
        (0..halvings).fold(size, |size, _| size.div_ceil(2))
    }
}

/// A [`ResNetBackbone`] for images or videos of one size, as the encoder of a modality.
///
/// The frames of a video, `[batch, channels, frames, height, width]`, are encoded as `batch * frames` images. Their maps lie one
/// below the other in one map `[batch, features, frames * h, w]`, whose mean over height and width is the mean over frames and
/// positions.
pub struct ResNetEncoder {
    backbone: ResNetBackbone,
    feature_shape: [usize; 3],
}

impl ResNetEncoder {
    /// Builds the encoder for so many frames (1: images) of a size; parameters as in [`ResNetBackbone`].
    pub fn new(config: &ResNetConfig, channels: usize, frames: usize, [height, width]: [usize; 2], vb: VarBuilder) -> Result<Self> {
        let backbone = ResNetBackbone::new(config, channels, vb)?;
        let feature_shape = [backbone.channels(), frames * backbone.output_size(height), backbone.output_size(width)];
        Ok(Self { backbone, feature_shape })
    }
}

impl Encoder for ResNetEncoder {
    fn forward(&self, reading: &Reading, mode: Mode) -> Result<Tensor> {
        let &[batch, channels, frames, height, width] = reading.values.dims() else {
            return self.backbone.forward(&reading.values, mode);
        };
        let images = reading.values.transpose(1, 2)?.reshape((batch * frames, channels, height, width))?;
        let maps = self.backbone.forward(&images, mode)?;
        let (_, features, height, width) = maps.dims4()?;
        let stacked = maps.reshape((batch, frames, features, height, width))?.transpose(1, 2)?;
        Ok(stacked.reshape((batch, features, frames * height, width))?)
    }

    fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }
}

/// A whole classifier: [`ResNetBackbone`], mean over the positions, and the linear layer `fc`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use mm_core::encoder::{ResNet, ResNetConfig};
/// use mm_core::nn::{Mode, Parameters};
/// let parameters = Parameters::new(0, &Device::Cpu);
/// let network = ResNet::new(&ResNetConfig { width: 8, ..Default::default() }, 3, 10, parameters.builder())?;
/// let image = Tensor::zeros((1, 3, 64, 64), DType::F32, &Device::Cpu)?;
/// assert_eq!(network.forward(&image, Mode::Eval)?.dims(), [1, 10]);
/// # Ok::<(), mm_core::Error>(())
/// ```
pub struct ResNet {
    backbone: ResNetBackbone,
    fc: Linear,
}

impl ResNet {
    /// Builds the network for images of so many channels.
    pub fn new(config: &ResNetConfig, channels: usize, classes: usize, vb: VarBuilder) -> Result<Self> {
        let backbone = ResNetBackbone::new(config, channels, vb.clone())?;
        let fc = linear(backbone.channels(), classes, vb.pp("fc"))?;
        Ok(Self { backbone, fc })
    }

    /// Logits `[batch, classes]` of images `[batch, channels, height, width]` of any size.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        Ok(mode.result(self.fc.forward(&self.backbone.forward(images, mode)?.mean((2, 3))?)?))
    }
}
