//! Blocks of residual networks (He et al. 2016), with torchvision's parameter names.

use super::{Conv2dConfig, ConvNorm, Mode, conv_norm};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// What a residual block is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Two 3x3 convolutions, the first with the stride.
    Basic,
    /// 1x1, 3x3 (with the stride), 1x1 to four times the width.
    Bottleneck,
}

impl BlockKind {
    /// Channels that a block of `width` gives.
    pub fn outputs(self, width: usize) -> usize {
        match self {
            Self::Basic => width,
            Self::Bottleneck => 4 * width,
        }
    }

    /// Channels, kernel and stride of each convolution.
    fn convolutions(self, width: usize, stride: usize) -> Vec<(usize, usize, usize)> {
        match self {
            Self::Basic => vec![(width, 3, stride), (width, 3, 1)],
            Self::Bottleneck => vec![(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)],
        }
    }
}

/// `relu(convolutions(x) + shortcut(x))`; parameters `conv1`, `bn1`, `conv2`, ..., and `downsample.0`, `downsample.1` where
/// the shortcut is a projection.
#[derive(Debug, Clone)]
pub struct ResidualBlock {
    convolutions: Vec<ConvNorm>,
    shortcut: Option<ConvNorm>,
}

/// A block from `inputs` channels to `kind.outputs(width)`; the shortcut is a projection where shape or stride ask for it.
pub fn residual_block(kind: BlockKind, inputs: usize, width: usize, stride: usize, vb: VarBuilder) -> Result<ResidualBlock> {
    let mut from = inputs;
    let mut convolutions = Vec::new();
    for (i, (to, kernel, stride)) in kind.convolutions(width, stride).into_iter().enumerate() {
        let config = Conv2dConfig::square(stride, kernel / 2);
        let (conv, norm) = (vb.pp(format!("conv{}", i + 1)), vb.pp(format!("bn{}", i + 1)));
        convolutions.push(conv_norm((from, to), (kernel, kernel), config, conv, norm)?);
        from = to;
    }
    let vb = vb.pp("downsample");
    let project = || conv_norm((inputs, from), (1, 1), Conv2dConfig::square(stride, 0), vb.pp(0), vb.pp(1));
    let shortcut = (stride != 1 || inputs != from).then(project).transpose()?;
    Ok(ResidualBlock { convolutions, shortcut })
}

impl ResidualBlock {
    /// Applies it to `[batch, inputs, height, width]`.
    pub fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        let shortcut = match &self.shortcut {
            Some(projection) => &projection.forward(input, mode)?,
            None => input,
        };
        let mut x = input.clone();
        for (i, convolution) in self.convolutions.iter().enumerate() {
            x = match i + 1 == self.convolutions.len() {
                true => convolution.forward_add_relu(&x, shortcut, mode)?,
                false => convolution.forward_relu(&x, mode)?,
            };
        }
        Ok(x)
    }
}

/// `blocks` blocks in a row, named by position, the first with the stride.
pub fn residual_stage(
    kind: BlockKind,
    inputs: usize,
    width: usize,
    blocks: usize,
    stride: usize,
    vb: VarBuilder,
) -> Result<Vec<ResidualBlock>> {
    let block = |i: usize| match i {
        0 => residual_block(kind, inputs, width, stride, vb.pp(0)),
        _ => residual_block(kind, kind.outputs(width), width, 1, vb.pp(i)),
    };
    (0..blocks).map(block).collect()
}
