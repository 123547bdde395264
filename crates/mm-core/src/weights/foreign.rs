//! Files that are taken for safetensors and are something else: what they are, and what to do about it.

use std::io::{Read, Seek, SeekFrom};

/// Bytes looked at, of the beginning and of the end.
const LOOKED_AT: u64 = 1 << 20;

/// How a PyTorch checkpoint becomes a safetensors file.
const CONVERT: &str = "only safetensors files are read; convert it in Python: `import torch; from safetensors.torch import save_file; \
    save_file({k: v.contiguous() for k, v in torch.load(\"FILE\", map_location=\"cpu\", weights_only=True).items()}, \
    \"model.safetensors\")`, with `[\"state_dict\"]` before `.items()` if the weights are that entry";

const EXPORT: &str = "only safetensors files are read; save the weights as one with the library that wrote it";

/// Formats by their first bytes.
const BEGINNINGS: [(&[u8], &str, &str); 9] = [
    (b"\x1f\x8b", "compressed with gzip", "unpack it first, with `gunzip`"),
    (b"\xfd7zXZ\0", "compressed with xz", "unpack it first, with `unxz`"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first, with `unzstd`"),
    (b"BZh", "compressed with bzip2", "unpack it first, with `bunzip2`"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"\x89HDF\r\n", "an HDF5 file, as Keras writes it", EXPORT),
    (b"GGUF", "a GGUF file", EXPORT),
    (b"\x93NUMPY", "a NumPy array", EXPORT),
    (b"\x80", "a PyTorch checkpoint (.pth, a pickle)", CONVERT),
];

/// What a file of `length` bytes is that is no safetensors file, and what to do; `None` where that cannot be told.
pub(super) fn describe(file: &mut (impl Read + Seek), length: u64) -> Option<String> {
    let mut part = |from: u64| -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from)).ok()?;
        file.by_ref().take(LOOKED_AT).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    let start = part(0)?;
    if start.is_empty() {
        return Some("the file is empty; fetch it again".into());
    }
    if start.starts_with(b"PK") {
        return Some(archive(&start, &part(length.saturating_sub(LOOKED_AT))?));
    }
    // A pickle begins with its protocol: 2 to 5.
    let pickle = |beginning: &[u8]| beginning != b"\x80" || matches!(start.get(1), Some(2..=5));
    if let Some((_, what, advice)) = BEGINNINGS.iter().find(|(bytes, ..)| start.starts_with(bytes) && pickle(bytes)) {
        return Some(format!("this is {what}; {advice}"));
    }
    let valid = start.utf8_chunks().next()?.valid();
    text(valid, valid.len() as u64 == length)
}

/// What a zip archive holds, by the name of its first entry or any in the list at its end.
fn archive(start: &[u8], end: &[u8]) -> String {
    let has = |name: &[u8]| [start, end].iter().any(|part| part.windows(name.len()).any(|window| window == name));
    match () {
        () if has(b"data.pkl") => format!("this is a PyTorch checkpoint (.pth, a zip archive with a pickle); {CONVERT}"),
        () if has(b".npy") => format!("this is an archive of NumPy arrays (.npz); {EXPORT}"),
        () => "this is a zip archive; unpack it first".into(),
    }
}

/// What a text is; `whole` if it is all of the file.
fn text(text: &str, whole: bool) -> Option<String> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with("version https://git-lfs.github.com") {
        return Some(
            "this is a pointer of git LFS, not the file itself; run `git lfs pull` in its repository, or download the file".into(),
        );
    }
    if text.starts_with('<') {
        let advice = "fetch the file itself: at the Hub its address has `/resolve/`, not `/blob/`, and some files ask for a login";
        let lower = text.chars().take(1024).collect::<String>().to_ascii_lowercase();
        let what = if lower.contains("<html") || lower.contains("<!doctype html") { "an HTML page" } else { "an XML text" };
        return Some(format!("this is {what}, such as a server sends instead of a file; {advice}"));
    }
    if text.starts_with('{') {
        return Some(json(text));
    }
    let short = whole && text.len() < 4096 && !text.is_empty() && !text.chars().any(|c| c.is_control() && !c.is_whitespace());
    let line = || text.lines().next().unwrap_or_default().chars().take(80).collect::<String>();
    short.then(|| format!("this is a text that begins with `{}`; fetch the file again", line()))
}

fn json(text: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let Ok(Index { weight_map }) = serde_json::from_str(text) else {
        return "this is a JSON text, such as a configuration; name the file with the weights".into();
    };
    let parts: std::collections::BTreeSet<String> = weight_map.into_values().collect();
    let shown: Vec<&str> = parts.iter().take(3).map(String::as_str).collect();
    let more = if parts.len() > shown.len() { ", ..." } else { "" };
    format!(
        "this is the index of a model in {} files; import these one after the other: {}{more} (what one leaves `missing`, another has)",
        parts.len(),
        shown.join(", ")
    )
}
