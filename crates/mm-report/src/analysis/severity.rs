//! Sensors that degrade: accuracy by severity, and the area under the curve.

use super::outcomes::{Group, Situation};
use super::study::{Pair, View};
use super::{Difference, Error};
use crate::result::CorruptionResult;
use mm_core::statistics::{Estimate, Interval, Judging, Resamples, area_weights, judged};
use serde::{Deserialize, Serialize};

/// What is done to which sensors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Condition {
    /// Corruption, such as `gaussian`.
    pub corruption: String,
    /// The corrupted modalities as text.
    pub subset: String,
}

/// One corruption of one set of sensors, all runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeverityReport {
    /// What is done to which sensors.
    pub condition: Condition,
    /// One part a run that was evaluated under it.
    pub runs: Vec<SeverityRun>,
}

/// One run under one corruption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeverityRun {
    /// The run.
    pub run: String,
    /// Severity and accuracy, all on the same samples; severity 0 is the clean sensor.
    pub points: Vec<(u8, Interval)>,
    /// Normalised area under the curve: the mean accuracy over the severities.
    pub area: Option<Interval>,
    /// Difference of the area to the reference, judged together with those of all corruptions and runs of this data entry.
    pub comparison: Option<Difference>,
    /// Sample-modality pairs found non-finite and treated as absent, over all severities and seeds.
    pub non_finite: usize,
}

/// The corruptions of all runs, each once.
pub fn conditions(groups: &[Group]) -> Vec<Condition> {
    super::distinct(groups.iter().flat_map(|g| &g.cells).flat_map(|c| &c.result.corruptions).map(Condition::of))
}

/// A run under a corruption, and its difference to the reference for [`judge`]; `None` if not all its seeds were evaluated under it.
pub fn of_run(group: &Group, view: View, pair: Option<&Pair>, condition: &Condition) -> Result<Option<Unjudged>, Error> {
    let severities = view.severities(condition);
    if severities.iter().all(|s| *s == 0) {
        return Ok(None);
    }
    let point = |s: &u8| Ok((*s, view.interval(&view.linear(&[(Situation::Corrupted(condition.clone(), *s), 1.0)], 0.0)?)));
    let records = group.cells.iter().flat_map(|c| &c.result.corruptions).filter(|c| Condition::of(c) == *condition);
    let run = SeverityRun {
        run: group.run.clone(),
        points: severities.iter().map(point).collect::<Result<_, Error>>()?,
        area: area(view, condition, &severities)?.as_ref().map(|area| view.interval(area)),
        comparison: None,
        non_finite: records.map(|c| c.non_finite).sum(),
    };
    Ok(Some((run, pair.map(|p| compare(p, condition)).transpose()?.flatten())))
}

/// A run under a corruption, its comparison still open.
pub type Unjudged = (SeverityRun, Option<Estimate>);

/// Judges all corruptions and runs together.
pub fn judge(conditions: Vec<Condition>, unjudged: Vec<Vec<Unjudged>>, judging: Judging) -> Vec<SeverityReport> {
    let differences: Vec<Estimate> = unjudged.iter().flatten().filter_map(|(_, difference)| difference.clone()).collect();
    let mut judged = judged(&differences, judging).into_iter();
    let mut run = |(mut run, difference): Unjudged| {
        run.comparison = difference.and_then(|_| judged.next());
        run
    };
    let mut report =
        |(condition, runs): (Condition, Vec<Unjudged>)| SeverityReport { condition, runs: runs.into_iter().map(&mut run).collect() };
    conditions.into_iter().zip(unjudged).map(&mut report).collect()
}

fn compare(pair: &Pair, condition: &Condition) -> Result<Option<Estimate>, Error> {
    let mut common = pair.run.severities(condition);
    let of_reference = pair.reference.severities(condition);
    common.retain(|s| of_reference.contains(s));
    let areas = area(pair.run, condition, &common)?.zip(area(pair.reference, condition, &common)?);
    Ok(areas.map(|(a, b)| a.minus(&b).estimate()))
}

fn area(view: View, condition: &Condition, severities: &[u8]) -> Result<Option<Resamples>, Error> {
    let positions: Vec<f64> = severities.iter().map(|s| f64::from(*s)).collect();
    let Some(weights) = area_weights(&positions) else { return Ok(None) };
    let terms: Vec<(Situation, f64)> = severities.iter().map(|s| Situation::Corrupted(condition.clone(), *s)).zip(weights).collect();
    view.linear(&terms, 0.0).map(Some)
}

impl Condition {
    /// That of a result.
    pub fn of(result: &CorruptionResult) -> Self {
        Self { corruption: result.corruption.clone(), subset: result.subset.clone() }
    }
}
