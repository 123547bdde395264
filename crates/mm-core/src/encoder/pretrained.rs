//! Encoders that begin with published weights.

use super::EncoderRecipe;
use crate::error::{Error, Result};
use crate::nn::{Parameters, is_to_be_loaded};
use crate::weights::{ChannelRule, ImportOptions, ImportReport, NameMap, from_pretrained, without_wrappers};
use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the first weights of an encoder are from: as written in a configuration, a path or an id of the Hub alone
/// (`pretrained = "resnet18.pth"`), or with what else it needs
/// (`pretrained = { from = "checkpoint.pth", entry = "ema", prefix = "backbone." }`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Pretrained {
    /// A file, a folder, or a model of the Hub (`owner/name`, `owner/name@revision`), as [`from_pretrained`] takes it.
    pub from: String,
    /// The entry of a PyTorch checkpoint that holds the weights, where that is ambiguous.
    pub entry: Option<String>,
    /// What the names of the encoder's weights begin with; others are left out. Empty: the weights are of one encoder.
    pub prefix: String,
    /// Beginnings of names behind the prefix that are no part of the encoder, such as a head of other classes: they are left out.
    pub skip: Vec<String>,
    /// What a first convolution becomes whose channels are others than the published ones.
    pub channels: ChannelRule,
}

impl From<&str> for Pretrained {
    fn from(from: &str) -> Self {
        Self { from: from.into(), entry: None, prefix: String::new(), skip: Vec::new(), channels: ChannelRule::default() }
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "a path, an id of the Hub, or a table { from, entry, prefix, skip, channels }")]
enum Written {
    Short(String),
    Long(Long),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    from: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    prefix: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    skip: Vec<String>,
    #[serde(default)]
    channels: ChannelRule,
}

impl From<Written> for Pretrained {
    fn from(written: Written) -> Self {
        match written {
            Written::Short(from) => Self::from(from.as_str()),
            Written::Long(Long { from, entry, prefix, skip, channels }) => Self { from, entry, prefix, skip, channels },
        }
    }
}

impl From<Pretrained> for Written {
    fn from(pretrained: Pretrained) -> Self {
        match pretrained == Pretrained::from(pretrained.from.as_str()) {
            true => Self::Short(pretrained.from),
            false => {
                let Pretrained { from, entry, prefix, skip, channels } = pretrained;
                Self::Long(Long { from, entry, prefix, skip, channels })
            }
        }
    }
}

impl Pretrained {
    /// Sets the parameters of an encoder; each must be in the file, and what else is there must be known as no part of it.
    pub(super) fn load(&self, parameters: &Parameters, recipe: &dyn EncoderRecipe) -> Result<()> {
        let mut names = self.skip.iter().fold(NameMap::new(), NameMap::skip).before(recipe.published_names());
        if !self.prefix.is_empty() {
            names = names.below(&self.prefix);
        }
        let mut options = ImportOptions::from(&names);
        options.entry = self.entry.clone();
        if let Some(first) = recipe.first_convolution() {
            options = options.adapt_channels(first, self.channels);
        }
        let source = Path::new(&self.from);
        let report = from_pretrained(parameters, source, options)?;
        report.complete(source).map_err(|error| match error {
            Error::Weights { path, problem } => Error::Weights {
                path,
                problem: format!(
                    "{problem}; do depth and the other settings fit, or is it a `prefix` that is missing?{}",
                    self.skip_advice(&report, &names, parameters)
                ),
            },
            other => other,
        })
    }

    /// How to leave out what is beside the encoder. A layer more is no such thing: without it the network would be another.
    fn skip_advice(&self, report: &ImportReport, names: &NameMap, parameters: &Parameters) -> String {
        let end = |name: &str| name.find('.').map_or(name.len(), |point| point + 1);
        let parts: BTreeSet<String> = parameters.names().iter().map(|name| name[..end(name)].to_string()).collect();
        let beside = |name: &String| {
            let name = without_wrappers(name);
            let ours = names.apply(name)?;
            let (part, rest) = ours.split_at(end(&ours));
            let behind = name.strip_prefix(without_wrappers(&self.prefix))?;
            (!parts.contains(part)).then(|| behind.strip_suffix(rest).map(String::from))?
        };
        let beside: Option<BTreeSet<String>> = report.unused.iter().map(beside).collect();
        match beside {
            Some(beside) if report.missing.is_empty() => {
                format!(" If they are no part of the encoder, write `skip = {:?}` in `pretrained`", Vec::from_iter(beside))
            }
            _ => String::new(),
        }
    }
}

/// The parameters that `build` makes, by their names in the encoder, and what it returns.
pub(super) fn recorded<T>(vb: &VarBuilder, build: impl FnOnce(VarBuilder) -> Result<T>) -> Result<(Parameters, T)> {
    let made = Arc::new(Mutex::new(BTreeMap::new()));
    let recorder = Recorder { store: vb.clone(), made: made.clone() };
    let built = build(VarBuilder::from_backend(Box::new(recorder), vb.dtype(), vb.device().clone()))?;
    let made = std::mem::take(&mut *made.lock().unwrap_or_else(PoisonError::into_inner));
    let variables = made.iter().map(|(name, tensor)| Ok((name.clone(), Var::from_tensor(tensor)?))).collect::<Result<_>>()?;
    Ok((Parameters::of(variables, vb.device()), built))
}

/// Whether weights are to be read: not where those of the whole model are about to be loaded.
pub(super) fn needs_weights(vb: &VarBuilder) -> bool {
    !is_to_be_loaded(vb)
}

/// Remembers what a builder makes.
struct Recorder<'a> {
    store: VarBuilder<'a>,
    made: Arc<Mutex<BTreeMap<String, Tensor>>>,
}

impl SimpleBackend for Recorder<'_> {
    fn get(&self, shape: Shape, name: &str, init: Init, dtype: DType, _: &Device) -> candle_core::Result<Tensor> {
        let tensor = self.store.get_with_hints_dtype(shape, name, init, dtype)?;
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string(), tensor.clone());
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, _: &Device) -> candle_core::Result<Tensor> {
        self.store.get_unchecked_dtype(name, dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.store.contains_tensor(name)
    }
}
