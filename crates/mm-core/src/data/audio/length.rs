//! Sounds of any length as sounds of one length.

use super::AudioError;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// What becomes of sounds shorter than the stated length; of longer ones a part is cut out in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// There are none: a shorter sound is an error.
    Crop,
    /// Zeros behind; how much is filled is passed on.
    #[default]
    Pad,
    /// Said again from its beginning until the length is full.
    Repeat,
}

impl Length {
    /// Cuts or fills a sound to `length` samples; of a longer one, the part that starts at share `place` (0 to 1) of what is too much: 0.5 is its
    /// centre. Returns how many samples are filled. An empty sound becomes silence.
    pub fn fit(self, samples: &mut Vec<f32>, length: usize, place: f64) -> Result<usize> {
        let found = samples.len();
        if found >= length {
            let first = ((found - length) as f64 * place.clamp(0.0, 1.0)).round() as usize;
            samples.copy_within(first..first + length, 0);
            samples.truncate(length);
            return Ok(length);
        }
        match self {
            Self::Crop => return Err(AudioError::Short { what: "`length = \"crop\"` at the stated seconds", least: length, found }.into()),
            Self::Repeat if found > 0 => {
                *samples = samples.iter().copied().cycle().take(length).collect();
                return Ok(length);
            }
            Self::Repeat | Self::Pad => samples.resize(length, 0.0),
        }
        Ok(found)
    }
}
