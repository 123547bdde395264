//! Published weights into a model of ours: names mapped by rules, shapes checked, nothing left out in silence.

use super::channels::ChannelRule;
use super::file::{folder_of, hash_file};
use super::hub::{is_model_id, model_file, model_weights};
use super::source::{ReadOptions, WeightsFile, index_parts};
use crate::error::{Error, Result};
use crate::nn::{Parameters, name_list, name_lists, with_slices};
use candle_core::{DType, Device, Tensor, Var};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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
    /// What [`NameMap::below`] was given.
    prefix: String,
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

    /// These rules, and behind them others.
    pub(crate) fn before(mut self, others: Self) -> Self {
        self.rules.extend(others.rules);
        Self { prefix: others.prefix, ..self }
    }

    /// The same rules for names that begin with `prefix`; all others are left out. Wrappers such as `module.` are no part of it.
    pub fn below(self, prefix: &str) -> Self {
        let prefix = without_wrappers(prefix);
        let mut rules: Vec<_> = self.rules.into_iter().map(|(from, to)| (format!("{prefix}{from}"), to)).collect();
        rules.extend([(prefix.to_string(), Some(String::new())), (String::new(), None)]);
        Self { rules, prefix: format!("{prefix}{}", self.prefix) }
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
///
/// ```
/// use mm_core::weights::{ChannelRule, ImportOptions, NameMap};
/// let names = NameMap::new().skip("fc.").rename("", "encoders.depth.");
/// // A network for colours reads depth, one channel.
/// let options = ImportOptions::new(names).adapt_channels("encoders.depth.conv1.weight", ChannelRule::Sum);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// How published names become ours.
    pub names: NameMap,
    /// Whether values that are NaN or infinite are taken over; otherwise they are an error.
    pub allow_non_finite: bool,
    /// The entry of a PyTorch checkpoint that holds the weights, where that is ambiguous; see [`ReadOptions::entry`].
    pub entry: Option<String>,
    /// Our name of a first convolution whose channels may be others than the published ones, and what is done then.
    pub adapt_channels: Option<(String, ChannelRule)>,
}

impl ImportOptions {
    /// With these names.
    pub fn new(names: NameMap) -> Self {
        Self { names, ..Self::default() }
    }

    /// Takes values over that are NaN or infinite.
    pub fn allow_non_finite(self) -> Self {
        Self { allow_non_finite: true, ..self }
    }

    /// Reads this entry of a PyTorch checkpoint.
    pub fn entry(self, entry: impl Into<String>) -> Self {
        Self { entry: Some(entry.into()), ..self }
    }

    /// Makes the weights of the convolution `parameter` (our name) for its number of channels from published ones of any number.
    pub fn adapt_channels(self, parameter: impl Into<String>, rule: ChannelRule) -> Self {
        Self { adapt_channels: Some((parameter.into(), rule)), ..self }
    }
}

impl From<&NameMap> for ImportOptions {
    fn from(names: &NameMap) -> Self {
        Self::new(names.clone())
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
    set(parameters, tensors, &assignment, &options, source)?;
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
        let advice = prefix_advice(names, map, &ours);
        let [published, ours] = [name_list(names), name_list(&ours)];
        let problem = format!("no tensor has the name of a parameter; there: {published}; in the model: {ours}; {advice}");
        return Err(Error::weights(source, format!("{problem}; a program says with `NameMap::rename` how names begin here and there")));
    }
    let missing = ours.into_iter().filter(|name| !taken.contains_key(name)).collect();
    unused.sort();
    Ok(Assignment { taken, report: ImportReport { missing, unused } })
}

/// What to write as the prefix of a plan: the beginning behind which most published names that could be ours are.
fn prefix_advice(names: &[&str], map: &NameMap, ours: &[String]) -> String {
    let is_ours = |name: &str| map.apply(&format!("{}{name}", map.prefix)).is_some_and(|name| ours.binary_search(&name).is_ok());
    let mut behind: BTreeMap<&str, usize> = BTreeMap::new();
    let mut fitting = 0;
    for name in names.iter().map(|name| without_wrappers(name)).filter(|name| !name.ends_with("num_batches_tracked")) {
        let starts = [0].into_iter().chain(name.match_indices('.').map(|(point, _)| point + 1));
        let fits: Vec<usize> = starts.filter(|&start| is_ours(&name[start..])).collect();
        fitting += usize::from(!fits.is_empty());
        fits.into_iter().for_each(|start| *behind.entry(&name[..start]).or_default() += 1);
    }
    let most = behind.values().copied().max().unwrap_or(0);
    // Several encoders of one kind are in a file with as many names each.
    let best: Vec<&str> = behind.into_iter().filter(|(_, count)| *count == most).map(|(prefix, _)| prefix).collect();
    // Of a part of a network the names come again in its other parts; where all are there, that is the place.
    if most < ours.len() && 2 * most * best.len() <= fitting {
        return "in a plan, `pretrained = { from = ..., prefix = ... }` says what the names there begin with".into();
    }
    let found = format!("{most} of {} parameters are there", ours.len());
    match best[..] {
        [""] => format!("{found} without `{}` in front: leave `prefix` out of `pretrained`", map.prefix),
        [prefix] if prefix.strip_suffix('.') == Some(map.prefix.as_str()) && !map.prefix.is_empty() => {
            format!("the prefix `{}` lacks its last point: write `prefix = \"{prefix}\"` in `pretrained`", map.prefix)
        }
        _ => {
            let written: Vec<String> = best.iter().take(3).map(|prefix| format!("`prefix = \"{prefix}\"`")).collect();
            let behind: Vec<String> = best.iter().take(3).map(|prefix| format!("`{prefix}`")).collect();
            format!("{found} behind {}: write {} in `pretrained`", behind.join(" and behind "), written.join(" or "))
        }
    }
}

/// A name without what wrappers of a whole model put before it.
pub(crate) fn without_wrappers(mut name: &str) -> &str {
    while let Some(rest) = ["module.", "_orig_mod."].iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    name
}

/// What to do about published values that are NaN or infinite.
const NON_FINITE: &str = "the file is damaged, or the training that wrote it diverged, and a plan cannot take it; \
     a program allows them with `ImportOptions::allow_non_finite` if they are meant";

/// What to do about a batch norm's variance that is none: the network would answer NaN.
const NEGATIVE: &str = "a variance (`running_var`) is below 0; the file is damaged, or two of its tensors are swapped: fetch it again";

fn set(
    parameters: &Parameters,
    tensors: &BTreeMap<String, Tensor>,
    assignment: &Assignment,
    options: &ImportOptions,
    source: &Path,
) -> Result<()> {
    let variables: BTreeMap<String, Var> = parameters.variables().into_iter().collect();
    let value = |(ours, name): (&String, &String)| -> Result<(&Var, Tensor)> {
        let (mut tensor, variable) = (tensors[name].clone(), &variables[ours]);
        if let Some((adapted, rule)) = &options.adapt_channels
            && adapted == ours
            && let (&[_, _, height, width], &[_, channels, ..]) = (tensor.dims(), variable.dims())
            && variable.dims()[2..] == [height, width]
        {
            let found = tensor.dim(1)?;
            // Of colours alone it is known that one weight serves them all; a fourth channel is something else.
            if found > 3 && found != channels {
                tracing::warn!(
                    "{}: `{name}` reads {found} channels and the sensor has {channels}: all of them get the same weights",
                    source.display()
                );
            }
            tensor = rule.adapted(&tensor.to_dtype(variable.dtype())?, channels)?;
        }
        if without_ones(tensor.dims()) != without_ones(variable.dims()) {
            let (expected, found) = (variable.dims(), tensor.dims());
            let mut problem = format!("tensor `{name}` for parameter `{ours}`: expected shape {expected:?}, found {found:?}");
            if expected.len() == 4 && found.len() == 4 && expected[0] == found[0] && expected[2..] == found[2..] {
                problem += "; `ImportOptions::adapt_channels` makes it fit if it is a first convolution for other channels";
            }
            return Err(Error::weights(source, problem));
        }
        let value = tensor.to_dtype(variable.dtype())?.reshape(variable.shape())?;
        if !options.allow_non_finite {
            refuse_non_finite(name, &value, source, NON_FINITE)?;
        }
        if ours.ends_with("running_var")
            && value.elem_count() > 0
            && value.flatten_all()?.min(0)?.to_dtype(DType::F32)?.to_scalar::<f32>()? < 0.0
        {
            return Err(Error::weights(source, format!("tensor `{name}`: {NEGATIVE}")));
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

/// Files with the weights of a model, in a folder or of the Hub: the first that is there is read.
pub(super) const FILES: [&str; 4] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// Where the weights of a source are that [`from_pretrained`] takes: a file, downloaded if need be.
pub fn pretrained_weights(source: &Path) -> Result<PathBuf> {
    Ok(match source.to_str() {
        _ if source.is_dir() => FILES.map(|file| source.join(file)).into_iter().find(|file| file.exists()).unwrap_or(source.join(FILES[0])),
        Some(id) if !source.exists() && is_model_id(source) => model_weights(id).map_err(no_file_either)?,
        _ => source.to_path_buf(),
    })
}

/// Where another file of such a source is, such as `config.json`: in the folder, beside the weights, or of the same model of the Hub.
pub fn pretrained_file(source: &Path, file: &str) -> Result<PathBuf> {
    Ok(match source.to_str() {
        _ if source.is_file() => folder_of(source).join(file),
        Some(id) if !source.exists() && is_model_id(source) => model_file(id, file).map_err(no_file_either)?,
        _ => source.join(file),
    })
}

/// A path with a slip looks like a model of the Hub.
fn no_file_either(error: Error) -> Error {
    match error {
        Error::Weights { path, problem } => {
            Error::Weights { path, problem: format!("{problem}; nor is it a file or folder that is there") }
        }
        other => other,
    }
}

/// SHA-256 of the files with the weights of such a source, in hexadecimal: other weights have another.
pub fn pretrained_hash(source: &Path) -> Result<String> {
    let path = pretrained_weights(source)?;
    let hash = hash_file(&path, |_| {})?;
    if path.extension().is_none_or(|extension| extension != "json") {
        return Ok(hash);
    }
    let mut all = hash;
    for part in index_parts(&path)? {
        all += &hash_file(&folder_of(&path).join(part), |_| {})?;
    }
    Ok(super::hash(all.as_bytes()))
}

/// [`import`] from a file as [`WeightsFile`] reads it (safetensors, the index of several, a checkpoint of PyTorch), from
/// `model.safetensors` or `pytorch_model.bin` of a folder (or their indices), or from a model of the Hugging Face Hub: from the cache of
/// its tools (see [`super::hub_cache`]), and with the feature `hub` downloaded. Such a model is called `timm/resnet18.a1_in1k`, or
/// `timm/resnet18.a1_in1k@v1` in the revision `v1` (a branch, a tag or a commit).
///
/// A path that exists is never looked up at the Hub. Of tensors that no parameter takes not a byte is read.
pub fn from_pretrained(parameters: &Parameters, source: impl AsRef<Path>, options: impl Into<ImportOptions>) -> Result<ImportReport> {
    let (path, options) = (pretrained_weights(source.as_ref())?, options.into());
    let file = WeightsFile::open(&path, &ReadOptions { entry: options.entry.clone(), ..ReadOptions::default() })?;
    let published = file.tensors();
    let names: Vec<&str> = published.iter().map(|tensor| tensor.name.as_str()).collect();
    let assignment = assign(parameters, &names, &options.names, &path)?;
    let wanted: BTreeSet<&str> = assignment.taken.values().map(String::as_str).collect();
    if let Some(mask) = published.iter().find(|tensor| tensor.dtype == "BOOL" && wanted.contains(tensor.name.as_str())) {
        return Err(Error::weights(&path, format!("tensor `{}` of BOOL: a parameter takes numbers, not booleans", mask.name)));
    }
    let tensors = file.read(parameters.device(), |name| wanted.contains(name))?;
    set(parameters, &tensors, &assignment, &options, &path)?;
    Ok(assignment.report)
}
