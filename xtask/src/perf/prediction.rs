//! The prediction of one audio-visual sample, from its files to the probabilities, beside PyTorch's and ONNX Runtime's.

use super::pytorch::PyTorch;
use super::work::result_of;
use super::{Context, Row};
use anyhow::{Context as _, Result, bail};
use candle_core::{Device, Tensor};
use mm_baselines::FusionConfig;
use mm_bench::{child, from_pretrained, peak_memory_bytes};
use mm_core::data::audio::AudioSettings;
use mm_core::data::kinds::{Audio, Image, Kind, Origin};
use mm_core::data::{FileRow, FileSource, Inputs, Split, Target, TargetValue};
use mm_core::encoder::EncoderConfig;
use mm_core::fusion::NetworkConfig;
use mm_core::pipeline::Readings;
use mm_core::rng;
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Modalities, Presence};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Predictions in a process that are timed; the median counts.
const REPEATS: usize = 300;
const WARM_UP: usize = 10;
/// The sound of the sample, within its file: three quarters of a second.
const START: u64 = 3000;
const LENGTH: u64 = 6000;
const RATE: u32 = 8000;

/// Arguments of the hidden `prediction-work` command.
#[derive(clap::Args)]
pub struct PredictionWorkArguments {
    /// Folder of the model and of the files.
    folder: PathBuf,
    /// The file of the sound; without one, the network alone is timed.
    #[arg(long)]
    sound: Option<String>,
}

/// What a process of any side reports.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Measured {
    seconds: f64,
    peak_memory_bytes: u64,
    probabilities: Vec<f64>,
}

/// Times predictions and prints a [`Measured`] as JSON.
pub fn run(arguments: &PredictionWorkArguments) -> Result<()> {
    let model = from_pretrained(&arguments.folder)?;
    let measured = match &arguments.sound {
        Some(sound) => {
            let part = Some(START..START + LENGTH);
            let sound = Origin::File { path: arguments.folder.join(sound), part };
            let readings = Readings::new().origin("sound", sound).file("image", arguments.folder.join("sample.png"));
            timed(|| Ok(model.predict(&readings)?.probabilities.into_iter().map(|(_, p)| p).collect()))?
        }
        None => {
            let schema = model.schema();
            let random = schema.inputs.iter().map(|input| {
                let values = rng::standard_normal(&mut rng::stream(0, "inputs", &[]), input.elements());
                Ok(Some(Tensor::from_vec(values, [vec![1], input.shape.clone()].concat(), &Device::Cpu)?))
            });
            let presence = Presence::uniform(schema.modalities.full(), 1);
            let inputs = Inputs::new(&schema.modalities, random.collect::<Result<Vec<_>>>()?, presence, vec![0])?;
            let softmax = |logits: Vec<f32>| -> Vec<f64> {
                let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let powers: Vec<f64> = logits.iter().map(|x| f64::from(x - highest).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.into_iter().map(|power| power / sum).collect()
            };
            timed(|| Ok(softmax(model.model().predict(&inputs)?.prediction.flatten_all()?.to_vec1()?)))?
        }
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

fn timed(mut once: impl FnMut() -> Result<Vec<f64>>) -> Result<Measured> {
    let (mut seconds, mut probabilities) = (Vec::with_capacity(REPEATS), Vec::new());
    for turn in 0..WARM_UP + REPEATS {
        let started = Instant::now();
        probabilities = once()?;
        if turn >= WARM_UP {
            seconds.push(started.elapsed().as_secs_f64());
        }
    }
    let seconds = super::table::median(&seconds, |&s| s).unwrap_or(0.0);
    Ok(Measured { seconds, peak_memory_bytes: peak_memory_bytes().unwrap_or_default(), probabilities })
}

/// The rows of the table. Where there is ONNX Runtime, it stands in the column of the other side; the row says so.
pub fn rows(context: &Context) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    prepare(folder)?;
    let mut sounds = vec!["sample.wav"];
    if let Some(pytorch) = &context.pytorch {
        theirs(pytorch, "flac", folder, context.threads, None).ok();
        sounds.extend(folder.join("sample.flac").exists().then_some("sample.flac"));
    }
    let mut rows = Vec::new();
    for sound in sounds {
        for (command, name) in [("torch", "PyTorch"), ("onnx", "ONNX Runtime")] {
            let pair = measure(context, folder, Some(sound), command)?;
            let ending = if sound.ends_with("flac") { "FLAC" } else { "WAV" };
            let what = format!("one sample from part of a {ending} file and a PNG file, beside {name}");
            rows.push(Row::of_medians(&what, "ms", &pair, |m| 1e3 * m.seconds));
            rows.push(Row::of_medians(format!("{what}: peak memory"), "MB", &pair, |m| m.peak_memory_bytes as f64 / 1e6));
        }
    }
    for (command, name) in [("network", "PyTorch"), ("onnx-network", "ONNX Runtime")] {
        let pair = measure(context, folder, None, command)?;
        rows.push(Row::of_medians(format!("its network alone, beside {name}"), "ms", &pair, |m| 1e3 * m.seconds));
    }
    Ok(rows)
}

/// Ours and theirs in turn; the probabilities of a sample must be the same.
fn measure(context: &Context, folder: &Path, sound: Option<&str>, command: &str) -> Result<(Vec<Measured>, Vec<Measured>)> {
    let pair = context.alternate(
        || ours(folder, sound, context.threads),
        |pytorch| theirs(pytorch, command, folder, context.threads, sound)?.context("nothing was measured"),
    )?;
    if let (Some(_), Some(ours), Some(theirs)) = (sound, pair.0.last(), pair.1.last()) {
        let apart = ours.probabilities.iter().zip(&theirs.probabilities).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if ours.probabilities.len() != theirs.probabilities.len() || apart.is_nan() || apart > 1e-3 {
            bail!("`{command}` gives {:?}, and we {:?}", theirs.probabilities, ours.probabilities);
        }
    }
    Ok(pair)
}

fn ours(folder: &Path, sound: Option<&str>, threads: usize) -> Result<Measured> {
    let mut command = child::short_command(threads)?;
    command.arg("prediction-work").arg(folder);
    sound.into_iter().for_each(|sound| _ = command.args(["--sound", sound]));
    result_of(&mut command, "the prediction")
}

fn theirs(pytorch: &PyTorch, command: &str, folder: &Path, threads: usize, sound: Option<&str>) -> Result<Option<Measured>> {
    let mut arguments = vec![command.to_string(), threads.to_string(), REPEATS.to_string(), folder.display().to_string()];
    sound.into_iter().for_each(|sound| arguments.extend(["--sound".into(), sound.into()]));
    let value: serde_json::Value = pytorch.run_last("prediction.py", &arguments)?;
    Ok(serde_json::from_value(value).ok())
}

/// A model of small convolutional encoders (an epoch of random sounds and images: its weights do not matter), and a sample.
pub fn prepare(folder: &Path) -> Result<()> {
    let settings: AudioSettings = serde_json::from_value(serde_json::json!({ "rate": RATE, "seconds": 1.0 }))?;
    let kinds: Vec<Arc<dyn Kind>> = vec![Arc::new(Audio::new(settings)?), Arc::new(Image::gray(28))];
    let sound = folder.join("sample.wav");
    let mut random = rng::stream(0, "sound", &[]);
    std::fs::write(&sound, wav(&rng::standard_normal(&mut random, 10 * RATE as usize)))?;
    let pixels = rng::standard_normal(&mut random, 28 * 28).iter().map(|x| (128.0 + 40.0 * x) as u8).collect();
    let picture = image::GrayImage::from_raw(28, 28, pixels).context("28 times 28 pixels")?;
    picture.save(folder.join("sample.png"))?;
    let row = |i: u64| {
        let part = Some(i * LENGTH / 4..i * LENGTH / 4 + LENGTH);
        let origins = vec![Some(Origin::File { path: sound.clone(), part }), Some(Origin::file(folder.join("sample.png")))];
        FileRow::new(i.to_string(), origins, TargetValue::Class((i % 10) as u32))
    };
    let rows = (0..20).map(row).collect::<mm_core::Result<_>>()?;
    let classes = Target::of_classes((0..10).map(|digit| digit.to_string()));
    let source = FileSource::new(Modalities::new(["sound", "image"])?, kinds, classes, rows)?;
    let network = NetworkConfig { encoder: Some(EncoderConfig::conv([16, 32, 32])), ..NetworkConfig::default() };
    let recipe = FusionConfig { network, ..FusionConfig::full_only() };
    let split = Split { train: (0..20).collect(), validation: Vec::new(), test: Vec::new() };
    let trainer = Trainer::new(TrainConfig { epochs: 1, batch_size: 10, ..TrainConfig::default() });
    Ok(trainer.fit(recipe, &source, &split)?.save_pretrained(folder.join("model")).and_then(|()| {
        // The scripts take model and files from one folder.
        for name in ["config.json", "model.safetensors", "README.md"] {
            std::fs::rename(folder.join("model").join(name), folder.join(name)).map_err(mm_core::Error::io(folder))?;
        }
        Ok(())
    })?)
}

/// A WAV file of 16 bits and one channel.
pub fn wav(samples: &[f32]) -> Vec<u8> {
    let mut file = Vec::with_capacity(44 + 2 * samples.len());
    let words = |file: &mut Vec<u8>, words: &[u32]| file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    file.extend(b"RIFF");
    words(&mut file, &[36 + 2 * samples.len() as u32]);
    file.extend(b"WAVEfmt ");
    words(&mut file, &[16, 1 << 16 | 1, RATE, 2 * RATE, 16 << 16 | 2]);
    file.extend(b"data");
    words(&mut file, &[2 * samples.len() as u32]);
    file.extend(samples.iter().flat_map(|x| ((3000.0 * x).clamp(-32_768.0, 32_767.0) as i16).to_le_bytes()));
    file
}
