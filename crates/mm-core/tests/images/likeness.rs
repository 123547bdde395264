//! Hashes that find near-duplicates, and thumbnails.

use super::made::{jpeg, png, shared, values};
use image::ExtendedColorType::{L8, Rgb8, Rgba8};
use mm_core::data::image::{Bitmap, decode, depth_thumbnail, difference_hash, hamming_distance, thumbnail};
use mm_core::data::kinds::Image;

fn hash(bytes: &[u8]) -> u64 {
    difference_hash(&decode(bytes).unwrap()).unwrap()
}

#[test]
fn known_hashes() {
    // Brighter from left to right: every place is darker than its neighbour; the other way round none is.
    let ramp = |level: fn(u32) -> u32| png(&(0..90).map(|at| level(at % 9) as u8).collect::<Vec<_>>(), 9, 10, L8);
    assert_eq!(hash(&ramp(|column| column * 20)), u64::MAX);
    assert_eq!(hash(&ramp(|column| 200 - column * 20)), 0);
    assert_eq!(hash(&ramp(|_| 7)), 0);
    // 9 x 8 is the size that is looked at: only the first place of the first row is darker than its neighbour.
    let mut single = [0; 72];
    single[1] = 255;
    assert_eq!(hash(&png(&single, 9, 8, L8)), 1 << 63);
    single[1] = 0;
    single[71] = 255;
    assert_eq!(hash(&png(&single, 9, 8, L8)), 1);
    assert_eq!((hamming_distance(0, u64::MAX), hamming_distance(5, 5), hamming_distance(0b1011, 0b0001)), (64, 0, 2));
}

/// Smooth random colours.
fn scene(seed: u32, width: u32, height: u32) -> Vec<u8> {
    let wave = |c: u32, y: f32, x: f32| {
        let angle = (seed * 7 + c) as f32;
        (127.0 + 60.0 * (x * (3.0 + angle % 5.0) + angle).sin() + 60.0 * (y * (2.0 + angle % 3.0) + 2.0 * x + angle).cos()) as u8
    };
    let pixel = |at: u32| ((at / width) as f32 / height as f32 * 3.0, (at % width) as f32 / width as f32 * 3.0);
    (0..width * height).flat_map(|at| (0..3).map(move |c| wave(c, pixel(at).0, pixel(at).1))).collect()
}

#[test]
fn copies_are_near_and_others_far() {
    let copies = |seed| {
        let original = png(&scene(seed, 160, 120), 160, 120, Rgb8);
        let smaller = png(&scene(seed, 64, 48), 64, 48, Rgb8);
        let darker = png(&scene(seed, 160, 120).iter().map(|x| x / 2).collect::<Vec<_>>(), 160, 120, Rgb8);
        let compressed = jpeg(&scene(seed, 160, 120), 160, 120, Rgb8, None);
        [original, smaller, darker, compressed].map(|bytes| hash(&bytes))
    };
    let all: Vec<[u64; 4]> = (0..6).map(copies).collect();
    for (i, copies) in all.iter().enumerate() {
        assert!(copies.iter().all(|&copy| hamming_distance(copies[0], copy) <= 6), "{i}: {copies:x?}");
        for other in &all[..i] {
            assert!(hamming_distance(copies[0], other[0]) > 10, "{i}: {:x} {:x}", copies[0], other[0]);
        }
    }
}

/// Frames of one video are near-duplicates, tiles of different places are not.
#[test]
fn real_images() {
    let read = |file: &str| shared(&format!("data/{file}")).map(|path| hash(&std::fs::read(path).unwrap()));
    let frames = [1, 2, 10].map(|frame| read(&format!("rgbd/ycb-video/data/0000/{frame:06}-color.png")));
    let tiles = ["albania005", "albania007"].map(|tile| read(&format!("flood/s2_after/{tile}.png")));
    let ([Some(first), Some(next), Some(last)], [Some(a), Some(b)]) = (frames, tiles) else { return };
    println!("{} {} {}", hamming_distance(first, next), hamming_distance(first, last), hamming_distance(a, b));
    assert!(hamming_distance(first, next) <= 10 && hamming_distance(a, b) > 10 && hamming_distance(first, a) > 10);
}

fn seen(png: &[u8]) -> Bitmap {
    decode(png).unwrap()
}

#[test]
fn thumbnails_are_small_pictures() {
    let wide = thumbnail(&seen(&png(&scene(1, 300, 100), 300, 100, Rgb8)), 96).unwrap();
    let small = seen(&wide);
    assert_eq!((small.width, small.height, small.channels), (96, 32, 3));
    let expected = values(&Image::rgb(1).sized(32, 96), &png(&scene(1, 300, 100), 300, 100, Rgb8));
    let found = values(&Image::rgb(1).sized(32, 96), &wide);
    assert_eq!(found, expected);
    // Never enlarged, never empty, grey stays grey, transparency becomes white.
    let tiny = seen(&thumbnail(&seen(&png(&[9; 6], 3, 2, L8)), 96).unwrap());
    assert_eq!((tiny.width, tiny.height, tiny.channels), (3, 2, 1));
    let line = seen(&thumbnail(&seen(&png(&[9; 500], 500, 1, L8)), 10).unwrap());
    assert_eq!((line.width, line.height), (10, 1));
    let clear = thumbnail(&seen(&png(&[0, 0, 0, 0], 1, 1, Rgba8)), 10).unwrap();
    assert_eq!(values(&Image::gray(1), &clear), [1.0]);
}

#[test]
fn depth_is_shown_from_white_to_dark() {
    let shown = depth_thumbnail(&[0.0, 1.0, 2.0, 3.0], [2, 2], 10).unwrap();
    assert_eq!(values(&Image::gray(2), &shown).map(), [0, 255, 153, 51]);
    let nothing = depth_thumbnail(&[0.0; 4], [2, 2], 10).unwrap();
    assert_eq!(values(&Image::gray(2), &nothing).map(), [0; 4]);
    let flat = depth_thumbnail(&[2.0; 400], [20, 20], 10).unwrap();
    assert_eq!(values(&Image::gray(10), &flat).map(), [255; 100]);
}

trait Levels {
    fn map(self) -> Vec<u8>;
}

impl Levels for Vec<f32> {
    fn map(self) -> Vec<u8> {
        self.into_iter().map(|x| (x * 255.0).round() as u8).collect()
    }
}
