//! `mm report`: finished cells and predictions in, the report out.

use anyhow::{Result, bail};
use mm_report::result::CellResult;
use mm_report::{Settings, finished, predictions};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `report`.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("input").args(["predictions", "results"]).required(true).multiple(true)))]
pub struct ReportArguments {
    /// A folder of predictions that another program wrote; may be given several times. This or `--results` is needed, or both.
    #[arg(long, value_name = "DIR")]
    predictions: Vec<PathBuf>,
    /// The folder of a bench, whose finished cells are shown; may be given several times.
    #[arg(long, value_name = "DIR")]
    results: Vec<PathBuf>,
    /// Where the report goes.
    #[arg(long, value_name = "DIR", default_value = "target/report")]
    out: PathBuf,
    /// Title of the report.
    #[arg(long, default_value = "report")]
    title: String,
    /// The run that the others are compared with; by default the first of the method `modality-dropout`, or the first of all.
    #[arg(long, value_name = "RUN")]
    reference: Option<String>,
    /// In front of the names of the predictions' runs, where finished cells have runs of the same names.
    #[arg(long, value_name = "TEXT", default_value = "", requires = "predictions")]
    prefix: String,
    /// Compare each finished run with the predictions of the same name; they are told apart by `--prefix`.
    #[arg(long, requires = "prefix", requires = "results")]
    pairs: bool,
}

/// Writes the report and says where it is.
pub fn run(arguments: &ReportArguments) -> Result<ExitCode> {
    refuse_foreign(&arguments.out)?;
    let finished = finished::read(&arguments.results)?;
    let theirs = predictions::read(&arguments.predictions, &arguments.prefix, &finished.results)?;
    let mut settings = Settings { reference: arguments.reference.clone(), ..Settings::default() };
    if arguments.pairs {
        settings.pairs = mm_report::pairs(&finished.results, &theirs, &arguments.prefix);
        if settings.pairs.is_empty() {
            bail!("`--pairs` found no run of the predictions that has the name of a finished one behind the prefix `{}`", arguments.prefix);
        }
    }
    let notes = [finished.notes, apart(&finished.results, &theirs)].concat();
    let results = [finished.results, theirs].concat();
    let paths = mm_report::write(&arguments.out, &arguments.title, &arguments.description(), &results, &notes, &settings)?;
    println!("{}", paths.html.display());
    Ok(ExitCode::SUCCESS)
}

/// Notes on predictions that stand beside no finished cell although there are some: perhaps their data has another name.
fn apart(finished: &[CellResult], theirs: &[CellResult]) -> Vec<String> {
    let names = |results: &[CellResult]| results.iter().map(|result| result.data.clone()).collect::<BTreeSet<String>>();
    let ours = names(finished);
    let alone = names(theirs).into_iter().filter(|name| !ours.is_empty() && !ours.contains(name));
    let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    alone.map(|name| format!("No finished cell is of the data `{name}` of the predictions: those are of {}.", ours.join(", "))).collect()
}

impl ReportArguments {
    fn description(&self) -> String {
        let list = |what: &str, folders: &[PathBuf]| {
            let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            if folders.is_empty() { String::new() } else { format!("{what} {}. ", folders.join(", ")) }
        };
        let text = [list("Finished cells of", &self.results), list("Predictions in", &self.predictions)].concat();
        text.trim_end().to_string()
    }
}

/// Refuses to overwrite what this command did not write: another bench's folder, or a report that is no report of ours.
fn refuse_foreign(out: &Path) -> Result<()> {
    if out.join("bench.lock").exists() {
        bail!("{} is the folder of a bench, which writes its own report there: give another `--out`", out.display());
    }
    match mm_report::foreign(out) {
        Some(path) => {
            bail!("{} was not written by `mm report` and would be overwritten: move it away, or give another `--out`", path.display())
        }
        None => Ok(()),
    }
}
