//! A stream of samples whose sensors die, freeze and return, and two models that keep predicting: UDML, which says how far it trusts each
//! sensor, and static fusion trained with the same noise. Prints the accuracy of each part of the stream and draws a picture.
//!
//! ```text
//! cargo run --release -p udml --example dying_sensors -- --out docs/src/img/dying-sensors.svg
//! ```

mod chart;
mod stream;

use anyhow::Result;
use clap::Parser;
use mm_core::Pipeline;
use mm_core::data::{DatasetCard, Source};
use mm_core::pipeline::{Answer, Readings, Reason};
use mm_core::train::{TrainConfig, Trainer};
use std::path::PathBuf;
use stream::{PARTS, Stream};
use udml::UdmlConfig;

/// Three of the six views of the built-in numerals: profile correlations, Karhunen-Loeve coefficients, pixel averages.
const SENSORS: [&str; 3] = ["fac", "kar", "pix"];

#[derive(Parser)]
struct Arguments {
    /// Card of the data set.
    #[arg(long, default_value = "datasets/multiple-features.toml")]
    card: PathBuf,
    /// The picture.
    #[arg(long, default_value = "target/dying-sensors.svg")]
    out: PathBuf,
    /// Seed of the training and of the noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// What both models said of a step.
pub struct Told {
    /// Weight by sensor; 0 where it was ignored.
    pub trust: [f64; 3],
    /// Whether UDML was right, whether static fusion was.
    pub right: [bool; 2],
}

fn main() -> Result<()> {
    let Arguments { card, out, seed } = Arguments::parse();
    let mut card = DatasetCard::from_path(&card)?;
    card.views.retain(|view| SENSORS.contains(&view.modality.as_str()));
    let loaded = card.load_files()?;
    let split = loaded.split(seed)?;
    let data = &loaded.joined.data;
    let trainer = Trainer::new(TrainConfig { seed, ..TrainConfig::default() });
    let models = [trainer.fit(UdmlConfig::default(), data, &split)?, trainer.fit(UdmlConfig::static_fusion(), data, &split)?];

    let mut told = Vec::new();
    for sample in Stream::new(data, &split.test, models[0].config(), seed) {
        let (readings, class) = sample?;
        let answers = [models[0].predict(&readings)?, models[1].predict(&readings)?];
        let right = [&answers[0], &answers[1]].map(|answer| answer.class == class);
        told.push(Told { trust: trust(&answers[0]), right });
    }
    report(&told);
    explain(&models[0], data, split.test[0])?;
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&out, chart::picture(&told))?;
    println!("{}", out.display());
    Ok(())
}

/// The weight of each sensor in an answer.
fn trust(answer: &Answer) -> [f64; 3] {
    let trusted = answer.trust.as_deref().unwrap_or_default();
    SENSORS.map(|name| trusted.iter().find(|sensor| sensor.modality == name).map_or(0.0, |sensor| f64::from(sensor.weight)))
}

/// How often each model was right in each part of the stream.
fn report(told: &[Told]) {
    println!("{:46}  UDML   static fusion  trust in {}", "", SENSORS.join(", "));
    let mut from = 0;
    for part in PARTS {
        let told = &told[from..from + part.steps];
        let share = |model: usize| told.iter().filter(|told| told.right[model]).count() as f64 / part.steps as f64;
        let mean = |sensor: usize| told.iter().map(|told| told.trust[sensor]).sum::<f64>() / part.steps as f64;
        println!("{:46}  {:.3}  {:.3}          {:.2}, {:.2}, {:.2}", part.what, share(0), share(1), mean(0), mean(1), mean(2));
        from += part.steps;
    }
    let share = |model: usize| told.iter().filter(|told| told.right[model]).count() as f64 / told.len() as f64;
    println!("{:46}  {:.3}  {:.3}", "all", share(0), share(1));
}

/// What a program reads out of an answer.
fn explain(model: &Pipeline, data: &dyn Source, row: usize) -> Result<()> {
    let sample = data.read(row)?;
    let [Some(fac), Some(kar), Some(_)] = &sample.readings[..] else { anyhow::bail!("the numerals have all views") };
    let broken = vec![f64::NAN; kar.values.len()];
    let answer = model.predict(&Readings::new().array("fac", fac.clone()).vector("kar", broken).vector("pix", [0.0; 240]))?;
    for ignored in &answer.ignored {
        println!("ignored {}: {}", ignored.modality, ignored.reason);
    }
    assert!(answer.ignored.iter().any(|ignored| ignored.reason == Reason::NonFinite));
    Ok(())
}
