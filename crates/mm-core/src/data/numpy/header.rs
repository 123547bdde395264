//! The header of a `.npy` file: a Python dictionary as text, of which only one form is valid.

use super::{NPY, NumpyError};

/// What the numbers are, and how they lie.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    pub number: Number,
    pub big_endian: bool,
    /// The first index runs fastest.
    pub fortran: bool,
    pub shape: Vec<usize>,
}

/// The type of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F16,
    F32,
    F64,
}

impl Number {
    /// In bytes.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }
}

/// The header of a file, and the bytes behind it.
pub(super) fn split(bytes: &[u8]) -> Result<(Header, &[u8]), NumpyError> {
    let rest = bytes.strip_prefix(NPY).ok_or(NumpyError::Format)?;
    let (version, rest) = rest.split_at_checked(2).ok_or(NumpyError::Cut)?;
    let (length, rest) = match version[0] {
        1 => rest.split_first_chunk().map(|(length, rest)| (u16::from_le_bytes(*length).into(), rest)).ok_or(NumpyError::Cut)?,
        2 | 3 => rest.split_first_chunk().map(|(length, rest)| (u32::from_le_bytes(*length) as usize, rest)).ok_or(NumpyError::Cut)?,
        other => return Err(NumpyError::Version(other)),
    };
    let (header, numbers) = rest.split_at_checked(length).ok_or(NumpyError::Cut)?;
    let text = std::str::from_utf8(header).map_err(|_| NumpyError::Header("it is no text".into()))?;
    Ok((parse(text)?, numbers))
}

fn parse(text: &str) -> Result<Header, NumpyError> {
    let damaged = |what: &str| NumpyError::Header(format!("{what}, in `{}`", text.trim_end().chars().take(200).collect::<String>()));
    let mut text_left = Text(text);
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    if !text_left.eat("{") {
        return Err(damaged("it is no dictionary"));
    }
    while !text_left.eat("}") {
        let key = text_left.quoted().ok_or_else(|| damaged("a key is missing"))?;
        if !text_left.eat(":") {
            return Err(damaged("a `:` is missing"));
        }
        let again = match key {
            "descr" if text_left.0.trim_start().starts_with(['[', '(']) => {
                return Err(NumpyError::Type { dtype: "a list".into(), what: "records with named fields" });
            }
            "descr" => descr.replace(text_left.quoted().ok_or_else(|| damaged("`descr` is no type"))?).is_some(),
            "fortran_order" => {
                let value = text_left.bool().ok_or_else(|| damaged("`fortran_order` is neither True nor False"))?;
                fortran.replace(value).is_some()
            }
            "shape" => shape.replace(text_left.sides().ok_or_else(|| damaged("`shape` is no tuple of whole numbers"))?).is_some(),
            other => return Err(damaged(&format!("it has a key `{other}`"))),
        };
        if again {
            return Err(damaged(&format!("it has `{key}` twice")));
        }
        if !text_left.eat(",") && !text_left.0.trim_start().starts_with('}') {
            return Err(damaged("a `,` is missing"));
        }
    }
    if !text_left.0.trim().is_empty() {
        return Err(damaged("something stands behind the dictionary"));
    }
    let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else {
        return Err(damaged("it lacks `descr`, `fortran_order` or `shape`"));
    };
    let (number, big_endian) = number(descr)?;
    Ok(Header { number, big_endian, fortran, shape })
}

/// The type of the numbers, and whether the first byte is the highest.
fn number(descr: &str) -> Result<(Number, bool), NumpyError> {
    let refused = |what| NumpyError::Type { dtype: descr.into(), what };
    let name = descr.trim_start_matches(['<', '>', '|', '=']);
    // Without a mark, and with `=`, it is the order of the machine that wrote it, which nobody knows: take that of all of today's.
    let big_endian = descr.starts_with('>');
    let number = match name {
        "b1" | "?" => Number::Bool,
        "i1" => Number::I8,
        "u1" => Number::U8,
        "i2" => Number::I16,
        "u2" => Number::U16,
        "i4" => Number::I32,
        "u4" => Number::U32,
        "i8" => Number::I64,
        "u8" => Number::U64,
        "f2" => Number::F16,
        "f4" => Number::F32,
        "f8" => Number::F64,
        _ => {
            return Err(refused(match name.as_bytes().first() {
                Some(b'O') => "Python objects, which are not read because they hold code",
                Some(b'c') => "complex numbers",
                Some(b'S' | b'U' | b'a') => "texts",
                Some(b'M' | b'm') => "times",
                Some(b'V') => "records",
                _ => "numbers of a type that is not read",
            }));
        }
    };
    Ok((number, big_endian))
}

/// What is left of the header.
struct Text<'t>(&'t str);

impl<'t> Text<'t> {
    fn eat(&mut self, what: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(what);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn quoted(&mut self) -> Option<&'t str> {
        let rest = self.0.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (text, rest) = rest[1..].split_once(quote)?;
        self.0 = rest;
        Some(text)
    }

    fn bool(&mut self) -> Option<bool> {
        if self.eat("True") { Some(true) } else { self.eat("False").then_some(false) }
    }

    /// A tuple of numbers; those of Python 2 may end in `L`.
    fn sides(&mut self) -> Option<Vec<usize>> {
        let (inside, rest) = self.0.trim_start().strip_prefix('(')?.split_once(')')?;
        self.0 = rest;
        let inside = inside.trim();
        if inside.is_empty() {
            return Some(Vec::new());
        }
        let sides = inside.strip_suffix(',').unwrap_or(inside).split(',').map(str::trim);
        // NumPy has at most 64.
        let sides: Option<Vec<usize>> = sides.map(|side| side.strip_suffix('L').unwrap_or(side).parse().ok()).collect();
        sides.filter(|sides| sides.len() <= 64)
    }
}
