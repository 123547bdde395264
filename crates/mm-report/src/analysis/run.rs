//! One run: its accuracy over the combinations, with intervals.

use super::failure::Rates;
use super::guess::guess;
use super::outcomes::{Group, Situation, name};
use super::samples::{self, Standing};
use super::study::View;
use super::{Calibration, Comparison, CostReport, EpochMean, Error, Spoof, calibration, cost, training};
use crate::result::{CellResult, Measured};
use mm_core::Subset;
use mm_core::statistics::{Interval, LEVEL, Resamples, mean, shapley_weights, standard_deviation};
use serde::{Deserialize, Serialize};

/// One run on one data entry, over its seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Name of the run.
    pub run: String,
    /// Its method.
    pub method: String,
    /// What that does, in a sentence; empty where it is not known.
    pub meaning: String,
    /// Its seeds.
    pub seeds: Vec<u64>,
    /// Whether every seed evaluated every combination that all seeds of any run did.
    pub complete: bool,
    /// Combinations that all seeds evaluated: those behind mean and worst.
    pub evaluated: usize,
    /// Mean accuracy over the combinations.
    pub mean: Value,
    /// Worst score of a combination.
    pub worst: Value,
    /// The combination with the worst score over all seeds.
    pub worst_combination: String,
    /// Accuracy with all modalities.
    pub full: Option<Value>,
    /// How much worse the worst is than the full one.
    pub gap: Option<Value>,
    /// Accuracy under the given failure rates, if there are any.
    pub failure: Option<FailureValue>,
    /// The difference to the reference; absent for the reference itself and where nothing can be paired.
    pub comparison: Option<Comparison>,
    /// In the order of [`super::DataReport::combinations`]; absent where not evaluated.
    pub combinations: Vec<Option<CombinationValue>>,
    /// Mean accuracy by number of modalities, for the sizes it evaluated.
    pub by_size: Vec<(usize, f64)>,
    /// Shapley value of each modality, where all combinations were evaluated.
    pub shapley: Option<Vec<Interval>>,
    /// Calibration.
    pub calibration: Calibration,
    /// Error rates of two-class tasks.
    pub spoof: Option<Spoof>,
    /// Cost, where it is known.
    pub cost: Option<CostReport>,
    /// Training history, mean over the seeds.
    pub training: Vec<EpochMean>,
    /// Remarks of its cells with the seeds that made them.
    pub notes: Vec<(String, Vec<u64>)>,
}

/// A number over seeds: estimate with bootstrap interval, and its standard deviation over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// Mean over the seeds, with its 95 % interval.
    pub interval: Interval,
    /// Standard deviation over seeds; absent with one seed.
    pub sd: Option<f64>,
    /// Whether a combination behind it stands on few samples.
    pub few: bool,
}

/// The mean over the combinations as often as they occur under given failure rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FailureValue {
    /// The mean.
    pub value: Value,
    /// The share of all cases that the evaluated combinations are; the mean is over these.
    pub covered: f64,
}

/// The accuracy on one combination.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CombinationValue {
    /// Mean over the seeds that evaluated it.
    pub accuracy: f64,
    /// Standard deviation over seeds; absent with one seed.
    pub sd: Option<f64>,
    /// 95 % interval, where all seeds evaluated it and it is shown by itself.
    pub interval: Option<Interval>,
    /// What it stands on.
    pub standing: Standing,
}

impl RunReport {
    /// Analyses a run; `comparison` is filled in later.
    pub fn new(group: &Group, view: View, scope: &Scope, rates: Option<&Rates>) -> Result<Self, Error> {
        let Scope { subsets, rankable, shown, full, first } = *scope;
        let common = view.combinations();
        if common.is_empty() {
            return Err(Error::cell(group.cells[0].result, "its seeds have no combination in common"));
        }
        let (average_accuracy, lowest_accuracy) = (view.mean(&common)?, view.worst(&common)?);
        let full_accuracy = if common.contains(&full) { Some(view.mean(&[full])?) } else { None };

        let accuracy = |seed: usize, subset: Subset| group.cells[seed].combination(subset).map_or(f64::NAN, |c| c.metrics.score);
        let per_seed = |f: &dyn Fn(usize) -> f64| standard_deviation(&(0..group.cells.len()).map(f).collect::<Vec<_>>());
        let measure = view.measure();
        let lowest =
            |seed: usize| measure.goodness(common.iter().map(|s| measure.goodness(accuracy(seed, *s))).fold(f64::INFINITY, f64::min));
        let average = |seed: usize| mean(&common.iter().map(|s| accuracy(seed, *s)).collect::<Vec<_>>());
        let few: Vec<Subset> = common.iter().copied().filter(|s| samples::standing(group, *s).few).collect();
        let value = |of: &Resamples, sd: Option<f64>| Value { interval: view.interval(of), sd, few: !few.is_empty() };
        let failure = match rates.and_then(|rates| rates.weights(&common)) {
            Some(weights) => {
                let weighted = |seed: usize| {
                    weights.terms.iter().map(|(s, w)| if let Situation::Only(s) = s { w * accuracy(seed, *s) } else { 0.0 }).sum::<f64>()
                };
                let expected = value(&view.linear(&weights.terms, 0.0)?, per_seed(&weighted));
                Some(FailureValue { value: expected, covered: weights.covered })
            }
            None => None,
        };
        let worst = worst_combination(group, &common);
        Ok(Self {
            run: group.run.clone(),
            method: group.method.clone(),
            meaning: group.meaning.clone(),
            seeds: group.seeds(),
            complete: rankable.iter().all(|s| common.contains(s)),
            evaluated: common.len(),
            mean: value(&average_accuracy, per_seed(&average)),
            worst: value(&lowest_accuracy, per_seed(&lowest)),
            worst_combination: name(worst, first),
            full: full_accuracy
                .as_ref()
                .map(|all| Value { few: few.contains(&full), ..value(all, per_seed(&|seed| accuracy(seed, full))) }),
            gap: full_accuracy.as_ref().map(|all| {
                let lost = if measure.higher_is_better { all.minus(&lowest_accuracy) } else { lowest_accuracy.minus(all) };
                value(&lost, per_seed(&|seed| measure.goodness(accuracy(seed, full)) - measure.goodness(lowest(seed))))
            }),
            failure,
            comparison: None,
            combinations: subsets.iter().map(|s| combination(group, view, *s, &common, shown)).collect::<Result<_, _>>()?,
            by_size: by_size(group, &common),
            shapley: shapley(view, &common, full, first)?,
            calibration: calibration::calibration(group, &common, full),
            spoof: calibration::spoof(group, &common, full),
            cost: cost::cost(group),
            training: training::history(group),
            notes: notes(group),
        })
    }
}

/// What the runs of a data entry have in common.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Combinations that any run was asked for.
    pub subsets: &'a [Subset],
    /// Combinations that all seeds of any run evaluated.
    pub rankable: &'a [Subset],
    /// Combinations shown one by one.
    pub shown: &'a [Subset],
    /// All modalities.
    pub full: Subset,
    /// A cell, for names.
    pub first: &'a CellResult,
}

/// The combination of worst score over the seeds, the first of equals.
pub fn worst_combination(group: &Group, common: &[Subset]) -> Subset {
    let accuracy = |s: Subset| group.score(s).map_or(f64::INFINITY, |score| group.measure().goodness(score));
    common.iter().copied().min_by(|a, b| accuracy(*a).total_cmp(&accuracy(*b))).unwrap_or(common[0])
}

/// The run with the best mean, among those that evaluated everything if there are any.
pub fn best(runs: &[RunReport], measure: &Measured) -> usize {
    let score = |r: &RunReport| (r.complete, measure.goodness(r.mean.interval.estimate));
    let better = |a: usize, b: usize| {
        let (a, b) = (score(&runs[a]), score(&runs[b]));
        a.0 && !b.0 || a.0 == b.0 && a.1 > b.1
    };
    (0..runs.len()).reduce(|best, i| if better(i, best) { i } else { best }).unwrap_or(0)
}

fn combination(group: &Group, view: View, subset: Subset, common: &[Subset], shown: &[Subset]) -> Result<Option<CombinationValue>, Error> {
    let values: Vec<f64> = group.each(subset).map(|c| c.metrics.score).collect();
    if values.is_empty() {
        return Ok(None);
    }
    let interval = if common.contains(&subset) && shown.contains(&subset) { Some(view.interval(&view.mean(&[subset])?)) } else { None };
    let standing = samples::standing(group, subset);
    Ok(Some(CombinationValue { accuracy: mean(&values), sd: standard_deviation(&values), interval, standing }))
}

/// The Shapley values, if the table is complete. The empty set is worth a guess: the largest class, or 1/K.
fn shapley(view: View, common: &[Subset], full: Subset, first: &CellResult) -> Result<Option<Vec<Interval>>, Error> {
    let Some(weights) = shapley_weights(first.modalities.len()).filter(|_| common.len() == full.bits() as usize) else { return Ok(None) };
    let of_classes = first.combinations.iter().find(|c| c.confusion.iter().flatten().any(|n| *n > 0));
    let Some(empty) = of_classes.or(first.combinations.first()).and_then(|c| guess(first, c)) else { return Ok(None) };
    let value = |w: &Vec<f64>| {
        let terms: Vec<(Situation, f64)> = common.iter().map(|s| (Situation::Only(*s), w[s.bits() as usize])).collect();
        Ok(view.linear(&terms, w[0] * empty)?.estimate().interval(LEVEL))
    };
    weights.iter().map(value).collect::<Result<_, _>>().map(Some)
}

fn by_size(group: &Group, common: &[Subset]) -> Vec<(usize, f64)> {
    let sizes = super::distinct_sorted(common.iter().map(|s| s.len()));
    let at = |size: usize| mean(&common.iter().filter(|s| s.len() == size).filter_map(|s| group.score(*s)).collect::<Vec<_>>());
    sizes.into_iter().map(|size| (size, at(size))).collect()
}

fn notes(group: &Group) -> Vec<(String, Vec<u64>)> {
    let mut notes: Vec<(String, Vec<u64>)> = Vec::new();
    for cell in &group.cells {
        for note in &cell.result.notes {
            match notes.iter_mut().find(|(text, _)| text == note) {
                Some((_, seeds)) => seeds.push(cell.result.seed),
                None => notes.push((note.clone(), vec![cell.result.seed])),
            }
        }
    }
    notes
}
