//! Single images of an IDX file.

use mm_core::Error;
use mm_core::data::image::{ImageError, Samples, idx_image};
use mm_core::data::kinds::{Image, Kind, Origin, Raw};
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

/// Three images of 2 rows and 3 columns; pixel i of all is i.
fn file() -> Vec<u8> {
    let header = [[0, 0, 8, 3], [0, 0, 0, 3], [0, 0, 0, 2], [0, 0, 0, 3]].concat();
    header.into_iter().chain(0..18).collect()
}

fn image(bytes: &[u8], part: Range<u64>) -> Result<Vec<u8>, ImageError> {
    match idx_image(&mut Cursor::new(bytes), &part, Path::new("digits")) {
        Ok(bitmap) => {
            assert_eq!((bitmap.width, bitmap.height, bitmap.channels), (3, 2, 1));
            let Samples::U8(samples) = bitmap.samples else { panic!("pixels are bytes") };
            Ok(samples)
        }
        Err(Error::Image { path, problem }) => {
            assert_eq!(path, Path::new("digits"));
            Err(problem)
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn an_image_is_the_bytes_at_its_place() {
    assert_eq!(image(&file(), 0..1), Ok((0..6).collect()));
    assert_eq!(image(&file(), 2..3), Ok((12..18).collect()));
    assert_eq!(image(&file(), 1..u64::MAX), Ok((6..12).collect()));
}

#[test]
fn other_places_and_other_files_are_refused() {
    for (part, start) in [(3..4, 3), (0..2, 0), (1..1, 1), (u64::MAX..u64::MAX, u64::MAX)] {
        assert!(matches!(image(&file(), part.clone()), Err(ImageError::Place { start: s, count: 3, .. }) if s == start), "{part:?}");
    }
    assert_eq!(image(b"\x89PNG\r\n\x1a\n and more than that", 0..1), Err(ImageError::NotStacked { gzip: false }));
    assert_eq!(image(b"\x1f\x8b\x08 and more than sixteen bytes", 0..1), Err(ImageError::NotStacked { gzip: true }));
    assert_eq!(image(&file()[..15], 0..1), Err(ImageError::NotStacked { gzip: false }));
    assert_eq!(image(&file()[..30], 2..3), Err(ImageError::CutOff { image: 2, count: 3 }));
    let mut huge = file();
    huge[8..16].fill(255);
    assert!(matches!(image(&huge, 0..1), Err(ImageError::TooLarge { .. })));
    let mut empty = file();
    empty[8..12].fill(0);
    assert_eq!(image(&empty, 0..1), Err(ImageError::CutOff { image: 0, count: 3 }));
}

#[test]
fn a_file_and_its_content_in_memory_are_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits.idx3-ubyte");
    std::fs::write(&path, file()).unwrap();
    let kind = Image::gray(2).sized(2, 3);
    let from = |origin: &Origin| kind.raw(origin).unwrap();
    let Raw::Array(array) = from(&Origin::File { path, part: Some(1..2) }) else { panic!("an image is an array") };
    assert_eq!(
        array,
        match from(&Origin::Memory { name: "digits".into(), bytes: file().into(), part: Some(1..2) }) {
            Raw::Array(array) => array,
            other => panic!("{other:?}"),
        }
    );
    assert_eq!(array.filled().iter().map(|x| (x * 255.0).round() as u8).collect::<Vec<_>>(), (6..12).collect::<Vec<_>>());
}

#[test]
fn damaged_files_are_errors_or_images() {
    for at in 0..16 {
        for value in 0..=255 {
            let mut bytes = file();
            bytes[at] = value;
            let _ = idx_image(&mut Cursor::new(&bytes), &(1..2), Path::new("digits")).map(|bitmap| {
                assert!(bitmap.width * bitmap.height <= 12);
            });
        }
    }
}
