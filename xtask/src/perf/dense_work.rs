//! One piece of work of a network for every pixel, timed in a process of its own: the counterpart of `benchmarks/torch/dense.py`.

use super::work::timed;
use anyhow::{Context as _, Result, bail};
use candle_core::{Device, Tensor};
use mm_baselines::FusionConfig;
use mm_bench::peak_memory_bytes;
use mm_core::data::{Batch, InputSpec, Inputs, Schema, Target, Targets};
use mm_core::dense::{DenseConfig, EsaNetConfig, UNetConfig};
use mm_core::fusion::NetworkConfig;
use mm_core::missing::MissingPattern;
use mm_core::nn::backward;
use mm_core::optim::{Optimizer, OptimizerConfig};
use mm_core::recipe::{Recipe, Setup};
use mm_core::task::PixelClasses;
use mm_core::train::Step;
use mm_core::{DeviceName, Modalities, Presence, Subset, rng};
use serde::{Deserialize, Serialize};

/// A network and what is done with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DenseWork {
    pub what: What,
    /// `unet` with its defaults, or `esanet` with ResNet-34 encoders.
    pub network: String,
    pub batch: usize,
    /// Height and width.
    pub size: [usize; 2],
    /// By sensor.
    pub channels: Vec<usize>,
    pub classes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Forward, cross entropy at all scales, backward, SGD; all sensors.
    TrainStep,
    /// The same with a random combination of sensors for each sample.
    TrainStepDropout,
    /// All sensors.
    Predict,
    /// Every combination.
    Evaluate,
}

/// Arguments of the hidden `dense-work` command.
#[derive(clap::Args)]
pub struct DenseWorkArguments {
    /// A [`DenseWork`] as JSON.
    work: String,
    /// Runs after a first one that does not count; the median is reported.
    #[arg(long)]
    repeats: usize,
    /// Where it is done, such as `cuda:0`.
    #[arg(long, default_value_t)]
    device: DeviceName,
}

/// What a process of either side reports.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Measured {
    pub seconds: f64,
    pub peak_memory_bytes: u64,
    /// Trained numbers of the network: both sides must have the same.
    pub parameters: usize,
}

/// Does the work and prints a [`Measured`] as JSON.
pub fn run(arguments: &DenseWorkArguments) -> Result<()> {
    let work: DenseWork = serde_json::from_str(&arguments.work).context("reading the work")?;
    let device = arguments.device.open()?;
    let (once, parameters) = prepare(&work, &device)?;
    let (seconds, ()) = timed(&device, once, arguments.repeats.max(1))?;
    let peak_memory_bytes = peak_memory_bytes().unwrap_or_default();
    println!("{}", serde_json::to_string(&Measured { seconds, peak_memory_bytes, parameters })?);
    Ok(())
}

type Once = Box<dyn FnMut() -> Result<()>>;

fn prepare(work: &DenseWork, device: &Device) -> Result<(Once, usize)> {
    let (schema, batch) = batch(work, device)?;
    let dense = match work.network.as_str() {
        "unet" => DenseConfig::UNet(UNetConfig::default()),
        "esanet" => DenseConfig::EsaNet(EsaNetConfig::default()),
        unknown => bail!("no network for every pixel is called {unknown}"),
    };
    let missing = if work.what == What::TrainStepDropout { MissingPattern::Uniform } else { MissingPattern::Natural };
    let network = NetworkConfig { dense: Some(dense), ..NetworkConfig::default() };
    let config = FusionConfig { network, missing, ..FusionConfig::full_only() };
    let setup = Setup::new(&schema).device(device);
    if matches!(work.what, What::TrainStep | What::TrainStepDropout) {
        let mut method = config.dense_method(&setup, None)?;
        let parameters = method.parameters();
        let count = parameters.count_trained();
        let mut optimizer = Optimizer::new(OptimizerConfig::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 })?;
        let mut step = 0;
        let once = move || {
            let at = Step { seed: 0, epoch: 1, epochs: 2, step, steps: 1000 };
            step += 1;
            Ok(optimizer.step(&parameters, &backward(&method.loss(&batch, &at)?.total()?)?, 1e-3)?)
        };
        return Ok((Box::new(once), count));
    }
    let mut model = config.dense_model(&setup)?;
    let count = model.parameters().count_trained();
    model.freeze();
    let subsets: Vec<Subset> = Subset::all_non_empty(work.channels.len()).collect();
    let all = work.what == What::Evaluate;
    let once = move || match all {
        true => Ok(model.visit_combinations(batch.inputs(), &subsets, &|_, _| Ok(())).map(drop)?),
        false => Ok(model.predict(batch.inputs()).map(drop)?),
    };
    Ok((Box::new(once), count))
}

fn batch(work: &DenseWork, device: &Device) -> Result<(Schema, Batch)> {
    let (DenseWork { batch, size: [height, width], .. }, sensors) = (work.clone(), work.channels.len());
    let names = (0..sensors).map(|m| format!("sensor{m}")).collect::<Vec<_>>();
    let inputs = work.channels.iter().map(|&channels| InputSpec::image([channels, height, width])).collect();
    let target = Target::Pixels(PixelClasses::new((0..work.classes).map(|class| format!("class {class}"))));
    let schema = Schema::new(Modalities::new(names)?, inputs, target)?;
    let maps = work.channels.iter().enumerate().map(|(m, &channels)| {
        let shape = [batch, channels, height, width];
        let values = rng::standard_normal(&mut rng::stream(0, "sensor", &[m as u64]), shape.iter().product());
        Ok(Some(Tensor::from_vec(values, shape.as_slice(), device)?))
    });
    let labels = (0..(batch * height * width) as u32).map(|i| i.wrapping_mul(2_654_435_761) % (work.classes as u32 + 1)).collect();
    let targets = Targets::new(Tensor::from_vec(labels, (batch, height, width), device)?);
    let presence = Presence::uniform(schema.modalities.full(), batch);
    let inputs = Inputs::new(&schema.modalities, maps.collect::<Result<Vec<_>>>()?, presence, (0..batch as u64).collect())?;
    Ok((schema, Batch::new(inputs, targets)?))
}
