//! The command: plan, cells, report.

use super::cell::CellSpec;
use super::interrupt::Interrupt;
use super::output::Output;
use super::plan::Plan;
use super::registry::Registry;
use super::run_cell::{CellArguments, default_cache_gib, run_cell};
use super::schedule::{self, Jobs};
use crate::child;

use anyhow::{Context, Result};
use mm_report::result::CellResult;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// More than any machine has: a slip of the keyboard.
const MOST_THREADS: usize = 1024;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct BenchArguments {
    /// The plan; without it, the default plan on the built-in data.
    #[arg(value_name = "PLAN", conflicts_with = "plan_flag")]
    plan: Option<PathBuf>,
    /// The plan, as a flag.
    #[arg(long = "plan", value_name = "PLAN")]
    plan_flag: Option<PathBuf>,
    /// Folder of results and report; `target/bench/<plan>` by default.
    #[arg(long)]
    out: Option<PathBuf>,
    /// One seed and few epochs: does everything work?
    #[arg(long)]
    quick: bool,
    /// Take up finished and interrupted cells (`--resume=false` starts all over).
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    resume: bool,
    /// Threads of each cell; by default one, with as many cells side by side as there are cores.
    #[arg(long, default_value_t = 1, value_parser = count)]
    threads: usize,
    /// Cells side by side; by default the cores over `--threads`.
    #[arg(long, value_parser = count)]
    jobs: Option<usize>,
    /// Folder for the features of frozen encoders, which several benches may share; `features` in the folder of results by default.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// GiB that this folder may take; 0: features are computed anew each time.
    #[arg(long, value_name = "N", default_value_t = default_cache_gib(), value_parser = gib)]
    cache_gib: f64,
    /// List the runs of the plan and stop.
    #[arg(long)]
    list: bool,
    /// List the cells with an estimate of their cost and stop.
    #[arg(long)]
    dry_run: bool,
}

/// What every program that benches has to understand: the command itself, and what it starts.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Train and compare methods on a data set, evaluate every modality combination, write a report.
    Bench(BenchArguments),
    /// Run one cell of a bench (called by `bench`).
    #[command(hide = true)]
    Cell(CellArguments),
}

/// Runs either, with the methods of `registry`.
pub fn run(command: Command, registry: &Registry) -> Result<ExitCode> {
    match command {
        Command::Bench(arguments) => run_plan(arguments, registry),
        Command::Cell(arguments) => child::computing(|| run_cell(&arguments, registry)),
    }
}

/// Runs a plan and writes its report.
fn run_plan(arguments: BenchArguments, registry: &Registry) -> Result<ExitCode> {
    let path = arguments.plan.as_deref().or(arguments.plan_flag.as_deref());
    let mut plan = Plan::read(path)?;
    // A program of a user's own benches its method against all others without a plan of its own.
    if path.is_none() {
        plan.add_runs(registry.added().map(|method| method.name()));
    }
    if arguments.quick {
        plan.quick();
    }
    if arguments.list {
        for run in &plan.runs {
            println!("{:24} {}", run.name(), run.method);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let cells = plan.cells(registry)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads;
    let jobs = arguments.jobs.unwrap_or_else(|| (cores / threads).max(1));
    if arguments.dry_run {
        print_cells(&cells, jobs);
        return Ok(ExitCode::SUCCESS);
    }
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("target/bench").join(&plan.name));
    let interrupt = Interrupt::listen()?;
    let interrupted = |code: u8| {
        eprintln!("interrupted; the same command goes on where this one stopped");
        Ok(ExitCode::from(code))
    };
    let Some(mut output) = Output::open(&out, &plan.name, &interrupt)? else {
        return interrupted(interrupt.exit_code().unwrap_or(1));
    };
    if !arguments.resume {
        output.remove(&cells)?;
    }
    let folder = output.cells();
    let started = Instant::now();
    let features = arguments.cache.clone().unwrap_or_else(|| out.join("features"));
    let cache = (arguments.cache_gib > 0.0).then_some((features, arguments.cache_gib));
    let outcome = schedule::run_all(&cells, &Jobs { folder: folder.clone(), jobs, threads, cache }, &interrupt)?;
    if let Some(code) = interrupt.exit_code() {
        return interrupted(code);
    }
    let mut results = Vec::new();
    for cell in cells.iter().filter(|c| !c.hidden && !outcome.failures.contains_key(&c.key)) {
        let mut result: CellResult = read_result(&folder, cell)?;
        (result.data, result.run) = (cell.data.clone(), cell.run.clone());
        results.push(result);
    }
    let failures: Vec<String> = cells
        .iter()
        .filter_map(|c| {
            outcome.failures.get(&c.key).map(|why| format!("cell {} / {} / seed {} failed: {why}", c.data, c.run, c.resolved.train.seed))
        })
        .collect();
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    if !results.is_empty() {
        let settings = mm_report::Settings { failure: plan.failure_rates(), ..mm_report::Settings::default() };
        let paths = mm_report::write(output.for_report()?, &plan.name, &plan.description, &results, &failures, &settings)?;
        eprintln!("{} of {} cells new in {:.1} s", outcome.finished, cells.len(), started.elapsed().as_secs_f64());
        println!("{}", paths.html.display());
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_result(folder: &Path, cell: &CellSpec) -> Result<CellResult> {
    let path = folder.join(&cell.key).join("result.json");
    let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let corrupt = || format!("{} is corrupt: remove it and run the bench again", path.display());
    let result: CellResult = serde_json::from_slice(&text).with_context(corrupt)?;
    Ok(CellResult { folder: Some(folder.join(&cell.key)), ..result })
}

fn print_cells(cells: &[CellSpec], jobs: usize) {
    println!("{:16}  {:24} {:24} {:>6} {:>8}", "key", "data", "run", "seed", "seconds");
    for cell in cells {
        println!("{:16}  {:24} {:24} {:>6} {:>8.1}", cell.key, cell.data, cell.run, cell.resolved.train.seed, cell.estimated_seconds);
    }
    // A cell that two names share runs once.
    let costs: BTreeMap<&str, f64> = cells.iter().map(|cell| (cell.key.as_str(), cell.estimated_seconds)).collect();
    let (total, longest) = costs.values().fold((0.0, 0f64), |(total, longest), &cost| (total + cost, longest.max(cost)));
    println!("{} cells, about {:.0} s with {jobs} side by side", costs.len(), longest.max(total / jobs as f64));
}

/// A size of a folder.
fn gib(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|gib: &f64| gib.is_finite() && *gib >= 0.0).ok_or_else(|| "it is a number of GiB, 0 or more".into())
}

/// Threads or cells side by side.
fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=MOST_THREADS) => Ok(count),
        Ok(0) => Err("at least 1 is needed".into()),
        Ok(_) => Err(format!("at most {MOST_THREADS} are possible")),
        Err(problem) => Err(format!("{problem}; it is a number from 1 to {MOST_THREADS}")),
    }
}
