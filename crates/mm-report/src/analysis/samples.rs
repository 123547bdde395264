//! How many samples the numbers stand on, and which were left out and why.

use super::outcomes::{Group, name};
use crate::result::{CellResult, Excluded, Readings};
use mm_core::Subset;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A combination on fewer distinct test samples is marked: half of the 95 % interval of an accuracy may be 18 points wide, and a
/// normal distribution no longer describes it.
pub const FEW_SAMPLES: usize = 30;

/// What the accuracy on a combination stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Distinct test samples that were evaluated, of all seeds together.
    pub samples: usize,
    /// Fewer than [`FEW_SAMPLES`].
    pub few: bool,
    /// Samples that were not, summed over the seeds.
    pub excluded: Excluded,
}

/// The samples of one combination, for the runs that have the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CombinationSamples {
    /// The combination as text.
    pub combination: String,
    /// The runs; none stands for all whose models can use it.
    pub runs: Vec<String>,
    /// What it stands on.
    pub standing: Standing,
}

impl Standing {
    /// Whether the model cannot use the combination at all.
    pub fn is_unsupported(&self) -> bool {
        self.samples == 0 && self.excluded.unusable > 0
    }
}

/// What a run's accuracy on a combination stands on.
pub fn standing(group: &Group, subset: Subset) -> Standing {
    let mut distinct = BTreeSet::new();
    let mut excluded = Excluded::default();
    for (seed, cell) in group.cells.iter().chain(&group.left_out).enumerate() {
        let why = cell.excluded(subset);
        excluded.absent += why.absent;
        excluded.non_finite += why.non_finite;
        excluded.unusable += why.unusable;
        let Some(combination) = cell.combination(subset) else { continue };
        let evaluated = combination.correct.bytes().enumerate().filter(|(_, c)| *c != b'-').map(|(i, _)| i);
        // Without rows, the samples of a seed are its own.
        distinct.extend(evaluated.map(|i| cell.result.test_rows.as_ref().map_or((seed + 1, i), |rows| (0, rows.numbers()[i]))));
    }
    Standing { samples: distinct.len(), few: distinct.len() < FEW_SAMPLES, excluded }
}

/// The combinations that leave samples out or stand on few, each once for the runs that have the same.
pub fn incomplete(groups: &[Group], subsets: &[Subset], first: &CellResult) -> Vec<CombinationSamples> {
    let mut all = Vec::new();
    for &subset in subsets {
        let mut by_standing: Vec<(Standing, Vec<String>)> = Vec::new();
        for group in groups.iter().filter(|g| g.any_combination().contains(&subset)) {
            let standing = standing(group, subset);
            match by_standing.iter_mut().find(|(other, _)| *other == standing) {
                Some((_, runs)) => runs.push(group.run.clone()),
                None => by_standing.push((standing, vec![group.run.clone()])),
            }
        }
        let one = by_standing.iter().filter(|(s, _)| !s.is_unsupported()).count() == 1;
        let marked = by_standing.into_iter().filter(|(s, _)| s.few || s.excluded != Excluded::default());
        all.extend(marked.map(|(standing, runs)| CombinationSamples {
            combination: name(subset, first),
            runs: if one && !standing.is_unsupported() { Vec::new() } else { runs },
            standing,
        }));
    }
    all
}

/// What the test samples have of each modality, summed over the seeds.
pub fn readings(cells: &[&CellResult]) -> Vec<Readings> {
    let mut sums: Vec<Readings> = Vec::new();
    let mut seen = BTreeSet::new();
    for cell in cells.iter().filter(|c| !c.readings.is_empty()) {
        if !seen.insert(cell.seed) {
            continue;
        }
        if sums.is_empty() {
            sums = cell.readings.iter().map(|r| Readings { modality: r.modality.clone(), present: 0, absent: 0, non_finite: 0 }).collect();
        }
        for (sum, readings) in sums.iter_mut().zip(&cell.readings) {
            sum.present += readings.present;
            sum.absent += readings.absent;
            sum.non_finite += readings.non_finite;
        }
    }
    sums
}
