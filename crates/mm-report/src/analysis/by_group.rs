//! What is reached on each group of the test samples: each speaker, patient, site or event.

use super::calibration::{OverSeeds, over_seeds};
use super::outcomes::{Cell, Group, Outcome, Situation, name};
use super::{distinct, distinct_sorted};
use mm_core::Subset;
use serde::{Deserialize, Serialize};

/// More groups than this are no table that anybody reads.
const MOST_GROUPS: usize = 24;
/// Up to so many combinations, each has a table.
const ALL_UP_TO: usize = 7;

/// All runs with one combination, by group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupReport {
    /// The combination.
    pub combination: String,
    /// Names of the groups, and how many test samples each has, all seeds together.
    pub groups: Vec<(String, usize)>,
    /// One entry a run that evaluated the combination.
    pub runs: Vec<GroupScores>,
}

/// What a run reaches, over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupScores {
    /// The run.
    pub run: String,
    /// By group; nothing where no sample of it was evaluated, or its samples do not define the score.
    pub scores: Vec<Option<OverSeeds>>,
    /// How many distinct test samples of each group were evaluated, all seeds together.
    #[serde(default)]
    pub samples: Vec<usize>,
}

/// Of every combination where they are few, otherwise of the full one and the best run's worst; nothing where samples have no groups, or all the same.
pub fn of(runs: &[Group], best: usize, subsets: &[Subset], full: Subset) -> Vec<GroupReport> {
    let results = || runs.iter().flat_map(|run| &run.cells).map(|cell| cell.result);
    let names = distinct_sorted(results().flat_map(|result| result.test_groups.iter().flatten().cloned()));
    let everywhere = results().all(|result| result.test_groups.is_some());
    let (Some(best), true, 2..=MOST_GROUPS) = (runs.get(best), everywhere, names.len()) else { return Vec::new() };
    let groups: Vec<(String, usize)> = names.into_iter().map(|group| (group.clone(), samples_of(&group, runs))).collect();
    let shown = match subsets.len() <= ALL_UP_TO {
        true => subsets.to_vec(),
        false => distinct([full, super::run::worst_combination(best, &best.combinations())].into_iter()),
    };
    let of_subset = |subset: Subset| {
        let of_run = |run: &Group| {
            let cells: Vec<(&Cell, &Outcome)> =
                run.cells.iter().filter_map(|cell| Some((cell, cell.outcomes.get(&Situation::Only(subset))?))).collect();
            let score = |(group, _): &(String, usize)| {
                let values = cells.iter().filter_map(|(cell, outcome)| score_of(group, cell, outcome));
                over_seeds(&values.collect::<Vec<f64>>())
            };
            let scores = groups.iter().map(score).collect();
            let samples = groups.iter().map(|(group, _)| evaluated(group, &cells)).collect();
            (!cells.is_empty()).then(|| GroupScores { run: run.run.clone(), scores, samples })
        };
        let runs: Vec<GroupScores> = runs.iter().filter_map(of_run).collect();
        GroupReport { combination: name(subset, best.cells[0].result), groups: groups.clone(), runs }
    };
    shown.into_iter().map(of_subset).filter(|report| !report.runs.is_empty()).collect()
}

/// Distinct test samples of a group, of all seeds.
fn samples_of(group: &str, runs: &[Group]) -> usize {
    let cells = runs.iter().flat_map(|run| &run.cells);
    let rows = cells.flat_map(|cell| {
        let rows = cell.result.test_rows.iter().flat_map(|rows| rows.numbers());
        rows.zip(cell.result.test_groups.iter().flatten()).filter(|(_, of)| *of == group).map(|(row, _)| *row)
    });
    distinct_sorted(rows).len()
}

/// Distinct test samples of a group that were evaluated, of all seeds.
fn evaluated(group: &str, cells: &[(&Cell, &Outcome)]) -> usize {
    let rows = cells.iter().enumerate().flat_map(|(seed, (cell, outcome))| {
        let of_group = cell.result.test_groups.iter().flatten().zip(outcome.marks.bytes()).enumerate();
        let those = of_group.filter(|(_, (of, mark))| *of == group && *mark != b'-').map(|(i, _)| i);
        // Without rows, the samples of a seed are its own.
        those.map(move |i| cell.result.test_rows.as_ref().map_or((seed + 1, i), |rows| (0, rows.numbers()[i])))
    });
    distinct_sorted(rows).len()
}

/// The score on the samples of a group; the mean over seeds leaves out a seed in which the group is no test group.
fn score_of(group: &str, cell: &Cell, outcome: &Outcome) -> Option<f64> {
    let measure = &cell.result.measure;
    let evaluated = |i: &usize| outcome.marks.as_bytes()[*i] != b'-';
    let groups = cell.result.test_groups.iter().flatten().enumerate();
    let samples: Vec<usize> = groups.filter(|(_, of)| *of == group).map(|(i, _)| i).filter(evaluated).collect();
    if samples.is_empty() {
        return None;
    }
    if measure.is_marks() {
        let right = samples.iter().filter(|i| outcome.marks.as_bytes()[**i] == b'1').count();
        return Some(right as f64 / samples.len() as f64);
    }
    let width = measure.score.width();
    let sums: Vec<f32> = samples.iter().flat_map(|i| &outcome.sums[i * width..][..width]).copied().collect();
    Some(measure.score.of_all(&sums)).filter(|score| score.is_finite())
}
