//! Another rate: a sinc filter under a Hann window, evaluated where the new samples lie.

use std::f64::consts::PI;

/// Zero crossings of the sinc on either side, and the share of the lower half rate that passes: torchaudio's defaults.
const WIDTH: f64 = 6.0;
const ROLL_OFF: f64 = 0.99;

/// Samples at rate `from` as samples at rate `to`: `ceil(n to / from)` of them, the first at the time of the first.
///
/// Output i is the sum over inputs k of `x[k] h(i / to - k / from)` with `h(t) = (c / from) sinc(c t) cos²(π c t / 12)` for `|c t| < 6` and
/// `c = 0.99 min(from, to)`, which are the values of `torchaudio.functional.resample`; outside, the sound is silent. Because every output is
/// computed at its own time, nothing is delayed, not by a part of a sample either.
///
/// A rate of 0 gives no samples.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to {
        return samples.to_vec();
    }
    let length = resampled_length(samples.len(), from, to);
    if length == 0 {
        return Vec::new();
    }
    let divisor = gcd(from, to);
    let (from, to) = ((from / divisor) as usize, (to / divisor) as usize);
    // Output i = q to + p lies at input q from + p from / to: its place between two inputs depends on p alone.
    let phases: Vec<Vec<f32>> = (0..to.min(length)).map(|p| taps(from, to, p)).collect();
    let behind = reach(from, to) - 1;
    let output = |i: usize| {
        let (q, p) = (i / to, i % to);
        let (first, taps) = (q * from + p * from / to, &phases[p]);
        // Input `first - behind` meets the first tap.
        let cut = behind.saturating_sub(first);
        let inputs = samples.get((first + cut).saturating_sub(behind)..).unwrap_or_default();
        inputs.iter().zip(&taps[cut.min(taps.len())..]).map(|(x, h)| x * h).sum()
    };
    (0..length).map(output).collect()
}

/// How many samples [`resample`] makes of so many.
pub fn resampled_length(length: usize, from: u32, to: u32) -> usize {
    (length as u128 * u128::from(to)).div_ceil(u128::from(from.max(1))).min(usize::MAX as u128) as usize * usize::from(from > 0)
}

/// How many inputs on one side of an output the filter reaches.
fn reach(from: usize, to: usize) -> usize {
    (WIDTH * from as f64 / (from.min(to) as f64 * ROLL_OFF)).ceil() as usize + 1
}

/// The filter's values at the inputs around an output that lies p from / to (its fraction) behind one of them.
fn taps(from: usize, to: usize, p: usize) -> Vec<f32> {
    let cutoff = ROLL_OFF * from.min(to) as f64 / from as f64;
    let fraction = (p * from % to) as f64 / to as f64;
    let reach = reach(from, to) as isize;
    let tap = |k: isize| {
        let t = cutoff * (k as f64 - fraction);
        if t.abs() >= WIDTH {
            return 0.0;
        }
        let sinc = if t == 0.0 { 1.0 } else { (PI * t).sin() / (PI * t) };
        cutoff * sinc * (PI * t / WIDTH / 2.0).cos().powi(2)
    };
    (1 - reach..=reach).map(|k| tap(k) as f32).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
