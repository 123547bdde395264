//! BERT and what shares its architecture.

use super::sequence::{attention, mean_of_rows, not_empty};
use super::settings;
use crate::error::Result;
use crate::graph::{Graph, Value};
use crate::layers::{Layer, gelu, layer_norm};
use crate::proto::Attribute;
use crate::sensors::Sensor;
use crate::weights::Scope;
use mm_core::encoder::{BertConfig, EncoderConfig, Pooling};

/// Below this a feature is not divided by its length.
const SHORTEST: f32 = 1e-12;

pub(super) fn encode(graph: &mut Graph, sensor: &Sensor, config: &EncoderConfig, scope: &Scope) -> Result<Value> {
    let config: BertConfig = settings(config)?;
    let (rows, width, eps) = (sensor.value.shape[0], config.hidden_size, config.layer_norm_eps);
    let (lengths, embeddings) = (sensor.lengths.as_ref(), scope.pp("embeddings"));
    let table = |name: &str| embeddings.pp(name).get("weight");
    let words = table("word_embeddings")?;
    let words = graph.floats(&words.shape, &words.values);
    let words = graph.node("Gather", &[&words, &sensor.value.name], [rows, width], vec![Attribute::int("axis", 0)]);
    // Every token is of the first segment.
    let (positions, segments) = (table("position_embeddings")?, table("token_type_embeddings")?);
    let places: Vec<f32> =
        positions.values[..rows * width].iter().zip(segments.values[..width].iter().cycle()).map(|(x, y)| x + y).collect();
    let places = graph.floats(&[rows, width], &places);
    let sum = graph.node("Add", &[&words.name, &places], [rows, width], vec![]);
    let mut x = layer_norm(graph, &sum, &embeddings.pp("LayerNorm"), eps)?;
    for i in 0..config.num_hidden_layers {
        let scope = scope.pp("encoder.layer").pp(i);
        let of = scope.pp("attention");
        let attended = attention(graph, &x, config.num_attention_heads, lengths, &of.pp("self"), ["query", "key", "value"])?;
        let attended = Layer::of(&of.pp("output.dense"))?.of_rows(graph, &attended)?;
        let sum = graph.binary("Add", &attended, &x);
        x = layer_norm(graph, &sum, &of.pp("output.LayerNorm"), eps)?;
        let inner = Layer::of(&scope.pp("intermediate.dense"))?.of_rows(graph, &x)?;
        let inner = gelu(graph, &inner);
        let fed = Layer::of(&scope.pp("output.dense"))?.of_rows(graph, &inner)?;
        let sum = graph.binary("Add", &fed, &x);
        x = layer_norm(graph, &sum, &scope.pp("output.LayerNorm"), eps)?;
    }
    let mut feature = match config.pooling {
        Pooling::Mean => mean_of_rows(graph, &x, lengths),
        Pooling::Cls => {
            let first = graph.narrow(&x, 1, 0, 1);
            graph.flatten(&first)
        }
    };
    if let Some(lengths) = lengths {
        let some = not_empty(graph, lengths);
        feature = graph.select(&some, &feature, 0.0);
    }
    if config.normalize {
        let squares = graph.binary("Mul", &feature, &feature);
        let length = graph.reduce_sum(&squares, 1);
        let length = graph.unary("Sqrt", &length);
        let length = graph.with_number("Max", &length, SHORTEST);
        feature = graph.binary("Div", &feature, &length);
    }
    Ok(feature)
}
