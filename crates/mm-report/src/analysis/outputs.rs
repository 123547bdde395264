//! What is reached for each label or number alone.

use super::calibration::{OverSeeds, over_seeds};
use super::outcomes::{Group, name};
use crate::words::capitalized;
use mm_core::Subset;
use serde::{Deserialize, Serialize};

/// A run on data with labels or numbers, with all modalities and with its worst combination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputReport {
    /// The run.
    pub run: String,
    /// The combination.
    pub combination: String,
    /// What was measured: the heads of the columns.
    pub measures: Vec<String>,
    /// One part a label or number.
    pub outputs: Vec<OutputScores>,
}

/// What is reached for one label or number, over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputScores {
    /// Its name.
    pub name: String,
    /// In the order of the measures.
    pub scores: Vec<Option<OverSeeds>>,
}

/// Measures of one label or number, with what readers call them.
const MEASURES: [(&str, &str); 9] = [
    ("f1", "F1"),
    ("map", "average precision"),
    ("auroc", "AUROC"),
    ("nll", "log loss"),
    ("r2", "R²"),
    ("mae", "mean absolute error"),
    ("rmse", "root mean squared error"),
    ("pearson", "Pearson correlation"),
    ("concordance", "concordance"),
];

/// Of the full and the worst combination of a run; nothing where one class is predicted.
pub fn of_best(group: &Group, full: Subset) -> Vec<OutputReport> {
    let common = group.combinations();
    let mut subsets = vec![full, super::run::worst_combination(group, &common)];
    subsets.retain(|s| common.contains(s));
    subsets.dedup();
    subsets.into_iter().filter_map(|subset| of_combination(group, subset)).collect()
}

fn of_combination(group: &Group, subset: Subset) -> Option<OutputReport> {
    let first = group.cells[0].result;
    let known = |measure: &str| group.each(subset).any(|c| c.outputs.iter().any(|of| of.contains_key(measure)));
    let measures: Vec<(&str, &str)> = MEASURES.into_iter().filter(|(measure, _)| known(measure)).collect();
    let scores = |(k, name): (usize, &String)| {
        let of = |(measure, _): &(&str, &str)| {
            let values: Vec<f64> = group.each(subset).filter_map(|c| c.outputs.get(k)?.get(*measure).copied()).collect();
            over_seeds(&values)
        };
        OutputScores { name: name.clone(), scores: measures.iter().map(of).collect() }
    };
    let outputs: Vec<OutputScores> = first.outputs.iter().enumerate().map(scores).collect();
    (!outputs.is_empty() && !measures.is_empty()).then(|| OutputReport {
        run: group.run.clone(),
        combination: name(subset, first),
        measures: measures.iter().map(|(_, title)| capitalized(title)).collect(),
        outputs,
    })
}
