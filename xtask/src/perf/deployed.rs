//! Prediction beside ONNX Runtime and OpenVINO: what they make of the files that we export.

use super::work::result_of;
use super::{Context, Row};
use crate::onnx::{compare, prepare};
use anyhow::{Context as _, Result};
use candle_core::{DType, Tensor};
use mm_bench::{Registry, child};
use mm_core::data::{Inputs, Reading};
use mm_core::{Presence, Subset};
use mm_testing::{Network, deployed_sizes};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Predictions that are timed, at most, and for how long: as in `benchmarks/onnx/compare.py`.
const REPEATS: usize = 300;
const WARM_UP: usize = 10;
const LONGEST: Duration = Duration::from_secs(3);

/// Arguments of `deployed-work`.
#[derive(clap::Args)]
pub struct DeployedWorkArguments {
    /// Folder of a saved model.
    model: PathBuf,
    /// Samples at a time; all sensors are there.
    #[arg(long, default_value_t = 1)]
    batch: usize,
}

#[derive(Serialize, Deserialize)]
struct Measured {
    seconds: f64,
}

/// Each network of common sizes, and how many samples at a time.
pub fn rows(context: &Context) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (network, batches) in deployed_sizes() {
        let folder = tempfile::tempdir()?;
        prepare(&network, &folder.path().join("case")).with_context(|| network.name.clone())?;
        for &batch in batches {
            rows.push(row(context, &network, batch, folder.path()).with_context(|| network.name.clone())?);
        }
    }
    Ok(rows)
}

fn row(context: &Context, network: &Network, batch: usize, folder: &Path) -> Result<Row> {
    let saved = folder.join("case").join(crate::onnx::SAVED);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..context.repeats {
        let mut command = child::short_command(context.threads)?;
        command.arg("deployed-work").arg(&saved).args(["--batch", &batch.to_string()]);
        ours.push(result_of::<Measured>(&mut command, &network.name)?.seconds);
        if let Some(pytorch) = &context.pytorch {
            theirs.extend(compare(pytorch.python(), context.threads, Some(batch), folder)?.into_values());
        }
    }
    let median = |of: &[f64]| super::median(of, |seconds| 1e3 * seconds);
    let of = |engine: &str| {
        let seconds: Vec<f64> = theirs.iter().filter(|found| found.engine == engine).filter_map(|found| found.seconds).collect();
        median(&seconds)
    };
    let others = [("ONNX Runtime", of("onnxruntime")), ("OpenVINO", of("openvino"))];
    Ok(Row::beside(format!("{}, batch {batch}", network.name), "ms", median(&ours).unwrap_or(f64::NAN), &others))
}

/// Times a saved model and prints a [`Measured`] as JSON: the lowest decile, since what else the machine does lengthens the others.
pub fn run(arguments: &DeployedWorkArguments) -> Result<()> {
    let pipeline = Registry::default().from_pretrained(&arguments.model)?;
    let (schema, model) = (pipeline.schema(), pipeline.model());
    let batch = arguments.batch.max(1);
    let readings = schema.inputs.iter().map(|input| {
        let dims: Vec<usize> = [batch].into_iter().chain(input.shape.iter().copied()).collect();
        Ok(Some(Reading::from(Tensor::ones(dims, DType::F32, model.parameters().device())?)))
    });
    let presence = Presence::uniform(Subset::full(schema.modalities.len()), batch);
    let inputs = Inputs::new(&schema.modalities, readings.collect::<Result<Vec<_>>>()?, presence, (0..batch as u64).collect())?;
    let (mut times, begun) = (Vec::new(), Instant::now());
    for turn in 0..WARM_UP + REPEATS {
        let started = Instant::now();
        model.predict(&inputs)?;
        if turn >= WARM_UP {
            times.push(started.elapsed().as_secs_f64());
        }
        if !times.is_empty() && begun.elapsed() > LONGEST {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    println!("{}", serde_json::to_string(&Measured { seconds: times[times.len() / 10] })?);
    Ok(())
}
