//! Layers of linear, batch normalisation and ReLU.

use super::settings;
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::linear_norm_relu;
use crate::sensors::Sensor;
use crate::weights::Scope;
use mm_core::encoder::{EncoderConfig, MlpConfig};

pub(super) fn encode(graph: &mut Graph, sensor: &Sensor, config: &EncoderConfig, scope: &Scope) -> Result<Value> {
    let MlpConfig { widths } = settings(config)?;
    let vector = graph.flatten(&sensor.value);
    (0..widths.len()).try_fold(vector, |x, i| linear_norm_relu(graph, &x, &scope.pp(i).pp("linear"), &scope.pp(i).pp("norm")))
}
