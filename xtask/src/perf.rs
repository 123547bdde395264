//! `cargo xtask perf`: the main job timed, beside PyTorch on the same machine where asked.

use crate::bench::perf_cells;
use crate::dataset::{BUILT_IN, Source};
use crate::result::CellResult;
use anyhow::{Context, Result, bail};
use mm_core::weights::write_atomically;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Arguments of `perf`.
#[derive(clap::Args)]
pub struct PerfArguments {
    /// Compare with PyTorch, from a virtual environment made below `target/` (downloads it the first time).
    #[arg(long)]
    with_pytorch: bool,
    /// A Python that has PyTorch already, instead of that environment.
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// Threads of both.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Runs of each; the median counts.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Also write the table to this Markdown file.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// One timing of a method.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Timing {
    train_seconds: f64,
    evaluation_seconds: f64,
    peak_memory_bytes: u64,
}

/// One row of the table.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    unit: &'static str,
    ours: f64,
    pytorch: Option<f64>,
    ratio: Option<f64>,
}

/// Times the methods, ours and PyTorch's alternating.
pub fn run(arguments: &PerfArguments) -> Result<ExitCode> {
    let python = match (&arguments.python, arguments.with_pytorch) {
        (Some(python), _) => Some(python.clone()),
        (None, true) => Some(virtual_environment()?),
        (None, false) => None,
    };
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for cell in perf_cells()? {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..arguments.repeats.max(1) {
            ours.push(our_timing(folder.path(), &cell, arguments.threads)?);
            if let Some(python) = python.as_ref().filter(|_| cell.has_peer) {
                theirs.push(pytorch_timing(python, arguments.threads, &cell.method, cell.epochs)?);
            }
        }
        if cell.has_peer {
            rows.push(row(format!("{}: training, {} epochs", cell.method, cell.epochs), "s", &ours, &theirs, |t| t.train_seconds));
            rows.push(row(format!("{}: evaluation, 63 combinations", cell.method), "s", &ours, &theirs, |t| t.evaluation_seconds));
            rows.push(row(format!("{}: peak memory", cell.method), "MB", &ours, &theirs, |t| t.peak_memory_bytes as f64 / 1e6));
        }
    }
    rows.push(reading_row(arguments.repeats)?);
    let table = markdown(&rows, arguments);
    match arguments.json {
        true => println!("{}", serde_json::to_string_pretty(&rows)?),
        false => print!("{table}"),
    }
    if let Some(out) = &arguments.out {
        write_atomically(out, table.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(what: String, unit: &'static str, ours: &[Timing], theirs: &[Timing], value: impl Fn(&Timing) -> f64) -> Row {
    let median = |timings: &[Timing]| {
        let mut values: Vec<f64> = timings.iter().map(&value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let (ours, pytorch) = (median(ours).unwrap_or(f64::NAN), median(theirs));
    Row { what, unit, ours, pytorch, ratio: pytorch.map(|p| ours / p) }
}

/// Reading the built-in data: six gzip tables to samples.
fn reading_row(repeats: usize) -> Result<Row> {
    let source = Source::open(BUILT_IN)?;
    let mut seconds = Vec::new();
    for _ in 0..repeats.max(1) {
        let started = Instant::now();
        source.load()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(Row {
        what: "reading the data, 2000 samples of 649 values".into(),
        unit: "s",
        ours: seconds[seconds.len() / 2],
        pytorch: None,
        ratio: None,
    })
}

fn markdown(rows: &[Row], arguments: &PerfArguments) -> String {
    let mut text = format!(
        "Machine: {}; {} threads each; median of {}; {}.\n\n| what | ours | PyTorch | ours / PyTorch |\n|---|---:|---:|---:|\n",
        crate::result::machine(),
        arguments.threads,
        arguments.repeats,
        crate::result::version()
    );
    for row in rows {
        let pytorch = row.pytorch.map_or("-".into(), |p| format!("{p:.3} {}", row.unit));
        let ratio = row.ratio.map_or("-".into(), |r| format!("{r:.2}"));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} | {:.3} {} | {pytorch} | {ratio} |", row.what, row.ours, row.unit);
    }
    text
}

/// A cell to time.
pub struct PerfCell {
    /// Name of the method here and in the PyTorch script.
    pub method: String,
    /// Epochs.
    pub epochs: usize,
    /// Key, and what the child process reads.
    pub spec: (String, Vec<u8>),
    /// Whether it is a row of the table, and not only a teacher.
    pub has_peer: bool,
}

/// The cell in a fresh process, as the bench runs it.
fn our_timing(folder: &Path, cell: &PerfCell, threads: usize) -> Result<Timing> {
    let (key, spec) = &cell.spec;
    let target = folder.join(key);
    write_atomically(&target.join("spec.json"), spec)?;
    let status = Command::new(std::env::current_exe()?)
        .arg("cell")
        .arg(&target)
        .env("RAYON_NUM_THREADS", threads.to_string())
        .env("CANDLE_NUM_THREADS", "1")
        .status()?;
    if !status.success() {
        bail!("the cell of `{}` failed: {status}", cell.method);
    }
    let result: CellResult = serde_json::from_slice(&std::fs::read(target.join("result.json"))?)?;
    Ok(Timing {
        train_seconds: result.cost.train_seconds,
        evaluation_seconds: result.cost.evaluation_seconds,
        peak_memory_bytes: result.cost.peak_memory_bytes.unwrap_or_default(),
    })
}

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a root")
}

fn pytorch_timing(python: &Path, threads: usize, method: &str, epochs: usize) -> Result<Timing> {
    let script = root()?.join("benchmarks/torch/six_views.py");
    let output = Command::new(python)
        .arg(script)
        .arg(root()?.join("datasets/multiple-features"))
        .args([threads.to_string(), method.to_string(), epochs.to_string()])
        .output()
        .with_context(|| format!("running {}", python.display()))?;
    if !output.status.success() {
        bail!("the PyTorch script failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("reading what the PyTorch script printed")
}

/// A virtual environment with PyTorch below `target/`, made on the first use.
fn virtual_environment() -> Result<PathBuf> {
    let folder = root()?.join("target/pytorch");
    let python = folder.join("bin/python");
    if !python.exists() {
        eprintln!("making {} (once)", folder.display());
        let run = |command: &mut Command| -> Result<()> {
            let status = command.status().with_context(|| format!("running {command:?}"))?;
            if status.success() { Ok(()) } else { bail!("{command:?}: {status}") }
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "torch", "numpy"]))?;
    }
    Ok(python)
}
