//! Exported models in ONNX Runtime and OpenVINO: whether they say what our own say.

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use mm_bench::Registry;
use mm_testing::{Expected, Network, deployed_sizes, expected, exported_dense, exported_encoders, exported_methods};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Folder of the saved model beside the exported one.
pub const SAVED: &str = "saved";
/// Largest distance from our own model, over 1 or the largest number of a sample's answer.
const TOLERANCE: f64 = 1e-4;

/// Arguments of `onnx`.
#[derive(clap::Args)]
pub struct OnnxArguments {
    /// A Python with onnxruntime, openvino, numpy and safetensors.
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,
    /// Threads of each side.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Only networks whose name holds this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// A new folder for the models, their samples and answers; otherwise they are not kept.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// What an engine found of a model.
#[derive(Deserialize)]
pub struct Found {
    case: String,
    /// `onnxruntime` or `openvino`.
    pub engine: String,
    /// Why it was not asked.
    skipped: Option<String>,
    problem: Option<String>,
    difference: Option<f64>,
    /// Of one prediction, where that was asked for.
    pub seconds: Option<f64>,
}

/// Exports every network of the tests, and some of common sizes; prints differences.
pub fn run(arguments: &OnnxArguments) -> Result<ExitCode> {
    let temporary = tempfile::tempdir()?;
    let folder = arguments.keep.as_deref().unwrap_or(temporary.path());
    let sizes = deployed_sizes().into_iter().map(|(network, _)| network);
    let all = [exported_methods(), exported_encoders(), exported_dense()].into_iter().flatten().chain(sizes);
    let networks: Vec<Network> = all.filter(|network| network.name.contains(&arguments.only)).collect();
    for (i, network) in networks.iter().enumerate() {
        prepare(network, &folder.join(format!("{i:03}"))).with_context(|| network.name.clone())?;
    }
    summary(&networks, &compare(&arguments.python, arguments.threads, None, folder)?)
}

/// Writes a model, its file for other programs, samples and what it says of them.
pub fn prepare(network: &Network, folder: &Path) -> Result<()> {
    let registry = Registry::default();
    let options: toml::Table = toml::from_str(&network.options)?;
    let saved = folder.join(SAVED);
    network.save(&*registry.method(network.method)?.recipe(&options)?, &saved);
    let pipeline = registry.from_pretrained(&saved)?;
    mm_onnx::write(&mm_onnx::export(&pipeline)?, &folder.join("model.onnx"))?;
    let Expected { inputs, outputs } = expected(&pipeline);
    for (file, tensors) in [("inputs.safetensors", inputs), ("outputs.safetensors", outputs)] {
        candle_core::safetensors::save(&tensors.into_iter().collect::<HashMap<String, Tensor>>(), folder.join(file))?;
    }
    Ok(())
}

/// What both engines make of the models in a folder, by case and engine; times of `batch` samples, where it is given.
pub fn compare(python: &Path, threads: usize, batch: Option<usize>, folder: &Path) -> Result<BTreeMap<(String, String), Found>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benchmarks/onnx/compare.py");
    let mut command = Command::new(python);
    command.arg("-B").arg(&script).arg(folder).arg(threads.to_string()).args(batch.map(|batch| batch.to_string()));
    let output = command.output().with_context(|| format!("running {}", python.display()))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        let last = error.lines().last().unwrap_or_default();
        bail!("{} cannot run {} ({last}); it needs onnxruntime, openvino, numpy and safetensors", python.display(), script.display());
    }
    let lines = String::from_utf8(output.stdout)?;
    let found = lines.lines().map(|line| Ok(serde_json::from_str::<Found>(line)?)).collect::<Result<Vec<_>>>()?;
    Ok(found.into_iter().map(|found| ((found.case.clone(), found.engine.clone()), found)).collect())
}

/// How many networks are equal, and the largest difference; a failure where one is too large.
fn summary(networks: &[Network], found: &BTreeMap<(String, String), Found>) -> Result<ExitCode> {
    let mut equal = true;
    for engine in ["onnxruntime", "openvino"] {
        let (mut largest, mut count) = (0f64, 0);
        for (i, network) in networks.iter().enumerate() {
            match found.get(&(format!("{i:03}"), engine.to_string())) {
                Some(Found { difference: Some(difference), .. }) if *difference <= TOLERANCE => {
                    (largest, count) = (largest.max(*difference), count + 1);
                }
                Some(Found { skipped: Some(why), .. }) => println!("{engine}, {}: not compared: {engine} {why}", network.name),
                other => {
                    equal = false;
                    let why = other.and_then(|found| found.problem.clone().or(found.difference.map(|d| format!("off by {d:.1e}"))));
                    println!("{engine}, {}: {}", network.name, why.unwrap_or_else(|| "nothing was said".into()));
                }
            }
        }
        println!("{engine}: {count} of {} networks of the tests are equal, the largest difference is {largest:.1e}", networks.len());
    }
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
