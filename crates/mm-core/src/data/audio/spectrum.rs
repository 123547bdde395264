//! Short-time spectra: frames of a sound under a Hann window, their magnitudes, and bands of the mel scale.

use super::AudioError;
use super::fourier::RealFft;
use crate::error::{Error, Result};
use rustfft::num_complex::Complex32;
use std::f64::consts::PI;

/// A short-time Fourier transform as `torch.stft` has it: a periodic Hann window as long as the transform, frames centred at multiples of the
/// hop, the sound mirrored at both ends.
///
/// Frame t, bin b: `X[b, t] = sum over n of w[n] x[t hop + n - n_fft / 2] exp(-2πi b n / n_fft)`, `w[n] = (1 - cos(2π n / n_fft)) / 2`.
#[derive(Clone)]
pub struct Stft {
    hop: usize,
    window: Vec<f32>,
    transform: RealFft,
}

impl Stft {
    /// With transforms of `n_fft` samples (at least 2), every `hop` samples (at least 1).
    pub fn new(n_fft: usize, hop: usize) -> Result<Self> {
        if !(2..=MOST_FFT).contains(&n_fft) {
            return Err(Error::config("n_fft", format!("must be 2 to {MOST_FFT} samples, found {n_fft}")));
        }
        if !(1..=n_fft).contains(&hop) {
            return Err(Error::config("hop", format!("must be 1 to `n_fft` = {n_fft} samples, found {hop}: larger ones skip samples")));
        }
        let window = (0..n_fft).map(|n| (0.5 - 0.5 * (2.0 * PI * n as f64 / n_fft as f64).cos()) as f32).collect();
        Ok(Self { hop, window, transform: RealFft::forward(n_fft) })
    }

    /// Frequencies of a frame: `n_fft / 2 + 1`, bin b at `b rate / n_fft` Hz.
    pub fn bins(&self) -> usize {
        self.transform.bins()
    }

    /// Frames of so many samples: `1 + samples / hop`, rounded down (one sample less where `n_fft` is odd).
    pub fn frames(&self, samples: usize) -> usize {
        1 + samples.saturating_sub(self.window.len() % 2) / self.hop
    }

    /// The spectrum of each frame, one after the other.
    fn visit(&self, samples: &[f32], mut each: impl FnMut(usize, &[Complex32])) -> Result<()> {
        let half = self.window.len() / 2;
        if samples.len() <= half {
            return Err(
                AudioError::Short { what: "mirroring at the ends (n_fft / 2 + 1 samples)", least: half + 1, found: samples.len() }.into()
            );
        }
        let mirrored: Vec<f32> = (samples[1..=half].iter().rev())
            .chain(samples)
            .chain(samples[samples.len() - 1 - half..samples.len() - 1].iter().rev())
            .copied()
            .collect();
        let (mut frame, mut spectrum) = (vec![0.0; self.window.len()], vec![Complex32::ZERO; self.bins()]);
        let mut workspace = self.transform.workspace();
        let starts = mirrored.windows(self.window.len()).step_by(self.hop);
        for (t, part) in starts.enumerate() {
            frame.iter_mut().zip(part).zip(&self.window).for_each(|((y, x), w)| *y = x * w);
            self.transform.process(&frame, &mut spectrum, &mut workspace);
            each(t, &spectrum);
        }
        Ok(())
    }

    /// `ln(|X| + 1e-7)`, row-major `[bins, frames]`.
    pub fn log_magnitudes(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let frames = self.frames(samples.len());
        let mut output = vec![0.0; self.bins() * frames];
        self.visit(samples, |t, spectrum| {
            spectrum.iter().enumerate().for_each(|(b, x)| output[b * frames + t] = (x.norm_sqr().sqrt() + 1e-7).ln());
        })?;
        Ok(output)
    }
}

/// The longest transform.
const MOST_FFT: usize = 1 << 16;

/// Energies in bands of the mel scale, as torchaudio's `MelSpectrogram` has them: powers `|X|²`, triangles on the HTK scale
/// `mel(f) = 2595 log10(1 + f / 700)`, evenly spaced there and overlapping by half, each with a peak of 1.
#[derive(Clone)]
pub struct LogMel {
    stft: Stft,
    bands: Vec<Band>,
}

/// One triangle: the first bin with a weight, and the weights from there on.
#[derive(Clone)]
struct Band {
    first: usize,
    weights: Vec<f32>,
}

impl LogMel {
    /// So many bands from `low` to `high` Hz of sounds at `rate`.
    pub fn new(stft: Stft, rate: u32, mels: usize, low: f64, high: f64) -> Result<Self> {
        let half_rate = f64::from(rate) / 2.0;
        if !(0.0 <= low && low < high && high <= half_rate) {
            let problem = format!("must be 0 <= low < high <= {half_rate} (half the rate), found low = {low}, high = {high}");
            return Err(Error::config("low, high", problem));
        }
        if !(1..=stft.bins()).contains(&mels) {
            let problem = format!("must be 1 to {} (the frequencies of an `n_fft` of {}), found {mels}", stft.bins(), stft.window.len());
            return Err(Error::config("mels", problem));
        }
        let (from, to) = (mel(low), mel(high));
        let corner = |k: usize| hertz(from + (to - from) * k as f64 / (mels + 1) as f64);
        let band = |m: usize| {
            let (left, peak, right) = (corner(m), corner(m + 1), corner(m + 2));
            let weight = |b: usize| {
                let f = half_rate * b as f64 / (stft.window.len() / 2) as f64;
                ((f - left) / (peak - left)).min((right - f) / (right - peak)).max(0.0) as f32
            };
            let held: Vec<usize> = (0..stft.bins()).filter(|&b| weight(b) > 0.0).collect();
            match held[..] {
                [first, .., last] => Ok(Band { first, weights: (first..=last).map(weight).collect() }),
                [first] => Ok(Band { first, weights: vec![weight(first)] }),
                [] => Err(Error::config(
                    "mels",
                    format!(
                        "band {m} of {mels} ({left:.0} to {right:.0} Hz) holds no frequency of the transform; take fewer bands or a larger `n_fft`"
                    ),
                )),
            }
        };
        let bands = (0..mels).map(band).collect::<Result<_>>()?;
        Ok(Self { stft, bands })
    }

    /// How many bands there are.
    pub fn bands(&self) -> usize {
        self.bands.len()
    }

    /// Frames of so many samples.
    pub fn frames(&self, samples: usize) -> usize {
        self.stft.frames(samples)
    }

    /// `ln(energy + 1e-6)`, row-major `[bands, frames]`.
    pub fn log_energies(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let frames = self.frames(samples.len());
        let mut output = vec![0.0; self.bands.len() * frames];
        let mut powers = vec![0.0; self.stft.bins()];
        self.stft.visit(samples, |t, spectrum| {
            powers.iter_mut().zip(spectrum).for_each(|(power, x)| *power = x.norm_sqr());
            for (m, band) in self.bands.iter().enumerate() {
                let energy: f32 = powers[band.first..].iter().zip(&band.weights).map(|(power, weight)| power * weight).sum();
                output[m * frames + t] = (energy + 1e-6).ln();
            }
        })?;
        Ok(output)
    }
}

fn mel(hertz: f64) -> f64 {
    2595.0 * (1.0 + hertz / 700.0).log10()
}

fn hertz(mel: f64) -> f64 {
    700.0 * (10f64.powf(mel / 2595.0) - 1.0)
}
