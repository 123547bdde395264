//! What came of each test sample, by column: what every comparison starts from.

use super::{Score, StatisticsError};
use crate::error::Result;

/// The outcomes with one seed, `columns x samples`, each right or wrong, or numbers that add up to a [`Score`], or not evaluated. A column
/// is one situation of one method: a combination of modalities, a corruption.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcomes {
    columns: usize,
    samples: usize,
    values: Values,
    /// 1 where evaluated, sample-major.
    evaluated: Vec<u8>,
    /// Which samples these are, where known.
    ids: Option<Vec<u64>>,
}

/// What was found, sample-major: the bootstrap adds whole samples.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// 1 where right.
    Right(Vec<u8>),
    /// As many numbers a column as the score says; 0 where not evaluated.
    Sums(Score, Vec<f32>),
}

/// The outcomes of one column: a character a sample, `-` where it was not evaluated, and the numbers that the score adds up, sample by
/// sample.
pub type Sums<'s> = (&'s str, &'s [f32]);

impl Outcomes {
    /// From numbers that add up, one [`Sums`] a column.
    pub fn from_sums(score: Score, columns: &[Sums]) -> Result<Self> {
        let (samples, width) = (columns.first().map_or(0, |(marks, _)| marks.len()), score.width());
        if samples == 0 {
            return Err(StatisticsError::NoOutcome.into());
        }
        let mut values = vec![0.0; samples * columns.len() * width];
        let mut evaluated = vec![0; samples * columns.len()];
        for (k, (marks, numbers)) in columns.iter().enumerate() {
            for (found, expected) in [(marks.len(), samples), (numbers.len(), samples * width)] {
                if found != expected {
                    return Err(StatisticsError::Length { column: k, found, expected }.into());
                }
            }
            for (i, (mark, numbers)) in marks.bytes().zip(numbers.chunks_exact(width)).enumerate() {
                if mark != b'-' {
                    let at = i * columns.len() + k;
                    evaluated[at] = 1;
                    values[at * width..][..width].copy_from_slice(numbers);
                }
            }
        }
        Ok(Self { columns: columns.len(), samples, values: Values::Sums(score, values), evaluated, ids: None })
    }

    /// From one text a column, one character a sample: `1` right, `0` wrong, `-` not evaluated.
    pub fn from_rows<S: AsRef<str>>(rows: &[S]) -> Result<Self> {
        let samples = rows.first().map_or(0, |row| row.as_ref().len());
        if samples == 0 {
            return Err(StatisticsError::NoOutcome.into());
        }
        let columns = rows.len();
        let mut right = vec![0; columns * samples];
        let mut evaluated = vec![0; columns * samples];
        for (k, row) in rows.iter().enumerate() {
            let row = row.as_ref().as_bytes();
            if row.len() != samples {
                return Err(StatisticsError::Length { column: k, found: row.len(), expected: samples }.into());
            }
            for (i, &cell) in row.iter().enumerate() {
                let at = i * columns + k;
                (right[at], evaluated[at]) = match cell {
                    b'1' => (1, 1),
                    b'0' => (0, 1),
                    b'-' => (0, 0),
                    other => return Err(StatisticsError::Outcome { column: k, sample: i, found: char::from(other) }.into()),
                };
            }
        }
        Ok(Self { columns, samples, values: Values::Right(right), evaluated, ids: None })
    }

    /// Says which samples these are: samples of several seeds with one id are one sample. Without, every seed has samples of its own.
    pub fn with_ids(self, ids: Vec<u64>) -> Result<Self> {
        if ids.len() != self.samples {
            return Err(StatisticsError::Ids { found: ids.len(), samples: self.samples }.into());
        }
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(StatisticsError::IdTwice { id: pair[0] }.into());
        }
        Ok(Self { ids: Some(ids), ..self })
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of test samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Which sample it is, where known.
    pub(super) fn id(&self, sample: usize) -> Option<u64> {
        self.ids.as_ref().map(|ids| ids[sample])
    }

    pub(super) fn values(&self) -> &Values {
        &self.values
    }

    /// 1 for each column that was evaluated on this sample.
    pub(super) fn evaluated(&self, sample: usize) -> &[u8] {
        &self.evaluated[sample * self.columns..][..self.columns]
    }
}
