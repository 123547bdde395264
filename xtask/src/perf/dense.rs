//! Networks for every pixel beside PyTorch: training steps, prediction, all combinations, memory.

use super::dense_work::{DenseWork, Measured, What};
use super::work::result_of;
use super::{Context, Row};
use anyhow::{Result, ensure};
use mm_bench::child;
use mm_core::DeviceName;

/// Runs within a process; its median is one sample of the table's median.
const REPEATS: usize = 5;

/// Both networks: the plain one on three sensors, the published one on colour and depth.
pub fn rows(context: &Context) -> Result<Vec<Row>> {
    let unet = ("unet", "U-Net, 3 sensors, batch 8, 128x128", 8, [128, 128], vec![3, 2, 1]);
    let esanet = ("esanet", "ResNet-34 NonBottleneck1D, colour and depth, batch 2, 240x320", 2, [240, 320], vec![3, 1]);
    let mut rows = Vec::new();
    for (network, name, batch, size, channels) in [unet, esanet] {
        let combinations = (1 << channels.len()) - 1;
        let kinds = [
            (What::TrainStep, "train_step", "training step, all sensors".to_string()),
            (What::TrainStepDropout, "train_step", "training step, random combinations".to_string()),
            (What::Predict, "predict", "prediction, all sensors".to_string()),
            (What::Evaluate, "evaluate", format!("all {combinations} combinations")),
        ];
        for (what, command, words) in kinds {
            let work = DenseWork { what, network: network.into(), batch, size, channels: channels.clone(), classes: 12 };
            let timings = context.alternate(
                || ours(&work, context),
                |pytorch| {
                    let mut arguments = vec![command.to_string(), context.threads.to_string(), REPEATS.to_string()];
                    arguments.extend(["--network", network, "--batch", &batch.to_string(), "--size"].map(str::to_string));
                    arguments.extend(size.map(|side| side.to_string()));
                    arguments.push("--channels".into());
                    arguments.extend(channels.iter().map(ToString::to_string));
                    arguments.extend(["--classes", "12"].map(str::to_string));
                    arguments.extend((what == What::TrainStepDropout).then(|| "--dropout".to_string()));
                    arguments.extend(["--device".to_string(), context.device.to_string()]);
                    pytorch.run_last("dense.py", &arguments)
                },
            )?;
            let parameters: Vec<usize> = timings.0.iter().chain(&timings.1).map(|t: &Measured| t.parameters).collect();
            ensure!(parameters.iter().all(|count| *count == parameters[0]), "the networks differ: {parameters:?} parameters");
            rows.push(Row::of_medians(format!("{name}: {words}"), "ms", &timings, |t| 1e3 * t.seconds));
            // What a GPU holds is not in this number.
            if context.device == DeviceName::Cpu {
                rows.push(Row::of_medians(format!("{name}: {words}: peak memory"), "MB", &timings, |t| t.peak_memory_bytes as f64 / 1e6));
            }
        }
    }
    Ok(rows)
}

fn ours(work: &DenseWork, context: &Context) -> Result<Measured> {
    let arguments =
        ["dense-work", &serde_json::to_string(work)?, "--repeats", &REPEATS.to_string(), "--device", &context.device.to_string()];
    // As `mm predict` and `mm evaluate`, and as the cells of a bench.
    let predicts = matches!(work.what, What::Predict | What::Evaluate);
    let mut command = if predicts { child::short_command(context.threads)? } else { child::command(context.threads)? };
    result_of(command.args(arguments), &format!("{work:?}"))
}
