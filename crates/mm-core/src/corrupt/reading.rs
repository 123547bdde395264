//! What each family does to one reading that is standardized: the values of one modality of one sample.

use super::{Corruption, Family};
use crate::rng::{Rng, standard_normal, stream};
use rand::RngExt;

/// Where salt and pepper lie, in standard deviations.
const EXTREME: f32 = 4.0;
/// Share of a reading that a burst of NaN covers.
const BURST: f32 = 0.25;

/// Corrupts rows of `width` values, of which `filled` count: what lies behind the end of a sequence stays as it is.
pub(super) fn corrupt(reading: &mut [f32], width: usize, filled: usize, corruption: Corruption, seed: u64, [id, modality]: [u64; 2]) {
    let mut random = stream(seed, corruption.family.name(), &[id, modality]);
    let constant = match corruption.family {
        Family::Stuck => stuck_at(&mut stream(seed, "stuck at", &[modality])),
        _ => 0.0,
    };
    if filled >= width {
        return change(reading, corruption, constant, &mut random);
    }
    let mut values: Vec<f32> = reading.chunks(width).flat_map(|row| &row[..filled.min(row.len())]).copied().collect();
    if values.is_empty() {
        return;
    }
    change(&mut values, corruption, constant, &mut random);
    reading.chunks_mut(width).zip(values.chunks(filled)).for_each(|(row, values)| row[..values.len()].copy_from_slice(values));
}

fn change(reading: &mut [f32], corruption: Corruption, constant: f32, random: &mut Rng) {
    let strength = corruption.strength();
    match corruption.family {
        Family::Gaussian => {
            let noise = standard_normal(random, reading.len());
            reading.iter_mut().zip(noise).for_each(|(x, z)| *x += strength * z);
        }
        Family::SaltAndPepper => {
            for x in reading {
                // Both draws in any case, so that severities hit nested sets of values.
                let (hit, salt) = (random.random::<f32>(), random.random::<bool>());
                if hit < strength {
                    *x = if salt { EXTREME } else { -EXTREME };
                }
            }
        }
        Family::ValueDropout => reading.iter_mut().for_each(|x| {
            if random.random::<f32>() < strength {
                *x = 0.0;
            }
        }),
        Family::ScaleDrift => {
            let factor = if random.random() { strength } else { 1.0 / strength };
            reading.iter_mut().for_each(|x| *x *= factor);
        }
        Family::OffsetDrift => {
            let offset = if random.random() { strength } else { -strength };
            reading.iter_mut().for_each(|x| *x += offset);
        }
        Family::Stuck | Family::Dead if random.random::<f32>() < strength => reading.fill(constant),
        Family::NanBurst => {
            let hit = random.random::<f32>() < strength;
            let length = ((reading.len() as f32 * BURST).ceil() as usize).clamp(1, reading.len().max(1));
            let start = random.random_range(0..=reading.len().saturating_sub(length));
            if hit {
                reading.iter_mut().skip(start).take(length).for_each(|x| *x = f32::NAN);
            }
        }
        // Not of standardized numbers.
        _ => {}
    }
}

/// Where a stuck sensor stays: 0.5 to 3 standard deviations from the mean, on either side.
fn stuck_at(random: &mut Rng) -> f32 {
    let distance = random.random_range(0.5..3.0);
    if random.random() { distance } else { -distance }
}

/// With probability `share`, another of the `rows` (ascending); none if there is no other.
pub(super) fn donor(row: usize, rows: &[usize], share: f32, random: &mut Rng) -> Option<usize> {
    if random.random::<f32>() >= share || rows.len() < 2 {
        return None;
    }
    let choice = rows[random.random_range(0..rows.len() - 1)];
    // The last one stands for the row itself, so that all others are equally likely.
    if choice == row { rows.last().copied() } else { Some(choice) }
}
