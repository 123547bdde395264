//! Any file of weights as one safetensors file that checks itself and says where it is from.

use super::content::Content;
use super::file::{folder_of, hash_file, header_entry, temporary_file, tensor_hash};
use super::source::{Ignored, ReadOptions, WeightsFile};
use crate::error::{Error, Result};
use safetensors::Dtype;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::rc::Rc;

/// Multiple of which the header of a safetensors file is long.
const ALIGNMENT: usize = 8;

/// Name of the header's entry for texts; no tensor can have it.
const METADATA: &str = "__metadata__";

/// What [`convert`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// How many tensors.
    pub tensors: usize,
    /// How many bytes the new file has.
    pub bytes: u64,
    /// The entry of a PyTorch checkpoint that they are from, unless it was the whole file.
    pub entry: Option<String>,
    /// What was taken off before all names, such as `module.`; empty if nothing was.
    pub prefix: String,
    /// Groups of tensors that have numbers in common in the old file; in the new one each has its own.
    pub shared: Vec<Vec<String>>,
    /// What was not taken over.
    pub ignored: Vec<Ignored>,
}

/// The bytes of a tensor, which several names may have.
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    content: Rc<Content>,
}

/// Writes the tensors of any file that [`WeightsFile`] reads, with the types they have there, as one safetensors file.
///
/// It takes the memory of the tensors. Tensors that share numbers are written out in full, each with its name. The header says where
/// the file is from: name, size and SHA-256 of the old file, the entry, which tensors shared numbers, and what was left out. The same
/// file gives the same bytes. A target that exists is an error, unless it is to be overwritten; it holds the old content or the new,
/// never a part.
pub fn convert(source: &Path, target: &Path, options: &ReadOptions, overwrite: bool) -> Result<Conversion> {
    let problem = |problem: &str| Error::File { path: target.into(), problem: problem.into() };
    if target.symlink_metadata().is_ok() && !overwrite {
        return Err(problem(EXISTS));
    }
    if source.canonicalize().ok().is_some_and(|source| target.canonicalize().is_ok_and(|target| target == source)) {
        return Err(problem("it is the file that is to be converted; give the new file another name"));
    }
    let file = WeightsFile::open(source, options)?;
    let (entry, prefix) = (file.entry().map(String::from), file.prefix().to_string());
    let (shared, ignored) = (file.shared(), file.ignored());
    let text = origin(source, &file)?;
    let mut entries = BTreeMap::new();
    file.visit(&|_| true, &mut |names, dtype, shape, content| {
        let content = Rc::new(content);
        entries.extend(names.iter().map(|name| (name.to_string(), Entry { dtype, shape: shape.to_vec(), content: content.clone() })));
        Ok(())
    })?;
    let bytes = write(target, &entries, &text, overwrite)?;
    Ok(Conversion { tensors: entries.len(), bytes, entry, prefix, shared, ignored })
}

const EXISTS: &str = "it exists and would be overwritten; give another name, or ask for that (`--force`)";

/// Where the tensors are from, as JSON.
fn origin(path: &Path, file: &WeightsFile) -> Result<String> {
    let mut bytes = 0;
    let sha256 = hash_file(path, |read| bytes += read)?;
    let ignored: Vec<Value> = file.ignored().iter().map(|ignored| json!([ignored.name, ignored.what])).collect();
    let from = json!({
        "file": path.file_name().map(|name| name.to_string_lossy()),
        "format": file.format(),
        "bytes": bytes,
        "sha256": sha256,
        "entry": file.entry(),
        "prefix": file.prefix(),
        "shared": file.shared(),
        "ignored": ignored,
    });
    Ok(json!({ "converted_from": from }).to_string())
}

/// Writes the file; how many bytes it has.
fn write(path: &Path, entries: &BTreeMap<String, Entry>, text: &str, overwrite: bool) -> Result<u64> {
    if entries.contains_key(METADATA) {
        return Err(Error::weights(
            path,
            format!("a tensor called `{METADATA}` cannot be written: safetensors keeps that name for itself"),
        ));
    }
    // Wide numbers first, so that all lie on multiples of their size.
    let mut order: Vec<(&String, &Entry)> = entries.iter().collect();
    order.sort_by_key(|(name, entry)| (std::cmp::Reverse(entry.dtype.bitsize()), *name));
    let (mut header, mut hashes, mut end) = (Map::new(), BTreeMap::new(), 0);
    for (name, entry) in &order {
        let (start, bytes) = (end, entry.content.bytes());
        end += bytes.len();
        header.insert(name.to_string(), json!({ "dtype": entry.dtype, "shape": entry.shape, "data_offsets": [start, end] }));
        hashes.insert(name.to_string(), tensor_hash(entry.dtype, &entry.shape, bytes));
    }
    let (key, seal) = header_entry(path, hashes, Some(text))?;
    // Programs that read weights of PyTorch ask for this format.
    header.insert(METADATA.into(), json!({ "format": "pt", key: seal }));
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');

    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let mut file = temporary_file(folder).map_err(Error::io(folder))?;
    let mut writer = BufWriter::new(file.as_file_mut());
    let mut put = |bytes: &[u8]| writer.write_all(bytes).map_err(Error::io(path));
    put(&(header.len() as u64).to_le_bytes())?;
    put(&header)?;
    order.iter().try_for_each(|(_, entry)| put(entry.content.bytes()))?;
    writer.flush().map_err(Error::io(path))?;
    drop(writer);
    file.as_file().sync_data().map_err(Error::io(path))?;
    let written = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
    match written {
        Ok(_) => Ok((size_of::<u64>() + header.len() + end) as u64),
        Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::File { path: path.into(), problem: EXISTS.into() }),
        Err(e) => Err(Error::io(path)(e.error)),
    }
}
