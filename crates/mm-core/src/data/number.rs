//! A cell as a number, a missing reading or text.

use super::decimal_marks::in_thousands;
use super::table_text::{Writing, cell};

/// Words by which programs write that there is no number, in lower case.
const NO_NUMBER: [&str; 8] = ["na", "n/a", "#n/a", "nan", "null", "none", "?", "-"];

/// Whether a text is one of them.
pub(super) fn says_no_number(text: &str) -> bool {
    NO_NUMBER.contains(&text.to_lowercase().as_str())
}

/// What a cell of a sensor holds.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Cell {
    /// A number, perhaps not finite.
    Number(f64),
    /// No reading.
    Empty,
    /// Anything else.
    Text,
}

/// Reads cells as the card says that they are written.
pub(super) struct Numbers<'a> {
    missing: &'a [String],
    /// Those of `missing` that are numbers: `-999` is `-999.0`.
    missing_numbers: Vec<f64>,
    decimal_comma: bool,
}

impl<'a> Numbers<'a> {
    pub fn new(writing: &Writing<'a>) -> Self {
        let mut numbers = Self { missing: writing.missing, missing_numbers: Vec::new(), decimal_comma: writing.decimal_comma };
        numbers.missing_numbers = writing.missing.iter().filter_map(|text| numbers.parse(text.trim())).collect();
        numbers
    }

    /// What a cell holds.
    pub fn read(&self, field: &[u8]) -> Cell {
        let text = cell(field);
        match self.parse(text) {
            Some(value) if self.missing_numbers.contains(&value) => Cell::Empty,
            // A `nan` that stands for no reading, by the card.
            Some(value) if !value.is_finite() && self.is_missing(text) => Cell::Empty,
            Some(value) => Cell::Number(value),
            None if text.is_empty() || self.is_missing(text) => Cell::Empty,
            None => Cell::Text,
        }
    }

    fn is_missing(&self, text: &str) -> bool {
        self.missing.iter().any(|m| m.trim() == text)
    }

    /// `True` and `False`, as programs write them, are 1 and 0.
    fn parse(&self, text: &str) -> Option<f64> {
        if let Ok(value) = text.parse() {
            return Some(value);
        }
        match text {
            "True" | "true" | "TRUE" => Some(1.0),
            "False" | "false" | "FALSE" => Some(0.0),
            _ if self.decimal_comma && has_decimal_comma(text) => text.replace(',', ".").parse().ok(),
            _ => None,
        }
    }
}

/// Whether a number is one to a model, which computes in 32 bits: NaN, infinities and what is too large for that are none.
pub(super) fn fits(x: f64) -> bool {
    (x as f32).is_finite()
}

/// Whether a text is a number but for one comma in the place of the point.
pub(super) fn has_decimal_comma(text: &str) -> bool {
    text.matches(',').count() == 1 && !text.contains('.') && text.replace(',', ".").parse::<f64>().is_ok()
}

/// What to write for a number with a comma, where a card may say that it is a decimal one or not.
pub(super) fn comma_advice(text: &str, in_card: bool) -> String {
    let decimal = match in_card {
        true => "if its comma is a decimal comma, write decimal = \",\" in the card",
        false => "write a point for the decimal comma",
    };
    let thousands = if in_thousands(text, ',') { ", or leave the comma out if it stands between thousands" } else { "" };
    format!("{decimal}{thousands}")
}

/// What to write for a cell of a column that is no number.
pub(super) fn advice(text: &str, modality: &str, column: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    if has_decimal_comma(text) {
        return format!("`{shown}` is not a number; {}", comma_advice(text, true));
    }
    if text.chars().all(|c| c.is_ascii_digit() || ".,-+ '\u{a0}".contains(c)) && text.contains(|c: char| c.is_ascii_digit()) {
        return format!("`{shown}` is not a number; write it without separators between thousands, with a single decimal point");
    }
    format!(
        "`{shown}` is not a number; if it says that there was no reading, write missing = [{shown:?}] in the card, or leave all cells of \
         modality `{modality}` empty in this line; ignore = [{column:?}] leaves the column out; where its words are categories, list them in \
         `categories` of the view"
    )
}
