//! The models that are served, and what they are asked.

use super::client::{Requests, post};
use crate::perf::{prepare_audio_visual, wav};
use anyhow::Result;
use mm_baselines::FusionConfig;
use mm_core::data::{InputSpec, Schema, Split, TableDataset, Target};
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Modalities, Presence, rng};
use mm_testing::form;
use std::path::Path;

/// Different requests.
const REQUESTS: u64 = 32;
/// The sensors of the vector model, of which each takes so many numbers.
const VECTORS: [(&str, usize); 2] = [("engine", 64), ("cabin", 32)];
const CLASSES: usize = 10;
/// Samples of a sound: three quarters of a second.
const SOUND: usize = 6000;

/// Trains a model for a moment (its weights do not matter), saves it in a folder, and makes requests for it.
pub fn prepare(kind: &str, folder: &Path) -> Result<Requests> {
    match kind {
        "vector" => vector(folder),
        _ => audio_visual(folder),
    }
}

fn vector(folder: &Path) -> Result<Requests> {
    let samples = 200;
    let inputs = VECTORS.map(|(_, width)| InputSpec::vector(width)).to_vec();
    let classes = Target::of_classes((0..CLASSES).map(|class| class.to_string()));
    let schema = Schema::new(Modalities::new(VECTORS.map(|(name, _)| name))?, inputs, classes)?;
    let full = schema.modalities.full();
    let table = |m: usize| rng::standard_normal(&mut rng::stream(0, "table", &[m as u64]), samples * VECTORS[m].1);
    let labels = (0..samples).map(|i| (i % CLASSES) as u32).collect();
    let data = TableDataset::new(schema, vec![table(0), table(1)], Presence::uniform(full, samples), labels)?;
    let split = Split { train: (0..samples).collect(), validation: Vec::new(), test: Vec::new() };
    let trainer = Trainer::new(TrainConfig { epochs: 1, batch_size: 50, ..TrainConfig::default() });
    trainer.fit(FusionConfig::full_only(), &data, &split)?.save_pretrained(folder)?;
    let request = |number: u64| {
        let numbers = |(name, width): (&str, usize)| {
            let values = rng::standard_normal(&mut rng::stream(1, name, &[number]), width);
            (name.to_string(), serde_json::json!(values))
        };
        let body = serde_json::Value::from(VECTORS.into_iter().map(numbers).collect::<serde_json::Map<_, _>>());
        post("application/json", body.to_string().as_bytes())
    };
    Ok((0..REQUESTS).map(request).collect())
}

fn audio_visual(folder: &Path) -> Result<Requests> {
    prepare_audio_visual(folder)?;
    (0..REQUESTS).map(|number| Ok(post("multipart/form-data; boundary=xxx", &form(&files(number)?)))).collect()
}

/// An image and a sound of noise.
pub fn files(number: u64) -> Result<[(&'static str, &'static str, Vec<u8>); 2]> {
    let mut random = rng::stream(2, "files", &[number]);
    let pixels = rng::standard_normal(&mut random, 28 * 28).iter().map(|x| (128.0 + 40.0 * x) as u8).collect::<Vec<_>>();
    let mut png = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut png, &pixels, 28, 28, image::ExtendedColorType::L8, image::ImageFormat::Png)?;
    Ok([("sound", "a.wav", wav(&rng::standard_normal(&mut random, SOUND))), ("image", "a.png", png.into_inner())])
}
