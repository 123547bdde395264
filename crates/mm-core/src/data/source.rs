//! Where samples come from: rows that are known without decoding, and read one by one.

use super::kinds::{Kind, Origin, Raw};
use super::{Batch, DataError, Part, Sample, SampleKey, Schema, TableDataset, TargetValue, collate};
use crate::error::Result;
use crate::modality::Subset;
use candle_core::Device;
use rayon::prelude::*;
use std::sync::Arc;

/// Samples addressed by row, `0..len`. What it holds need not fit in memory.
pub trait Source: Send + Sync {
    /// What a sample holds.
    fn schema(&self) -> &Schema;

    /// How many samples there are.
    fn len(&self) -> usize;

    /// What is known of a row without decoding its readings. Panics if `row >= len`.
    fn meta(&self, row: usize) -> Meta<'_>;

    /// Reads and decodes a row; one past the end is a typed error.
    fn read(&self, row: usize) -> Result<Sample>;

    /// What is to be predicted of a row; a source that has a shorter way than to read all of it overrides it.
    fn target(&self, row: usize) -> Result<TargetValue> {
        Ok(self.read(row)?.target)
    }

    /// Whether [`Source::read_augmented`] changes anything.
    fn augments(&self) -> bool {
        false
    }

    /// Reads a row for training, changed at random as its kinds say ([`Kind::augment`]); what is drawn depends on the key only.
    fn read_augmented(&self, row: usize, _key: SampleKey) -> Result<Sample> {
        self.read(row)
    }

    /// Reads the modalities `wanted` of a row, of those it has; `change(modality, kind, raw)` changes what each sensor gave before its kind
    /// makes features of it ([`Kind::features`]). A source that has nothing of the sort reads what it has, and calls it for none.
    fn read_changed(&self, row: usize, wanted: Subset, _change: &Change) -> Result<Sample> {
        let mut sample = self.read(row)?;
        let unwanted = (0..sample.readings.len()).filter(|&m| !wanted.contains(m));
        unwanted.for_each(|m| sample.readings[m] = None);
        Ok(sample)
    }

    /// Where the readings of a row are, by modality, if they are in files or in a table of texts. Panics if `row >= len`.
    fn origins(&self, _row: usize) -> Option<&[Option<Origin>]> {
        None
    }

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts samples together, in the order given; a row past the end is a typed error. Reads on all threads; a source that has a shorter
    /// way overrides it.
    fn batch(&self, rows: &[usize], device: &Device) -> Result<Batch> {
        let samples = rows.par_iter().map(|&row| self.read(row)).collect::<Result<Vec<_>>>()?;
        collate(self.schema(), samples, rows.iter().map(|&row| row as u64).collect(), false, device)
    }

    /// Calls `visit(modality, values)` for each row and each modality that it has, with all the digits that the source has: the values of
    /// a batch are rounded to f32.
    fn visit_values(&self, rows: &[usize], visit: &mut dyn FnMut(usize, &[f64])) -> Result<()> {
        // So many at a time that the data need not fit in memory.
        for chunk in rows.chunks(64) {
            for sample in chunk.par_iter().map(|&row| self.read(row)).collect::<Result<Vec<_>>>()? {
                for (m, array) in sample.readings.iter().enumerate() {
                    if let Some(array) = array {
                        visit(m, &array.filled());
                    }
                }
            }
        }
        Ok(())
    }

    /// What the readings of each modality are, where it knows: a saved model reads files by it.
    fn kinds(&self) -> Vec<Option<Arc<dyn Kind>>> {
        vec![None; self.schema().modalities.len()]
    }

    /// How many of the last features of a modality say, by 1 and 0, whether another was measured. A standardizer leaves these as they are;
    /// with any, NaN in a reading is a number that was not measured, and becomes the mean.
    fn indicators(&self, _modality: usize) -> usize {
        0
    }

    /// The source as a table in memory, if it is one: what runs over all values can then be done once instead of in every epoch.
    fn as_table(&self) -> Option<&TableDataset> {
        None
    }
}

/// Changes what a sensor gave: by the position of the modality, its kind, and what it gave.
pub type Change<'c> = dyn Fn(usize, &dyn Kind, Raw) -> Result<Raw> + 'c;

/// What is known of a row without decoding its readings.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Meta<'a> {
    /// Its name, where the source has names.
    pub id: Option<&'a str>,
    /// Which modalities it has.
    pub presence: Subset,
    /// Its class, where the task has classes: what splits are stratified by.
    pub class: Option<u32>,
    /// Samples of a group stay in one part of a split.
    pub group: Option<&'a str>,
    /// Its part, where the source says it.
    pub part: Option<Part>,
    /// Its weight in the loss.
    pub weight: f32,
}

impl Meta<'_> {
    /// Of a sample that has these modalities; nothing else is known.
    pub fn new(presence: Subset) -> Self {
        Self { id: None, presence, class: None, group: None, part: None, weight: 1.0 }
    }
}

/// An error for the first row that a source does not have.
pub(super) fn check_rows(rows: &[usize], samples: usize) -> Result<()> {
    match rows.iter().find(|row| **row >= samples) {
        Some(&row) => Err(DataError::Row { row, samples }.into()),
        None => Ok(()),
    }
}
