//! How sounds degrade, for the test of a model.

use super::noise;
use crate::corrupt::{Corruption, Family};
use crate::error::Result;
use crate::rng::Rng;
use rand::RngExt;
use rand::seq::SliceRandom;

/// How long one drop-out is, in seconds.
const GAP: f64 = 0.05;

/// The families of sounds.
pub const SOUND_FAMILIES: &[Family] =
    &[Family::WhiteNoise, Family::Babble, Family::Clipping, Family::DropOuts, Family::BandLimit, Family::Silence];

/// Corrupts a sound in place; its length stays. Draws do not depend on the severity: a higher one brings the same noise louder, or the same
/// gaps and more. A family of other sensors is refused.
pub fn corrupt_sound(samples: &mut [f32], rate: u32, corruption: Corruption, rng: &mut Rng) -> Result<()> {
    let strength = f64::from(corruption.strength());
    match corruption.family {
        Family::WhiteNoise => noise::add(samples, &noise::white(samples.len(), rng), strength),
        Family::Babble => noise::add(samples, &noise::babble(samples.len(), rate, rng), strength),
        Family::Clipping => {
            let most = samples.iter().fold(0.0f32, |most, x| most.max(x.abs())) * strength as f32;
            samples.iter_mut().for_each(|x| *x = x.clamp(-most, most));
        }
        Family::DropOuts => {
            let gap = ((GAP * f64::from(rate)).round() as usize).max(1);
            let mut gaps: Vec<&mut [f32]> = samples.chunks_mut(gap).collect();
            let silent = (strength * gaps.len() as f64).round() as usize;
            gaps.shuffle(rng);
            gaps.iter_mut().take(silent).for_each(|gap| gap.fill(0.0));
        }
        Family::BandLimit => {
            let highest = strength * f64::from(rate) / 2.0;
            noise::shape(samples, rate, |hertz| if hertz <= highest { 1.0 } else { 0.0 });
        }
        Family::Silence => {
            if rng.random::<f64>() < strength {
                samples.fill(0.0);
            }
        }
        _ => return Err(corruption.unknown_to("audio", SOUND_FAMILIES)),
    }
    Ok(())
}
