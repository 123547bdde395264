//! What a model gets of a sound.

use super::{Augment, Length, MOST_SAMPLES};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Highest rate that sounds are read at.
const MOST_RATE: u32 = 768_000;

/// In which form a model gets a sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Features {
    /// Its samples, `[channels, samples]`.
    Waveform,
    /// `ln(|X| + 1e-7)` of its short-time spectra, `[channels, bins, frames]`.
    LogStft,
    /// `ln(energy + 1e-6)` in bands of the mel scale, `[channels, bands, frames]`.
    #[default]
    LogMel,
}

/// Settings of sounds. What is left out of the spectrum's settings is chosen by the rate: below 12 kHz an `n_fft` of 256, a `hop` of 128 and 40
/// `mels`; below 20 kHz 400, 160 and 64; below 32 kHz 512, 256 and 64; to 96 kHz 1024, 512 and 64; above, twice, four or eight times the
/// `n_fft` and `hop`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioSettings {
    /// Samples a second that the model gets; files of other rates are resampled.
    pub rate: u32,
    /// How long every sound is made.
    pub seconds: f64,
    /// What becomes of shorter ones.
    #[serde(default)]
    pub length: Length,
    /// 1: the mean of all channels of a file; more: files must have so many.
    #[serde(default = "one")]
    pub channels: usize,
    /// Every sound is amplified to this level (root mean square, in decibels of full scale), so that near and far microphones sound
    /// alike; left out: as recorded. Silence stays silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness: Option<f64>,
    /// The form.
    #[serde(default)]
    pub features: Features,
    /// Samples of a frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_fft: Option<usize>,
    /// Samples from one frame to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<usize>,
    /// Bands of the mel scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mels: Option<usize>,
    /// Where the lowest band starts, in Hz; 0 where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Where the highest band ends, in Hz; half the rate where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Random changes in training.
    #[serde(default)]
    pub augment: Augment,
}

fn one() -> usize {
    1
}

impl AudioSettings {
    /// Log-mel spectrograms of one channel, shorter sounds padded, with what else the rate suggests.
    pub fn new(rate: u32, seconds: f64) -> Self {
        Self {
            rate,
            seconds,
            length: Length::default(),
            channels: 1,
            loudness: None,
            features: Features::default(),
            n_fft: None,
            hop: None,
            mels: None,
            low: None,
            high: None,
            augment: Augment::default(),
        }
    }

    /// With what was left out; refuses what cannot work.
    pub fn completed(mut self) -> Result<Self> {
        if !(1..=MOST_RATE).contains(&self.rate) {
            return Err(Error::config("rate", format!("must be 1 to {MOST_RATE} samples a second, found {}", self.rate)));
        }
        if !(1..=64).contains(&self.channels) {
            return Err(Error::config("channels", format!("must be 1 (the mean of all) to 64, found {}", self.channels)));
        }
        let most = MOST_SAMPLES / self.channels;
        // Not a number and negative ones become 0.
        if !(1..=most).contains(&self.samples()) {
            let problem = format!("must make 1 to {most} samples at a rate of {}, found {}", self.rate, self.seconds);
            return Err(Error::config("seconds", problem));
        }
        if let Some(level) = self.loudness.filter(|level| !(-100.0..=0.0).contains(level)) {
            return Err(Error::config("loudness", format!("must be -100 to 0 decibels of full scale, such as -26, found {level}")));
        }
        self.augment.validate()?;
        let (n_fft, hop, mels) = match self.rate {
            ..12_000 => (256, 128, 40),
            12_000..20_000 => (400, 160, 64),
            20_000..32_000 => (512, 256, 64),
            // As long in time at 192 kHz as at 96 kHz: the lowest bands would hold no frequency otherwise.
            rate => {
                let times = rate.div_ceil(96_000).next_power_of_two() as usize;
                (1024 * times, 512 * times, 64)
            }
        };
        let needless = |given: bool, field: &str, form: &str| match given {
            true => Err(Error::config(field, format!("is no setting of `features = \"{form}\"`; leave it out"))),
            false => Ok(()),
        };
        match self.features {
            Features::Waveform => {
                needless(self.n_fft.is_some(), "n_fft", "waveform")?;
                needless(self.hop.is_some(), "hop", "waveform")?;
                needless(self.augment.masks(), "augment.time_masks, augment.frequency_masks", "waveform")?;
            }
            Features::LogStft | Features::LogMel => {
                self.hop.get_or_insert(hop.min(self.n_fft.unwrap_or(hop)));
                self.n_fft.get_or_insert(n_fft);
            }
        }
        match self.features {
            Features::LogMel => {
                self.mels.get_or_insert(mels);
                self.low.get_or_insert(0.0);
                self.high.get_or_insert(f64::from(self.rate) / 2.0);
            }
            Features::LogStft | Features::Waveform => {
                let form = if self.features == Features::LogStft { "log_stft" } else { "waveform" };
                needless(self.mels.is_some(), "mels", form)?;
                needless(self.low.is_some() || self.high.is_some(), "low, high", form)?;
            }
        }
        Ok(self)
    }

    /// How many samples every sound is made.
    pub fn samples(&self) -> usize {
        (self.seconds * f64::from(self.rate)).round() as usize
    }
}
