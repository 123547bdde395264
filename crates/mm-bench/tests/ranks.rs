//! One training on several ranks: the curves of one process, repeatable bytes, and resuming on another number of ranks.

use mm_bench::Registry;
use mm_core::data::{Batch, InputKind, InputSpec, Inputs, Meta, Sample, Schema, Source, TableDataset, Target};
use mm_core::model::Output;
use mm_core::nn::Parameters;
use mm_core::parallel::{Alone, Communicator, Threads, sum_in_rank_order};
use mm_core::recipe::{MethodSpec, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{BatchNorms, CheckpointConfig, ClassWeights, HeldOut, Losses, Method, Step, TrainConfig, Trainer};
use mm_core::{Error, Modalities, Model, ParallelError, Presence, Result, Subset};
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
    /// The step of the run that fails.
    fails: Option<usize>,
}

impl Method for Recorded<'_> {
    fn model(&self) -> &dyn Model {
        self.method.model()
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        self.method.into_model()
    }

    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        if self.fails.is_some_and(|fails| step.epoch * step.steps + step.step >= fails) {
            return Err(Error::config("test", "fails here"));
        }
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
    let network = "encoder = { kind = 'resnet', stem = '3x3', stages = 1, width = 8 }
                   trunk = { kind = 'resnet', widths = [16], blocks = [1] }";
    let has = |i: usize| if i.is_multiple_of(3) { Subset::from_bits(1).unwrap() } else { Subset::full(2) };
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

type Outcome = Result<Trained>;

/// One rank's training; from the step on that `fails` says, rank 1 reports an error.
fn train_rank(
    spec: &MethodSpec,
    task: &Task,
    config: &TrainConfig,
    communicator: Arc<dyn Communicator>,
    checkpoints: Option<&Path>,
    fails: Option<usize>,
) -> Option<Outcome> {
    let rows: Vec<usize> = (0..TRAIN + VALIDATION).collect();
    let losses = Mutex::default();
    let fails = fails.filter(|_| communicator.rank() == 1);
    let mut method = Recorded { method: method(spec, task)?, losses: &losses, fails };
    let mut trainer = Trainer::new(config.clone()).communicator(communicator);
    if let Some(folder) = checkpoints {
        trainer = trainer.checkpoints(CheckpointConfig { folder: folder.into(), every_seconds: 0.0, fingerprint: "test".into() });
    }
    let outcome = trainer.run(&mut method, &*task.source, &rows[..TRAIN], &rows[TRAIN..]);
    let weights = parameter_bits(&method.parameters());
    let losses = losses.lock().unwrap().clone();
    Some(outcome.map(|outcome| Trained { losses, weights, scores: outcome.history.iter().map(|epoch| epoch.validation_score).collect() }))
}

/// `None` where the method has no form for the target.
fn train(spec: &MethodSpec, task: &Task, config: &TrainConfig, world: usize) -> Option<Vec<Trained>> {
    let ranks = on_ranks(world, |communicator| train_rank(spec, task, config, communicator, None, None));
    ranks.into_iter().map(|rank| rank.map(|rank| rank.unwrap_or_else(|error| panic!("{} on {world}: {error}", spec.name())))).collect()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / a.abs().max(1.0)).fold(0.0, f64::max)
}

/// Every method: the curves of 2 and 4 ranks are those of one, and all ranks have the same weights.
fn curves_agree(task: &Task, config: &TrainConfig) -> usize {
    let mut compared = 0;
    for spec in Registry::default().methods() {
        let Some(alone) = train(spec, task, config, 1) else { continue };
        assert!(alone[0].losses.len() >= STEPS, "{}: {} steps", spec.name(), alone[0].losses.len());
        for world in [2, 4] {
            let ranks = train(spec, task, config, world).unwrap();
            for rank in &ranks {
                assert_eq!(rank.weights, ranks[0].weights, "{} on {world}", spec.name());
                assert_eq!(rank.losses, ranks[0].losses, "{} on {world}", spec.name());
            }
            let largest = largest_difference(&alone[0].losses[..STEPS], &ranks[0].losses[..STEPS]);
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

/// With small steps: where rounding opens or closes a ReLU, two curves part, on one process with other vector instructions as well.
#[test]
fn every_method_on_images() {
    let config = TrainConfig { learning_rate: 0.001, ..config() };
    assert_eq!(curves_agree(&images(), &config), Registry::default().methods().len());
}

/// What has no form for pixels is left out.
#[test]
fn every_method_that_predicts_pixels() {
    assert!(curves_agree(&pixels(), &TrainConfig { learning_rate: 0.001, ..config() }) >= 8);
}

fn dropout() -> MethodSpec {
    Registry::default().methods().iter().find(|spec| spec.name() == "modality-dropout").unwrap().clone()
}

#[test]
fn a_number_of_ranks_gives_the_same_bytes_each_time() {
    let (task, spec) = (images(), dropout());
    for batch_norm in [BatchNorms::Synchronised, BatchNorms::PerRank] {
        let config = TrainConfig { batch_norm, ..config() };
        let [first, again] = [0, 1].map(|_| train(&spec, &task, &config, 3).unwrap());
        for (a, b) in first.iter().zip(&again) {
            assert_eq!(a.weights, b.weights);
            assert_eq!(a.weights, first[0].weights);
            assert_eq!(a.scores, first[0].scores);
        }
    }
}

/// And so the comparison of curves can fail.
#[test]
fn norms_of_each_rank_are_another_training() {
    let (task, spec) = (images(), dropout());
    let config = TrainConfig { batch_norm: BatchNorms::PerRank, learning_rate: 0.001, ..config() };
    let alone = train(&spec, &task, &config, 1).unwrap();
    let two = train(&spec, &task, &config, 2).unwrap();
    let difference = largest_difference(&alone[0].losses, &two[0].losses);
    assert!(difference > 1e-3, "{difference}");
    assert!(difference < 0.5, "{difference}");
}

/// A table that does not say it is one: its samples are read by parts and exchanged. Those of series differ in length.
struct Files(TableDataset);

impl Source for Files {
    fn schema(&self) -> &Schema {
        self.0.schema()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn meta(&self, row: usize) -> Meta<'_> {
        self.0.meta(row)
    }

    fn read(&self, row: usize) -> Result<Sample> {
        let mut sample = self.0.read(row)?;
        for (input, reading) in self.schema().inputs.iter().zip(&mut sample.readings) {
            if let (InputKind::Series, Some(reading)) = (input.kind, reading) {
                reading.length = Some(5 + row % 8);
            }
        }
        Ok(sample)
    }
}

#[test]
fn series_that_differ_in_length_are_one_batch() {
    let inputs = [InputSpec::new(InputKind::Series, [2, 12]), InputSpec::vector(4)].to_vec();
    let schema = Schema::new(Modalities::new(["motion", "scale"]).unwrap(), inputs, Target::of_classes(["a", "b", "c"])).unwrap();
    let source = Box::new(Files(patterns(schema, TRAIN + VALIDATION, &[0.5, 1.0], gaps(2))));
    let network = "encoders = { motion = { kind = 'temporal', widths = [8] } }\ntrunk = { kind = 'mlp', widths = [16] }";
    let task = Task { source, network, available: "" };
    let config = TrainConfig { learning_rate: 0.005, ..config() };
    let alone = train(&dropout(), &task, &config, 1).unwrap();
    for world in [2, 4] {
        let ranks = train(&dropout(), &task, &config, world).unwrap();
        assert!(largest_difference(&alone[0].losses, &ranks[0].losses) < 1e-5);
    }
}

#[test]
fn what_is_read_by_parts_is_one_batch() {
    let spec = dropout();
    // Weights of classes are normalised over the batch, and each sample is mixed with the next, which another rank has read.
    let classes = std::collections::BTreeMap::from([("a".to_string(), 3.0), ("b".to_string(), 0.5)]);
    let config = TrainConfig { mixup: 0.3, class_weights: ClassWeights::ByName(classes), ..config() };
    let task = vectors();
    let table = patterns(clear_to_weak_schema(), TRAIN + VALIDATION, &[0.5, 1.0, 2.0], gaps(3));
    let files = Task { source: Box::new(Files(table)), ..vectors() };
    let alone = train(&spec, &task, &config, 1).unwrap();
    for world in [2, 4] {
        let ranks = train(&spec, &files, &config, world).unwrap();
        assert!(largest_difference(&alone[0].losses, &ranks[0].losses) < 1e-5);
    }
}

#[test]
fn a_rank_that_ends_ends_all_and_others_resume() {
    let (task, spec) = (vectors(), dropout());
    let config = TrainConfig { validate_every: 0, ..config() };
    let alone = train(&spec, &task, &config, 1).unwrap();
    for resumed_on in [1, 2, 4] {
        let folder = tempfile::tempdir().unwrap();
        let run = |world, fails| on_ranks(world, |ranks| train_rank(&spec, &task, &config, ranks, Some(folder.path()), fails).unwrap());
        let failed = run(2, Some(12));
        assert!(matches!(&failed[1], Err(Error::Config { field, .. }) if field == "test"));
        let gone = failed[0].as_ref().err().unwrap();
        assert!(matches!(gone, Error::Parallel(ParallelError::Gone { rank: 1 })), "{gone}");
        assert!(gone.to_string().contains("rank 1 has ended"), "{gone}");
        let resumed = run(resumed_on, None);
        let rest = &resumed[0].as_ref().unwrap().losses;
        assert_eq!(rest.len(), STEPS - 12);
        assert!(largest_difference(&alone[0].losses[12..], rest) < 1e-5);
    }
}

#[test]
fn ranks_with_other_settings_are_refused() {
    let (task, spec) = (vectors(), dropout());
    let outcomes = on_ranks(3, |ranks| {
        let config = TrainConfig { learning_rate: if ranks.rank() == 2 { 0.1 } else { 0.2 }, ..config() };
        train_rank(&spec, &task, &config, ranks, None, None).unwrap()
    });
    for outcome in outcomes {
        let error = outcome.err().unwrap();
        assert!(matches!(error, Error::Parallel(ParallelError::Differs { what: "settings", rank: 2 })), "{error}");
    }
}

#[test]
fn ranks_at_different_exchanges_are_told_so() {
    let outcomes = on_ranks(2, |ranks| ranks.all_gather(["weights", "gradients"][ranks.rank()], &[1]));
    for (own_rank, outcome) in outcomes.into_iter().enumerate() {
        let Err(ParallelError::Mismatch { own_rank: found, own, theirs, .. }) = outcome else { panic!() };
        assert_eq!(found, own_rank);
        assert_ne!(own, theirs);
    }
}

/// In the order of the ranks, whichever came first: large numbers cancel before the small one is added.
#[test]
fn sums_are_in_the_order_of_the_ranks() {
    let of_rank: [&[f32]; 3] = [&[1e8, 1.0, 3.0, 0.5, 0.0], &[-1e8, 1e8, 4.0, 0.25, 0.0], &[1.0, -1e8, 5.0, 0.125, 7.0]];
    for _ in 0..20 {
        let sums = on_ranks(3, |ranks| {
            let mut values = of_rank[ranks.rank()].to_vec();
            sum_in_rank_order(&*ranks, "test", &mut values).unwrap();
            values
        });
        // Of the second column 1 is lost in 1e8, as it must be in this order.
        assert_eq!(sums, vec![vec![1.0, 0.0, 12.0, 0.875, 7.0]; 3]);
    }
}
