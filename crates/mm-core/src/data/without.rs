//! A source whose samples have lost sensors for good: absence simulated on data that has more.

use super::kinds::Kind;
use super::source::check_rows;
use super::{Batch, Change, Meta, Sample, SampleKey, Schema, Source, TargetValue, collate};
use crate::error::{ModalityError, Result};
use crate::modality::{Presence, Subset};
use candle_core::Device;
use rayon::prelude::*;
use std::sync::Arc;

/// The source with each sample having only what `presence` says, one entry a row, which must be within what it has. What is absent is not
/// read any more; a table stays one.
pub fn with_presence(source: Box<dyn Source>, presence: Presence) -> Result<Box<dyn Source>> {
    if let Some(table) = source.as_table() {
        return Ok(Box::new(table.with_presence(presence)?));
    }
    if presence.len() != source.len() {
        return Err(ModalityError::PresenceLength { found: presence.len(), expected: source.len() }.into());
    }
    let mut pairs = presence.subsets().iter().enumerate();
    if let Some((sample, _)) = pairs.find(|(row, subset)| !subset.is_subset_of(source.meta(*row).presence)) {
        return Err(ModalityError::NotWithin { sample }.into());
    }
    Ok(Box::new(Without { source, presence }))
}

/// Hides sensors sample by sample.
struct Without {
    source: Box<dyn Source>,
    presence: Presence,
}

impl Without {
    fn hide(&self, mut sample: Sample, row: usize) -> Sample {
        let has = self.presence.subsets()[row];
        sample.readings.iter_mut().enumerate().filter(|(m, _)| !has.contains(*m)).for_each(|(_, reading)| *reading = None);
        sample
    }
}

impl Source for Without {
    fn schema(&self) -> &Schema {
        self.source.schema()
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    fn meta(&self, row: usize) -> Meta<'_> {
        Meta { presence: self.presence.subsets()[row], ..self.source.meta(row) }
    }

    fn read(&self, row: usize) -> Result<Sample> {
        check_rows(&[row], self.len())?;
        self.source.read_changed(row, self.presence.subsets()[row], &|_, _, raw| Ok(raw))
    }

    fn target(&self, row: usize) -> Result<TargetValue> {
        self.source.target(row)
    }

    fn augments(&self) -> bool {
        self.source.augments()
    }

    fn read_augmented(&self, row: usize, key: SampleKey) -> Result<Sample> {
        check_rows(&[row], self.len())?;
        Ok(self.hide(self.source.read_augmented(row, key)?, row))
    }

    fn read_changed(&self, row: usize, wanted: Subset, change: &Change) -> Result<Sample> {
        check_rows(&[row], self.len())?;
        match wanted.intersection(self.presence.subsets()[row]) {
            Some(wanted) => self.source.read_changed(row, wanted, change),
            None => Ok(Sample { readings: vec![None; self.schema().modalities.len()], target: self.source.target(row)? }),
        }
    }

    fn batch(&self, rows: &[usize], device: &Device) -> Result<Batch> {
        check_rows(rows, self.len())?;
        let samples = rows.par_iter().map(|&row| self.read(row)).collect::<Result<Vec<_>>>()?;
        collate(self.schema(), samples, rows.iter().map(|&row| row as u64).collect(), false, device)
    }

    fn kinds(&self) -> Vec<Option<Arc<dyn Kind>>> {
        self.source.kinds()
    }

    fn indicators(&self, modality: usize) -> usize {
        self.source.indicators(modality)
    }
}
