//! Random changes of training series.

use crate::error::{Error, Result};
use crate::rng::Rng;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// Which random changes training series get, in the order of the fields; by default none. The channels of a series change alike, but for
/// noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesAugment {
    /// Least and largest speed: 1.1 is a tenth faster and shorter. `[1, 1]`: as it is.
    pub speed: [f64; 2],
    /// Least share of the steps that is kept, a part at a random place; 1: all.
    pub crop: f64,
    /// Largest shift in steps, either way; the value at the end that it moves away from fills what is left open.
    pub shift: usize,
    /// Least and largest factor of all values.
    pub scale: [f64; 2],
    /// Largest angle in degrees by which the axes of a sensor are turned, about an axis drawn for the series: channels are taken in threes, as
    /// x, y and z.
    pub rotation: f64,
    /// Deviation of normal noise, as a share of the deviation that the channel has in this series.
    pub jitter: f64,
    /// Deviation of normal noise, in the unit of the values.
    pub noise: f64,
    /// How many masks over neighbouring steps; what is masked becomes the mean of its channel.
    pub time_masks: usize,
    /// Largest share of the steps that one covers.
    pub time_mask: f64,
}

impl Default for SeriesAugment {
    fn default() -> Self {
        Self {
            speed: [1.0; 2],
            crop: 1.0,
            shift: 0,
            scale: [1.0; 2],
            rotation: 0.0,
            jitter: 0.0,
            noise: 0.0,
            time_masks: 0,
            time_mask: 0.15,
        }
    }
}

impl SeriesAugment {
    /// Refuses settings that cannot work; `channels` is how many a series has.
    pub fn validate(&self, channels: usize) -> Result<()> {
        let refuse = |field: &str, problem: String| Err(Error::config(format!("augment.{field}"), problem));
        for (field, [least, most], from, to) in [("speed", self.speed, 0.25, 4.0), ("scale", self.scale, 0.0, 100.0)] {
            if !(from <= least && least <= most && most <= to) {
                let problem = format!("must be [least, largest] with {from} <= least <= largest <= {to}, found [{least}, {most}]");
                return refuse(field, problem);
            }
        }
        if !(self.crop > 0.0 && self.crop <= 1.0) {
            return refuse("crop", format!("is the least share of the steps that is kept: above 0 and at most 1, found {}", self.crop));
        }
        if !(0.0..=180.0).contains(&self.rotation) {
            return refuse("rotation", format!("must be 0 to 180 degrees, found {}", self.rotation));
        }
        if self.rotation > 0.0 && !channels.is_multiple_of(3) {
            let problem = format!("turns axes x, y and z, so the channels must be 3, 6 or another multiple of 3; there are {channels}");
            return refuse("rotation", problem);
        }
        for (field, deviation) in [("jitter", self.jitter), ("noise", self.noise)] {
            if !(deviation >= 0.0 && deviation.is_finite()) {
                return refuse(field, format!("must be 0 or a number above, found {deviation}"));
            }
        }
        if self.time_masks > 100 {
            return refuse("time_masks", format!("must be at most 100, found {}", self.time_masks));
        }
        match (0.0..=1.0).contains(&self.time_mask) {
            true => Ok(()),
            false => refuse("time_mask", format!("must lie between 0 and 1, found {}", self.time_mask)),
        }
    }

    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        *self != Self { time_mask: self.time_mask, ..Self::default() }
            && (self.time_masks == 0 || self.time_mask > 0.0 || self.changes_more())
    }

    fn changes_more(&self) -> bool {
        Self { time_masks: 0, time_mask: 0.15, ..*self } != Self::default()
    }

    /// Changes a series, a list of values a channel, all of one length. All draws are made whether they are used or not, so that none shifts
    /// another: two series change alike by equal draws. Those of the noise are its `own`.
    pub fn apply(&self, channels: &mut [Vec<f64>], rng: &mut Rng, own: &mut Rng) {
        let mut within = |[least, most]: [f64; 2]| least + (most - least) * rng.random::<f64>();
        let speed = within(self.speed);
        let (kept, place) = (within([self.crop, 1.0]), within([0.0, 1.0]));
        let shift = within([-(self.shift as f64), self.shift as f64]).round() as i64;
        let scale = within(self.scale);
        let (height, around) = (within([-1.0, 1.0]), within([0.0, std::f64::consts::TAU]));
        let angle = within([-self.rotation, self.rotation]).to_radians();
        let masks: Vec<[f64; 2]> = (0..self.time_masks).map(|_| [within([0.0, self.time_mask]), within([0.0, 1.0])]).collect();

        let steps = channels.first().map_or(0, Vec::len);
        if steps == 0 {
            return;
        }
        let length = ((steps as f64 / speed).round() as usize).max(1);
        let left = ((length as f64 * kept).round() as usize).clamp(1, length);
        let first = ((length - left) as f64 * place).round() as usize;
        for channel in channels.iter_mut() {
            if length != steps {
                *channel = at_speed(channel, length);
            }
            channel.truncate(first + left);
            channel.drain(..first);
            shifted(channel, shift);
            if scale != 1.0 {
                channel.iter_mut().for_each(|x| *x *= scale);
            }
        }
        if self.rotation > 0.0 {
            // An axis uniform on the sphere.
            let radius = (1.0 - height * height).max(0.0).sqrt();
            let turn = rotation([radius * around.cos(), radius * around.sin(), height], angle);
            for triple in channels.chunks_exact_mut(3) {
                let [xs, ys, zs] = triple else { continue };
                for ((x, y), z) in xs.iter_mut().zip(ys).zip(zs) {
                    let along = |axis: [f64; 3]| axis[0] * *x + axis[1] * *y + axis[2] * *z;
                    (*x, *y, *z) = (along(turn[0]), along(turn[1]), along(turn[2]));
                }
            }
        }
        for channel in channels.iter_mut() {
            let mean = channel.iter().sum::<f64>() / left as f64;
            if self.jitter > 0.0 || self.noise > 0.0 {
                let deviation = (channel.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / left as f64).sqrt();
                let deviation = (self.jitter * deviation).hypot(self.noise);
                channel.iter_mut().for_each(|x| *x += deviation * Distribution::<f64>::sample(&StandardNormal, own));
            }
            for &[share, place] in &masks {
                let width = (left as f64 * share).round() as usize;
                let first = ((left - width) as f64 * place).round() as usize;
                channel[first..first + width].fill(mean);
            }
        }
    }
}

/// A series brought to `length` values, by straight lines between neighbours.
fn at_speed(series: &[f64], length: usize) -> Vec<f64> {
    let last = series.len() - 1;
    let step = last as f64 / (length - 1).max(1) as f64;
    let value = |i: usize| {
        let place = i as f64 * step;
        let left = (place as usize).min(last);
        let right = (left + 1).min(last);
        series[left] + (series[right] - series[left]) * (place - left as f64)
    };
    (0..length).map(value).collect()
}

/// Moves a series to later (above 0) or earlier steps.
fn shifted(series: &mut [f64], by: i64) {
    let steps = series.len();
    let places = (by.unsigned_abs() as usize).min(steps - 1);
    if by > 0 {
        series.copy_within(..steps - places, places);
        let first = series[0];
        series[..places].fill(first);
    } else {
        series.copy_within(places.., 0);
        let last = series[steps - 1 - places];
        series[steps - places..].fill(last);
    }
}

/// The matrix that turns by `angle` about a unit vector (Rodrigues).
fn rotation([x, y, z]: [f64; 3], angle: f64) -> [[f64; 3]; 3] {
    let (s, c) = angle.sin_cos();
    let d = 1.0 - c;
    [
        [c + x * x * d, x * y * d - z * s, x * z * d + y * s],
        [y * x * d + z * s, c + y * y * d, y * z * d - x * s],
        [z * x * d - y * s, z * y * d + x * s, c + z * z * d],
    ]
}
