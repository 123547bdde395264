//! A training step of an encoder of series, timed in a process of its own: the counterpart of `benchmarks/torch/series.py`.

use super::dense_work::Measured;
use super::work::timed;
use anyhow::{Context as _, Result, bail};
use candle_core::{Device, Tensor};
use mm_bench::peak_memory_bytes;
use mm_core::data::{InputKind, InputSpec, Reading};
use mm_core::encoder::{EncoderConfig, TemporalConfig, TransformerConfig};
use mm_core::loss::cross_entropy;
use mm_core::nn::{Mode, Parameters, backward, linear};
use mm_core::optim::{Optimizer, OptimizerConfig};
use mm_core::{DeviceName, rng};
use serde::{Deserialize, Serialize};

/// Classes that are told apart.
const CLASSES: usize = 7;

/// An encoder and what it reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SeriesWork {
    /// `temporal` or `transformer`, with their defaults.
    pub encoder: String,
    pub batch: usize,
    pub channels: usize,
    pub steps: usize,
    /// Whether the series of a batch differ in length: from half of the steps to all.
    pub lengths: bool,
}

/// Arguments of the hidden `series-work` command.
#[derive(clap::Args)]
pub struct SeriesWorkArguments {
    /// A [`SeriesWork`] as JSON.
    work: String,
    /// Runs after a first one that does not count; the median is reported.
    #[arg(long)]
    repeats: usize,
    /// Where it is done, such as `cuda:0`.
    #[arg(long, default_value_t)]
    device: DeviceName,
}

/// Does the work and prints a [`Measured`] as JSON: forward, cross entropy, backward, SGD.
pub fn run(arguments: &SeriesWorkArguments) -> Result<()> {
    let work: SeriesWork = serde_json::from_str(&arguments.work).context("reading the work")?;
    let config = match work.encoder.as_str() {
        "temporal" => EncoderConfig::temporal(TemporalConfig::default()),
        "transformer" => EncoderConfig::transformer(TransformerConfig::default()),
        unknown => bail!("no encoder of series is called {unknown}"),
    };
    let device = arguments.device.open()?;
    let parameters = Parameters::new(0, &device);
    let input = InputSpec::new(InputKind::Series, [work.channels, work.steps]);
    let encoder = config.build("series", &input, parameters.builder().pp("encoder"))?;
    let head = linear(encoder.feature_shape()[0], CLASSES, parameters.builder().pp("head"))?;
    let reading = reading(&work, &device)?;
    let labels: Vec<u32> = (0..work.batch as u32).map(|i| i % CLASSES as u32).collect();
    let labels = Tensor::from_vec(labels, work.batch, &device)?;
    let mut optimizer = Optimizer::new(OptimizerConfig::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 })?;
    let once = || -> Result<()> {
        let loss = cross_entropy(&head.forward(&encoder.forward(&reading, Mode::Train)?)?, &labels)?;
        Ok(optimizer.step(&parameters, &backward(&loss)?, 1e-3)?)
    };
    let (seconds, ()) = timed(&device, once, arguments.repeats.max(1))?;
    let peak_memory_bytes = peak_memory_bytes().unwrap_or_default();
    println!("{}", serde_json::to_string(&Measured { seconds, peak_memory_bytes, parameters: parameters.count_trained() })?);
    Ok(())
}

fn reading(work: &SeriesWork, device: &Device) -> Result<Reading> {
    let shape = (work.batch, work.channels, work.steps);
    let numbers = rng::standard_normal(&mut rng::stream(0, "series", &[]), work.batch * work.channels * work.steps);
    let length = |i: usize| (work.steps - i * work.steps / (2 * work.batch)) as u32;
    let lengths = || Tensor::from_vec((0..work.batch).map(length).collect::<Vec<u32>>(), work.batch, device);
    Ok(Reading { values: Tensor::from_vec(numbers, shape, device)?, lengths: work.lengths.then(lengths).transpose()? })
}
