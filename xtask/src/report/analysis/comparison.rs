//! Each run against the reference, paired on what both have, corrected for how many comparisons there are.

use super::outcomes::{Cell, Group, common_combinations};
use super::{Error, RunReport, Settings};
use mm_core::Subset;
use mm_core::statistics::{Difference, EffectSize, Statistic, Verdict, effect_size, holm, mean, verdict};
use serde::{Deserialize, Serialize};

/// The difference of a run to the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Name of the reference run.
    pub reference: String,
    /// Seeds that both have.
    pub seeds: Vec<u64>,
    /// Combinations that both evaluated.
    pub combinations: usize,
    /// Mean over these combinations.
    pub mean: Compared,
    /// Worst of these combinations.
    pub worst: Compared,
    /// All modalities, if both evaluated that.
    pub full: Option<Compared>,
    /// Effect size of the mean.
    pub effect: EffectSize,
}

/// One difference with its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The difference, its interval and uncorrected p-value.
    pub difference: Difference,
    /// P-value after Holm's correction over all differences of this data entry's table.
    pub adjusted_p: f64,
    /// What that says.
    pub verdict: Verdict,
}

impl Comparison {
    fn each(&mut self) -> impl Iterator<Item = &mut Compared> {
        [&mut self.mean, &mut self.worst].into_iter().chain(&mut self.full)
    }
}

/// Fills in the comparison of every run.
pub fn compare_all(groups: &[Group], reference: usize, full: Subset, runs: &mut [RunReport], settings: &Settings) -> Result<(), Error> {
    for (i, run) in runs.iter_mut().enumerate() {
        if i != reference {
            run.comparison = compare(&groups[i], &groups[reference], full, settings)?;
        }
    }
    let all = || runs.iter().filter_map(|r| r.comparison.clone()).collect::<Vec<_>>();
    let p_values: Vec<f64> = all().iter_mut().flat_map(|c| c.each().map(|d| d.difference.p).collect::<Vec<_>>()).collect();
    let adjusted = holm(&p_values);
    let compared = runs.iter_mut().filter_map(|r| r.comparison.as_mut()).flat_map(Comparison::each);
    for (one, p) in compared.zip(adjusted) {
        one.adjusted_p = p;
        one.verdict = verdict(one.difference.interval.estimate, p);
    }
    Ok(())
}

/// Seeds with which both runs saw the same test samples, and their cells.
pub fn paired<'a>(a: &Group<'a>, b: &Group<'a>) -> (Vec<u64>, Vec<Cell<'a>>, Vec<Cell<'a>>) {
    let same_test = |seed: &u64| {
        let [a, b] = [a, b].map(|g| g.cells.iter().find(|c| c.result.seed == *seed).map(|c| c.result.test_samples));
        a.is_some() && a == b
    };
    let seeds: Vec<u64> = a.seeds().into_iter().filter(same_test).collect();
    let (a, b) = (a.with_seeds(&seeds), b.with_seeds(&seeds));
    (seeds, a, b)
}

fn compare(group: &Group, reference: &Group, full: Subset, settings: &Settings) -> Result<Option<Comparison>, Error> {
    let (seeds, a, b) = paired(group, reference);
    let common = common_combinations(&[&a, &b]);
    if common.is_empty() {
        return Ok(None);
    }
    let outcomes = |cells: &[Cell]| cells.iter().map(|c| c.outcomes(&common)).collect::<Result<Vec<_>, _>>();
    let mut statistics = vec![Statistic::Mean, Statistic::Worst];
    statistics.extend(common.iter().position(|s| *s == full).map(Statistic::Combination));
    let resampled = settings.bootstrap.run(&[&outcomes(&a)?, &outcomes(&b)?], &statistics)?;
    let compared = |statistic: usize| {
        let difference = resampled.difference(0, 1, statistic);
        Compared { difference, adjusted_p: difference.p, verdict: verdict(difference.interval.estimate, difference.p) }
    };
    let means = |cells: &[Cell]| -> Vec<f64> {
        let accuracy = |cell: &Cell, s: &Subset| cell.combination(*s).map(|c| c.metrics.accuracy);
        cells.iter().map(|cell| mean(&common.iter().filter_map(|s| accuracy(cell, s)).collect::<Vec<_>>())).collect()
    };
    Ok(Some(Comparison {
        reference: reference.run.clone(),
        seeds,
        combinations: common.len(),
        mean: compared(0),
        worst: compared(1),
        full: (statistics.len() > 2).then(|| compared(2)),
        effect: effect_size(&means(&a), &means(&b)),
    }))
}
