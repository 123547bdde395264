//! The two containers of `torch.save`: a zip archive, and before PyTorch 1.6 five pickles with the numbers behind them.

use super::budget::Budget;
use super::error::{PthError, Result, reading, shown};
use super::input::Input;
use super::pickle;
use super::values::{Heap, Storage, Value};
use crate::weights::content::Content;
use safetensors::Dtype;
use std::collections::HashMap;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use zip::ZipArchive;
use zip::result::ZipError;

/// What the zip crate may take for an entry of an archive.
const ZIP_ENTRY: u64 = 1024;

/// Version of the container before PyTorch 1.6.
const LEGACY_VERSION: i64 = 1001;

/// Where the numbers are.
pub enum Container<R> {
    /// One entry of the archive a storage, in `FOLDER/data/`.
    Zip { archive: ZipArchive<R>, folder: String },
    /// Behind the pickles: the place of each storage.
    Legacy { file: R, places: HashMap<String, u64> },
}

/// A container, and what its pickle describes.
pub struct Opened<R> {
    pub container: Container<R>,
    pub heap: Heap,
    pub value: Value,
}

/// Reads everything of a file of `length` bytes but the numbers.
pub fn open<R: Read + Seek>(mut file: R, length: u64, budget: &mut Budget) -> Result<Opened<R>> {
    let mut start = [0; 4];
    file.read_exact(&mut start).map_err(reading("its first bytes"))?;
    file.rewind()?;
    if start.starts_with(b"PK") { open_zip(file, budget) } else { open_legacy(file, length, budget) }
}

impl From<ZipError> for PthError {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(error) => within_zip(error),
            ZipError::InvalidArchive(problem) => Self::Archive { problem: problem.into() },
            other => Self::Archive { problem: other.to_string() },
        }
    }
}

/// An error of reading an entry: the archive's, unless it is the disk's.
fn within_zip(error: std::io::Error) -> PthError {
    match error.kind() {
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof | ErrorKind::Unsupported | ErrorKind::Other => {
            PthError::Archive { problem: error.to_string() }
        }
        _ => PthError::Io(error),
    }
}

fn open_zip<R: Read + Seek>(file: R, budget: &mut Budget) -> Result<Opened<R>> {
    let mut archive = ZipArchive::new(file)?;
    budget.take(ZIP_ENTRY.saturating_mul(archive.len() as u64))?;
    let folder = pickle_folder(&archive)?;
    if let Some(number) = archive.index_for_name(&format!("{folder}/byteorder")) {
        let mut order = String::new();
        archive.by_index(number)?.take(16).read_to_string(&mut order).map_err(within_zip)?;
        if order.trim() == "big" {
            return Err(PthError::BigEndian);
        }
    }
    let mut heap = Heap::default();
    let entry = archive.by_name(&format!("{folder}/data.pkl"))?;
    let length = entry.size();
    let mut input = Input::new(BufReader::new(entry), length);
    let value = pickle::read(&mut input, &mut heap, budget).map_err(|error| match error {
        PthError::Io(error) => within_zip(error),
        other => other,
    })?;
    input.end().map_err(within_zip)?;
    drop(input);
    Ok(Opened { container: Container::Zip { archive, folder }, heap, value })
}

/// The one folder with a `data.pkl`.
fn pickle_folder<R: Read + Seek>(archive: &ZipArchive<R>) -> Result<String> {
    let mut folder = None;
    for name in archive.file_names() {
        let name = name?;
        let Some((top, rest)) = name.split_once('/') else { continue };
        if rest == "constants.pkl" {
            return Err(PthError::TorchScript);
        }
        if rest == "data.pkl" && folder.replace(top.to_string()).is_some() {
            return Err(PthError::NoPickle);
        }
    }
    folder.ok_or(PthError::NoPickle)
}

fn open_legacy<R: Read + Seek>(mut file: R, length: u64, budget: &mut Budget) -> Result<Opened<R>> {
    let mut heap = Heap::default();
    let mut input = Input::new(BufReader::new(&mut file), length);
    let magic = pickle::read(&mut input, &mut heap, budget).map_err(|error| match error {
        // Some other pickle.
        PthError::Global { .. } => PthError::NotPyTorch,
        other => other,
    })?;
    if magic != Value::Magic {
        return Err(PthError::NotPyTorch);
    }
    match pickle::read(&mut input, &mut heap, budget)? {
        Value::Int(LEGACY_VERSION) => {}
        _ => return Err(PthError::Pickle { at: input.at(), problem: format!("the version of the container is not {LEGACY_VERSION}") }),
    }
    let system = pickle::read(&mut input, &mut heap, budget)?;
    let little = |(key, _): &&(Value, Value)| heap.str(*key) == Some("little_endian");
    match heap.pairs(system).and_then(|pairs| pairs.iter().find(little)) {
        Some((_, Value::Bool(true))) => {}
        Some((_, Value::Bool(false))) => return Err(PthError::BigEndian),
        _ => return Err(PthError::Pickle { at: input.at(), problem: "it does not say how numbers were stored".into() }),
    }
    let value = pickle::read(&mut input, &mut heap, budget)?;
    let keys = pickle::read(&mut input, &mut heap, budget)?;
    let start = input.at();
    drop(input);
    let places = places(&mut file, start, length, &heap, keys)?;
    Ok(Opened { container: Container::Legacy { file, places }, heap, value })
}

/// The storages follow each other, each behind its number of elements.
fn places<R: Read + Seek>(file: &mut R, start: u64, length: u64, heap: &Heap, keys: Value) -> Result<HashMap<String, u64>> {
    let Some(keys) = heap.items(keys) else {
        return Err(PthError::Pickle { at: start, problem: "the list of the storages is missing".into() });
    };
    let storages: HashMap<&str, &Storage> = heap.storages.iter().map(|storage| (storage.key.as_str(), storage)).collect();
    let mut places = HashMap::with_capacity(storages.len());
    let mut at = start;
    for &key in keys {
        let Some(storage) = heap.str(key).and_then(|key| storages.get(key)) else {
            return Err(PthError::Pickle { at: start, problem: "the list of the storages names one that no tensor uses".into() });
        };
        file.seek(SeekFrom::Start(at))?;
        let mut elements = [0; 8];
        file.read_exact(&mut elements).map_err(reading(format!("the numbers `{}`", shown(&storage.key))))?;
        let elements = u64::from_le_bytes(elements);
        if elements != storage.elements {
            return Err(storage.problem(format!("{} are expected, {elements} are there", storage.elements)));
        }
        at += size_of::<u64>() as u64;
        let bytes = storage.bytes()?;
        if bytes > length.saturating_sub(at) {
            return Err(PthError::Truncated { what: format!("the numbers `{}`", shown(&storage.key)) });
        }
        if places.insert(storage.key.clone(), at).is_some() {
            return Err(storage.problem("they are listed twice"));
        }
        at += bytes;
    }
    Ok(places)
}

impl Storage {
    /// How many bytes it has.
    pub fn bytes(&self) -> Result<u64> {
        let bytes = self.elements.checked_mul(element_size(self.dtype));
        bytes.filter(|&bytes| isize::try_from(bytes).is_ok()).ok_or_else(|| self.problem("more than any machine has room for"))
    }

    fn problem(&self, problem: impl Into<String>) -> PthError {
        PthError::Storage { key: shown(&self.key), problem: problem.into() }
    }
}

/// Bytes of a number.
pub fn element_size(dtype: Dtype) -> u64 {
    dtype.bitsize() as u64 / 8
}

impl<R: Read + Seek> Container<R> {
    /// All bytes of a storage, whose size the budget knows.
    pub fn read(&mut self, storage: &Storage) -> Result<Content> {
        let bytes = storage.bytes()?;
        if bytes == 0 {
            return Ok(Content::zeros(storage.dtype, 0));
        }
        match self {
            Self::Zip { archive, folder } => {
                let Some(number) = archive.index_for_name(&format!("{folder}/data/{}", storage.key)) else {
                    return Err(storage.problem("they are not in the archive"));
                };
                let mut entry = archive.by_index(number)?;
                if entry.size() != bytes {
                    return Err(storage.problem(format!("{bytes} bytes are expected, {} are there", entry.size())));
                }
                let content = Content::read(&mut entry, storage.dtype, bytes as usize).map_err(within_zip)?;
                // The end of the entry, where its checksum is compared.
                match entry.read(&mut [0]).map_err(within_zip)? {
                    0 => Ok(content),
                    _ => Err(storage.problem("there are more than the archive says")),
                }
            }
            Self::Legacy { file, places } => {
                let Some(&at) = places.get(&storage.key) else { return Err(storage.problem("they are not in the file")) };
                file.seek(SeekFrom::Start(at))?;
                Content::read(file, storage.dtype, bytes as usize).map_err(reading(format!("the numbers `{}`", shown(&storage.key))))
            }
        }
    }
}
