//! How depth sensors degrade: families of corruption of depth maps in metres, where 0 is no reading.

use super::Severity;
use super::image::square;
use crate::rng::{Rng, standard_normal};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// A way for a depth map to degrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DepthFamily {
    /// Noise that grows with the square of the distance, as that of stereo and structured light does.
    RangeNoise,
    /// Single pixels without a reading.
    Dropout,
    /// Regions without a reading, as dark, shiny and transparent things leave.
    Holes,
    /// Far things give no reading.
    ShortRange,
    /// Coarse steps of depth.
    Quantized,
    /// Something in front of the sensor.
    Covered,
}

/// Each family with its name, what its strength measures, and the strength at severity 1 to 5.
pub const DEPTH_FAMILIES: [(DepthFamily, &str, &str, [f32; 5]); 6] = [
    (
        DepthFamily::RangeNoise,
        "range_noise",
        "noise with this standard deviation in metres at 1 m, four times that at 2 m, is added",
        [0.002, 0.005, 0.01, 0.025, 0.06],
    ),
    (DepthFamily::Dropout, "dropout", "this share of the pixels has no reading", [0.05, 0.15, 0.3, 0.5, 0.75]),
    (DepthFamily::Holes, "holes", "connected regions of this share of the area have no reading", [0.05, 0.1, 0.2, 0.35, 0.5]),
    (DepthFamily::ShortRange, "short_range", "this share of the readings, the farthest, is none", [0.1, 0.2, 0.35, 0.5, 0.7]),
    (DepthFamily::Quantized, "quantized", "depth is rounded to steps of so many metres", [0.02, 0.05, 0.1, 0.25, 0.5]),
    (DepthFamily::Covered, "covered", "a square of this share of the area has no reading", [0.05, 0.1, 0.2, 0.35, 0.5]),
];

impl DepthFamily {
    /// Its name, in reports and settings.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What [`DEPTH_FAMILIES`] says for a severity.
    pub fn strength(self, severity: Severity) -> f32 {
        self.row().3[usize::from(u8::from(severity)) - 1]
    }

    fn row(self) -> &'static (Self, &'static str, &'static str, [f32; 5]) {
        // The table has the order of the enum, and a test that it is whole.
        &DEPTH_FAMILIES[self as usize]
    }
}

/// Corrupts a depth map `[1, height, width]`, or `[2, height, width]` whose second channel says where there is a reading, in place. What
/// has no reading gets none. The draws do not depend on the severity.
pub fn corrupt_depth(map: &mut [f32], height: usize, width: usize, family: DepthFamily, severity: Severity, random: &mut Rng) {
    let area = height * width;
    if area == 0 || map.len() < area {
        return;
    }
    let strength = family.strength(severity);
    let (depth, valid) = map.split_at_mut(area);
    match family {
        DepthFamily::RangeNoise => {
            let noise = standard_normal(random, area);
            // Noise makes no reading of none; what it puts behind the sensor is none.
            let readings = depth.iter_mut().zip(noise).filter(|(z, _)| **z > 0.0);
            readings.for_each(|(z, noise)| *z = (*z + strength * *z * *z * noise).max(0.0));
        }
        DepthFamily::Dropout => depth.iter_mut().for_each(|z| {
            if random.random::<f32>() < strength {
                *z = 0.0;
            }
        }),
        DepthFamily::Holes => {
            let heights = hills(height, width, random);
            lowest(&heights, 0..area, strength).into_iter().for_each(|at| depth[at] = 0.0);
        }
        DepthFamily::ShortRange => {
            let nearness: Vec<f32> = depth.iter().map(|z| -z).collect();
            let readings = (0..area).filter(|&at| depth[at] > 0.0);
            lowest(&nearness, readings, strength).into_iter().for_each(|at| depth[at] = 0.0);
        }
        DepthFamily::Quantized => {
            for z in depth.iter_mut().filter(|z| **z > 0.0) {
                *z = (*z / strength).round().max(1.0) * strength;
            }
        }
        DepthFamily::Covered => {
            let [rows, columns] = square(height, width, strength, [random.random(), random.random()]);
            rows.for_each(|row| depth[row * width..][columns.clone()].fill(0.0));
        }
    }
    valid.iter_mut().zip(depth).for_each(|(valid, z)| *valid = if *z > 0.0 { 1.0 } else { 0.0 });
}

/// This share of some places: those with the lowest values, the earlier of equal ones.
fn lowest(values: &[f32], places: impl Iterator<Item = usize>, share: f32) -> Vec<usize> {
    let mut places: Vec<usize> = places.collect();
    let count = (f64::from(share) * places.len() as f64).round() as usize;
    places.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    places.truncate(count);
    places
}

/// Smooth random hills: uniform heights at the corners of 8 x 8 fields, bilinear in between.
fn hills(height: usize, width: usize, random: &mut Rng) -> Vec<f32> {
    const FIELDS: usize = 8;
    let corners: Vec<f32> = (0..(FIELDS + 1) * (FIELDS + 1)).map(|_| random.random()).collect();
    let place = |at: usize, side: usize| {
        let place = (at as f32 + 0.5) / side as f32 * FIELDS as f32;
        let field = (place as usize).min(FIELDS - 1);
        (field, place - field as f32)
    };
    let mut heights = Vec::with_capacity(height * width);
    for (row, down) in (0..height).map(|row| place(row, height)) {
        for (column, right) in (0..width).map(|column| place(column, width)) {
            let line = |row: usize| {
                let corners = &corners[row * (FIELDS + 1) + column..];
                corners[0] * (1.0 - right) + corners[1] * right
            };
            heights.push(line(row) * (1.0 - down) + line(row + 1) * down);
        }
    }
    heights
}
