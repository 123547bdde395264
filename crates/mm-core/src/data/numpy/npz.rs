//! Archives of arrays: a zip file with an entry `name.npy` an array.

use super::NumpyError;
use crate::data::unpacking::most_bytes;
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// Bytes that an entry may have in any case, however small the archive is: 16 MiB.
pub const SMALL: u64 = 16 << 20;
/// Where an archive is larger, how many times as large an entry may be. Deflate could do a thousand times.
const MOST_TIMES: u64 = 100;

impl From<zip::result::ZipError> for NumpyError {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Archive(error.to_string())
    }
}

fn open(bytes: &[u8]) -> Result<ZipArchive<Cursor<&[u8]>>, NumpyError> {
    Ok(ZipArchive::new(Cursor::new(bytes))?)
}

fn entries_of(archive: &ZipArchive<Cursor<&[u8]>>) -> Result<Vec<String>, NumpyError> {
    let names = archive.file_names().map(|name| Ok(name?.to_string())).collect::<Result<Vec<_>, zip::result::ZipError>>()?;
    let mut names: Vec<String> = names.into_iter().filter_map(|name| Some(name.strip_suffix(".npy")?.to_string())).collect();
    names.sort_unstable();
    Ok(names)
}

/// The names of the entries, sorted, without their ending.
pub(super) fn names(bytes: &[u8]) -> Result<Vec<String>, NumpyError> {
    entries_of(&open(bytes)?)
}

/// The bytes of an entry, as a `.npy` file.
pub(super) fn entry(bytes: &[u8], name: Option<&str>) -> Result<Vec<u8>, NumpyError> {
    let mut archive = open(bytes)?;
    let found = entries_of(&archive)?;
    let name = match (name, &found[..]) {
        (Some(name), _) => name.strip_suffix(".npy").unwrap_or(name),
        (None, [only]) => only,
        (None, _) => return Err(NumpyError::WhichEntry { found }),
    };
    if !found.iter().any(|known| known == name) {
        return Err(NumpyError::NoEntry { entry: name.into(), found });
    }
    let mut entry = archive.by_name(&format!("{name}.npy"))?;
    let (size, most) = (entry.size(), most_bytes(SMALL.max(MOST_TIMES.saturating_mul(bytes.len() as u64))));
    if size > most {
        return Err(NumpyError::TooLarge { size, most });
    }
    let mut unpacked = Vec::with_capacity(size as usize);
    let damaged = |error: std::io::Error| NumpyError::Archive(error.to_string());
    // What is larger than it claims is cut, and its checksum or its header then say so.
    entry.by_ref().take(size).read_to_end(&mut unpacked).map_err(damaged)?;
    match entry.read(&mut [0]).map_err(damaged)? {
        0 => Ok(unpacked),
        _ => Err(NumpyError::Archive(format!("its entry `{name}` is larger than it says"))),
    }
}
