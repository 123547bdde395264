//! A file of NumPy: an array with as many numbers as its shape says, or an error with a text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mm_core::data::kinds::{Kind, Series};
use mm_core::data::numpy::{entries, read};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    for name in entries(bytes).unwrap_or_default().into_iter().map(Some).chain([None]) {
        match read(bytes, name.as_deref()) {
            Ok(array) => assert_eq!(array.values.len(), array.shape.iter().product::<usize>()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    if let Err(error) = Series::new(2, 9).and_then(|kind| kind.decode(bytes, Path::new("one.bin"))) {
        assert!(error.to_string().contains("one.bin"), "{error}");
    }
});
