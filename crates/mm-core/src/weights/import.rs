//! Published weights into a model of ours: names mapped by rules, shapes checked, nothing left out in silence.

use super::hub::{is_model_id, model_file};
use crate::error::{Error, Result};
use crate::nn::{Parameters, name_lists};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

/// How published names become ours, by their beginnings; the first rule that fits counts, and a name that none fits stays.
///
/// ```
/// use mm_core::weights::NameMap;
/// let map = NameMap::new().skip("fc.").rename("backbone.", "encoders.rgb.");
/// assert_eq!(map.apply("backbone.conv1.weight").as_deref(), Some("encoders.rgb.conv1.weight"));
/// assert_eq!(map.apply("fc.bias"), None);
/// assert_eq!(map.published("encoders.rgb.conv1.weight").as_deref(), Some("backbone.conv1.weight"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameMap {
    rules: Vec<(String, Option<String>)>,
}

impl NameMap {
    /// Without rules: names stay as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names that begin with `from` begin with `to` instead.
    pub fn rename(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.rules.push((from.into(), Some(to.into())));
        self
    }

    /// Names that begin with `prefix` are left out, such as the head of a classifier for other classes.
    pub fn skip(mut self, prefix: impl Into<String>) -> Self {
        self.rules.push((prefix.into(), None));
        self
    }

    /// Our name for a published one; `None` where a rule skips it.
    pub fn apply(&self, name: &str) -> Option<String> {
        for (from, to) in &self.rules {
            if let Some(rest) = name.strip_prefix(from.as_str()) {
                return to.as_ref().map(|to| format!("{to}{rest}"));
            }
        }
        Some(name.to_string())
    }

    /// The published name that [`NameMap::apply`] turns into ours: to write weights that the published code reads.
    pub fn published(&self, ours: &str) -> Option<String> {
        let candidates = self.rules.iter().filter_map(|(from, to)| Some(format!("{from}{}", ours.strip_prefix(to.as_deref()?)?)));
        candidates.chain([ours.to_string()]).find(|name| self.apply(name).as_deref() == Some(ours))
    }
}

/// What an import left open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Our parameters that got no value, sorted; they keep the one they had.
    pub missing: Vec<String>,
    /// Published names that no parameter of ours took, sorted; skipped ones are not counted.
    pub unused: Vec<String>,
}

impl ImportReport {
    /// An error that lists what is missing and unused, unless nothing is; `source` is where the tensors came from.
    pub fn complete(&self, source: &Path) -> Result<()> {
        if self.missing.is_empty() && self.unused.is_empty() {
            return Ok(());
        }
        Err(Error::weights(source, format!("the tensors are not all of this model's: {}", name_lists(&self.missing, &self.unused))))
    }
}

/// Sets parameters from published tensors; any floating type is converted.
///
/// Counters of batches are ignored, and so is the prefix `module.` of models that were trained on several devices. A 1x1
/// convolution may stand for a linear layer and the other way round. A tensor of a wrong shape, or two for one parameter,
/// is an error, and then nothing changes; `source` is named in it.
pub fn import(parameters: &Parameters, tensors: &BTreeMap<String, Tensor>, map: &NameMap, source: &Path) -> Result<ImportReport> {
    let variables: BTreeMap<String, _> = parameters.variables().into_iter().collect();
    let mut report = ImportReport::default();
    let mut values: BTreeMap<String, (&str, Tensor)> = BTreeMap::new();
    for (name, tensor) in tensors.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")) {
        let Some(ours) = map.apply(name.strip_prefix("module.").unwrap_or(name)) else { continue };
        let Some(variable) = variables.get(&ours) else {
            report.unused.push(name.clone());
            continue;
        };
        if without_ones(tensor.dims()) != without_ones(variable.dims()) {
            let problem =
                format!("tensor `{name}` for parameter `{ours}`: expected shape {:?}, found {:?}", variable.dims(), tensor.dims());
            return Err(Error::weights(source, problem));
        }
        let value = tensor.to_dtype(variable.dtype())?.reshape(variable.shape())?.to_device(parameters.device())?;
        if let Some((other, _)) = values.insert(ours.clone(), (name, value)) {
            return Err(Error::weights(source, format!("tensors `{other}` and `{name}` both stand for parameter `{ours}`")));
        }
    }
    report.missing = variables.keys().filter(|name| !values.contains_key(*name)).cloned().collect();
    for (name, (_, value)) in &values {
        variables[name].set(value)?;
    }
    Ok(report)
}

/// A shape without its trailing ones: what a 1x1 convolution and a linear layer have in common.
fn without_ones(shape: &[usize]) -> &[usize] {
    let length = shape.iter().rposition(|&n| n != 1).map_or(0, |last| last + 1);
    &shape[..length]
}

/// Imports from a safetensors file, from `model.safetensors` of a folder, or from a model of the Hugging Face Hub, such as
/// `timm/resnet18.a1_in1k`: from the cache of its tools (see [`super::hub_cache`]), and with the feature `hub` downloaded.
pub fn from_pretrained(parameters: &Parameters, source: impl AsRef<Path>, map: &NameMap) -> Result<ImportReport> {
    const FILE: &str = "model.safetensors";
    let source = source.as_ref();
    let file = match source.to_str() {
        _ if source.is_dir() => source.join(FILE),
        Some(id) if !source.exists() && is_model_id(source) => model_file(id, FILE)?,
        _ => source.to_path_buf(),
    };
    import(parameters, &super::load(&file, parameters.device())?.0, map, &file)
}
