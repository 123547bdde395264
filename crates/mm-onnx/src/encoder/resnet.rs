//! Residual networks for images, and for videos frame by frame.

use super::settings;
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::{Convolution, conv_norm_relu, max_pool, squeeze_excite};
use crate::residual::residual_stage;
use crate::sensors::Sensor;
use crate::weights::Scope;
use mm_core::encoder::{EncoderConfig, ResNetConfig, Stem};
use mm_core::nn::BlockKind;

pub(super) fn encode(graph: &mut Graph, sensor: &Sensor, config: &EncoderConfig, scope: &Scope) -> Result<Value> {
    let config: ResNetConfig = settings(config)?;
    let &[channels, frames, height, width] = sensor.value.shape.as_slice() else { return backbone(graph, &sensor.value, &config, scope) };
    // The frames are images, and their maps lie one below the other.
    let frames_first = graph.transpose(&sensor.value, &[0, 2, 1, 3, 4]);
    let images = graph.reshape(&frames_first, &[channels, height, width]);
    let maps = backbone(graph, &images, &config, scope)?;
    let (features, height, width) = (maps.shape[0], maps.shape[1], maps.shape[2]);
    let stacked = graph.reshape(&maps, &[frames, features, height, width]);
    let stacked = graph.transpose(&stacked, &[0, 2, 1, 3, 4]);
    Ok(graph.reshape(&stacked, &[features, frames * height, width]))
}

fn backbone(graph: &mut Graph, x: &Value, config: &ResNetConfig, scope: &Scope) -> Result<Value> {
    let (stem, pools) = match config.stem {
        Stem::Large => (Convolution::square(2, 3), true),
        Stem::Medium => (Convolution::square(2, 1), true),
        Stem::Small => (Convolution::square(1, 1), false),
    };
    let kind = if config.depth == 50 { BlockKind::Bottleneck } else { BlockKind::Basic };
    let blocks = if config.depth == 18 { [2, 2, 2, 2] } else { [3, 4, 6, 3] };
    let mut x = conv_norm_relu(graph, x, &scope.pp("conv1"), &scope.pp("bn1"), stem)?;
    if pools {
        x = max_pool(graph, &x, 3, 2, 1);
    }
    for (stage, blocks) in blocks.into_iter().take(config.stages).enumerate() {
        let stride = if stage == 0 { 1 } else { 2 };
        x = residual_stage(graph, &x, kind, blocks, stride, &scope.pp(format!("layer{}", stage + 1)))?;
    }
    match config.squeeze_excite {
        true => squeeze_excite(graph, &x, &scope.pp("se")),
        false => Ok(x),
    }
}
