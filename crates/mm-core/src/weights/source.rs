//! Weights of other makers, whatever file they are in: a safetensors file, several with an index, a checkpoint of PyTorch.

use super::content::Content;
use super::file::{Reader, folder_of};
use super::foreign::{self, Foreign};
use super::pth::{Checkpoint, WHOLE};
use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use safetensors::Dtype;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

/// Which tensors of a checkpoint are read, and under which names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The entry of a PyTorch checkpoint that holds the weights, such as `ema` or `model.teacher`; `.` is the whole file, the names of
    /// entries and tensors joined by dots. Without it the weights must not be ambiguous.
    pub entry: Option<String>,
    /// Whether `module.` and `_orig_mod.` stay where a PyTorch checkpoint has them before all names.
    pub keep_prefix: bool,
}

/// What a file says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Type of its numbers in the file, in the words of safetensors: `F32`, `BF16`, `I64`, `BOOL`.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// What a file has besides the tensors that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Name of the entry; control characters are escaped.
    pub name: String,
    /// What it is: its value where that is short, or its kind.
    pub what: String,
}

/// An open file of weights: what is in it is known and checked, the numbers are still to be read.
///
/// ```no_run
/// use candle_core::Device;
/// use mm_core::weights::{ReadOptions, WeightsFile};
/// # fn main() -> mm_core::Result<()> {
/// let options = ReadOptions { entry: Some("ema".into()), ..ReadOptions::default() };
/// let file = WeightsFile::open("checkpoint.pth".as_ref(), &options)?;
/// for ignored in file.ignored() {
///     println!("not read: {} ({})", ignored.name, ignored.what);
/// }
/// let tensors = file.read(&Device::Cpu, |name| !name.starts_with("head."))?;
/// # Ok(())
/// # }
/// ```
pub struct WeightsFile {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Safetensors(Reader<File>),
    Pth(Box<Checkpoint<BufReader<File>>>),
    /// Files, and which tensors of each are meant.
    Parts(Vec<(WeightsFile, BTreeSet<String>)>),
}

impl WeightsFile {
    /// Opens a file, and reads and checks everything but the numbers. By its content, not its name, it is a safetensors file, the index
    /// of several (`model.safetensors.index.json`), or a checkpoint of PyTorch, of which nothing is run.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        Self::open_part(path, options, true)
    }

    fn open_part(path: &Path, options: &ReadOptions, whole: bool) -> Result<Self> {
        let open = || File::open(path).map_err(Error::io(path));
        let metadata = open()?.metadata().map_err(Error::io(path))?;
        if metadata.is_dir() {
            return Err(Error::weights(path, "this is a folder: name a file in it"));
        }
        let kind = match Reader::new(path, open()?, metadata.len()) {
            Ok(reader) => Kind::Safetensors(reader),
            Err(problem) => match foreign::look(&mut open()?, metadata.len()) {
                Some(Foreign::Pth) => {
                    let file = BufReader::new(open()?);
                    let checkpoint = Checkpoint::open(file, metadata.len(), options.entry.as_deref(), options.keep_prefix);
                    Kind::Pth(Box::new(checkpoint.map_err(Error::pth(path))?))
                }
                Some(Foreign::Index(files)) if whole => Kind::Parts(parts(path, files, options)?),
                Some(Foreign::Index(_)) => return Err(Error::weights(path, "this is an index, where a file with tensors is meant")),
                Some(Foreign::Other(what)) => return Err(Error::weights(path, what)),
                None => return Err(problem),
            },
        };
        match (&kind, options.entry.as_deref()) {
            (Kind::Safetensors(_), Some(entry)) if entry != WHOLE => {
                Err(Error::weights(path, format!("there is no entry `{entry}`: only PyTorch checkpoints have entries")))
            }
            _ => Ok(Self { path: path.into(), kind }),
        }
    }

    /// What kind of file it is, in words.
    pub fn format(&self) -> &'static str {
        match &self.kind {
            Kind::Safetensors(_) => "safetensors",
            Kind::Pth(checkpoint) => checkpoint.format(),
            Kind::Parts(_) => "index of several files",
        }
    }

    /// Every tensor that is read, sorted by name.
    pub fn tensors(&self) -> Vec<TensorInfo> {
        let info = |(name, dtype, shape): (String, Dtype, Vec<usize>)| TensorInfo { name, dtype: format!("{dtype:?}"), shape };
        let mut tensors: Vec<TensorInfo> = match &self.kind {
            Kind::Safetensors(reader) => reader.tensors().into_iter().map(info).collect(),
            Kind::Pth(checkpoint) => checkpoint.tensors().map(|(name, dtype, shape)| info((name.into(), dtype, shape.to_vec()))).collect(),
            Kind::Parts(parts) => {
                parts.iter().flat_map(|(part, names)| part.tensors().into_iter().filter(|tensor| names.contains(&tensor.name))).collect()
            }
        };
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        tensors
    }

    /// The text that the writer of a safetensors file of ours put into it.
    pub fn text(&self) -> Option<&str> {
        if let Kind::Safetensors(reader) = &self.kind { reader.text() } else { None }
    }

    /// The entry of a PyTorch checkpoint that the tensors are from, unless it is the whole file.
    pub fn entry(&self) -> Option<&str> {
        if let Kind::Pth(checkpoint) = &self.kind { checkpoint.entry.as_deref() } else { None }
    }

    /// What was taken off before all names of a PyTorch checkpoint, such as `module.`; empty if nothing was.
    pub fn prefix(&self) -> &str {
        if let Kind::Pth(checkpoint) = &self.kind { &checkpoint.prefix } else { "" }
    }

    /// What else is in a PyTorch checkpoint.
    pub fn ignored(&self) -> Vec<Ignored> {
        let Kind::Pth(checkpoint) = &self.kind else { return Vec::new() };
        checkpoint.ignored.iter().map(|(name, what)| Ignored { name: name.clone(), what: what.clone() }).collect()
    }

    /// Groups of tensors of a PyTorch checkpoint that have numbers in common, such as tied weights.
    pub fn shared(&self) -> Vec<Vec<String>> {
        if let Kind::Pth(checkpoint) = &self.kind { checkpoint.shared() } else { Vec::new() }
    }

    /// The tensors whose names `wanted` accepts; of the others, as far as they have numbers of their own, not a byte is read.
    ///
    /// Names that are the same numbers in a PyTorch checkpoint share them here. Types that candle lacks become wider ones: booleans bytes
    /// of 0 and 1, signed bytes 16-bit numbers.
    pub fn read(self, device: &Device, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Tensor>> {
        self.read_wanted(device, &wanted)
    }

    fn read_wanted(self, device: &Device, wanted: &dyn Fn(&str) -> bool) -> Result<BTreeMap<String, Tensor>> {
        let path = self.path.clone();
        match self.kind {
            Kind::Safetensors(reader) => reader.read(device, wanted),
            Kind::Pth(_) => {
                let mut tensors = BTreeMap::new();
                self.visit(wanted, &mut |names, dtype, shape, content| {
                    let tensor = content.tensor(dtype, shape, device);
                    let tensor = tensor.map_err(|e| Error::weights(&path, format!("tensor `{}` of {dtype:?}: {e}", names[0])))?;
                    tensors.extend(names.iter().map(|name| (name.to_string(), tensor.clone())));
                    Ok(())
                })?;
                Ok(tensors)
            }
            Kind::Parts(parts) => {
                let mut tensors = BTreeMap::new();
                for (part, names) in parts {
                    tensors.append(&mut part.read_wanted(device, &|name| names.contains(name) && wanted(name))?);
                }
                Ok(tensors)
            }
        }
    }

    /// Passes the tensors whose names `wanted` accepts to `each`, one after the other; names of the same numbers come together.
    pub(super) fn visit(self, wanted: &dyn Fn(&str) -> bool, each: &mut Each) -> Result<()> {
        match self.kind {
            Kind::Safetensors(reader) => reader.visit(wanted, each),
            Kind::Pth(mut checkpoint) => checkpoint.read(wanted, Error::pth(&self.path), each),
            Kind::Parts(parts) => {
                let mut parts = parts.into_iter();
                parts.try_for_each(|(part, names)| part.visit(&|name| names.contains(name) && wanted(name), each))
            }
        }
    }
}

/// What is done with a tensor: its names, type, shape and bytes.
pub(super) type Each<'a> = dyn FnMut(&[&str], Dtype, &[usize], Content) -> Result<()> + 'a;

/// The names of the files that an index names, each once; refused where one does not lie beside it.
pub(super) fn index_parts(index: &Path) -> Result<BTreeSet<String>> {
    let mut file = File::open(index).map_err(Error::io(index))?;
    let length = file.metadata().map_err(Error::io(index))?.len();
    match foreign::look(&mut file, length) {
        Some(Foreign::Index(files)) => {
            let names: BTreeSet<String> = files.into_values().collect();
            names.iter().try_for_each(|name| beside(index, name))?;
            Ok(names)
        }
        Some(Foreign::Other(what)) => Err(Error::weights(index, what)),
        _ => Err(Error::weights(index, "this is no index of a model in several files")),
    }
}

/// Refuses a file name in an index that leads elsewhere.
fn beside(index: &Path, file: &str) -> Result<()> {
    let mut components = Path::new(file).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(_)), None) => Ok(()),
        _ => Err(Error::weights(index, format!("it names the file `{}`, which does not lie beside it", file.escape_debug()))),
    }
}

/// The files that an index names, which lie beside it, each with the tensors that are said to be in it.
fn parts(index: &Path, files: BTreeMap<String, String>, options: &ReadOptions) -> Result<Vec<(WeightsFile, BTreeSet<String>)>> {
    let mut tensors: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (tensor, file) in files {
        tensors.entry(file).or_default().insert(tensor);
    }
    let part = |(file, names): (String, BTreeSet<String>)| {
        beside(index, &file)?;
        // One of several files does not tell what all names begin with.
        let part = WeightsFile::open_part(&folder_of(index).join(&file), &ReadOptions { keep_prefix: true, ..options.clone() }, false)?;
        let there: BTreeSet<String> = part.tensors().into_iter().map(|tensor| tensor.name).collect();
        match names.difference(&there).next() {
            None => Ok((part, names)),
            Some(gone) => Err(Error::weights(index, format!("tensor `{gone}` is not in `{file}`; fetch the files again"))),
        }
    };
    tensors.into_iter().map(part).collect()
}
