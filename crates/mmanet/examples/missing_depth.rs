//! Trains MMANet on synthetic data of three sensors and prints the accuracy of every combination, beside modality dropout.
//!
//! `cargo run --release -p mmanet --example missing_depth`

use candle_core::Device;
use mm_baselines::{Fusion, FusionConfig};
use mm_core::data::{InputSpec, Schema, TableDataset, Target};
use mm_core::eval::evaluate;
use mm_core::recipe::Setup;
use mm_core::train::{Method, TrainConfig, Trainer};
use mm_core::{Modalities, Presence, Result, Subset, rng};
use mmanet::{Mmanet, MmanetConfig};

const SAMPLES: usize = 900;

fn main() -> Result<()> {
    let device = Device::Cpu;
    let modalities = Modalities::new(["rgb", "depth", "ir"])?;
    let inputs = [16, 8, 8].map(InputSpec::vector).to_vec();
    let schema = Schema::new(modalities, inputs, Target::of_classes(["chair", "table", "lamp", "door"].map(String::from).to_vec()))?;
    let data = synthetic(&schema)?;
    let rows: Vec<usize> = (0..SAMPLES).collect();
    let (train, held_out, test) = (&rows[..500], &rows[500..600], &rows[600..]);
    let trainer = Trainer::new(TrainConfig { epochs: 20, ..TrainConfig::default() });

    let mut teacher = Fusion::new(FusionConfig::full_only(), &Setup::new(&schema).seed(0))?;
    trainer.run(&mut teacher, &data, train, held_out)?;
    let mut dropout = Fusion::new(FusionConfig::modality_dropout(), &Setup::new(&schema).seed(0))?;
    trainer.run(&mut dropout, &data, train, held_out)?;
    let mut mmanet = Mmanet::new(MmanetConfig::default(), &Setup::new(&schema), teacher.into_deployed())?;
    let outcome = trainer.run(&mut mmanet, &data, train, held_out)?;
    for note in &outcome.notes {
        println!("{note}");
    }

    let subsets: Vec<Subset> = Subset::all_non_empty(3).collect();
    let evaluate = |method: &dyn Method| evaluate(method.model(), &data, test, &subsets, 256, &device);
    println!("{:16} {:>8} {:>8}", "combination", "dropout", "mmanet");
    for (a, b) in evaluate(&dropout)?.combinations.iter().zip(&evaluate(&mmanet)?.combinations) {
        println!("{:16} {:8.3} {:8.3}", schema.modalities.format(a.subset), a.scored.get("accuracy"), b.scored.get("accuracy"));
    }
    Ok(())
}

/// Class prototypes seen through three sensors of different noise.
fn synthetic(schema: &Schema) -> Result<TableDataset> {
    let labels: Vec<u32> = (0..SAMPLES as u32).map(|i| i % 4).collect();
    let columns = schema.inputs.iter().zip([0.9f32, 1.4, 2.2]).enumerate().map(|(m, (input, noise))| {
        let width = input.elements();
        let prototypes = rng::standard_normal(&mut rng::stream(0, "prototypes", &[m as u64]), 4 * width);
        let noises = rng::standard_normal(&mut rng::stream(0, "noise", &[m as u64]), SAMPLES * width);
        let value = |i: usize| prototypes[labels[i / width] as usize * width + i % width] + noise * noises[i];
        (0..SAMPLES * width).map(value).collect()
    });
    TableDataset::new(schema.clone(), columns.collect(), Presence::uniform(schema.modalities.full(), SAMPLES), labels.clone())
}
