//! Sounds: decoding, rates, spectra, settings, changes for training and disturbances for tests.
//!
//! The files beside this one hold the chirp of [`chirp`]; python-soundfile 0.14 (libsndfile 1.2.2) wrote them, `x` being its int16 samples:
//! ```python
//! sf.write("chirp.mp3", x, 8000, format="MP3", compression_level=0.9, bitrate_mode="VARIABLE")
//! sf.write("untagged.mp3", x, 8000, format="MP3", compression_level=0.99, bitrate_mode="CONSTANT")
//! sf.write("chirp.ogg", x, 8000, format="OGG", subtype="VORBIS", compression_level=0.9)
//! sf.write("chirp.flac", x[:12000], 8000)
//! ```

mod changes;
mod damage;
mod decoding;
mod kind;
mod resampling;
mod settings;
mod spectra;

use std::f64::consts::TAU;
use std::path::PathBuf;

/// `round(8192 sin(2π (200 + n / 160) n / 8000))`, every sixth and seventh thousand of samples silent.
fn chirp(count: usize) -> Vec<i16> {
    let sample = |n: usize| match n / 1000 % 7 {
        5 | 6 => 0,
        _ => (8192.0 * (TAU * (200.0 + n as f64 / 160.0) * n as f64 / 8000.0).sin()).round() as i16,
    };
    (0..count).map(sample).collect()
}

fn chirp_f32(count: usize) -> Vec<f32> {
    chirp(count).into_iter().map(|x| f32::from(x) / 32_768.0).collect()
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/audio").join(name)
}

/// A file of the data that are not part of the repository, or none.
fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(name);
    if !path.exists() {
        println!("skipped: no {}", path.display());
        return None;
    }
    Some(path)
}

/// A WAV file of 16-bit samples, channels interleaved.
fn wav(rate: u32, channels: u16, samples: &[i16]) -> Vec<u8> {
    let bytes = samples.len() as u32 * 2;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(1u16.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(channels) * 2).to_le_bytes());
    file.extend((channels * 2).to_le_bytes());
    file.extend(16u16.to_le_bytes());
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    samples.iter().for_each(|sample| file.extend(sample.to_le_bytes()));
    file
}
