//! Two sensors in training, the poorer one in use: what the privileged sensor leaves behind. Synthetic data, seconds.
//!
//! ```text
//! cargo run --release -p mod-distill --example privileged_sensor
//! ```

use anyhow::Result;
use candle_core::Device;
use mm_baselines::{Fusion, FusionConfig};
use mm_core::data::{InputSpec, Schema, TableDataset, Target};
use mm_core::eval::evaluate;
use mm_core::missing::MissingPattern;
use mm_core::recipe::Setup;
use mm_core::train::{Method, TrainConfig, Trainer};
use mm_core::{Modalities, Model, Presence, Subset, rng};
use mod_distill::{ModDistill, ModDistillConfig};

const SAMPLES: usize = 1200;
const CLASSES: usize = 4;

/// Class means plus noise; the radar is much noisier than the camera.
fn data(schema: &Schema) -> Result<TableDataset> {
    let labels: Vec<u32> = (0..SAMPLES).map(|i| (i % CLASSES) as u32).collect();
    let column = |m: usize, noise: f32| -> Vec<f32> {
        let width = schema.inputs[m].elements();
        let z = rng::standard_normal(&mut rng::stream(0, "example", &[m as u64]), SAMPLES * width);
        z.iter().enumerate().map(|(i, z)| noise * z + if i % width % CLASSES == labels[i / width] as usize { 1.0 } else { 0.0 }).collect()
    };
    Ok(TableDataset::new(
        schema.clone(),
        vec![column(0, 1.6), column(1, 0.8)],
        Presence::uniform(Subset::full(2), SAMPLES),
        labels.clone(),
    )?)
}

fn main() -> Result<()> {
    let classes = (0..CLASSES).map(|c| c.to_string());
    let schema = Schema::new(
        Modalities::new(["radar", "camera"])?,
        vec![InputSpec::vector(16), InputSpec::vector(16)],
        Target::of_classes(classes),
    )?;
    let data = data(&schema)?;
    let (train, test): (Vec<usize>, Vec<usize>) = (0..SAMPLES).partition(|row| row % 3 == 0);
    let trainer = Trainer::new(TrainConfig { epochs: 20, ..TrainConfig::default() });
    let trained = |method: &mut dyn Method| trainer.run(method, &data, &train, &[]);
    let radar = schema.modalities.parse("radar")?;
    let accuracy =
        |model: &dyn Model, subset| Ok::<f64, mm_core::Error>(evaluate(model, &data, &test, &[subset], 512, &Device::Cpu)?.mean_score());
    let setup = Setup::new(&schema);

    let alone = FusionConfig { missing: MissingPattern::Fixed("radar".into()), ..FusionConfig::default() };
    let mut alone = Fusion::new(alone, &setup)?;
    trained(&mut alone)?;
    println!("radar alone            {:.3}", accuracy(alone.model(), radar)?);

    let mut teacher = Fusion::new(FusionConfig::full_only(), &setup)?;
    trained(&mut teacher)?;
    println!("teacher, radar+camera  {:.3}", accuracy(teacher.model(), schema.modalities.full())?);

    let mut distilled = ModDistill::new(ModDistillConfig::available(["radar"]), &setup, teacher.into_deployed())?;
    trained(&mut distilled)?;
    println!("distilled, radar       {:.3}", accuracy(distilled.deployed(), radar)?);
    Ok(())
}
