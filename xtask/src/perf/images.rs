//! Image networks beside PyTorch: convolutions, prediction, training steps, all combinations, cold start, memory.

use super::image_work::{LAYERS, Measured, Work};
use super::pytorch::PyTorch;
use super::work::result_of;
use super::{Context, Row};
use anyhow::Result;
use mm_bench::child;
use mm_core::DeviceName;
use mm_core::encoder::{ResNet, ResNetConfig};
use mm_core::nn::Parameters;
use std::path::Path;
use std::time::Instant;

/// Runs within a process; its median is one sample of the table's median.
const REPEATS: usize = 5;

/// Each convolution of ResNet-18 at batch 8, forward and backward.
pub fn convolutions(context: &Context) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (layer, ..) in LAYERS {
        for (backward, direction) in [(false, "forward"), (true, "backward")] {
            let work = Work::Conv { layer: layer.into(), backward, batch: 8 };
            let options = ["--layer", layer, "--direction", direction, "--batch", "8"];
            let timings = measure(context, &work, "conv", &options)?;
            rows.push(Row::of_medians(format!("convolution {layer}, batch 8, {direction}"), "ms", &timings, |t| 1e3 * t.seconds));
        }
    }
    Ok(rows)
}

/// Everything else on images.
pub fn rows(context: &Context) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut add = |what: &str, timings: (Vec<Measured>, Vec<Measured>)| {
        rows.push(Row::of_medians(what, "ms", &timings, |t| 1e3 * t.seconds));
        // What a GPU holds is not in these numbers.
        if context.device != DeviceName::Cpu {
            return;
        }
        rows.push(Row::of_medians(format!("{what}: peak memory"), "MB", &timings, |t| t.peak_memory_bytes as f64 / 1e6));
        if timings.0.iter().any(|t| t.activation_bytes.is_some()) {
            let kept = |t: &Measured| t.activation_bytes.map_or(f64::NAN, |bytes| bytes as f64 / 1e6);
            rows.push(Row::of_medians(format!("{what}: kept for the backward pass"), "MB", &timings, kept));
        }
    };
    for batch in [1, 8] {
        let timings = measure(context, &Work::Resnet18 { batch }, "resnet18", &["--batch", &batch.to_string()])?;
        add(&format!("ResNet-18, prediction, batch {batch}, 224x224"), timings);
    }
    for (method, name) in [("mmanet", "MMANet"), ("dmrnet", "DMRNet")] {
        for (encode_dropped, how) in [(true, ""), (false, " (ours does not encode what a sample dropped, as by default)")] {
            let work = Work::TrainStep { method: method.into(), batch: 16, size: 112, sensors: 3, encode_dropped };
            let what = format!("{name}, training step, 3 cameras, batch 16, 112x112{how}");
            add(&what, measure(context, &work, "train_step", &["--method", method])?);
        }
    }
    let all = Work::Evaluate { batch: 16, size: 112, sensors: 3 };
    for (way, how) in [("reference", "a forward pass each"), ("shared", "encoders once, as ours")] {
        let what = format!("MMANet, all 7 combinations, batch 16, 112x112 (PyTorch: {how})");
        add(&what, measure(context, &all, "evaluate", &["--way", way])?);
    }
    let single = Work::Single { size: 112, sensors: 3 };
    add("MMANet, one sample, 1 of 3 cameras alive (PyTorch: zeros for the others)", measure(context, &single, "single", &[])?);
    if context.device == DeviceName::Cpu {
        add("ResNet-18, cold start: process, weights, one prediction", cold_start(context)?);
    }
    Ok(rows)
}

/// Ours and the script's, in turn, each in a process of its own.
fn measure(context: &Context, work: &Work, command: &str, options: &[&str]) -> Result<(Vec<Measured>, Vec<Measured>)> {
    context.alternate(|| ours(work, context.threads, context.device), |pytorch| theirs(pytorch, command, context, options))
}

/// Our side, in a process of its own.
pub fn ours(work: &Work, threads: usize, device: DeviceName) -> Result<Measured> {
    let arguments = ["image-work", &serde_json::to_string(work)?, "--repeats", &REPEATS.to_string(), "--device", &device.to_string()];
    result_of(child::short_command(threads)?.args(arguments), &format!("{work:?}"))
}

fn theirs(pytorch: &PyTorch, command: &str, context: &Context, options: &[&str]) -> Result<Measured> {
    let mut arguments =
        vec![command.to_string(), context.threads.to_string(), REPEATS.to_string(), "--device".into(), context.device.to_string()];
    arguments.extend(options.iter().map(ToString::to_string));
    pytorch.run_last("images.py", &arguments)
}

/// From the start of a process to a prediction, with weights in a safetensors file.
fn cold_start(context: &Context) -> Result<(Vec<Measured>, Vec<Measured>)> {
    let folder = tempfile::tempdir()?;
    let weights = folder.path().join("resnet18.safetensors");
    let parameters = Parameters::new(0, &candle_core::Device::Cpu);
    ResNet::new(&ResNetConfig::default(), 3, 1000, parameters.builder())?;
    parameters.save(&weights, |_| true)?;
    let started = |weights: &Path| {
        let started = Instant::now();
        let measured = ours(&Work::PredictOnce { weights: weights.to_path_buf() }, context.threads, context.device)?;
        Ok(Measured { seconds: started.elapsed().as_secs_f64(), ..measured })
    };
    context.alternate(|| started(&weights), |pytorch| theirs(pytorch, "cold_start", context, &[]))
}
