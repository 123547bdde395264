//! Modality distillation for every pixel: maps of an own and of restored branches, cross-translated at every depth.

use super::esanet::{bridge, level};
use super::unet::pyramid;
use super::{Absent, Meeting, Network, esanet, padded, unet};
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::layers::{Convolution, Layer, conv_norm_relu};
use crate::sensors::{Sensor, Sensors};
use crate::weights::Scope;
use mm_core::Subset;
use mm_core::dense::{DenseConfig, EsaNetConfig, LEVELS, UNetConfig};
use mod_distill::ModDistillConfig;

/// The logits of the available sensors.
pub(crate) fn mod_distill(
    graph: &mut Graph,
    sensors: &Sensors,
    config: &ModDistillConfig,
    available: Subset,
    scope: &Scope,
) -> Result<Value> {
    let network = Network::new(&config.network, sensors, available, scope)?;
    if config.robust {
        return completed(graph, sensors, &network, available, scope);
    }
    let name = |m: usize| &sensors.all[m].name;
    let privileged: Vec<&String> = (0..sensors.all.len()).filter(|m| !available.contains(*m)).map(name).collect();
    let own = available.indices().map(|m| name(m).as_str()).collect::<Vec<_>>().join("_");
    let maps: Vec<Value> = available.indices().map(|m| sensors.all[m].value.clone()).collect();
    let all = graph.concat(&maps);
    let pyramid = match &network.config {
        DenseConfig::EsaNet(config) => esanet_maps(graph, config, &all, &own, &privileged, scope)?,
        DenseConfig::UNet(config) => unet_maps(graph, config, &all, &own, &privileged, scope)?,
    };
    match &network.config {
        DenseConfig::UNet(_) => network.decode(graph, &pyramid),
        DenseConfig::EsaNet(config) => {
            let logits = esanet::decode(graph, &config.decoder, &pyramid, &scope.pp(format!("decoder_{own}_hall")))?;
            Ok(super::crop(graph, &logits, network.size))
        }
    }
}

/// No encoder depends on another; the maps of each depth are translated.
fn unet_maps(
    graph: &mut Graph,
    config: &UNetConfig,
    all: &Value,
    own: &str,
    privileged: &[&String],
    scope: &Scope,
) -> Result<super::Pyramid> {
    let branches = [own].into_iter().chain(privileged.iter().map(|name| name.as_str())).map(|name| (name.to_string(), all.clone()));
    let maps = unet::encode(graph, config, branches, scope)?;
    let translate = |depth: usize| {
        let of_depth: Vec<Value> = maps.iter().map(|maps| maps[depth].clone()).collect();
        translated(graph, &of_depth, depth, scope)
    };
    Ok(pyramid((0..config.widths.len()).map(translate).collect::<Result<_>>()?))
}

/// The own stream goes on from the translated map, the restored ones from their own.
fn esanet_maps(
    graph: &mut Graph,
    config: &EsaNetConfig,
    all: &Value,
    own: &str,
    privileged: &[&String],
    scope: &Scope,
) -> Result<super::Pyramid> {
    let input = padded(graph, all, 1 << LEVELS);
    let names: Vec<&str> = [own].into_iter().chain(privileged.iter().map(|name| name.as_str())).collect();
    let (mut maps, mut fused) = (vec![input; names.len()], Vec::with_capacity(LEVELS));
    for depth in 0..LEVELS {
        for (map, name) in maps.iter_mut().zip(&names) {
            *map = level(graph, &config.encoder, depth, map, &scope.pp(format!("encoder_{name}")))?;
        }
        maps[0] = translated(graph, &maps, depth, scope)?;
        fused.push(maps[0].clone());
    }
    bridge(graph, &config.context, &fused[1..], &format!("_{own}_hall"), scope)
}

/// The robust mode: at every depth what is missing is restored from the mean of what is there.
fn completed(graph: &mut Graph, sensors: &Sensors, network: &Network, available: Subset, scope: &Scope) -> Result<Value> {
    let DenseConfig::UNet(config) = &network.config else {
        return Err(Error::unsupported("the robust mode", "exists for the dense network `unet` alone"));
    };
    let maps = network.encode(graph, sensors, available)?;
    let meeting = Meeting { sensors, subset: available, absent: Absent::Zero, weights: None };
    let mut fused = Vec::with_capacity(config.widths.len());
    for depth in 0..config.widths.len() {
        let parts: Vec<Value> = available.indices().zip(&maps).map(|(m, maps)| meeting.part(graph, m, &maps[depth])).collect();
        let sum = graph.sum(&parts);
        let own = meeting.mean(graph, &sum);
        let mut complete = sum;
        for (m, Sensor { name, .. }) in sensors.all.iter().enumerate() {
            let scope = scope.pp("restorers").pp(depth).pp(name);
            let mut restored = conv_norm_relu(graph, &own, &scope.pp("conv"), &scope.pp("bn"), Convolution::square(1, 0))?;
            if let Some(present) = sensors.present(m) {
                let absent = graph.unary("Not", present);
                let absent = graph.stretched(&absent, 3);
                restored = graph.select(&absent, &restored, 0.0);
            }
            complete = graph.binary("Add", &complete, &restored);
        }
        let complete = graph.with_number("Mul", &complete, 1.0 / sensors.all.len() as f32);
        fused.push(translated(graph, &[own, complete], depth, scope)?);
    }
    network.decode(graph, &pyramid(fused))
}

/// Translators that are each applied to all maps, and a convolution of the mean of the joints.
fn translated(graph: &mut Graph, maps: &[Value], depth: usize, scope: &Scope) -> Result<Value> {
    let scope = scope.pp(format!("cross_layer{depth}"));
    let names: Vec<String> = (1..=maps.len()).map(|k| format!("m{k}")).collect();
    let mut joints = Vec::with_capacity(maps.len());
    for map in maps {
        let spaces = names.iter().map(|name| {
            let space = Layer::of(&scope.pp(format!("transfer_{name}")).pp(0))?.conv(graph, map, Convolution::square(1, 0))?;
            Ok(graph.unary("Relu", &space))
        });
        let spaces = spaces.collect::<Result<Vec<_>>>()?;
        joints.push(graph.concat(&spaces));
    }
    let sum = graph.sum(&joints);
    let mean = graph.with_number("Mul", &sum, 1.0 / maps.len() as f32);
    let fused = Layer::of(&scope.pp(format!("transfer_{}", names.join("_"))).pp(0))?.conv(graph, &mean, Convolution::square(1, 0))?;
    Ok(graph.unary("Relu", &fused))
}
