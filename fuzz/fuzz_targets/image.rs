//! A PNG, JPEG, TIFF, WebP or BMP file: an image of the promised shape, or an error that names the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mm_core::data::kinds::{Alpha, Depth, Fit, Image, Kind};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let kinds: [&dyn Kind; 3] = [&Image::rgb(9).alpha(Alpha::White), &Image::gray(7).fit(Fit::Crop), &Depth::new(8).fit(Fit::Pad).with_valid()];
    for kind in kinds {
        match kind.decode(bytes, Path::new("one.bin")) {
            Ok(array) => assert_eq!((&array.shape, array.values.len()), (&kind.input().shape, kind.input().elements())),
            Err(error) => assert!(error.to_string().contains("one.bin")),
        }
    }
});
