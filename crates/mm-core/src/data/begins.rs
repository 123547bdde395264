//! What a file is, by how it begins: for messages on files that are not what their place says.

/// Signatures at the start of files, and what has them.
const BEGINNINGS: [(&[u8], &str); 27] = [
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"fLaC", "a FLAC sound"),
    (b"OggS", "an Ogg file"),
    (b"ID3", "an MP3 sound"),
    (b"\xff\xfb", "an MP3 sound"),
    (b"caff", "a CAF sound"),
    (b"RF64", "an RF64 sound (a WAV file for more than 4 GB)"),
    (b"BW64", "a BW64 sound (a WAV file for more than 4 GB)"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive (an .npz or .xlsx is one, too)"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PAR1", "a Parquet table"),
    (b"SQLite format 3", "an SQLite database"),
    (b"version https://git-lfs", "a pointer of Git LFS and not the file itself; fetch it with `git lfs pull`"),
    (b"<!DOCTYPE", "a web page, perhaps of a download that asked for a login"),
    (b"<html", "a web page, perhaps of a download that asked for a login"),
    (b"<svg", "an SVG drawing"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM film"),
];

/// What a file is, as the end of a sentence that begins with `it is`; from its first bytes, 64 or all of them.
pub(super) fn begins_as(bytes: &[u8]) -> Option<&'static str> {
    let begins = |start: &[u8]| bytes.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    let inside = |at: usize, mark: &[u8]| bytes.get(at..at + mark.len()) == Some(mark);
    match () {
        _ if bytes.is_empty() => Some("empty (0 bytes)"),
        _ if begins(b"RIFF") && inside(8, b"WAVE") => Some("a WAV sound"),
        _ if begins(b"RIFF") && inside(8, b"WEBP") => Some("a WebP image"),
        _ if begins(b"RIFF") && inside(8, b"AVI ") => Some("an AVI film"),
        // Sony's Wave64 has names of 16 bytes, of which the first four are those of a WAV file.
        _ if begins(b"riff") && inside(24, b"wave") => Some("a W64 sound"),
        _ if begins(b"FORM") && (inside(8, b"AIFF") || inside(8, b"AIFC")) => Some("an AIFF sound"),
        _ if inside(4, b"ftyphei") || inside(4, b"ftypmif1") => Some("a HEIC image"),
        _ if inside(4, b"ftypavif") => Some("an AVIF image"),
        _ if inside(4, b"ftyp") => Some("an MP4 film or sound"),
        _ if bytes.iter().all(|byte| *byte == 0) => Some("nothing but zeros at its beginning: perhaps a download that was cut off"),
        _ => match BEGINNINGS.iter().find(|(start, _)| begins(start)) {
            Some((_, what)) => Some(what),
            None => is_text(bytes).then_some("a text"),
        },
    }
}

/// Letters, digits and signs only; the last character may be cut off.
fn is_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(64)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
        Err(_) => return false,
    };
    !valid.is_empty() && valid.chars().all(|c| !c.is_control() || c.is_whitespace())
}
