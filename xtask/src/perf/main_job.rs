//! The main job: methods on the six views, trained and evaluated in a fresh process each.

use super::pytorch::{PyTorch, dataset_folder};
use super::{Context, Row};
use anyhow::{Context as _, Result, bail};
use mm_bench::dataset::{BUILT_IN, CardReader};
use mm_bench::{CellSpec, Plan, child};
use mm_core::weights::write_atomically;
use mm_report::result::CellResult;
use serde::Deserialize;
use std::path::Path;
use std::time::Instant;

/// A cell to time.
struct PerfCell {
    /// Name of the method here and in the PyTorch script.
    pub method: String,
    /// Epochs.
    pub epochs: usize,
    /// Key, and what the child process reads.
    pub spec: (String, Vec<u8>),
    /// Whether it is a row of the table, and not only a teacher.
    pub has_peer: bool,
}

/// One timing of a method.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Timing {
    train_seconds: f64,
    evaluation_seconds: f64,
    peak_memory_bytes: u64,
}

/// Full-only training, modality dropout and MMANet on the built-in data, one seed, as the default plan has them.
fn cells() -> Result<Vec<PerfCell>> {
    let mut plan = Plan::read(None)?;
    plan.keep(1, &["full-only", "modality-dropout", "mmanet"]);
    let cell = |cell: CellSpec| {
        Ok(PerfCell {
            method: cell.resolved.method.to_string(),
            epochs: cell.resolved.train.epochs,
            spec: (cell.key.clone(), serde_json::to_vec(&cell)?),
            has_peer: !cell.hidden,
        })
    };
    plan.cells(&mm_bench::Registry::default())?.into_iter().map(cell).collect()
}

/// Training, evaluation and memory of each method.
pub fn rows(context: &Context) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for cell in cells()? {
        if !cell.has_peer {
            our_timing(folder.path(), &cell, context.threads)?;
            continue;
        }
        let timings = context
            .alternate(|| our_timing(folder.path(), &cell, context.threads), |pytorch| pytorch_timing(pytorch, &cell, context.threads))?;
        let PerfCell { method, epochs, .. } = &cell;
        rows.push(Row::of_medians(format!("{method}: training, {epochs} epochs"), "s", &timings, |t| t.train_seconds));
        rows.push(Row::of_medians(format!("{method}: evaluation, 63 combinations"), "s", &timings, |t| t.evaluation_seconds));
        rows.push(Row::of_medians(format!("{method}: peak memory"), "MB", &timings, |t| t.peak_memory_bytes as f64 / 1e6));
    }
    let reading = (0..context.repeats).map(|_| reading_seconds()).collect::<Result<Vec<f64>>>()?;
    rows.push(Row::of_medians("reading the data, 2000 samples of 649 values", "s", &(reading, Vec::new()), |&s| s));
    Ok(rows)
}

/// Six gzip tables to samples.
fn reading_seconds() -> Result<f64> {
    let source = CardReader::open(BUILT_IN)?;
    let started = Instant::now();
    source.load()?;
    Ok(started.elapsed().as_secs_f64())
}

/// The cell in a fresh process, as the bench runs it.
fn our_timing(folder: &Path, cell: &PerfCell, threads: usize) -> Result<Timing> {
    let (key, spec) = &cell.spec;
    let target = folder.join(key);
    write_atomically(&target.join("spec.json"), spec)?;
    let status = child::short_command(threads)?.arg("cell").arg(&target).status()?;
    if !status.success() {
        bail!("the cell of `{}` failed: {status}", cell.method);
    }
    let path = target.join("result.json");
    let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let result: CellResult = serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))?;
    let cost = result.cost.context("a cell's result says what it cost")?;
    Ok(Timing {
        train_seconds: cost.train_seconds,
        evaluation_seconds: cost.evaluation_seconds,
        peak_memory_bytes: cost.peak_memory_bytes.unwrap_or_default(),
    })
}

fn pytorch_timing(pytorch: &PyTorch, cell: &PerfCell, threads: usize) -> Result<Timing> {
    pytorch.run_last("six_views.py", &[dataset_folder(BUILT_IN)?, threads.to_string(), cell.method.clone(), cell.epochs.to_string()])
}
