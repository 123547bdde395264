//! Random changes of training sounds.

use super::{noise, resample::resample};
use crate::error::{Error, Result};
use crate::rng::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Steps of a speed: drawn ones are rounded to 1 / 200, for which the filter is small.
const SPEED_STEPS: u32 = 200;

/// Frequencies from 0 to half of the rate at which the gains of the equalizer are drawn; between them the gain in decibels is linear.
const EQUALIZER_POINTS: usize = 5;

/// Which random changes training sounds get, in the order of the fields; by default none. Channels of one sound change alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Least and largest speed: 1.1 is a tenth faster, shorter and higher. `[1, 1]`: as it is.
    pub speed: [f64; 2],
    /// Largest shift in seconds, either way: later, with silence in front, or earlier, with the beginning cut off; by half of the sound at
    /// most.
    pub shift: f64,
    /// Largest gain of a frequency in decibels, up or down, in a smooth curve over all frequencies: other microphones and other rooms.
    pub equalizer: f64,
    /// Probability of noise, white or pink alike often.
    pub noise: f64,
    /// Least and largest ratio of sound to noise in decibels.
    pub noise_decibels: [f64; 2],
    /// Least and largest amplification in decibels.
    pub gain_decibels: [f64; 2],
    /// How many masks over neighbouring frames a spectrogram gets; what is masked becomes the mean of what is filled.
    pub time_masks: usize,
    /// Largest share of the frames that one covers.
    pub time_mask: f64,
    /// How many masks over neighbouring bands or bins it gets.
    pub frequency_masks: usize,
    /// Largest share of the bands that one covers.
    pub frequency_mask: f64,
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            speed: [1.0; 2],
            shift: 0.0,
            equalizer: 0.0,
            noise: 0.0,
            noise_decibels: [10.0, 30.0],
            gain_decibels: [0.0; 2],
            time_masks: 0,
            time_mask: 0.15,
            frequency_masks: 0,
            frequency_mask: 0.2,
        }
    }
}

impl Augment {
    /// For spoken words of speakers who are not in the training data: speed (which also moves pitch and formants, as another speaker does),
    /// place, noise, loudness and masks of both kinds.
    pub fn speech() -> Self {
        Self {
            speed: [0.85, 1.15],
            shift: 0.05,
            noise: 0.5,
            gain_decibels: [-6.0, 6.0],
            time_masks: 1,
            frequency_masks: 2,
            ..Self::default()
        }
    }

    /// Whether a spectrogram is masked.
    pub fn masks(&self) -> bool {
        self.time_masks > 0 || self.frequency_masks > 0
    }

    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field: &str, problem: String| Err(Error::config(format!("augment.{field}"), problem));
        let ranges = [
            ("speed", self.speed, 0.5, 2.0),
            ("noise_decibels", self.noise_decibels, -100.0, 100.0),
            ("gain_decibels", self.gain_decibels, -100.0, 100.0),
        ];
        for (field, [least, most], from, to) in ranges {
            if !(from <= least && least <= most && most <= to) {
                let problem = format!("must be [least, largest] with {from} <= least <= largest <= {to}, found [{least}, {most}]");
                return refuse(field, problem);
            }
        }
        for (field, share) in [("noise", self.noise), ("time_mask", self.time_mask), ("frequency_mask", self.frequency_mask)] {
            if !(0.0..=1.0).contains(&share) {
                return refuse(field, format!("must lie between 0 and 1, found {share}"));
            }
        }
        if !(0.0..=60.0).contains(&self.shift) {
            return refuse("shift", format!("must be 0 to 60 seconds, found {}", self.shift));
        }
        if !(0.0..=40.0).contains(&self.equalizer) {
            return refuse("equalizer", format!("must be 0 to 40 decibels, found {}", self.equalizer));
        }
        for (field, count) in [("time_masks", self.time_masks), ("frequency_masks", self.frequency_masks)] {
            if count > 100 {
                return refuse(field, format!("must be at most 100, found {count}"));
            }
        }
        Ok(())
    }

    /// Changes a sound; all draws but those of the equalizer and the noise itself are made whether they are used or not, so that none
    /// shifts another.
    pub fn apply(&self, samples: &mut Vec<f32>, rate: u32, rng: &mut Rng) {
        let mut within = |[least, most]: [f64; 2]| least + (most - least) * rng.random::<f64>();
        let speed = within(self.speed);
        let shift = within([-self.shift, self.shift]);
        let noisy = within([0.0, 1.0]) < self.noise;
        let pink = within([0.0, 1.0]) < 0.5;
        let decibels = within(self.noise_decibels);
        let gain = 10f64.powf(within(self.gain_decibels) / 20.0) as f32;

        let faster = (speed * f64::from(SPEED_STEPS)).round() as u32;
        if faster != SPEED_STEPS {
            *samples = resample(samples, faster, SPEED_STEPS);
        }
        let places = ((shift.abs() * f64::from(rate)).round() as usize).min(samples.len() / 2);
        match shift < 0.0 {
            true => drop(samples.drain(..places)),
            false => drop(samples.splice(0..0, std::iter::repeat_n(0.0, places))),
        }
        if self.equalizer > 0.0 {
            let gains: [f64; EQUALIZER_POINTS] = std::array::from_fn(|_| rng.random_range(-self.equalizer..=self.equalizer));
            noise::shape(samples, rate, |hertz| 10f64.powf(between(&gains, hertz / (f64::from(rate) / 2.0)) / 20.0));
        }
        if noisy {
            let noise = if pink { noise::pink(samples.len(), rate, rng) } else { noise::white(samples.len(), rng) };
            noise::add(samples, &noise, decibels);
        }
        if gain != 1.0 {
            samples.iter_mut().for_each(|x| *x *= gain);
        }
    }

    /// Masks a spectrogram, row-major `[bands, frames]`, of whose frames the first `filled` hold sound.
    pub fn mask(&self, spectrogram: &mut [f32], frames: usize, filled: usize, rng: &mut Rng) {
        if frames == 0 || spectrogram.is_empty() || !self.masks() {
            return;
        }
        let (bands, filled) = (spectrogram.len() / frames, filled.min(frames));
        let sum: f64 = spectrogram.chunks_exact(frames).flat_map(|band| &band[..filled]).map(|&x| f64::from(x)).sum();
        let mean = (sum / (bands * filled).max(1) as f64) as f32;
        let mut stretch = |count: usize, share: f64| {
            let width = ((count as f64 * share + 1.0) * rng.random::<f64>()) as usize;
            let first = ((count - width.min(count) + 1) as f64 * rng.random::<f64>()) as usize;
            first..first + width.min(count)
        };
        for _ in 0..self.time_masks {
            let masked = stretch(filled, self.time_mask);
            spectrogram.chunks_exact_mut(frames).for_each(|band| band[masked.clone()].fill(mean));
        }
        for _ in 0..self.frequency_masks {
            let masked = stretch(bands, self.frequency_mask);
            spectrogram[masked.start * frames..masked.end * frames].chunks_exact_mut(frames).for_each(|band| band[..filled].fill(mean));
        }
    }
}

/// The value at `place` (0 to 1) of evenly spaced points, linear between them.
fn between(points: &[f64; EQUALIZER_POINTS], place: f64) -> f64 {
    let place = place.clamp(0.0, 1.0) * (points.len() - 1) as f64;
    let left = (place as usize).min(points.len() - 2);
    points[left] + (points[left + 1] - points[left]) * (place - left as f64)
}
