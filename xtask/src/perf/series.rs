//! Encoders of series beside PyTorch: a training step and its memory.

use super::dense_work::Measured;
use super::series_work::SeriesWork;
use super::work::result_of;
use super::{Context, Row};
use anyhow::{Result, ensure};
use mm_bench::child;
use mm_core::DeviceName;

/// Runs within a process; its median is one sample of the table's median.
const REPEATS: usize = 20;

/// The windows of the built-in watch, and longer recordings with and without lengths.
pub fn rows(context: &Context) -> Result<Vec<Row>> {
    let watch = SeriesWork { encoder: "temporal".into(), batch: 64, channels: 3, steps: 100, lengths: false };
    let long = SeriesWork { channels: 6, steps: 1000, ..watch.clone() };
    let lengths = SeriesWork { lengths: true, ..long.clone() };
    let transformer = SeriesWork { encoder: "transformer".into(), ..watch.clone() };
    let mut rows = Vec::new();
    for work in [watch, long, lengths, transformer] {
        let timings = context.alternate(
            || ours(&work, context),
            |pytorch| {
                let mut arguments = vec![work.encoder.clone(), context.threads.to_string(), REPEATS.to_string()];
                for (name, value) in [("--batch", work.batch), ("--channels", work.channels), ("--steps", work.steps)] {
                    arguments.extend([name.to_string(), value.to_string()]);
                }
                arguments.extend(work.lengths.then(|| "--lengths".to_string()));
                arguments.extend(["--device".to_string(), context.device.to_string()]);
                pytorch.run_last("series.py", &arguments)
            },
        )?;
        let parameters: Vec<usize> = timings.0.iter().chain(&timings.1).map(|t: &Measured| t.parameters).collect();
        ensure!(parameters.iter().all(|count| *count == parameters[0]), "the networks differ: {parameters:?} parameters");
        let lengths = if work.lengths { ", of different lengths" } else { "" };
        let name = format!("{}, training step, batch {}, {}x{}{lengths}", work.encoder, work.batch, work.channels, work.steps);
        rows.push(Row::of_medians(name.clone(), "ms", &timings, |t| 1e3 * t.seconds));
        // What a GPU holds is not in this number.
        if context.device == DeviceName::Cpu {
            rows.push(Row::of_medians(format!("{name}: peak memory"), "MB", &timings, |t| t.peak_memory_bytes as f64 / 1e6));
        }
    }
    Ok(rows)
}

fn ours(work: &SeriesWork, context: &Context) -> Result<Measured> {
    let arguments =
        ["series-work", &serde_json::to_string(work)?, "--repeats", &REPEATS.to_string(), "--device", &context.device.to_string()];
    result_of(child::command(context.threads)?.args(arguments), &format!("{work:?}"))
}
