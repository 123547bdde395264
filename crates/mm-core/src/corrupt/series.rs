//! How sensors degrade that give values over time: families of corruption of `[channels, time]`, in the units of the sensor.

use super::{Corruption, Family};
use crate::error::Result;
use crate::rng::Rng;
use rand::RngExt;
use rand::seq::SliceRandom;

/// The families of series.
pub const SERIES_FAMILIES: &[Family] = &[Family::Drift, Family::Frozen, Family::DropOuts, Family::Jitter, Family::ClockShift];

/// Gaps of a series, at most.
const GAPS: usize = 20;

/// Corrupts a series in place, `time` values a channel; its length stays. The draws do not depend on the severity: a higher one hits the
/// same times and more, or the same way and harder. A family of other sensors is refused.
///
/// ```
/// use mm_core::corrupt::{Corruption, Family, corrupt_series};
/// let mut series: Vec<f64> = (0..100).map(f64::from).collect();
/// corrupt_series(&mut series, 100, Corruption::new(Family::Frozen, 5)?, &mut mm_core::rng::stream(0, "example", &[]))?;
/// assert_eq!(series.windows(2).filter(|pair| pair[0] == pair[1]).count(), 90);
/// # Ok::<(), mm_core::Error>(())
/// ```
pub fn corrupt_series(series: &mut [f64], time: usize, corruption: Corruption, random: &mut Rng) -> Result<()> {
    if time == 0 || series.is_empty() {
        return Ok(());
    }
    let strength = f64::from(corruption.strength());
    let share = (strength * time as f64).round() as usize;
    match corruption.family {
        Family::Drift => {
            for channel in series.chunks_mut(time) {
                let end = if random.random() { strength } else { -strength } * deviation(channel);
                let slope = end / (time - 1).max(1) as f64;
                channel.iter_mut().enumerate().for_each(|(t, x)| *x += slope * t as f64);
            }
        }
        Family::Frozen => {
            // A longer time begins no later and ends no earlier, and leaves a value to stay at.
            let share = share.min(time - 1);
            let first = 1 + (random.random::<f64>() * (time - 1 - share) as f64).round() as usize;
            for channel in series.chunks_mut(time) {
                let stays = channel[first - 1];
                channel[first..first + share].fill(stays);
            }
        }
        Family::DropOuts => {
            let gap = time.div_ceil(GAPS);
            let mut gaps: Vec<usize> = (0..time).step_by(gap).collect();
            let silent = (strength * gaps.len() as f64).round() as usize;
            gaps.shuffle(random);
            for channel in series.chunks_mut(time) {
                gaps.iter().take(silent).for_each(|&from| channel[from..(from + gap).min(time)].fill(0.0));
            }
        }
        Family::Jitter => {
            let off: Vec<f64> = (0..time).map(|_| random.random_range(-1.0..=1.0)).collect();
            for channel in series.chunks_mut(time) {
                let clean = channel.to_vec();
                channel.iter_mut().enumerate().for_each(|(t, x)| *x = between(&clean, t as f64 + strength * off[t]));
            }
        }
        Family::ClockShift => {
            let late: bool = random.random();
            for channel in series.chunks_mut(time) {
                let clean = channel.to_vec();
                let at = |t: usize| if late { t.saturating_sub(share) } else { (t + share).min(time - 1) };
                channel.iter_mut().enumerate().for_each(|(t, x)| *x = clean[at(t)]);
            }
        }
        _ => return Err(corruption.unknown_to("series", SERIES_FAMILIES)),
    }
    Ok(())
}

fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// The value at a time between two steps; before the first and behind the last, that.
fn between(values: &[f64], time: f64) -> f64 {
    let time = time.clamp(0.0, (values.len() - 1) as f64);
    let (step, part) = (time as usize, time.fract());
    let next = values[(step + 1).min(values.len() - 1)];
    // Exact on a step, also beside a value that is not finite.
    if part == 0.0 { values[step] } else { values[step] * (1.0 - part) + next * part }
}
