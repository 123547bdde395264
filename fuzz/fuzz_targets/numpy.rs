//! A file of NumPy: an array with as many numbers as its shape says, or an error with a text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mm_core::data::kinds::{Kind, Series};
use mm_core::data::numpy::{entries, part, read};
use std::io::Cursor;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    for name in entries(bytes).unwrap_or_default().into_iter().map(Some).chain([None]) {
        match read(bytes, name.as_deref()) {
            Ok(array) => assert_eq!(array.values.len(), array.shape.iter().product::<usize>()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    // A part read where it lies is what it is in the whole.
    let [axis, from, to] = [0, 1, 2].map(|i| usize::from(bytes.get(bytes.len().wrapping_sub(i + 1)).copied().unwrap_or_default() % 8));
    if let Ok(array) = part(&mut Cursor::new(bytes), axis, from as u64..to as u64, Path::new("one.npy")) {
        assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
        assert!(array.shape.get(axis).is_none_or(|&steps| steps <= to.saturating_sub(from)));
    }
    if let Err(error) = Series::new(2, 9).and_then(|kind| kind.decode(bytes, Path::new("one.bin"))) {
        assert!(error.to_string().contains("one.bin"), "{error}");
    }
});
