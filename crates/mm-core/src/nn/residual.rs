//! Blocks of residual networks (He et al. 2016), with torchvision's parameter names.

use super::conv_chain::{BlockOf, train_as_one};
use super::{Conv2dConfig, ConvNorm, Mode, Residual, batch_norm_with_eps, conv_chain, conv_norm, conv2d_for_relu};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// What a residual block is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Two 3x3 convolutions, the first with the stride.
    Basic,
    /// 1x1, 3x3 (with the stride), 1x1 to four times the width.
    Bottleneck,
    /// Two 3x3 convolutions, each split into 3x1 and 1x3 with a bias and a ReLU between (Romera et al. 2018, ERFNet); eps 1e-3 in the norms.
    NonBottleneck1d,
}

impl BlockKind {
    /// Channels that a block of `width` gives.
    pub fn outputs(self, width: usize) -> usize {
        match self {
            Self::Basic | Self::NonBottleneck1d => width,
            Self::Bottleneck => 4 * width,
        }
    }
}

/// `relu(layers(x) + shortcut(x))`; parameters `conv1`, `bn1`, `conv2`, ..., of a [`BlockKind::NonBottleneck1d`] `conv3x1_1`, `conv1x3_1`,
/// `bn1`, `conv3x1_2`, ..., and `downsample.0`, `downsample.1` where the shortcut is a projection.
#[derive(Debug, Clone)]
pub struct ResidualBlock {
    /// A ReLU is behind each.
    layers: Vec<ConvNorm>,
    shortcut: Option<ConvNorm>,
}

/// A block from `inputs` channels to `kind.outputs(width)`; the shortcut is a projection where shape or stride ask for it.
pub fn residual_block(kind: BlockKind, inputs: usize, width: usize, stride: usize, vb: VarBuilder) -> Result<ResidualBlock> {
    // The `i`-th square convolution with its norm.
    let unit = |i: usize, channels, kernel, stride| {
        let config = Conv2dConfig::square(stride, kernel / 2);
        conv_norm(channels, (kernel, kernel), config, vb.pp(format!("conv{i}")), vb.pp(format!("bn{i}")))
    };
    let layers = match kind {
        BlockKind::Basic => vec![unit(1, (inputs, width), 3, stride)?, unit(2, (width, width), 3, 1)?],
        BlockKind::Bottleneck => {
            vec![unit(1, (inputs, width), 1, 1)?, unit(2, (width, width), 3, stride)?, unit(3, (width, 4 * width), 1, 1)?]
        }
        BlockKind::NonBottleneck1d => {
            let [column, row] = split_unit(1, inputs, width, stride, &vb)?;
            let [second, last] = split_unit(2, width, width, 1, &vb)?;
            vec![column, row, second, last]
        }
    };
    let (outputs, vb) = (kind.outputs(width), vb.pp("downsample"));
    let project = || conv_norm((inputs, outputs), (1, 1), Conv2dConfig::square(stride, 0), vb.pp(0), vb.pp(1));
    let shortcut = (stride != 1 || inputs != outputs).then(project).transpose()?;
    Ok(ResidualBlock { layers, shortcut })
}

/// The `i`-th 3x3 convolution of a [`BlockKind::NonBottleneck1d`]: 3x1, and 1x3 with its norm; each has its share of the stride.
fn split_unit(i: usize, inputs: usize, outputs: usize, stride: usize, vb: &VarBuilder) -> Result<[ConvNorm; 2]> {
    let column = Conv2dConfig { stride: (stride, 1), padding: (1, 0), ..Conv2dConfig::default() };
    let row = Conv2dConfig { stride: (1, stride), padding: (0, 1), ..Conv2dConfig::default() };
    let column = conv2d_for_relu(inputs, outputs, (3, 1), column, vb.pp(format!("conv3x1_{i}")))?;
    let row = conv2d_for_relu(outputs, outputs, (1, 3), row, vb.pp(format!("conv1x3_{i}")))?;
    let norm = batch_norm_with_eps(outputs, 1e-3, vb.pp(format!("bn{i}")))?;
    Ok([ConvNorm::without_norm(column), ConvNorm::new(row, norm)])
}

impl ResidualBlock {
    /// Applies it to `[batch, inputs, height, width]`.
    pub fn forward(&self, input: &Tensor, mode: Mode) -> Result<Tensor> {
        let (layers, residual) = self.parts();
        conv_chain(&layers, residual, None, input, mode)
    }

    fn parts(&self) -> BlockOf<'_> {
        (self.layers.iter().map(|layer| (layer, true)).collect(), self.shortcut.as_ref().map_or(Residual::Input, Residual::Projection))
    }
}

/// Blocks one behind the other, `[batch, inputs of the first, ..]` to `[batch, outputs of the last, ..]`; they train as one op.
pub fn residual_blocks<'a>(blocks: impl IntoIterator<Item = &'a ResidualBlock>, input: &Tensor, mode: Mode) -> Result<Tensor> {
    let blocks: Vec<_> = blocks.into_iter().collect();
    if mode.is_train() && !blocks.is_empty() {
        let parts: Vec<_> = blocks.iter().map(|block| block.parts()).collect();
        if let Some(output) = train_as_one(&parts, None, input)? {
            return Ok(output);
        }
    }
    blocks.into_iter().try_fold(input.clone(), |x, block| block.forward(&x, mode))
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
