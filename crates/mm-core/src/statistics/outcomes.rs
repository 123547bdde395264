//! Right or wrong, by combination and test sample: what every comparison starts from.

use crate::error::{Error, Result};

/// The outcomes of one method with one seed: `combinations x samples`, each right, wrong or not evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes {
    combinations: usize,
    samples: usize,
    /// 1 where right, sample-major: the bootstrap adds whole samples.
    right: Vec<u8>,
    /// 1 where evaluated, sample-major.
    evaluated: Vec<u8>,
}

impl Outcomes {
    /// From one text a combination, one character a sample: `1` right, `0` wrong, `-` not evaluated.
    pub fn from_rows<S: AsRef<str>>(rows: &[S]) -> Result<Self> {
        let samples = rows.first().map_or(0, |row| row.as_ref().len());
        if samples == 0 {
            return Err(Error::Data("outcomes need at least one combination and one sample".into()));
        }
        let combinations = rows.len();
        let mut right = vec![0; combinations * samples];
        let mut evaluated = vec![0; combinations * samples];
        for (k, row) in rows.iter().enumerate() {
            let row = row.as_ref().as_bytes();
            if row.len() != samples {
                return Err(Error::Data(format!("combination {k} has {} outcomes, the first one has {samples}", row.len())));
            }
            for (i, &cell) in row.iter().enumerate() {
                let at = i * combinations + k;
                (right[at], evaluated[at]) = match cell {
                    b'1' => (1, 1),
                    b'0' => (0, 1),
                    b'-' => (0, 0),
                    other => return Err(Error::Data(format!("combination {k}, sample {i}: {:?} is none of `1`, `0`, `-`", char::from(other)))),
                };
            }
        }
        Ok(Self { combinations, samples, right, evaluated })
    }

    /// Number of combinations.
    pub fn combinations(&self) -> usize {
        self.combinations
    }

    /// Number of test samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// 1 for each combination that got this sample right.
    pub(super) fn right(&self, sample: usize) -> &[u8] {
        &self.right[sample * self.combinations..][..self.combinations]
    }

    /// 1 for each combination that was evaluated on this sample.
    pub(super) fn evaluated(&self, sample: usize) -> &[u8] {
        &self.evaluated[sample * self.combinations..][..self.combinations]
    }
}
