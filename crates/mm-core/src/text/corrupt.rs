//! How texts degrade, for tests of a model, and the one change that training uses.
//!
//! The draws do not depend on the severity, so a higher one hits the same words or characters and more.
//!
//! | family | what happens to a text | 1 | 2 | 3 | 4 | 5 |
//! |---|---|---|---|---|---|---|
//! | `word_drop` | this share of its words is left out | 0.1 | 0.2 | 0.3 | 0.5 | 0.7 |
//! | `character_noise` | this share of its characters is swapped with the next one, left out or replaced by a neighbour on the keyboard | 0.02 | 0.05 | 0.1 | 0.2 | 0.35 |
//! | `truncation` | this share of its characters is lost at the end | 0.2 | 0.4 | 0.6 | 0.75 | 0.9 |

use crate::corrupt::Severity;
use crate::rng::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// A way for a text to degrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TextFamily {
    /// Words that were not heard or recognised.
    WordDrop,
    /// Typing errors.
    CharacterNoise,
    /// A message that breaks off.
    Truncation,
}

impl TextFamily {
    /// All families.
    pub const ALL: [TextFamily; 3] = [Self::WordDrop, Self::CharacterNoise, Self::Truncation];

    /// The name as it is written in plans.
    pub fn name(self) -> &'static str {
        match self {
            Self::WordDrop => "word_drop",
            Self::CharacterNoise => "character_noise",
            Self::Truncation => "truncation",
        }
    }

    /// Strength at severity 1 to 5; the table above says what it measures.
    pub fn strengths(self) -> [f32; 5] {
        match self {
            Self::WordDrop => [0.1, 0.2, 0.3, 0.5, 0.7],
            Self::CharacterNoise => [0.02, 0.05, 0.1, 0.2, 0.35],
            Self::Truncation => [0.2, 0.4, 0.6, 0.75, 0.9],
        }
    }
}

/// The text, corrupted.
///
/// ```
/// use mm_core::rng::stream;
/// use mm_core::text::{TextFamily, corrupt};
/// let severity = 5.try_into()?;
/// assert_eq!(corrupt("Zwölf Boxkämpfer", TextFamily::Truncation, severity, &mut stream(0, "example", &[])), "Zw");
/// # Ok::<(), mm_core::Error>(())
/// ```
pub fn corrupt(text: &str, family: TextFamily, severity: Severity, rng: &mut Rng) -> String {
    let strength = family.strengths()[usize::from(u8::from(severity)) - 1];
    match family {
        TextFamily::WordDrop => drop_words(text, strength, rng),
        TextFamily::CharacterNoise => character_noise(text, strength, rng),
        TextFamily::Truncation => {
            let characters = text.chars().count();
            let left = (characters as f32 * (1.0 - strength)).ceil() as usize;
            text.chars().take(left.min(characters)).collect()
        }
    }
}

/// The text without this share of its words, drawn word by word; each goes with the white space behind it. All may go.
pub fn drop_words(text: &str, rate: f32, rng: &mut Rng) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let end = word + rest[word..].find(|c: char| !c.is_whitespace()).unwrap_or(rest.len() - word);
        // White space at the beginning belongs to no word.
        if word == 0 || rng.random::<f32>() >= rate {
            kept.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    kept
}

/// White space stays where it is; the number of draws for a character is always the same.
fn character_noise(text: &str, rate: f32, rng: &mut Rng) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut noisy = String::with_capacity(text.len());
    // Set where this character was put before the one ahead of it.
    let mut moved = false;
    for (at, &c) in characters.iter().enumerate() {
        let (hit, kind, choice) = (rng.random::<f32>() < rate, rng.random_range(0..3u8), rng.random::<u32>());
        if std::mem::take(&mut moved) {
            continue;
        }
        let next = characters.get(at + 1).copied().filter(|next| !next.is_whitespace());
        match (kind, neighbour(c, choice), next) {
            _ if !hit || c.is_whitespace() => noisy.push(c),
            (0, ..) => {}
            (1, Some(other), _) => noisy.push(other),
            (_, _, Some(next)) => {
                noisy.extend([next, c]);
                moved = true;
            }
            // The last character of a word has none to be swapped with.
            _ => {}
        }
    }
    noisy
}

/// Rows of a keyboard.
const KEYBOARD: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// A key beside that of a Latin letter, of the same case; other characters have none.
fn neighbour(c: char, choice: u32) -> Option<char> {
    let key = c.to_ascii_lowercase();
    let row = KEYBOARD.iter().find(|row| row.contains(key))?;
    let at = row.find(key)?;
    let beside = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| row.chars().nth(at));
    let beside: Vec<char> = beside.collect();
    let other = *beside.get(choice as usize % beside.len().max(1))?;
    Some(if c.is_ascii_uppercase() { other.to_ascii_uppercase() } else { other })
}
