//! A model in use: a program that needs the model's folder and nothing else.
//!
//! ```sh
//! ask FOLDER strong=0.1,0.4,-1.2 depth=scene.png
//! ```
//!
//! Each reading is the name of a sensor with numbers or a file; sensors that are not named are absent.

use anyhow::{Context, Result};
use mm_core::pipeline::Readings;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("usage: ask FOLDER SENSOR=READING..")?;
    let mut readings = Readings::new();
    for argument in arguments {
        let (sensor, reading) = argument.split_once('=').with_context(|| format!("`{argument}` is no SENSOR=READING"))?;
        readings = match reading.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>() {
            Ok(values) => readings.vector(sensor, values),
            Err(_) => readings.file(sensor, reading),
        };
    }
    let model = mm_bench::from_pretrained(&folder)?;
    let answer = model.predict(&readings)?;
    println!("class: {}", answer.class);
    answer.probabilities.iter().for_each(|(class, probability)| println!("{class}: {probability:.3}"));
    println!("used: {}", answer.used.join(", "));
    answer.ignored.iter().for_each(|ignored| println!("ignored: {} ({})", ignored.modality, ignored.reason));
    let trust = answer.trust.iter().flatten();
    trust.for_each(|t| println!("trust: {} has weight {:.2}, noise level {:.2}", t.modality, t.weight, t.level));
    Ok(())
}
