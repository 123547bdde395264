//! Published weights into a model of ours: names mapped by rules, shapes checked, nothing left out in silence.

use super::hub::{is_model_id, model_file};
use super::source::{ReadOptions, WeightsFile};
use crate::error::{Error, Result};
use crate::nn::{Parameters, name_list, name_lists, with_slices};
use candle_core::{DType, Device, Tensor, Var};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
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

/// How published weights enter a model; a [`NameMap`] alone will do.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// How published names become ours.
    pub names: NameMap,
    /// Whether values that are NaN or infinite are taken over; otherwise they are an error.
    pub allow_non_finite: bool,
    /// The entry of a PyTorch checkpoint that holds the weights, where that is ambiguous; see [`ReadOptions::entry`].
    pub entry: Option<String>,
}

impl From<&NameMap> for ImportOptions {
    fn from(names: &NameMap) -> Self {
        Self { names: names.clone(), ..Self::default() }
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
/// Counters of batches are ignored, and so are the prefixes `module.` and `_orig_mod.` of models that were trained on several
/// devices or compiled, however often they stand there. A 1x1 convolution may stand for a linear layer and the other way round.
/// Tensors none of which has the name of a parameter, a tensor of a wrong shape or with values that are not finite, or two for
/// one parameter are errors, and then nothing changes; `source` is named in them.
pub fn import(
    parameters: &Parameters,
    tensors: &BTreeMap<String, Tensor>,
    options: impl Into<ImportOptions>,
    source: &Path,
) -> Result<ImportReport> {
    let options = options.into();
    let names: Vec<&str> = tensors.keys().map(String::as_str).collect();
    let assignment = assign(parameters, &names, &options.names, source)?;
    set(parameters, tensors, &assignment, options.allow_non_finite, source)?;
    Ok(assignment.report)
}

/// Which published tensor stands for which parameter.
struct Assignment {
    /// Published name by ours.
    taken: BTreeMap<String, String>,
    report: ImportReport,
}

fn assign(parameters: &Parameters, names: &[&str], map: &NameMap, source: &Path) -> Result<Assignment> {
    let ours = parameters.names();
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    let mut unused = Vec::new();
    for name in names.iter().filter(|name| !name.ends_with("num_batches_tracked")) {
        let Some(parameter) = map.apply(without_wrappers(name)) else { continue };
        if ours.binary_search(&parameter).is_err() {
            unused.push(name.to_string());
        } else if let Some(other) = taken.insert(parameter.clone(), name.to_string()) {
            return Err(Error::weights(source, format!("tensors `{other}` and `{name}` both stand for parameter `{parameter}`")));
        }
    }
    if taken.is_empty() {
        let [published, ours] = [name_list(names), name_list(&ours)];
        let problem = format!("no tensor has the name of a parameter; there: {published}; in the model: {ours}");
        return Err(Error::weights(source, format!("{problem}; say with `NameMap::rename` how names begin here and there")));
    }
    let missing = ours.into_iter().filter(|name| !taken.contains_key(name)).collect();
    unused.sort();
    Ok(Assignment { taken, report: ImportReport { missing, unused } })
}

/// A name without what wrappers of a whole model put before it.
fn without_wrappers(mut name: &str) -> &str {
    while let Some(rest) = ["module.", "_orig_mod."].iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    name
}

fn set(
    parameters: &Parameters,
    tensors: &BTreeMap<String, Tensor>,
    assignment: &Assignment,
    allow_non_finite: bool,
    source: &Path,
) -> Result<()> {
    let variables: BTreeMap<String, Var> = parameters.variables().into_iter().collect();
    let value = |(ours, name): (&String, &String)| -> Result<(&Var, Tensor)> {
        let (tensor, variable) = (&tensors[name], &variables[ours]);
        if without_ones(tensor.dims()) != without_ones(variable.dims()) {
            let problem =
                format!("tensor `{name}` for parameter `{ours}`: expected shape {:?}, found {:?}", variable.dims(), tensor.dims());
            return Err(Error::weights(source, problem));
        }
        let value = tensor.to_dtype(variable.dtype())?.reshape(variable.shape())?;
        if !allow_non_finite {
            refuse_non_finite(name, &value, source, "allow them with `ImportOptions::allow_non_finite` if they are meant")?;
        }
        Ok((variable, value.to_device(parameters.device())?))
    };
    let values = assignment.taken.par_iter().map(value).collect::<Result<Vec<_>>>()?;
    values.into_iter().try_for_each(|(variable, value)| Ok(variable.set(&value)?))
}

/// An error if a value of the tensor called `name` is NaN or infinite.
pub(crate) fn refuse_non_finite(name: &str, tensor: &Tensor, source: &Path, advice: &str) -> Result<()> {
    let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    let broken = with_slices([&tensor], |[values]| {
        // Without a way out in the middle, such a stretch is checked with vector instructions.
        let finite = |values: &[f32]| values.iter().fold(true, |finite, value| finite & value.is_finite());
        Ok(if values.chunks(1024).all(finite) { 0 } else { values.iter().filter(|value| !value.is_finite()).count() })
    })?;
    match broken {
        0 => Ok(()),
        _ => {
            let count = tensor.elem_count();
            Err(Error::weights(source, format!("tensor `{name}`: {broken} of {count} values are NaN or infinite; {advice}")))
        }
    }
}

/// A shape without its trailing ones: what a 1x1 convolution and a linear layer have in common.
fn without_ones(shape: &[usize]) -> &[usize] {
    let length = shape.iter().rposition(|&n| n != 1).map_or(0, |last| last + 1);
    &shape[..length]
}

/// Files of a folder, the first of which that is there is read.
const FILES: [&str; 4] = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// [`import`] from a file as [`WeightsFile`] reads it (safetensors, the index of several, a checkpoint of PyTorch), from
/// `model.safetensors` or `pytorch_model.bin` of a folder, or from a model of the Hugging Face Hub, such as `timm/resnet18.a1_in1k`: from
/// the cache of its tools (see [`super::hub_cache`]), and with the feature `hub` downloaded.
///
/// Of tensors that no parameter takes not a byte is read.
pub fn from_pretrained(parameters: &Parameters, source: impl AsRef<Path>, options: impl Into<ImportOptions>) -> Result<ImportReport> {
    let (source, options) = (source.as_ref(), options.into());
    let path = match source.to_str() {
        _ if source.is_dir() => FILES.map(|file| source.join(file)).into_iter().find(|file| file.exists()).unwrap_or(source.join(FILES[0])),
        Some(id) if !source.exists() && is_model_id(source) => model_file(id, FILES[0])?,
        _ => source.to_path_buf(),
    };
    let file = WeightsFile::open(&path, &ReadOptions { entry: options.entry.clone(), ..ReadOptions::default() })?;
    let published = file.tensors();
    let names: Vec<&str> = published.iter().map(|tensor| tensor.name.as_str()).collect();
    let assignment = assign(parameters, &names, &options.names, &path)?;
    let wanted: BTreeSet<&str> = assignment.taken.values().map(String::as_str).collect();
    if let Some(mask) = published.iter().find(|tensor| tensor.dtype == "BOOL" && wanted.contains(tensor.name.as_str())) {
        return Err(Error::weights(&path, format!("tensor `{}` of BOOL: a parameter takes numbers, not booleans", mask.name)));
    }
    let tensors = file.read(parameters.device(), |name| wanted.contains(name))?;
    set(parameters, &tensors, &assignment, options.allow_non_finite, &path)?;
    Ok(assignment.report)
}
