//! Images that look alike: copies of another size, quality or brightness.
//!
//! Each image is made grey and 16 x 16, and the 256 levels a vector of mean 0 and length 1. Two images look alike if these vectors are
//! nearer than [`NEAR`], which is a correlation of 0.995. Near vectors are near in every coordinate, also after a rotation, so the search
//! goes through a grid over four coordinates (the slowest waves of a cosine transform, in which images differ most) instead of all pairs.

use crate::data::image::{Alpha, Bitmap, Fit, ImageChannels, ImageError, resize};
use rayon::prelude::*;
use std::collections::HashMap;
use std::f32::consts::PI;

const SIDE: usize = 16;
const LEVELS: usize = SIDE * SIDE;
/// Largest distance of two images that look alike; a correlation of 0.995.
pub(super) const NEAR: f32 = 0.1;
/// Images whose levels deviate less have no structure to compare.
const FLAT: f32 = 0.01;
/// The number that stands for 1.
const ONE: f32 = 32_767.0;
/// Of each image so many later ones are looked for at most: frames of a film that stands still are all alike.
const MOST_OF_ONE: usize = 8;

/// An image as a vector of mean 0 and length 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(Box<[i16; LEVELS]>);

impl Signature {
    /// Of an image; `None` if it has no structure.
    pub fn of(bitmap: &Bitmap) -> Result<Option<Self>, ImageError> {
        let gray = bitmap.clone().flattened(ImageChannels::Gray, Alpha::White);
        let levels = resize(&gray, 1, [SIDE; 2], Fit::Stretch, 0.0)?;
        let mean = levels.iter().sum::<f32>() / LEVELS as f32;
        let length = levels.iter().map(|x| (x - mean).powi(2)).sum::<f32>().sqrt();
        let deviation = length / (LEVELS as f32).sqrt();
        if !deviation.is_finite() || deviation <= FLAT {
            return Ok(None);
        }
        let mut signature = Box::new([0; LEVELS]);
        signature.iter_mut().zip(&levels).for_each(|(to, x)| *to = ((x - mean) / length * ONE).round() as i16);
        Ok(Some(Self(signature)))
    }

    /// The distance from another one, if it is below a limit.
    fn within(&self, other: &Self, limit: f32) -> Option<f32> {
        let most = (limit * ONE).powi(2);
        let mut sum = 0.0;
        for (a, b) in self.0.chunks_exact(64).zip(other.0.chunks_exact(64)) {
            sum += a.iter().zip(b).map(|(&a, &b)| (f32::from(a) - f32::from(b)).powi(2)).sum::<f32>();
            if sum > most {
                return None;
            }
        }
        Some(sum.sqrt() / ONE)
    }
}

/// Two images that look alike, by position, and how far apart they are: from 0 to [`NEAR`].
pub(super) type Pair = (usize, usize, f32);

/// The pairs that look alike, nearest first, but of each image not more than a few with later ones.
pub(super) fn pairs(signatures: &[&Signature]) -> Vec<Pair> {
    let waves = [(0, 1), (1, 0), (0, 2), (2, 0)].map(|(down, across)| wave(down, across));
    let coordinates: Vec<[f32; 4]> = signatures.par_iter().map(|s| waves.each_ref().map(|wave| project(s, wave))).collect();
    let cell = |coordinates: &[f32; 4]| coordinates.map(|x| (x / NEAR).floor() as i16);
    let mut cells: HashMap<[i16; 4], Vec<usize>> = HashMap::new();
    coordinates.iter().enumerate().for_each(|(at, c)| cells.entry(cell(c)).or_default().push(at));
    let later = |at: usize| {
        let own = cell(&coordinates[at]);
        let mut found: Vec<Pair> = Vec::new();
        for offset in 0..81 {
            let neighbour = std::array::from_fn(|d| own[d] + (offset / 3i16.pow(d as u32) % 3) - 1);
            // Cells are filled in ascending order.
            let others = cells.get(&neighbour).map_or(&[][..], |all| &all[all.partition_point(|&other| other <= at)..]);
            for &other in others {
                let apart = coordinates[at].iter().zip(&coordinates[other]).any(|(a, b)| (a - b).abs() > NEAR);
                if let (false, Some(distance)) = (apart, (!apart).then(|| signatures[at].within(signatures[other], NEAR)).flatten()) {
                    found.push((at, other, distance));
                    if found.len() == MOST_OF_ONE {
                        return found;
                    }
                }
            }
        }
        found
    };
    let mut pairs: Vec<Pair> = (0..signatures.len()).into_par_iter().flat_map_iter(later).collect();
    pairs.sort_by(|a, b| a.2.total_cmp(&b.2).then(a.0.cmp(&b.0)).then(a.1.cmp(&b.1)));
    pairs
}

/// A wave of a cosine transform, of length 1.
fn wave(down: usize, across: usize) -> [f32; LEVELS] {
    let cosine = |frequency: usize, at: usize| (PI / SIDE as f32 * (at as f32 + 0.5) * frequency as f32).cos();
    let mut wave: [f32; LEVELS] = std::array::from_fn(|i| cosine(down, i / SIDE) * cosine(across, i % SIDE));
    let length = wave.iter().map(|x| x * x).sum::<f32>().sqrt();
    wave.iter_mut().for_each(|x| *x /= length);
    wave
}

fn project(signature: &Signature, wave: &[f32; LEVELS]) -> f32 {
    signature.0.iter().zip(wave).map(|(&x, w)| f32::from(x) * w).sum::<f32>() / ONE
}
