//! Noise of known spectra, and how much of it is mixed into a sound.

use super::fourier::filter;
use crate::rng::{Rng, standard_normal};
use rand::RngExt;
use std::f64::consts::TAU;

/// Voices of babble.
const TALKERS: usize = 6;

/// White noise: the same power at all frequencies.
pub fn white(count: usize, rng: &mut Rng) -> Vec<f32> {
    standard_normal(rng, count)
}

/// Pink noise: power falls by 3 dB an octave, from 20 Hz on.
pub fn pink(count: usize, rate: u32, rng: &mut Rng) -> Vec<f32> {
    let mut noise = white(count, rng);
    shape(&mut noise, rate, |hertz| hertz.max(20.0).powf(-0.5));
    noise
}

/// Noise that is like many voices at once: six talkers, each white noise shaped as the long-term spectrum of speech (even from 100 to 500 Hz,
/// falling by 12 dB an octave below and 9 dB above) that swells and fades 2 to 6 times a second, as syllables do. It is made, not recorded.
pub fn babble(count: usize, rate: u32, rng: &mut Rng) -> Vec<f32> {
    let mut sum = vec![0.0; count];
    for _ in 0..TALKERS {
        let waves: [(f64, f64); 3] = std::array::from_fn(|_| (rng.random_range(2.0..6.0), rng.random_range(0.0..TAU)));
        let mut voice = white(count, rng);
        shape(&mut voice, rate, |hertz| if hertz < 100.0 { (hertz / 100.0).powi(2) } else { (hertz.max(500.0) / 500.0).powf(-1.5) });
        for (i, (sum, sample)) in sum.iter_mut().zip(voice).enumerate() {
            let seconds = i as f64 / f64::from(rate);
            let loudness: f64 = waves.iter().map(|(hertz, phase)| (TAU * hertz * seconds + phase).sin()).sum();
            *sum += loudness.max(0.0) as f32 * sample;
        }
    }
    sum
}

/// Multiplies each frequency (in Hz) of a sound by a factor. The sound is taken as silent outside, and nothing is delayed.
pub fn shape(samples: &mut [f32], rate: u32, factor: impl Fn(f64) -> f64) {
    let size = samples.len().next_power_of_two().max(2);
    let mut padded = vec![0.0; size];
    padded[..samples.len()].copy_from_slice(samples);
    filter(&mut padded, |bin| factor(bin as f64 * f64::from(rate) / size as f64));
    samples.copy_from_slice(&padded[..samples.len()]);
}

/// Mean of the squares.
pub fn power(samples: &[f32]) -> f64 {
    samples.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

/// Adds noise at so many decibels below the sound: `10 log10(power(sound) / power(noise added))` is `decibels`. Silence stays silent.
pub fn add(samples: &mut [f32], noise: &[f32], decibels: f64) {
    let ratio = power(samples) / power(noise) / 10f64.powf(decibels / 10.0);
    if ratio.is_finite() {
        let scale = ratio.sqrt() as f32;
        samples.iter_mut().zip(noise).for_each(|(x, n)| *x += scale * n);
    }
}
