//! Three synthetic sensors, one of them poor: train, see what was mined, predict with every combination. Takes seconds.
//!
//! ```text
//! cargo run --release -p dmrnet --example hard_combinations
//! ```

use candle_core::Device;
use dmrnet::{Dmrnet, DmrnetConfig};
use mm_core::data::{InputSpec, Schema, Source, TableDataset, Target};
use mm_core::eval::evaluate;
use mm_core::recipe::Setup;
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Modalities, Presence, Subset, rng};

const SAMPLES: usize = 1200;
const FEATURES: usize = 8;
/// Noise of each sensor, in units of the difference between classes.
const NOISE: [(&str, f32); 3] = [("camera", 1.0), ("radar", 1.5), ("microphone", 4.0)];

fn main() -> mm_core::Result<()> {
    let classes: Vec<String> = ["calm", "rain", "snow", "storm"].map(String::from).to_vec();
    let labels: Vec<u32> = (0..SAMPLES).map(|i| (i % classes.len()) as u32).collect();
    let sensor = |m: usize| -> Vec<f32> {
        let patterns = rng::standard_normal(&mut rng::stream(0, "pattern", &[m as u64]), classes.len() * FEATURES);
        let noise = rng::standard_normal(&mut rng::stream(0, "noise", &[m as u64]), SAMPLES * FEATURES);
        let clean = labels.iter().flat_map(|&y| &patterns[y as usize * FEATURES..][..FEATURES]);
        clean.zip(noise).map(|(clean, noise)| clean + NOISE[m].1 * noise).collect()
    };
    let columns = (0..NOISE.len()).map(sensor).collect();
    let schema =
        Schema::new(Modalities::new(NOISE.map(|(name, _)| name))?, vec![InputSpec::vector(FEATURES); 3], Target::of_classes(classes))?;
    let data = TableDataset::new(schema.clone(), columns, Presence::uniform(Subset::full(3), SAMPLES), labels)?;
    let rows = |part: std::ops::Range<usize>| part.collect::<Vec<usize>>();
    let (train, validation, test) = (rows(0..600), rows(600..800), rows(800..SAMPLES));

    let mut model = Dmrnet::new(DmrnetConfig::default(), &Setup::new(&schema).seed(0))?;
    let outcome = Trainer::new(TrainConfig::default()).run(&mut model, &data, &train, &validation)?;
    outcome.notes.iter().for_each(|note| println!("{note}"));

    let subsets: Vec<Subset> = Subset::all_non_empty(3).collect();
    let model = model.deployed();
    let evaluation = evaluate(model, &data, &test, &subsets, 512, &Device::Cpu)?;
    let batch = data.batch(&test, &Device::Cpu)?;
    println!("\n{:<24} accuracy  mean predicted variance", "sensors alive");
    for combination in &evaluation.combinations {
        let alive = batch.inputs().with_presence(Presence::uniform(combination.subset, batch.len()))?;
        let variance = model.distribution(&alive)?.mean_variance()?.mean_all()?.to_scalar::<f32>()?;
        println!("{:<24} {:.3}     {variance:.2}", schema.modalities.format(combination.subset), combination.scored.get("accuracy"));
    }
    Ok(())
}
