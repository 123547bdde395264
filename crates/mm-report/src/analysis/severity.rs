//! Sensors that degrade: accuracy by severity, and the area under the curve.

use super::outcomes::{Cell, Group, Situation};
use super::remarks::{list, seeds_in_words};
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
    /// Normalised area under the curve, from clean to the most severe; absent where the severities are not those of most runs.
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
/// Severities are compared as long as they are the `usual` ones.
pub fn of_run(group: &Group, view: View, pair: Option<&Pair>, condition: &Condition, usual: &[u8]) -> Result<Option<Unjudged>, Error> {
    let severities = view.severities(condition);
    if severities.iter().all(|s| *s == 0) {
        return Ok(None);
    }
    let point = |s: &u8| Ok((*s, view.interval(&view.linear(&[(Situation::Corrupted(condition.clone(), *s), 1.0)], 0.0)?)));
    let records = group.cells.iter().flat_map(|c| &c.result.corruptions).filter(|c| Condition::of(c) == *condition);
    let run = SeverityRun {
        run: group.run.clone(),
        points: severities.iter().map(point).collect::<Result<_, Error>>()?,
        area: match severities == usual {
            true => area(view, condition, &severities)?.as_ref().map(|area| view.interval(area)),
            false => None,
        },
        comparison: None,
        non_finite: records.map(|c| c.non_finite).sum(),
    };
    Ok(Some((run, pair.map(|p| compare(p, condition)).transpose()?.flatten())))
}

/// The severities that most runs have of a corruption; of equally many, the longer list.
pub fn usual(groups: &[Group], condition: &Condition) -> Vec<u8> {
    let all: Vec<Vec<u8>> = groups.iter().map(|group| common(group, condition)).filter(|of| of.iter().any(|s| *s > 0)).collect();
    let often = |of: &&Vec<u8>| (all.iter().filter(|other| other == of).count(), of.len());
    all.iter().max_by_key(often).cloned().unwrap_or_default()
}

/// Which runs are not shown under a corruption, or not comparable with the others, and why.
pub fn remarks(groups: &[Group], conditions: &[Condition], usual: &[Vec<u8>]) -> Vec<String> {
    let each = conditions.iter().zip(usual).flat_map(|(condition, usual)| groups.iter().map(move |group| (condition, usual, group)));
    each.filter_map(|(condition, usual, group)| remark(group, condition, usual)).collect()
}

fn remark(group: &Group, condition: &Condition, usual: &[u8]) -> Option<String> {
    let (run, under) = (&group.run, format!("{} on {}", condition.corruption, condition.subset));
    let has_some = |cell: &&Cell| severities_of(cell, condition).iter().any(|s| *s > 0);
    let (with, without): (Vec<&Cell>, Vec<&Cell>) = group.cells.iter().partition(has_some);
    if !without.is_empty() {
        let seeds = seeds_in_words(&without.iter().map(|cell| cell.result.seed).collect::<Vec<_>>());
        let of = if with.is_empty() { String::new() } else { format!(" with {seeds}") };
        let recorded = without.iter().any(|cell| cell.result.corruptions.iter().any(|c| Condition::of(c) == *condition));
        let why = if recorded { "no test sample that was evaluated at every severity" } else { "no result" };
        return Some(format!("{run} has {why} under {under}{of}: it is not shown there."));
    }
    let common = common(group, condition);
    if common.iter().all(|s| *s == 0) {
        return Some(format!("The seeds of {run} have no severity of {under} in common: it is not shown there."));
    }
    let more: Vec<u64> = with.iter().filter(|cell| severities_of(cell, condition) != common).map(|cell| cell.result.seed).collect();
    let more = if more.is_empty() { String::new() } else { format!(" ({} more, which other seeds lack)", seeds_in_words(&more)) };
    if common != usual {
        return Some(format!(
            "{run} has the severities {} of {under}{more}, others have {}: its area is left out, and a difference is over those that both have.",
            list(&common),
            list(usual)
        ));
    }
    (!more.is_empty()).then(|| format!("{run} is shown with the severities {} of {under}{more}.", list(&common)))
}

/// The severities that all seeds have, 0 included.
fn common(group: &Group, condition: &Condition) -> Vec<u8> {
    let mut common = group.cells.first().map(|cell| severities_of(cell, condition)).unwrap_or_default();
    common.retain(|s| group.cells.iter().all(|cell| severities_of(cell, condition).contains(s)));
    common
}

fn severities_of(cell: &Cell, condition: &Condition) -> Vec<u8> {
    let of = |situation: &Situation| match situation {
        Situation::Corrupted(of, severity) if of == condition => Some(*severity),
        _ => None,
    };
    cell.outcomes.keys().filter_map(of).collect()
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
