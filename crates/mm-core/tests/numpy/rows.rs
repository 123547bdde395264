//! Single entries of the first axis, where they lie.

use super::npy;
use mm_core::Error;
use mm_core::data::kinds::{Kind, Numpy, Origin, Raw};
use mm_core::data::numpy::{NumpyError, row, shape};
use std::io::Cursor;
use std::path::Path;

/// `np.arange(12, dtype=np.int16).reshape(3, 2, 2)`.
fn stack() -> Vec<u8> {
    npy("<i2", false, "(3, 2, 2)", &(0..12).flat_map(i16::to_le_bytes).collect::<Vec<_>>())
}

fn refused(bytes: &[u8], index: u64) -> NumpyError {
    match row(&mut Cursor::new(bytes), index, Path::new("x.npy")) {
        Err(Error::Numpy { path, problem }) if path == Path::new("x.npy") => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_entry_has_the_shape_and_the_numbers_of_its_place() {
    assert_eq!(shape(&mut Cursor::new(stack()), Path::new("x.npy")).unwrap(), [3, 2, 2]);
    let read = |index| row(&mut Cursor::new(stack()), index, Path::new("x.npy")).unwrap();
    assert_eq!((read(0).shape, read(2).shape), (vec![2, 2], vec![2, 2]));
    assert_eq!((read(0).values.to_f64(), read(2).values.to_f64()), (vec![0.0, 1.0, 2.0, 3.0], vec![8.0, 9.0, 10.0, 11.0]));
}

#[test]
fn what_is_not_there_is_refused() {
    assert_eq!(refused(&stack(), 3), NumpyError::Row { row: 3, shape: vec![3, 2, 2] });
    assert_eq!(refused(&npy("<i2", false, "()", &[1, 0]), 0), NumpyError::Row { row: 0, shape: vec![] });
    assert_eq!(refused(&npy("<i2", true, "(3, 2)", &[0; 12]), 0), NumpyError::Scattered { shape: vec![3, 2] });
    let cut = stack().len() - 3;
    assert_eq!(refused(&stack()[..cut], 2), NumpyError::Size { shape: vec![3, 2, 2], size: 2, found: 21 });
    let huge = npy("<f8", false, "(9, 9223372036854775807)", &[]);
    assert!(matches!(refused(&huge, 1), NumpyError::Size { .. }));
    assert_eq!(refused(b"PK\x03\x04 an archive", 0), NumpyError::Format);
}

#[test]
fn a_manifest_may_name_an_entry() {
    let kind = Numpy::new([1, 4]).unwrap();
    let at = |start, end| kind.raw(&Origin::Memory { name: "x.npy".into(), bytes: stack().into(), part: Some(start..end) });
    let Raw::Array(array) = at(1, 2).unwrap() else { panic!("an entry is an array") };
    // Any shape of the same size.
    assert_eq!((array.shape, array.values.to_f64()), (vec![1, 4], vec![4.0, 5.0, 6.0, 7.0]));
    assert!(at(1, u64::MAX).is_ok());
    assert!(at(0, 2).unwrap_err().to_string().contains("length is 1"));
    let other = Numpy::new([5]).unwrap();
    let error = other.raw(&Origin::Memory { name: "x.npy".into(), bytes: stack().into(), part: Some(0..1) }).unwrap_err();
    assert!(error.to_string().contains("[5]"), "{error}");
}

#[test]
fn channels_at_the_end_come_to_the_front() {
    let kind = Numpy::new([2, 2]).unwrap().channels_last();
    let raw = kind.raw(&Origin::Memory { name: "x.npy".into(), bytes: stack().into(), part: Some(1..2) }).unwrap();
    assert_eq!(raw, Raw::Array(mm_core::data::Array::new([2, 2], vec![4.0, 6.0, 5.0, 7.0])));
}
