//! Sounds, and a folder of pictures with sounds.

use image::{GrayImage, Luma};
use mm_core::rng;
use rand::RngExt;
use std::path::Path;

/// Writes samples from -1 to 1 as a WAV file of one channel, 16 bits a sample.
pub fn wave(path: &Path, rate: u32, samples: &[f32]) {
    let data: Vec<u8> = samples.iter().flat_map(|x| ((x.clamp(-1.0, 1.0) * 32_767.0) as i16).to_le_bytes()).collect();
    let length = data.len() as u32;
    let mut bytes = [b"RIFF", (36 + length).to_le_bytes().as_slice(), b"WAVEfmt ", &16u32.to_le_bytes()].concat();
    for number in [1u16, 1] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([rate.to_le_bytes(), (2 * rate).to_le_bytes()].concat());
    bytes.extend([2u16.to_le_bytes(), 16u16.to_le_bytes()].concat());
    bytes.extend([b"data", length.to_le_bytes().as_slice(), &data].concat());
    std::fs::write(path, bytes).unwrap();
}

/// Writes `samples` of two classes as `image/<class>/<number>.png` (a bar that stands or lies) and `sound/<class>/<number>.wav` (a high or a
/// low tone, a fifth of a second at 4 kHz), both with a little noise.
pub fn seen_and_heard(root: &Path, samples: usize) {
    for (sensor, class) in ["image", "sound"].into_iter().flat_map(|sensor| ["high", "low"].map(|class| (sensor, class))) {
        std::fs::create_dir_all(root.join(sensor).join(class)).unwrap();
    }
    for i in 0..samples {
        let (class, high) = if i % 2 == 0 { ("high", true) } else { ("low", false) };
        let mut random = rng::stream(0, "seen and heard", &[i as u64]);
        let place = random.random_range(4..12);
        let picture = GrayImage::from_fn(16, 16, |x, y| {
            let on = (if high { x } else { y }).abs_diff(place) < 2;
            Luma([(if on { 200 } else { 40 }) + random.random_range(0..30u8)])
        });
        picture.save(root.join("image").join(class).join(format!("{i:03}.png"))).unwrap();
        let (hertz, phase) = (if high { 1100.0f32 } else { 400.0 }, random.random_range(0.0..6.0f32));
        let tone = |t: usize| 0.5 * (std::f32::consts::TAU * hertz * t as f32 / 4000.0 + phase).sin();
        let tone: Vec<f32> = (0..800).map(|t| tone(t) + 0.02 * (random.random::<f32>() - 0.5)).collect();
        wave(&root.join("sound").join(class).join(format!("{i:03}.wav")), 4000, &tone);
    }
}
