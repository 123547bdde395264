//! Writing in one step, reading with every check.

use super::foreign;
use crate::error::{Error, Result};
use candle_core::{Device, Tensor, safetensors::Load};
use rayon::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorView};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;

/// Header entry with the checksums (and the caller's text), one JSON object: one entry keeps the bytes reproducible.
const HEADER_KEY: &str = "mm-core";

/// Bytes that a header may have, as in the format's own library.
const LONGEST_HEADER: u64 = 100_000_000;

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// Of each tensor: its type, shape and bytes.
    sha256: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
}

/// The caller's text.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    sha256: String,
    text: String,
}

/// Writes `bytes` to a temporary file beside `path` and renames it: `path` holds the old content or the new, never a part.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let mut file = temporary_file(folder).map_err(Error::io(folder))?;
    file.write_all(bytes).map_err(Error::io(path))?;
    file.as_file().sync_data().map_err(Error::io(path))?;
    file.persist(path).map_err(|e| Error::io(path)(e.error))?;
    Ok(())
}

/// With the permissions of any new file; temporary files are their owner's alone by default.
fn temporary_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // the system takes the umask off
    builder.tempfile_in(folder)
}

/// Writes tensors by name, with an optional text of the caller's (such as a configuration) in the header.
pub fn save(path: &Path, tensors: &BTreeMap<String, Tensor>, text: Option<&str>) -> Result<()> {
    write_atomically(path, &encode(path, tensors, text)?)
}

/// The bytes that [`save`] writes; `path` is for messages.
pub(crate) fn encode(path: &Path, tensors: &BTreeMap<String, Tensor>, text: Option<&str>) -> Result<Vec<u8>> {
    let cpu: BTreeMap<&str, Tensor> =
        tensors.iter().map(|(name, t)| Ok((name.as_str(), t.to_device(&Device::Cpu)?.contiguous()?))).collect::<Result<_>>()?;
    // Serialised once without the header entry to hash exactly the bytes of each tensor.
    let plain = serialize(path, &cpu, None)?;
    let views = SafeTensors::deserialize(&plain).map_err(|e| Error::weights(path, e.to_string()))?;
    let sha256 = views.iter().map(|(name, view)| (name.to_string(), tensor_hash(&view))).collect();
    let text = text.map(|text| Text { sha256: hash(text.as_bytes()), text: text.into() });
    let header = serde_json::to_string(&Header { sha256, text }).map_err(|e| Error::weights(path, e.to_string()))?;
    serialize(path, &cpu, Some(HashMap::from([(HEADER_KEY.to_string(), header)])))
}

fn serialize(path: &Path, tensors: &BTreeMap<&str, Tensor>, header: Option<HashMap<String, String>>) -> Result<Vec<u8>> {
    safetensors::serialize(tensors.iter(), header).map_err(|e| Error::weights(path, e.to_string()))
}

/// SHA-256 in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// Of type and shape too: the same bytes in another shape are another tensor.
fn tensor_hash(view: &TensorView) -> String {
    hex(Sha256::new_with_prefix(format!("{:?} {:?}\n", view.dtype(), view.shape())).chain_update(view.data()))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Reads all tensors of a file, and the caller's text where there is one.
///
/// A file of ours is checked tensor by tensor; a foreign file (no checksums) is read as it is.
pub fn load(path: &Path, device: &Device) -> Result<(BTreeMap<String, Tensor>, Option<String>)> {
    Reader::open(path)?.read(device, |_| true)
}

/// What [`load`] does with the bytes of a file; `path` is for messages.
pub(crate) fn decode(path: &Path, bytes: &[u8], device: &Device) -> Result<(BTreeMap<String, Tensor>, Option<String>)> {
    Reader::new(path, Cursor::new(bytes), bytes.len() as u64)?.read(device, |_| true)
}

/// A file whose header was read and checked.
pub(super) struct Reader<'a, R> {
    path: &'a Path,
    file: R,
    metadata: Metadata,
    header: Option<Header>,
}

impl<'a> Reader<'a, File> {
    pub fn open(path: &'a Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        let metadata = file.metadata().map_err(Error::io(path))?;
        match metadata.is_dir() {
            true => Err(Error::weights(path, "this is a folder: name a file in it")),
            false => Self::new(path, file, metadata.len()),
        }
    }
}

impl<'a, R: Read + Seek> Reader<'a, R> {
    /// `length` is that of the file in bytes.
    fn new(path: &'a Path, mut file: R, length: u64) -> Result<Self> {
        let metadata = read_header(path, &mut file, length).map_err(|problem| match foreign::describe(&mut file, length) {
            Some(what) => Error::weights(path, what),
            None => problem,
        })?;
        let header: Option<Header> = match metadata.metadata().as_ref().and_then(|m| m.get(HEADER_KEY)) {
            Some(text) => Some(serde_json::from_str(text).map_err(|e| Error::weights(path, format!("corrupt header: {e}")))?),
            None => None,
        };
        if let Some(header) = &header {
            for name in header.sha256.keys() {
                if metadata.info(name).is_none() {
                    return Err(Error::weights(path, format!("corrupt: tensor `{name}` is gone")));
                }
            }
            if header.text.as_ref().is_some_and(|text| text.sha256 != hash(text.text.as_bytes())) {
                return Err(Error::weights(path, "corrupt: the checksum of the text in the header is wrong"));
            }
        }
        Ok(Self { path, file, metadata, header })
    }

    /// The names of all tensors.
    pub fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// The tensors whose names `wanted` accepts, and the caller's text; of the others not a byte is read.
    ///
    /// Tensors are read into the memory they stay in, so a large file needs no more than its own size.
    pub fn read(mut self, device: &Device, wanted: impl Fn(&str) -> bool) -> Result<(BTreeMap<String, Tensor>, Option<String>)> {
        let (path, header) = (self.path, &self.header);
        let mut contents = Vec::new();
        // In the order of the file, which has no gaps: the header was checked for that.
        for name in self.metadata.offset_keys() {
            let Some(info) = self.metadata.info(&name) else { continue };
            let bytes = info.data_offsets.1 - info.data_offsets.0;
            if wanted(&name) {
                contents.push((name, info, Content::read(&mut self.file, info.dtype, bytes).map_err(Error::io(path))?));
            } else {
                self.file.seek_relative(bytes as i64).map_err(Error::io(path))?;
            }
        }
        let checked = contents.into_par_iter().map(|(name, info, content)| {
            let problem = |e: &dyn std::fmt::Display| Error::weights(path, format!("tensor `{name}` of {:?}: {e}", info.dtype));
            let view = TensorView::new(info.dtype, info.shape.clone(), content.bytes()).map_err(|e| problem(&e))?;
            let hash = header.as_ref().map(|header| (header.sha256.get(&name), tensor_hash(&view)));
            if hash.is_some_and(|(expected, found)| expected != Some(&found)) {
                return Err(Error::weights(path, format!("corrupt: the checksum of tensor `{name}` is wrong")));
            }
            let tensor = match content {
                Content::Numbers(numbers) => Tensor::from_vec(numbers, info.shape.as_slice(), device),
                Content::Bytes(_) => view.load(device),
            };
            let tensor = tensor.map_err(|e| problem(&e))?;
            Ok((name, tensor))
        });
        let tensors = checked.collect::<Result<BTreeMap<String, Tensor>>>()?;
        Ok((tensors, self.header.and_then(|h| h.text).map(|t| t.text)))
    }
}

/// The header of a safetensors file of `length` bytes, and checked that these are as many as it says.
fn read_header(path: &Path, file: &mut impl Read, length: u64) -> Result<Metadata> {
    let problem = |e: &dyn std::fmt::Display| Error::weights(path, format!("not a readable safetensors file: {e}"));
    let mut size = [0; size_of::<u64>()];
    file.read_exact(&mut size).map_err(|e| problem(&e))?;
    let (header_length, rest) = (u64::from_le_bytes(size), length.saturating_sub(size.len() as u64));
    if header_length > rest.min(LONGEST_HEADER) {
        return Err(problem(&format!("a header of {header_length} bytes in a file of {length}")));
    }
    let mut header = vec![0; header_length as usize];
    file.read_exact(&mut header).map_err(|e| problem(&e))?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| problem(&e))?;
    match (metadata.data_len() as u64, rest - header_length) {
        (expected, found) if expected == found => Ok(metadata),
        (expected, found) => Err(problem(&format!("{expected} bytes of tensors expected, found {found}; fetch the file again"))),
    }
}

/// The bytes of a tensor; of an f32 tensor in the memory that candle then takes over.
enum Content {
    Numbers(Vec<f32>),
    Bytes(Vec<u8>),
}

impl Content {
    fn read(file: &mut impl Read, dtype: Dtype, bytes: usize) -> std::io::Result<Self> {
        if dtype == Dtype::F32 && cfg!(target_endian = "little") {
            let mut numbers = vec![0.0; bytes / size_of::<f32>()];
            file.read_exact(bytemuck::cast_slice_mut(&mut numbers))?;
            return Ok(Self::Numbers(numbers));
        }
        let mut content = vec![0; bytes];
        file.read_exact(&mut content)?;
        Ok(Self::Bytes(content))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Numbers(numbers) => bytemuck::cast_slice(numbers),
            Self::Bytes(bytes) => bytes,
        }
    }
}
