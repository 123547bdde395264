//! Made files, and what a check says about them.

use image::{ImageBuffer, Luma, Rgb, RgbImage};
use mm_core::data::check::{Check, Level, files, guess};
use mm_core::data::{DatasetCard, FileCard, check};
use mm_core::rng;
use rand::RngExt;
use std::path::Path;

/// Writes a file, and the folders above it.
pub fn write(root: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A picture of its own for each seed: waves in random directions, in colours.
pub fn picture(root: &Path, name: &str, seed: u64, [height, width]: [u32; 2]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    painted(seed, [height, width]).save(path).unwrap();
}

pub fn painted(seed: u64, [height, width]: [u32; 2]) -> RgbImage {
    let mut random = rng::stream(3, "picture", &[seed]);
    let waves: Vec<[f32; 4]> = (0..8).map(|_| std::array::from_fn(|_| random.random::<f32>())).collect();
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
        let level = |c: usize| waves.iter().map(|w| (9.0 * (w[0] * x + w[1] * y) + 6.0 * w[2] + c as f32).sin() * w[3]).sum::<f32>();
        Rgb([0, 1, 2].map(|c| (128.0 + 30.0 * level(c)).clamp(0.0, 255.0) as u8))
    })
}

/// A grey picture of 16 bits.
pub fn deep_picture(root: &Path, name: &str, seed: u64, side: u32) {
    let small = painted(seed, [side; 2]);
    let deep: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_fn(side, side, |x, y| Luma([u16::from(small.get_pixel(x, y)[0]) * 200]));
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    deep.save(path).unwrap();
}

/// Bytes of a 16-bit WAV file with the same samples in all channels.
pub fn wav(samples: &[f32], rate: u32, channels: u16) -> Vec<u8> {
    let data = samples.iter().flat_map(|x| std::iter::repeat_n((x * 32_767.0) as i16, usize::from(channels)));
    let data: Vec<u8> = data.flat_map(i16::to_le_bytes).collect();
    let mut bytes = Vec::from(*b"RIFF");
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * u32::from(channels) * 2).to_le_bytes());
    bytes.extend((channels * 2).to_le_bytes());
    bytes.extend(b"\x10\0data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

/// Noise of its own for each seed.
pub fn noise(seed: u64, samples: usize) -> Vec<f32> {
    let mut random = rng::stream(4, "noise", &[seed]);
    (0..samples).map(|_| random.random_range(-0.5..0.5)).collect()
}

/// The check of a card in a folder.
pub fn check_card(root: &Path, card: &str) -> Check {
    match FileCard::is_meant_by(card) {
        true => files(&FileCard::from_str(card, root.join("card.toml")).unwrap(), &|_, _| ()).unwrap(),
        false => check::tables("t", "t", &DatasetCard::from_str(card, root.join("card.toml")).unwrap().load_files().unwrap(), &|_, _| ()),
    }
}

/// The check of a table or folder whose card is guessed, with the card.
pub fn check_guess(path: &Path, root: &Path) -> (Check, String) {
    let card = guess(path, root).unwrap().card;
    (check_card(root, &card), card)
}

/// Verdicts in words: level, subject, what was found, where.
pub fn said(check: &Check) -> String {
    let line = |v: &check::Verdict| format!("{:?} {}: {} | {} | {}\n", v.level, v.about, v.found, v.places.join(" ; "), v.advice);
    check.verdicts.iter().map(line).collect()
}

/// Whether a verdict of a level says all of this.
pub fn tells(check: &Check, level: Level, words: &[&str]) {
    let text = said(check);
    let line = text.lines().find(|line| line.starts_with(&format!("{level:?}")) && words.iter().all(|word| line.contains(word)));
    assert!(line.is_some(), "no {level:?} says {words:?}:\n{text}");
}

/// That nothing of a level is told.
pub fn silent(check: &Check, level: Level) {
    assert_eq!(check.count(level), 0, "{}", said(check));
}
