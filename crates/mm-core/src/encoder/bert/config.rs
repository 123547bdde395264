//! Sizes of a BERT encoder: as settings of ours, or from the `config.json` of a published checkpoint.

use super::BertEncoder;
use crate::data::{InputKind, InputSpec, nearest};
use crate::encoder::{Encoder, EncoderCost, EncoderRecipe};
use crate::error::{Error, Result};
use crate::weights::{NameMap, lfs_pointer};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// Numbers that an encoder may have in all (4 GiB of f32): a damaged file may claim any size.
const LARGEST: u128 = 1 << 30;
/// Layers of an encoder.
const MOST_LAYERS: usize = 256;
/// Token ids travel as f32, which is exact up to here.
const LARGEST_VOCABULARY: usize = 1 << 24;
/// Bytes of a configuration file; published ones have about a thousand.
const LARGEST_FILE: u64 = 1 << 20;

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The mean over the tokens of the text, the special ones included.
    #[default]
    Mean,
    /// The vector of the first token.
    Cls,
}

/// Settings of a [`BertEncoder`]; by default the sizes of MiniLM-L6. Sizes have the names of Hugging Face's `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BertConfig {
    /// Tokens that there are.
    pub vocab_size: usize,
    /// Numbers of a token's vector, and of the feature.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of each layer's attention; they divide `hidden_size`.
    pub num_attention_heads: usize,
    /// Width between the two linear layers of each feed-forward part.
    pub intermediate_size: usize,
    /// Tokens that a text can have.
    pub max_position_embeddings: usize,
    /// Kinds of segments that the checkpoint knows; a text is one segment, of the first kind.
    pub type_vocab_size: usize,
    /// Added to the variance in each layer normalisation.
    pub layer_norm_eps: f64,
    /// How the vectors of the tokens become one.
    pub pooling: Pooling,
    /// Whether the feature is divided by its length; for comparing sentences by cosine, not needed for fusion.
    pub normalize: bool,
}

impl Default for BertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30_522,
            hidden_size: 384,
            num_hidden_layers: 6,
            num_attention_heads: 12,
            intermediate_size: 1536,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            pooling: Pooling::Mean,
            normalize: false,
        }
    }
}

/// What a `config.json` says, as far as it concerns the encoder.
#[derive(Deserialize)]
struct Published {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    // What follows is left out of some files where it is what the library assumes.
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "tiny")]
    layer_norm_eps: f64,
    #[serde(default)]
    hidden_act: Option<String>,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    #[serde(default)]
    add_cross_attention: bool,
    #[serde(default)]
    quantization_config: Option<Value>,
}

fn two() -> usize {
    2
}

fn tiny() -> f64 {
    1e-12
}

impl BertConfig {
    /// The sizes in the `config.json` of a checkpoint's folder; what this encoder cannot compute is refused by name.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let length = std::fs::metadata(&path).map_err(Error::io(&path))?.len();
        if length > LARGEST_FILE {
            return Err(Error::File { path, problem: format!("{length} bytes are no configuration of a model") });
        }
        Self::from_bytes(&std::fs::read(&path).map_err(Error::io(&path))?, &path)
    }

    /// [`BertConfig::from_folder`], of the bytes of `config.json`; `path` is for messages.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        /// Read first: other architectures have other fields.
        #[derive(Deserialize)]
        struct Kind {
            model_type: Option<String>,
        }
        let wrong = |problem: String| Error::File { path: path.into(), problem };
        let unreadable = |error: serde_json::Error| wrong(format!("is no configuration of a BERT encoder: {error}"));
        if let Some(pointer) = lfs_pointer(bytes) {
            return Err(wrong(pointer.into()));
        }
        let kind: Kind = serde_json::from_slice(bytes).map_err(unreadable)?;
        let Some(model_type) = kind.model_type else {
            return Err(wrong("says no `model_type`; name the folder of a checkpoint with `\"model_type\": \"bert\"`".into()));
        };
        if model_type != "bert" {
            let near = nearest(&model_type, ["bert"]).map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
            let advice = "this encoder computes `bert` (BERT, MiniLM, BGE, GTE, E5 and others of that architecture)";
            return Err(wrong(format!("is of the architecture `{model_type}`{near}; {advice}")));
        }
        let p: Published = serde_json::from_slice(bytes).map_err(unreadable)?;
        debug_assert_eq!(p.model_type, "bert");
        p.refuse_other_computations().map_err(wrong)?;
        let config = Self {
            vocab_size: p.vocab_size,
            hidden_size: p.hidden_size,
            num_hidden_layers: p.num_hidden_layers,
            num_attention_heads: p.num_attention_heads,
            intermediate_size: p.intermediate_size,
            max_position_embeddings: p.max_position_embeddings,
            type_vocab_size: p.type_vocab_size,
            layer_norm_eps: p.layer_norm_eps,
            ..Self::default()
        };
        config.validate().map_err(|error| wrong(error.to_string()))?;
        Ok(config)
    }

    /// The settings that a checkpoint's `config.json` says, without what is ours to choose.
    pub(super) fn settings_of(bytes: &[u8], path: &Path) -> Result<serde_json::Map<String, Value>> {
        let config = serde_json::to_value(Self::from_bytes(bytes, path)?);
        let Ok(Value::Object(mut settings)) = config else { return Ok(serde_json::Map::new()) };
        settings.retain(|name, _| !matches!(name.as_str(), "pooling" | "normalize"));
        Ok(settings)
    }

    /// Refuses sizes that no encoder has.
    pub fn validate(&self) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size, LARGEST_VOCABULARY),
            ("hidden_size", self.hidden_size, 1 << 16),
            ("num_hidden_layers", self.num_hidden_layers, MOST_LAYERS),
            ("num_attention_heads", self.num_attention_heads, self.hidden_size.max(1)),
            ("intermediate_size", self.intermediate_size, 1 << 20),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 20),
            ("type_vocab_size", self.type_vocab_size, 1 << 10),
        ];
        for (field, size, largest) in sizes {
            if !(1..=largest).contains(&size) {
                return Err(Error::config(field, format!("must be 1 to {largest}, found {size}")));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let problem = format!("{} heads do not divide hidden_size = {}", self.num_attention_heads, self.hidden_size);
            return Err(Error::config("num_attention_heads", problem));
        }
        if !(0.0..1.0).contains(&self.layer_norm_eps) {
            return Err(Error::config("layer_norm_eps", format!("must be at least 0 and below 1, found {}", self.layer_norm_eps)));
        }
        match self.parameters() {
            numbers if numbers > LARGEST => {
                Err(Error::config("hidden_size", format!("the encoder would have {numbers} numbers, more than {LARGEST}")))
            }
            _ => Ok(()),
        }
    }

    /// Numbers of its layers.
    fn layer_parameters(&self) -> u128 {
        let (hidden, inner) = (self.hidden_size as u128, self.intermediate_size as u128);
        self.num_hidden_layers as u128 * (4 * hidden * (hidden + 1) + 2 * hidden * inner + inner + 5 * hidden)
    }

    fn parameters(&self) -> u128 {
        let rows = self.vocab_size as u128 + self.max_position_embeddings as u128 + self.type_vocab_size as u128 + 2;
        rows * self.hidden_size as u128 + self.layer_parameters()
    }
}

impl Published {
    /// Says what of it would give other numbers than this encoder's.
    fn refuse_other_computations(&self) -> std::result::Result<(), String> {
        let other = |field: &str, value: &str, known: &str| Err(format!("asks for `{field}` = `{value}`; this encoder computes `{known}`"));
        match (self.hidden_act.as_deref(), self.position_embedding_type.as_deref()) {
            (Some(act), _) if act != "gelu" => other("hidden_act", act, "gelu"),
            (_, Some(positions)) if positions != "absolute" => other("position_embedding_type", positions, "absolute"),
            _ if self.is_decoder => other("is_decoder", "true", "false"),
            _ if self.add_cross_attention => other("add_cross_attention", "true", "false"),
            _ if self.quantization_config.is_some() => Err("is of quantized weights; take the checkpoint in f32, f16 or bf16".into()),
            _ => Ok(()),
        }
    }
}

impl EncoderRecipe for BertConfig {
    fn validate(&self) -> Result<()> {
        Self::validate(self)
    }

    fn build(&self, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        match (input.kind, input.shape.as_slice()) {
            (InputKind::Tokens, &[length]) => Ok(Box::new(BertEncoder::new(self, length, vb)?)),
            (kind, shape) => {
                let advice = "a text with features = \"tokens\" has them";
                Err(Error::config("kind", format!("`bert` reads token ids, but `{name}` is {kind:?} of shape {shape:?}; {advice}")))
            }
        }
    }

    fn published_names(&self) -> NameMap {
        super::published_bert_names("")
    }

    fn cost(&self, input: &InputSpec) -> EncoderCost {
        let length = input.elements() as f64;
        let layers = self.layer_parameters() as f64;
        // Scores and weighted values of each layer.
        let attention = 2.0 * length * length * (self.hidden_size * self.num_hidden_layers) as f64;
        EncoderCost {
            parameters: self.parameters() as f64,
            multiplications: layers * length + attention,
            channels: self.hidden_size as f64,
            positions: 1.0,
        }
    }
}
