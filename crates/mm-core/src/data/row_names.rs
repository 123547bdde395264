//! Whole numbers that name rows and measure nothing: a count of the rows, ids, and digits with zeros in front.

use std::collections::HashSet;

/// Fewer numbers may count up by accident.
const FEWEST: usize = 20;
/// Shorter numbers with zeros in front may be hours or months.
const LONG: usize = 4;

/// Whether each number is one more than the one before.
pub(super) fn counts_rows(numbers: impl Iterator<Item = f64>) -> bool {
    let (mut last, mut count) = (None, 0);
    for number in numbers {
        if number.fract() != 0.0 || last.is_some_and(|last| number != last + 1.0) {
            return false;
        }
        (last, count) = (Some(number), count + 1);
    }
    count >= FEWEST
}

/// Whether numbers are whole, and each its own.
pub(super) fn are_ids(mut numbers: impl Iterator<Item = f64>) -> bool {
    let mut known = HashSet::new();
    numbers.all(|number| number.fract() == 0.0 && known.insert(number.to_bits())) && known.len() >= FEWEST
}

/// Whether a column is called as an id: `id`, `patient_id`, `pid`, `PassengerId`.
pub(super) fn is_called_id(name: &str) -> bool {
    let ends = ["Id", "ID"].iter().any(|end| name.ends_with(end));
    let name = name.trim().to_lowercase();
    ends || ["id", "pid", "uid"].contains(&name.as_str()) || ["_id", "-id", " id", ".id"].iter().any(|end| name.ends_with(end))
}

/// Whether numbers are texts of digits: all of one length, some with zeros in front, as codes of places are.
#[derive(Clone, Default)]
pub(super) struct Digits {
    length: Option<usize>,
    has_zeros: bool,
    is_number: bool,
}

impl Digits {
    /// A further cell that is not empty.
    pub fn see(&mut self, text: &str) {
        let is_digits = !self.is_number && text.len() >= LONG && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits || *self.length.get_or_insert(text.len()) != text.len() {
            self.is_number = true;
            return;
        }
        // `0000` may stand for no value.
        self.has_zeros |= text.starts_with('0') && text.contains(|c| c != '0');
    }

    pub fn are_names(&self) -> bool {
        self.has_zeros && !self.is_number
    }
}
