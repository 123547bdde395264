//! The whole default bench, from nothing to the report, beside the same cells in PyTorch.

use super::pytorch::{PyTorch, dataset_folder};
use super::{Context, Row};
use anyhow::{Context as _, Result, bail};
use mm_bench::dataset::BUILT_IN;
use mm_bench::default_seeds;
use mm_report::result::CellResult;
use serde::Deserialize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// One run of the bench.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Timing {
    seconds: f64,
    /// Over cells, of the mean over combinations.
    mean_accuracy: f64,
    /// Of the largest process.
    peak_memory_bytes: u64,
}

/// How cells share the threads.
#[derive(Debug, Clone, Copy)]
struct Arrangement {
    /// Cells side by side.
    jobs: usize,
    /// Threads of each.
    threads: usize,
}

/// Wall time, memory, and the mean accuracy, which shows that both did the same work.
pub fn rows(context: &Context) -> Result<Vec<Row>> {
    let seeds = default_seeds()?;
    let mut arrangements = vec![Arrangement { jobs: context.threads, threads: 1 }];
    if context.threads > 1 {
        arrangements.push(Arrangement { jobs: 1, threads: context.threads });
    }
    let mut rows = Vec::new();
    for arrangement in arrangements {
        let timings = context.alternate(|| ours(arrangement), |pytorch| theirs(pytorch, arrangement, &seeds))?;
        let Arrangement { jobs, threads } = arrangement;
        let what = format!("default bench, {jobs} cells at a time on {threads} threads each");
        rows.push(Row::of_medians(format!("{what}: all (PyTorch: one seed times {}, no report)", seeds.len()), "s", &timings, |t| {
            t.seconds
        }));
        rows.push(Row::of_medians(format!("{what}: mean accuracy (PyTorch: one seed)"), "%", &timings, |t| 100.0 * t.mean_accuracy));
        rows.push(Row::of_medians(format!("{what}: peak memory of a process"), "MB", &timings, |t| t.peak_memory_bytes as f64 / 1e6));
    }
    Ok(rows)
}

/// `cargo xtask bench` into an empty folder.
fn ours(Arrangement { jobs, threads }: Arrangement) -> Result<Timing> {
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let status = Command::new(std::env::current_exe()?)
        .args(["bench", "--resume=false", "--threads", &threads.to_string(), "--jobs", &jobs.to_string(), "--out"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .status()?;
    let seconds = started.elapsed().as_secs_f64();
    if !status.success() {
        bail!("the bench failed: {status}");
    }
    let cells = cell_results(folder.path())?;
    let mean_accuracy = cells.iter().filter_map(|cell| Some(cell.summary.as_ref()?.mean)).sum::<f64>() / cells.len() as f64;
    let peak_memory_bytes = cells.iter().filter_map(|cell| cell.cost.as_ref()?.peak_memory_bytes).max().unwrap_or_default();
    Ok(Timing { seconds, mean_accuracy, peak_memory_bytes })
}

/// Every cell's result in a bench's folder.
pub fn cell_results(folder: &Path) -> Result<Vec<CellResult>> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry?.path().join("result.json");
        let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
    };
    std::fs::read_dir(folder.join("cells"))?.map(read).collect()
}

/// The cells of one seed: they cost the same for every seed.
fn theirs(pytorch: &PyTorch, Arrangement { jobs, threads }: Arrangement, seeds: &[u64]) -> Result<Timing> {
    let seed = seeds.first().context("the plan has a seed")?;
    let arguments = [dataset_folder(BUILT_IN)?, threads.to_string(), jobs.to_string(), seed.to_string()];
    let one: Timing = pytorch.run_last("default_bench.py", &arguments)?;
    Ok(Timing { seconds: one.seconds * seeds.len() as f64, ..one })
}
