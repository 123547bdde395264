//! How fast files become batches, beside PyTorch's `DataLoader` on the same files, and how long training waits for them.

use super::pytorch::{PyTorch, dataset_folder};
use super::work::result_of;
use super::{Context, Row, photographs};
use anyhow::{Result, bail};
use candle_core::DType;
use mm_baselines::{Fusion, FusionConfig};
use mm_bench::child;
use mm_core::data::audio::{AudioSettings, Augment};
use mm_core::data::kinds::{Audio, Image};
use mm_core::data::{Batch, FileCard, FileSource, Folders, Loader, Loading, Manifest, Part, Source, Standardized, Standardizer};
use mm_core::encoder::{CnnConfig, EncoderConfig};
use mm_core::fusion::NetworkConfig;
use mm_core::nn::backward;
use mm_core::optim::{Optimizer, OptimizerConfig};
use mm_core::recipe::Setup;
use mm_core::train::{Method, Step};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BATCH: usize = 32;
const TRAINING_BATCH: usize = 64;
/// Epochs of a process that are timed, after one that is not; the median counts.
const EPOCHS: usize = 3;
/// How many photographs are made, and how often an epoch reads each.
const PHOTOGRAPHS: usize = 32;
const READS: usize = 8;

/// Arguments of the hidden `loader-work` command.
#[derive(clap::Args)]
pub struct LoaderWorkArguments {
    /// What is loaded, as `benchmarks/torch/loader.py` names it, or the training.
    #[arg(value_enum)]
    work: Work,
    /// Folder of the files; of the training, the data set's card.
    files: PathBuf,
    /// Threads that load.
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Work {
    Images,
    Clips,
    AugmentedClips,
    Training,
}

/// What a process of either side reports of loading.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Loaded {
    per_second: f64,
    /// Of all values of an epoch.
    mean: f64,
}

/// What our training reports.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Trained {
    /// Share of the time that passed in the loader's `next`.
    waiting: f64,
    step_seconds: f64,
    /// Of a step whose batch is in memory already.
    step_seconds_in_memory: f64,
}

/// Does the work and prints a [`Loaded`] or a [`Trained`] as JSON.
pub fn run(arguments: &LoaderWorkArguments) -> Result<()> {
    let LoaderWorkArguments { work, files, workers } = arguments;
    let loading = Loading { workers: *workers, ..Loading::default() };
    let text = match work {
        Work::Images => {
            let source = Folders::new(files).modality("rgb", Image::rgb(112)).open()?;
            let rows: Vec<usize> = (0..READS).flat_map(|_| 0..source.len()).collect();
            serde_json::to_string(&loaded(&source, &rows, loading)?)?
        }
        Work::Clips | Work::AugmentedClips => {
            let source = clips(files, *work == Work::AugmentedClips)?;
            // Whole batches: both sides then read the same clips.
            let rows: Vec<usize> = (0..source.len() / BATCH * BATCH).collect();
            serde_json::to_string(&loaded(&source, &rows, loading)?)?
        }
        Work::Training => serde_json::to_string(&trained(files, loading)?)?,
    };
    println!("{text}");
    Ok(())
}

/// The sounds of the built-in digits, a second long; the changes are those that the script has.
fn clips(folder: &Path, augmented: bool) -> Result<FileSource> {
    let mut settings: AudioSettings = serde_json::from_value(serde_json::json!({ "rate": 8000, "seconds": 1.0 }))?;
    if augmented {
        settings.augment = Augment { time_masks: 0, frequency_masks: 0, ..Augment::speech() };
    }
    Ok(Manifest::new(folder.join("samples.csv")).modality("sound", Audio::new(settings)?).open()?)
}

fn loaded(source: &dyn Source, rows: &[usize], loading: Loading) -> Result<Loaded> {
    let loader = Loader::new(source, rows, BATCH, 0).loading(loading);
    let (mut sum, mut count) = (0.0, 0);
    loader.epoch(0, 0, |batches| -> Result<()> {
        for batch in batches {
            for reading in batch?.inputs().readings().iter().flatten() {
                sum += reading.values.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
                count += reading.values.elem_count();
            }
        }
        Ok(())
    })?;
    let (mut seconds, mut read) = (Vec::with_capacity(EPOCHS), 0);
    for epoch in 1..=EPOCHS as u64 {
        let started = Instant::now();
        read += loader.epoch(epoch, 0, |batches| batches.map(|batch| Ok(batch?.len())).sum::<mm_core::Result<usize>>())?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    let seconds = super::table::median(&seconds, |&s| s).unwrap_or(f64::NAN);
    Ok(Loaded { per_second: read as f64 / EPOCHS as f64 / seconds, mean: sum / count as f64 })
}

/// Trains on the built-in digits, images and sounds with their random changes, with a small convolutional encoder for each.
fn trained(card: &Path, loading: Loading) -> Result<Trained> {
    let source = FileCard::from_path(card)?.open()?;
    let rows: Vec<usize> = (0..source.len()).filter(|&row| source.meta(row).part == Some(Part::Train)).collect();
    let standardizer = Standardizer::fit(&source, &rows)?;
    let standardized = Standardized::new(&source, &standardizer)?;
    let source = standardized.source();
    let network = NetworkConfig { encoder: Some(EncoderConfig::cnn(CnnConfig::default())), ..NetworkConfig::default() };
    let mut method = Fusion::new(FusionConfig { network, ..FusionConfig::full_only() }, &Setup::new(source.schema()))?;
    let parameters = method.parameters();
    let mut optimizer = Optimizer::new(OptimizerConfig::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 })?;
    let loader = Loader::new(source, &rows, TRAINING_BATCH, 0).loading(loading);
    let steps = loader.steps();
    let mut train = |epoch: usize, step: usize, batch: &Batch| -> Result<()> {
        let at = Step { seed: 0, epoch, epochs: EPOCHS + 1, step, steps };
        let loss = method.loss(batch, &at)?.total()?;
        Ok(optimizer.step(&parameters, &backward(&loss)?, 1e-3)?)
    };
    let mut epochs: Vec<[Duration; 3]> = Vec::with_capacity(EPOCHS);
    for epoch in 0..=EPOCHS {
        let (mut waited, mut batches_of_epoch) = (Duration::ZERO, Vec::with_capacity(steps));
        let started = Instant::now();
        loader.epoch(epoch as u64, 0, |batches| -> Result<()> {
            loop {
                let asked = Instant::now();
                let next = batches.next();
                waited += asked.elapsed();
                let Some(batch) = next.transpose()? else { return Ok(()) };
                train(epoch, batches_of_epoch.len(), &batch)?;
                batches_of_epoch.push(batch);
            }
        })?;
        let with_loader = started.elapsed();
        let started = Instant::now();
        for (step, batch) in batches_of_epoch.iter().enumerate() {
            train(epoch, step, batch)?;
        }
        if epoch > 0 {
            epochs.push([waited, with_loader, started.elapsed()]);
        }
    }
    let median = |value: &dyn Fn(&[Duration; 3]) -> f64| super::table::median(&epochs, value).unwrap_or(f64::NAN);
    Ok(Trained {
        waiting: median(&|[waited, all, _]| waited.as_secs_f64() / all.as_secs_f64()),
        step_seconds: median(&|[_, all, _]| all.as_secs_f64() / steps as f64),
        step_seconds_in_memory: median(&|[_, _, in_memory]| in_memory.as_secs_f64() / steps as f64),
    })
}

/// The rows of the table: what is loaded a second, where a ratio above 1 means that ours is faster, and what training waits.
pub fn rows(context: &Context) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    photographs::write(folder, PHOTOGRAPHS)?;
    let mut forms = vec![("png", "PNG"), ("jpeg-444", "JPEG 4:4:4")];
    if let Some(pytorch) = &context.pytorch {
        let written: serde_json::Value = pytorch.run_last("loader.py", &["jpeg".into(), folder.display().to_string()])?;
        forms.extend(written.is_object().then_some(("jpeg", "JPEG 4:2:0")));
    }
    let mut rows = Vec::new();
    for (form, name) in forms {
        let pair = measure(context, "images", &folder.join(form))?;
        let what = format!("photographs of 640x480 to 112x112, {name} (more is better)");
        rows.push(Row::of_medians(what, "images/s", &pair, |l| l.per_second));
    }
    let digits = PathBuf::from(dataset_folder("audio-visual-digits")?);
    for (work, how) in [("clips", ""), ("augmented-clips", ", with random speed, shift, noise and gain")] {
        let pair = measure(context, work, &digits)?;
        let what = format!("parts of FLAC files to log-mel{how} (more is better)");
        rows.push(Row::of_medians(what, "clips/s", &pair, |l| l.per_second));
    }
    let card = digits.with_extension("toml");
    let trained = (0..context.repeats).map(|_| ours("training", &card, context.threads)).collect::<Result<Vec<Trained>>>()?;
    let pair = (trained, Vec::new());
    let what = "training on images and sounds, two small encoders, batch 64";
    rows.push(Row::of_medians(format!("{what}: a step"), "ms", &pair, |t| 1e3 * t.step_seconds));
    rows.push(Row::of_medians(format!("{what}: a step on batches in memory"), "ms", &pair, |t| 1e3 * t.step_seconds_in_memory));
    rows.push(Row::of_medians(format!("{what}: waiting for the loader"), "%", &pair, |t| 100.0 * t.waiting));
    Ok(rows)
}

/// Ours and theirs in turn; without random changes both must have read the same.
fn measure(context: &Context, work: &str, files: &Path) -> Result<(Vec<Loaded>, Vec<Loaded>)> {
    let pair =
        context.alternate(|| ours::<Loaded>(work, files, context.threads), |pytorch| theirs(pytorch, work, files, context.threads))?;
    if let (Some(ours), Some(theirs)) = (pair.0.last(), pair.1.last())
        && work != "augmented-clips"
        && (ours.mean - theirs.mean).abs() > 1e-3 * theirs.mean.abs()
    {
        bail!("{work}: the mean of our values is {}, of PyTorch's {}", ours.mean, theirs.mean);
    }
    Ok(pair)
}

fn ours<T: DeserializeOwned>(work: &str, files: &Path, workers: usize) -> Result<T> {
    let mut command = child::short_command(workers)?;
    result_of(command.args(["loader-work", work, "--workers", &workers.to_string()]).arg(files), &format!("loading {work}"))
}

fn theirs(pytorch: &PyTorch, work: &str, files: &Path, workers: usize) -> Result<Loaded> {
    let files = match work {
        // A folder of classes for them, of sensors for us.
        "images" => files.join("rgb"),
        _ => files.to_path_buf(),
    };
    pytorch.run_last("loader.py", &[work.into(), files.display().to_string(), "--workers".into(), workers.to_string()])
}
