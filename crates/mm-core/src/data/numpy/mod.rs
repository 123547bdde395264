//! Arrays as NumPy saves them: `.npy` files, and entries of `.npz` archives (compressed or not).
//!
//! Read are floating point numbers of 16, 32 and 64 bits, whole numbers of 8 to 64 bits with and without sign, and booleans (0 and 1), of
//! either byte order, in C or in Fortran order. Python objects are refused: they hold code. So are complex numbers, texts and records.
//!
//! What is read takes at most 8 bytes for each byte of numbers, and twice that while Fortran order is turned. An entry of an archive may be at most 100 times as large as the archive, or
//! [`SMALL`] bytes if that is more.
//!
//! Our own reader, because candle's knows neither Fortran order nor whole numbers of 8 bits nor compressed archives, and `npyz` brings C
//! libraries with it.

mod error;
mod header;
mod npz;
mod rows;

pub use error::NumpyError;
pub use npz::SMALL;
pub use rows::{part, row, shape};

use super::{Array, Values};
use header::{Header, Number};

/// How a `.npy` file begins.
const NPY: &[u8] = b"\x93NUMPY";
/// How a `.npz` archive begins.
const NPZ: &[u8] = b"PK";

/// Whether a file is one of NumPy, by how it begins.
pub fn is_numpy(bytes: &[u8]) -> bool {
    bytes.starts_with(NPY) || bytes.starts_with(NPZ)
}

/// Reads an array, row-major: that of a `.npy` file, or an entry of a `.npz` archive, which need not be named where it is the only one.
///
/// ```
/// let header = "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 2), }";
/// let mut file = [b"\x93NUMPY\x01\x00", &[header.len() as u8, 0][..], header.as_bytes()].concat();
/// file.extend([1i16, 2, 3, 4].iter().flat_map(|x| x.to_le_bytes()));
/// let array = mm_core::data::numpy::read(&file, None)?;
/// assert_eq!((array.shape, array.values.into_f32()), (vec![2, 2], vec![1.0, 3.0, 2.0, 4.0]));
/// # Ok::<(), mm_core::data::numpy::NumpyError>(())
/// ```
pub fn read(bytes: &[u8], entry: Option<&str>) -> Result<Array, NumpyError> {
    match entry {
        _ if bytes.starts_with(NPZ) => npy(&npz::entry(bytes, entry)?),
        Some(entry) if bytes.starts_with(NPY) => Err(NumpyError::NoArchive { entry: entry.into() }),
        _ => npy(bytes),
    }
}

/// The entries of a `.npz` archive, by name.
pub fn entries(bytes: &[u8]) -> Result<Vec<String>, NumpyError> {
    npz::names(bytes)
}

fn npy(bytes: &[u8]) -> Result<Array, NumpyError> {
    let (Header { number, big_endian, fortran, shape }, numbers) = header::split(bytes)?;
    let expected = shape.iter().try_fold(number.size(), |size, &side| size.checked_mul(side));
    if expected != Some(numbers.len()) {
        return Err(NumpyError::Size { shape, size: number.size(), found: numbers.len() });
    }
    let values = values(numbers, number, big_endian);
    let values = match values {
        Values::F32(values) if fortran => Values::F32(row_major(&values, &shape)),
        Values::F64(values) if fortran => Values::F64(row_major(&values, &shape)),
        values => values,
    };
    Ok(Array { shape, values, length: None })
}

/// Exact, but for whole numbers of 64 bits above 2^53, which are rounded.
fn values(bytes: &[u8], number: Number, big_endian: bool) -> Values {
    macro_rules! numbers {
        ($number:ty, $variant:ident, $convert:expr) => {{
            const SIZE: usize = size_of::<$number>();
            let convert = $convert;
            let read =
                |bytes: &[u8; SIZE]| convert(if big_endian { <$number>::from_be_bytes(*bytes) } else { <$number>::from_le_bytes(*bytes) });
            Values::$variant(bytes.as_chunks::<SIZE>().0.iter().map(read).collect())
        }};
    }
    match number {
        Number::Bool => Values::F32(bytes.iter().map(|&x| f32::from(u8::from(x != 0))).collect()),
        Number::I8 => numbers!(i8, F32, f32::from),
        Number::U8 => numbers!(u8, F32, f32::from),
        Number::I16 => numbers!(i16, F32, f32::from),
        Number::U16 => numbers!(u16, F32, f32::from),
        Number::I32 => numbers!(i32, F64, f64::from),
        Number::U32 => numbers!(u32, F64, f64::from),
        Number::I64 => numbers!(i64, F64, |x| x as f64),
        Number::U64 => numbers!(u64, F64, |x| x as f64),
        Number::F16 => numbers!(u16, F32, |bits| half::f16::from_bits(bits).to_f32()),
        Number::F32 => numbers!(f32, F32, |x| x),
        Number::F64 => numbers!(f64, F64, |x| x),
    }
}

/// From the first index that runs fastest to the last that does.
fn row_major<T: Copy + Default>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut sorted = vec![T::default(); values.len()];
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let (mut index, mut place) = (vec![0; shape.len()], 0);
    for &value in values {
        sorted[place] = value;
        for axis in 0..shape.len() {
            (index[axis], place) = (index[axis] + 1, place + strides[axis]);
            if index[axis] < shape[axis] {
                break;
            }
            (index[axis], place) = (0, place - strides[axis] * shape[axis]);
        }
    }
    sorted
}
