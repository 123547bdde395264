//! MATLAB files of version 5: numbers, texts and cells of them. Structures are passed over. Memory is bounded whatever the file claims.

use super::error::{Error, Result};
use flate2::read::ZlibDecoder;
use std::io::Read;
use std::path::Path;

/// Bytes of a file, and of what is unpacked from it.
const LARGEST: u64 = 1 << 26;
/// Cells in cells.
const DEEPEST: usize = 8;

// Types of elements, and classes of matrices, by their numbers in the format.
const COMPRESSED: u32 = 15;
const MATRIX: u32 = 14;
const CELL: u8 = 1;
const CHAR: u8 = 4;

/// What a variable holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Numbers, column by column.
    Numbers(Vec<f64>),
    /// A text.
    Text(String),
    /// Several of them.
    Cells(Vec<Value>),
    /// Something that is not read.
    Other,
}

/// All variables, by their names.
pub(super) fn read(path: &Path) -> Result<Vec<(String, Value)>> {
    let size = std::fs::metadata(path).map_err(Error::io(path))?.len();
    if size > LARGEST {
        return Err(Error::content(path, format!("has {size} bytes; a MATLAB file of at most {LARGEST} is expected")));
    }
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    parse(&bytes).map_err(|problem| Error::content(path, problem))
}

/// The variable of a name.
pub(super) fn variable(path: &Path, variables: Vec<(String, Value)>, name: &str) -> Result<Value> {
    let known: Vec<String> = variables.iter().map(|(name, _)| name.clone()).collect();
    let found = variables.into_iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value).ok_or_else(|| Error::content(path, format!("has no variable `{name}`, only {}", known.join(", "))))
}

fn parse(bytes: &[u8]) -> std::result::Result<Vec<(String, Value)>, String> {
    if bytes.starts_with(b"MATLAB 7.3") || bytes.starts_with(b"\x89HDF") {
        return Err("is a MATLAB file of version 7.3, and one of version 5 is expected".into());
    }
    if !bytes.starts_with(b"MATLAB 5.0") || bytes.len() < 128 {
        return Err("is no MATLAB file of version 5".into());
    }
    if &bytes[126..128] != b"IM" {
        return Err("is a MATLAB file of big endian numbers, which are not read".into());
    }
    let (mut rest, mut variables, mut budget) = (&bytes[128..], Vec::new(), LARGEST);
    while !rest.is_empty() {
        let (kind, content, after) = element(rest)?;
        rest = after;
        match kind {
            COMPRESSED => {
                let mut unpacked = Vec::new();
                let mut reader = ZlibDecoder::new(content).take(budget + 1);
                reader.read_to_end(&mut unpacked).map_err(|error| format!("is a damaged MATLAB file: {error}"))?;
                budget = budget.checked_sub(unpacked.len() as u64).ok_or(format!("unpacks to more than {LARGEST} bytes"))?;
                if let (MATRIX, content, _) = element(&unpacked)? {
                    variables.push(matrix(content, 0)?);
                }
            }
            MATRIX => variables.push(matrix(content, 0)?),
            _ => {}
        }
    }
    Ok(variables)
}

type Element<'b> = (u32, &'b [u8], &'b [u8]);

/// Type and content of the first element, and what comes after it.
fn element(bytes: &[u8]) -> std::result::Result<Element<'_>, String> {
    let short = || "is a MATLAB file that ends too early".to_string();
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let first = word(0).ok_or_else(short)?;
    // Up to four bytes stand in the place of the length.
    if first >> 16 > 0 {
        let length = ((first >> 16) as usize).min(4);
        let content = bytes.get(4..4 + length).ok_or_else(short)?;
        return Ok((first & 0xffff, content, bytes.get(8..).unwrap_or_default()));
    }
    let length = word(4).ok_or_else(short)? as usize;
    let content = bytes.get(8..8usize.saturating_add(length)).ok_or_else(short)?;
    let end = if first == COMPRESSED { 8 + length } else { 8 + length.next_multiple_of(8) };
    Ok((first, content, bytes.get(end..).unwrap_or_default()))
}

/// Name and value of a matrix.
fn matrix(bytes: &[u8], depth: usize) -> std::result::Result<(String, Value), String> {
    if depth > DEEPEST {
        return Err(format!("is a MATLAB file with cells in cells, deeper than {DEEPEST}"));
    }
    // An empty cell has no content at all.
    if bytes.is_empty() {
        return Ok((String::new(), Value::Other));
    }
    let (_, flags, rest) = element(bytes)?;
    let (_, _dimensions, rest) = element(rest)?;
    let (_, name, mut rest) = element(rest)?;
    let name = String::from_utf8_lossy(name).into_owned();
    let class = flags.first().copied().unwrap_or_default();
    let value = match class {
        CELL => {
            let mut cells = Vec::new();
            while !rest.is_empty() {
                let (_, content, after) = element(rest)?;
                cells.push(matrix(content, depth + 1)?.1);
                rest = after;
            }
            Value::Cells(cells)
        }
        CHAR => {
            let (kind, content, _) = element(rest)?;
            Value::Text(text(kind, content))
        }
        6..=15 => {
            let (kind, content, _) = element(rest)?;
            numbers(kind, content).map_or(Value::Other, Value::Numbers)
        }
        _ => Value::Other,
    };
    Ok((name, value))
}

/// Characters: in UTF-16 (types 4 and 17) or UTF-8.
fn text(kind: u32, content: &[u8]) -> String {
    match kind {
        4 | 17 => {
            let units: Vec<u16> = content.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)).collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::from_utf8_lossy(content).into_owned(),
    }
}

fn numbers(kind: u32, content: &[u8]) -> Option<Vec<f64>> {
    let chunks2 = || content.as_chunks::<2>().0.iter().copied();
    let chunks4 = || content.as_chunks::<4>().0.iter().copied();
    let chunks8 = || content.as_chunks::<8>().0.iter().copied();
    Some(match kind {
        1 => content.iter().map(|&x| f64::from(x as i8)).collect(),
        2 => content.iter().map(|&x| f64::from(x)).collect(),
        3 => chunks2().map(|x| f64::from(i16::from_le_bytes(x))).collect(),
        4 => chunks2().map(|x| f64::from(u16::from_le_bytes(x))).collect(),
        5 => chunks4().map(|x| f64::from(i32::from_le_bytes(x))).collect(),
        6 => chunks4().map(|x| f64::from(u32::from_le_bytes(x))).collect(),
        7 => chunks4().map(|x| f64::from(f32::from_le_bytes(x))).collect(),
        9 => chunks8().map(f64::from_le_bytes).collect(),
        _ => return None,
    })
}
