//! Blocks of residual networks.

use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::{Convolution, EPS, Layer, conv_norm_relu};
use crate::weights::Scope;
use mm_core::nn::BlockKind;

/// `relu(layers(x) + shortcut(x))`; the first block of a stage has the stride.
pub(crate) fn residual_block(graph: &mut Graph, x: &Value, kind: BlockKind, stride: usize, scope: &Scope) -> Result<Value> {
    let unit = |i: usize| (scope.pp(format!("conv{i}")), scope.pp(format!("bn{i}")));
    let last = match kind {
        BlockKind::Basic => {
            let (conv, norm) = unit(1);
            let y = conv_norm_relu(graph, x, &conv, &norm, Convolution::square(stride, 1))?;
            let (conv, norm) = unit(2);
            Layer::normed(&conv, &norm, EPS)?.conv(graph, &y, Convolution::square(1, 1))?
        }
        BlockKind::Bottleneck => {
            let (conv, norm) = unit(1);
            let y = conv_norm_relu(graph, x, &conv, &norm, Convolution::square(1, 0))?;
            let (conv, norm) = unit(2);
            let y = conv_norm_relu(graph, &y, &conv, &norm, Convolution::square(stride, 1))?;
            let (conv, norm) = unit(3);
            Layer::normed(&conv, &norm, EPS)?.conv(graph, &y, Convolution::square(1, 0))?
        }
        BlockKind::NonBottleneck1d => {
            let y = split_unit(graph, x, 1, stride, scope)?;
            let y = graph.unary("Relu", &y);
            split_unit(graph, &y, 2, 1, scope)?
        }
    };
    let downsample = scope.pp("downsample");
    let shortcut = match downsample.has("0.weight") {
        true => Layer::normed(&downsample.pp(0), &downsample.pp(1), EPS)?.conv(graph, x, Convolution::square(stride, 0))?,
        false => x.clone(),
    };
    let sum = graph.binary("Add", &last, &shortcut);
    Ok(graph.unary("Relu", &sum))
}

/// The `i`-th 3x3 convolution, split into 3x1 and 1x3 with a ReLU between and the norm behind.
fn split_unit(graph: &mut Graph, x: &Value, i: usize, stride: usize, scope: &Scope) -> Result<Value> {
    let column = Convolution { stride: [stride, 1], padding: [1, 0], dilation: [1; 2] };
    let row = Convolution { stride: [1, stride], padding: [0, 1], dilation: [1; 2] };
    let y = Layer::of(&scope.pp(format!("conv3x1_{i}")))?.conv(graph, x, column)?;
    let y = graph.unary("Relu", &y);
    Layer::normed(&scope.pp(format!("conv1x3_{i}")), &scope.pp(format!("bn{i}")), 1e-3)?.conv(graph, &y, row)
}

/// Blocks in a row, named by position, the first with the stride.
pub(crate) fn residual_stage(graph: &mut Graph, x: &Value, kind: BlockKind, blocks: usize, stride: usize, scope: &Scope) -> Result<Value> {
    (0..blocks).try_fold(x.clone(), |x, i| residual_block(graph, &x, kind, if i == 0 { stride } else { 1 }, &scope.pp(i)))
}
