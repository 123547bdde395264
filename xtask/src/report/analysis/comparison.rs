//! Each run against the reference, paired on what both have, corrected for how many comparisons there are.

use super::outcomes::{Cell, Group};
use super::study::{Pair, View};
use super::{Error, RunReport};
use mm_core::Subset;
use mm_core::statistics::{Difference, EffectSize, Resamples, Verdict, effect_size, holm, mean, verdict};
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
    /// P-value after Holm's correction: over all runs in this measure, or over all runs and corruptions.
    pub adjusted_p: f64,
    /// What that says.
    pub verdict: Verdict,
}

/// Compares a run with the reference; uncorrected until [`correct`]. `None` without a common combination.
pub fn compare(group: &Group, reference: &Group, pair: &Pair, full: Subset) -> Result<Option<Comparison>, Error> {
    let mut common = pair.run.combinations();
    let of_reference = pair.reference.combinations();
    common.retain(|s| of_reference.contains(s));
    if common.is_empty() {
        return Ok(None);
    }
    let compared = |f: &dyn Fn(View) -> Result<Resamples, Error>| Ok::<_, Error>(Compared::new(&f(pair.run)?, &f(pair.reference)?));
    let seeds = pair.run.seeds().to_vec();
    let means = |group: &Group| -> Vec<f64> {
        let of_cell =
            |cell: &Cell| mean(&common.iter().filter_map(|s| cell.combination(*s)).map(|c| c.metrics.accuracy).collect::<Vec<_>>());
        group.cells.iter().filter(|c| seeds.contains(&c.result.seed)).map(of_cell).collect()
    };
    Ok(Some(Comparison {
        reference: reference.run.clone(),
        effect: effect_size(&means(group), &means(reference)),
        combinations: common.len(),
        mean: compared(&|v| v.mean(&common))?,
        worst: compared(&|v| v.worst(&common))?,
        full: if common.contains(&full) { Some(compared(&|v| v.mean(&[full]))?) } else { None },
        seeds,
    }))
}

impl Compared {
    /// A difference, not yet corrected.
    pub fn new(run: &Resamples, reference: &Resamples) -> Self {
        let difference = run.difference(reference);
        Self { difference, adjusted_p: difference.p, verdict: verdict(difference.interval.estimate, difference.p) }
    }
}

/// Holm's correction over all runs, for each measure by itself: each is a question of its own.
pub fn correct_runs(runs: &mut [RunReport]) {
    let measures: [fn(&mut Comparison) -> Option<&mut Compared>; 3] = [|c| Some(&mut c.mean), |c| Some(&mut c.worst), |c| c.full.as_mut()];
    for measure in measures {
        correct(runs.iter_mut().filter_map(|r| r.comparison.as_mut()).filter_map(measure).collect());
    }
}

/// Holm's correction over some comparisons.
pub fn correct(mut compared: Vec<&mut Compared>) {
    let adjusted = holm(&compared.iter().map(|c| c.difference.p).collect::<Vec<_>>());
    for (one, p) in compared.iter_mut().zip(adjusted) {
        one.adjusted_p = p;
        one.verdict = verdict(one.difference.interval.estimate, p);
    }
}
