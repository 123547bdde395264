//! Files of one sensor that name their columns differently, and are read by the order of these.

use super::findings::{Level, Verdict};
use super::guess::quoted;
use super::scan::Tally;
use super::subject::Subject;
use super::verdicts::verdict;
use crate::data::names::some;

/// Headers that a verdict names.
const SHOWN: usize = 5;
/// Names of a header.
const NAMES: usize = 8;

/// How the names of columns differ from file to file.
pub(in crate::data) struct Difference {
    /// Whether the same ones stand in another order, too: a channel is then two things.
    pub is_turned: bool,
    pub found: String,
    pub advice: String,
}

/// An error where the same columns stand in another order; a warning where names differ.
pub(super) fn differ(subject: &Subject, m: usize, tally: &Tally) -> Option<Verdict> {
    let headers = tally.headers();
    let counted: Vec<(&[String], usize)> = headers.iter().map(|(names, count, _)| (*names, *count)).collect();
    let Difference { is_turned, found, advice } = difference(&counted)?;
    let place = |(names, _, row): &(&[String], usize, usize)| format!("{}: {}", in_words(names), subject.reading(*row, m));
    let places = headers.iter().take(SHOWN).map(place).collect();
    let level = if is_turned { Level::Error } else { Level::Warning };
    Some(verdict(level, &subject.sensors[m].name, found, advice, places))
}

/// In words, of names that were counted, most frequent first; `None` where all are the same.
pub(in crate::data) fn difference(headers: &[(&[String], usize)]) -> Option<Difference> {
    let [(first, _), _, ..] = headers else { return None };
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    let mut sets: Vec<Vec<String>> = headers.iter().map(|(names, ..)| sorted(names)).collect();
    sets.sort();
    let one_set = sets[0] == sets[sets.len() - 1];
    let is_turned = sets.windows(2).any(|pair| pair[0] == pair[1]);
    let columns = format!("columns = [{}]", first.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "));
    let advice = match one_set {
        true => format!("write {columns} in the card: they are then found by name"),
        false if headers.iter().any(|(names, ..)| names.is_empty()) => {
            "give every file a first line of names, and the card columns = [..]: they are then found by name".into()
        }
        false => "give the same column the same name in every file, and the card columns = [..]: they are then found by name".into(),
    };
    let found: Vec<String> = headers.iter().map(|(names, count)| format!("{} ({count})", in_words(names))).collect();
    let found = format!("columns differ from file to file, and are read by their order: {}", some_of(&found));
    Some(Difference { is_turned, found, advice })
}

fn in_words(names: &[String]) -> String {
    if names.is_empty() { "no names".into() } else { some(names, NAMES) }
}

/// The first headers; names have commas between them.
fn some_of(headers: &[String]) -> String {
    let more = headers.len().saturating_sub(SHOWN);
    let shown = headers[..headers.len() - more].join("; ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
