//! A residual network of convolutions over time.

use super::sequence::{masked_mean, not_empty};
use super::settings;
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::{Convolution, EPS, Layer, pool};
use crate::sensors::{Sensor, filled};
use crate::weights::Scope;
use mm_core::encoder::{EncoderConfig, TemporalConfig, TimePooling};

pub(super) fn encode(graph: &mut Graph, sensor: &Sensor, config: &EncoderConfig, scope: &Scope) -> Result<Value> {
    let config: TemporalConfig = settings(config)?;
    let &[channels, steps] = sensor.value.shape.as_slice() else { return Ok(sensor.value.clone()) };
    let mut x = graph.reshape(&sensor.value, &[channels, 1, steps]);
    let (mut lengths, mut dilation, mut number) = (sensor.lengths.clone(), 1, 0);
    for _ in &config.widths {
        for block in 0..config.blocks {
            let stride = if block == 0 { config.stride } else { 1 };
            (x, lengths) = residual(graph, &x, lengths, [config.kernel, stride, dilation], &scope.pp(number))?;
            dilation *= config.dilation;
            number += 1;
        }
    }
    let mean = |graph: &mut Graph| match &lengths {
        Some(lengths) => masked_mean(graph, &x, lengths),
        None => pool(graph, &x),
    };
    let max = |graph: &mut Graph| largest(graph, &x, lengths.as_ref());
    Ok(match config.pooling {
        TimePooling::Mean => mean(graph),
        TimePooling::Max => max(graph),
        TimePooling::MeanMax => {
            let both = [mean(graph), max(graph)];
            graph.concat(&both)
        }
    })
}

/// Two convolutions added to their input, and how much of the result is filled. What lies behind that is zero before every convolution.
fn residual(
    graph: &mut Graph,
    x: &Value,
    lengths: Option<Value>,
    [kernel, stride, dilation]: [usize; 3],
    scope: &Scope,
) -> Result<(Value, Option<Value>)> {
    let lengths = lengths.map(|lengths| strided(graph, &lengths, stride));
    let unit = |graph: &mut Graph, x: &Value, name: &str, kernel: usize, stride: usize, dilation: usize| {
        let form = Convolution { stride: [1, stride], padding: [0, dilation * (kernel / 2)], dilation: [1, dilation] };
        Layer::normed(&scope.pp(name).pp("conv"), &scope.pp(name).pp("norm"), EPS)?.conv(graph, x, form)
    };
    let shortcut = match scope.has("shortcut.conv.weight") {
        true => unit(graph, x, "shortcut", 1, stride, 1)?,
        false => x.clone(),
    };
    let first = unit(graph, x, "first", kernel, stride, dilation)?;
    let first = graph.unary("Relu", &first);
    let first = zero_behind(graph, &first, lengths.as_ref());
    let last = unit(graph, &first, "last", kernel, 1, dilation)?;
    let sum = graph.binary("Add", &last, &shortcut);
    let result = graph.unary("Relu", &sum);
    Ok((zero_behind(graph, &result, lengths.as_ref()), lengths))
}

/// How many results of a layer that looks at every `stride`-th step lie at a filled one: int64 `[batch, 1]`.
pub(super) fn strided(graph: &mut Graph, lengths: &Value, stride: usize) -> Value {
    if stride == 1 {
        return lengths.clone();
    }
    let [more, stride] = [stride - 1, stride].map(|number| graph.ints(&[number as i64]));
    let raised = graph.node("Add", &[&lengths.name, &more], [1], vec![]);
    graph.node("Div", &[&raised.name, &stride], [1], vec![])
}

fn zero_behind(graph: &mut Graph, x: &Value, lengths: Option<&Value>) -> Value {
    let Some(lengths) = lengths else { return x.clone() };
    let filled = filled(graph, lengths, x.shape[2], 3);
    graph.select(&filled, x, 0.0)
}

/// Largest filled number of each channel; zero where nothing is filled.
fn largest(graph: &mut Graph, x: &Value, lengths: Option<&Value>) -> Value {
    let Some(lengths) = lengths else {
        let largest = graph.reduce("ReduceMax", x, 3);
        return graph.flatten(&largest);
    };
    let filled = filled(graph, lengths, x.shape[2], 3);
    let among = graph.select(&filled, x, f32::MIN);
    let largest = graph.reduce("ReduceMax", &among, 3);
    let largest = graph.flatten(&largest);
    let some = not_empty(graph, lengths);
    graph.select(&some, &largest, 0.0)
}
