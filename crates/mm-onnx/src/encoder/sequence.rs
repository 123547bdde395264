//! What the encoders of series and texts share: attention, and means over what is filled.

use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::Layer;
use crate::proto::DataType;
use crate::sensors::filled;
use crate::weights::Scope;

/// Of what no row attends to: far below any score, and finite.
const IGNORED: f32 = -1e30;

/// Self attention of rows `[rows, heads * width]`, which attend to the filled ones alone; the layers are called `names`.
pub(super) fn attention(
    graph: &mut Graph,
    x: &Value,
    heads: usize,
    lengths: Option<&Value>,
    scope: &Scope,
    names: [&str; 3],
) -> Result<Value> {
    let &[rows, features] = x.shape.as_slice() else { return Ok(x.clone()) };
    let width = features / heads;
    let [query, key, value] = names.map(|name| Layer::of(&scope.pp(name)).and_then(|layer| layer.of_rows(graph, x)));
    let of_heads = |graph: &mut Graph, x: &Value, order: [usize; 4]| {
        let split = graph.reshape(x, &[rows, heads, width]);
        graph.transpose(&split, &order)
    };
    let query = of_heads(graph, &query?, [0, 2, 1, 3]);
    let key = of_heads(graph, &key?, [0, 2, 3, 1]);
    let value = of_heads(graph, &value?, [0, 2, 1, 3]);
    let scores = graph.node("MatMul", &[&query.name, &key.name], [heads, rows, rows], vec![]);
    let mut scores = graph.with_number("Mul", &scores, 1.0 / (width as f32).sqrt());
    if let Some(lengths) = lengths {
        let filled = filled(graph, lengths, rows, 3);
        scores = graph.select(&filled, &scores, IGNORED);
    }
    let shares = graph.softmax(&scores, 3);
    let attended = graph.node("MatMul", &[&shares.name, &value.name], [heads, rows, width], vec![]);
    let attended = graph.transpose(&attended, &[0, 2, 1, 3]);
    Ok(graph.reshape(&attended, &[rows, features]))
}

/// Whether something is filled: boolean `[batch, 1]`.
pub(super) fn not_empty(graph: &mut Graph, lengths: &Value) -> Value {
    let zero = graph.ints(&[0]);
    graph.node("Greater", &[&lengths.name, &zero], [1], vec![])
}

/// Mean over what is filled of the last dimension of `[channels, 1, steps]`, as `[channels]`; zero where nothing is filled.
pub(super) fn masked_mean(graph: &mut Graph, x: &Value, lengths: &Value) -> Value {
    let filled = filled(graph, lengths, x.shape[2], 3);
    let x = graph.select(&filled, x, 0.0);
    let sum = graph.reduce_sum(&x, 3);
    let sum = graph.flatten(&sum);
    divided(graph, &sum, lengths)
}

/// A sum over so many, at least one.
pub(super) fn divided(graph: &mut Graph, sum: &Value, lengths: &Value) -> Value {
    let one = graph.ints(&[1]);
    let count = graph.node("Max", &[&lengths.name, &one], [1], vec![]);
    let count = graph.cast(&count, DataType::Float);
    graph.binary("Div", sum, &count)
}

/// Mean over the filled rows of `[rows, width]`, as `[width]`; zero where none is filled.
pub(super) fn mean_of_rows(graph: &mut Graph, x: &Value, lengths: Option<&Value>) -> Value {
    let (rows, width) = (x.shape[0], x.shape[1]);
    let columns = graph.transpose(x, &[0, 2, 1]);
    let columns = graph.reshape(&columns, &[width, 1, rows]);
    match lengths {
        Some(lengths) => masked_mean(graph, &columns, lengths),
        None => crate::layers::pool(graph, &columns),
    }
}
