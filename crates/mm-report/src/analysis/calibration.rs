//! How far predicted probabilities can be believed, and the error rates of two-class tasks.

use super::outcomes::Group;
use crate::result::{CombinationResult, SpoofMetrics};
use mm_core::Subset;
use mm_core::statistics::{mean, standard_deviation};
use serde::{Deserialize, Serialize};

/// A mean over seeds with its standard deviation, where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OverSeeds {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub sd: Option<f64>,
}

/// Calibration over the combinations that all seeds evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error, mean over the combinations.
    pub ece_mean: Option<OverSeeds>,
    /// Expected calibration error of the worst combination.
    pub ece_worst: Option<OverSeeds>,
    /// Expected calibration error with all modalities.
    pub ece_full: Option<OverSeeds>,
    /// Negative log-likelihood, mean over the combinations.
    pub nll_mean: Option<OverSeeds>,
    /// Brier score, mean over the combinations.
    pub brier_mean: Option<OverSeeds>,
    /// Mean expected calibration error by number of modalities.
    pub ece_by_size: Vec<(usize, f64)>,
}

/// Presentation-attack error rates of one situation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SpoofRates {
    /// Attacks called live.
    pub apcer: OverSeeds,
    /// Live called attack.
    pub bpcer: OverSeeds,
    /// Mean of both.
    pub acer: OverSeeds,
}

/// Presentation-attack error rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spoof {
    /// Mean over the combinations.
    pub mean: SpoofRates,
    /// The combination with the highest ACER of each seed.
    pub worst: SpoofRates,
    /// All modalities.
    pub full: Option<SpoofRates>,
}

/// Nothing where a value is not finite, or there is none.
pub(super) fn over_seeds(values: &[f64]) -> Option<OverSeeds> {
    let finite = !values.is_empty() && values.iter().all(|v| v.is_finite());
    finite.then(|| OverSeeds { mean: mean(values), sd: standard_deviation(values) })
}

/// Summarises the calibration of a run.
pub fn calibration(group: &Group, common: &[Subset], full: Subset) -> Calibration {
    let seeds: Vec<Vec<&CombinationResult>> =
        group.cells.iter().map(|c| common.iter().filter_map(|s| c.combination(*s)).collect()).collect();
    let each = |f: &dyn Fn(&[&CombinationResult]) -> f64| over_seeds(&seeds.iter().map(|c| f(c)).collect::<Vec<_>>());
    let average = |of: fn(&CombinationResult) -> f64| each(&|c| mean(&c.iter().map(|c| of(c)).collect::<Vec<_>>()));
    let sizes = super::distinct_sorted(common.iter().map(|s| s.len()));
    let at_size = |size: usize| {
        let results = common.iter().filter(|s| s.len() == size).flat_map(|s| group.each(*s));
        mean(&results.map(|c| c.metrics.get("ece")).collect::<Vec<_>>())
    };
    let full: Vec<f64> = group.each(full).map(|c| c.metrics.get("ece")).collect();
    Calibration {
        ece_mean: average(|c| c.metrics.get("ece")),
        ece_worst: each(&|c| c.iter().map(|c| c.metrics.get("ece")).fold(0.0, f64::max)),
        ece_full: over_seeds(&full),
        nll_mean: average(|c| c.metrics.get("nll")),
        brier_mean: average(|c| c.metrics.get("brier")),
        ece_by_size: sizes.into_iter().map(|size| (size, at_size(size))).filter(|(_, ece)| ece.is_finite()).collect(),
    }
}

/// Summarises the error rates of a two-class task, if all its results have them.
pub fn spoof(group: &Group, common: &[Subset], full: Subset) -> Option<Spoof> {
    let of_cell =
        |c: &super::outcomes::Cell| common.iter().map(|s| c.combination(*s).and_then(|c| c.metrics.spoof)).collect::<Option<Vec<_>>>();
    let seeds: Vec<Vec<SpoofMetrics>> = group.cells.iter().map(of_cell).collect::<Option<_>>()?;
    let average = |metrics: &[SpoofMetrics], of: fn(&SpoofMetrics) -> f64| mean(&metrics.iter().map(of).collect::<Vec<_>>());
    let means =
        seeds.iter().map(|m| SpoofMetrics { apcer: average(m, |s| s.apcer), bpcer: average(m, |s| s.bpcer), acer: average(m, |s| s.acer) });
    let worst = seeds.iter().filter_map(|m| m.iter().max_by(|a, b| a.acer.total_cmp(&b.acer)).copied());
    let full: Vec<SpoofMetrics> = group.each(full).filter_map(|c| c.metrics.spoof).collect();
    Some(Spoof { mean: rates(&means.collect::<Vec<_>>())?, worst: rates(&worst.collect::<Vec<_>>())?, full: rates(&full) })
}

fn rates(seeds: &[SpoofMetrics]) -> Option<SpoofRates> {
    let each = |of: fn(&SpoofMetrics) -> f64| over_seeds(&seeds.iter().map(of).collect::<Vec<_>>());
    Some(SpoofRates { apcer: each(|s| s.apcer)?, bpcer: each(|s| s.bpcer)?, acer: each(|s| s.acer)? })
}
