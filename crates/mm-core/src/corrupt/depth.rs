//! How depth sensors degrade: families of corruption of depth maps in metres, where 0 is no reading.

use super::image::square;
use super::{Corruption, Family};
use crate::error::Result;
use crate::rng::{Rng, standard_normal};
use rand::RngExt;

/// The families of depth maps.
pub const DEPTH_FAMILIES: &[Family] =
    &[Family::RangeNoise, Family::MissingPixels, Family::Holes, Family::ShortRange, Family::Quantized, Family::Occlusion];

/// Corrupts a depth map `[1, height, width]`, or `[2, height, width]` whose second channel says where there is a reading, in place. What
/// has no reading gets none. The draws do not depend on the severity. A family of other sensors is refused.
pub fn corrupt_depth(map: &mut [f32], height: usize, width: usize, corruption: Corruption, random: &mut Rng) -> Result<()> {
    let area = height * width;
    if area == 0 || map.len() < area {
        return Ok(());
    }
    let strength = corruption.strength();
    let (depth, valid) = map.split_at_mut(area);
    match corruption.family {
        Family::RangeNoise => {
            let noise = standard_normal(random, area);
            // Noise makes no reading of none; what it puts behind the sensor is none.
            let readings = depth.iter_mut().zip(noise).filter(|(z, _)| **z > 0.0);
            readings.for_each(|(z, noise)| *z = (*z + strength * *z * *z * noise).max(0.0));
        }
        Family::MissingPixels => depth.iter_mut().for_each(|z| {
            if random.random::<f32>() < strength {
                *z = 0.0;
            }
        }),
        Family::Holes => {
            let heights = hills(height, width, random);
            lowest(&heights, 0..area, strength).into_iter().for_each(|at| depth[at] = 0.0);
        }
        Family::ShortRange => {
            let nearness: Vec<f32> = depth.iter().map(|z| -z).collect();
            let readings = (0..area).filter(|&at| depth[at] > 0.0);
            lowest(&nearness, readings, strength).into_iter().for_each(|at| depth[at] = 0.0);
        }
        Family::Quantized => {
            for z in depth.iter_mut().filter(|z| **z > 0.0) {
                *z = (*z / strength).round().max(1.0) * strength;
            }
        }
        Family::Occlusion => {
            let [rows, columns] = square(height, width, strength, [random.random(), random.random()]);
            rows.for_each(|row| depth[row * width..][columns.clone()].fill(0.0));
        }
        _ => return Err(corruption.unknown_to("depth", DEPTH_FAMILIES)),
    }
    valid.iter_mut().zip(depth).for_each(|(valid, z)| *valid = if *z > 0.0 { 1.0 } else { 0.0 });
    Ok(())
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
