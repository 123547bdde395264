//! The result in plain words.

use super::{Comparison, RunReport, Value};
use crate::result::Measured;
use mm_core::statistics::{Difference, Verdict};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a headline is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Mean over the combinations.
    Mean,
    /// Worst combination.
    Worst,
    /// All modalities.
    Full,
    /// Mean over the combinations as often as they occur under the given failure rates.
    Failure,
}

/// Who is best in one measure, and what that is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Headline {
    /// The measure.
    pub measure: Measure,
    /// The run with the best estimate among those that evaluated all combinations; with all modalities, among those that evaluated that.
    pub best: String,
    /// Its value.
    pub value: Value,
    /// Its difference to the reference; absent if it is the reference.
    pub compared: Option<Difference>,
    /// Runs found better than the reference.
    pub better: Vec<String>,
    /// Runs found worse than the reference.
    pub worse: Vec<String>,
    /// Runs without a difference found.
    pub no_difference: Vec<String>,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "Mean over combinations",
            Self::Worst => "Worst combination",
            Self::Full => "All modalities present",
            Self::Failure => "Under the given failure rates",
        })
    }
}

impl Measure {
    fn value(self, run: &RunReport) -> Option<Value> {
        match self {
            Self::Mean => Some(run.mean),
            Self::Worst => Some(run.worst),
            Self::Full => run.full,
            Self::Failure => run.failure.map(|f| f.value),
        }
    }

    fn compared(self, comparison: &Comparison) -> Option<Difference> {
        match self {
            Self::Mean => comparison.mean,
            Self::Worst => comparison.worst,
            Self::Full => comparison.full,
            Self::Failure => comparison.failure,
        }
    }
}

/// One headline a measure.
pub fn of(runs: &[RunReport], reference: usize, scored: &Measured) -> Vec<Headline> {
    let all = [Measure::Mean, Measure::Worst, Measure::Full, Measure::Failure];
    all.into_iter().filter_map(|m| headline(m, runs, reference, scored)).collect()
}

fn headline(measure: Measure, runs: &[RunReport], reference: usize, scored: &Measured) -> Option<Headline> {
    let reference = &runs.get(reference)?.run;
    let any_complete = runs.iter().any(|r| r.complete);
    // All modalities are the same for every run that has them, whatever else it lacks.
    let is_ranked = |r: &&RunReport| measure.value(r).is_some() && (r.complete || !any_complete || measure == Measure::Full);
    let ranked: Vec<&RunReport> = runs.iter().filter(is_ranked).collect();
    let score = |r: &RunReport| measure.value(r).map_or(f64::NEG_INFINITY, |v| scored.goodness(v.interval.estimate));
    // Of equals, the reference: another one is not better then.
    let rank = |r: &RunReport| (score(r), r.run == *reference);
    let best = ranked.iter().copied().reduce(|best, r| if rank(r) > rank(best) { r } else { best })?;
    let of = |r: &RunReport| r.comparison.as_ref().and_then(|c| measure.compared(c));
    let found = |verdict: Verdict| {
        let hits = ranked.iter().filter(|r| of(r).is_some_and(|c| c.verdict == verdict));
        hits.filter(|r| r.run != *reference).map(|r| r.run.clone()).collect()
    };
    Some(Headline {
        measure,
        best: best.run.clone(),
        value: measure.value(best)?,
        compared: of(best),
        better: found(Verdict::Better),
        worse: found(Verdict::Worse),
        no_difference: found(Verdict::NoDifferenceFound),
    })
}
