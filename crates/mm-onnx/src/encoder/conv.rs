//! 3x3 convolutions that keep the size, for patches.

use super::settings;
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::{Convolution, conv_norm_relu};
use crate::sensors::Sensor;
use crate::weights::Scope;
use mm_core::encoder::{ConvConfig, EncoderConfig};

pub(super) fn encode(graph: &mut Graph, sensor: &Sensor, config: &EncoderConfig, scope: &Scope) -> Result<Value> {
    let ConvConfig { widths } = settings(config)?;
    let layer = |x: Value, i: usize| conv_norm_relu(graph, &x, &scope.pp(i).pp("conv"), &scope.pp(i).pp("norm"), Convolution::square(1, 1));
    (0..widths.len()).try_fold(sensor.value.clone(), layer)
}
