//! Decoded sounds, their spectra, and resized images, one case a file.

use super::case::VERSION;
use anyhow::{Context, Result, ensure};
use mm_core::data::audio::{LogMel, Stft, read};
use mm_core::data::image::{Alpha, Fit, ImageChannels, decode, resize};
use serde::Deserialize;
use std::path::Path;

/// Largest error of a number of a waveform, and of a spectrum relative to the largest number.
const WAVEFORM: f64 = 1e-6;
const SPECTRUM: f64 = 1e-4;
/// Largest difference of a grey level, and of the mean of all.
const LEVELS: f64 = 1.0;
const MEAN_LEVEL: f64 = 0.1;

/// What sounds and images must become.
#[derive(Deserialize)]
pub struct FrontEnds {
    version: u64,
    #[serde(default)]
    audio: Vec<Clip>,
    #[serde(default)]
    images: Vec<Picture>,
}

/// A part of a sound, in samples.
#[derive(Deserialize)]
struct Clip {
    file: String,
    start: u64,
    length: u64,
    sample_rate: u32,
    waveform: Summary,
    log_mel: Summary,
    log_stft: Summary,
}

/// Settings of spectra; a file says in words where they are others.
struct Settings {
    n_fft: usize,
    hop: usize,
    bands: usize,
    /// Hz.
    range: [f64; 2],
}

/// An image; sizes are width and height.
#[derive(Deserialize)]
struct Picture {
    file: String,
    mode: String,
    size_in: [usize; 2],
    size_out: [usize; 2],
    pillow_bilinear: Summary,
}

/// Numbers: their sums, and the first of them.
#[derive(Deserialize)]
struct Summary {
    shape: Vec<usize>,
    sum: f64,
    l2: f64,
    first: Vec<f64>,
    #[serde(default)]
    settings: String,
}

impl FrontEnds {
    /// Reads a file of the known version, with at least one case; `None` if it is of another kind.
    pub fn parse(value: &serde_json::Value) -> Result<Option<Self>> {
        if value.get("audio").is_none() && value.get("images").is_none() {
            return Ok(None);
        }
        let file = Self::deserialize(value).context("it is no file of sounds and images")?;
        ensure!(file.version == VERSION, "its version is {}, and only {VERSION} is known", file.version);
        ensure!(!file.audio.is_empty() || !file.images.is_empty(), "it has no cases");
        Ok(Some(file))
    }

    /// The outcome of each case, with files below `folder`.
    pub fn compare<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = (String, Result<String>)> + 'a {
        let clips = self.audio.iter().map(move |clip| (format!("{} from {}", clip.file, clip.start), clip.compare(folder)));
        let pictures = self.images.iter().map(move |picture| {
            let [width, height] = picture.size_out;
            (format!("{} to {width} x {height}", picture.file), picture.compare(folder))
        });
        clips.chain(pictures)
    }
}

impl Clip {
    fn compare(&self, folder: &Path) -> Result<String> {
        let end = self.start.checked_add(self.length).context("the part ends nowhere")?;
        let sound = read(&folder.join(&self.file), Some(self.start..end))?;
        let rate = sound.rate;
        ensure!(rate == self.sample_rate, "{rate} samples a second, expected {}", self.sample_rate);
        let samples = sound.mixed();
        let Settings { n_fft, hop, bands, range: [low, high] } = Settings::read(&self.log_mel.settings, rate)?;
        let stft = Stft::new(n_fft, hop)?;
        let frames = stft.frames(samples.len());
        let log_stft = stft.log_magnitudes(&samples)?;
        let log_mel = LogMel::new(stft.clone(), rate, bands, low, high)?.log_energies(&samples)?;
        let shapes = [vec![samples.len()], vec![bands, frames], vec![stft.bins(), frames]];
        let [wave, mel, log] = shapes;
        let mut largest = [0f64; 3];
        let parts = [
            ("waveform", samples, wave, &self.waveform, WAVEFORM),
            ("log_mel", log_mel, mel, &self.log_mel, SPECTRUM),
            ("log_stft", log_stft, log, &self.log_stft, SPECTRUM),
        ];
        for ((name, values, shape, expected, tolerance), largest) in parts.into_iter().zip(&mut largest) {
            ensure!(shape == expected.shape, "{name}: shape {shape:?}, expected {:?}", expected.shape);
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            // A waveform lies within -1 and 1; a spectrum is measured by its largest value.
            let scale = if name == "waveform" { 1.0 } else { values.iter().fold(f64::MIN_POSITIVE, |most, x| most.max(x.abs())) };
            *largest = expected.error(&values, scale)?;
            ensure!(*largest <= tolerance, "{name}: error {largest:.2e}, allowed {tolerance:.0e}");
        }
        Ok(format!("errors: waveform {:.1e}, log-mel {:.1e}, log-STFT {:.1e}", largest[0], largest[1], largest[2]))
    }
}

impl Settings {
    /// From words such as "n_fft 256, hop 128, 40 HTK mel bands 0-4000 Hz"; what is left out is as in these, up to half the rate.
    fn read(text: &str, rate: u32) -> Result<Self> {
        let words: Vec<&str> = text.split([' ', ',', ';', ':']).filter(|word| !word.is_empty()).collect();
        let place = |word: &str| words.iter().position(|w| *w == word);
        let number = |at: Option<usize>, or: usize| -> Result<usize> {
            let word = at.and_then(|at| words.get(at));
            word.map_or(Ok(or), |word| word.parse().with_context(|| format!("`{word}` in the settings `{text}`")))
        };
        let after = |word: &str| place(word).map(|at| at + 1);
        let range = place("Hz").and_then(|at| words.get(at.checked_sub(1)?)?.split_once('-'));
        let range = match range {
            Some((low, high)) => [low.parse()?, high.parse()?],
            None => [0.0, f64::from(rate) / 2.0],
        };
        let bands = place("HTK").and_then(|at| at.checked_sub(1));
        Ok(Self { n_fft: number(after("n_fft"), 256)?, hop: number(after("hop"), 128)?, bands: number(bands, 40)?, range })
    }
}

impl Picture {
    fn compare(&self, folder: &Path) -> Result<String> {
        let channels = match self.mode.as_str() {
            "RGB" => ImageChannels::Rgb,
            "L" => ImageChannels::Gray,
            unknown => anyhow::bail!("unknown mode `{unknown}`"),
        };
        let path = folder.join(&self.file);
        let bitmap = decode(&std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?)?;
        let found = [bitmap.width, bitmap.height];
        ensure!(found == self.size_in, "{} x {} pixels, expected {} x {}", found[0], found[1], self.size_in[0], self.size_in[1]);
        let (count, [width, height]) = (channels.count(), self.size_out);
        let planes = resize(&bitmap.flattened(channels, Alpha::Drop), count, [height, width], Fit::Stretch, 0.0)?;
        // Pixel by pixel, as Pillow has them, in grey levels.
        let pixels = (0..width * height).flat_map(|at| planes[at..].iter().step_by(width * height)).map(|x| f64::from(*x) * 255.0);
        let pixels: Vec<f64> = pixels.collect();
        let expected = &self.pillow_bilinear;
        let shape = if count == 1 { vec![height, width] } else { vec![height, width, count] };
        ensure!(shape == expected.shape, "shape {shape:?}, expected {:?}", expected.shape);
        let first = expected.first_error(&pixels)?;
        ensure!(first <= LEVELS + 1e-3, "{first:.3} grey levels, allowed {LEVELS}");
        let mean = (pixels.iter().sum::<f64>() - expected.sum).abs() / pixels.len() as f64;
        ensure!(mean < MEAN_LEVEL, "a mean difference of {mean:.3} grey levels, allowed {MEAN_LEVEL}");
        // The root of the mean square moves by no more than the root of the mean squared difference.
        let root = |l2: f64| l2 / (pixels.len() as f64).sqrt();
        let norm = (root(pixels.iter().map(|x| x * x).sum::<f64>().sqrt()) - root(expected.l2)).abs();
        ensure!(norm <= LEVELS, "the root of the mean square differs by {norm:.3} grey levels, allowed {LEVELS}");
        Ok(format!("{first:.2} grey levels, mean {mean:.4}"))
    }
}

impl Summary {
    /// The largest error of the first numbers.
    fn first_error(&self, values: &[f64]) -> Result<f64> {
        ensure!(!self.first.is_empty() && self.first.len() <= values.len(), "{} first numbers of {}", self.first.len(), values.len());
        ensure!(values.iter().all(|x| x.is_finite()), "not finite");
        Ok(self.first.iter().zip(values).fold(0.0, |most, (a, b)| f64::max(most, (a - b).abs())))
    }

    /// The largest error of the first numbers, of the mean and of the root of the mean square, all as parts of `scale`: if no number
    /// were further off than the tolerance, none of these would be.
    fn error(&self, values: &[f64], scale: f64) -> Result<f64> {
        let count = values.len().max(1) as f64;
        let mean = (values.iter().sum::<f64>() - self.sum).abs() / count;
        let root = (values.iter().map(|x| x * x).sum::<f64>().sqrt() - self.l2).abs() / count.sqrt();
        Ok(self.first_error(values)?.max(mean).max(root) / scale)
    }
}
