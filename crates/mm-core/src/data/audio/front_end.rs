//! From a file to what a model gets, by one set of settings.

use super::decode::most_samples;
use super::{AudioError, AudioSettings, Features, Length, LogMel, Sound, Stft};
use super::{corrupt_sound, decode, read, resample, resampled_length};
use crate::corrupt::Corruption;
use crate::error::{Error, Result};
use crate::rng::{Rng, stream};
use rand::RngExt;
use std::ops::Range;
use std::path::Path;

/// A lower rate is probably meant in kHz.
const LEAST_USUAL_RATE: u32 = 1000;

/// Samples by channel, at the rate of the settings; all channels have the same number.
pub type Wave = Vec<Vec<f32>>;

/// Settings, and what is computed once from them: transforms and bands.
#[derive(Clone)]
pub struct FrontEnd {
    settings: AudioSettings,
    spectrum: Spectrum,
}

#[derive(Clone)]
enum Spectrum {
    None,
    Stft(Stft),
    Mel(LogMel),
}

/// What a model gets of one sound.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioReading {
    /// Row-major, of the shape [`FrontEnd::shape`].
    pub values: Vec<f32>,
    /// How much of the last dimension is sound; behind it are zeros.
    pub filled: usize,
}

impl FrontEnd {
    /// With what the settings leave out; refuses what cannot work.
    pub fn new(settings: AudioSettings) -> Result<Self> {
        let settings = settings.completed()?;
        let stft = || Stft::new(settings.n_fft.unwrap_or_default(), settings.hop.unwrap_or_default());
        let spectrum = match settings.features {
            Features::Waveform => Spectrum::None,
            Features::LogStft => Spectrum::Stft(stft()?),
            Features::LogMel => {
                let (low, high) = (settings.low.unwrap_or_default(), settings.high.unwrap_or_default());
                Spectrum::Mel(LogMel::new(stft()?, settings.rate, settings.mels.unwrap_or_default(), low, high)?)
            }
        };
        if let Some(n_fft) = settings.n_fft.filter(|n_fft| settings.samples() <= n_fft / 2) {
            let (rate, seconds, samples) = (settings.rate, settings.seconds, settings.samples());
            let unit = if rate < LEAST_USUAL_RATE { " (in samples a second: 8 kHz is rate = 8000)" } else { "" };
            let problem = format!(
                "{seconds} seconds at rate = {rate}{unit} are {samples} samples, and frames of n_fft = {n_fft} need at least {}: \
                 set a higher `seconds` or `rate`, or a smaller `n_fft`",
                n_fft / 2 + 1
            );
            return Err(Error::config("seconds, rate, n_fft", problem));
        }
        Ok(Self { settings, spectrum })
    }

    /// The settings, complete.
    pub fn settings(&self) -> &AudioSettings {
        &self.settings
    }

    /// `[channels, samples]` of a waveform, `[channels, bins or bands, frames]` of a spectrogram.
    pub fn shape(&self) -> Vec<usize> {
        let (channels, samples) = (self.settings.channels, self.settings.samples());
        match &self.spectrum {
            Spectrum::None => vec![channels, samples],
            Spectrum::Stft(stft) => vec![channels, stft.bins(), stft.frames(samples)],
            Spectrum::Mel(mel) => vec![channels, mel.bands(), mel.frames(samples)],
        }
    }

    /// Reads a file, or the samples `part` of it (at the file's own rate), at the rate and with the channels of the settings.
    pub fn read(&self, path: &Path, part: Option<Range<u64>>) -> Result<Wave> {
        self.wave(read(path, part)?, path)
    }

    /// Reads the bytes of a file as [`FrontEnd::read`] does; `path` is for messages.
    pub fn decode(&self, bytes: &[u8], path: &Path, part: Option<Range<u64>>) -> Result<Wave> {
        self.wave(decode(bytes, path, part)?, path)
    }

    fn wave(&self, sound: Sound, path: &Path) -> Result<Wave> {
        let (from, to, found) = (sound.rate, self.settings.rate, sound.channels.len());
        let wave = match self.settings.channels {
            1 => vec![sound.mixed()],
            expected if expected == found => sound.channels,
            expected => return Err(AudioError::Channels { path: path.into(), expected, found }.into()),
        };
        if from == to {
            return Ok(wave);
        }
        if resampled_length(wave[0].len(), from, to).saturating_mul(wave.len()) > most_samples() {
            return Err(AudioError::TooLong { path: path.into(), channels: wave.len(), most: most_samples() }.into());
        }
        Ok(wave.iter().map(|channel| resample(channel, from, to)).collect())
    }

    /// Whether [`FrontEnd::augmented`] differs from [`FrontEnd::reading`].
    pub fn augments(&self) -> bool {
        self.settings.augment != Default::default() || self.settings.length == Length::Crop
    }

    /// A reading for training: changed at random, the part of a longer sound from a random place. The draws decide alone: one generator, one
    /// reading.
    pub fn augmented(&self, mut wave: Wave, rng: &mut Rng) -> Result<AudioReading> {
        let place = rng.random::<f64>();
        let masks = stream(rng.random(), "masks of a sound", &[]);
        for channel in &mut wave {
            let long_enough = channel.len() >= self.settings.samples();
            self.settings.augment.apply(channel, self.settings.rate, &mut rng.clone());
            if self.settings.length == Length::Crop && long_enough && channel.len() < self.settings.samples() {
                // What a random change took off is no mistake in the file.
                channel.resize(self.settings.samples(), 0.0);
            }
        }
        let mut reading = self.at(wave, place)?;
        if let [_, bands, frames] = self.shape()[..] {
            for spectrogram in reading.values.chunks_exact_mut(bands * frames) {
                self.settings.augment.mask(spectrogram, frames, reading.filled, &mut masks.clone());
            }
        }
        Ok(reading)
    }

    /// Corrupts all channels of a sound alike.
    pub fn corrupt(&self, wave: &mut Wave, corruption: Corruption, rng: &mut Rng) -> Result<()> {
        wave.iter_mut().try_for_each(|channel| corrupt_sound(channel, self.settings.rate, corruption, &mut rng.clone()))
    }

    /// A reading for evaluation: of a longer sound, its centre.
    pub fn reading(&self, wave: Wave) -> Result<AudioReading> {
        self.at(wave, 0.5)
    }

    /// Refuses a sound that has too few samples and may not be filled; `found` at the rate `rate`.
    pub(in crate::data) fn check_length(&self, found: usize, rate: u32) -> Result<()> {
        let (found, least) = (resampled_length(found, rate, self.settings.rate), self.settings.samples());
        match self.settings.length == Length::Crop && found < least {
            true => Err(AudioError::Short { what: "`length = \"crop\"` at the stated seconds", least, found }.into()),
            false => Ok(()),
        }
    }

    /// Of a longer sound, the part that starts at share `place` of what is too much.
    fn at(&self, mut wave: Wave, place: f64) -> Result<AudioReading> {
        if let Some(level) = self.settings.loudness {
            amplify(&mut wave, level);
        }
        let samples = self.settings.samples();
        let mut reading = AudioReading { values: Vec::with_capacity(self.shape().iter().product()), filled: 0 };
        for mut channel in wave {
            self.check_length(channel.len(), self.settings.rate)?;
            let filled = self.settings.length.fit(&mut channel, samples, place).unwrap_or_default();
            let (mut values, width, filled) = match &self.spectrum {
                Spectrum::None => (channel, samples, filled),
                Spectrum::Stft(stft) => (stft.log_magnitudes(&channel)?, stft.frames(samples), stft.frames(filled)),
                Spectrum::Mel(mel) => (mel.log_energies(&channel)?, mel.frames(samples), mel.frames(filled)),
            };
            values.chunks_mut(width).for_each(|row| row[filled..].fill(0.0));
            reading.values.extend(values);
            reading.filled = filled;
        }
        Ok(reading)
    }
}

/// Brings the root mean square of all channels together to a level in decibels of full scale; what is silent stays so.
fn amplify(wave: &mut Wave, level: f64) {
    let squares: f64 = wave.iter().flatten().map(|&x| f64::from(x) * f64::from(x)).sum();
    let count = wave.iter().map(Vec::len).sum::<usize>();
    let rms = (squares / count.max(1) as f64).sqrt();
    if rms > 1e-9 && rms.is_finite() {
        let gain = (10f64.powf(level / 20.0) / rms) as f32;
        wave.iter_mut().flatten().for_each(|x| *x *= gain);
    }
}
