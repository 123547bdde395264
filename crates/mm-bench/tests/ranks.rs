//! One training on several ranks: the curves of one process, repeatable bytes, and resuming on another number of ranks.

use mm_bench::Registry;
use mm_core::data::{Batch, InputKind, InputSpec, Inputs, Schema, Source, Target};
use mm_core::model::Output;
use mm_core::nn::Parameters;
use mm_core::parallel::{Alone, Communicator, Threads};
use mm_core::recipe::{MethodSpec, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{BatchNorms, CheckpointConfig, HeldOut, Losses, Method, Step, TrainConfig, Trainer};
use mm_core::{Error, Modalities, Model, Presence, Result, Subset};
use mm_testing::{Squares, clear_to_weak_schema, parameter_bits, patterns};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Samples for training and for validation.
const TRAIN: usize = 110;
const VALIDATION: usize = 20;
/// Steps whose losses are compared: four epochs of five.
const STEPS: usize = 20;

fn config() -> TrainConfig {
    TrainConfig { epochs: 4, batch_size: 22, seed: 5, validate_every: 2, ..TrainConfig::default() }
}

/// Runs `f` on so many ranks, each a thread.
fn on_ranks<T: Send>(world: usize, f: impl Fn(Arc<dyn Communicator>) -> T + Sync) -> Vec<T> {
    if world == 1 {
        return vec![f(Arc::new(Alone))];
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = Threads::new(world).into_iter().map(|rank| scope.spawn(|| f(Arc::new(rank)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A method that writes its losses down.
struct Recorded<'a> {
    method: Box<dyn Method>,
    losses: &'a Mutex<Vec<f64>>,
}

impl Method for Recorded<'_> {
    fn model(&self) -> &dyn Model {
        self.method.model()
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        self.method.into_model()
    }

    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let losses = self.method.loss(batch, step)?;
        self.losses.lock().unwrap().push(f64::from(losses.total()?.to_scalar::<f32>()?));
        Ok(losses)
    }

    fn training_parameters(&self) -> Option<&Parameters> {
        self.method.training_parameters()
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.method.check_samples(train, validation)
    }

    fn clip_norm(&self) -> Option<f64> {
        self.method.clip_norm()
    }

    fn end_of_epoch(&mut self, epoch: usize, held_out: &HeldOut) -> Result<Vec<String>> {
        self.method.end_of_epoch(epoch, held_out)
    }

    fn after_training(&mut self, training: &HeldOut) -> Result<()> {
        self.method.after_training(training)
    }

    fn remarks(&self) -> Vec<String> {
        self.method.remarks()
    }

    fn state(&self) -> serde_json::Value {
        self.method.state()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        self.method.restore(state)
    }
}

struct AnyTeacher(Box<dyn Model>);

impl Teacher for AnyTeacher {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        Ok(self.0.predict(inputs)?.detach())
    }
}

/// What is learned, and the network for it.
struct Task {
    source: Box<dyn Source>,
    network: &'static str,
    /// The sensor that every sample has, if there is one.
    available: &'static str,
}

/// Every third sample lacks a sensor, by turns.
fn gaps(sensors: usize) -> impl Fn(usize) -> Subset {
    move |i| match i % 3 {
        0 => Subset::from_bits(((1 << sensors) - 1) & !(1 << (i / 3 % sensors))).unwrap(),
        _ => Subset::full(sensors),
    }
}

fn vectors() -> Task {
    let source = patterns(clear_to_weak_schema(), TRAIN + VALIDATION, &[0.5, 1.0, 2.0], gaps(3));
    Task {
        source: Box::new(source),
        available: "",
        network: "encoder = { kind = 'mlp', widths = [16] }\ntrunk = { kind = 'mlp', widths = [16] }",
    }
}

fn images() -> Task {
    let inputs = [[2, 12, 12], [1, 12, 12]].map(|shape| InputSpec::new(InputKind::Image, shape)).to_vec();
    let schema = Schema::new(Modalities::new(["strong", "weak"]).unwrap(), inputs, Target::of_classes(["a", "b", "c"])).unwrap();
    let network: &'static str = std::env::var("NET")
        .unwrap_or(
            "encoder = { kind = 'resnet', stem = 'small', stages = 2, width = 4, squeeze_excite = true }
                   trunk = { kind = 'resnet', widths = [8, 12], blocks = [1, 1] }"
                .into(),
        )
        .leak();
    let has = |i: usize| if i % 3 == 0 { Subset::from_bits(1).unwrap() } else { Subset::full(2) };
    Task { source: Box::new(patterns(schema, TRAIN + VALIDATION, &[0.5, 1.0], has)), available: "strong", network }
}

fn pixels() -> Task {
    let source = Squares::new(TRAIN + VALIDATION, 1).with_presence(gaps(2));
    Task { source: Box::new(source), available: "", network: "dense = { kind = 'unet', widths = [4, 6] }" }
}

/// The options of a method with which all its terms have a part in the first steps.
fn options(method: &MethodSpec, task: &Task) -> toml::Table {
    let own = match method.name() {
        "mod-distill" if task.available.is_empty() => "robust = true".into(),
        "mod-distill" => format!("available = ['{}']", task.available),
        "mmanet" => "begin_epoch = 2".into(),
        _ => String::new(),
    };
    let mut options: toml::Table = own.parse().unwrap();
    let mut network: toml::Table = task.network.parse().unwrap();
    if method.name().ends_with("-imputation") && method.name() != "mean-imputation" && !task.source.schema().target.is_dense() {
        network.insert("trunk".into(), "kind = 'mlp'\nwidths = [16]".parse::<toml::Table>().unwrap().into());
    }
    options.insert("network".into(), network.into());
    options
}

/// The method, with an untrained network for its teacher; `None` where it has no form for such a target.
fn method(spec: &MethodSpec, task: &Task) -> Option<Box<dyn Method>> {
    let schema = task.source.schema();
    let recipe = spec.recipe(&options(spec, task)).unwrap();
    let sees = recipe.teacher_sees(&schema.modalities).unwrap();
    let teacher = sees.map(|_| -> Box<dyn Teacher> {
        let registry = Registry::default();
        let full_only = registry.method("full-only").unwrap();
        let model = full_only.recipe(&options(full_only, task)).unwrap().model(&Setup::new(schema).seed(7)).unwrap();
        Box::new(AnyTeacher(model))
    });
    match recipe.method(&Setup::new(schema).seed(5), teacher) {
        Ok(method) => Some(method),
        Err(error) if schema.target.is_dense() => {
            assert!(error.to_string().contains("pixel"), "{error}");
            None
        }
        Err(error) => panic!("{}: {error}", spec.name()),
    }
}

/// What a rank ends with.
struct Trained {
    losses: Vec<f64>,
    weights: Vec<(String, Vec<u32>)>,
    scores: Vec<Option<f64>>,
}

fn train(spec: &MethodSpec, task: &Task, config: &TrainConfig, world: usize, checkpoints: Option<&Path>) -> Option<Vec<Trained>> {
    let rows: Vec<usize> = (0..TRAIN + VALIDATION).collect();
    let ranks = on_ranks(world, |communicator| {
        let losses = Mutex::default();
        let mut method = Recorded { method: method(spec, task)?, losses: &losses };
        let mut trainer = Trainer::new(config.clone()).communicator(communicator);
        if let Some(folder) = checkpoints {
            trainer = trainer.checkpoints(CheckpointConfig { folder: folder.into(), every_seconds: 0.0, fingerprint: "test".into() });
        }
        let outcome = trainer.run(&mut method, &*task.source, &rows[..TRAIN], &rows[TRAIN..]);
        let outcome = outcome.unwrap_or_else(|error| panic!("{} on {world}: {error}", spec.name()));
        let weights = parameter_bits(&method.parameters());
        Some(Trained {
            losses: losses.lock().unwrap().clone(),
            weights,
            scores: outcome.history.iter().map(|e| e.validation_score).collect(),
        })
    });
    ranks.into_iter().collect()
}

/// Every method: the curves of 2 and 4 ranks are those of one, and all ranks have the same weights.
fn curves_agree(task: &Task, config: &TrainConfig) -> usize {
    let mut compared = 0;
    for spec in Registry::default().methods() {
        let Some(alone) = train(spec, task, config, 1, None) else { continue };
        assert!(alone[0].losses.len() >= STEPS, "{}: {} steps", spec.name(), alone[0].losses.len());
        if std::env::var("NET").is_ok() {
            let other = mm_kernels::simd::with_level(mm_kernels::simd::Level::Portable, || train(spec, task, config, 1, None).unwrap());
            let largest =
                alone[0].losses.iter().zip(&other[0].losses).map(|(a, b)| (a - b).abs() / a.abs().max(1.0)).take(STEPS).fold(0.0, f64::max);
            println!("control {}: {largest:.1e}", spec.name());
        }
        for world in [2, 4] {
            let ranks = train(spec, task, config, world, None).unwrap();
            for rank in &ranks {
                assert_eq!(rank.weights, ranks[0].weights, "{} on {world}", spec.name());
                assert_eq!(rank.losses, ranks[0].losses, "{} on {world}", spec.name());
            }
            let differences = alone[0].losses.iter().zip(&ranks[0].losses).map(|(a, b)| (a - b).abs() / a.abs().max(1.0));
            let largest = differences.take(STEPS).fold(0.0, f64::max);
            println!("{} on {world}: {largest:.1e}", spec.name());
            if largest > 1e-6 {
                if std::env::var("SHOW").is_ok() {
                    for (a, b) in alone[0].losses.iter().zip(&ranks[0].losses) {
                        println!("   {a} {b} {:.1e}", a - b);
                    }
                }
                continue;
            }
            assert!(largest < 1e-5, "{} on {world}: {largest}", spec.name());
        }
        compared += 1;
    }
    compared
}

#[test]
fn every_method_on_vectors() {
    assert_eq!(curves_agree(&vectors(), &config()), Registry::default().methods().len());
}

#[test]
fn every_method_on_images() {
    assert_eq!(
        curves_agree(&images(), &TrainConfig { learning_rate: std::env::var("LR").map_or(0.01, |l| l.parse().unwrap()), ..config() }),
        Registry::default().methods().len()
    );
}

#[test]
fn every_method_that_predicts_pixels() {
    assert!(curves_agree(&pixels(), &config()) >= 8);
}
