//! Rows of a data set as text, `0-3,7,9-12`: which samples a result is about.

use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// More rows than any table has: a damaged file.
const MOST: usize = 1 << 32;

/// Ascending rows of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rows(Vec<usize>);

impl Rows {
    /// Of ascending numbers.
    pub fn new(ascending: Vec<usize>) -> Self {
        debug_assert!(ascending.is_sorted());
        Self(ascending)
    }

    /// Their numbers.
    pub fn numbers(&self) -> &[usize] {
        &self.0
    }
}

impl From<Rows> for String {
    fn from(rows: Rows) -> Self {
        let mut text = String::new();
        for run in rows.0.chunk_by(|a, b| a + 1 == *b) {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a string does not fail.
            let _ = match run {
                [one] => write!(text, "{comma}{one}"),
                _ => write!(text, "{comma}{}-{}", run[0], run[run.len() - 1]),
            };
        }
        text
    }
}

impl TryFrom<String> for Rows {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut rows: Vec<usize> = Vec::new();
        for range in text.split(',').filter(|_| !text.is_empty()) {
            let wrong = || format!("`{range}` is no ascending range of rows");
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            let (from, to): (usize, usize) = (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
            if from > to || to >= MOST || rows.last().is_some_and(|last| *last >= from) {
                return Err(wrong());
            }
            rows.extend(from..=to);
        }
        Ok(Self(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_their_text() {
        for (rows, text) in [(vec![], ""), (vec![5], "5"), (vec![0, 1, 2, 3, 7, 9, 10], "0-3,7,9-10")] {
            assert_eq!(String::from(Rows::new(rows.clone())), text);
            assert_eq!(Rows::try_from(text.to_string()).unwrap().numbers(), rows);
        }
        for text in ["x", "3-1", "1,1", "2-4,4", "-", "1-2-3", "7,3", "0-99999999999999", ",", "1,"] {
            assert!(Rows::try_from(text.to_string()).is_err(), "{text}");
        }
    }
}
