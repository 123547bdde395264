//! A small transformer over time.

use super::sequence::{attention, mean_of_rows};
use super::settings;
use super::temporal::strided;
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::{Layer, gelu, layer_norm};
use crate::sensors::Sensor;
use crate::weights::Scope;
use mm_core::encoder::{EncoderConfig, TransformerConfig};

/// Added to the variance in layer normalisations.
const EPS: f64 = 1e-5;

pub(super) fn encode(graph: &mut Graph, sensor: &Sensor, config: &EncoderConfig, scope: &Scope) -> Result<Value> {
    let TransformerConfig { patch, width, layers, heads } = settings(config)?;
    let &[channels, steps] = sensor.value.shape.as_slice() else { return Ok(sensor.value.clone()) };
    let count = steps.div_ceil(patch);
    let mut x = sensor.value.clone();
    if count * patch != steps {
        let behind = graph.ints(&[0, 0, 0, 0, 0, (count * patch - steps) as i64]);
        x = graph.node("Pad", &[&x.name, &behind], [channels, count * patch], vec![]);
    }
    let cut = graph.reshape(&x, &[channels, count, patch]);
    let cut = graph.transpose(&cut, &[0, 2, 1, 3]);
    let patches = graph.reshape(&cut, &[count, channels * patch]);
    let lengths = sensor.lengths.as_ref().map(|lengths| strided(graph, lengths, patch));
    let embedded = Layer::of(&scope.pp("embedding"))?.of_rows(graph, &patches)?;
    let positions = scope.get("positions")?;
    let positions = graph.floats(&[count, width], &positions.values[..count * width]);
    let mut x = graph.node("Add", &[&embedded.name, &positions], [count, width], vec![]);
    for i in 0..layers {
        let scope = scope.pp("layers").pp(i);
        let normal = layer_norm(graph, &x, &scope.pp("attention_norm"), EPS)?;
        let attended = attention(graph, &normal, heads, lengths.as_ref(), &scope, ["query", "key", "value"])?;
        let attended = Layer::of(&scope.pp("attention_output"))?.of_rows(graph, &attended)?;
        x = graph.binary("Add", &x, &attended);
        let normal = layer_norm(graph, &x, &scope.pp("feed_norm"), EPS)?;
        let inner = Layer::of(&scope.pp("intermediate"))?.of_rows(graph, &normal)?;
        let inner = gelu(graph, &inner);
        let fed = Layer::of(&scope.pp("output"))?.of_rows(graph, &inner)?;
        x = graph.binary("Add", &x, &fed);
    }
    let x = layer_norm(graph, &x, &scope.pp("norm"), EPS)?;
    Ok(mean_of_rows(graph, &x, lengths.as_ref()))
}
