//! A text as a vector of counts, without any file (Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning").

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

/// Numbers of a vector.
const LARGEST_DIMENSION: usize = 1 << 20;
/// Characters of a piece of a word.
const LONGEST_PIECE: usize = 16;

/// Counts of words and of pieces of words.
///
/// The text is lower-cased and split where a character is neither a letter nor a digit. Each word stands between `<` and `>`; it
/// counts as a whole (`<cat>`) and by all its pieces of `pieces[0]` to `pieces[1]` characters (`<ca`, `cat`, `at>` of three), so that
/// words that are written alike have vectors that are alike.
///
/// With `h` the 64 bits of XXH3 (seed 0) of such a piece in UTF-8, 1 is added at the place `h mod dimension`, or subtracted where the
/// highest bit of `h` is set: pieces that share a place cancel as often as they add up. Then the vector is divided by its length,
/// so that texts of any length compare; a text without words is zero. All this is the same on every machine and in every version.
///
/// ```
/// use mm_core::text::HashedText;
/// let features = HashedText { dimension: 256, ..HashedText::default() };
/// let (a, b) = (features.vector("A black cat."), features.vector("a BLACK cat"));
/// assert_eq!((a.len(), &a), (256, &b));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HashedText {
    /// Numbers of the vector.
    pub dimension: usize,
    /// Shortest and longest piece of a word, in characters; `[0, 0]`: words only.
    pub pieces: [usize; 2],
}

impl Default for HashedText {
    fn default() -> Self {
        Self { dimension: 1024, pieces: [3, 5] }
    }
}

impl HashedText {
    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        if !(1..=LARGEST_DIMENSION).contains(&self.dimension) {
            return Err(Error::config("dimension", format!("must be 1 to {LARGEST_DIMENSION}, found {}", self.dimension)));
        }
        match self.pieces {
            [0, 0] => Ok(()),
            [shortest, longest] if 1 <= shortest && shortest <= longest && longest <= LONGEST_PIECE => Ok(()),
            found => {
                let problem =
                    format!("must be [shortest, longest] with 1 <= shortest <= longest <= {LONGEST_PIECE}, or [0, 0], found {found:?}");
                Err(Error::config("pieces", problem))
            }
        }
    }

    /// The vector of a text, `dimension` numbers.
    pub fn vector(&self, text: &str) -> Vec<f32> {
        let mut counts = vec![0.0f32; self.dimension];
        let mut count = |piece: &str| {
            let hash = XxHash3_64::oneshot(piece.as_bytes());
            if let Some(place) = (hash % self.dimension.max(1) as u64).try_into().ok().and_then(|place: usize| counts.get_mut(place)) {
                *place += if hash >> 63 == 0 { 1.0 } else { -1.0 };
            }
        };
        let lower = text.to_lowercase();
        let mut framed = String::new();
        let mut borders = Vec::new();
        for word in lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            framed.clear();
            framed.extend(["<", word, ">"]);
            count(&framed);
            borders.clear();
            borders.extend(framed.char_indices().map(|(at, _)| at).chain([framed.len()]));
            let characters = borders.len() - 1;
            let [shortest, longest] = self.pieces;
            for length in (shortest..=longest).filter(|length| (1..characters).contains(length)) {
                borders.windows(length + 1).for_each(|window| count(&framed[window[0]..window[length]]));
            }
        }
        let norm = counts.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
        if norm > 0.0 {
            counts.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
        }
        counts
    }
}
