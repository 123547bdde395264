//! A kind of reading of one's own: sounds as bare 16-bit samples, of which the loudness over time is kept.
//!
//! `cargo run --release -p mm-bench --example own_kind`

use mm_baselines::FusionConfig;
use mm_core::data::kinds::{Kind, Vector};
use mm_core::data::{Array, Folders, InputSpec, SplitSpec};
use mm_core::pipeline::Readings;
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Error, Result};
use std::path::Path;

/// Files of little-endian 16-bit samples: the loudness in so many equal windows, in decibels.
struct Loudness {
    windows: usize,
}

impl Kind for Loudness {
    fn name(&self) -> &'static str {
        "loudness"
    }

    fn input(&self) -> InputSpec {
        InputSpec::vector(self.windows)
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["pcm"]
    }

    fn decode(&self, bytes: &[u8], path: &Path) -> Result<Array> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() || pairs.len() < self.windows {
            let problem = format!("is no sound of 16-bit samples: {} bytes", bytes.len());
            return Err(Error::File { path: path.into(), problem });
        }
        let energy = |window: &[[u8; 2]]| window.iter().map(|&pair| (f64::from(i16::from_le_bytes(pair)) / 32768.0).powi(2)).sum::<f64>();
        let length = pairs.len() / self.windows;
        let decibels = pairs.chunks_exact(length).take(self.windows).map(|w| 10.0 * (energy(w) / length as f64 + 1e-9).log10());
        Ok(Array::exact([self.windows], decibels.collect()))
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({ "windows": self.windows })
    }
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir().map_err(Error::io("the temporary folder"))?;
    write_sounds(folder.path()).map_err(Error::io(folder.path()))?;
    let data = Folders::new(folder.path()).modality("sound", Loudness { windows: 8 }).modality("weight", Vector::new(2)).open()?;
    let split = SplitSpec::default().draw(&data, 0)?;
    let trainer = Trainer::new(TrainConfig { epochs: 20, batch_size: 16, ..TrainConfig::default() });
    let mut model = trainer.fit(FusionConfig::modality_dropout(), &data, &split)?;
    println!("{}", model.evaluate(&data, &split.test)?);
    let answer = model.predict(&Readings::new().file("sound", folder.path().join("sound/door/000.pcm")))?;
    println!("{} from {:?}", answer.class, answer.used);
    Ok(())
}

/// Doors slam and die away, sirens swell; the second sensor weighs what made the sound.
fn write_sounds(root: &Path) -> std::io::Result<()> {
    for (class, rises, weight) in [("door", false, 30), ("siren", true, 8)] {
        for sensor in ["sound", "weight"] {
            std::fs::create_dir_all(root.join(sensor).join(class))?;
        }
        for i in 0..60 {
            let loudness = |t: usize| if rises { t } else { 800 - t };
            let sample = |t: usize| ((t * (13 + i % 7)) as f64).sin() * (200 + 10 * loudness(t)) as f64;
            let bytes: Vec<u8> = (0..800).flat_map(|t| (sample(t) as i16).to_le_bytes()).collect();
            std::fs::write(root.join(format!("sound/{class}/{i:03}.pcm")), bytes)?;
            std::fs::write(root.join(format!("weight/{class}/{i:03}.txt")), format!("{} {}", weight + i % 5, i % 3))?;
        }
    }
    Ok(())
}
