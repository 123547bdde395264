//! The cells of a run, with their outcomes looked up by situation.

use super::{Condition, Error};
use crate::result::{CellResult, CombinationResult, Excluded, Measured};
use mm_core::{Modalities, Subset};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// What a model was evaluated under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Situation {
    /// Only these modalities.
    Only(Subset),
    /// Everything a sample has, some of it corrupted, with a severity; 0 is as it is.
    Corrupted(Condition, u8),
    /// Everything a sample has, where some lack a sensor.
    Available,
}

/// All seeds of one run on one data entry.
pub struct Group<'a> {
    /// Name of the run.
    pub run: String,
    /// Its method.
    pub method: String,
    /// What that does.
    pub meaning: String,
    /// By ascending seed, each seed once.
    pub cells: Vec<Cell<'a>>,
    /// Those that are left out of everything: they share no combination with the others.
    pub left_out: Vec<Cell<'a>>,
}

/// One cell.
#[derive(Clone)]
pub struct Cell<'a> {
    /// The result as read.
    pub result: &'a CellResult,
    by_subset: BTreeMap<Subset, &'a CombinationResult>,
    /// Combinations without an evaluated sample.
    without: BTreeMap<Subset, Excluded>,
    /// Where at least one sample was evaluated.
    pub outcomes: BTreeMap<Situation, Outcome<'a>>,
}

/// What came of the test samples in one situation.
#[derive(Debug, Clone)]
pub struct Outcome<'a> {
    /// As in [`CombinationResult::correct`].
    pub marks: Cow<'a, str>,
    /// As in [`CombinationResult::sums`].
    pub sums: &'a [f32],
}

impl<'a> Group<'a> {
    /// Collects the cells of a run; `None` if none of them evaluated anything.
    pub fn new(run: &str, cells: &[&'a CellResult]) -> Result<Option<Self>, Error> {
        let mut by_seed = BTreeMap::new();
        for result in cells.iter().filter(|c| c.run == run) {
            by_seed.entry(result.seed).or_insert(Cell::new(result, cells[0])?);
        }
        let cells: Vec<Cell> = by_seed.into_values().collect();
        let Some(CellResult { method, meaning, .. }) = cells.first().map(|c| c.result) else { return Ok(None) };
        let (method, meaning) = (method.clone(), meaning.clone());
        let mut group = Self { run: run.to_string(), method, meaning, cells, left_out: Vec::new() };
        // Seeds that have nothing in common cannot be averaged: those with the fewest combinations give way.
        while group.combinations().is_empty() {
            let fewest = (0..group.cells.len()).min_by_key(|&i| group.cells[i].by_subset.len());
            let Some(fewest) = fewest else { return Ok(None) };
            group.left_out.push(group.cells.remove(fewest));
        }
        group.left_out.sort_by_key(|c| c.result.seed);
        Ok(Some(group))
    }

    /// The score.
    pub fn measure(&self) -> &'a Measured {
        &self.cells[0].result.measure
    }

    /// Its seeds, ascending.
    pub fn seeds(&self) -> Vec<u64> {
        self.cells.iter().map(|c| c.result.seed).collect()
    }

    /// Combinations that any seed was asked for.
    pub fn any_combination(&self) -> Vec<Subset> {
        self.cells.iter().chain(&self.left_out).flat_map(|c| c.by_subset.keys().chain(c.without.keys()).copied()).collect()
    }

    /// Combinations that every seed evaluated, by size.
    pub fn combinations(&self) -> Vec<Subset> {
        let mut subsets: Vec<Subset> = self.cells.first().map(|c| c.by_subset.keys().copied().collect()).unwrap_or_default();
        subsets.retain(|s| self.cells.iter().all(|c| c.by_subset.contains_key(s)));
        subsets.sort_by_key(order);
        subsets
    }

    /// Mean score over the seeds that evaluated a combination.
    pub fn score(&self, subset: Subset) -> Option<f64> {
        let values: Vec<f64> = self.each(subset).map(|c| c.metrics.score).collect();
        (!values.is_empty()).then(|| mm_core::statistics::mean(&values))
    }

    /// A combination's result with each seed that evaluated it.
    pub fn each(&self, subset: Subset) -> impl Iterator<Item = &'a CombinationResult> {
        self.cells.iter().filter_map(move |c| c.by_subset.get(&subset).copied())
    }
}

impl<'a> Cell<'a> {
    /// Reads a result; `first` is another one of the same data.
    pub fn new(result: &'a CellResult, first: &CellResult) -> Result<Self, Error> {
        let error = |problem: String| Error::cell(result, problem);
        let modalities = Modalities::new(result.modalities.clone()).map_err(|e| error(e.to_string()))?;
        if result.modalities != first.modalities {
            return Err(error("its modalities differ from those of the other cells of this data".into()));
        }
        if result.measure != first.measure {
            return Err(error("its score is another one than that of the other cells of this data".into()));
        }
        if result.classes != first.classes || result.outputs != first.outputs {
            return Err(error("its classes differ from those of the other cells of this data".into()));
        }
        if result.test_rows.as_ref().is_some_and(|rows| rows.numbers().len() != result.test_samples) {
            return Err(error("it does not say which rows its test samples are".into()));
        }
        if result.test_groups.as_ref().is_some_and(|groups| groups.len() != result.test_samples) {
            return Err(error("it does not say which groups its test samples are of".into()));
        }
        let parse = |subset: &str| modalities.parse(subset).map_err(|e| error(e.to_string()));
        let (mut by_subset, mut without, mut outcomes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for combination in &result.combinations {
            let subset = parse(&combination.subset)?;
            if evaluated((&combination.correct, &combination.sums), result, &combination.subset)? {
                by_subset.insert(subset, combination);
                let outcome = Outcome { marks: Cow::Borrowed(&combination.correct), sums: &combination.sums };
                outcomes.insert(Situation::Only(subset), outcome);
            } else {
                without.insert(subset, combination.excluded);
            }
        }
        for combination in &result.not_evaluated {
            without.insert(parse(&combination.subset)?, combination.excluded);
        }
        for condition in super::distinct(result.corruptions.iter().map(Condition::of)) {
            outcomes.extend(severities(result, &condition)?);
        }
        if let Some(available) = &result.available
            && evaluated((&available.correct, &available.sums), result, "available")?
        {
            outcomes.insert(Situation::Available, Outcome { marks: Cow::Borrowed(&available.correct), sums: &available.sums });
        }
        Ok(Self { result, by_subset, without, outcomes })
    }

    /// Why samples of a combination were not evaluated.
    pub fn excluded(&self, subset: Subset) -> Excluded {
        self.by_subset.get(&subset).map(|c| c.excluded).or_else(|| self.without.get(&subset).copied()).unwrap_or_default()
    }

    /// Combinations of which no test sample has all readings.
    pub fn without_samples(&self) -> BTreeSet<Subset> {
        self.without.iter().filter(|(_, excluded)| excluded.unusable == 0).map(|(subset, _)| *subset).collect()
    }

    /// The result of one combination.
    pub fn combination(&self, subset: Subset) -> Option<&'a CombinationResult> {
        self.by_subset.get(&subset).copied()
    }
}

/// The outcomes under a corruption by severity, 0 included, all on one population: the samples evaluated at every severity.
fn severities<'a>(result: &'a CellResult, condition: &Condition) -> Result<Vec<(Situation, Outcome<'a>)>, Error> {
    let records =
        result.corruptions.iter().filter(|c| Condition::of(c) == *condition).map(|c| (c.severity, (c.correct.as_str(), &*c.sums)));
    let clean = result.clean.iter().map(|clean| (0, (clean.correct.as_str(), &*clean.sums)));
    let all: BTreeMap<u8, (&str, &[f32])> = clean.chain(records).collect();
    for outcome in all.values() {
        evaluated(*outcome, result, &condition.corruption)?;
    }
    let everywhere = |i: usize| all.values().all(|(marks, _)| marks.as_bytes()[i] != b'-');
    let same = all.values().all(|(marks, _)| marks.bytes().enumerate().all(|(i, c)| c == b'-' || everywhere(i)));
    let masked = |marks: &str| marks.char_indices().map(|(i, c)| if everywhere(i) { c } else { '-' }).collect::<String>();
    let of = |(severity, (marks, sums)): (&u8, &(&'a str, &'a [f32]))| {
        let marks = if same { Cow::Borrowed(*marks) } else { Cow::Owned(masked(marks)) };
        (Situation::Corrupted(condition.clone(), *severity), Outcome { marks, sums })
    };
    Ok(all.iter().map(of).filter(|(_, outcome)| outcome.marks.bytes().any(|c| c != b'-')).collect())
}

/// Whether there is any outcome; an error if there are not as many as test samples or they are not what they should be.
fn evaluated((correct, sums): (&str, &[f32]), result: &CellResult, what: &str) -> Result<bool, Error> {
    if correct.len() != result.test_samples {
        return Err(Error::cell(result, format!("`{what}` has {} outcomes for {} test samples", correct.len(), result.test_samples)));
    }
    let score = result.measure.score;
    let expected = if result.measure.is_marks() { 0 } else { correct.len() * score.width() };
    if sums.len() != expected {
        return Err(Error::cell(result, format!("`{what}` has {} sums, where its score needs {expected}", sums.len())));
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
