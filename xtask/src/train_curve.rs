//! `cargo xtask train-curve`: MMANet's image network trained by us and by PyTorch from the same weights on the same images.

use crate::perf::PyTorch;
use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use mm_core::data::{Batch, InputKind, InputSpec, Inputs, Schema, Target, Targets};
use mm_core::fusion::FusionNetwork;
use mm_core::loss::{cross_entropy, entropy_per_sample};
use mm_core::nn::{Mode, Parameters, backward};
use mm_core::optim::{Optimizer, OptimizerConfig};
use mm_core::recipe::Setup;
use mm_core::teacher::Teacher;
use mm_core::train::Method;
use mm_core::weights::{NameMap, save, write_atomically};
use mm_core::{Modalities, Presence, Subset};
use mm_testing::fill_hash;
use mmanet::{Mmanet, MmanetConfig, Weighting, margin_aware_distillation};
use plotters::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `train-curve`.
#[derive(clap::Args)]
pub struct TrainCurveArguments {
    /// A Python that has PyTorch, torchvision and safetensors; without it, an environment made below `target/`.
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// Training steps.
    #[arg(long, default_value_t = 200)]
    steps: usize,
    /// Samples of a step.
    #[arg(long, default_value_t = 8)]
    batch: usize,
    /// Height and width of the images.
    #[arg(long, default_value_t = 112)]
    size: usize,
    /// Both curves as a picture.
    #[arg(long, default_value = "target/train-curve.svg")]
    out: PathBuf,
}

/// What the PyTorch script prints.
#[derive(Deserialize)]
struct Curve {
    losses: Vec<f64>,
}

/// Trains both, prints how far their losses are apart, draws them.
pub fn run(arguments: &TrainCurveArguments) -> Result<ExitCode> {
    let pytorch = PyTorch::find(arguments.python.as_deref(), true)?.context("a Python with PyTorch")?;
    let folder = tempfile::tempdir()?;
    let (student_file, teacher_file) = (folder.path().join("student.safetensors"), folder.path().join("teacher.safetensors"));
    let inputs = vec![InputSpec::new(InputKind::Image, [3, arguments.size, arguments.size]); 3];
    let schema = Schema::new(Modalities::new(["rgb", "depth", "ir"])?, inputs, Target::of_classes(["attack", "live"]))?;
    let names = mmanet::published_names(&schema.modalities);
    let config = MmanetConfig::face_anti_spoofing();
    let teacher_parameters = Parameters::new(1, &Device::Cpu);
    let teacher = FusionNetwork::new(&config.network, &schema, teacher_parameters.builder())?;
    let model =
        Mmanet::new(config.clone(), &Setup::new(&schema), FusionNetwork::new(&config.network, &schema, teacher_parameters.builder())?)?;
    export(&model.parameters(), &names, &student_file)?;
    export(&teacher_parameters, &names, &teacher_file)?;
    let ours = train(&model, &teacher, arguments)?;
    let options = [("--steps", arguments.steps), ("--batch", arguments.batch), ("--size", arguments.size)];
    let mut command = vec![student_file.to_string_lossy().into_owned(), teacher_file.to_string_lossy().into_owned()];
    command.extend(options.into_iter().flat_map(|(name, value)| [name.to_string(), value.to_string()]));
    let theirs: Curve = pytorch.run_last("train_curve.py", &command)?;
    ensure!(theirs.losses.len() == ours.len(), "{} losses of ours, {} of PyTorch's", ours.len(), theirs.losses.len());
    let differences = ours.iter().zip(&theirs.losses).map(|(a, b)| (a - b).abs() / b.abs().max(1e-3));
    let differences: Vec<f64> = differences.collect();
    for steps in [1, 10, 50, arguments.steps].into_iter().filter(|&n| n <= differences.len()) {
        let largest = differences[..steps].iter().fold(0.0f64, |m, d| m.max(*d));
        println!("largest relative difference of the loss in {steps} steps: {largest:.1e}");
    }
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len().max(1) as f64;
    let last = ours.len().saturating_sub(20);
    println!(
        "mean loss of the first 20 steps: {:.4} (PyTorch {:.4})",
        mean(&ours[..20.min(ours.len())]),
        mean(&theirs.losses[..20.min(ours.len())])
    );
    println!("mean loss of the last 20 steps:  {:.4} (PyTorch {:.4})", mean(&ours[last..]), mean(&theirs.losses[last..]));
    draw(&ours, &theirs.losses, &arguments.out)?;
    println!("curves: {}", arguments.out.display());
    Ok(ExitCode::SUCCESS)
}

/// All parameters under their published names.
fn export(parameters: &Parameters, names: &NameMap, path: &Path) -> Result<()> {
    let mut tensors = BTreeMap::new();
    for (name, tensor) in parameters.snapshot()? {
        let published = names.published(&name).with_context(|| format!("`{name}` has no published name"))?;
        tensors.insert(published, tensor);
    }
    Ok(save(path, &tensors, None)?)
}

/// The loss of each step; `benchmarks/torch/train_curve.py` says what a step is.
fn train(model: &Mmanet, teacher: &FusionNetwork, arguments: &TrainCurveArguments) -> Result<Vec<f64>> {
    let mut optimizer = Optimizer::new(OptimizerConfig::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 })?;
    let parameters = model.parameters();
    let mut losses = Vec::with_capacity(arguments.steps);
    for step in 0..arguments.steps {
        let (batch, mask) = step_data(step, arguments)?;
        let features = model.network().encode(batch.inputs(), &mask, Mode::Train)?;
        let fused = model.network().fuse(&features, Mode::Train)?;
        let branch = model.regularization_logits(&features, Mode::Train)?.context("the model has a regularization branch")?;
        let taught = teacher.teach(batch.inputs())?;
        let mad =
            margin_aware_distillation(fused.feature()?, taught.feature()?, &entropy_per_sample(&taught.prediction)?, Weighting::Sample)?;
        let task =
            (cross_entropy(&fused.prediction, batch.targets().values())? + (cross_entropy(&branch, batch.targets().values())? * 0.5)?)?;
        let loss = (task + (mad * 30.0)?)?;
        optimizer.step(&parameters, &backward(&loss)?, 1e-3)?;
        losses.push(f64::from(loss.to_scalar::<f32>()?));
    }
    Ok(losses)
}

/// Images, labels and masks of a step, bit for bit those of the script.
fn step_data(step: usize, arguments: &TrainCurveArguments) -> Result<(Batch, Presence)> {
    let TrainCurveArguments { batch, size, .. } = *arguments;
    let at = |b: usize| (step * batch + b) as u64;
    let labels: Vec<u32> = (0..batch).map(|b| (fill_hash(71, at(b)) >> 63) as u32).collect();
    let masks = (0..batch).map(|b| Subset::from_bits((1 + (fill_hash(72, at(b)) >> 40) % 7) as u16));
    let masks = Presence::new(masks.collect::<mm_core::Result<_>>()?);
    let mut images = Vec::new();
    for m in 0..3 {
        let mut pixels = Vec::with_capacity(batch * 3 * size * size);
        for (b, label) in labels.iter().enumerate() {
            for (c, r, q) in (0..3).flat_map(|c| (0..size).flat_map(move |r| (0..size).map(move |q| (c, r, q)))) {
                let i = (((b * 3 + c) * size + r) * size + q) as u64;
                let noise = (fill_hash(100 + 3 * step as u64 + m as u64, i) >> 40) as f32 / 8_388_608.0 - 1.0;
                let even = (q / 8 + m + if *label == 1 { r / 8 } else { 0 }).is_multiple_of(2);
                pixels.push(0.5 * noise + if even { 0.25 } else { -0.25 });
            }
        }
        images.push(Some(Tensor::from_vec(pixels, (batch, 3, size, size), &Device::Cpu)?));
    }
    let labels = Tensor::from_vec(labels, batch, &Device::Cpu)?;
    let complete = Presence::uniform(Subset::full(3), batch);
    let modalities = Modalities::new(["rgb", "depth", "ir"])?;
    let inputs = Inputs::new(&modalities, images, complete, (0..batch).map(at).collect())?;
    Ok((Batch::new(inputs, Targets::new(labels))?, masks))
}

/// Both curves over the steps.
fn draw(ours: &[f64], theirs: &[f64], path: &Path) -> Result<()> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (720, 360)).into_drawing_area();
        area.fill(&WHITE)?;
        let top = ours.iter().chain(theirs).fold(0.0f64, |m, v| m.max(*v)) * 1.05;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(44)
            .build_cartesian_2d(0.0..ours.len() as f64, 0.0..top)?;
        chart.configure_mesh().x_desc("step").y_desc("loss").light_line_style(WHITE).draw()?;
        let line = |losses: &[f64]| losses.iter().enumerate().map(|(i, l)| (i as f64, *l)).collect::<Vec<_>>();
        let (wide, thin) = (RGBColor(230, 159, 0).stroke_width(4), RGBColor(0, 90, 160).stroke_width(1));
        chart
            .draw_series(LineSeries::new(line(theirs), wide))?
            .label("PyTorch")
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], wide));
        chart
            .draw_series(LineSeries::new(line(ours), thin))?
            .label("ours")
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], thin));
        chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
        area.present()?;
    }
    Ok(write_atomically(path, svg.as_bytes())?)
}
