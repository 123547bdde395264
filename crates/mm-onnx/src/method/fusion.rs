//! One network for all combinations: MMANet and most baselines.

use super::settings;
use crate::encoder::encode_all;
use crate::error::Result;
use crate::graph::Graph;
use crate::sensors::Sensors;
use crate::target::Prediction;
use crate::trunk::{head, logits, trunk};
use crate::weights::Scope;
use mm_baselines::{FusionConfig, Imputation, ModulationConfig, UnimodalConfig};
use mm_core::fusion::NetworkConfig;
use mm_core::pipeline::PipelineConfig;
use mm_core::recipe::Recipe;
use mmanet::MmanetConfig;

/// A network of all sensors with zeros for those that are absent.
fn plain(graph: &mut Graph, config: &PipelineConfig, network: &NetworkConfig, scope: &Scope) -> Result<Prediction> {
    let schema = &config.schema;
    let sensors = Sensors::new(graph, config, schema.modalities.full())?;
    if schema.target.is_dense() {
        return crate::dense::plain(graph, &sensors, network, scope);
    }
    let logits = logits(graph, &sensors, network, sensors.full(), scope)?;
    Ok(Prediction::of_any(graph, &sensors, logits))
}

pub(super) fn mmanet(graph: &mut Graph, config: &PipelineConfig, scope: &Scope) -> Result<Prediction> {
    plain(graph, config, Recipe::network(&settings::<MmanetConfig>(config)?), scope)
}

pub(super) fn modulation(graph: &mut Graph, config: &PipelineConfig, scope: &Scope) -> Result<Prediction> {
    plain(graph, config, Recipe::network(&settings::<ModulationConfig>(config)?), scope)
}

pub(super) fn unimodal(graph: &mut Graph, config: &PipelineConfig, scope: &Scope) -> Result<Prediction> {
    plain(graph, config, Recipe::network(&settings::<UnimodalConfig>(config)?), scope)
}

/// Reads the sensors that it was trained on, with zeros or the features of the training mean in place of what is absent.
pub(super) fn baseline(graph: &mut Graph, config: &PipelineConfig, scope: &Scope) -> Result<Prediction> {
    let FusionConfig { network, missing, imputation, .. } = settings(config)?;
    let schema = &config.schema;
    let reads = missing.fixed(&schema.modalities)?.unwrap_or(schema.modalities.full());
    let sensors = Sensors::new(graph, config, reads)?;
    if schema.target.is_dense() {
        return crate::dense::baseline(graph, &sensors, &network, imputation, scope);
    }
    let features = encode_all(graph, &sensors, &network, sensors.full(), &scope.pp("encoders"))?;
    // An absent sensor's input is zero, which is the training mean: what its encoder makes of that is the mean's feature.
    let present = features.into_iter().map(|(m, feature)| match imputation {
        Imputation::ZeroFeature => sensors.masked(graph, m, &feature),
        Imputation::Mean => feature,
    });
    let features: Vec<_> = present.collect();
    let feature = trunk(graph, &network.trunk, &features, &scope.pp("trunk"))?;
    let logits = head(graph, &feature, &scope.pp("head"))?;
    Ok(Prediction::of_any(graph, &sensors, logits))
}
