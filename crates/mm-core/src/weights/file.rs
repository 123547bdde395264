//! Writing in one step, reading with every check.

use super::content::Content;
use super::foreign;
use super::source::{ReadOptions, WeightsFile};
use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};

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
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let mut file = temporary_file(folder).map_err(Error::io(folder))?;
    file.write_all(bytes).map_err(Error::io(path))?;
    file.as_file().sync_data().map_err(Error::io(path))?;
    file.persist(path).map_err(|e| Error::io(path)(e.error))?;
    Ok(())
}

/// Whether a name is that of a file which [`write_atomically`] did not come to rename, as where its process was killed.
pub fn is_temporary_name(name: &str) -> bool {
    name.strip_prefix(".tmp").is_some_and(is_random)
}

/// What the names of temporary files and folders end with.
pub(crate) fn is_random(end: &str) -> bool {
    end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The folder that a file is in; `.` where its path names none.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// With the permissions of any new file; temporary files are their owner's alone by default.
pub(crate) fn temporary_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
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
    let sha256 = views.iter().map(|(name, view)| (name.to_string(), tensor_hash(view.dtype(), view.shape(), view.data()))).collect();
    serialize(path, &cpu, Some(HashMap::from([header_entry(path, sha256, text)?])))
}

/// The entry of the header that makes a file check itself: checksums of the tensors by name, and the caller's text.
pub(super) fn header_entry(path: &Path, sha256: BTreeMap<String, String>, text: Option<&str>) -> Result<(String, String)> {
    let text = text.map(|text| Text { sha256: hash(text.as_bytes()), text: text.into() });
    let header = serde_json::to_string(&Header { sha256, text }).map_err(|e| Error::weights(path, e.to_string()))?;
    Ok((HEADER_KEY.to_string(), header))
}

fn serialize(path: &Path, tensors: &BTreeMap<&str, Tensor>, header: Option<HashMap<String, String>>) -> Result<Vec<u8>> {
    safetensors::serialize(tensors.iter(), header).map_err(|e| Error::weights(path, e.to_string()))
}

/// SHA-256 in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// What a pipe gives is gone when it is read once more.
pub(crate) fn refuse_pipe(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => {
            let problem = "is a pipe or a device, which cannot be read twice: write what it gives to a file first, and name that".into();
            Err(Error::File { path: path.into(), problem })
        }
        _ => Ok(()),
    }
}

/// The SHA-256 of a file in hexadecimal, read in pieces; `read` is told how many bytes each has. Who hashes a file reads it once more.
pub fn hash_file(path: &Path, mut read: impl FnMut(u64)) -> Result<String> {
    refuse_pipe(path)?;
    let mut file = File::open(path).map_err(Error::io(path))?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece).map_err(Error::io(path))? {
            0 => return Ok(hex(hash)),
            bytes => {
                hash.update(&piece[..bytes]);
                read(bytes as u64);
            }
        }
    }
}

/// Of type and shape too: the same bytes in another shape are another tensor.
pub(super) fn tensor_hash(dtype: Dtype, shape: &[usize], bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(format!("{dtype:?} {shape:?}\n")).chain_update(bytes))
}

pub(super) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Reads all tensors of a file, and the caller's text where there is one.
///
/// A file of ours is checked tensor by tensor; a foreign file (no checksums) is read as it is. It may be the index of a model in several
/// files, or a checkpoint of PyTorch whose weights are not ambiguous; [`WeightsFile`] reads those with options.
pub fn load(path: &Path, device: &Device) -> Result<(BTreeMap<String, Tensor>, Option<String>)> {
    let file = WeightsFile::open(path, &ReadOptions::default())?;
    let text = file.text().map(String::from);
    Ok((file.read(device, |_| true)?, text))
}

/// What [`load`] does with the bytes of a file; `path` is for messages.
pub(crate) fn decode(path: &Path, bytes: &[u8], device: &Device) -> Result<(BTreeMap<String, Tensor>, Option<String>)> {
    let mut file = Cursor::new(bytes);
    let reader = match Reader::new(path, &mut file, bytes.len() as u64) {
        Ok(reader) => reader,
        Err(problem) => return Err(foreign::describe(&mut file, bytes.len() as u64).map_or(problem, |what| Error::weights(path, what))),
    };
    let text = reader.text().map(String::from);
    Ok((reader.read(device, |_| true)?, text))
}

/// A file whose header was read and checked.
pub(super) struct Reader<R> {
    path: PathBuf,
    file: R,
    metadata: Metadata,
    header: Option<Header>,
}

impl<R: Read + Seek> Reader<R> {
    /// `length` is that of the file in bytes.
    pub fn new(path: &Path, mut file: R, length: u64) -> Result<Self> {
        let metadata = read_header(path, &mut file, length)?;
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
        Ok(Self { path: path.to_path_buf(), file, metadata, header })
    }

    /// Name, type and shape of each tensor, in the order of the file.
    pub fn tensors(&self) -> Vec<(String, Dtype, Vec<usize>)> {
        let names = self.metadata.offset_keys().into_iter();
        names.filter_map(|name| self.metadata.info(&name).map(|info| (name.clone(), info.dtype, info.shape.clone()))).collect()
    }

    /// The caller's text.
    pub fn text(&self) -> Option<&str> {
        self.header.as_ref().and_then(|header| header.text.as_ref()).map(|text| text.text.as_str())
    }

    /// The tensors whose names `wanted` accepts, on all threads; of the others not a byte is read.
    ///
    /// Tensors are read into the memory they stay in, so a large file needs no more than its own size.
    pub fn read(mut self, device: &Device, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Tensor>> {
        let mut contents = Vec::new();
        visit(&mut self.file, &self.metadata, &self.path, wanted, |name, info, content| {
            contents.push((name, info, content));
            Ok(())
        })?;
        let (path, header) = (&self.path, &self.header);
        let checked = contents.into_par_iter().map(|(name, info, content)| {
            check(path, header.as_ref(), &name, info, &content)?;
            let tensor = content.tensor(info.dtype, &info.shape, device);
            let tensor = tensor.map_err(|e| Error::weights(path, format!("tensor `{name}` of {:?}: {e}", info.dtype)))?;
            Ok((name, tensor))
        });
        checked.collect()
    }

    /// Passes the tensors whose names `wanted` accepts to `each`, one after the other, in the order of the file.
    pub fn visit(
        mut self,
        wanted: impl Fn(&str) -> bool,
        mut each: impl FnMut(&[&str], Dtype, &[usize], Content) -> Result<()>,
    ) -> Result<()> {
        let (path, header) = (&self.path, &self.header);
        visit(&mut self.file, &self.metadata, path, wanted, |name, info, content| {
            check(path, header.as_ref(), &name, info, &content)?;
            each(&[&name], info.dtype, &info.shape, content)
        })
    }
}

fn visit<'a>(
    file: &mut (impl Read + Seek),
    metadata: &'a Metadata,
    path: &Path,
    wanted: impl Fn(&str) -> bool,
    mut each: impl FnMut(String, &'a TensorInfo, Content) -> Result<()>,
) -> Result<()> {
    // In the order of the file, which has no gaps: the header was checked for that.
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        let bytes = info.data_offsets.1 - info.data_offsets.0;
        if wanted(&name) {
            let content = Content::read(file, info.dtype, bytes).map_err(Error::io(path))?;
            each(name, info, content)?;
        } else {
            file.seek_relative(bytes as i64).map_err(Error::io(path))?;
        }
    }
    Ok(())
}

/// Compares the checksum of a tensor, where the file has one.
fn check(path: &Path, header: Option<&Header>, name: &str, info: &TensorInfo, content: &Content) -> Result<()> {
    let Some(header) = header else { return Ok(()) };
    match header.sha256.get(name) == Some(&tensor_hash(info.dtype, &info.shape, content.bytes())) {
        true => Ok(()),
        false => Err(Error::weights(path, format!("corrupt: the checksum of tensor `{name}` is wrong"))),
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
