//! How long networks for every pixel take: `cargo run --release -p mm-core --example dense_speed [-- unet | esanet]`.
//!
//! Training is forward, loss and backward of complete samples; prediction is of one combination with all sensors, and of all of them.

use candle_core::{DType, Device, Tensor};
use mm_core::data::{InputKind, InputSpec, Inputs, Schema, Target};
use mm_core::dense::{DenseConfig, DenseModel, EsaNetConfig, UNetConfig};
use mm_core::loss::segmentation_cross_entropy_at_scales;
use mm_core::nn::{Mode, Parameters};
use mm_core::{Modalities, Model, Presence, Subset};
use std::error::Error;
use std::time::Instant;

const ROUNDS: usize = 5;
const CLASSES: usize = 10;

/// The best of some rounds, in milliseconds: others use this machine, too.
fn best(mut f: impl FnMut() -> mm_core::Result<()>) -> mm_core::Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        f()?;
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(best)
}

fn measure(name: &str, config: &DenseConfig, channels: &[(&str, usize)], batch: usize, size: [usize; 2]) -> mm_core::Result<()> {
    let modalities = Modalities::new(channels.iter().map(|(name, _)| *name))?;
    let shape = |channels: usize| [channels, size[0], size[1]];
    let specs = channels.iter().map(|&(_, channels)| InputSpec::new(InputKind::Image, shape(channels))).collect();
    let schema = Schema::new(modalities.clone(), specs, Target::of_classes((0..CLASSES).map(|class| class.to_string())))?;
    let mut model = DenseModel::new(config, &schema, CLASSES, Parameters::new(0, &Device::Cpu))?;
    let reading =
        |&(_, channels): &(&str, usize)| Tensor::randn(0f32, 1.0, [[batch].as_slice(), &shape(channels)].concat(), &Device::Cpu).map(Some);
    let readings = channels.iter().map(reading).collect::<candle_core::Result<Vec<_>>>()?;
    let presence = Presence::uniform(modalities.full(), batch);
    let inputs = Inputs::new(&modalities, readings, presence.clone(), (0..batch as u64).collect())?;
    let labels = Tensor::ones((batch, size[0], size[1]), DType::U32, &Device::Cpu)?;
    let weight = Tensor::ones(CLASSES, DType::F32, &Device::Cpu)?;

    let training = best(|| {
        let output = model.network().forward(&inputs, &presence, Mode::Train)?;
        segmentation_cross_entropy_at_scales(&output.prediction, &output.side, &labels, &weight)?.backward()?;
        Ok(())
    })?;
    model.freeze();
    let prediction = best(|| model.predict(&inputs).map(drop))?;
    let subsets: Vec<Subset> = Subset::all_non_empty(channels.len()).collect();
    let all = best(|| model.visit_combinations(&inputs, &subsets, &|_, _| Ok(())).map(drop))?;
    let count = model.parameters().count_trained();
    println!("{name}, {count} parameters, batch {batch} of {size:?}: training {training:.0} ms, prediction {prediction:.0} ms");
    println!("  all {} combinations {all:.0} ms", subsets.len());
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = asked.iter().find(|name| !["unet", "esanet"].contains(&name.as_str())) {
        return Err(format!("`{unknown}` is no network: unet, esanet").into());
    }
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    if is_asked("unet") {
        let sensors = [("rgb", 3), ("depth", 1), ("thermal", 1)];
        measure("unet", &DenseConfig::UNet(UNetConfig::default()), &sensors, 8, [128, 128])?;
    }
    if is_asked("esanet") {
        measure("esanet", &DenseConfig::EsaNet(EsaNetConfig::default()), &[("rgb", 3), ("depth", 1)], 2, [240, 320])?;
    }
    Ok(())
}
