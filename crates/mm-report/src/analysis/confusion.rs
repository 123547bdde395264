//! Which classes the best method confuses, at its full and its worst combination.

use super::outcomes::{Group, name};
use super::run::worst_combination;
use mm_core::Subset;
use serde::{Deserialize, Serialize};

/// A confusion matrix, summed over the seeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// The run.
    pub run: String,
    /// The combination.
    pub combination: String,
    /// `counts[true][predicted]`.
    pub counts: Vec<Vec<u64>>,
}

/// The matrices of the full and the worst combination of a run.
pub fn of_best(group: &Group, full: Subset) -> Vec<Confusion> {
    let common = group.combinations();
    let mut subsets = vec![full, worst_combination(group, &common)];
    subsets.retain(|s| common.contains(s));
    subsets.dedup();
    subsets.into_iter().filter_map(|s| confusion(group, s)).collect()
}

fn confusion(group: &Group, subset: Subset) -> Option<Confusion> {
    let first = group.cells[0].result;
    let classes = first.classes.len();
    let mut counts = vec![vec![0u64; classes]; classes];
    for combination in group.each(subset) {
        if combination.confusion.len() != classes || combination.confusion.iter().any(|row| row.len() != classes) {
            return None;
        }
        for (sums, row) in counts.iter_mut().zip(&combination.confusion) {
            sums.iter_mut().zip(row).for_each(|(sum, n)| *sum += *n);
        }
    }
    Some(Confusion { run: group.run.clone(), combination: name(subset, first), counts })
}
