//! Encoders as settings: by name in a configuration, and open to kinds of a program's own.

use super::{CnnConfig, ConvConfig, Encoder, MlpConfig, ResNetConfig, kinds};
use crate::data::{InputKind, InputSpec, nearest};
use crate::error::{Error, Result};
use candle_nn::VarBuilder;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The settings of one kind of encoder.
pub trait EncoderRecipe: Send + Sync {
    /// Refuses settings that cannot work.
    fn validate(&self) -> Result<()>;

    /// Builds the encoder for an input of the modality `name`.
    fn build(&self, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>>;

    /// Its size for an input, roughly: for estimates.
    fn cost(&self, input: &InputSpec) -> EncoderCost;
}

/// Size of an encoder, for one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncoderCost {
    /// Numbers that are trained.
    pub parameters: f64,
    /// Multiplications of a forward pass.
    pub multiplications: f64,
    /// Channels of the feature, or the width of a vector.
    pub channels: f64,
    /// Positions of the feature; 1 of a vector.
    pub positions: f64,
}

impl EncoderCost {
    /// Layers of these widths, each a kernel of so many positions applied at `positions` places.
    pub fn chain(inputs: f64, widths: &[usize], kernel: f64, positions: f64) -> Self {
        let (mut parameters, mut from) = (0.0, inputs);
        for &width in widths {
            parameters += from * width as f64 * kernel;
            from = width as f64;
        }
        Self { parameters, multiplications: parameters * positions, channels: from, positions }
    }
}

/// A kind of encoder by name.
#[derive(Clone, Copy)]
pub struct EncoderKind {
    name: &'static str,
    parse: fn(Value) -> serde_json::Result<Arc<dyn EncoderRecipe>>,
}

impl EncoderKind {
    /// Settings of type `E` under a name, such as `conv`.
    pub fn new<E: EncoderRecipe + DeserializeOwned + 'static>(name: &'static str) -> Self {
        Self { name, parse: |settings| Ok(Arc::new(serde_json::from_value::<E>(settings)?)) }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// An encoder as written in a configuration: `{ kind = "mlp", widths = [128, 64] }`.
#[derive(Clone)]
pub struct EncoderConfig {
    kind: String,
    settings: Map<String, Value>,
    /// `None` as long as no program has said what the kind is.
    recipe: Option<Arc<dyn EncoderRecipe>>,
}

impl EncoderConfig {
    /// Of a kind and its settings.
    pub fn new<E: EncoderRecipe + Serialize + 'static>(kind: &str, recipe: E) -> Self {
        let settings = match serde_json::to_value(&recipe) {
            Ok(Value::Object(settings)) => settings,
            // Settings are structs of numbers and names.
            _ => Map::new(),
        };
        Self { kind: kind.into(), settings, recipe: Some(Arc::new(recipe)) }
    }

    /// Linear, batch normalisation and ReLU per width; the last width is the feature's. Reads any input as one long vector.
    pub fn mlp(widths: impl Into<Vec<usize>>) -> Self {
        Self::new(super::mlp::NAME, MlpConfig { widths: widths.into() })
    }

    /// 3x3 convolution, batch normalisation and ReLU per width, for small patches of images: its feature is a map of their size.
    pub fn conv(widths: impl Into<Vec<usize>>) -> Self {
        Self::new(super::conv::NAME, ConvConfig { widths: widths.into() })
    }

    /// A small convolutional network for images and spectrograms; its feature is a vector (see [`super::CnnEncoder`]).
    pub fn cnn(config: CnnConfig) -> Self {
        Self::new(super::cnn::NAME, config)
    }

    /// A residual network for images, and for videos frame by frame; its feature is a map (see [`super::ResNetEncoder`]).
    pub fn resnet(config: ResNetConfig) -> Self {
        Self::new(super::resnet::NAME, config)
    }

    /// What an input is encoded by where nobody chose: images and spectrograms by a small convolutional network, vectors by an MLP of
    /// widths 128 and 64. Of token ids it is an error, since none of these knows words.
    pub fn for_input(name: &str, input: &InputSpec) -> Result<Self> {
        /// Rows or columns left behind the last layer.
        const LEFT: usize = 4;
        let field = || format!("network.encoders.{name}");
        match (input.kind, &*input.shape) {
            (InputKind::Tokens, _) => {
                let problem = "token ids need an encoder that knows words: write { kind = \"bert\" }, or read the text as hashed counts";
                Err(Error::config(field(), problem))
            }
            (InputKind::Image | InputKind::Spectrogram, &[_, height, width]) if height.min(width) >= LEFT => {
                let layers = (height.min(width) / LEFT).ilog2() as usize + 1;
                let widths = (0..layers.min(6)).map(|i| 16 << i.min(2)).collect();
                Ok(Self::cnn(CnnConfig { widths, grid: if input.kind == InputKind::Image { [2, 2] } else { [1, 4] } }))
            }
            _ => Ok(Self::mlp([128, 64])),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Looks for its kind among `kinds`, if it is not known yet.
    pub fn resolve(&mut self, kinds: &[EncoderKind]) -> Result<()> {
        if self.recipe.is_none()
            && let Some(kind) = kinds.iter().find(|kind| kind.name == self.kind)
        {
            let settings = Value::Object(self.settings.clone());
            let recipe = (kind.parse)(settings).map_err(|e| Error::config(format!("encoder `{}`", self.kind), e.to_string()))?;
            self.recipe = Some(recipe);
        }
        Ok(())
    }

    fn recipe(&self) -> Result<&dyn EncoderRecipe> {
        self.recipe.as_deref().ok_or_else(|| {
            let known = kinds();
            let names = || known.iter().map(EncoderKind::name);
            let near = nearest(&self.kind, names()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            Error::config(
                "kind",
                format!("no encoder is called `{}`{near} There are: {}", self.kind, names().collect::<Vec<_>>().join(", ")),
            )
        })
    }

    /// Refuses settings that cannot work; `field` is for the message.
    pub fn validate(&self, field: &str) -> Result<()> {
        self.recipe().and_then(EncoderRecipe::validate).map_err(|error| below(field, error))
    }

    /// Builds the encoder for an input.
    pub fn build(&self, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        // The field as a user wrote it: a modality's own entry, or the one for all.
        self.recipe().and_then(|recipe| recipe.build(name, input, vb)).map_err(|error| below(&format!("encoders.{name}"), error))
    }

    /// Its size for an input; nothing of a kind that is not known.
    pub fn cost(&self, input: &InputSpec) -> Result<EncoderCost> {
        Ok(self.recipe()?.cost(input))
    }
}

fn below(field: &str, error: Error) -> Error {
    match error {
        Error::Config { field: inner, problem } => Error::config(format!("{field}.{inner}"), problem),
        other => other,
    }
}

impl PartialEq for EncoderConfig {
    fn eq(&self, other: &Self) -> bool {
        (&self.kind, &self.settings) == (&other.kind, &other.settings)
    }
}

impl std::fmt::Debug for EncoderConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("EncoderConfig").field("kind", &self.kind).field("settings", &self.settings).finish()
    }
}

impl Serialize for EncoderConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut all = Map::from_iter([("kind".to_string(), Value::String(self.kind.clone()))]);
        all.extend(self.settings.clone());
        all.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for EncoderConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut settings = Map::deserialize(deserializer)?;
        let kind = match settings.remove("kind") {
            Some(Value::String(kind)) => kind,
            _ => return Err(D::Error::custom("an encoder has a kind, such as kind = \"mlp\"")),
        };
        // What every program knows is checked here, where the place in the file is known.
        let known = kinds().into_iter().find(|known| known.name == kind);
        let parsed = known.map(|known| (known.parse)(Value::Object(settings.clone()))).transpose();
        Ok(Self { recipe: parsed.map_err(D::Error::custom)?, kind, settings })
    }
}
