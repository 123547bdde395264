//! No method at its defaults gives NaN, whatever the number of sensors, the share that is missing, the batch size and the tails.

use candle_core::Device;
use mm_bench::{Registry, Resolved};
use mm_core::data::{InputSpec, Schema, Source, Split, Standardizer, TableDataset, Target};
use mm_core::eval::{default_combinations, evaluate};
use mm_core::recipe::MethodSpec;
use mm_core::train::{Method, TrainConfig, Trainer};
use mm_core::{DeviceName, Modalities, Presence, Subset, rng};
use rand::RngExt;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

const CLASSES: usize = 3;

/// What the values are, besides the pattern of their class.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tails {
    Gaussian,
    /// Student's t with 1.5 degrees of freedom, which has no variance.
    StudentT,
    /// Normal, and one value in fifty is sixty standard deviations off.
    Spikes,
}
use Tails::{Gaussian, Spikes, StudentT};

impl Tails {
    fn draw(self, random: &mut rng::Rng) -> f32 {
        let normal = rng::standard_normal(random, 1)[0];
        let (u, v) = (random.random::<f64>(), random.random::<f64>());
        match self {
            // Bailey's polar method.
            StudentT => ((1.5 * ((1.0 - u).powf(-2.0 / 1.5) - 1.0)).sqrt() * (std::f64::consts::TAU * v).cos()) as f32,
            Spikes if u < 0.02 => normal + 60.0,
            _ => normal,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    method: &'static str,
    sensors: usize,
    missing: f64,
    batch_size: usize,
    tails: Tails,
    seed: u64,
}

/// Three fifths of the samples train, a fifth is for validation, a fifth for the test; standardized. One sample in twelve is complete, for
/// the methods that need such samples.
fn data(cell: &Cell, samples: usize) -> (TableDataset, Split) {
    let mut random = rng::stream(cell.seed, "grid", &[cell.sensors as u64]);
    let widths: Vec<usize> = (0..cell.sensors).map(|m| 2 + m % 5).collect();
    let modalities = Modalities::new((0..cell.sensors).map(|m| format!("m{m}"))).unwrap();
    let classes = Target::of_classes((0..CLASSES).map(|c| c.to_string()));
    let schema = Schema::new(modalities, widths.iter().map(|&w| InputSpec::vector(w)).collect(), classes).unwrap();
    let labels: Vec<u32> = (0..samples).map(|i| (i % CLASSES) as u32).collect();
    let mut tables = Vec::new();
    for &width in &widths {
        let patterns = rng::standard_normal(&mut random, CLASSES * width);
        let pattern = |i: usize| 2.0 * patterns[labels[i / width] as usize * width + i % width];
        tables.push((0..samples * width).map(|i| pattern(i) + cell.tails.draw(&mut random)).collect());
    }
    let mut has = |i: usize| {
        let kept: Vec<usize> = (0..cell.sensors).filter(|_| i.is_multiple_of(12) || random.random::<f64>() >= cell.missing).collect();
        Subset::from_indices(kept).unwrap_or_else(|_| Subset::single(i % cell.sensors))
    };
    let presence = Presence::new((0..samples).map(&mut has).collect());
    let mut data = TableDataset::new(schema, tables, presence, labels).unwrap();
    let (train, test) = (samples * 3 / 5, samples * 4 / 5);
    let split = Split { train: (0..train).collect(), validation: (train..test).collect(), test: (test..samples).collect() };
    Standardizer::fit(&data, &split.train).unwrap().apply(&mut data).unwrap();
    (data, split)
}

impl Cell {
    /// Trains the method, its teacher before it, and predicts every combination that a test sample has; the mean accuracy.
    fn run(&self, samples: usize, epochs: usize, folder: &Path) -> Result<f64, String> {
        let (data, split) = data(self, samples);
        let train = TrainConfig { epochs, batch_size: self.batch_size, seed: self.seed, ..TrainConfig::default() };
        let teacher = folder.join(format!("{self:?}.safetensors"));
        let registry = Registry::default();
        // Without it, somebody has to say which sensors are privileged.
        let options: toml::Table =
            if self.method == "mod-distill" { [("robust".into(), true.into())].into_iter().collect() } else { toml::Table::new() };
        let trained = |method: &str, options: &toml::Table| -> anyhow::Result<Box<dyn Method>> {
            let (data_hash, card) = (String::new(), String::new());
            let (train_per_class, combinations, corruptions, key, weights) = (None, None, Vec::new(), None, BTreeMap::new());
            let (method, options, train) = (method.to_string(), options.clone(), train.clone());
            let resolved = Resolved {
                program: String::new(),
                level: None,
                device: DeviceName::Cpu,
                data_hash,
                data_stamp: String::new(),
                card,
                score: None,
                train_per_class,
                train_on_validation: false,
                absent: None,
                method,
                options,
                train,
                combinations,
                corruptions,
                teacher: key,
                weights,
            };
            let mut method = registry.build(&resolved, data.schema(), Some(&teacher))?;
            Trainer::new(resolved.train).run(&mut *method, &data, &split.train, &split.validation)?;
            Ok(method)
        };
        let evaluated = || -> anyhow::Result<f64> {
            if registry.method(self.method)?.recipe(&options)?.teacher_sees(&data.schema().modalities)?.is_some() {
                trained("full-only", &toml::Table::new())?.model().parameters().save(&teacher, |_| true)?;
            }
            // Refuses predictions that are not finite.
            let combinations = default_combinations(self.sensors, 0);
            let model = trained(self.method, &options)?.into_model();
            Ok(evaluate(&*model, &data, &split.test, &combinations, 512, &Device::Cpu)?.mean("accuracy"))
        };
        evaluated().map_err(|error| format!("{error:#}"))
    }

    /// One sensor is no task for two of the methods, and a network for each of 2^8 combinations is none for a test.
    fn makes_sense(&self) -> bool {
        match self.method {
            "mmanet" | "dmrnet" => self.sensors > 1,
            "per-combination" => self.sensors <= 4,
            _ => true,
        }
    }
}

/// All methods by name.
fn methods() -> Vec<&'static str> {
    Registry::default().methods().iter().map(MethodSpec::name).collect()
}

/// Runs the cells side by side.
fn run(cells: Vec<Cell>, samples: usize, epochs: usize) -> Vec<(Cell, Result<f64, String>)> {
    let folder = tempfile::tempdir().unwrap();
    let cells: Vec<Cell> = cells.into_iter().filter(Cell::makes_sense).collect();
    cells.into_par_iter().map(|cell| (cell, cell.run(samples, epochs, folder.path()))).collect()
}

/// Cells in which UDML and static fusion ended in NaN before their variances and gradients were bounded, and corners of the grid.
const SMALL: [(usize, f64, usize, Tails); 9] = [
    (1, 0.0, 2, Gaussian),
    (2, 0.0, 2, Spikes),
    (2, 0.0, 8, Spikes),
    (3, 0.4, 4, StudentT),
    (4, 0.7, 8, Gaussian),
    (4, 0.0, 2, Gaussian),
    (8, 0.85, 8, StudentT),
    (16, 0.85, 16, Spikes),
    (16, 0.0, 64, StudentT),
];

#[test]
fn no_method_gives_nan_at_its_defaults() {
    let cell = |method: &'static str| {
        SMALL.map(|(sensors, missing, batch_size, tails)| Cell { method, sensors, missing, batch_size, tails, seed: 0 })
    };
    assert_eq!(methods().len(), 16);
    let results = run(methods().into_iter().flat_map(cell).collect(), 120, 4);
    assert!(results.len() > 90);
    let failed: Vec<_> = results.iter().filter_map(|(cell, result)| result.as_ref().err().map(|why| (cell, why))).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Hours: `cargo test -p mm-bench --release --test grid -- --ignored --nocapture`; `MM_GRID_METHODS=udml,dmrnet` runs some methods only, and
/// `MM_GRID_SEEDS=1` fewer seeds.
#[test]
#[ignore = "takes hours"]
fn the_whole_grid() {
    let seeds: u64 = std::env::var("MM_GRID_SEEDS").map_or(5, |seeds| seeds.parse().unwrap());
    let wanted = std::env::var("MM_GRID_METHODS").unwrap_or_default();
    let mut failures = 0;
    println!("method, cells, failed, mean accuracy by batch size 2, 4, 8, 16, 64");
    for method in methods().into_iter().filter(|method| wanted.is_empty() || wanted.split(',').any(|name| name == *method)) {
        let mut cells = Vec::new();
        for (sensors, missing) in [1, 2, 4, 8, 16].into_iter().flat_map(|sensors| [0.0, 0.4, 0.7, 0.85].map(|missing| (sensors, missing))) {
            for (batch_size, tails) in
                [2, 4, 8, 16, 64].into_iter().flat_map(|size| [Gaussian, StudentT, Spikes].map(|tails| (size, tails)))
            {
                cells.extend((0..seeds).map(|seed| Cell { method, sensors, missing, batch_size, tails, seed }));
            }
        }
        let results = run(cells, 160, 6);
        let failed: Vec<_> = results.iter().filter_map(|(cell, result)| result.as_ref().err().map(|why| (cell, why))).collect();
        let accuracy = [2, 4, 8, 16, 64].map(|size| {
            let right: Vec<f64> =
                results.iter().filter(|(c, _)| c.batch_size == size).filter_map(|(_, r)| r.as_ref().ok().copied()).collect();
            format!("{:.3}", right.iter().sum::<f64>() / right.len() as f64)
        });
        println!("{method}, {}, {}, {}", results.len(), failed.len(), accuracy.join(" "));
        failed.iter().take(20).for_each(|failure| println!("    {failure:?}"));
        failures += failed.len();
    }
    assert_eq!(failures, 0);
}
