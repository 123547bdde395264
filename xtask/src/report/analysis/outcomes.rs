//! From cells to the outcomes that can be compared: common seeds, common combinations.

use super::Error;
use crate::result::{CellResult, CombinationResult};
use mm_core::statistics::Outcomes;
use mm_core::{Modalities, Subset};
use std::collections::BTreeMap;

/// All seeds of one run on one data entry.
pub struct Group<'a> {
    /// Name of the run.
    pub run: String,
    /// Its method.
    pub method: String,
    /// By ascending seed, each seed once.
    pub cells: Vec<Cell<'a>>,
}

/// A cell with its combinations looked up by subset.
#[derive(Clone)]
pub struct Cell<'a> {
    /// The result as read.
    pub result: &'a CellResult,
    by_subset: BTreeMap<Subset, &'a CombinationResult>,
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

    /// Mean accuracy over the seeds that evaluated a combination.
    pub fn accuracy(&self, subset: Subset) -> Option<f64> {
        let values: Vec<f64> = self.each(subset).map(|c| c.metrics.accuracy).collect();
        (!values.is_empty()).then(|| mm_core::statistics::mean(&values))
    }

    /// A combination's result with each seed that evaluated it.
    pub fn each(&self, subset: Subset) -> impl Iterator<Item = &'a CombinationResult> {
        self.cells.iter().filter_map(move |c| c.by_subset.get(&subset).copied())
    }

    /// Only the given seeds.
    pub fn with_seeds(&self, seeds: &[u64]) -> Vec<Cell<'a>> {
        self.cells.iter().filter(|c| seeds.contains(&c.result.seed)).cloned().collect()
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
        let mut by_subset = BTreeMap::new();
        for combination in &result.combinations {
            if combination.correct.len() != result.test_samples {
                return Err(error(format!(
                    "combination `{}` has {} outcomes for {} test samples",
                    combination.subset,
                    combination.correct.len(),
                    result.test_samples
                )));
            }
            // A combination without a single sample says nothing.
            if combination.correct.bytes().any(|c| c != b'-') {
                by_subset.insert(modalities.parse(&combination.subset).map_err(|e| error(e.to_string()))?, combination);
            }
        }
        if by_subset.is_empty() {
            return Err(error("it evaluated no combination".into()));
        }
        Ok(Self { result, by_subset })
    }

    /// The result of one combination.
    pub fn combination(&self, subset: Subset) -> Option<&'a CombinationResult> {
        self.by_subset.get(&subset).copied()
    }

    /// Outcomes of the given combinations, which it must have.
    pub fn outcomes(&self, subsets: &[Subset]) -> Result<Outcomes, Error> {
        let rows: Vec<&str> = subsets.iter().filter_map(|s| self.combination(*s)).map(|c| c.correct.as_str()).collect();
        Outcomes::from_rows(&rows).map_err(|e| Error::cell(self.result, e.to_string()))
    }
}

/// The combinations, by size, that every cell evaluated; with several runs a seed, on at least one common sample.
pub fn common_combinations(runs: &[&[Cell]]) -> Vec<Subset> {
    let Some(first) = runs.first().and_then(|cells| cells.first()) else { return Vec::new() };
    let in_all = |s: &Subset| {
        (0..runs[0].len()).all(|seed| {
            let rows: Option<Vec<&[u8]>> = runs.iter().map(|cells| cells[seed].combination(*s).map(|c| c.correct.as_bytes())).collect();
            rows.is_some_and(|rows| (0..rows[0].len()).any(|i| rows.iter().all(|row| row.get(i).is_some_and(|c| *c != b'-'))))
        })
    };
    let mut subsets: Vec<Subset> = first.by_subset.keys().copied().filter(in_all).collect();
    subsets.sort_by_key(order);
    subsets
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
