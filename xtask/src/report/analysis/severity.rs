//! Sensors that degrade: accuracy by severity, and the area under the curve.

use super::outcomes::{Cell, Group};
use super::{Compared, Error, Settings, comparison::paired};
use crate::result::{CellResult, CorruptionResult};
use mm_core::Subset;
use mm_core::statistics::{Interval, Outcomes, Resampled, Statistic, area_weights, holm, verdict};
use serde::{Deserialize, Serialize};

/// What is done to which sensors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Severity and accuracy; severity 0 is the clean sensor.
    pub points: Vec<(u8, Interval)>,
    /// Normalised area under the curve: the mean accuracy over the severities.
    pub area: Option<Interval>,
    /// Difference of the area to the reference, corrected over all corruptions and runs of this data entry.
    pub comparison: Option<Compared>,
    /// Sample-modality pairs found non-finite and treated as absent, over all severities and seeds.
    pub non_finite: usize,
}

/// The curve of one run under one condition: severities that all its seeds have, the clean one first.
struct Curve {
    severities: Vec<u8>,
    /// One a seed.
    outcomes: Vec<Outcomes>,
}

/// Analyses the corruptions of all runs.
pub fn analyse(groups: &[Group], reference: usize, first: &CellResult, settings: &Settings) -> Result<Vec<SeverityReport>, Error> {
    let full = Subset::full(first.modalities.len());
    let of = |c: &CorruptionResult| Condition { corruption: c.corruption.clone(), subset: c.subset.clone() };
    let conditions = super::distinct(groups.iter().flat_map(|g| &g.cells).flat_map(|c| &c.result.corruptions).map(of));
    let mut reports = Vec::new();
    for condition in conditions {
        let mut runs = Vec::new();
        for (i, group) in groups.iter().enumerate() {
            let Some(curve) = curve(&group.cells, &condition, full, None)? else { continue };
            let resampled = settings.bootstrap.run(&[&curve.outcomes], &statistics(&curve.severities))?;
            let points = curve.severities.iter().enumerate().map(|(k, s)| (*s, resampled.interval(0, k))).collect();
            let area = (curve.severities.len() > 1).then(|| resampled.interval(0, curve.severities.len()));
            let comparison = if i == reference { None } else { compare(group, &groups[reference], &condition, full, settings)? };
            let records = group.cells.iter().flat_map(|c| &c.result.corruptions).filter(|c| of(c) == condition);
            runs.push(SeverityRun { run: group.run.clone(), points, area, comparison, non_finite: records.map(|c| c.non_finite).sum() });
        }
        reports.push(SeverityReport { condition, runs });
    }
    let compared = |reports: &mut Vec<SeverityReport>, f: &mut dyn FnMut(&mut Compared)| {
        reports.iter_mut().flat_map(|r| &mut r.runs).filter_map(|r| r.comparison.as_mut()).for_each(f);
    };
    let mut p_values = Vec::new();
    compared(&mut reports, &mut |c| p_values.push(c.difference.p));
    let mut adjusted = holm(&p_values).into_iter();
    compared(&mut reports, &mut |c| {
        c.adjusted_p = adjusted.next().unwrap_or(1.0);
        c.verdict = verdict(c.difference.interval.estimate, c.adjusted_p);
    });
    Ok(reports)
}

/// Each severity, then the area.
fn statistics(severities: &[u8]) -> Vec<Statistic> {
    let positions: Vec<f64> = severities.iter().map(|s| f64::from(*s)).collect();
    let area = area_weights(&positions).map(|weights| Statistic::Linear { weights, offset: 0.0 });
    (0..severities.len()).map(Statistic::Combination).chain(area).collect()
}

fn compare(group: &Group, reference: &Group, condition: &Condition, full: Subset, settings: &Settings) -> Result<Option<Compared>, Error> {
    let (_, a, b) = paired(group, reference);
    let (Some(of_a), Some(of_b)) = (severities(&a, condition, full), severities(&b, condition, full)) else { return Ok(None) };
    let common: Vec<u8> = of_a.into_iter().filter(|s| of_b.contains(s)).collect();
    let (Some(a), Some(b)) = (curve(&a, condition, full, Some(&common))?, curve(&b, condition, full, Some(&common))?) else { return Ok(None) };
    if common.len() < 2 {
        return Ok(None);
    }
    let resampled: Resampled = settings.bootstrap.run(&[&a.outcomes, &b.outcomes], &statistics(&common)[common.len()..])?;
    let difference = resampled.difference(0, 1, 0);
    Ok(Some(Compared { difference, adjusted_p: difference.p, verdict: verdict(difference.interval.estimate, difference.p) }))
}

/// Severities that all cells have, ascending; 0 stands for the full combination. `None` if there is only that.
fn severities(cells: &[Cell], condition: &Condition, full: Subset) -> Option<Vec<u8>> {
    let has = |severity: u8| cells.iter().all(|c| row(c, condition, full, severity).is_some());
    let all: Vec<u8> = (0..=u8::MAX).filter(|s| has(*s)).collect();
    (!cells.is_empty() && all.iter().any(|s| *s > 0)).then_some(all)
}

fn row<'a>(cell: &Cell<'a>, condition: &Condition, full: Subset, severity: u8) -> Option<&'a str> {
    if severity == 0 {
        return cell.combination(full).map(|c| c.correct.as_str());
    }
    let here = |c: &&CorruptionResult| c.severity == severity && c.corruption == condition.corruption && c.subset == condition.subset;
    let correct = cell.result.corruptions.iter().find(here).map(|c| c.correct.as_str());
    correct.filter(|c| c.bytes().any(|c| c != b'-'))
}

fn curve(cells: &[Cell], condition: &Condition, full: Subset, only: Option<&[u8]>) -> Result<Option<Curve>, Error> {
    let severities = match only {
        Some(list) => Some(list.to_vec()).filter(|l| !l.is_empty()),
        None => severities(cells, condition, full),
    };
    let Some(severities) = severities else { return Ok(None) };
    let outcomes = |cell: &Cell| {
        let rows: Vec<&str> = severities.iter().filter_map(|s| row(cell, condition, full, *s)).collect();
        Outcomes::from_rows(&rows).map_err(|e| Error::cell(cell.result, format!("corruption `{}`: {e}", condition.corruption)))
    };
    let outcomes = cells.iter().map(outcomes).collect::<Result<_, _>>()?;
    Ok(Some(Curve { severities, outcomes }))
}
