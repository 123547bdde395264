//! DMRNet: a linear head between trunk and classifier, which predicts the mean of a distribution.

use super::settings;
use crate::error::Result;
use crate::gaussian::predicted_mean;
use crate::graph::Graph;
use crate::sensors::Sensors;
use crate::target::Prediction;
use crate::trunk::{fused, head};
use crate::weights::Scope;
use dmrnet::DmrnetConfig;
use mm_core::pipeline::PipelineConfig;

pub(super) fn deploy(graph: &mut Graph, config: &PipelineConfig, scope: &Scope) -> Result<Prediction> {
    let DmrnetConfig { network, head_norm, .. } = settings(config)?;
    let schema = &config.schema;
    let sensors = Sensors::new(graph, config, schema.modalities.full())?;
    if schema.target.is_dense() {
        return crate::dense::dmrnet(graph, &sensors, &network, head_norm, scope);
    }
    let feature = fused(graph, &sensors, &network, sensors.full(), scope)?;
    let mean = predicted_mean(graph, &feature, head_norm, &scope.pp("mean"))?;
    let logits = head(graph, &mean, &scope.pp("head"))?;
    Ok(Prediction::of_any(graph, &sensors, logits))
}
