//! From predictions to results, as a bench's own cells leave them.

use super::agree::{Agreement, Predicted, Row, Situation, Situations};
use super::data_set::Cell;
use super::error::{PredictionError, Result};
use super::kind::Kind;
use super::pixels;
use crate::result::*;
use crate::rows::Rows;
use mm_core::Subset;
use mm_core::data::{Target, TargetValue};
use mm_core::task::Scored;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The test samples of one seed.
pub struct Test<'a> {
    pub of: &'a Agreement<'a>,
    /// What is predicted.
    pub target: &'a Target,
    /// Mean and standard deviation of each number.
    pub scale: &'a [[f64; 2]],
    /// The score.
    pub measure: &'a Measured,
    /// Their rows, ascending.
    pub rows: &'a [usize],
}

/// What the predictions of one situation come to.
struct Evaluated {
    metrics: Metrics,
    correct: String,
    sums: Vec<f32>,
    excluded: Excluded,
    confusion: Vec<Vec<u64>>,
    outputs: Vec<BTreeMap<String, f64>>,
}

impl Test<'_> {
    /// The result of a cell.
    pub fn result(&self, cell: &Cell, situations: &Situations) -> Result<CellResult> {
        let (data, modalities) = (self.of.data, self.of.modalities);
        let full = modalities.full();
        let (mut by_subset, mut corruptions, mut clean) = (BTreeMap::new(), Vec::new(), None);
        let has_corruptions = situations.keys().any(|s| matches!(s, Situation::Corrupted(..)));
        for (situation, predicted) in situations {
            let Evaluated { metrics, correct, sums, excluded, confusion, outputs } = self.evaluate(cell, situation, predicted)?;
            match situation {
                Situation::Only(subset) => {
                    if *subset == full && has_corruptions {
                        let (metrics, correct, sums) = (metrics.clone(), correct.clone(), sums.clone());
                        clean = Some(CleanResult { metrics, correct, sums, excluded });
                    }
                    let subset = modalities.format(*subset);
                    let result = CombinationResult { subset: subset.clone(), metrics, correct, sums, excluded, confusion, outputs };
                    by_subset.insert(subset, result);
                }
                Situation::Corrupted(name, subset, severity) => corruptions.push(CorruptionResult {
                    corruption: name.clone(),
                    severity: *severity,
                    subset: modalities.format(*subset),
                    metrics,
                    correct,
                    sums,
                    excluded,
                    non_finite: 0,
                }),
            }
        }
        // In the order of all results.
        let all = Subset::all_non_empty(modalities.len());
        let combinations: Vec<CombinationResult> = all.filter_map(|s| by_subset.remove(&modalities.format(s))).collect();
        let of_classes = self.target.classes() > 0;
        let class = |row: &usize| self.truth(*row).first().map_or(0, |class| *class as u32);
        let result = CellResult {
            key: self.key(cell),
            data: data.name.clone(),
            run: cell.run.clone(),
            method: cell.method.clone(),
            meaning: String::new(),
            seed: cell.seed,
            modalities: modalities.names().to_vec(),
            classes: self.target.class_names().to_vec(),
            outputs: if of_classes { Vec::new() } else { self.target.output_names().to_vec() },
            predicts: Some(self.target.in_words()),
            measure: self.measure.clone(),
            test_samples: self.rows.len(),
            test_rows: Some(Rows::new(self.rows.to_vec())),
            test_groups: None,
            test_ids: Some(self.rows.iter().map(|row| self.of.id(*row)).collect()),
            truths: (data.kind == Kind::Classes).then(|| self.rows.iter().map(class).collect()),
            true_outputs: match data.kind {
                Kind::Labels | Kind::Numbers => self.rows.iter().map(|row| self.truth(*row).to_vec()).collect(),
                Kind::Classes | Kind::Pixels => Vec::new(),
            },
            readings: self.readings(situations),
            data_remarks: Vec::new(),
            summary: Summary::of(&combinations, &modalities.format(full), self.measure),
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
        };
        Ok(result.with_defined_scores())
    }

    fn evaluate(&self, cell: &Cell, situation: &Situation, predicted: &Predicted) -> Result<Evaluated> {
        let (data, score) = (self.of.data, self.measure.score);
        let (outputs, width) = (data.names.len(), score.width());
        let values = if data.kind == Kind::Pixels { 3 * outputs } else { outputs };
        let mut outcomes = Vec::with_capacity(self.rows.len() * width);
        let mut scores = self.target.task().scores(&self.measure.name);
        let mut rows = predicted.rows.iter().peekable();
        for row in self.rows {
            let Some(prediction) = rows.next_if(|p| p.row == *row) else {
                outcomes.extend(std::iter::repeat_n(f32::NAN, width));
                continue;
            };
            let (written, at) = prediction.from;
            let values = &cell.situations[written].values[at * values..][..values];
            let truth = self.truth(*row);
            match data.kind {
                Kind::Classes => {
                    let class = truth.first().map_or(0, |class| *class as u32);
                    scores.add(values, &TargetValue::Class(class), &mut outcomes)?;
                }
                Kind::Labels => {
                    let held = truth.iter().map(|holds| *holds > 0.5).collect();
                    scores.add(values, &TargetValue::Labels(held), &mut outcomes)?;
                }
                Kind::Numbers => {
                    let begin = outcomes.len();
                    scores.add(&self.standardized(truth, values), &TargetValue::Numbers(truth.to_vec()), &mut outcomes)?;
                    if outcomes[begin..].iter().any(|x| !x.is_finite()) {
                        return Err(self.too_far(cell, situation, prediction));
                    }
                }
                Kind::Pixels => outcomes.extend_from_slice(values),
            }
        }
        let scored = match data.kind {
            Kind::Pixels => {
                let of_interest = data.names.iter().position(|name| Some(name) == data.of_interest.as_ref());
                pixels::scored(&outcomes, outputs, of_interest, data.is_complete)
            }
            _ => scores.finish(),
        };
        Ok(self.evaluated(scored, &outcomes))
    }

    fn evaluated(&self, scored: Scored, outcomes: &[f32]) -> Evaluated {
        let score = self.measure.score;
        let mut metrics = Metrics::new(&scored, self.measure);
        // What intervals are made from says what heads the report, as in a bench.
        if scored.samples > 0 && score.is_ranked() {
            metrics.score = score.of_all(outcomes);
        }
        let (correct, sums) = marks(outcomes, self.measure);
        let named = |of: &BTreeMap<&'static str, f64>| of.iter().map(|(name, x)| (name.to_string(), *x)).collect();
        Evaluated {
            metrics,
            correct,
            sums,
            excluded: Excluded { absent: self.rows.len() - scored.samples, ..Excluded::default() },
            outputs: scored.outputs.iter().map(named).collect(),
            confusion: scored.confusion,
        }
    }

    /// What is known of the sample of a row.
    fn truth(&self, row: usize) -> &[f64] {
        self.of.samples.get(&row).and_then(|sample| self.of.data.truths.of(*sample)).unwrap_or_default()
    }

    /// Numbers that are so far from the truth, in standard deviations.
    fn standardized(&self, truth: &[f64], errors: &[f32]) -> Vec<f32> {
        let of = |((truth, error), [mean, spread]): ((&f64, &f32), &[f64; 2])| ((truth + f64::from(*error) - mean) / spread) as f32;
        truth.iter().zip(errors).zip(self.scale).map(of).collect()
    }

    fn too_far(&self, cell: &Cell, situation: &Situation, prediction: &Row) -> PredictionError {
        PredictionError::Scores {
            place: self.of.collector.place(prediction.at),
            which: self.of.which(&cell.run, cell.seed, situation, prediction.row),
            problem: "the prediction is so far from the truth that their squared distance is no number of 32 bits".into(),
        }
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
        self.of.modalities.names().iter().enumerate().map(of_modality).collect()
    }

    /// Hash of everything that a cell's predictions say.
    fn key(&self, cell: &Cell) -> String {
        let data = self.of.data;
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        [&data.name, &cell.run].into_iter().chain(&data.names).for_each(|name| add(name.as_bytes()));
        add(&cell.seed.to_le_bytes());
        for situation in &cell.situations {
            add(format!("{} {:?}", situation.combination, situation.corruption).as_bytes());
            for (sample, _) in &situation.rows {
                add(data.samples[*sample as usize].as_bytes());
                add(&data.truths.of(*sample as usize).iter().copied().flatten().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
            }
            add(&situation.values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
        }
        hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
    }
}
