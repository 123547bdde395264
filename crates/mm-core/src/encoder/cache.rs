//! Features on disk, by the hash of what they were computed from.

use crate::error::{Error, Result};
use crate::weights::temporary_file;
use std::hash::Hasher;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;
use twox_hash::XxHash3_64;

/// Bytes of a cache where nobody says how many.
pub const DEFAULT_CACHE_BYTES: u64 = 4 << 30;

/// The ending of its files; nothing else in the folder is ever touched.
const ENDING: &str = "feature";

/// Other processes may write into the folder, too: it is measured again after this part of the budget was written.
const MEASURED_AGAIN: u64 = 64;

/// Features of frozen encoders in a folder, one file each, named by the hash of the reading, the encoder's settings and its weights.
///
/// Several processes may use one folder: a file appears whole or not at all, and one name always has the same content. A damaged file is
/// computed again. Above the budget nothing is added (of several processes each may go a 64th of it too far); a folder that is found above it when it is opened is brought to half of it, what is
/// oldest first.
#[derive(Debug)]
pub struct FeatureCache {
    folder: PathBuf,
    budget: u64,
    size: Mutex<Size>,
}

#[derive(Debug, Clone, Copy)]
struct Size {
    bytes: u64,
    written: u64,
}

impl FeatureCache {
    /// Opens a folder, which is made if need be, for so many bytes.
    pub fn open(folder: &Path, budget: u64) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let mut files = files(folder)?;
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        if bytes > budget {
            files.sort_by_key(|file| file.time);
            for file in files {
                if bytes <= budget / 2 {
                    break;
                }
                // Another process may have removed it already.
                let _ = std::fs::remove_file(&file.path);
                bytes -= file.bytes;
            }
        }
        Ok(Self { folder: folder.into(), budget, size: Mutex::new(Size { bytes, written: 0 }) })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The feature of this key, if it is there, of `count` numbers.
    pub(super) fn get(&self, key: &[u8; 32], count: usize) -> Option<Vec<f32>> {
        let bytes = std::fs::read(self.path(key)).ok()?;
        let (numbers, sum) = bytes.split_last_chunk::<8>()?;
        let whole = numbers.len() == count * size_of::<f32>() && u64::from_le_bytes(*sum) == checksum(key, numbers);
        whole.then(|| numbers.chunks_exact(4).map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]])).collect())
    }

    /// Keeps the feature of this key, as far as the budget allows.
    pub(super) fn put(&self, key: &[u8; 32], feature: &[f32]) -> Result<()> {
        let bytes = (size_of_val(feature) + size_of::<u64>()) as u64;
        // Held until the file is there: who measures the folder meanwhile would not count it.
        let mut size = self.size.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if size.written > self.budget / MEASURED_AGAIN {
            *size = Size { bytes: files(&self.folder)?.iter().map(|file| file.bytes).sum(), written: 0 };
        }
        if size.bytes + bytes > self.budget {
            return Ok(());
        }
        let mut content: Vec<u8> = feature.iter().flat_map(|x| x.to_le_bytes()).collect();
        content.extend(checksum(key, &content).to_le_bytes());
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        // Not forced to the disk: what a power cut leaves is damaged, and computed again.
        let mut file = temporary_file(folder).map_err(Error::io(folder))?;
        file.write_all(&content).map_err(Error::io(&path))?;
        file.persist(&path).map_err(|e| Error::io(&path)(e.error))?;
        size.bytes += bytes;
        size.written += bytes;
        Ok(())
    }

    /// In one of 256 folders, so that none gets long.
    fn path(&self, key: &[u8; 32]) -> PathBuf {
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(&name[..2]).join(format!("{}.{ENDING}", &name[2..]))
    }
}

/// Of a feature under its key: a file under another name is as wrong as a damaged one.
fn checksum(key: &[u8; 32], numbers: &[u8]) -> u64 {
    let mut hash = XxHash3_64::new();
    hash.write(key);
    hash.write(numbers);
    hash.finish()
}

struct File {
    path: PathBuf,
    bytes: u64,
    time: SystemTime,
}

/// The files of a cache.
fn files(folder: &Path) -> Result<Vec<File>> {
    let mut found = Vec::new();
    for part in std::fs::read_dir(folder).map_err(Error::io(folder))?.flatten() {
        let name = part.file_name();
        let ours = name.to_str().is_some_and(|name| name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Ok(entries) = std::fs::read_dir(part.path()) else { continue };
        for entry in entries.flatten().filter(|_| ours) {
            let path = entry.path();
            // What other processes remove meanwhile does not count.
            if let (true, Ok(metadata)) = (path.extension().is_some_and(|e| e == ENDING), entry.metadata()) {
                found.push(File { path, bytes: metadata.len(), time: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH) });
            }
        }
    }
    Ok(found)
}
