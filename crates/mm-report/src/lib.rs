#![doc = include_str!("../README.md")]

mod analysis;
#[cfg(test)]
mod available_tests;
#[cfg(test)]
mod by_group_tests;
mod chart;
pub mod check;
pub mod finished;
mod html;
mod markdown;
pub mod pictured;
pub mod predictions;
pub mod result;
pub mod roster;
mod rows;
#[cfg(test)]
mod scores_tests;
#[cfg(test)]
mod severity_tests;
#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod tests;
mod words;

use indicatif::ProgressBar;
use mm_core::statistics::Bootstrap;
use mm_core::weights::write_atomically;
use result::CellResult;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use analysis::check_failure;
pub use rows::Rows;

/// Where the report is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportPaths {
    /// The page for a browser.
    pub html: PathBuf,
    /// The same in Markdown.
    pub markdown: PathBuf,
    /// All numbers.
    pub json: PathBuf,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cell has finished.
    #[error("no results to report: run the bench first")]
    NoResults,
    /// A cell's result does not hold together.
    #[error("result of {data} / {run} / seed {seed}: {problem}")]
    Cell {
        /// Data entry.
        data: String,
        /// Run.
        run: String,
        /// Seed.
        seed: u64,
        /// What is wrong.
        problem: String,
    },
    /// Failure rates that do not fit the data.
    #[error("data {data}: {problem}")]
    Failure {
        /// Data entry.
        data: String,
        /// What is wrong.
        problem: String,
    },
    /// A statistic of a run could not be computed.
    #[error("data {data}, run {run}: {problem}")]
    Statistic {
        /// Data entry.
        data: String,
        /// Run.
        run: String,
        /// What is wrong.
        problem: Box<mm_core::Error>,
    },
    /// Outcomes could not be resampled, or a file not be written.
    #[error(transparent)]
    Core(#[from] mm_core::Error),
    /// A run that none of the results is of.
    #[error("no results are of the run `{run}`; {hint}")]
    NoRun {
        /// The run that was asked for.
        run: String,
        /// What there is.
        hint: String,
    },
    /// A finished cell that cannot be read, or is there twice.
    #[error("{}: {problem}", path.display())]
    Results {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Predictions that cannot be reported.
    #[error(transparent)]
    Predictions(#[from] predictions::PredictionError),
    /// A chart could not be drawn.
    #[error("chart: {0}")]
    Chart(String),
    /// The numbers could not be written as JSON.
    #[error("report.json: {0}")]
    Json(#[from] serde_json::Error),
}

impl Error {
    fn cell(result: &CellResult, problem: impl Into<String>) -> Self {
        Self::Cell { data: result.data.clone(), run: result.run.clone(), seed: result.seed, problem: problem.into() }
    }
}

/// How often each sensor fails, by name: at least 0, below 1. Sensors without a rate never do.
pub type FailureRates = BTreeMap<String, f64>;

/// Settings of the analysis.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The bootstrap behind every interval.
    pub bootstrap: Bootstrap,
    /// Failure rates by data entry, for those that have any.
    pub failure: BTreeMap<String, FailureRates>,
    /// The run that the others are compared with; by default the first of the method `modality-dropout`, or the first of all.
    pub reference: Option<String>,
    /// Runs that are compared with a peer each, such as the same method of another framework: `(run, peer)`.
    pub pairs: Vec<(String, String)>,
}

/// Each run of `ours` that `theirs` has, too, behind `prefix`: for [`Settings::pairs`].
pub fn pairs(ours: &[CellResult], theirs: &[CellResult], prefix: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for result in ours {
        let pair = (result.run.clone(), format!("{prefix}{}", result.run));
        if !pairs.contains(&pair) && theirs.iter().any(|other| other.run == pair.1) {
            pairs.push(pair);
        }
    }
    pairs
}

/// The files of a report, and what each of them holds.
const MARKS: [(&str, &str); 3] = [
    ("report.html", html::MARK),
    ("report.md", "`±` is the standard deviation over seeds, `[low, high]` "),
    ("report.json", "\"resamples\": "),
];

/// A file in the way of a report in this folder: it is called as one of its files, and was not written by [`write()`].
pub fn foreign(folder: &Path) -> Option<PathBuf> {
    let is_ours = |path: &Path, mark: &str| std::fs::read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(mark));
    let files = MARKS.iter().map(|(name, mark)| (folder.join(name), mark));
    files.into_iter().find(|(path, mark)| path.symlink_metadata().is_ok() && !is_ours(path, mark)).map(|(path, _)| path)
}

/// Analyses the results of a plan and writes the three files into `out_dir`, each whole or not at all.
pub fn write(
    out_dir: &Path,
    plan_name: &str,
    plan_description: &str,
    results: &[CellResult],
    notes: &[String],
    settings: &Settings,
) -> Result<ReportPaths, Error> {
    // With ten thousand resamples of many areas under curves this takes minutes.
    let waiting = ProgressBar::new_spinner().with_message("report: computing intervals from resamples");
    waiting.enable_steady_tick(Duration::from_millis(200));
    let report = analysis::analyse(plan_name, plan_description, results, notes, settings);
    waiting.finish_and_clear();
    let report = report?;
    let html = html::page(&report)?;
    let markdown = markdown::text(&report);
    let json = serde_json::to_vec_pretty(&report)?;
    let paths = ReportPaths { html: out_dir.join("report.html"), markdown: out_dir.join("report.md"), json: out_dir.join("report.json") };
    for (path, bytes) in [(&paths.html, html.as_bytes()), (&paths.markdown, markdown.as_bytes()), (&paths.json, &json)] {
        write_atomically(path, bytes)?;
    }
    Ok(paths)
}
