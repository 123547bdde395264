//! How sounds degrade, for the test of a model: families with five severities each.

use super::noise;
use crate::error::{Error, Result};
use crate::rng::Rng;
use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// How long one drop-out is, in seconds.
const GAP: f64 = 0.05;

/// What is wrong with a sound; [`Disturbance::TABLE`] says how much at which severity. Draws do not depend on the severity: a higher one brings
/// the same noise louder, or the same gaps and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disturbance {
    /// White noise at a ratio of sound to noise in decibels.
    WhiteNoise,
    /// Noise like many voices, at a ratio of sound to noise in decibels.
    Babble,
    /// Samples larger than this share of the largest are cut to it, as by a microphone that is too near.
    Clipping,
    /// This share of the sound is silent, in gaps of 50 ms, as from a bad connection.
    DropOuts,
    /// Only this share of the frequencies, from the lowest on, is left, as behind a wall or on a telephone.
    BandLimit,
    /// This share of sounds is silent altogether.
    Silence,
}

impl Disturbance {
    /// Each family, its name, and its strength at severities 1 to 5.
    pub const TABLE: [(Self, &'static str, [f64; 5]); 6] = [
        (Self::WhiteNoise, "white_noise", [20.0, 10.0, 5.0, 0.0, -10.0]),
        (Self::Babble, "babble", [20.0, 10.0, 5.0, 0.0, -10.0]),
        (Self::Clipping, "clipping", [0.5, 0.25, 0.1, 0.05, 0.02]),
        (Self::DropOuts, "drop_outs", [0.1, 0.2, 0.35, 0.5, 0.7]),
        (Self::BandLimit, "band_limit", [0.5, 0.35, 0.25, 0.15, 0.1]),
        (Self::Silence, "silence", [0.2, 0.4, 0.6, 0.8, 1.0]),
    ];

    /// The family of a name.
    pub fn parse(name: &str) -> Result<Self> {
        let named = Self::TABLE.iter().find(|(_, known, _)| *known == name).map(|(family, ..)| *family);
        named.ok_or_else(|| {
            let names: Vec<&str> = Self::TABLE.iter().map(|(_, name, _)| *name).collect();
            Error::config("corruption", format!("no disturbance of sounds is called `{name}`; there are: {}", names.join(", ")))
        })
    }

    /// Its strength at a severity from 1 (slight) to 5.
    pub fn strength(self, severity: u8) -> Result<f64> {
        let strengths = Self::TABLE[self as usize].2;
        let place = usize::from(severity).checked_sub(1).and_then(|place| strengths.get(place));
        place.copied().ok_or_else(|| Error::config("severity", format!("must be 1 to 5, found {severity}")))
    }

    /// Disturbs a sound at a severity from 1 to 5; its length stays.
    pub fn apply(self, samples: &mut [f32], rate: u32, severity: u8, rng: &mut Rng) -> Result<()> {
        let strength = self.strength(severity)?;
        match self {
            Self::WhiteNoise => noise::add(samples, &noise::white(samples.len(), rng), strength),
            Self::Babble => noise::add(samples, &noise::babble(samples.len(), rate, rng), strength),
            Self::Clipping => {
                let most = samples.iter().fold(0.0f32, |most, x| most.max(x.abs())) * strength as f32;
                samples.iter_mut().for_each(|x| *x = x.clamp(-most, most));
            }
            Self::DropOuts => {
                let gap = ((GAP * f64::from(rate)).round() as usize).max(1);
                let mut gaps: Vec<&mut [f32]> = samples.chunks_mut(gap).collect();
                let silent = (strength * gaps.len() as f64).round() as usize;
                gaps.shuffle(rng);
                gaps.iter_mut().take(silent).for_each(|gap| gap.fill(0.0));
            }
            Self::BandLimit => {
                let highest = strength * f64::from(rate) / 2.0;
                noise::shape(samples, rate, |hertz| if hertz <= highest { 1.0 } else { 0.0 });
            }
            Self::Silence => {
                if rng.random::<f64>() < strength {
                    samples.fill(0.0);
                }
            }
        }
        Ok(())
    }
}
