//! The card of a table or folder that has none, guessed from names, endings and values.
//!
//! A guess is written down as a card with a comment on what it stands on; nothing is read by a guess in silence.

mod column;
mod folder;
mod long;
mod marked;
mod numbers;
mod panels;
mod pixels;
mod roles;
mod sensor;
mod table;

pub(super) use pixels::called_as_maps;

use super::findings::Verdict;
use crate::data::FileCard;
use crate::error::{Error, Result};
use std::path::Path;

/// Why images that show the label maps once more are no sensor.
const COPY: &str =
    "is left out: the class of a pixel can be read off its colour, as off the label map; add it if it is known before the classes are";

/// A card that was guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    /// The card in TOML.
    pub card: String,
    /// What was left out, and why.
    pub remarks: Vec<String>,
    /// What is probably a mistake in the data and cannot be seen by the card, which leaves it out.
    pub findings: Vec<Verdict>,
}

/// Guesses the card of a table of samples (CSV, JSON lines, Parquet) or a folder of folders; `beside` is the folder where the card will be,
/// from which it names files.
pub fn guess(path: &Path, beside: &Path) -> Result<Guess> {
    let guess = match path.is_dir() {
        true => folder::guess(path, beside)?,
        false => table::guess(path, beside)?,
    };
    // What we write is read again by whoever asks for it.
    if FileCard::is_meant_by(&guess.card) {
        FileCard::from_str(&guess.card, beside.join("card.toml"))?;
    } else {
        crate::data::DatasetCard::from_str(&guess.card, beside.join("card.toml"))?;
    }
    Ok(guess)
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

/// The name of a sensor or data set: what names may not hold becomes `_`.
fn name_of(text: &str) -> String {
    let name: String = text.trim().chars().map(|c| if c.is_whitespace() || c == '+' || c == ',' { '_' } else { c }).collect();
    if name.is_empty() { "data".into() } else { name }
}

/// A file or folder as a card in the folder `beside` names it.
fn named_from(path: &Path, beside: &Path) -> Result<String> {
    let whole = |path: &Path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        std::fs::canonicalize(path).map_err(Error::io(path))
    };
    let (path, beside) = (whole(path)?, whole(beside)?);
    Ok(match path.strip_prefix(&beside) {
        Ok(inside) if inside.as_os_str().is_empty() => ".".into(),
        Ok(inside) => inside.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"),
        Err(_) => path.display().to_string(),
    })
}
