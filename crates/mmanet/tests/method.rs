//! The method on small synthetic data: one strong and two weak modalities.

use candle_core::{Device, Tensor, Var};
use mm_baselines::{BaselineModel, Fusion, FusionConfig};
use mm_core::data::{InputSpec, Schema, TableDataset, Target};
use mm_core::loss::{cross_entropy_per_sample, entropy_per_sample};
use mm_core::missing::MissingPattern;
use mm_core::optim::ScheduleConfig;
use mm_core::recipe::{Recipe, Setup};
use mm_core::train::{CheckpointConfig, Method, TrainConfig};
use mm_core::{Modalities, Model, Presence, Subset, rng};
use mm_testing::fit;
use mmanet::{Mmanet, MmanetConfig, Ranking, WeakSupervision, Weighting, margin_aware_distillation, weak_combination_loss};
use rand::RngExt;
use std::path::Path;

const SAMPLES: usize = 240;

fn schema() -> Schema {
    let inputs = [6, 4, 4].map(InputSpec::vector).to_vec();
    Schema::new(
        Modalities::new(["strong", "weak_a", "weak_b"]).unwrap(),
        inputs,
        Target::of_classes(["x", "y", "z"].map(String::from).to_vec()),
    )
    .unwrap()
}

fn data() -> TableDataset {
    let mut random = rng::stream(1, "data", &[]);
    let labels: Vec<u32> = (0..SAMPLES as u32).map(|i| i % 3).collect();
    let columns = [(6usize, 2.0f32), (4, 0.3), (4, 0.15)].map(|(width, signal)| {
        labels
            .iter()
            .flat_map(|&y| (0..width).map(|d| signal * f32::from(d as u32 == y) + random.random::<f32>() - 0.5).collect::<Vec<_>>())
            .collect()
    });
    TableDataset::new(schema(), columns.to_vec(), Presence::uniform(Subset::full(3), SAMPLES), labels).unwrap()
}

fn split() -> (Vec<usize>, Vec<usize>) {
    (0..SAMPLES).partition(|row| row % 4 != 0)
}

fn train_config(epochs: usize) -> TrainConfig {
    // A constant rate, so that a run stopped early is the beginning of a longer one.
    let schedule = ScheduleConfig::Constant { warmup_epochs: 0.0 };
    TrainConfig { epochs, batch_size: 30, seed: 2, schedule, ..TrainConfig::default() }
}

fn teacher() -> BaselineModel {
    let mut teacher = Fusion::new(FusionConfig::full_only(), &Setup::new(&schema()).seed(9)).unwrap();
    let (train, held_out) = split();
    fit(&mut teacher, &data(), &train, &held_out, &train_config(6), None).unwrap();
    teacher.into_deployed()
}

fn trained(config: MmanetConfig, epochs: usize, folder: Option<&Path>) -> (Mmanet, Vec<String>) {
    let mut model = Mmanet::new(config, &Setup::new(&schema()).seed(2), teacher()).unwrap();
    let checkpoints = folder.map(|f| CheckpointConfig { folder: f.into(), every_seconds: 0.0, fingerprint: "mmanet".into() });
    let (train, held_out) = split();
    let outcome = fit(&mut model, &data(), &train, &held_out, &train_config(epochs), checkpoints.as_ref()).unwrap();
    (model, outcome.notes)
}

fn bytes(model: &dyn Model) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.parameters().save(&path, |_| true).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn the_weakest_combination_is_mined_whatever_the_ranking() {
    for ranking in [Ranking::PerSample, Ranking::Histogram, Ranking::SoftmaxTwice] {
        let (model, notes) = trained(MmanetConfig { ranking, ..MmanetConfig::default() }, 6, None);
        let weak = &model.mined().weak;
        let (a, b) = (Subset::single(1), Subset::single(2));
        assert!(weak.contains(&a) || weak.contains(&b), "{ranking:?} {weak:?}");
        if ranking == Ranking::PerSample {
            assert!(weak.contains(&b), "the weakest sensor alone: {weak:?}");
            assert!(!weak.contains(&Subset::single(0)), "{weak:?}");
        }
        assert!(notes.iter().any(|n| n.contains("mined weak combinations")), "{notes:?}");
        assert!(notes.iter().any(|n| n.contains("ranking would have given")), "{notes:?}");
    }
}

#[test]
fn the_deployed_file_has_neither_teacher_nor_regularization_branch() {
    let config = MmanetConfig { supervision: WeakSupervision::Both, ..MmanetConfig::default() };
    let (model, _) = trained(config, 6, None);
    assert!(model.parameters().names().iter().any(|n| n.starts_with("regularization.")));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.model().parameters().save(&path, |_| true).unwrap();
    let (tensors, _) = mm_core::weights::load(&path, &Device::Cpu).unwrap();
    assert!(tensors.keys().all(|n| ["encoders.", "trunk.", "head."].iter().any(|p| n.starts_with(p))), "{:?}", tensors.keys());
    // And it is all that a model for prediction needs.
    let deployed = MmanetConfig::default().model(&Setup::new(&schema())).unwrap();
    deployed.parameters().load(&path).unwrap();
    assert_eq!(bytes(&deployed), bytes(model.model()));
}

#[test]
fn same_seed_same_bytes_and_a_resumed_run_is_the_same_run() {
    for supervision in [WeakSupervision::Redraw, WeakSupervision::Both] {
        let config = || MmanetConfig { supervision, ..MmanetConfig::default() };
        let whole = trained(config(), 8, None).0;
        assert_eq!(bytes(whole.model()), bytes(trained(config(), 8, None).0.model()));
        // Stopped while mining, and after it.
        for stop in [3, 6] {
            let folder = tempfile::tempdir().unwrap();
            trained(config(), stop, Some(folder.path()));
            let resumed = trained(config(), 8, Some(folder.path())).0;
            assert_eq!(bytes(whole.model()), bytes(resumed.model()), "{supervision:?} {stop}");
            assert_eq!(whole.mined(), resumed.mined());
        }
    }
}

#[test]
fn one_modality_is_plain_training() {
    let schema = Schema::new(Modalities::new(["only"]).unwrap(), vec![InputSpec::vector(2)], Target::of_classes(["a", "b"])).unwrap();
    let teacher = Fusion::new(FusionConfig::full_only(), &Setup::new(&schema).seed(0)).unwrap().into_deployed();
    let error = Mmanet::new(MmanetConfig::default(), &Setup::new(&schema), teacher).err().expect("refused").to_string();
    assert!(error.contains("plain training"), "{error}");
}

#[test]
fn mining_needs_held_out_samples() {
    let mut model = Mmanet::new(MmanetConfig::default(), &Setup::new(&schema()).seed(2), teacher()).unwrap();
    let rows: Vec<usize> = (0..SAMPLES).collect();
    let error = fit(&mut model, &data(), &rows, &[], &train_config(6), None).unwrap_err().to_string();
    assert!(error.contains("none of the 0 validation samples") && error.contains("weak_combinations"), "{error}");
    // Nor do incomplete ones serve; both are known before training.
    let half = Presence::new(vec![Subset::single(0), Subset::from_bits(0b110).unwrap()]);
    let check = |config: MmanetConfig, train: &Presence| config.check_samples(&schema().modalities, train, &half);
    assert!(check(MmanetConfig::default(), &half).is_err());
    assert!(check(MmanetConfig { lambda_mar: 0.0, ..MmanetConfig::default() }, &half).is_ok());
    let full = MmanetConfig { missing: MissingPattern::Full, lambda_mar: 0.0, ..MmanetConfig::default() };
    assert!(check(full, &half).unwrap_err().to_string().contains("2 of 2 training samples lack a modality"));
    let unknown = MmanetConfig { weak_combinations: Some(vec!["weak_c".into()]), ..MmanetConfig::default() };
    assert!(check(unknown, &half).unwrap_err().to_string().contains("weak_c"));
    // Named by hand, none is needed.
    let config = MmanetConfig { weak_combinations: Some(vec!["weak_a".into(), "weak_a+weak_b".into()]), ..MmanetConfig::default() };
    let mut model = Mmanet::new(config, &Setup::new(&schema()).seed(2), teacher()).unwrap();
    fit(&mut model, &data(), &rows, &[], &train_config(6), None).unwrap();
}

fn tensor(rows: &[&[f32]]) -> Tensor {
    Tensor::stack(&rows.iter().map(|r| Tensor::new(*r, &Device::Cpu).unwrap()).collect::<Vec<_>>(), 0).unwrap()
}

fn mad(student: &Tensor, teacher: &Tensor, logits: &Tensor, weighting: Weighting) -> f32 {
    margin_aware_distillation(student, teacher, &entropy_per_sample(logits).unwrap(), weighting).unwrap().to_scalar::<f32>().unwrap()
}

#[test]
fn mad_of_identical_features_is_zero_with_zero_gradient() {
    let feature = tensor(&[&[1.0, 2.0], &[-1.0, 0.5], &[0.3, -2.0]]);
    let logits = tensor(&[&[1.0, 0.0], &[0.0, 0.0], &[0.0, 3.0]]);
    let student = Var::from_tensor(&feature).unwrap();
    let loss = margin_aware_distillation(&student, &feature, &entropy_per_sample(&logits).unwrap(), Weighting::Sample).unwrap();
    assert_eq!(loss.to_scalar::<f32>().unwrap(), 0.0);
    let gradient = loss.backward().unwrap().get(&student).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(gradient.iter().all(|g| *g == 0.0), "{gradient:?}");
}

#[test]
fn mad_ignores_scale_and_rotation_of_the_student() {
    let student = tensor(&[&[1.0, 2.0], &[-1.0, 0.5], &[0.3, -2.0]]);
    let teacher = tensor(&[&[0.2, 1.0, 0.0], &[1.0, 0.5, 2.0], &[0.0, -2.0, 1.0]]);
    let logits = tensor(&[&[1.0, 0.0], &[0.0, 0.0], &[0.0, 3.0]]);
    let (sin, cos) = 0.7f32.sin_cos();
    let turned = student.matmul(&tensor(&[&[cos, -sin], &[sin, cos]])).unwrap();
    let reference = mad(&student, &teacher, &logits, Weighting::Sample);
    assert!(reference > 0.01);
    assert!((mad(&(&student * 3.5).unwrap(), &teacher, &logits, Weighting::Sample) - reference).abs() < 1e-6);
    assert!((mad(&turned, &teacher, &logits, Weighting::Sample) - reference).abs() < 1e-6);
    // A teacher without preference weighs all alike, whichever way.
    let uniform = Tensor::zeros((3, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
    let difference = mad(&student, &teacher, &uniform, Weighting::Sample) - mad(&student, &teacher, &uniform, Weighting::Reference);
    assert!(difference.abs() < 1e-6);
    // So does a saturated one, where the normalised entropy would be 0/0.
    let saturated = tensor(&[&[1000.0, 0.0], &[0.0, 1000.0], &[1000.0, 0.0]]);
    assert!((mad(&student, &teacher, &saturated, Weighting::Sample) - mad(&student, &teacher, &uniform, Weighting::Sample)).abs() < 1e-6);
}

#[test]
fn mad_of_two_samples_by_hand() {
    let (student, teacher) = (tensor(&[&[1.0, 0.0], &[0.0, 1.0]]), tensor(&[&[1.0, 0.0], &[1.0, 0.0]]));
    let logits = Tensor::zeros((2, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
    // Each row: (1 - 1/√2)² + 1/2.
    assert!((mad(&student, &teacher, &logits, Weighting::Sample) - 0.585_786).abs() < 1e-5);
    // A batch of one: both similarities are 1.
    let one = |t: &Tensor| t.narrow(0, 0, 1).unwrap();
    assert_eq!(mad(&one(&student), &one(&teacher), &one(&logits), Weighting::Sample), 0.0);
}

#[test]
fn without_a_weak_sample_the_regularization_is_exactly_zero() {
    let logits = Var::from_tensor(&tensor(&[&[1.0, -2.0], &[0.0, 3.0]])).unwrap();
    let labels = Tensor::new(&[0u32, 1], &Device::Cpu).unwrap();
    let loss = weak_combination_loss(
        &cross_entropy_per_sample(&logits, &labels).unwrap(),
        &Tensor::zeros(2, candle_core::DType::F32, &Device::Cpu).unwrap(),
    )
    .unwrap();
    assert_eq!(loss.to_scalar::<f32>().unwrap(), 0.0);
    let gradient = loss.backward().unwrap().get(&logits).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(gradient.iter().all(|g| *g == 0.0), "{gradient:?}");
}

#[test]
fn a_resumed_run_is_the_same_run_where_sensors_are_naturally_missing() {
    let whole = data();
    // Every third sample lacks a sensor, so batches hold changing numbers of complete samples.
    let presence = (0..SAMPLES).map(|i| if i % 3 == 0 { Subset::from_bits(5 + (i as u16 / 3) % 2).unwrap() } else { Subset::full(3) });
    let columns = (0..3).map(|m| whole.column(m).to_vec()).collect();
    let data = TableDataset::new(schema(), columns, Presence::new(presence.collect()), whole.labels().to_vec()).unwrap();
    let (train, held_out) = split();
    let run = |epochs: usize, folder: Option<&Path>| {
        let mut model = Mmanet::new(MmanetConfig::default(), &Setup::new(&schema()).seed(2), teacher()).unwrap();
        let checkpoints = folder.map(|f| CheckpointConfig { folder: f.into(), every_seconds: 0.0, fingerprint: "natural".into() });
        fit(&mut model, &data, &train, &held_out, &train_config(epochs), checkpoints.as_ref()).unwrap();
        bytes(model.model())
    };
    let folder = tempfile::tempdir().unwrap();
    run(6, Some(folder.path()));
    assert_eq!(run(8, Some(folder.path())), run(8, None));
}
