//! What the cells of a column look like.

use super::marked::{MARKED, has_thousands, is_marked};
use crate::data::image::Format;
use crate::data::labels::is_quantity;
use crate::data::manifest::Table;
use crate::data::number::says_no_number;
use crate::data::row_names::{Digits, counts_rows};
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

/// Endings of files that are read, by kind.
pub(super) const ENDINGS: [(&str, &[&str]); 5] = [
    ("image", &Format::ENDINGS),
    ("audio", &["wav", "flac", "mp3", "ogg"]),
    ("text", &["txt"]),
    ("series", &["csv"]),
    ("array", &["npy", "npz"]),
];
/// A column of numbers may have one cell in so many that is none: a slip, which the check names.
pub(super) const SLIPS: usize = 10;
/// So many different words in a column of numbers may stand for no reading, each of them at least twice.
const MOST_WORDS: usize = 3;
/// A column of so many different words at most, each of so many letters and so many times there on average, is one of categories.
const MOST_CATEGORIES: usize = 12;
const LONGEST_WORD: usize = 40;
const OFTEN: usize = 5;
/// With fewer different numbers, what stands beside them may be classes.
const FEWEST_NUMBERS: usize = 8;

/// A column, looked at.
pub(super) struct Column<'t> {
    pub name: &'t str,
    /// Cells that are not empty.
    pub cells: Vec<&'t str>,
    pub distinct: usize,
    pub holds: Holds,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Holds {
    /// Nothing.
    Nothing,
    /// Files of a kind.
    Files(&'static str),
    /// Numbers; with decimal commas, and with words for no number.
    Numbers { whole: bool, comma: bool, missing: Vec<String> },
    /// Numbers that are not read as they are written: with signs, units or separators between thousands.
    Marked,
    /// Sentences.
    Text,
    /// Names: few words, often the same ones.
    Names,
}

impl<'t> Column<'t> {
    /// Looks at a column; `of_commas`: whether commas stand between the fields.
    pub fn of(table: &'t Table, column: usize, of_commas: bool) -> Self {
        let cells: Vec<&str> = table.rows.iter().map(|row| row.cells[column].as_str()).filter(|cell| !cell.is_empty()).collect();
        let distinct = cells.iter().collect::<HashSet<_>>().len();
        Self { name: &table.columns[column], holds: holds(&cells, distinct, of_commas), cells, distinct }
    }

    /// Its name as one compares it.
    pub fn key(&self) -> String {
        key(self.name)
    }

    /// Whether each row has another value.
    pub fn is_unique(&self) -> bool {
        self.distinct == self.cells.len()
    }

    /// Whether it counts the rows, or its numbers have zeros in front.
    pub fn names_rows(&self, rows: usize) -> bool {
        let mut digits = Digits::default();
        self.cells.iter().for_each(|cell| digits.see(cell));
        digits.are_names() || self.cells.len() == rows && counts_rows(self.cells.iter().map(|cell| cell.parse().unwrap_or(f64::NAN)))
    }

    /// Whether it is a quantity rather than the numbers of classes.
    pub fn is_quantity(&self) -> bool {
        is_quantity(self.cells.iter().copied())
    }

    /// The ending of most of its cells, where they look like files and are none that are read.
    pub fn unread_ending(&self) -> Option<String> {
        if self.holds != Holds::Names {
            return None;
        }
        let ending = |cell: &&str| {
            let ending = Path::new(cell).extension()?.to_str()?.to_lowercase();
            ((2..=5).contains(&ending.len()) && ending.contains(char::is_alphabetic) && kind_of(cell).is_none()).then_some(ending)
        };
        let endings: Vec<String> = self.cells.iter().filter_map(ending).collect();
        (2 * endings.len() > self.cells.len()).then(|| endings.into_iter().next())?
    }

    /// Whether it holds neither files that are read, sentences nor numbers, and no finding says so.
    pub fn is_odd(&self) -> bool {
        matches!(self.holds, Holds::Names | Holds::Nothing | Holds::Files(_)) && !self.is_of_files()
    }

    pub fn is_numbers(&self) -> bool {
        matches!(self.holds, Holds::Numbers { .. })
    }

    /// Its different words, in order, where they are few and come back often; words that say that nothing is known are none.
    pub fn categories(&self) -> Option<Vec<&'t str>> {
        let words: BTreeSet<&str> = self.cells.iter().copied().filter(|cell| !says_unknown(cell)).collect();
        // Dates are no categories, and `1` and `one` are a slip.
        let are_words = words.iter().all(|word| word.contains(char::is_alphabetic) && word.len() <= LONGEST_WORD);
        let few = (2..=MOST_CATEGORIES).contains(&words.len()) && self.cells.len() >= OFTEN * words.len();
        (self.holds == Holds::Names && few && are_words && !self.is_of_files()).then(|| words.into_iter().collect())
    }

    /// Its cells that say that nothing is known.
    pub fn unknown(&self) -> impl Iterator<Item = &'t str> {
        self.cells.iter().copied().filter(|cell| says_unknown(cell))
    }

    /// Whether most of its cells look like files, though none that are read.
    pub fn is_of_files(&self) -> bool {
        let paths = self.cells.iter().filter(|cell| cell.contains(['/', '\\'])).count();
        2 * paths > self.cells.len() || self.unread_ending().is_some()
    }
}

/// `none` may be a category: no symptom.
fn says_unknown(cell: &str) -> bool {
    says_no_number(cell) && cell != "none"
}

/// A name in lower case, with `_` between words, also those of `PatientNo`.
pub(super) fn key(name: &str) -> String {
    let mut key = String::new();
    let mut before = '_';
    for letter in name.trim().chars() {
        if letter.is_uppercase() && before.is_lowercase() {
            key.push('_');
        }
        key.extend(letter.to_lowercase());
        before = letter;
    }
    key.replace([' ', '-', '.'], "_")
}

/// The kind of a file by its ending.
pub(super) fn kind_of(file: &str) -> Option<&'static str> {
    let ending = Path::new(file).extension()?.to_string_lossy().to_lowercase();
    ENDINGS.iter().find(|(_, endings)| endings.contains(&ending.as_str())).map(|(kind, _)| *kind)
}

fn holds(cells: &[&str], distinct: usize, of_commas: bool) -> Holds {
    if cells.is_empty() {
        return Holds::Nothing;
    }
    for (kind, _) in ENDINGS {
        let files = cells.iter().filter(|cell| kind_of(&cell.replace('\\', "/")) == Some(kind)).count();
        if 2 * files > cells.len() {
            return Holds::Files(kind);
        }
    }
    if let Some(numbers) = numbers(cells, of_commas) {
        return numbers;
    }
    if distinct >= MARKED && is_marked(cells) {
        return Holds::Marked;
    }
    // `0.53 g`: numbers with a unit are no sentences.
    let with_unit = cells.iter().filter(|cell| cell.split_whitespace().next().is_some_and(|word| word.parse::<f64>().is_ok())).count();
    // `2024-01-31 10:00:00`: times are none, either.
    let without_letters = cells.iter().filter(|cell| !cell.contains(char::is_alphabetic)).count();
    if 2 * with_unit.max(without_letters) > cells.len() {
        return Holds::Names;
    }
    let words: usize = cells.iter().map(|cell| cell.split_whitespace().count()).sum();
    match words >= 3 * cells.len() || words >= 2 * cells.len() && 2 * distinct > cells.len() {
        true => Holds::Text,
        false => Holds::Names,
    }
}

/// Numbers, where all cells are some but those that say there is none, and a few slips.
fn numbers(cells: &[&str], of_commas: bool) -> Option<Holds> {
    let is_number = |cell: &&str| cell.parse::<f64>().is_ok() || ["true", "false"].contains(&cell.to_lowercase().as_str());
    let with_point = |cell: &&str| cell.replacen(',', ".", 1).parse::<f64>().is_ok();
    let others = words_beside_numbers(cells, &|cell| is_number(cell) || with_point(cell));
    let is_word = |cell: &&str| says_no_number(cell) || others.contains(cell);
    let (words, numbers): (Vec<&str>, Vec<&str>) = cells.iter().partition(|cell| is_word(cell));
    let most = |is: &dyn Fn(&&str) -> bool| numbers.iter().filter(|cell| !is(cell)).count() * SLIPS <= numbers.len();
    let comma = !most(&is_number);
    if numbers.is_empty() || comma && !most(&with_point) {
        return None;
    }
    if comma && has_thousands(&numbers, of_commas) {
        return Some(Holds::Marked);
    }
    let mut missing: Vec<String> = words.into_iter().filter(|word| word.parse::<f64>().is_err()).map(String::from).collect();
    missing.sort();
    missing.dedup();
    Some(Holds::Numbers { whole: numbers.iter().all(|cell| cell.parse::<i64>().is_ok()), comma, missing })
}

/// Words that stand beside numbers, and so probably for none: few, without a digit, each more than once, and no more than there are numbers.
fn words_beside_numbers<'t>(cells: &[&'t str], is_number: &dyn Fn(&&str) -> bool) -> HashSet<&'t str> {
    let (numbers, others): (Vec<&str>, Vec<&str>) = cells.iter().partition(|cell| is_number(cell));
    let is_known = |cell: &str| says_no_number(cell);
    let others: Vec<&str> = others.into_iter().filter(|cell| !is_known(cell)).collect();
    let words: HashSet<&str> = others.iter().copied().collect();
    let is_word = |word: &&str| !word.contains(|c: char| c.is_ascii_digit()) && others.iter().filter(|other| *other == word).count() > 1;
    let different = || numbers.iter().collect::<HashSet<_>>().len();
    let are_words = words.len() <= MOST_WORDS && others.len() <= numbers.len() && words.iter().all(is_word);
    if !words.is_empty() && are_words && different() >= FEWEST_NUMBERS { words } else { HashSet::new() }
}
