//! Sensors that degrade, on the six views of the built-in numerals: UDML against static fusion, trained clean and trained
//! with the same noise. Writes `noise-curves.json` and three pictures.
//!
//! ```text
//! cargo run --release -p udml --example noise_curves -- --out target/noise-curves
//! ```

mod chart;
mod measure;

use anyhow::{Context, Result};
use candle_core::Device;
use clap::Parser;
use measure::{LEVELS, Measured, measure};
use mm_core::data::{DatasetCard, Source, Standardizer};
use mm_core::recipe::Setup;
use mm_core::rng;
use mm_core::train::{TrainConfig, Trainer};
use rand::RngExt;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use udml::{NoiseConfig, Udml, UdmlConfig};

/// Resamples of the intervals.
const RESAMPLES: usize = 2000;

#[derive(Parser)]
struct Arguments {
    /// Card of the data set.
    #[arg(long, default_value = "datasets/multiple-features.toml")]
    card: PathBuf,
    /// Folder of the results.
    #[arg(long, default_value = "target/noise-curves")]
    out: PathBuf,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Runs of each form, with seeds from the first one on.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Passes over the training samples.
    #[arg(long, default_value_t = 40)]
    epochs: usize,
    /// Peak learning rate.
    #[arg(long, default_value_t = 0.05)]
    learning_rate: f64,
    /// Largest norm of the gradients; 0 for none.
    #[arg(long, default_value_t = 0.0)]
    clip_norm: f64,
    /// Further forms of UDML as `name={"setting": value, ..}`, settings of `UdmlConfig` other than the defaults.
    #[arg(long)]
    form: Vec<String>,
    /// Leave out the static baselines and the default form.
    #[arg(long)]
    only_forms: bool,
}

struct Run {
    name: String,
    config: UdmlConfig,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut runs = Vec::new();
    if !arguments.only_forms {
        let clean = UdmlConfig { noise: NoiseConfig::clean(), ..UdmlConfig::static_fusion() };
        runs.push(Run { name: "static fusion, trained clean".into(), config: clean });
        runs.push(Run { name: "static fusion, same noise".into(), config: UdmlConfig::static_fusion() });
        runs.push(Run { name: "UDML".into(), config: UdmlConfig::default() });
    }
    for form in &arguments.form {
        let (name, settings) = form.split_once('=').context("a form is written name={..}")?;
        let config = serde_json::from_str(settings).with_context(|| format!("settings of form {name}"))?;
        runs.push(Run { name: name.into(), config });
    }
    let card = DatasetCard::from_path(&arguments.card)?;
    let results: Vec<Mutex<Vec<Measured>>> = runs.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    let cells = runs.len() * arguments.seeds as usize;
    let work = || -> Result<()> {
        loop {
            let cell = next.fetch_add(1, Ordering::Relaxed);
            if cell >= cells {
                return Ok(());
            }
            let (seed, i) = (arguments.first_seed + (cell / runs.len()) as u64, cell % runs.len());
            let measured = train_and_measure(&runs[i], &card, seed, &arguments)?;
            eprintln!("seed {seed}, {}: {}", runs[i].name, measured.line());
            results[i].lock().unwrap_or_else(|p| p.into_inner()).push(measured);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(cells);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|w| w.join().unwrap_or_else(|_| anyhow::bail!("a worker stopped")))
    })?;

    let results = results.into_iter().map(|measured| {
        let mut measured = measured.into_inner().unwrap_or_else(|p| p.into_inner());
        measured.sort_by_key(|m| m.seed);
        measured
    });
    let results: Vec<Vec<Measured>> = results.collect();
    // All forms see the same samples with the same noise, so differences are paired. The second run is the fair baseline.
    let baseline = results.get(1).filter(|_| !arguments.only_forms);
    let report: Vec<Value> = runs.iter().zip(&results).map(|(run, measured)| summary(&run.name, measured, baseline)).collect();
    std::fs::create_dir_all(&arguments.out)?;
    std::fs::write(arguments.out.join("noise-curves.json"), serde_json::to_string_pretty(&report)?)?;
    for (set, file) in [("fac+pix", "two-strongest"), ("fac+kar+pix", "three-strongest"), ("all", "all-views")] {
        std::fs::write(arguments.out.join(format!("noise-{file}.svg")), chart::curves(&report, set))?;
    }
    println!("{}", arguments.out.join("noise-curves.json").display());
    Ok(())
}

fn train_and_measure(run: &Run, card: &DatasetCard, seed: u64, arguments: &Arguments) -> Result<Measured> {
    let loaded = card.load_files()?;
    let split = loaded.split(seed)?;
    let mut data = loaded.joined.data;
    Standardizer::fit(&data, &split.train)?.apply(&mut data)?;
    let mut model = Udml::new(run.config.clone(), &Setup::new(data.schema()).seed(seed))?;
    let config = TrainConfig {
        epochs: arguments.epochs,
        learning_rate: arguments.learning_rate,
        clip_norm: Some(arguments.clip_norm).filter(|norm| *norm > 0.0),
        seed,
        ..TrainConfig::default()
    };
    Trainer::new(config).run(&mut model, &data, &split.train, &split.validation)?;
    measure(model.deployed(), &data.batch(&split.test, &Device::Cpu)?, seed)
}

/// Means over seeds, with 95 % intervals of the accuracies and of their differences to the baseline.
fn summary(name: &str, measured: &[Measured], baseline: Option<&Vec<Measured>>) -> Value {
    let right = |correct: &[bool]| -> Vec<f64> { correct.iter().map(|&c| f64::from(u8::from(c))).collect() };
    let minus = |a: &[bool], b: &[bool]| -> Vec<f64> { right(a).iter().zip(right(b)).map(|(a, b)| a - b).collect() };
    let (mut curves, mut differences) = (serde_json::Map::new(), serde_json::Map::new());
    for set in measured[0].curves.keys() {
        let point = |l: usize| interval(measured.iter().map(|m| right(&m.curves[set][l])).collect());
        curves.insert(set.clone(), (0..LEVELS.len()).map(point).collect());
        if let Some(baseline) = baseline {
            let pairs = || measured.iter().zip(baseline);
            let point = |l: usize| interval(pairs().map(|(a, b)| minus(&a.curves[set][l], &b.curves[set][l])).collect());
            differences.insert(set.clone(), (0..LEVELS.len()).map(point).collect());
        }
    }
    let mut faults = serde_json::Map::new();
    for fault in measured[0].faults.keys() {
        let correct = |m: &Measured| m.faults[fault].correct.clone();
        let minus = |(a, b): (&Measured, &Measured)| correct(a).iter().zip(correct(b)).map(|(a, b)| a - b).collect();
        let accuracy = interval(measured.iter().map(correct).collect());
        let difference = baseline.map(|b| interval(measured.iter().zip(b).map(minus).collect()));
        let weight = mean(measured.iter().map(|m| m.faults[fault].weight));
        faults.insert(fault.clone(), json!({"accuracy": accuracy, "difference": difference, "weight": weight}));
    }
    let by_view = |values: fn(&Measured) -> &Vec<f64>| -> Vec<f64> {
        (0..values(&measured[0]).len()).map(|m| mean(measured.iter().map(|x| values(x)[m]))).collect()
    };
    json!({
        "name": name,
        "seeds": measured.len(),
        "levels": LEVELS,
        "curves": curves,
        "differences": differences,
        "faults": faults,
        "correlation": by_view(|m| &m.correlation),
        "correlation_half_clean": by_view(|m| &m.correlation_half_clean),
        "clean_weights": by_view(|m| &m.clean_weights),
        "dependence": by_view(|m| &m.dependence),
    })
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// `[mean, low, high]` of one number a sample and seed: seeds resampled, then the samples of each.
fn interval(seeds: Vec<Vec<f64>>) -> Value {
    let observed = mean(seeds.iter().map(|values| mean(values.iter().copied())));
    let mut random = rng::stream(0, "interval", &[]);
    let mut resample = || {
        mean((0..seeds.len()).map(|_| {
            let values = &seeds[random.random_range(0..seeds.len())];
            mean((0..values.len()).map(|_| values[random.random_range(0..values.len())]))
        }))
    };
    let mut draws: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
    draws.sort_by(f64::total_cmp);
    json!([observed, draws[RESAMPLES / 40], draws[RESAMPLES - 1 - RESAMPLES / 40]])
}
