//! What the results say, in numbers: the content of `report.json`, from which the pages are written.

mod available;
mod by_group;
mod calibration;
mod comparison;
mod confusion;
mod cost;
mod failure;
mod guess;
mod headline;
mod outcomes;
mod outputs;
mod pairs;
mod pictures;
mod pixels;
mod remarks;
mod run;
mod samples;
mod sensors;
mod severity;
mod study;
mod training;

pub use available::{AvailableReport, AvailableRun, ShownMeasure};
pub use by_group::{GroupReport, GroupScores};
pub use calibration::{Calibration, OverSeeds, Spoof, SpoofRates};
pub use comparison::Comparison;
pub use confusion::Confusion;
pub use cost::CostReport;
pub use failure::check_failure;
pub use headline::Headline;
pub use outputs::{OutputReport, OutputScores};
pub use pairs::PairReport;
pub use pictures::{RunPictures, SamplePictures};
pub use pixels::{PixelReport, PixelScores};
pub use run::{CombinationValue, RunReport, Value};
pub use samples::{CombinationSamples, FEW_SAMPLES, Standing};
pub use sensors::{SensorReport, SensorSet};
pub use severity::{Condition, SeverityReport, SeverityRun};
pub use training::EpochMean;

use super::{Error, FailureRates, Settings};
use crate::result::{CellResult, Measured, Readings};
use failure::Rates;
use mm_core::Subset;
pub use mm_core::statistics::Difference;
use outcomes::Group;
use run::Scope;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The method that others are compared with, where a plan has it.
pub const REFERENCE_METHOD: &str = "modality-dropout";
/// Up to this many combinations, each is shown with its interval.
const ALL_SHOWN_UP_TO: usize = 130;
/// Above, so many of the worst ones are, next to the single modalities and the full set.
const WORST_SHOWN: usize = 40;

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this format.
    pub format: u32,
    /// Name of the plan.
    pub plan: String,
    /// What the plan is for.
    pub description: String,
    /// Resamples of each bootstrap.
    pub resamples: usize,
    /// Remarks on the whole plan, such as cells that failed.
    pub notes: Vec<String>,
    /// One part a data entry of the plan.
    pub data: Vec<DataReport>,
    /// Where the results come from.
    pub provenance: ProvenanceReport,
}

/// One data entry of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataReport {
    /// Its name.
    pub name: String,
    /// Names of the modalities.
    pub modalities: Vec<String>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// What is predicted, in words, such as `10 classes`.
    #[serde(default)]
    pub predicts: String,
    /// The score that everything is about.
    #[serde(default)]
    pub measure: Measured,
    /// Test samples of each cell, each number once.
    pub test_samples: Vec<usize>,
    /// All seeds.
    pub seeds: Vec<u64>,
    /// The run that the others are compared with.
    pub reference: String,
    /// What to know before reading the numbers.
    pub remarks: Vec<String>,
    /// What reading the data remarked.
    pub data_remarks: Vec<String>,
    /// The given failure rate of each sensor, if there are any.
    pub failure_rates: Option<Vec<(String, f64)>>,
    /// What the test samples have of each modality, summed over the seeds.
    pub readings: Vec<Readings>,
    /// Combinations that leave test samples out, or stand on few.
    pub incomplete: Vec<CombinationSamples>,
    /// The result in plain words.
    pub headlines: Vec<Headline>,
    /// The combinations that any run was asked for, by size.
    pub combinations: Vec<Combination>,
    /// One part a run, in the order of the plan.
    pub runs: Vec<RunReport>,
    /// Runs beside a peer each, where that was asked for.
    #[serde(default)]
    pub pairs: Vec<PairReport>,
    /// Degraded sensors, one part a corruption and corrupted subset.
    pub severity: Vec<SeverityReport>,
    /// With the sensors that each sample has, where some lack one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<AvailableReport>,
    /// Which sensors are worth their cost.
    pub sensors: Option<SensorReport>,
    /// The best method's errors.
    pub confusion: Vec<Confusion>,
    /// The best method's scores of each label or number, where such are predicted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputReport>,
    /// Scores by group of the test samples, where they have groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_group: Vec<GroupReport>,
    /// Scores by combination and class, where each pixel has a class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pixels: Vec<PixelReport>,
    /// Pictures of test samples, where results have some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<RunPictures>,
}

/// One combination of modalities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Combination {
    /// As text, `rgb+depth`.
    pub name: String,
    /// Positions of its modalities.
    pub modalities: Vec<usize>,
    /// Whether it is shown by itself where there are too many to show all.
    pub shown: bool,
}

/// Where results come from: each differing value once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenanceReport {
    /// Versions of the program.
    pub versions: Vec<String>,
    /// Data entry and hash of its data.
    pub data_hashes: Vec<(String, String)>,
    /// Machines.
    pub machines: Vec<String>,
    /// Threads of a cell.
    pub threads: Vec<usize>,
    /// Hash of the keys of all cells: equal for equal plans, data and programs.
    pub plan_hash: String,
    /// Number of cells.
    pub cells: usize,
    /// When the first and the last cell finished.
    pub finished: [String; 2],
}

/// Analyses the results of a plan.
pub fn analyse(plan: &str, description: &str, results: &[CellResult], notes: &[String], settings: &Settings) -> Result<Report, Error> {
    if results.is_empty() {
        return Err(Error::NoResults);
    }
    check_runs(results, settings)?;
    let names = distinct(results.iter().map(|r| r.data.clone()));
    let data = names.iter().map(|name| analyse_data(name, results, settings)).collect::<Result<_, _>>()?;
    Ok(Report {
        format: 2,
        plan: plan.to_string(),
        description: description.to_string(),
        resamples: settings.bootstrap.resamples,
        notes: notes.iter().cloned().chain(levels(results)).collect(),
        data,
        provenance: provenance(results),
    })
}

fn analyse_data(name: &str, results: &[CellResult], settings: &Settings) -> Result<DataReport, Error> {
    let cells: Vec<&CellResult> = results.iter().filter(|r| r.data == name).collect();
    let first = cells[0];
    let groups = distinct(cells.iter().map(|c| c.run.clone())).into_iter().map(|run| Group::new(&run, &cells));
    let groups: Vec<Group> = groups.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    let chosen = settings.reference.as_ref().and_then(|run| groups.iter().position(|g| g.run == *run));
    let reference = chosen.or_else(|| groups.iter().position(|g| g.method == REFERENCE_METHOD)).unwrap_or(0);
    let subsets = sorted(groups.iter().flat_map(Group::any_combination));
    let rankable = sorted(groups.iter().flat_map(Group::combinations));
    let full = Subset::full(first.modalities.len());
    let shown = shown(&subsets, full, &groups);
    let rates = settings.failure.get(name).map(|given| Rates::new(given, first)).transpose()?;

    let judging = first.measure.judging();
    let conditions = severity::conditions(&groups);
    let severities: Vec<Vec<u8>> = conditions.iter().map(|condition| severity::usual(&groups, condition)).collect();
    let scope = Scope { subsets: &subsets, rankable: &rankable, shown: &shown, full, first };
    let mut by_run = std::collections::BTreeMap::new();
    study::for_each_run(&groups, reference, settings, |i, view, pair| {
        let run = RunReport::new(&groups[i], view, &scope, rates.as_ref())?;
        let compare = |pair: &study::Pair| comparison::compare(&groups[i], &groups[reference], pair, full, rates.as_ref());
        let compared = pair.as_ref().map(compare).transpose()?.flatten();
        let under = |(condition, usual): (_, &Vec<u8>)| severity::of_run(&groups[i], view, pair.as_ref(), condition, usual);
        let available = available::of_run(&groups[i], view, pair.as_ref())?;
        by_run.insert(i, (run, compared, conditions.iter().zip(&severities).map(under).collect::<Result<Vec<_>, _>>()?, available));
        Ok(())
    })?;
    let (mut runs, mut compared, mut by_condition) = (Vec::new(), Vec::new(), vec![Vec::new(); conditions.len()]);
    let mut with_available = Vec::new();
    for (run, comparison, conditions, available) in by_run.into_values() {
        runs.push(run);
        with_available.extend(available);
        compared.push(comparison);
        by_condition.iter_mut().zip(conditions).for_each(|(runs, run)| runs.extend(run));
    }
    runs.iter_mut().zip(comparison::judge(compared, judging)).for_each(|(run, comparison)| run.comparison = comparison);
    let mut remarks = remarks::of(&groups, reference, chosen.is_some(), &runs, &cells)?;
    remarks.extend(severity::remarks(&groups, &conditions, &severities));
    let severity = severity::judge(conditions, by_condition, judging);
    let best = run::best(&runs, &first.measure);
    Ok(DataReport {
        name: name.to_string(),
        modalities: first.modalities.clone(),
        classes: first.classes.clone(),
        predicts: first.predicts(),
        measure: first.measure.clone(),
        test_samples: distinct(cells.iter().map(|c| c.test_samples)),
        seeds: distinct_sorted(cells.iter().map(|c| c.seed)),
        reference: groups.get(reference).map(|g| g.run.clone()).unwrap_or_default(),
        remarks,
        data_remarks: remarks::on_data(&cells),
        failure_rates: rates.as_ref().map(|rates| rates.named(first)),
        readings: samples::readings(&cells),
        incomplete: samples::incomplete(&groups, &subsets, first),
        headlines: headline::of(&runs, reference, &first.measure),
        available: available::judge(with_available, judging),
        sensors: runs.get(best).and_then(|run| sensors::analyse(run, &subsets, full, first)),
        confusion: groups.get(best).map(|group| confusion::of_best(group, full)).unwrap_or_default(),
        outputs: groups.get(best).map(|group| outputs::of_best(group, full)).unwrap_or_default(),
        by_group: by_group::of(&groups, best, &rankable, full),
        pixels: pixels::of(&groups, best, full),
        pictures: pictures::of(&groups, best),
        combinations: subsets.iter().map(|s| Combination::new(*s, first, shown.contains(s))).collect(),
        pairs: pairs::of(&groups, full, rates.as_ref(), settings)?,
        runs,
        severity,
    })
}

/// Refuses a reference or a pair of runs that no results are of.
fn check_runs(results: &[CellResult], settings: &Settings) -> Result<(), Error> {
    let runs = distinct(results.iter().map(|r| r.run.clone()));
    let asked = settings.reference.iter().chain(settings.pairs.iter().flat_map(|(run, peer)| [run, peer]));
    let Some(unknown) = asked.into_iter().find(|run| !runs.contains(run)) else { return Ok(()) };
    let near = mm_core::data::nearest(unknown, runs.iter().map(String::as_str));
    let hint = near.map_or_else(|| format!("there are: {}", runs.join(", ")), |near| format!("did you mean `{near}`?"));
    Err(Error::NoRun { run: unknown.clone(), hint })
}

impl Combination {
    fn new(subset: Subset, cell: &CellResult, shown: bool) -> Self {
        Self { name: outcomes::name(subset, cell), modalities: subset.indices().collect(), shown }
    }
}

/// Each combination once, by size.
fn sorted(subsets: impl Iterator<Item = Subset>) -> Vec<Subset> {
    let mut subsets: Vec<Subset> = subsets.collect();
    subsets.sort_by_key(outcomes::order);
    subsets.dedup();
    subsets
}

/// The combinations shown one by one: all, or the single ones, the full one and the worst ones on average over the runs.
fn shown(subsets: &[Subset], full: Subset, groups: &[Group]) -> Vec<Subset> {
    if subsets.len() <= ALL_SHOWN_UP_TO {
        return subsets.to_vec();
    }
    let mut by_accuracy = subsets.to_vec();
    let accuracy = |s: Subset| {
        let values: Vec<f64> = groups.iter().filter_map(|g| Some(g.measure().goodness(g.score(s)?))).collect();
        mm_core::statistics::mean(&values)
    };
    by_accuracy.sort_by(|a, b| accuracy(*a).total_cmp(&accuracy(*b)));
    by_accuracy.truncate(WORST_SHOWN);
    subsets.iter().copied().filter(|s| s.len() == 1 || *s == full || by_accuracy.contains(s)).collect()
}

/// A note where cells were computed with several levels of vector instructions.
fn levels(results: &[CellResult]) -> Option<String> {
    let mut cells: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for level in results.iter().filter_map(|r| r.provenance.as_ref()).map(|p| p.level.as_str()).filter(|level| !level.is_empty()) {
        *cells.entry(level).or_default() += 1;
    }
    let lowest = ["portable", "avx2", "avx512"].into_iter().find(|level| cells.contains_key(level))?;
    let list = || cells.iter().map(|(level, cells)| format!("{cells} with {level}")).collect::<Vec<_>>().join(", ");
    (cells.len() > 1).then(|| {
        format!(
            "The cells were computed with different levels of vector instructions ({}): their trainings differ by rounding. \
             `level = \"{lowest}\"` in the plan makes all machines compute alike.",
            list()
        )
    })
}

fn provenance(results: &[CellResult]) -> ProvenanceReport {
    let mut hash = Sha256::new();
    for key in distinct_sorted(results.iter().map(|r| &r.key)) {
        hash.update(key.as_bytes());
        hash.update([0]);
    }
    let known = || results.iter().filter_map(|r| r.provenance.as_ref());
    let finished = |better: fn(&str, &str) -> bool| {
        let times = known().map(|p| p.finished_at.as_str());
        times.reduce(|a, b| if better(b, a) { b } else { a }).unwrap_or_default().to_string()
    };
    ProvenanceReport {
        versions: distinct_sorted(known().map(|p| p.version.clone())),
        data_hashes: distinct(results.iter().filter_map(|r| Some((r.data.clone(), r.provenance.as_ref()?.data_hash.clone())))),
        machines: distinct_sorted(known().map(|p| p.machine.clone())),
        threads: distinct_sorted(results.iter().filter_map(|r| r.cost.as_ref()).map(|c| c.threads)),
        plan_hash: hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect(),
        cells: results.len(),
        finished: [finished(|b, a| b < a), finished(|b, a| b > a)],
    }
}

/// Each value once, in the order of first appearance.
fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    values.for_each(|v| {
        if !seen.contains(&v) {
            seen.push(v);
        }
    });
    seen
}

/// Each value once, ascending.
fn distinct_sorted<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.collect::<std::collections::BTreeSet<T>>().into_iter().collect()
}
