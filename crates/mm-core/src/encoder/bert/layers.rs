//! The layers of BERT (Devlin et al. 2019), on the tokens of all texts one behind the other: `[tokens, hidden]`.

use super::BertConfig;
use crate::error::Result;
use crate::nn::{LayerNorm, Linear, Sequences, attention, gelu, layer_norm};
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};

/// Spread of initial weights, as published.
const INITIAL: Init = Init::Randn { mean: 0.0, stdev: 0.02 };

/// A linear layer with the published initial values.
fn linear(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Linear> {
    let weight = vb.get_with_hints((outputs, inputs), "weight", INITIAL)?;
    Ok(Linear::new(weight, Some(vb.get_with_hints(outputs, "bias", Init::Const(0.0))?)))
}

/// Vectors of words, positions and segments, added and normalised.
pub(super) struct Embeddings {
    words: Tensor,
    positions: Tensor,
    segments: Tensor,
    norm: LayerNorm,
}

impl Embeddings {
    pub fn new(config: &BertConfig, vb: VarBuilder) -> Result<Self> {
        let table = |rows: usize, name: &str| vb.pp(name).get_with_hints((rows, config.hidden_size), "weight", INITIAL);
        Ok(Self {
            words: table(config.vocab_size, "word_embeddings")?,
            positions: table(config.max_position_embeddings, "position_embeddings")?,
            segments: table(config.type_vocab_size, "token_type_embeddings")?,
            norm: layer_norm(config.hidden_size, config.layer_norm_eps, vb.pp("LayerNorm"))?,
        })
    }

    /// Of token ids and their places in their texts, both u32 `[tokens]`, places below `longest`.
    pub fn forward(&self, ids: &Tensor, places: &Tensor, longest: usize) -> Result<Tensor> {
        // Every token is of the first segment, so segment and position are one small table.
        let places_table = self.positions.narrow(0, 0, longest)?.broadcast_add(&self.segments.narrow(0, 0, 1)?)?;
        let sum = (self.words.index_select(ids, 0)? + places_table.index_select(places, 0)?)?;
        Ok(self.norm.forward(&sum)?)
    }
}

/// Self attention and feed-forward part, each added to its input and normalised.
pub(super) struct Layer {
    heads: usize,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

impl Layer {
    pub fn new(config: &BertConfig, vb: VarBuilder) -> Result<Self> {
        let (hidden, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let attention = vb.pp("attention");
        let of_self = |name: &str| linear(hidden, hidden, attention.pp("self").pp(name));
        Ok(Self {
            heads: config.num_attention_heads,
            query: of_self("query")?,
            key: of_self("key")?,
            value: of_self("value")?,
            attention_output: linear(hidden, hidden, attention.pp("output.dense"))?,
            attention_norm: layer_norm(hidden, eps, attention.pp("output.LayerNorm"))?,
            intermediate: linear(hidden, inner, vb.pp("intermediate.dense"))?,
            output: linear(inner, hidden, vb.pp("output.dense"))?,
            output_norm: layer_norm(hidden, eps, vb.pp("output.LayerNorm"))?,
        })
    }

    pub fn forward(&self, x: &Tensor, texts: &Sequences) -> Result<Tensor> {
        let (query, key, value) = (self.query.forward(x)?, self.key.forward(x)?, self.value.forward(x)?);
        let attended = self.attention_output.forward(&attention(&query, &key, &value, self.heads, texts)?)?;
        let x = self.attention_norm.forward(&(attended + x)?)?;
        let fed = self.output.forward(&gelu(&self.intermediate.forward(&x)?)?)?;
        Ok(self.output_norm.forward(&(fed + x)?)?)
    }
}
