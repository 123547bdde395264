//! The command: plan, cells, report.

use super::cell::CellSpec;
use super::interrupt::Interrupt;
use super::merge::{self, MergeArguments};
use super::output::{FILE_HASHES, Output, RESULT};
use super::plan::Plan;
use super::registry::Registry;
use super::run_cell::{CellArguments, default_cache_gib, run_cell};
use super::schedule::{self, Jobs};
use super::shard::ShardArgument;
use crate::file_hashes::FileHashes;
use crate::provenance::version;
use crate::{child, job};

use anyhow::{Context, Result};
use mm_core::DeviceName;
use mm_report::finished;
use mm_report::result::CellResult;
use mm_report::roster::{Listed, Roster};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// More than any machine has: a slip of the keyboard.
const MOST_THREADS: usize = 1024;

/// Arguments of `bench`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArguments {
    #[command(subcommand)]
    command: Option<BenchCommand>,
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
    /// Only one part of the cells, `I/N` (from 1/N), so that N machines share a plan; `auto` (`auto/N`) takes the part from the variables of
    /// Slurm, Kubernetes or HyperQueue. No report is written: `mm bench merge` does.
    #[arg(long, value_name = "I/N")]
    shard: Option<ShardArgument>,
    /// The device of all cells, such as `cuda:0`, instead of what the plan says. Cells side by side share its memory: see `--jobs`.
    #[arg(long, value_name = "NAME")]
    device: Option<DeviceName>,
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

/// What else `bench` does.
#[derive(clap::Subcommand)]
enum BenchCommand {
    /// Put the folders of a plan's parts together, and write the report.
    Merge(MergeArguments),
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
        Command::Bench(BenchArguments { command: Some(BenchCommand::Merge(arguments)), .. }) => merge::run(&arguments),
        Command::Bench(arguments) => run_plan(arguments, registry),
        Command::Cell(arguments) => match child::computing(|| run_cell(&arguments, registry)) {
            Err(error) if matches!(error.downcast_ref(), Some(mm_core::Error::Stopped { .. })) => {
                // Who asked for the end does not wait for words.
                _ = writeln!(std::io::stderr(), "error: {error:#}");
                Ok(ExitCode::from(child::STOPPED))
            }
            ended => ended,
        },
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
    if let Some(device) = arguments.device {
        plan.set_device(device);
    }
    if arguments.list {
        for run in &plan.runs {
            println!("{:24} {}", run.name(), run.method);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let shard = arguments.shard.map(|shard| shard.resolve(|name| std::env::var(name).ok())).transpose()?;
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("target/bench").join(&plan.name));
    let mut files = FileHashes::read(&out.join(FILE_HASHES));
    let all = plan.cells_of(registry, &mut files)?;
    let cells = shard.map_or_else(|| all.clone(), |shard| shard.of(&all));
    let cores = job::cores();
    let threads = arguments.threads;
    let jobs = arguments.jobs.unwrap_or_else(|| (cores / threads).max(1));
    if arguments.dry_run {
        print_cells(&cells, jobs);
        return Ok(ExitCode::SUCCESS);
    }
    // Once, and not an error of every cell.
    plan.device().open()?;
    let interrupt = Interrupt::listen()?;
    let interrupted = || {
        // Schedulers take machines away and give them back: that a part was asked to end is no failure of it. A Kubernetes job counts a part
        // that ends well as done, so there it must not.
        let is_ordinary = shard.is_some() && interrupt.is_termination() && std::env::var_os("JOB_COMPLETION_INDEX").is_none();
        let advice = if shard.is_some() { "resubmit me: " } else { "" };
        eprintln!("interrupted; {advice}the same command goes on where this one stopped");
        Ok(if is_ordinary { ExitCode::SUCCESS } else { ExitCode::from(interrupt.exit_code().unwrap_or(1)) })
    };
    let output = match shard {
        Some(_) => Some(Output::share(&out, &plan.name)?),
        None => Output::open(&out, &plan.name, &interrupt)?,
    };
    let Some(mut output) = output else { return interrupted() };
    let roster = plan.roster(&all);
    output.write_roster(&roster)?;
    files.write(&out.join(FILE_HASHES))?;
    if !arguments.resume {
        output.remove(&cells)?;
    }
    let folder = output.cells();
    let started = Instant::now();
    let features = arguments.cache.clone().unwrap_or_else(|| out.join("features"));
    let cache = (arguments.cache_gib > 0.0).then_some((features, arguments.cache_gib));
    let outcome = schedule::run_all(&cells, &Jobs { folder: folder.clone(), jobs, threads, cache, memory: job::memory() }, &interrupt)?;
    if interrupt.is_set() {
        return interrupted();
    }
    let failures: Vec<String> =
        cells.iter().filter_map(|c| outcome.failures.get(&c.key).map(|why| format!("cell {c} failed: {why}"))).collect();
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    let took = format!("{} of {} cells new in {:.1} s", outcome.finished, cells.len(), started.elapsed().as_secs_f64());
    match shard {
        Some(shard) => {
            eprintln!("part {shard} of `{}`: {took}; the report: mm bench merge {}", plan.name, out.display());
        }
        None => {
            let results = read_results(&folder, &roster, |key| !outcome.failures.contains_key(key))?;
            if !results.is_empty() {
                tell_versions(&results);
                let paths = write_report(&mut output, &roster, &results, &failures)?;
                eprintln!("{took}");
                println!("{}", paths.display());
            }
        }
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Results of another build are as good, but who works on the program wants to know.
fn tell_versions(results: &[CellResult]) {
    let version = version();
    let others: BTreeSet<&str> =
        results.iter().filter_map(|r| Some(r.provenance.as_ref()?.version.as_str())).filter(|v| *v != version).collect();
    if !others.is_empty() {
        let others = others.into_iter().collect::<Vec<_>>().join(", ");
        eprintln!("some of the cells were computed by mm {others}, this is {version}; `--resume=false` computes them anew");
    }
}

/// The results of the rows of a report, in their order, of those cells that are wanted.
pub fn read_results(cells: &Path, roster: &Roster, wanted: impl Fn(&str) -> bool) -> Result<Vec<CellResult>> {
    let shown = roster.cells.iter().filter(|cell| !cell.hidden && wanted(&cell.key));
    shown.map(|cell| Ok(CellResult { data: cell.data.clone(), run: cell.run.clone(), ..read_result(cells, cell)? })).collect()
}

/// Writes the report of a plan; where the page is.
pub fn write_report(output: &mut Output, roster: &Roster, results: &[CellResult], notes: &[String]) -> Result<PathBuf> {
    let settings = mm_report::Settings { failure: roster.failure.clone(), ..mm_report::Settings::default() };
    Ok(mm_report::write(output.for_report()?, &roster.plan, &roster.description, results, notes, &settings)?.html)
}

/// The result of a cell in its folder below `folder`.
pub fn read_result(folder: &Path, cell: &Listed) -> Result<CellResult> {
    let path = folder.join(&cell.key).join(RESULT);
    let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(finished::parse(&folder.join(&cell.key), &text, Some((&cell.key, cell.seed)))?)
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
