//! How texts degrade, for tests of a model, and the one change that training uses.
//!
//! The draws do not depend on the severity, so a higher one hits the same words or characters and more.

use crate::corrupt::{Corruption, Family};
use crate::error::Result;
use crate::rng::Rng;
use rand::RngExt;

/// The families of texts.
pub const TEXT_FAMILIES: &[Family] = &[Family::WordDrop, Family::CharacterNoise, Family::Truncation];

/// The text, corrupted. A family of other sensors is refused.
///
/// ```
/// use mm_core::corrupt::{Corruption, Family};
/// use mm_core::{rng::stream, text::corrupt};
/// let corruption = Corruption::new(Family::Truncation, 5)?;
/// assert_eq!(corrupt("Zwölf Boxkämpfer", corruption, &mut stream(0, "example", &[]))?, "Zw");
/// # Ok::<(), mm_core::Error>(())
/// ```
pub fn corrupt(text: &str, corruption: Corruption, rng: &mut Rng) -> Result<String> {
    let strength = corruption.strength();
    Ok(match corruption.family {
        Family::WordDrop => drop_words(text, strength, rng),
        Family::CharacterNoise => character_noise(text, strength, rng),
        Family::Truncation => {
            let characters = text.chars().count();
            let left = (characters as f32 * (1.0 - strength)).ceil() as usize;
            text.chars().take(left.min(characters)).collect()
        }
        _ => return Err(corruption.unknown_to("text", TEXT_FAMILIES)),
    })
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
