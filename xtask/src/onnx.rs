//! Exported models in ONNX Runtime and OpenVINO, beside our own.

use anyhow::{Context, Result, bail};
use candle_core::{DType, Tensor};
use mm_bench::Registry;
use mm_core::Pipeline;
use mm_core::data::{Inputs, Reading};
use mm_core::{Presence, Subset};
use mm_testing::{Expected, Network, expected, exported_dense, exported_encoders, exported_methods, exported_sizes};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Predictions that are timed, at most, and for how long.
const REPEATS: usize = 300;
const WARM_UP: usize = 10;
const LONGEST: Duration = Duration::from_secs(3);
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
struct Found {
    case: String,
    engine: String,
    /// Why it was not asked.
    skipped: Option<String>,
    problem: Option<String>,
    difference: Option<f64>,
    seconds: Option<f64>,
}

/// Exports every network of the tests, and some of common sizes; prints differences, and times beside ours.
pub fn run(arguments: &OnnxArguments) -> Result<ExitCode> {
    let temporary = tempfile::tempdir()?;
    let folder = arguments.keep.as_deref().unwrap_or(temporary.path());
    let wanted = |network: &Network| network.name.contains(&arguments.only);
    let sizes: Vec<Network> = exported_sizes().into_iter().filter(wanted).collect();
    let small: Vec<Network> = [exported_methods(), exported_encoders(), exported_dense()].into_iter().flatten().filter(wanted).collect();
    let mut ours = HashMap::new();
    for (i, network) in sizes.iter().chain(&small).enumerate() {
        let case = format!("{i:03}");
        let pipeline = prepare(network, &folder.join(&case)).with_context(|| network.name.clone())?;
        if i < sizes.len() {
            ours.insert(case, seconds(&pipeline, arguments.threads)?);
        }
    }
    let found = compare(arguments, folder)?;
    table(&sizes, &ours, &found);
    summary(&small, sizes.len(), &found)
}

/// Writes a model, its samples and what it says of them.
fn prepare(network: &Network, folder: &Path) -> Result<Pipeline> {
    let registry = Registry::default();
    let options: toml::Table = toml::from_str(&network.options)?;
    let saved = tempfile::tempdir()?;
    network.save(&*registry.method(network.method)?.recipe(&options)?, saved.path());
    let pipeline = registry.from_pretrained(saved.path())?;
    std::fs::create_dir_all(folder)?;
    mm_onnx::write(&mm_onnx::export(&pipeline)?, &folder.join("model.onnx"))?;
    let Expected { inputs, outputs } = expected(&pipeline);
    for (file, tensors) in [("inputs.safetensors", inputs), ("outputs.safetensors", outputs)] {
        candle_core::safetensors::save(&tensors.into_iter().collect::<HashMap<String, Tensor>>(), folder.join(file))?;
    }
    Ok(pipeline)
}

/// Time of our own model for one sample that has all sensors: the lowest decile, since what else the machine does lengthens the others.
fn seconds(pipeline: &Pipeline, threads: usize) -> Result<f64> {
    let schema = pipeline.schema();
    let device = pipeline.model().parameters().device();
    let readings = schema.inputs.iter().map(|input| {
        let dims: Vec<usize> = [1].into_iter().chain(input.shape.iter().copied()).collect();
        Ok(Some(Reading::from(Tensor::ones(dims, DType::F32, device)?)))
    });
    let presence = Presence::uniform(Subset::full(schema.modalities.len()), 1);
    let inputs = Inputs::new(&schema.modalities, readings.collect::<Result<Vec<_>>>()?, presence, vec![0])?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (mut times, begun) = (Vec::new(), Instant::now());
    for turn in 0..WARM_UP + REPEATS {
        let started = Instant::now();
        pool.install(|| pipeline.model().predict(&inputs))?;
        if turn >= WARM_UP {
            times.push(started.elapsed().as_secs_f64());
        }
        if !times.is_empty() && begun.elapsed() > LONGEST {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 10])
}

/// By case and engine.
fn compare(arguments: &OnnxArguments, folder: &Path) -> Result<BTreeMap<(String, String), Found>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benchmarks/onnx/compare.py");
    let mut command = Command::new(&arguments.python);
    let output = command.arg("-B").arg(&script).arg(folder).arg(arguments.threads.to_string()).output();
    let output = output.with_context(|| format!("running {}", arguments.python.display()))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        let last = error.lines().last().unwrap_or_default();
        bail!(
            "{} cannot run {} ({last}); it needs onnxruntime, openvino, numpy and safetensors",
            arguments.python.display(),
            script.display()
        );
    }
    let lines = String::from_utf8(output.stdout)?;
    let found = lines.lines().map(|line| Ok(serde_json::from_str::<Found>(line)?)).collect::<Result<Vec<_>>>()?;
    Ok(found.into_iter().map(|found| ((found.case.clone(), found.engine.clone()), found)).collect())
}

/// Networks of common sizes: differences and times.
fn table(networks: &[Network], ours: &HashMap<String, f64>, found: &BTreeMap<(String, String), Found>) {
    if networks.is_empty() {
        return;
    }
    println!("| network | difference, ONNX Runtime | difference, OpenVINO | ours, ms | ONNX Runtime, ms | OpenVINO, ms |");
    println!("|---|---|---|---|---|---|");
    for (i, network) in networks.iter().enumerate() {
        let case = format!("{i:03}");
        let of = |engine: &str| found.get(&(case.clone(), engine.to_string()));
        let difference = |engine: &str| match of(engine) {
            Some(Found { difference: Some(difference), .. }) => format!("{difference:.1e}"),
            Some(Found { problem: Some(problem), .. }) => problem.clone(),
            _ => "-".into(),
        };
        let time = |engine: &str| of(engine).and_then(|found| found.seconds).map_or("-".into(), |s| format!("{:.3}", 1e3 * s));
        let own = ours.get(&case).map_or("-".into(), |s| format!("{:.3}", 1e3 * s));
        let [runtime, openvino] = ["onnxruntime", "openvino"];
        println!(
            "| {} | {} | {} | {own} | {} | {} |",
            network.name,
            difference(runtime),
            difference(openvino),
            time(runtime),
            time(openvino)
        );
    }
    println!();
}

/// The networks of the tests: how many, and the largest difference; a failure where one is too large.
fn summary(networks: &[Network], first: usize, found: &BTreeMap<(String, String), Found>) -> Result<ExitCode> {
    let mut equal = true;
    for engine in ["onnxruntime", "openvino"] {
        let (mut largest, mut count) = (0f64, 0);
        for (i, network) in networks.iter().enumerate() {
            match found.get(&(format!("{:03}", first + i), engine.to_string())) {
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
