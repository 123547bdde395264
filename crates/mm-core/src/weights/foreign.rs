//! Files that are no safetensors files: what they are, and what to do about those that are not read.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

/// Bytes that an index may have.
const LONGEST_INDEX: u64 = 100_000_000;

/// Bytes looked at, of the beginning and of the end.
const LOOKED_AT: u64 = 1 << 20;

const EXPORT: &str = "only safetensors files and checkpoints of PyTorch are read; save the weights as one with the library that wrote it";

/// Formats by their first bytes.
const BEGINNINGS: [(&[u8], &str, &str); 8] = [
    (b"\x1f\x8b", "compressed with gzip", "unpack it first, with `gunzip`"),
    (b"\xfd7zXZ\0", "compressed with xz", "unpack it first, with `unxz`"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first, with `unzstd`"),
    (b"BZh", "compressed with bzip2", "unpack it first, with `bunzip2`"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"\x89HDF\r\n", "an HDF5 file, as Keras writes it", EXPORT),
    (b"GGUF", "a GGUF file", EXPORT),
    (b"\x93NUMPY", "a NumPy array", EXPORT),
];

/// Where the archive of POSIX's `tar` says what it is.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// What a file is that is no safetensors file.
pub(super) enum Foreign {
    /// A checkpoint of PyTorch, or some other pickle.
    Pth,
    /// The index of a model in several files: the file of each tensor.
    Index(BTreeMap<String, String>),
    /// Something that is not read: what it is, and what to do.
    Other(String),
}

/// What a file of `length` bytes is that is meant to be a safetensors file, and what to do; `None` where that cannot be told.
pub(super) fn describe(file: &mut (impl Read + Seek), length: u64) -> Option<String> {
    Some(match look(file, length)? {
        Foreign::Pth => "this is a PyTorch checkpoint, and a safetensors file is meant; `mm weights convert` makes one".into(),
        Foreign::Index(_) => "this is the index of a model in several files, and one safetensors file is meant".into(),
        Foreign::Other(what) => what,
    })
}

/// What a file of `length` bytes is that is no safetensors file; `None` where that cannot be told.
pub(super) fn look(file: &mut (impl Read + Seek), length: u64) -> Option<Foreign> {
    let mut part = |from: u64| -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from)).ok()?;
        file.by_ref().take(LOOKED_AT).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    let start = part(0)?;
    if start.is_empty() {
        return Some(Foreign::Other("the file is empty; fetch it again".into()));
    }
    if start.starts_with(b"PK") {
        return Some(archive(&start, &part(length.saturating_sub(LOOKED_AT))?));
    }
    // A pickle begins with its protocol.
    if matches!(start[..], [0x80, 2..=5, ..]) {
        return Some(Foreign::Pth);
    }
    if start.get(TAR.0..).is_some_and(|rest| rest.starts_with(TAR.1)) {
        let advice = "unpack it first; of PyTorch before 0.2, load it there and save it again";
        return Some(Foreign::Other(format!("this is a tar archive; {advice}")));
    }
    if let Some((_, what, advice)) = BEGINNINGS.iter().find(|(bytes, ..)| start.starts_with(bytes)) {
        return Some(Foreign::Other(format!("this is {what}; {advice}")));
    }
    let valid = start.utf8_chunks().next()?.valid();
    if valid.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        return Some(json(file));
    }
    text(valid, valid.len() as u64 == length).map(Foreign::Other)
}

/// What a zip archive holds, by the name of its first entry or any in the list at its end.
fn archive(start: &[u8], end: &[u8]) -> Foreign {
    let has = |name: &[u8]| [start, end].iter().any(|part| part.windows(name.len()).any(|window| window == name));
    match () {
        () if has(b"data.pkl") => Foreign::Pth,
        () if has(b".npy") => Foreign::Other(format!("this is an archive of NumPy arrays (.npz); {EXPORT}")),
        () => Foreign::Other("this is a zip archive; unpack it first".into()),
    }
}

/// What to say of the pointer that git LFS leaves in place of a large file; `None` of anything else.
pub(crate) fn lfs_pointer(bytes: &[u8]) -> Option<&'static str> {
    let advice = "is a pointer of git LFS, not the file itself; run `git lfs pull` in its repository, or download the file";
    bytes.starts_with(b"version https://git-lfs.github.com").then_some(advice)
}

/// What a text is; `whole` if it is all of the file.
fn text(text: &str, whole: bool) -> Option<String> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if let Some(pointer) = lfs_pointer(text.as_bytes()) {
        return Some(format!("this {pointer}"));
    }
    if text.starts_with('<') {
        let advice = "fetch the file itself: at the Hub its address has `/resolve/`, not `/blob/`, and some files ask for a login";
        let lower = text.chars().take(1024).collect::<String>().to_ascii_lowercase();
        let what = if lower.contains("<html") || lower.contains("<!doctype html") { "an HTML page" } else { "an XML text" };
        return Some(format!("this is {what}, such as a server sends instead of a file; {advice}"));
    }
    let short = whole && text.len() < 4096 && !text.is_empty() && !text.chars().any(|c| c.is_control() && !c.is_whitespace());
    let line = || text.lines().next().unwrap_or_default().chars().take(80).collect::<String>();
    short.then(|| format!("this is a text that begins with `{}`; fetch the file again", line()))
}

fn json(file: &mut (impl Read + Seek)) -> Foreign {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let mut text = Vec::new();
    let read = file.rewind().and_then(|()| file.take(LONGEST_INDEX).read_to_end(&mut text));
    match read.map(|_| serde_json::from_slice::<Index>(&text)) {
        Ok(Ok(Index { weight_map })) => Foreign::Index(weight_map),
        _ => Foreign::Other("this is a JSON text, such as a configuration; name the file with the weights".into()),
    }
}
