//! What a data set holds and what is wrong with it, found by reading all of it once.
//!
//! A reader stops at the first mistake; a check names all, of tables of numbers the first of each line. [`files`] checks a data set of
//! files, [`tables`] one of tables, and [`guess`] writes the card of a table or folder that has none.

mod alike;
mod copied;
mod far;
mod findings;
mod guess;
mod headers;
mod held_out;
mod label_map;
mod leaks;
mod look;
mod padded;
mod pairing;
mod predicted;
mod ratio;
mod rising;
mod scan;
mod subject;
mod twins;
mod verdicts;

pub use alike::Signature;
pub use findings::{
    Check, Counted, Example, Form, GENERATOR, Lengths, Level, Member, PixelClass, Pixels, Sensor, Shown, Twins, Unreadable, Verdict,
};
pub use guess::{Guess, guess};
pub(in crate::data) use headers::difference;
pub use look::{Flaw, Look};
pub use predicted::{Predicted, Spread};

use super::{FileCard, LoadedData};
use crate::error::{Error, Result};
use subject::Subject;

/// Told how many samples have been read, and of how many.
pub type Progress<'a> = &'a dyn Fn(usize, usize);

/// Reads all files of a card; what is wrong with them is in the findings. An error only where the card itself makes no sense.
pub fn files(card: &FileCard, progress: Progress) -> Result<Check> {
    Ok(of(&Subject::of_files(card)?, progress))
}

/// Checks tables as their card has read them; `place` is where the card is.
pub fn tables(name: &str, place: &str, loaded: &LoadedData, progress: Progress) -> Check {
    of(&Subject::of_tables(name, place, loaded), progress)
}

/// The findings on a data set of which nothing can be read, because of these mistakes.
pub fn unreadable(name: &str, place: &str, mistakes: Vec<Error>) -> Check {
    of(&Subject::unreadable(name, place, mistakes), &|_, _| ())
}

fn of(subject: &Subject, progress: Progress) -> Check {
    let scanned = scan::scan(subject, progress);
    let twins = twins::find(subject, &scanned);
    findings::gather(subject, scanned, twins)
}
