//! Accuracy beside PyTorch's on the same samples: is it as good, and not only as fast?

use super::Context;
use super::pytorch::{PyTorch, dataset_folder};
use anyhow::{Context as _, Result, bail};
use mm_bench::DEFAULT_PLAN;
use mm_bench::dataset::{BUILT_IN, CardReader};
use mm_core::data::Split;
use mm_core::weights::write_atomically;
use mm_report::{finished, predictions};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Evaluated on a few combinations only.
const NOT_COMPARED: &str = "per-combination";
/// Our cells, PyTorch's predictions and the report on both; what is there is not trained again.
const FOLDER: &str = "target/parity";
/// In front of the names of PyTorch's runs.
const PREFIX: &str = "pytorch-";

/// What determines PyTorch's predictions of one seed.
#[derive(Serialize)]
struct Training<'a> {
    pytorch: &'a str,
    seed: u64,
    methods: &'a [String],
    splits: BTreeMap<String, Split>,
    scripts: [&'static str; 2],
}

/// Trains every method of the default plan on both sides, over as many seeds as there are repeats, and writes the report on both; gives
/// its table of pairs in Markdown.
pub fn run(context: &Context) -> Result<String> {
    let folder = Path::new(FOLDER);
    let mut plan: toml::Table = toml::from_str(DEFAULT_PLAN)?;
    let seeds: Vec<u64> = (0..context.repeats as u64).collect();
    plan.insert("seeds".into(), toml::Value::try_from(&seeds)?);
    let runs = plan.get_mut("runs").and_then(toml::Value::as_array_mut).context("the plan has runs")?;
    let method = |run: &toml::Value| run.get("method").and_then(toml::Value::as_str).unwrap_or_default().to_string();
    runs.retain(|run| method(run) != NOT_COMPARED);
    let methods: Vec<String> = runs.iter().map(method).collect();
    let ours = ours(folder, &plan, context.threads)?;
    let train = |pytorch: &PyTorch| seeds.iter().map(|&seed| theirs(folder, pytorch, &plan, &methods, seed, context.threads)).collect();
    let theirs: Vec<PathBuf> = context.pytorch.as_ref().map(train).transpose()?.unwrap_or_default();

    let mut finished = finished::read(&[ours])?;
    finished.results.retain(|cell| seeds.contains(&cell.seed));
    let predicted = predictions::read(&theirs, PREFIX, &finished.results)?;
    let pairs = mm_report::pairs(&finished.results, &predicted, PREFIX);
    let settings = mm_report::Settings { pairs, ..mm_report::Settings::default() };
    let description = format!("Every method of the default plan here and in PyTorch, on the same samples, {} seeds.", seeds.len());
    let results = [finished.results, predicted].concat();
    let paths = mm_report::write(&folder.join("report"), "Accuracy beside PyTorch", &description, &results, &finished.notes, &settings)?;
    eprintln!("{}", paths.html.display());
    let markdown = std::fs::read_to_string(&paths.markdown).with_context(|| format!("reading {}", paths.markdown.display()))?;
    Ok(pairs_of(&markdown))
}

/// The table of pairs of each data set, from the report.
fn pairs_of(report: &str) -> String {
    let (mut text, mut shown) = (String::new(), false);
    for line in report.lines() {
        if line.starts_with('#') {
            shown = line == "### Pairs";
        }
        let title = line.starts_with("## ") && line != "## Provenance";
        if title || shown && line != "### Pairs" {
            text += &format!("{line}\n");
        }
    }
    text
}

/// `cargo xtask bench` on the plan; the folder of its results.
fn ours(folder: &Path, plan: &toml::Table, jobs: usize) -> Result<PathBuf> {
    let (path, out) = (folder.join("plan.toml"), folder.join("ours"));
    write_atomically(&path, toml::to_string(plan)?.as_bytes())?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "--threads", "1", "--jobs", &jobs.to_string(), "--plan"]).arg(&path).arg("--out").arg(&out);
    let status = command.stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!("the bench failed: {status}");
    }
    Ok(out)
}

/// The predictions of PyTorch's training with one seed, on our splits.
fn theirs(folder: &Path, pytorch: &PyTorch, plan: &toml::Table, methods: &[String], seed: u64, jobs: usize) -> Result<PathBuf> {
    let scripts =
        [include_str!("../../../benchmarks/torch/default_bench.py"), include_str!("../../../benchmarks/torch/six_views_methods.py")];
    let training = Training { pytorch: pytorch.version(), seed, methods, splits: splits(plan, seed)?, scripts };
    let (out, done) = (folder.join(format!("pytorch/{seed}")), folder.join(format!("pytorch/{seed}.json")));
    let text = serde_json::to_vec(&training)?;
    if std::fs::read(&done).is_ok_and(|before| before == text) {
        return Ok(out);
    }
    let parts = folder.join("splits.json");
    write_atomically(&parts, &serde_json::to_vec(&training.splits)?)?;
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let mut arguments = vec![dataset_folder(BUILT_IN)?, "1".into(), jobs.to_string(), seed.to_string()];
    arguments.extend(["--splits".into(), path(&parts), "--predictions".into(), path(&out), "--methods".into()]);
    arguments.extend(methods.iter().cloned());
    pytorch.run::<serde_json::Value>("default_bench.py", &arguments)?;
    write_atomically(&done, &text)?;
    Ok(out)
}

/// The rows of each part, by the name of the plan's data.
fn splits(plan: &toml::Table, seed: u64) -> Result<BTreeMap<String, Split>> {
    let (loaded, _) = CardReader::open(BUILT_IN)?.load()?;
    let data: Vec<mm_bench::DataEntry> = plan.get("data").context("the plan has data")?.clone().try_into()?;
    let drawn = |entry: mm_bench::DataEntry| {
        let split = loaded.draw(entry.training_samples(), seed)?;
        Ok((entry.name, split))
    };
    data.into_iter().map(drawn).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tables_of_pairs_are_cut_from_the_report() {
        let report = "# t\n\n## a\n\ntext\n\n### Summary\n\n| x |\n\n### Pairs\n\n| y |\n\n### Cost\n\n| z |\n\n## Provenance\n\n| w |\n";
        assert_eq!(super::pairs_of(report), "## a\n\n| y |\n\n");
    }
}
