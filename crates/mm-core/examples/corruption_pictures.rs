//! The pictures of docs/src/corruptions.md: every family of images, depth maps, sounds and series, clean and at severity 1 to 5.
//!
//! ```sh
//! cargo run --release -p mm-core --example corruption_pictures -- docs/src/img/corruptions
//! ```

use image::{Rgb, RgbImage};
use mm_core::Result;
use mm_core::corrupt::{Corruption, DEPTH_FAMILIES, Family, IMAGE_FAMILIES, SERIES_FAMILIES, corrupt_depth, corrupt_image, corrupt_series};
use mm_core::data::Array;
use mm_core::data::audio::{AudioSettings, SOUND_FAMILIES, corrupt_sound};
use mm_core::data::kinds::{Audio, Kind, Raw};
use mm_core::rng::{Rng, stream};
use std::f32::consts::TAU;
use std::path::Path;

/// Pixels of a picture's side.
const SIDE: usize = 56;
/// Between pictures.
const GAP: usize = 4;
const RATE: u32 = 8000;
/// Steps of a series.
const STEPS: usize = 150;

type Done = std::result::Result<(), Box<dyn std::error::Error>>;

fn main() -> Done {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "docs/src/img/corruptions".into());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let (scene, depth, sound, series) = (scene(), depth(), sound(), series());
    for &family in IMAGE_FAMILIES {
        save(folder, "image", family, |corruption, random| {
            let mut image = scene.clone();
            corruption.map(|corruption| corrupt_image(&mut image, SIDE, SIDE, corruption, random)).transpose()?;
            Ok(picture(SIDE, SIDE, |x, y| [0, 1, 2].map(|c| image[(c * SIDE + y) * SIDE + x])))
        })?;
    }
    for &family in DEPTH_FAMILIES {
        save(folder, "depth", family, |corruption, random| {
            let mut map = depth.clone();
            corruption.map(|corruption| corrupt_depth(&mut map, SIDE, SIDE, corruption, random)).transpose()?;
            // Near is bright; what has no reading is blue.
            let colour = |z: f32| if z > 0.0 { [1.0 - z / 4.0; 3] } else { [0.1, 0.2, 0.6] };
            Ok(picture(SIDE, SIDE, |x, y| colour(map[y * SIDE + x])))
        })?;
    }
    let kind = Audio::new(AudioSettings::new(RATE, 1.0))?;
    for &family in SOUND_FAMILIES {
        save(folder, "sound", family, |corruption, random| {
            let mut sound = sound.clone();
            corruption.map(|corruption| corrupt_sound(&mut sound, RATE, corruption, random)).transpose()?;
            let spectrogram = kind.features(Raw::Array(Array::new([1, sound.len()], sound)))?;
            let (bands, frames) = (spectrogram.shape[1], spectrogram.shape[2]);
            let values = spectrogram.values.into_f32();
            // Low tones are at the bottom; from -14 (silence) to 4.
            Ok(picture(frames, bands, |t, y| [(values[(bands - 1 - y) * frames + t] + 14.0) / 18.0; 3]))
        })?;
    }
    for &family in SERIES_FAMILIES {
        save(folder, "series", family, |corruption, random| {
            let mut values = series.clone();
            corruption.map(|corruption| corrupt_series(&mut values, STEPS, corruption, random)).transpose()?;
            // From -3 to 6, a step a column, a line from value to value.
            let row = |x: f64| (((6.0 - x) / 9.0 * SIDE as f64) as usize).min(SIDE - 1);
            let ink = |x: usize, y: usize| {
                let (a, b) = (row(values[x.saturating_sub(1)]), row(values[x]));
                (a.min(b)..=a.max(b)).contains(&y)
            };
            Ok(picture(STEPS, SIDE, |x, y| if ink(x, y) { [0.1, 0.2, 0.5] } else { [0.96; 3] }))
        })?;
    }
    Ok(())
}

/// One row of pictures: clean, then severity 1 to 5.
fn save(folder: &Path, kind: &str, family: Family, of: impl Fn(Option<Corruption>, &mut Rng) -> Result<RgbImage>) -> Done {
    let mut row: Option<RgbImage> = None;
    for severity in 0..=5u8 {
        let corruption = (severity > 0).then(|| Corruption::new(family, severity)).transpose()?;
        let picture = of(corruption, &mut stream(4, family.name(), &[]))?;
        let (width, height) = picture.dimensions();
        let row = row.get_or_insert_with(|| RgbImage::from_pixel(6 * width + 5 * GAP as u32, height, Rgb([255; 3])));
        image::imageops::replace(row, &picture, i64::from(severity) * i64::from(width + GAP as u32), 0);
    }
    row.map(|row| row.save(folder.join(format!("{kind}-{family}.png")))).transpose()?;
    Ok(())
}

/// Of values from 0 to 1, in 32 steps: the files are smaller, and nobody sees it.
fn picture(width: usize, height: usize, colour: impl Fn(usize, usize) -> [f32; 3]) -> RgbImage {
    let level = |x: f32| ((x.clamp(0.0, 1.0) * 31.0).round() / 31.0 * 255.0) as u8;
    RgbImage::from_fn(width as u32, height as u32, |x, y| Rgb(colour(x as usize, y as usize).map(level)))
}

/// A house with a striped wall below a sun.
fn scene() -> Vec<f32> {
    let colour = |x: f32, y: f32| -> [f32; 3] {
        let (sun, roof) = ((x - 0.8).hypot(y - 0.18) < 0.1, (x - 0.4).abs() < y - 0.25 && y < 0.5);
        match () {
            () if sun => [1.0, 0.85, 0.2],
            () if roof => [0.7, 0.2, 0.15],
            () if (0.2..0.6).contains(&x) && (0.5..0.85).contains(&y) => {
                let door = (0.35..0.45).contains(&x) && y > 0.65;
                let stripe = ((x * 40.0) as i32) % 2 == 0;
                if door {
                    [0.3, 0.2, 0.1]
                } else if stripe {
                    [0.95, 0.9, 0.8]
                } else {
                    [0.75, 0.65, 0.5]
                }
            }
            () if y > 0.8 => [0.2, 0.45 + 0.1 * (x * 50.0).sin(), 0.2],
            () => [0.45 + 0.3 * y, 0.65 + 0.2 * y, 0.95],
        }
    };
    let at = |i: usize| i as f32 / SIDE as f32;
    (0..3).flat_map(|c| (0..SIDE * SIDE).map(move |i| colour(at(i % SIDE), at(i / SIDE))[c])).collect()
}

/// A ball on a floor in front of a wall, in metres.
fn depth() -> Vec<f32> {
    let at = |i: usize| i as f32 / SIDE as f32;
    let metres = |x: f32, y: f32| {
        let ball = 0.08 - (x - 0.45).powi(2) - (y - 0.55).powi(2);
        if ball > 0.0 { 1.6 - ball.sqrt() } else { (1.2 / (y - 0.2).max(0.01)).min(3.5) }
    };
    (0..SIDE * SIDE).map(|i| metres(at(i % SIDE), at(i / SIDE))).collect()
}

/// Three syllables: voices with overtones that rise and fall.
fn sound() -> Vec<f32> {
    let mut phase = 0.0;
    let sample = |t: usize| {
        let seconds = t as f32 / RATE as f32;
        let syllable = (seconds * 3.0).fract();
        let pitch = 140.0 + 40.0 * (TAU * seconds).sin();
        phase += TAU * pitch / RATE as f32;
        let centre = [700.0, 1800.0, 1100.0][((seconds * 3.0) as usize).min(2)];
        let overtone = |n: u32| {
            let hertz = pitch * n as f32;
            (phase * n as f32).sin() * (-((hertz - centre) / 500.0).powi(2)).exp()
        };
        let loudness = (std::f32::consts::PI * syllable).sin().powi(2);
        loudness * (0.3 * phase.sin() + 0.5 * (1..25).map(overtone).sum::<f32>())
    };
    (0..RATE as usize).map(sample).collect()
}

/// A pulse, as of a heart, and breath below it.
fn series() -> Vec<f64> {
    let value = |t: usize| {
        let (beat, breath) = ((t as f64 / 24.0).fract(), 0.4 * (t as f64 / 30.0).sin());
        let bump = |at: f64, width: f64| (-((beat - at) / width).powi(2)).exp();
        0.3 + breath + 3.2 * bump(0.4, 0.05) - 0.8 * bump(0.5, 0.04) + 0.7 * bump(0.75, 0.09)
    };
    (0..STEPS).map(value).collect()
}
