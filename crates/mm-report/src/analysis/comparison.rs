//! Each run against the reference, paired on what both have, judged together with the other runs.

use super::Error;
use super::failure::Rates;
use super::outcomes::{Cell, Group};
use super::study::{Pair, View};
use mm_core::Subset;
use mm_core::statistics::{Difference, EffectSize, Estimate, Judging, Resamples, effect_size, judged, mean};
use serde::{Deserialize, Serialize};

/// The difference of a run to the reference. Each is judged together with those of the other runs in the same measure: each measure is a
/// question of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Name of the reference run.
    pub reference: String,
    /// Seeds that both have.
    pub seeds: Vec<u64>,
    /// Combinations that both evaluated.
    pub combinations: usize,
    /// Mean over these combinations.
    pub mean: Option<Difference>,
    /// Worst of these combinations.
    pub worst: Option<Difference>,
    /// All modalities, if both evaluated that.
    pub full: Option<Difference>,
    /// Mean over these combinations under the given failure rates, if there are any.
    pub failure: Option<Difference>,
    /// Effect size of the mean.
    pub effect: EffectSize,
}

/// A comparison and its differences in the order of [`Comparison`], not yet judged.
pub type Unjudged = (Comparison, [Option<Estimate>; 4]);

/// Compares a run with the reference. `None` without a common combination.
pub fn compare(group: &Group, reference: &Group, pair: &Pair, full: Subset, rates: Option<&Rates>) -> Result<Option<Unjudged>, Error> {
    let mut common = pair.run.combinations();
    let of_reference = pair.reference.combinations();
    common.retain(|s| of_reference.contains(s));
    if common.is_empty() {
        return Ok(None);
    }
    let minus = |f: &dyn Fn(View) -> Result<Resamples, Error>| Ok::<_, Error>(Some(f(pair.run)?.minus(&f(pair.reference)?).estimate()));
    let seeds = pair.run.seeds().to_vec();
    let means = |group: &Group| -> Vec<f64> {
        let of_cell = |cell: &Cell| mean(&common.iter().filter_map(|s| cell.combination(*s)).map(|c| c.metrics.score).collect::<Vec<_>>());
        group.cells.iter().filter(|c| seeds.contains(&c.result.seed)).map(of_cell).collect()
    };
    let comparison = Comparison {
        reference: reference.run.clone(),
        effect: effect_size(&means(group), &means(reference)),
        combinations: common.len(),
        mean: None,
        worst: None,
        full: None,
        failure: None,
        seeds,
    };
    let weighted = rates.and_then(|rates| rates.weights(&common));
    let estimates = [
        minus(&|v| v.mean(&common))?,
        minus(&|v| v.worst(&common))?,
        if common.contains(&full) { minus(&|v| v.mean(&[full]))? } else { None },
        match &weighted {
            Some(weights) => minus(&|v| v.linear(&weights.terms, 0.0))?,
            None => None,
        },
    ];
    Ok(Some((comparison, estimates)))
}

/// Judges the comparisons of each measure together.
pub fn judge(unjudged: Vec<Option<Unjudged>>, judging: Judging) -> Vec<Option<Comparison>> {
    let (mut comparisons, estimates): (Vec<Option<Comparison>>, Vec<[Option<Estimate>; 4]>) =
        unjudged.into_iter().map(|u| u.map_or((None, Default::default()), |(comparison, estimates)| (Some(comparison), estimates))).unzip();
    let measures: [fn(&mut Comparison) -> &mut Option<Difference>; 4] =
        [|c| &mut c.mean, |c| &mut c.worst, |c| &mut c.full, |c| &mut c.failure];
    for (k, measure) in measures.into_iter().enumerate() {
        let together: Vec<Estimate> = estimates.iter().filter_map(|e| e[k].clone()).collect();
        let mut judged = judged(&together, judging).into_iter();
        for (comparison, _) in comparisons.iter_mut().zip(&estimates).filter(|(_, e)| e[k].is_some()) {
            if let Some(comparison) = comparison {
                *measure(comparison) = judged.next();
            }
        }
    }
    comparisons
}
