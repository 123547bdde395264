//! The plain network: an encoder a sensor, fusion at every depth, one decoder.

use super::{Maps, Meeting, Pyramid, padded, resize::nearest};
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::{Convolution, Layer, conv_norm_relu, max_pool, squeeze_excite};
use crate::weights::Scope;
use mm_core::dense::{UNetConfig, UNetFusion};

/// The maps of each sensor by depth, the finest first, as they are added to the others.
pub(super) fn encode(
    graph: &mut Graph,
    config: &UNetConfig,
    sensors: impl Iterator<Item = (String, Value)>,
    scope: &Scope,
) -> Result<Vec<Maps>> {
    sensors.map(|(name, value)| encode_one(graph, config, &name, &value, scope)).collect()
}

fn encode_one(graph: &mut Graph, config: &UNetConfig, name: &str, value: &Value, scope: &Scope) -> Result<Maps> {
    let levels = config.widths.len();
    let mut map = padded(graph, value, 1 << (levels - 1));
    let mut maps = Vec::with_capacity(levels);
    for level in 0..levels {
        if level > 0 {
            map = max_pool(graph, &map, 2, 2, 0);
        }
        map = double(graph, &map, &scope.pp("encoders").pp(name).pp(level))?;
        maps.push(match config.fusion {
            UNetFusion::Mean => map.clone(),
            UNetFusion::SqueezeExcite => squeeze_excite(graph, &map, &scope.pp("gates").pp(level).pp(name))?,
        });
    }
    Ok(maps)
}

/// Two 3x3 convolutions with batch normalisation and ReLU.
fn double(graph: &mut Graph, x: &Value, scope: &Scope) -> Result<Value> {
    let form = Convolution::square(1, 1);
    let first = conv_norm_relu(graph, x, &scope.pp("conv1"), &scope.pp("bn1"), form)?;
    conv_norm_relu(graph, &first, &scope.pp("conv2"), &scope.pp("bn2"), form)
}

/// At every depth the mean of the sensors that are there, or the sum of what gates let through.
pub(super) fn fuse(graph: &mut Graph, config: &UNetConfig, maps: &[Maps], meeting: &Meeting) -> Pyramid {
    let mut fused: Vec<Value> = Vec::with_capacity(config.widths.len());
    for level in 0..config.widths.len() {
        let parts = meeting.subset.indices().zip(maps).map(|(m, maps)| meeting.part(graph, m, &maps[level]));
        let parts: Vec<Value> = parts.collect();
        let sum = graph.sum(&parts);
        fused.push(if config.fusion == UNetFusion::Mean { meeting.mean(graph, &sum) } else { sum });
    }
    pyramid(fused)
}

/// Of maps of all depths, the finest first; there are two at least.
pub(super) fn pyramid(mut maps: Vec<Value>) -> Pyramid {
    let context = maps.remove(maps.len() - 1);
    Pyramid { skips: maps, context }
}

/// At each depth the deeper map by nearest neighbour, the skip beside it, two convolutions; a 1x1 convolution at the end.
pub(super) fn decode(graph: &mut Graph, pyramid: &Pyramid, scope: &Scope) -> Result<Value> {
    let mut x = pyramid.context.clone();
    for (level, skip) in pyramid.skips.iter().enumerate().rev() {
        let enlarged = nearest(graph, &x, [skip.shape[1], skip.shape[2]]);
        let both = graph.concat(&[enlarged, skip.clone()]);
        x = double(graph, &both, &scope.pp(level))?;
    }
    Layer::of(&scope.pp("head"))?.conv(graph, &x, Convolution::square(1, 0))
}
