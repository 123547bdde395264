//! Damaged files: a picture or an error that names the file, in bounded memory, and never a panic.

use super::made::{bmp, deflated, jpeg, oriented_png, png, png_of, png16, tiff, webp};
use image::ExtendedColorType::{L8, L16, La8, Rgb8, Rgba8};
use mm_core::data::image::{ImageError, decode};
use mm_core::data::kinds::{Alpha, Depth, Fit, Image, Kind};
use mm_core::rng;
use mm_testing::peak_memory;
use rand::RngExt;
use std::path::Path;
use tiff::encoder::colortype::{CMYK8, Gray16, Gray32Float, RGB8};

#[path = "../damage/mod.rs"]
mod damage;

const VARIANTS: u64 = 10_000;

/// One to four bytes replaced or bits flipped, half of them in the first 200 bytes, where the structure is; or the damage of texts, which
/// cuts, moves and doubles pieces.
fn damaged(bytes: &[u8], case: u64) -> Vec<u8> {
    let mut random = rng::stream(11, "damaged image", &[case]);
    if case.is_multiple_of(3) {
        return damage::damage(bytes, &mut random);
    }
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..5) {
        let end = if random.random() { bytes.len().min(200) } else { bytes.len() };
        let at = random.random_range(0..end);
        match random.random_range(0..3) {
            0 => bytes[at] = random.random(),
            1 => bytes[at] ^= 1 << random.random_range(0..8),
            _ => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.random_range(0..5)],
        }
    }
    bytes
}

/// Checksums of a PNG made right again: most damage would not get past them.
fn repaired(bytes: &[u8]) -> Vec<u8> {
    let mut chunks: Vec<(&[u8; 4], &[u8])> = Vec::new();
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((kind, after)) = after.split_first_chunk::<4>() else { break };
        let Some((data, after)) = after.split_at_checked(length) else { break };
        chunks.push((kind, data));
        rest = after.get(4..).unwrap_or_default();
    }
    png_of(&chunks)
}

/// The decoder makes up what is missing.
#[test]
fn a_jpeg_file_that_was_cut_off_is_damaged() {
    let pixels: Vec<u8> = (0..64 * 48).map(|at| (at * 37 % 251) as u8).collect();
    let (whole, thumbnail) = (jpeg(&pixels, 64, 48, L8, Some(6)), jpeg(&pixels[..64], 8, 8, L8, None));
    let length = (thumbnail.len() as u16 + 2).to_be_bytes();
    let with_thumbnail = [&whole[..2], &[0xff, 0xe2], &length, &thumbnail, &whole[2..]].concat();
    for bytes in [whole, with_thumbnail] {
        assert_eq!(decode(&bytes).unwrap().width, 48);
        assert!(decode(&[&bytes[..], b"what a camera appends"].concat()).is_ok());
        for missing in [1, 2, 40, 400] {
            let problem = decode(&bytes[..bytes.len() - missing]).unwrap_err();
            assert!(
                matches!(problem, ImageError::Damaged { .. }) && problem.to_string().contains("has no end marker"),
                "{missing}: {problem}"
            );
        }
    }
}

#[test]
fn ten_thousand_damaged_files() {
    let pixels: Vec<u8> = (0..20 * 12 * 4).map(|at| (at * 37 % 251) as u8).collect();
    let levels: Vec<u16> = pixels[..240].iter().map(|&x| u16::from(x) * 200).collect();
    let reals: Vec<f32> = pixels[..240].iter().map(|&x| f32::from(x) / 50.0).collect();
    let files = [
        png(&pixels[..720], 20, 12, Rgb8),
        png(&pixels, 20, 12, Rgba8),
        png(&pixels[..480], 20, 12, La8),
        png16(&levels, 20, 12, L16),
        oriented_png(&pixels[..240], 20, 12, L8, Some(6)),
        jpeg(&pixels[..720], 20, 12, Rgb8, Some(8)),
        jpeg(&pixels[..240], 20, 12, L8, None),
        include_bytes!("cmyk.jpg").to_vec(),
        tiff::<RGB8>(&pixels[..720], 20, 12, 5),
        tiff::<CMYK8>(&pixels, 20, 12, 1),
        tiff::<Gray16>(&levels, 20, 12, 1),
        tiff::<Gray32Float>(&reals, 20, 12, 1),
        webp(&pixels[..720], 20, 12, Rgb8, Some(3)),
        webp(&pixels, 20, 12, Rgba8, None),
        include_bytes!("lossy.webp").to_vec(),
        bmp(&pixels[..720], 20, 12, Rgb8),
        bmp(&pixels[..240], 20, 12, L8),
    ];
    let kinds: [Box<dyn Kind>; 3] = [
        Box::new(Image::rgb(9).alpha(Alpha::White)),
        Box::new(Image::gray(7).fit(Fit::Crop)),
        Box::new(Depth::new(8).fit(Fit::Pad).with_valid()),
    ];
    let (mut read, mut refused) = (0, 0);
    for case in 0..VARIANTS {
        let number = (case % files.len() as u64) as usize;
        let mut bytes = damaged(&files[number], case);
        if number < 5 && case.is_multiple_of(2) {
            bytes = repaired(&bytes);
        }
        let kind = &kinds[(case / files.len() as u64 % 3) as usize];
        match kind.decode(&bytes, Path::new("photos/damaged.bin")) {
            Ok(array) => {
                assert_eq!(array.shape, kind.input().shape);
                read += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("photos/damaged.bin"), "{error}");
                refused += 1;
            }
        }
    }
    // Claims that are just allowed, with hardly any data behind them.
    let mut jpeg = files[5].clone();
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x20, 0, 0x20, 0]);
    let png = png_of(&[(b"IHDR", &[0, 0, 0x20, 0, 0, 0, 0x20, 0, 8, 2, 0, 0, 0]), (b"IDAT", &deflated(&[0; 9])), (b"IEND", &[])]);
    for bytes in [jpeg, png] {
        let read = kinds[0].decode(&bytes, Path::new("photos/claim.bin"));
        assert!(read.is_ok() || read.is_err_and(|error| error.to_string().contains("photos/claim.bin")));
    }
    println!("{read} read, {refused} refused, peak {:?} MB", peak_memory().map(|bytes| bytes >> 20));
    assert!(read > 500 && refused > 500, "{read} {refused}");
    // What is decoded may take 512 MB, and what it is made of as much; other tests run beside this one.
    assert!(peak_memory().is_none_or(|bytes| bytes < 1 << 30));
}
