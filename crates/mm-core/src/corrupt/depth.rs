//! How depth sensors degrade: families of corruption of depth maps in metres, where 0 is no reading.

use super::field::{hills, lowest, shift_of, shifted};
use super::image::{blur, square};
use super::{Corruption, Family};
use crate::data::widened;
use crate::error::Result;
use crate::rng::{Rng, standard_normal};
use rand::RngExt;

/// The families of depth maps.
pub const DEPTH_FAMILIES: &[Family] = &[
    Family::RangeNoise,
    Family::MissingPixels,
    Family::Holes,
    Family::EdgeHoles,
    Family::ShortRange,
    Family::Quantized,
    Family::GaussianBlur,
    Family::Occlusion,
    Family::Misalignment,
];

/// Neighbours of which one is so much farther than the other lie at an edge.
const EDGE: f32 = 0.1;
/// Hills along a side of a map, of which holes are the valleys.
const HILLS: usize = 8;

/// Corrupts a depth map `[1, height, width]`, or `[2, height, width]` whose second channel says where there is a reading, in place. What
/// has no reading gets none, unless all of the map moves. The draws do not depend on the severity. A family of other sensors is refused.
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
            let heights = hills(height, width, HILLS, random);
            lowest(&heights, 0..area, strength).into_iter().for_each(|at| depth[at] = 0.0);
        }
        Family::EdgeHoles => {
            let near = widened(&edges(depth, height, width), height, width, strength as usize - 1);
            depth.iter_mut().zip(near).filter(|(_, near)| *near).for_each(|(z, _)| *z = 0.0);
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
        Family::GaussianBlur => {
            // Of the readings only: their sum over that of their weights.
            let mut weights: Vec<f32> = depth.iter().map(|z| if *z > 0.0 { 1.0 } else { 0.0 }).collect();
            let readings = weights.clone();
            let sigma = strength * height.min(width) as f32;
            blur(depth, height, width, sigma);
            blur(&mut weights, height, width, sigma);
            let of_reading = depth.iter_mut().zip(weights).zip(readings);
            of_reading.for_each(|((z, weight), reading)| *z = if reading > 0.0 { *z / weight } else { 0.0 });
        }
        Family::Occlusion => {
            let [rows, columns] = square(height, width, strength, [random.random(), random.random()]);
            rows.for_each(|row| depth[row * width..][columns.clone()].fill(0.0));
        }
        Family::Misalignment => shifted(depth, height, width, shift_of(strength, random), Some(0.0)),
        _ => return Err(corruption.unknown_to("depth", DEPTH_FAMILIES)),
    }
    valid.iter_mut().zip(depth).for_each(|(valid, z)| *valid = if *z > 0.0 { 1.0 } else { 0.0 });
    Ok(())
}

/// Which pixels have a neighbour, to the right, to the left, above or below, that is much nearer or farther. What has no reading makes no
/// edge.
fn edges(depth: &[f32], height: usize, width: usize) -> Vec<bool> {
    let mut edges = vec![false; depth.len()];
    for at in 0..height * width {
        let (right, below) = ((at % width + 1 < width).then(|| at + 1), (at / width + 1 < height).then(|| at + width));
        for next in [right, below].into_iter().flatten() {
            let (near, far) = (depth[at].min(depth[next]), depth[at].max(depth[next]));
            if near > 0.0 && far > near * (1.0 + EDGE) {
                (edges[at], edges[next]) = (true, true);
            }
        }
    }
    edges
}
