//! Files made for these tests.

use image::codecs::bmp::BmpEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};
use mm_core::data::Values;
use mm_core::data::kinds::Kind;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::ColorType;
use tiff::tags::{ExtraSamples, Tag};

pub fn png(pixels: &[u8], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
    oriented_png(pixels, width, height, color, None)
}

pub fn oriented_png(pixels: &[u8], width: u32, height: u32, color: ExtendedColorType, orientation: Option<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    if let Some(orientation) = orientation {
        encoder.set_exif_metadata(exif(orientation)).unwrap();
    }
    encoder.write_image(pixels, width, height, color).unwrap();
    bytes
}

/// Of 16-bit numbers.
pub fn png16(levels: &[u16], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
    let pixels: Vec<u8> = levels.iter().flat_map(|x| x.to_ne_bytes()).collect();
    png(&pixels, width, height, color)
}

pub fn jpeg(pixels: &[u8], width: u32, height: u32, color: ExtendedColorType, orientation: Option<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 100);
    if let Some(orientation) = orientation {
        encoder.set_exif_metadata(exif(orientation)).unwrap();
    }
    encoder.write_image(pixels, width, height, color).unwrap();
    bytes
}

/// Without loss.
pub fn webp(pixels: &[u8], width: u32, height: u32, color: ExtendedColorType, orientation: Option<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut bytes);
    if let Some(orientation) = orientation {
        encoder.set_exif_metadata(exif(orientation)).unwrap();
    }
    encoder.write_image(pixels, width, height, color).unwrap();
    bytes
}

pub fn bmp(pixels: &[u8], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    BmpEncoder::new(&mut bytes).write_image(pixels, width, height, color).unwrap();
    bytes
}

pub fn tiff<C: ColorType>(samples: &[C::Inner], width: u32, height: u32, orientation: u16) -> Vec<u8>
where
    [C::Inner]: tiff::encoder::TiffValue,
{
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
    let mut image = encoder.new_image::<C>(width, height).unwrap();
    image.encoder().write_tag(Tag::Orientation, orientation).unwrap();
    image.write_data(samples).unwrap();
    bytes.into_inner()
}

/// Of bands behind those of the colour type.
pub fn tiff_of_bands<C: ColorType<Inner = u8>>(samples: &[u8], width: u32, height: u32, extra: &[ExtraSamples]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
    let mut image = encoder.new_image::<C>(width, height).unwrap();
    image.extra_samples(extra).unwrap();
    image.write_strip(samples).unwrap();
    image.finish().unwrap();
    bytes.into_inner()
}

/// EXIF data that say nothing but an orientation, 1 to 8.
fn exif(orientation: u8) -> Vec<u8> {
    // Little endian, the directory at 8, one entry: tag 0x0112, one number of 16 bits; no further directory.
    [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(), &[orientation, 0, 0, 0, 0, 0, 0, 0]].concat()
}

/// A PNG file of these chunks.
pub fn png_of(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in chunks {
        let checked = [kind.as_slice(), data].concat();
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(&checked);
        bytes.extend(crc(&checked).to_be_bytes());
    }
    bytes
}

/// Polynomial 0xedb88320, reflected.
fn crc(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| bit(crc)))
}

/// As zlib does.
pub fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a kind makes of a file.
pub fn values(kind: &dyn Kind, bytes: &[u8]) -> Vec<f32> {
    let array = kind.decode(bytes, Path::new("made")).unwrap();
    assert_eq!(array.shape, kind.input().shape);
    let Values::F32(values) = array.values else { panic!("images are f32") };
    values
}

/// A file of the shared data, or nothing and a word about it.
pub fn shared(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(file);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

#[track_caller]
pub fn close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let differs = found.iter().zip(expected).any(|(a, b)| (a - b).abs() > tolerance || a.is_nan());
    assert!(!differs, "{found:?}\nexpected {expected:?}");
}
