//! The method where every pixel has a class.

use candle_core::{Device, Tensor};
use mm_baselines::FusionConfig;
use mm_core::data::{Inputs, Source};
use mm_core::dense::{BackboneConfig, DecoderConfig, DenseConfig, DenseModel, EsaNetConfig, UNetConfig};
use mm_core::eval::{default_combinations, evaluate};
use mm_core::fusion::NetworkConfig;
use mm_core::model::Output;
use mm_core::nn::{Mode, is_running_statistic};
use mm_core::optim::ScheduleConfig;
use mm_core::recipe::{AnyRecipe, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{CheckpointConfig, HeldOut, Method, Step, TrainConfig, TrainOutcome, Trainer};
use mm_core::{Model, Result, Subset};
use mm_testing::{Squares, bits, fit, parameter_bits, spoilt};
use mmanet::{DenseMmanet, MmanetConfig, Ranking, WeakSupervision};
use std::path::Path;
use std::sync::Arc;

const IMAGES: usize = 32;
const SUPERVISIONS: [WeakSupervision; 3] = [WeakSupervision::Branch, WeakSupervision::Redraw, WeakSupervision::Both];

fn unet() -> NetworkConfig {
    let unet = UNetConfig { widths: vec![4, 8, 8], side_outputs: true, ..UNetConfig::default() };
    NetworkConfig { dense: Some(DenseConfig::UNet(unet)), ..NetworkConfig::default() }
}

fn esanet() -> NetworkConfig {
    let encoder = BackboneConfig { depth: 18, width: 16, ..BackboneConfig::default() };
    let esanet = EsaNetConfig { encoder, decoder: DecoderConfig { channels: [16; 3], blocks: 1 }, ..EsaNetConfig::default() };
    NetworkConfig { dense: Some(DenseConfig::EsaNet(esanet)), ..NetworkConfig::default() }
}

fn config(supervision: WeakSupervision) -> MmanetConfig {
    MmanetConfig { network: unet(), begin_epoch: 2, lambda_mad: 1.0, supervision, ..MmanetConfig::default() }
}

fn by_hand(supervision: WeakSupervision) -> MmanetConfig {
    // Every combination is weak, so that every batch has a weak sample.
    let all = ["near", "far", "near+far"].map(String::from).to_vec();
    MmanetConfig { weak_combinations: Some(all), begin_epoch: 0, ..config(supervision) }
}

/// A model as a teacher.
struct Taught(Box<dyn Model>);

impl Teacher for Taught {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        Ok(self.0.predict(inputs)?.detach())
    }
}

fn train_config(epochs: usize) -> TrainConfig {
    // A constant rate, so that a run stopped early is the beginning of a longer one.
    let schedule = ScheduleConfig::Constant { warmup_epochs: 0.0 };
    TrainConfig { epochs, batch_size: 8, learning_rate: 0.1, schedule, ..TrainConfig::default() }
}

fn split() -> (Vec<usize>, Vec<usize>) {
    (0..IMAGES).partition(|row| row % 4 != 0)
}

fn teacher(network: NetworkConfig) -> Taught {
    let data = Squares::new(IMAGES, 0);
    let full_only = FusionConfig { network, ..FusionConfig::full_only() };
    let mut method = AnyRecipe::method(&full_only, &Setup::new(data.schema()).seed(9), None).unwrap();
    Trainer::new(train_config(2)).run(&mut *method, &data, &split().0, &[]).unwrap();
    Taught(method.into_model())
}

fn build(config: MmanetConfig, data: &Squares) -> DenseMmanet {
    let teacher = teacher(config.network.clone());
    DenseMmanet::new(config, &Setup::new(data.schema()).seed(2), teacher).unwrap()
}

fn trained(config: MmanetConfig, epochs: usize, folder: Option<&Path>) -> (DenseMmanet, TrainOutcome) {
    let data = Squares::new(IMAGES, 0);
    let mut method = build(config, &data);
    let checkpoints = folder.map(|f| CheckpointConfig { folder: f.into(), every_seconds: 0.0, fingerprint: "dense".into() });
    let (train, held_out) = split();
    let outcome = fit(&mut method, &data, &train, &held_out, &train_config(epochs), checkpoints.as_ref()).unwrap();
    (method, outcome)
}

fn step(epoch: usize) -> Step {
    Step { seed: 1, epoch, epochs: 10, step: 0, steps: 1 }
}

fn number(tensor: &Tensor) -> f64 {
    f64::from(tensor.to_scalar::<f32>().unwrap())
}

#[test]
fn learns_every_combination_and_mines_one() {
    let test = Squares::new(12, 1);
    let rows: Vec<usize> = (0..test.len()).collect();
    for supervision in SUPERVISIONS {
        let (method, outcome) = trained(config(supervision), 30, None);
        let of = |epoch: usize, name: &str| outcome.history[epoch].losses.get(name).copied();
        assert!(of(29, "task").unwrap() < 0.6 * of(0, "task").unwrap(), "{supervision:?} {:?}", outcome.history);
        // The terms of the method begin when they should.
        for (name, acts) in
            [("mad", true), ("mar", supervision != WeakSupervision::Redraw), ("weak", supervision != WeakSupervision::Branch)]
        {
            assert_eq!(of(1, name), None, "{supervision:?} {name}");
            assert_eq!((2..30).any(|epoch| of(epoch, name).is_some()), acts, "{supervision:?} {name}");
        }
        assert_eq!(method.mined().weak.len(), 1);
        assert!(outcome.notes[0].starts_with("mined weak combinations (weakest first): "), "{:?}", outcome.notes);
        let model = Box::new(method).into_model();
        let evaluation = evaluate(&*model, &test, &rows, &default_combinations(2, 0), 5, &Device::Cpu).unwrap();
        assert_eq!(evaluation.combinations.len(), 3);
        for combination in &evaluation.combinations {
            // Naming the ground everywhere reaches less than one half.
            let iou = combination.scored.get("miou");
            assert!(iou > 0.55, "{supervision:?} {:?}: {iou}", combination.subset);
        }
    }
}

#[test]
fn distances_are_squared_falls_of_the_mean_iou() {
    let data = Squares::new(IMAGES, 0).with_presence(|i| if i % 8 == 4 { Subset::single(1) } else { Subset::full(2) });
    let held_out: Vec<usize> = (0..IMAGES).filter(|row| row % 4 == 0).collect();
    let mut method = build(config(WeakSupervision::Redraw), &data);
    let rows = |rows| HeldOut { source: &data, rows, batch_size: 3, device: &Device::Cpu };
    assert!(method.end_of_epoch(0, &rows(&held_out)).unwrap().is_empty());
    assert_eq!(method.mined().distances, [0.0, 0.0]);
    assert_eq!(method.end_of_epoch(1, &rows(&held_out)).unwrap().len(), 1);
    // Samples without a sensor cannot be compared with all of them.
    let complete: Vec<usize> = held_out.iter().copied().filter(|row| row % 8 == 0).collect();
    let evaluation = evaluate(method.model(), &data, &complete, &default_combinations(2, 0), 3, &Device::Cpu).unwrap();
    let iou = |subset| evaluation.combinations.iter().find(|c| c.subset == subset).unwrap().scored.get("miou");
    let mined = method.mined();
    for (&candidate, &distance) in mined.candidates.iter().zip(&mined.distances) {
        assert!((distance - (iou(Subset::full(2)) - iou(candidate)).powi(2)).abs() < 1e-9, "{candidate:?} {distance}");
    }
    let furthest = (0..2).max_by(|&a, &b| mined.distances[a].total_cmp(&mined.distances[b])).unwrap();
    assert!(mined.distances[0] == mined.distances[1] || mined.weak == [mined.candidates[furthest]]);
    // Nothing complete, nothing to compare with.
    let error = build(config(WeakSupervision::Redraw), &data).end_of_epoch(1, &rows(&[4, 12])).unwrap_err().to_string();
    assert!(error.contains("held-out samples with all modalities"), "{error}");
}

#[test]
fn what_an_absent_sensor_holds_is_not_read() {
    let data = Squares::new(6, 2).with_presence(|i| [Subset::full(2), Subset::single(0), Subset::single(1)][i % 3]);
    let batch = data.batch(&[0, 1, 2, 3, 4, 5], &Device::Cpu).unwrap();
    let has = batch.presence().subsets().to_vec();
    let nan = spoilt(&batch, f32::NAN, |row, sensor| !has[row].contains(sensor));
    for supervision in SUPERVISIONS {
        let loss = |batch| bits(&build(by_hand(supervision), &data).loss(batch, &step(3)).unwrap().total().unwrap());
        assert_eq!(loss(&batch), loss(&nan), "{supervision:?}");
        let (method, _) = trained(config(supervision), 3, None);
        let predicted = method.model().predict(batch.inputs()).unwrap().prediction;
        assert_eq!(predicted.dims(), [6, 2, 16, 16]);
        assert_eq!(bits(&predicted), bits(&method.model().predict(nan.inputs()).unwrap().prediction), "{supervision:?}");
        assert!(predicted.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|x| x.is_finite()));
    }
}

#[test]
fn same_seed_same_bits_and_a_resumed_run_is_the_same_run() {
    for supervision in [WeakSupervision::Redraw, WeakSupervision::Both] {
        let whole = trained(config(supervision), 4, None).0;
        assert_eq!(parameter_bits(&whole.parameters()), parameter_bits(&trained(config(supervision), 4, None).0.parameters()));
        // Stopped while mining, and after it.
        for stop in [1, 3] {
            let folder = tempfile::tempdir().unwrap();
            trained(config(supervision), stop, Some(folder.path()));
            let resumed = trained(config(supervision), 4, Some(folder.path())).0;
            assert_eq!(parameter_bits(&whole.parameters()), parameter_bits(&resumed.parameters()), "{supervision:?} {stop}");
            assert_eq!(whole.mined(), resumed.mined());
        }
        let mut other = build(config(supervision), &Squares::new(IMAGES, 0));
        other.restore(&whole.state()).unwrap();
        assert_eq!(other.mined(), whole.mined());
    }
}

#[test]
fn the_deployed_file_has_neither_teacher_nor_regularization_decoder() {
    let (method, _) = trained(config(WeakSupervision::Both), 3, None);
    assert!(method.parameters().names().iter().any(|name| name.starts_with("regularization.")));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    method.model().parameters().save(&path, |_| true).unwrap();
    let (tensors, _) = mm_core::weights::load(&path, &Device::Cpu).unwrap();
    assert!(tensors.keys().all(|name| ["encoders.", "decoder."].iter().any(|prefix| name.starts_with(prefix))), "{:?}", tensors.keys());
    // And it is all that a model for prediction needs.
    let test = Squares::new(4, 1);
    let deployed = AnyRecipe::model(&config(WeakSupervision::Both), &Setup::new(test.schema()).for_loading()).unwrap();
    deployed.parameters().load(&path).unwrap();
    let batch = test.batch(&[0, 1, 2, 3], &Device::Cpu).unwrap();
    let predicted = |model: &dyn Model| bits(&model.predict(batch.inputs()).unwrap().prediction);
    assert_eq!(predicted(&*deployed), predicted(method.model()));
}

/// A teacher that hands out the graph behind its answers.
struct Careless(Arc<DenseModel>);

impl Teacher for Careless {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        self.0.network().forward(inputs, inputs.presence(), Mode::Train)
    }
}

#[test]
fn gradients_reach_the_network_and_the_branch_and_never_the_teacher() {
    let data = Squares::new(8, 3);
    let batch = data.batch(&(0..8).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let setup = Setup::new(data.schema());
    for network in [unet(), esanet()] {
        let dense = network.dense.clone().unwrap();
        let teacher = Arc::new(DenseModel::new(&dense, data.schema(), 2, setup.clone().seed(5).parameters()).unwrap());
        let config = MmanetConfig { network, cache_teacher: false, ..by_hand(WeakSupervision::Both) };
        let mut method = DenseMmanet::new(config, &setup, Careless(teacher.clone())).unwrap();
        let losses = method.loss(&batch, &step(0)).unwrap();
        let names: Vec<&str> = losses.terms().map(|(name, _)| name).collect();
        assert_eq!(names, ["task", "mad", "mar", "weak"]);
        assert!(losses.terms().all(|(_, value)| number(value) > 0.0), "{losses:?}");
        let gradients = losses.total().unwrap().backward().unwrap();
        let trained = |(name, _): &(String, _)| !is_running_statistic(name);
        for (name, variable) in method.parameters().variables().into_iter().filter(trained) {
            let gradient = gradients.get(&variable).unwrap_or_else(|| panic!("no gradient for {name}"));
            assert!(number(&gradient.abs().unwrap().sum_all().unwrap()).is_finite(), "{name}");
        }
        for (name, variable) in teacher.parameters().variables() {
            assert!(gradients.get(&variable).is_none(), "the teacher's {name}");
        }
        // The distillation reaches the encoders, and no decoder.
        let mad = losses.terms().find(|(name, _)| *name == "mad").unwrap().1.backward().unwrap();
        let reached = |prefix: &str| {
            method.parameters().variables().iter().filter(|(name, _)| name.starts_with(prefix)).any(|(_, v)| mad.get(v).is_some())
        };
        assert!(reached("encoder") && !reached("decoder.") && !reached("regularization."));
        let predicted = method.model().predict(batch.inputs()).unwrap().prediction;
        assert_eq!(predicted.dims(), [8, 2, 16, 16]);
    }
}

#[test]
fn rankings_of_classes_of_samples_are_refused() {
    let data = Squares::new(4, 0);
    for ranking in [Ranking::Histogram, Ranking::SoftmaxTwice] {
        let config = MmanetConfig { ranking, ..config(WeakSupervision::Redraw) };
        let teacher: Box<dyn Teacher> = Box::new(teacher(unet()));
        let error = AnyRecipe::method(&config, &Setup::new(data.schema()), Some(teacher)).err().expect("refused").to_string();
        assert!(error.contains("ranking") && error.contains("mean IoU"), "{error}");
    }
    let error = AnyRecipe::method(&config(WeakSupervision::Redraw), &Setup::new(data.schema()), None).err().expect("refused").to_string();
    assert!(error.contains("teacher"), "{error}");
}
