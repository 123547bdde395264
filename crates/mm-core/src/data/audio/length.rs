//! Sounds and series of any length as those of one length.

use serde::{Deserialize, Serialize};

/// What becomes of sounds and series shorter than the stated length; of longer ones a part is cut out in any case.
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
    /// centre. Returns how many samples are filled; `None` where there are too few, and that is an error. An empty sound becomes silence.
    pub fn fit<T: Copy + Default>(self, samples: &mut Vec<T>, length: usize, place: f64) -> Option<usize> {
        let found = samples.len();
        if found >= length {
            let first = ((found - length) as f64 * place.clamp(0.0, 1.0)).round() as usize;
            samples.copy_within(first..first + length, 0);
            samples.truncate(length);
            return Some(length);
        }
        match self {
            Self::Crop => return None,
            Self::Repeat if found > 0 => {
                *samples = samples.iter().copied().cycle().take(length).collect();
                return Some(length);
            }
            Self::Repeat | Self::Pad => samples.resize(length, T::default()),
        }
        Some(found)
    }
}
