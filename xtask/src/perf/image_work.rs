//! One piece of work on images, timed in a process of its own: the counterpart of `benchmarks/torch/images.py`.

use super::work::timed;
use crate::memory::allocated_bytes;
use anyhow::{Context as _, Result, bail};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor, Var};
use dmrnet::{Dmrnet, DmrnetConfig};
use mm_baselines::{Fusion, FusionConfig};
use mm_bench::peak_memory_bytes;
use mm_core::data::{Batch, InputKind, InputSpec, Inputs, Schema, Target, Targets};
use mm_core::encoder::{ResNet, ResNetConfig};
use mm_core::fusion::{FusionNetwork, NetworkConfig};
use mm_core::nn::{Conv2d, Conv2dConfig, Mode, Parameters, backward};
use mm_core::optim::{Optimizer, OptimizerConfig};
use mm_core::recipe::{Recipe, Setup};
use mm_core::rng;
use mm_core::train::{Method, Step};
use mm_core::weights::{NameMap, from_pretrained};
use mm_core::{DeviceName, Modalities, Model, Presence, Subset};
use mmanet::{Mmanet, MmanetConfig};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A convolution of ResNet-18 at 224: name in both programs, channels in and out, input height, kernel, stride.
pub const LAYERS: [(&str, usize, usize, usize, usize, usize); 11] = [
    ("stem", 3, 64, 224, 7, 2),
    ("64@56", 64, 64, 56, 3, 1),
    ("128@28", 128, 128, 28, 3, 1),
    ("256@14", 256, 256, 14, 3, 1),
    ("512@7", 512, 512, 7, 3, 1),
    ("64-128/2", 64, 128, 56, 3, 2),
    ("128-256/2", 128, 256, 28, 3, 2),
    ("256-512/2", 256, 512, 14, 3, 2),
    ("64-128/2-1x1", 64, 128, 56, 1, 2),
    ("128-256/2-1x1", 128, 256, 28, 1, 2),
    ("256-512/2-1x1", 256, 512, 14, 1, 2),
];

/// What is timed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// One of [`LAYERS`], forward, or backward to weight and input (of the stem, to the weight alone).
    Conv { layer: String, backward: bool, batch: usize },
    /// Prediction of ResNet-18 at 224, with weights that are frozen, as those of a loaded model are; so are those below.
    Resnet18 { batch: usize },
    /// A training step of `mmanet`, `dmrnet` or `dropout` (the network alone) on images of so many cameras; `encode_dropped`: what a sample dropped is
    /// encoded and multiplied by 0, as published.
    TrainStep { method: String, batch: usize, size: usize, sensors: usize, encode_dropped: bool },
    /// All combinations of MMANet's network.
    Evaluate { batch: usize, size: usize, sensors: usize },
    /// One sample with one sensor alive.
    Single { size: usize, sensors: usize },
    /// Prediction of ResNet-18 for one image with weights from a file, once: the rest of a cold start is starting the process.
    PredictOnce { weights: PathBuf },
}

/// Arguments of the hidden `image-work` command.
#[derive(clap::Args)]
pub struct ImageWorkArguments {
    /// A [`Work`] as JSON.
    work: String,
    /// Runs after a first one that does not count; the median is reported.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Where it is done, such as `cuda:0`.
    #[arg(long, default_value_t)]
    device: DeviceName,
}

/// What a process of either side reports.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Measured {
    /// Of one run.
    pub seconds: f64,
    /// Of the process.
    pub peak_memory_bytes: u64,
    /// What a training step keeps between its forward and its backward pass.
    #[serde(default)]
    pub activation_bytes: Option<u64>,
}

/// Does the work and prints a [`Measured`] as JSON.
pub fn run(arguments: &ImageWorkArguments) -> Result<()> {
    let work: Work = serde_json::from_str(&arguments.work).context("reading the work")?;
    let device = arguments.device.open()?;
    let repeats = if matches!(work, Work::PredictOnce { .. }) { 0 } else { arguments.repeats.max(1) };
    let (seconds, activation_bytes) = timed(&device, prepare(&work, &device)?, repeats)?;
    let peak_memory_bytes = peak_memory_bytes().unwrap_or_default();
    println!("{}", serde_json::to_string(&Measured { seconds, peak_memory_bytes, activation_bytes })?);
    Ok(())
}

/// Does the work once; of a training step, how many bytes it kept for its backward pass.
type Once = Box<dyn FnMut() -> Result<Option<u64>>>;

fn nothing_kept<T, E: Into<anyhow::Error>>(result: Result<T, E>) -> Result<Option<u64>> {
    result.map_err(Into::into)?;
    Ok(None)
}

fn prepare(work: &Work, device: &Device) -> Result<Once> {
    match work {
        Work::Conv { layer, backward, batch } => conv(layer, *backward, *batch, device),
        Work::Resnet18 { batch } => {
            let network = ResNet::new(&ResNetConfig::default(), 3, 1000, Parameters::new(0, device).builder())?;
            let image = normal("image", &[*batch, 3, 224, 224], device)?;
            Ok(Box::new(move || nothing_kept(network.forward(&image, Mode::Frozen))))
        }
        Work::TrainStep { method, batch, size, sensors, encode_dropped } => {
            train_step(method, *batch, *size, *sensors, *encode_dropped, device)
        }
        Work::Evaluate { batch, size, sensors } => {
            let (schema, batch) = cameras(*batch, *size, *sensors, device)?;
            let mut model = MmanetConfig::face_anti_spoofing().model(&Setup::new(&schema).device(device))?;
            model.freeze();
            let subsets: Vec<Subset> = Subset::all_non_empty(*sensors).collect();
            Ok(Box::new(move || nothing_kept(model.visit_combinations(batch.inputs(), &subsets, &|_, _| Ok(())))))
        }
        Work::Single { size, sensors } => {
            let (schema, batch) = cameras(1, *size, *sensors, device)?;
            let mut model = MmanetConfig::face_anti_spoofing().model(&Setup::new(&schema).device(device))?;
            model.freeze();
            let inputs = batch.inputs().with_presence(Presence::uniform(Subset::single(0), 1))?;
            Ok(Box::new(move || nothing_kept(model.predict(&inputs))))
        }
        Work::PredictOnce { weights } => {
            let parameters = Parameters::for_loading(device);
            let network = ResNet::new(&ResNetConfig::default(), 3, 1000, parameters.builder())?;
            from_pretrained(&parameters, weights, &NameMap::new())?.complete(weights)?;
            let image = Tensor::zeros((1, 3, 224, 224), DType::F32, device)?;
            Ok(Box::new(move || nothing_kept(network.forward(&image, Mode::Eval))))
        }
    }
}

fn conv(name: &str, backward: bool, batch: usize, device: &Device) -> Result<Once> {
    let layer = LAYERS.iter().find(|layer| layer.0 == name).with_context(|| format!("no layer is called {name}"))?;
    let &(_, inputs, outputs, size, kernel, stride) = layer;
    let weight = Var::from_tensor(&normal("weight", &[outputs, inputs, kernel, kernel], device)?)?;
    let layer = Conv2d::new(weight.as_tensor().clone(), None, Conv2dConfig::square(stride, kernel / 2));
    let input = normal("input", &[batch, inputs, size, size], device)?;
    if !backward {
        let layer = Conv2d::new(weight.as_tensor().detach(), None, Conv2dConfig::square(stride, kernel / 2));
        return Ok(Box::new(move || nothing_kept(layer.forward(&input))));
    }
    let input = if name == "stem" { input } else { Var::from_tensor(&input)?.as_tensor().clone() };
    let output = layer.forward(&input)?;
    let loss = output.apply_op1(GivenGradient(normal("gradient", output.dims(), device)?))?;
    Ok(Box::new(move || nothing_kept(mm_core::nn::backward(&loss))))
}

/// A loss of 0 whose gradient is given: what `output.backward(gradient)` is in PyTorch.
struct GivenGradient(Tensor);

impl CustomOp1 for GivenGradient {
    fn name(&self) -> &'static str {
        "given-gradient"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}

/// Random masks, forward, loss, backward and SGD, as the scripts have them: a frozen teacher that runs in every step, weak or
/// hard combinations by hand.
fn train_step(method: &str, batch: usize, size: usize, sensors: usize, encode_dropped: bool, device: &Device) -> Result<Once> {
    let network = NetworkConfig { encode_dropped, ..NetworkConfig::shared_resnet18() };
    let (schema, batch) = cameras(batch, size, sensors, device)?;
    let by_hand: Vec<String> = Subset::all_non_empty(sensors.min(2)).map(|s| schema.modalities.format(s)).collect();
    let mut model: Box<dyn Method> = match method {
        "dropout" => {
            let config = FusionConfig { network, ..FusionConfig::modality_dropout() };
            Box::new(Fusion::new(config, &Setup::new(&schema).device(device).seed(0))?)
        }
        "mmanet" => {
            let config = MmanetConfig {
                network,
                weak_combinations: Some(by_hand),
                begin_epoch: 0,
                cache_teacher: false,
                weighting: mmanet::Weighting::Sample,
                ..MmanetConfig::face_anti_spoofing()
            };
            let teacher = FusionNetwork::new(&config.network, &schema, Parameters::new(1, device).builder())?;
            Box::new(Mmanet::new(config, &Setup::new(&schema).device(device), teacher)?)
        }
        "dmrnet" => {
            let hard_combinations = Some(by_hand);
            let config = DmrnetConfig { network, hard_combinations, warm_up_epochs: 0, ..DmrnetConfig::face_anti_spoofing() };
            Box::new(Dmrnet::new(config, &Setup::new(&schema).device(device))?)
        }
        unknown => bail!("no image network of {unknown}"),
    };
    let sgd = OptimizerConfig::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 };
    let mut optimizer = Optimizer::new(sgd)?;
    let parameters = model.parameters();
    let mut step = 0;
    Ok(Box::new(move || {
        let at = Step { seed: 0, epoch: 1, epochs: 2, step, steps: 1000 };
        step += 1;
        let before = allocated_bytes();
        let loss = model.loss(&batch, &at)?.total()?;
        let kept = allocated_bytes().saturating_sub(before);
        optimizer.step(&parameters, &backward(&loss)?, 1e-3)?;
        Ok(Some(kept))
    }))
}

/// A batch of two classes seen by so many cameras, each three channels.
fn cameras(batch: usize, size: usize, sensors: usize, device: &Device) -> Result<(Schema, Batch)> {
    let known = ["rgb", "depth", "ir"];
    let names: Vec<String> = (0..sensors).map(|m| known.get(m).map_or_else(|| format!("sensor{m}"), ToString::to_string)).collect();
    let inputs = vec![InputSpec::new(InputKind::Image, [3, size, size]); sensors];
    let schema = Schema::new(Modalities::new(names)?, inputs, Target::of_classes(["attack", "live"]))?;
    let images = (0..sensors).map(|m| Ok(Some(normal(&format!("camera {m}"), &[batch, 3, size, size], device)?)));
    let labels = Tensor::from_vec((0..batch as u32).map(|i| i % 2).collect(), batch, device)?;
    let presence = Presence::uniform(schema.modalities.full(), batch);
    let inputs = Inputs::new(&schema.modalities, images.collect::<Result<Vec<_>>>()?, presence, (0..batch as u64).collect())?;
    let batch = Batch::new(inputs, Targets::new(labels))?;
    Ok((schema, batch))
}

fn normal(purpose: &str, shape: &[usize], device: &Device) -> Result<Tensor> {
    let values = rng::standard_normal(&mut rng::stream(0, purpose, &[]), shape.iter().product());
    Ok(Tensor::from_vec(values, shape, device)?)
}
