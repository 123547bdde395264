//! Images of three sensors: from tensors to a trained, saved and loaded network that predicts with one sensor alive.
//!
//! `cargo run --release -p mmanet --example three_sensors`

use candle_core::{Device, Tensor};
use mm_baselines::{Fusion, FusionConfig};
use mm_core::data::{AugmentConfig, InputSpec, Schema, Source, Standardizer, TableDataset, Target};
use mm_core::encoder::{EncoderConfig, ResNetConfig, Stem};
use mm_core::fusion::{NetworkConfig, TrunkConfig};
use mm_core::recipe::{Recipe, Setup};
use mm_core::train::{Method, TrainConfig, Trainer};
use mm_core::{Modalities, Model, Presence, Result, Subset, rng};
use mmanet::{Mmanet, MmanetConfig};
use rand::RngExt;

const SAMPLES: usize = 400;
const CLASSES: [&str; 4] = ["disc", "ring", "bar", "cross"];

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let device = Device::Cpu;
    let inputs = [[3, 16, 16], [1, 8, 8], [1, 8, 8]].map(InputSpec::image).to_vec();
    let schema =
        Schema::new(Modalities::new(["rgb", "depth", "thermal"])?, inputs, Target::of_classes(CLASSES.map(String::from).to_vec()))?;
    let mut data = scenes(&schema)?;
    let rows: Vec<usize> = (0..SAMPLES).collect();
    let (train, held_out, test) = (&rows[..260], &rows[260..320], &rows[320..]);
    Standardizer::fit(&data, train)?.apply(&mut data)?;

    // The same small residual network for each sensor.
    let encoder = EncoderConfig::resnet(ResNetConfig { stem: Stem::Small, stages: 2, width: 8, ..ResNetConfig::default() });
    let network = NetworkConfig { encoder: Some(encoder), trunk: TrunkConfig::Mlp { widths: vec![64, 32] }, ..NetworkConfig::default() };
    let augment = AugmentConfig { flip: 0.5, rotation: 10.0, crop_area: [0.8, 1.0], ..AugmentConfig::default() };
    let trainer = Trainer::new(TrainConfig { epochs: 12, batch_size: 32, augment, ..TrainConfig::default() });

    let mut teacher = Fusion::new(FusionConfig { network: network.clone(), ..FusionConfig::full_only() }, &Setup::new(&schema).seed(0))?;
    trainer.run(&mut teacher, &data, train, held_out)?;
    let settings = MmanetConfig { network, ..MmanetConfig::default() };
    let mut model = Mmanet::new(settings.clone(), &Setup::new(&schema), teacher.into_deployed())?;
    trainer.run(&mut model, &data, train, held_out)?;

    // What is deployed: one file; on the robot the same settings and the file are enough.
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("three-sensors.safetensors");
    model.model().parameters().save(&file, |_| true)?;
    let deployed = settings.model(&Setup::new(&schema))?;
    deployed.parameters().load(&file)?;

    let complete: Vec<usize> = test.iter().copied().filter(|&row| data.meta(row).presence == schema.modalities.full()).collect();
    let batch = data.batch(&complete, &device)?;
    for alive in ["rgb", "depth", "thermal", "full"] {
        let presence = Presence::uniform(schema.modalities.parse(alive)?, batch.len());
        let predicted = deployed.predict(&batch.inputs().with_presence(presence)?)?.prediction.argmax(1)?;
        let right = predicted.eq(batch.targets().values())?.to_vec1::<u8>()?.iter().filter(|right| **right == 1).count();
        println!("{alive:8} alive: {right} of {} right", batch.len());
    }
    Ok(())
}

/// One scene a sample, seen by every sensor at its own resolution and with its own noise; one scene in ten lacks a sensor.
fn scenes(schema: &Schema) -> Result<TableDataset> {
    let labels: Vec<u32> = (0..SAMPLES as u32).map(|i| i % CLASSES.len() as u32).collect();
    let places: Vec<(f64, f64)> = (0..SAMPLES as u64)
        .map(|i| {
            let mut random = rng::stream(0, "place", &[i]);
            (random.random_range(0.4..0.6), random.random_range(0.4..0.6))
        })
        .collect();
    let tensors = schema.inputs.iter().zip([0.6f32, 0.4, 0.6]).enumerate().map(|(m, (input, noise))| {
        let (height, width) = (input.shape[1], input.shape[2]);
        let mut values = rng::standard_normal(&mut rng::stream(0, "noise", &[m as u64]), SAMPLES * input.elements());
        for (sample, image) in values.chunks_exact_mut(input.elements()).enumerate() {
            for (place, value) in image.iter_mut().enumerate() {
                let (i, j) = (place / width % height, place % width);
                let at = |i: usize, size: usize| (i as f64 + 0.5) / size as f64;
                let (y, x) = places[sample];
                *value = noise * *value + f32::from(u8::from(covers(labels[sample], at(i, height) - y, at(j, width) - x)));
            }
        }
        let shape: Vec<usize> = std::iter::once(SAMPLES).chain(input.shape.iter().copied()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu)
    });
    let tensors = tensors.collect::<candle_core::Result<Vec<_>>>()?;
    let full = schema.modalities.full();
    let without = |m: usize| Subset::from_indices(full.indices().filter(|&other| other != m));
    let presence = (0..SAMPLES).map(|i| if i % 10 == 0 { without(i / 10 % 3) } else { Ok(full) }).collect::<Result<_>>()?;
    TableDataset::from_tensors(schema.clone(), &tensors, Presence::new(presence), labels)
}

/// Whether the object covers a point relative to its centre.
fn covers(label: u32, y: f64, x: f64) -> bool {
    let (distance, bar) = (y.hypot(x), |along: f64, across: f64| along.abs() < 0.35 && across.abs() < 0.09);
    match label {
        0 => distance < 0.28,
        1 => (0.17..0.35).contains(&distance),
        2 => bar(x, y),
        _ => bar(x, y) || bar(y, x),
    }
}
