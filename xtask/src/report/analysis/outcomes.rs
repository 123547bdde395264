//! The cells of a run, with their outcomes looked up by situation.

use super::{Condition, Error};
use crate::result::{CellResult, CombinationResult};
use mm_core::{Modalities, Subset};
use std::collections::BTreeMap;

/// What a model was evaluated under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Situation {
    /// Only these modalities.
    Only(Subset),
    /// All modalities, some of them corrupted, with a severity.
    Corrupted(Condition, u8),
}

/// All seeds of one run on one data entry.
pub struct Group<'a> {
    /// Name of the run.
    pub run: String,
    /// Its method.
    pub method: String,
    /// By ascending seed, each seed once.
    pub cells: Vec<Cell<'a>>,
}

/// One cell.
#[derive(Clone)]
pub struct Cell<'a> {
    /// The result as read.
    pub result: &'a CellResult,
    by_subset: BTreeMap<Subset, &'a CombinationResult>,
    /// Where at least one sample was evaluated.
    pub outcomes: BTreeMap<Situation, &'a str>,
}

impl<'a> Group<'a> {
    /// Collects the cells of a run.
    pub fn new(run: &str, cells: &[&'a CellResult]) -> Result<Self, Error> {
        let mut by_seed = BTreeMap::new();
        for result in cells.iter().filter(|c| c.run == run) {
            by_seed.entry(result.seed).or_insert(Cell::new(result, cells[0])?);
        }
        let cells: Vec<Cell> = by_seed.into_values().collect();
        Ok(Self { run: run.to_string(), method: cells[0].result.method.clone(), cells })
    }

    /// Its seeds, ascending.
    pub fn seeds(&self) -> Vec<u64> {
        self.cells.iter().map(|c| c.result.seed).collect()
    }

    /// Combinations that any seed evaluated.
    pub fn any_combination(&self) -> Vec<Subset> {
        self.cells.iter().flat_map(|c| c.by_subset.keys().copied()).collect()
    }

    /// Combinations that every seed evaluated, by size.
    pub fn combinations(&self) -> Vec<Subset> {
        let mut subsets: Vec<Subset> = self.cells[0].by_subset.keys().copied().collect();
        subsets.retain(|s| self.cells.iter().all(|c| c.by_subset.contains_key(s)));
        subsets.sort_by_key(order);
        subsets
    }

    /// Mean accuracy over the seeds that evaluated a combination.
    pub fn accuracy(&self, subset: Subset) -> Option<f64> {
        let values: Vec<f64> = self.each(subset).map(|c| c.metrics.accuracy).collect();
        (!values.is_empty()).then(|| mm_core::statistics::mean(&values))
    }

    /// A combination's result with each seed that evaluated it.
    pub fn each(&self, subset: Subset) -> impl Iterator<Item = &'a CombinationResult> {
        self.cells.iter().filter_map(move |c| c.by_subset.get(&subset).copied())
    }
}

impl<'a> Cell<'a> {
    fn new(result: &'a CellResult, first: &CellResult) -> Result<Self, Error> {
        let error = |problem: String| Error::cell(result, problem);
        let modalities = Modalities::new(result.modalities.clone()).map_err(|e| error(e.to_string()))?;
        if result.modalities != first.modalities {
            return Err(error("its modalities differ from those of the other cells of this data".into()));
        }
        if result.classes != first.classes {
            return Err(error("its classes differ from those of the other cells of this data".into()));
        }
        let (mut by_subset, mut outcomes) = (BTreeMap::new(), BTreeMap::new());
        for combination in &result.combinations {
            if evaluated(&combination.correct, result, &combination.subset)? {
                let subset = modalities.parse(&combination.subset).map_err(|e| error(e.to_string()))?;
                by_subset.insert(subset, combination);
                outcomes.insert(Situation::Only(subset), combination.correct.as_str());
            }
        }
        for corruption in &result.corruptions {
            if evaluated(&corruption.correct, result, &corruption.corruption)? {
                outcomes.insert(Situation::Corrupted(Condition::of(corruption), corruption.severity), corruption.correct.as_str());
            }
        }
        if by_subset.is_empty() {
            return Err(error("it evaluated no combination".into()));
        }
        Ok(Self { result, by_subset, outcomes })
    }

    /// The result of one combination.
    pub fn combination(&self, subset: Subset) -> Option<&'a CombinationResult> {
        self.by_subset.get(&subset).copied()
    }
}

/// Whether there is any outcome; an error if there are not as many as test samples or they are not what they should be.
fn evaluated(correct: &str, result: &CellResult, what: &str) -> Result<bool, Error> {
    if correct.len() != result.test_samples {
        return Err(Error::cell(result, format!("`{what}` has {} outcomes for {} test samples", correct.len(), result.test_samples)));
    }
    if let Some(other) = correct.chars().find(|c| !matches!(c, '0' | '1' | '-')) {
        return Err(Error::cell(result, format!("`{what}` has the outcome {other:?}, which is none of 0, 1 and -")));
    }
    Ok(correct.bytes().any(|c| c != b'-'))
}

/// By size, then lexicographic by position: the order of `Subset::all_non_empty`.
pub fn order(subset: &Subset) -> (usize, std::cmp::Reverse<u16>) {
    (subset.len(), std::cmp::Reverse(subset.bits().reverse_bits()))
}

/// A combination as text.
pub fn name(subset: Subset, cell: &CellResult) -> String {
    let names: Vec<&str> = subset.indices().filter_map(|i| cell.modalities.get(i)).map(String::as_str).collect();
    names.join("+")
}
