//! With the sensors that each sample has, and with fewer.

use super::calibration::over_seeds;
use super::outcomes::{Group, Situation};
use super::run::Value;
use super::study::{Pair, View};
use super::{Difference, Error, OverSeeds};
use crate::result::{AvailableResult, Measured, Metrics};
use mm_core::statistics::{Estimate, Interval, Judging, auroc_interval, judged, standard_deviation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Measures besides the one that heads the report, and whether they are shares to be shown in percent.
const SHOWN: [(&str, &str, bool); 5] = [
    ("auroc", "AUROC", true),
    ("auprc", "AUPRC", true),
    ("balanced_accuracy", "balanced accuracy", true),
    ("nll", "log loss", false),
    ("ece", "calibration error", true),
];
/// The key of the score that heads the report.
const SCORE: &str = "score";

/// All runs with the sensors that each sample has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AvailableReport {
    /// Measures that a run has, besides the one that heads the report.
    pub measures: Vec<ShownMeasure>,
    /// One part a run that was evaluated so with all its seeds.
    pub runs: Vec<AvailableRun>,
}

/// A measure as readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownMeasure {
    /// Its key in [`AvailableRun::values`].
    pub name: String,
    /// What readers call it.
    pub title: String,
    /// Whether it is a share, shown in percent.
    pub percent: bool,
}

/// One run with the sensors that each sample has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AvailableRun {
    /// The run.
    pub run: String,
    /// The score that heads the report.
    pub score: Value,
    /// Its difference to the reference, judged together with those of the other runs.
    pub comparison: Option<Difference>,
    /// Of two classes: the mean area under the ROC curve over the seeds, with its 95 % interval over the choice of test samples; absent where
    /// the seeds have other test samples.
    pub auroc: Option<Interval>,
    /// Each measure over the seeds; that which heads the report is called `score`.
    pub values: BTreeMap<String, OverSeeds>,
    /// The same when more sensors are gone, beginning with none.
    pub curve: Vec<RemovedPoint>,
    /// Samples, of all seeds together, that the model cannot predict from.
    pub left_out: usize,
}

/// A run when so many sensors more than those that a sample lacks are gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemovedPoint {
    /// How many.
    pub removed: usize,
    /// As in [`AvailableRun::values`].
    pub values: BTreeMap<String, OverSeeds>,
    /// Predictions, of all draws and seeds together, that the model could not make.
    pub left_out: usize,
}

/// A run, its comparison still open.
pub type Unjudged = (AvailableRun, Option<Estimate>);

/// A run with what each sample has; `None` if not all its seeds were evaluated so.
pub fn of_run(group: &Group, view: View, pair: Option<&Pair>) -> Result<Option<Unjudged>, Error> {
    let results: Vec<&AvailableResult> = group.cells.iter().filter_map(|cell| cell.result.available.as_ref()).collect();
    if results.len() < group.cells.len() || !view.has(&Situation::Available) {
        return Ok(None);
    }
    let score = |view: View| view.linear(&[(Situation::Available, 1.0)], 0.0);
    let both = pair.filter(|pair| pair.run.has(&Situation::Available) && pair.reference.has(&Situation::Available));
    let difference = both.map(|pair| Ok::<_, Error>(score(pair.run)?.minus(&score(pair.reference)?).estimate())).transpose()?;
    let scores: Vec<f64> = results.iter().map(|result| result.metrics.score).collect();
    let all: Vec<&Metrics> = results.iter().map(|result| &result.metrics).collect();
    let mut curve = vec![RemovedPoint { removed: 0, values: values(&all), left_out: 0 }];
    for removed in &results[0].removed {
        let same = results.iter().map(|result| result.removed.iter().find(|other| other.count == removed.count));
        let Some(same) = same.collect::<Option<Vec<_>>>() else { continue };
        curve.push(RemovedPoint {
            removed: removed.count,
            values: values(&same.iter().map(|removed| &removed.metrics).collect::<Vec<_>>()),
            left_out: same.iter().map(|removed| removed.left_out).sum(),
        });
    }
    let run = AvailableRun {
        run: group.run.clone(),
        score: Value { interval: view.interval(&score(view)?), sd: standard_deviation(&scores), few: false },
        comparison: None,
        auroc: auroc(group, &results),
        values: values(&all),
        curve,
        left_out: results.iter().map(|result| result.excluded.unusable).sum(),
    };
    Ok(Some((run, difference)))
}

/// Judges all runs together; `None` if there are none.
pub fn judge(unjudged: Vec<Unjudged>, judging: Judging) -> Option<AvailableReport> {
    let differences: Vec<Estimate> = unjudged.iter().filter_map(|(_, difference)| difference.clone()).collect();
    let mut judged = judged(&differences, judging).into_iter();
    let runs: Vec<AvailableRun> =
        unjudged.into_iter().map(|(run, difference)| AvailableRun { comparison: difference.and_then(|_| judged.next()), ..run }).collect();
    let known = |name: &str| runs.iter().any(|run| run.values.contains_key(name));
    let shown = SHOWN.iter().filter(|(name, ..)| known(name));
    let measures = shown.map(|&(name, title, percent)| ShownMeasure { name: name.into(), title: title.into(), percent }).collect();
    (!runs.is_empty()).then_some(AvailableReport { measures, runs })
}

impl AvailableReport {
    /// Whether a measure is shown in percent; `heading` is the one that heads the report.
    pub fn is_share(&self, name: &str, heading: &Measured) -> bool {
        if name == SCORE { heading.share } else { self.measures.iter().any(|measure| measure.name == name && measure.percent) }
    }

    /// The measures whose curves are drawn: the one that heads the report, and the area under the ROC curve.
    pub fn drawn<'a>(&'a self, heading: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let auroc = self.measures.iter().filter(|measure| measure.name == "auroc").map(|measure| (&*measure.name, &*measure.title));
        std::iter::once((SCORE, heading)).chain(auroc)
    }
}

/// Each measure that all seeds have.
fn values(seeds: &[&Metrics]) -> BTreeMap<String, OverSeeds> {
    let of = |name: &str| over_seeds(&seeds.iter().map(|metrics| metrics.get(name)).collect::<Vec<_>>());
    let others = SHOWN.iter().filter_map(|(name, ..)| Some((name.to_string(), of(name)?)));
    let score = over_seeds(&seeds.iter().map(|metrics| metrics.score).collect::<Vec<_>>());
    others.chain(score.map(|score| (SCORE.to_string(), score))).collect()
}

fn auroc(group: &Group, results: &[&AvailableResult]) -> Option<Interval> {
    let first = group.cells[0].result;
    let same = |cell: &super::outcomes::Cell| cell.result.test_rows == first.test_rows && cell.result.truths == first.truths;
    let truths = first.truths.as_ref().filter(|_| group.cells.iter().all(same))?;
    let of = |result: &&AvailableResult| -> Vec<f32> { result.placements.iter().map(|&x| if x < 0.0 { f32::NAN } else { x }).collect() };
    let models: Vec<Vec<f32>> = results.iter().map(of).collect();
    let positive: Vec<bool> = truths.iter().map(|&class| class == 1).collect();
    auroc_interval(&models.iter().map(Vec::as_slice).collect::<Vec<_>>(), &positive)
}
