//! Accuracy beside PyTorch's on the same splits: is it as good, and not only as fast?

use super::bench::cell_results;
use super::pytorch::{PyTorch, dataset_folder};
use super::{Context, Row};
use anyhow::{Context as _, Result, bail};
use mm_bench::DEFAULT_PLAN;
use mm_bench::dataset::{BUILT_IN, CardReader};
use mm_core::data::Split;
use mm_report::result::CellResult;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

/// Evaluated on a few combinations only.
const NOT_COMPARED: &str = "per-combination";

/// How a cell did, over its combinations.
#[derive(Debug, Clone, Deserialize)]
struct Accuracy {
    method: String,
    size: String,
    mean_accuracy: f64,
    worst_accuracy: f64,
}

/// Mean and worst accuracy of every method of the default plan, over as many seeds as there are repeats.
pub fn rows(context: &Context) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let mut plan: toml::Table = toml::from_str(DEFAULT_PLAN)?;
    let seeds: Vec<u64> = (0..context.repeats as u64).collect();
    plan.insert("seeds".into(), toml::Value::try_from(&seeds)?);
    plan.remove("corruptions");
    let runs = plan.get_mut("runs").and_then(toml::Value::as_array_mut).context("the plan has runs")?;
    let method = |run: &toml::Value| run.get("method").and_then(toml::Value::as_str).unwrap_or_default().to_string();
    runs.retain(|run| method(run) != NOT_COMPARED);
    let methods: Vec<String> = runs.iter().map(method).collect();
    let ours = ours(folder.path(), &plan, context.threads)?;
    let mut theirs = Vec::new();
    if let Some(pytorch) = &context.pytorch {
        for &seed in &seeds {
            let splits = splits(&plan, seed)?;
            let path = folder.path().join("splits.json");
            std::fs::write(&path, serde_json::to_vec(&splits)?)?;
            let jobs = context.threads.to_string();
            let options = ["1".into(), jobs, seed.to_string(), "--splits".into(), path.to_string_lossy().into_owned(), "--methods".into()];
            theirs.extend(self::theirs(pytorch, &options, &methods)?);
        }
    }
    let cells: BTreeSet<(&str, &str)> = ours.iter().map(|a| (a.size.as_str(), a.method.as_str())).collect();
    let mut rows = Vec::new();
    for (size, method) in cells {
        let of_cell =
            |all: &[Accuracy]| -> Vec<Accuracy> { all.iter().filter(|a| a.size == size && a.method == method).cloned().collect() };
        let (ours, theirs) = (of_cell(&ours), of_cell(&theirs));
        let mut row = |what: &str, value: fn(&Accuracy) -> f64| {
            let mean = |all: &[Accuracy]| -> Vec<f64> {
                let sum: f64 = all.iter().map(value).sum();
                if all.is_empty() { Vec::new() } else { vec![100.0 * sum / all.len() as f64] }
            };
            let what = format!("{size}, {method}: {what}, mean over {} seeds", seeds.len());
            rows.push(Row::of_medians(what, "%", &(mean(&ours), mean(&theirs)), |&percent| percent));
        };
        row("mean accuracy", |a| a.mean_accuracy);
        row("worst combination", |a| a.worst_accuracy);
    }
    Ok(rows)
}

/// `cargo xtask bench` on the plan.
fn ours(folder: &Path, plan: &toml::Table, jobs: usize) -> Result<Vec<Accuracy>> {
    let (path, out) = (folder.join("plan.toml"), folder.join("out"));
    std::fs::write(&path, toml::to_string(plan)?)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "--threads", "1", "--jobs", &jobs.to_string(), "--plan"]).arg(&path).arg("--out").arg(&out);
    let status = command.stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!("the bench failed: {status}");
    }
    let accuracy = |cell: CellResult| {
        let summary = cell.summary.context("a cell evaluated nothing")?;
        Ok(Accuracy { method: cell.method, size: cell.data, mean_accuracy: summary.mean, worst_accuracy: summary.worst })
    };
    cell_results(&out)?.into_iter().map(accuracy).collect()
}

/// The rows of each part, by the name of the plan's data.
fn splits(plan: &toml::Table, seed: u64) -> Result<BTreeMap<String, Split>> {
    let (loaded, _) = CardReader::open(BUILT_IN)?.load()?;
    let data: Vec<mm_bench::DataEntry> = plan.get("data").context("the plan has data")?.clone().try_into()?;
    data.into_iter().map(|entry| Ok((entry.name, loaded.split_with(entry.train_per_class, seed)?))).collect()
}

fn theirs(pytorch: &PyTorch, options: &[String], methods: &[String]) -> Result<Vec<Accuracy>> {
    let arguments: Vec<String> = [dataset_folder()?].iter().chain(options).chain(methods).cloned().collect();
    let lines: Vec<serde_json::Value> = pytorch.run("default_bench.py", &arguments)?;
    // The last line is of the whole and names no method.
    let cells = lines.into_iter().filter(|line| line.get("method").is_some());
    cells.map(|line| serde_json::from_value(line).context("reading what default_bench.py printed")).collect()
}
