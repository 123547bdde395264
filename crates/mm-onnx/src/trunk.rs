//! The shared part behind the features of the sensors.

use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::layers::{Convolution, Layer, adaptive_pool, conv_norm_relu, linear_norm_relu, pool};
use crate::residual::residual_stage;
use crate::sensors::Sensors;
use crate::weights::Scope;
use mm_core::Subset;
use mm_core::fusion::{NetworkConfig, ResNetTrunkConfig, TrunkConfig};
use mm_core::nn::BlockKind;

/// One fused feature of features that are zero where absent.
pub(crate) fn trunk(graph: &mut Graph, config: &TrunkConfig, features: &[Value], scope: &Scope) -> Result<Value> {
    match config {
        TrunkConfig::Mlp { widths } => {
            let pooled: Vec<Value> = features.iter().map(|feature| pool(graph, feature)).collect();
            let all = graph.concat(&pooled);
            (0..widths.len()).try_fold(all, |x, i| linear_norm_relu(graph, &x, &scope.pp(i).pp("linear"), &scope.pp(i).pp("norm")))
        }
        TrunkConfig::Pointwise { widths } => {
            let all = graph.concat(features);
            let form = Convolution::square(1, 0);
            (0..widths.len()).try_fold(all, |x, i| conv_norm_relu(graph, &x, &scope.pp(i).pp("conv"), &scope.pp(i).pp("norm"), form))
        }
        TrunkConfig::Sum => Ok(graph.sum(features)),
        TrunkConfig::ResNet(config) => resnet(graph, config, features, scope),
    }
}

fn resnet(graph: &mut Graph, config: &ResNetTrunkConfig, features: &[Value], scope: &Scope) -> Result<Value> {
    let sizes = features.iter().map(|feature| match *feature.shape {
        [_, height, width] => Ok([height, width]),
        _ => Err(Error::unsupported("the `resnet` trunk", format!("reads maps, and a feature has shape {:?}", feature.shape))),
    });
    let sizes = sizes.collect::<Result<Vec<_>>>()?;
    let least = |i: usize| sizes.iter().map(|size| size[i]).min().unwrap_or(1);
    let size = [least(0), least(1)];
    let maps: Vec<Value> = features.iter().map(|feature| adaptive_pool(graph, feature, size)).collect();
    let all = graph.concat(&maps);
    let stage = |x: Value, (s, &blocks): (usize, &usize)| residual_stage(graph, &x, BlockKind::Basic, blocks, 2, &scope.pp(s));
    config.blocks.iter().enumerate().try_fold(all, stage)
}

/// A linear head behind a fused feature.
pub(crate) fn head(graph: &mut Graph, feature: &Value, scope: &Scope) -> Result<Value> {
    let pooled = pool(graph, feature);
    Layer::of(scope)?.linear(graph, &pooled)
}

/// The fused feature of a [`mm_core::fusion::FusionNetwork`] of the sensors of `subset`, which it was built for.
pub(crate) fn fused(graph: &mut Graph, sensors: &Sensors, config: &NetworkConfig, subset: Subset, scope: &Scope) -> Result<Value> {
    let features = crate::encoder::encode_present(graph, sensors, config, subset, &scope.pp("encoders"))?;
    trunk(graph, &config.trunk, &features, &scope.pp("trunk"))
}

/// The logits of a [`mm_core::fusion::FusionNetwork`].
pub(crate) fn logits(graph: &mut Graph, sensors: &Sensors, config: &NetworkConfig, subset: Subset, scope: &Scope) -> Result<Value> {
    let feature = fused(graph, sensors, config, subset, scope)?;
    head(graph, &feature, &scope.pp("head"))
}
