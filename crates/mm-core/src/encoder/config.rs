//! Encoders as settings: by name in a configuration, and open to kinds of a program's own.

use super::frozen::FrozenEncoder;
use super::pretrained::{needs_weights, recorded};
use super::{
    BertConfig, CnnConfig, ConvConfig, Encoder, FeatureCache, MlpConfig, Pretrained, ResNetConfig, TemporalConfig, TransformerConfig, kinds,
};
use crate::data::{InputKind, InputSpec, nearest};
use crate::error::{Error, Result};
use crate::nn::set_learning_rate_factor;
use crate::weights::{NameMap, is_model_id, pretrained_file};
use candle_nn::VarBuilder;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::Arc;

/// The settings of one kind of encoder.
pub trait EncoderRecipe: Send + Sync {
    /// Refuses settings that cannot work.
    fn validate(&self) -> Result<()>;

    /// Builds the encoder for an input of the modality `name`.
    fn build(&self, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>>;

    /// Its size for an input, roughly: for estimates.
    fn cost(&self, input: &InputSpec) -> EncoderCost;

    /// How the names of published weights become those of its parameters, and which are left out; by default the names are the same.
    fn published_names(&self) -> NameMap {
        NameMap::new()
    }

    /// The parameter that reads the channels of the input, if published ones may be made to fit another number of them.
    fn first_convolution(&self) -> Option<&'static str> {
        None
    }
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

/// Reads settings of an encoder in the bytes of a checkpoint's `config.json`; the path is for messages.
pub type CheckpointSettings = fn(&[u8], &Path) -> Result<Map<String, Value>>;

/// A kind of encoder by name.
#[derive(Clone, Copy)]
pub struct EncoderKind {
    name: &'static str,
    parse: fn(Value) -> serde_json::Result<Arc<dyn EncoderRecipe>>,
    /// The settings that the `config.json` beside published weights says.
    of_checkpoint: Option<CheckpointSettings>,
}

impl EncoderKind {
    /// Settings of type `E` under a name, such as `conv`.
    pub fn new<E: EncoderRecipe + DeserializeOwned + 'static>(name: &'static str) -> Self {
        Self { name, parse: |settings| Ok(Arc::new(serde_json::from_value::<E>(settings)?)), of_checkpoint: None }
    }

    /// Reads the settings that a configuration leaves out from the `config.json` beside published weights.
    pub fn with_checkpoint_settings(self, of_checkpoint: CheckpointSettings) -> Self {
        Self { of_checkpoint: Some(of_checkpoint), ..self }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// An encoder as written in a configuration: `{ kind = "mlp", widths = [128, 64] }`.
///
/// Beside the settings of its kind it may say what it begins with and how it is trained:
/// `{ kind = "resnet", depth = 18, pretrained = "resnet18.pth", learning_rate_factor = 0.1 }` is fine-tuned, and with `frozen = true` it
/// stays as it is.
#[derive(Clone)]
pub struct EncoderConfig {
    kind: String,
    settings: Map<String, Value>,
    training: Training,
    /// `None` as long as no program has said what the kind is.
    recipe: Option<Arc<dyn EncoderRecipe>>,
    cache: Option<Arc<FeatureCache>>,
}

/// What every encoder can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Training {
    #[serde(skip_serializing_if = "Option::is_none")]
    pretrained: Option<Pretrained>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    frozen: bool,
    #[serde(skip_serializing_if = "is_one")]
    learning_rate_factor: f64,
}

/// The names of its fields.
const TRAINING: [&str; 3] = ["pretrained", "frozen", "learning_rate_factor"];

/// What serde says of settings; of one that is unknown, with those that every encoder has.
fn wrong_settings(error: &serde_json::Error) -> String {
    let problem = error.to_string();
    match problem.starts_with("unknown field") {
        true => format!("{problem}, or of any encoder {}", TRAINING.map(|name| format!("`{name}`")).join(", ")),
        false => problem,
    }
}

fn is_one(factor: &f64) -> bool {
    *factor == 1.0
}

impl Default for Training {
    fn default() -> Self {
        Self { pretrained: None, frozen: false, learning_rate_factor: 1.0 }
    }
}

impl EncoderConfig {
    /// Of a kind and its settings.
    pub fn new<E: EncoderRecipe + Serialize + 'static>(kind: &str, recipe: E) -> Self {
        let settings = match serde_json::to_value(&recipe) {
            Ok(Value::Object(settings)) => settings,
            // Settings are structs of numbers and names.
            _ => Map::new(),
        };
        Self { kind: kind.into(), settings, training: Training::default(), recipe: Some(Arc::new(recipe)), cache: None }
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

    /// A BERT encoder for texts (see [`super::BertEncoder`]).
    pub fn bert(config: BertConfig) -> Self {
        Self::new(super::bert::NAME, config)
    }

    /// A residual network of convolutions over time, for series; its feature is a vector (see [`super::TemporalEncoder`]).
    pub fn temporal(config: TemporalConfig) -> Self {
        Self::new(super::temporal::NAME, config)
    }

    /// A transformer over time, for series; its feature is a vector (see [`super::TransformerEncoder`]).
    pub fn transformer(config: TransformerConfig) -> Self {
        Self::new(super::transformer::NAME, config)
    }

    /// Begins with published weights.
    pub fn pretrained(mut self, pretrained: impl Into<Pretrained>) -> Self {
        self.training.pretrained = Some(pretrained.into());
        self
    }

    /// Stays as it begins: no parameter changes in training, and no running statistic.
    pub fn frozen(mut self) -> Self {
        self.training.frozen = true;
        self
    }

    /// Is trained with the learning rate times `factor`.
    pub fn learning_rate_factor(mut self, factor: f64) -> Self {
        self.training.learning_rate_factor = factor;
        self
    }

    /// The published weights that it begins with.
    pub fn pretrained_weights(&self) -> Option<&Pretrained> {
        self.training.pretrained.as_ref()
    }

    /// Whether it stays as it begins.
    pub fn is_frozen(&self) -> bool {
        self.training.frozen
    }

    /// Keeps its features in `cache` if it is frozen.
    pub fn cache_features(&mut self, cache: &Arc<FeatureCache>) {
        self.cache = Some(cache.clone());
    }

    /// Completes what a configuration file says of published weights: a path counts from `folder`, and the settings that are left out are
    /// taken from the `config.json` beside the weights, if it is a kind that has one. The kind must be one that every program knows.
    pub fn located(mut self, folder: &Path) -> Result<Self> {
        let Some(pretrained) = &mut self.training.pretrained else { return Ok(self) };
        let path = folder.join(&pretrained.from);
        if path.exists() || !is_model_id(Path::new(&pretrained.from)) {
            // An absolute path: the model may be built elsewhere.
            let path = std::path::absolute(&path).map_err(Error::io(&path))?;
            pretrained.from = path
                .into_os_string()
                .into_string()
                .map_err(|path| Error::config("pretrained", format!("the path {} is no UTF-8", Path::new(&path).display())))?;
        }
        let kind = kinds().into_iter().find(|kind| kind.name == self.kind);
        if let Some((kind, of_checkpoint)) = kind.and_then(|kind| Some((kind, kind.of_checkpoint?))) {
            let path = pretrained_file(Path::new(&pretrained.from), "config.json")?;
            let mut settings = of_checkpoint(&std::fs::read(&path).map_err(Error::io(&path))?, &path)?;
            settings.append(&mut self.settings);
            self.settings = settings;
            self.recipe = None;
            self.resolve(&[kind])?;
        }
        Ok(self)
    }

    /// What an input is encoded by where nobody chose: images and spectrograms by a small convolutional network, series by one over time,
    /// vectors and the smallest of the others by an MLP of widths 128 and 64. Of token ids it is an error, since none of these knows words.
    pub fn for_input(name: &str, input: &InputSpec) -> Result<Self> {
        /// Rows or columns left behind the last layer.
        const LEFT: usize = 4;
        /// Steps from which on a series is more than a vector.
        const STEPS: usize = 16;
        let field = || format!("network.encoders.{name}");
        match (input.kind, &*input.shape) {
            (InputKind::Tokens, _) => {
                let problem = "token ids need an encoder that knows words: write { kind = \"bert\" }, or read the text as hashed counts";
                Err(Error::config(field(), problem))
            }
            (InputKind::Image | InputKind::Spectrogram, &[_, height, width]) if height.min(width) >= LEFT => {
                let layers = (height.min(width) / LEFT).ilog2() as usize + 1;
                let widths = (0..layers.min(6)).map(|i| 16 << i.min(3)).collect();
                Ok(Self::cnn(CnnConfig { widths, grid: if input.kind == InputKind::Image { [2, 2] } else { [1, 4] } }))
            }
            (InputKind::Series, &[_, steps]) if steps >= STEPS => Ok(Self::temporal(TemporalConfig::for_steps(steps))),
            _ => Ok(Self::mlp([128, 64])),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its settings, for what reads them as the type of its kind.
    pub fn settings(&self) -> &Map<String, Value> {
        &self.settings
    }

    /// Looks for its kind among `kinds`, if it is not known yet.
    pub fn resolve(&mut self, kinds: &[EncoderKind]) -> Result<()> {
        if self.recipe.is_none()
            && let Some(kind) = kinds.iter().find(|kind| kind.name == self.kind)
        {
            let settings = Value::Object(self.settings.clone());
            let recipe = (kind.parse)(settings).map_err(|e| Error::config(format!("encoder `{}`", self.kind), wrong_settings(&e)))?;
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
        self.recipe().and_then(EncoderRecipe::validate).and_then(|()| self.training.validate()).map_err(|error| below(field, error))
    }

    /// Builds the encoder for an input.
    pub fn build(&self, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        // The field as a user wrote it: a modality's own entry, or the one for all.
        let built = self.recipe().and_then(|recipe| match self.training == Training::default() {
            true => recipe.build(name, input, vb),
            false => self.build_trained(recipe, name, input, vb),
        });
        built.map_err(|error| below(&format!("encoders.{name}"), error))
    }

    fn build_trained(&self, recipe: &dyn EncoderRecipe, name: &str, input: &InputSpec, vb: VarBuilder) -> Result<Box<dyn Encoder>> {
        self.training.validate()?;
        let (parameters, encoder) = recorded(&vb, |vb| recipe.build(name, input, vb))?;
        if let Some(pretrained) = self.training.pretrained.as_ref().filter(|_| needs_weights(&vb)) {
            pretrained.load(&parameters, recipe)?;
        }
        let factor = if self.training.frozen { 0.0 } else { self.training.learning_rate_factor };
        if factor != 1.0 {
            set_learning_rate_factor(&vb, factor)?;
        }
        if !self.training.frozen {
            return Ok(encoder);
        }
        let settings = format!("{} {} {:?}", self.kind, Value::Object(self.settings.clone()), input.shape);
        Ok(Box::new(FrozenEncoder::new(encoder, parameters, settings, self.cache.clone())))
    }

    /// Its size for an input; nothing of a kind that is not known.
    pub fn cost(&self, input: &InputSpec) -> Result<EncoderCost> {
        Ok(self.recipe()?.cost(input))
    }
}

impl Training {
    fn validate(&self) -> Result<()> {
        let factor = self.learning_rate_factor;
        if !(factor > 0.0 && factor.is_finite()) {
            return Err(Error::config(
                "learning_rate_factor",
                format!("must be a number above 0, found {factor}; `frozen = true` trains nothing"),
            ));
        }
        if self.frozen && factor != 1.0 {
            return Err(Error::config("learning_rate_factor", "nothing is trained with `frozen = true`: leave out one of the two"));
        }
        match &self.pretrained {
            Some(pretrained) if pretrained.from.is_empty() => {
                Err(Error::config("pretrained", "must be the path of a file or folder, or the name of a model at the Hub"))
            }
            _ => Ok(()),
        }
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
        (&self.kind, &self.settings, &self.training) == (&other.kind, &other.settings, &other.training)
    }
}

impl std::fmt::Debug for EncoderConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("EncoderConfig")
            .field("kind", &self.kind)
            .field("settings", &self.settings)
            .field("training", &self.training)
            .finish()
    }
}

impl Serialize for EncoderConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut all = Map::from_iter([("kind".to_string(), Value::String(self.kind.clone()))]);
        all.extend(self.settings.clone());
        if let Value::Object(training) = serde_json::to_value(&self.training).map_err(serde::ser::Error::custom)? {
            all.extend(training);
        }
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
        let training = TRAINING.into_iter().filter_map(|name| settings.remove_entry(name)).collect();
        let training = serde_json::from_value(Value::Object(training)).map_err(D::Error::custom)?;
        // What every program knows is checked here, where the place in the file is known.
        let known = kinds().into_iter().find(|known| known.name == kind);
        let parsed = known.map(|known| (known.parse)(Value::Object(settings.clone()))).transpose();
        Ok(Self { recipe: parsed.map_err(|error| D::Error::custom(wrong_settings(&error)))?, kind, settings, training, cache: None })
    }
}
