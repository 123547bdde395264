//! From predictions to results, as a bench's own cells leave them.

use super::agree::{Predicted, Situation, Situations};
use super::data_set::{Cell, DataSet};
use super::error::Result;
use crate::result::*;
use crate::rows::Rows;
use mm_core::data::TargetValue;
use mm_core::{Modalities, Subset};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The test samples of one seed.
pub struct Test<'a> {
    pub data: &'a DataSet,
    pub modalities: &'a Modalities,
    /// Their rows, ascending.
    pub rows: &'a [usize],
    /// The id and the truth of each row.
    pub samples: &'a BTreeMap<usize, (String, u32)>,
}

/// What the predictions of one situation come to.
struct Evaluated {
    metrics: Metrics,
    correct: String,
    excluded: Excluded,
    confusion: Vec<Vec<u64>>,
}

impl Test<'_> {
    /// The result of a cell.
    pub fn result(&self, cell: &Cell, situations: &Situations) -> Result<CellResult> {
        let full = self.modalities.full();
        let (mut combinations, mut corruptions, mut clean) = (BTreeMap::new(), Vec::new(), None);
        let has_corruptions = situations.keys().any(|s| matches!(s, Situation::Corrupted(..)));
        for (situation, predicted) in situations {
            let Evaluated { metrics, correct, excluded, confusion } = self.evaluate(cell, predicted)?;
            match situation {
                Situation::Only(subset) => {
                    if *subset == full && has_corruptions {
                        clean = Some(CleanResult { metrics: metrics.clone(), correct: correct.clone(), sums: Vec::new(), excluded });
                    }
                    let subset = self.modalities.format(*subset);
                    combinations.insert(
                        subset.clone(),
                        CombinationResult { subset, metrics, correct, sums: Vec::new(), excluded, confusion, outputs: Vec::new() },
                    );
                }
                Situation::Corrupted(name, subset, severity) => corruptions.push(CorruptionResult {
                    corruption: name.clone(),
                    severity: *severity,
                    subset: self.modalities.format(*subset),
                    metrics,
                    correct,
                    sums: Vec::new(),
                    excluded,
                    non_finite: 0,
                }),
            }
        }
        // In the order of all results.
        let all = Subset::all_non_empty(self.modalities.len());
        let combinations: Vec<CombinationResult> = all.filter_map(|s| combinations.remove(&self.modalities.format(s))).collect();
        let of_row = |row: &usize| self.samples.get(row).cloned().unwrap_or_default();
        Ok(CellResult {
            key: self.key(cell),
            data: self.data.name.clone(),
            run: cell.run.clone(),
            method: cell.method.clone(),
            meaning: String::new(),
            seed: cell.seed,
            modalities: self.modalities.names().to_vec(),
            classes: self.data.classes.clone(),
            outputs: Vec::new(),
            predicts: None,
            measure: Measured::default(),
            test_samples: self.rows.len(),
            test_rows: Some(Rows::new(self.rows.to_vec())),
            test_ids: Some(self.rows.iter().map(|row| of_row(row).0).collect()),
            truths: Some(self.rows.iter().map(|row| of_row(row).1).collect()),
            readings: self.readings(situations),
            data_remarks: Vec::new(),
            summary: Summary::of(&combinations, &self.modalities.format(full), &Measured::default()),
            combinations,
            not_evaluated: Vec::new(),
            available: None,
            clean,
            corruptions,
            cost: None,
            epochs: Vec::new(),
            notes: cell.notes.clone(),
            provenance: None,
            pictures: Vec::new(),
            folder: None,
        })
    }

    fn evaluate(&self, cell: &Cell, predicted: &Predicted) -> Result<Evaluated> {
        let classes = self.data.classes.len();
        let mut outcomes = Vec::with_capacity(self.rows.len());
        let mut scores = self.data.target().task().scores("accuracy");
        let mut rows = predicted.rows.iter().peekable();
        for row in self.rows {
            let Some(prediction) = rows.next_if(|p| p.row == *row) else {
                outcomes.push(f32::NAN);
                continue;
            };
            let (situation, at) = prediction.from;
            let logits = &cell.situations[situation].logits[at * classes..][..classes];
            let truth = self.samples.get(row).map_or(0, |(_, truth)| *truth);
            scores.add(logits, &TargetValue::Class(truth), &mut outcomes)?;
        }
        let scored = scores.finish();
        Ok(Evaluated {
            metrics: Metrics::new(&scored, &Measured::default()),
            excluded: Excluded { absent: self.rows.len() - scored.samples, ..Excluded::default() },
            correct: marks(&outcomes, &Measured::default()).0,
            confusion: scored.confusion,
        })
    }

    /// A sample that is predicted from a combination has all of its modalities.
    fn readings(&self, situations: &Situations) -> Vec<Readings> {
        let with = |modality: usize| -> BTreeSet<usize> {
            let has = |s: &Situation| matches!(s, Situation::Only(subset) if subset.contains(modality));
            situations.iter().filter(|(s, _)| has(s)).flat_map(|(_, predicted)| predicted.rows.iter().map(|row| row.row)).collect()
        };
        let of_modality = |(i, name): (usize, &String)| {
            let present = with(i).len();
            Readings { modality: name.clone(), present, absent: self.rows.len() - present, non_finite: 0 }
        };
        self.modalities.names().iter().enumerate().map(of_modality).collect()
    }

    /// Hash of everything that a cell's predictions say.
    fn key(&self, cell: &Cell) -> String {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        [&self.data.name, &cell.run].into_iter().chain(&self.data.classes).for_each(|name| add(name.as_bytes()));
        add(&cell.seed.to_le_bytes());
        for situation in &cell.situations {
            add(format!("{} {:?}", situation.combination, situation.corruption).as_bytes());
            situation.rows.iter().for_each(|(sample, _)| add(self.data.samples[*sample as usize].as_bytes()));
            add(&situation.logits.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
        }
        hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
    }
}
