//! The published network for colour and depth: one sensor, the carrier, goes on from the fused maps.

use super::resize::nearest;
use super::{Maps, Meeting, Pyramid, padded};
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::{Convolution, EPS, Layer, adaptive_pool, conv_norm_relu, max_pool, squeeze_excite};
use crate::residual::residual_stage;
use crate::weights::Scope;
use mm_core::dense::{BackboneConfig, ContextConfig, DecoderConfig, DenseBlock, EsaNetConfig, LEVELS};
use mm_core::nn::BlockKind;

/// The gated maps of each sensor by depth; of the carrier the first alone, since what follows depends on the combination.
pub(super) fn encode(
    graph: &mut Graph,
    config: &EsaNetConfig,
    sensors: impl Iterator<Item = (String, Value)>,
    scope: &Scope,
) -> Result<Vec<Maps>> {
    let mut all = Vec::new();
    for (i, (name, value)) in sensors.enumerate() {
        let mut map = padded(graph, &value, 1 << LEVELS);
        let mut maps = Vec::new();
        for depth in 0..if carries(config, i, &name) { 1 } else { LEVELS } {
            map = level(graph, &config.encoder, depth, &map, &scope.pp(format!("encoder_{name}")))?;
            maps.push(gated(graph, depth, &name, &map, scope)?);
        }
        all.push(maps);
    }
    Ok(all)
}

/// Whether the sensor at this position goes on from the fused maps.
fn carries(config: &EsaNetConfig, position: usize, name: &str) -> bool {
    config.carrier.as_ref().map_or(position == 0, |carrier| carrier == name)
}

fn gated(graph: &mut Graph, depth: usize, name: &str, map: &Value, scope: &Scope) -> Result<Value> {
    squeeze_excite(graph, map, &scope.pp(format!("se_layer{depth}")).pp(format!("se_{name}")))
}

/// The sum of the gated maps at each depth, and what the decoder reads of it.
pub(super) fn fuse(graph: &mut Graph, config: &EsaNetConfig, maps: &[Maps], meeting: &Meeting, scope: &Scope) -> Result<Pyramid> {
    let mut fused: Vec<Value> = Vec::with_capacity(LEVELS);
    for depth in 0..LEVELS {
        let mut parts = Vec::new();
        for (i, (m, maps)) in meeting.subset.indices().zip(maps).enumerate() {
            let name = &meeting.sensors.all[m].name;
            let map = match fused.last() {
                Some(before) if carries(config, i, name) => {
                    let map = level(graph, &config.encoder, depth, before, &scope.pp(format!("encoder_{name}")))?;
                    gated(graph, depth, name, &map, scope)?
                }
                _ => maps[depth].clone(),
            };
            parts.push(meeting.part(graph, m, &map));
        }
        fused.push(graph.sum(&parts));
    }
    bridge(graph, &config.context, &fused[1..], "", scope)
}

/// The map of a depth from that of the depth before; of depth 0, from the input.
pub(super) fn level(graph: &mut Graph, config: &BackboneConfig, depth: usize, x: &Value, scope: &Scope) -> Result<Value> {
    let Some(stage) = depth.checked_sub(1) else {
        return conv_norm_relu(graph, x, &scope.pp("conv1"), &scope.pp("bn1"), Convolution::square(2, 3));
    };
    let blocks = if config.depth == 18 { [2, 2, 2, 2] } else { [3, 4, 6, 3] };
    let kind = match (config.block, config.depth) {
        (Some(DenseBlock::Basic), _) => BlockKind::Basic,
        (Some(DenseBlock::NonBottleneck1d), _) => BlockKind::NonBottleneck1d,
        (Some(DenseBlock::Bottleneck), _) | (None, 50) => BlockKind::Bottleneck,
        (None, _) => BlockKind::NonBottleneck1d,
    };
    let (x, stride) = if stage == 0 { (max_pool(graph, x, 3, 2, 1), 1) } else { (x.clone(), 2) };
    residual_stage(graph, &x, kind, blocks[stage], stride, &scope.pp(format!("layer{depth}")))
}

/// From the maps of stages 1 to 4 to what a decoder reads: 1x1 convolutions of the skips, pyramid pooling of the deepest.
pub(super) fn bridge(graph: &mut Graph, context: &ContextConfig, stages: &[Value], suffix: &str, scope: &Scope) -> Result<Pyramid> {
    let mut skips = Vec::new();
    for (i, map) in stages[..3].iter().enumerate() {
        let scope = scope.pp(format!("skip_layer{}{suffix}", i + 1)).pp(0);
        // Where the channels agree the map is taken as it is.
        skips.push(match scope.has("conv.weight") {
            true => conv_norm_relu(graph, map, &scope.pp("conv"), &scope.pp("bn"), Convolution::square(1, 0))?,
            false => map.clone(),
        });
    }
    let context = pyramid_pooling(graph, context, &stages[3], &scope.pp(format!("context_module{suffix}")))?;
    Ok(Pyramid { skips, context })
}

fn pyramid_pooling(graph: &mut Graph, config: &ContextConfig, x: &Value, scope: &Scope) -> Result<Value> {
    let size = [x.shape[1], x.shape[2]];
    let mut all = vec![x.clone()];
    for (i, &bins) in config.bins.iter().enumerate() {
        let scope = scope.pp("features").pp(i);
        let (parts, scope) = match config.adapted_to {
            // On larger maps there are as many more parts.
            Some(trained) => {
                let times = |i: usize| ((2 * size[i] + trained[i]) / (2 * trained[i])).max(1);
                ([bins * times(0), bins * times(1)], scope)
            }
            None => ([bins; 2], scope.pp(1)),
        };
        let means = adaptive_pool(graph, x, parts);
        let branch = conv_norm_relu(graph, &means, &scope.pp("conv"), &scope.pp("bn"), Convolution::square(1, 0))?;
        all.push(nearest(graph, &branch, size));
    }
    let all = graph.concat(&all);
    let last = scope.pp("final_conv");
    conv_norm_relu(graph, &all, &last.pp("conv"), &last.pp("bn"), Convolution::square(1, 0))
}

/// Three modules, a 3x3 convolution to the classes and two learned enlargements.
pub(super) fn decode(graph: &mut Graph, config: &DecoderConfig, pyramid: &Pyramid, scope: &Scope) -> Result<Value> {
    let mut x = pyramid.context.clone();
    for (i, skip) in pyramid.skips.iter().rev().enumerate() {
        let scope = scope.pp(format!("decoder_module_{}", i + 1));
        let conv = scope.pp("conv3x3");
        x = Layer::normed(&conv.pp("conv"), &conv.pp("bn"), EPS)?.conv(graph, &x, Convolution::square(1, 1))?;
        x = graph.unary("Relu", &x);
        x = residual_stage(graph, &x, BlockKind::NonBottleneck1d, config.blocks, 1, &scope.pp("decoder_blocks"))?;
        x = enlarged(graph, &x, &scope.pp("upsample"))?;
        x = graph.binary("Add", &x, skip);
    }
    x = Layer::of(&scope.pp("conv_out"))?.conv(graph, &x, Convolution::square(1, 1))?;
    x = enlarged(graph, &x, &scope.pp("upsample1"))?;
    enlarged(graph, &x, &scope.pp("upsample2"))
}

/// Nearest neighbour to twice the size, then a learned convolution of each channel.
fn enlarged(graph: &mut Graph, x: &Value, scope: &Scope) -> Result<Value> {
    let larger = nearest(graph, x, [2 * x.shape[1], 2 * x.shape[2]]);
    Layer::of(&scope.pp("conv"))?.depthwise(graph, &larger, Convolution::square(1, 1))
}
