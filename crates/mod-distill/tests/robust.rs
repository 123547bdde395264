//! Robust mode, learned weights of the terms, and privileged sensors that break.

use candle_core::{Device, Tensor};
use mm_core::data::{Batch, InputSpec, Inputs, Schema, Source, TableDataset, Target};
use mm_core::encoder::EncoderConfig;
use mm_core::eval::evaluate;
use mm_core::fusion::{FusionModel, NetworkConfig, TrunkConfig};
use mm_core::model::Output;
use mm_core::nn::Parameters;
use mm_core::recipe::{Recipe, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{HeldOut, Method, Step, TrainConfig, Trainer};
use mm_core::{Error, Modalities, ModalityError, Model, Presence, Result, Subset, rng};
use mm_testing::{tensors, with_presence};
use mod_distill::*;

const WIDTHS: [usize; 3] = [6, 5, 4];

fn schema() -> Schema {
    let inputs = WIDTHS.iter().map(|&w| InputSpec::vector(w)).collect();
    Schema::new(Modalities::new(["a", "b", "c"]).unwrap(), inputs, Target::of_classes(["x", "y", "z"])).unwrap()
}

/// Class means plus noise.
fn data(samples: usize) -> TableDataset {
    let labels: Vec<u32> = (0..samples as u32).map(|i| i % 3).collect();
    let column = |m: usize, noise: f32| -> Vec<f32> {
        let z = rng::standard_normal(&mut rng::stream(3, "column", &[m as u64]), samples * WIDTHS[m]);
        z.iter().enumerate().map(|(i, z)| noise * z + if (i % WIDTHS[m]) as u32 == labels[i / WIDTHS[m]] { 2.0 } else { 0.0 }).collect()
    };
    let presence = Presence::uniform(Subset::full(3), samples);
    TableDataset::new(schema(), vec![column(0, 1.0), column(1, 0.5), column(2, 0.5)], presence, labels).unwrap()
}

fn network() -> NetworkConfig {
    let encoder = Some(EncoderConfig::mlp([16]));
    NetworkConfig { encoder, trunk: TrunkConfig::Mlp { widths: vec![12] }, ..Default::default() }
}

fn config(available: &[&str]) -> ModDistillConfig {
    let trunk = TrunkConfig::Mlp { widths: vec![12] };
    ModDistillConfig { network: network(), trunk, ..ModDistillConfig::available(available.iter().copied()) }
}

fn robust(available: &[&str]) -> ModDistillConfig {
    ModDistillConfig { robust: true, ..config(available) }
}

fn teacher() -> FusionModel {
    FusionModel::new(&network(), &schema(), Parameters::new(5, &Device::Cpu)).unwrap()
}

fn method(config: ModDistillConfig) -> ModDistill {
    ModDistill::new(config, &Setup::new(&schema()).seed(1), teacher()).unwrap()
}

fn step(epoch: usize) -> Step {
    Step { seed: 0, epoch, epochs: 4, step: 1, steps: 2 }
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The batch with another input of one modality.
fn replaced(batch: &Batch, modality: usize, value: impl Fn(usize) -> f32) -> Batch {
    let width = WIDTHS[modality];
    let values: Vec<f32> = (0..batch.len() * width).map(value).collect();
    let mut readings = tensors(batch.inputs());
    readings[modality] = Some(Tensor::from_vec(values, (batch.len(), width), &Device::Cpu).unwrap());
    let inputs = Inputs::new(batch.inputs().modalities(), readings, batch.presence().clone(), batch.ids().to_vec()).unwrap();
    batch.with_inputs(inputs).unwrap()
}

/// All that a modality's reading holds.
fn content(batch: &Batch, modality: usize) -> Vec<f32> {
    flat(&batch.inputs().at(modality).unwrap().values)
}

#[test]
fn what_an_absent_modality_holds_changes_no_bit() {
    let data = data(24);
    let full = data.batch(&(0..24).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    // Every sample lacks another modality, so that each has rows with and without it.
    let presence = Presence::new((0..24).map(|i| Subset::from_bits(0b111 & !(1 << (i % 3))).unwrap()).collect());
    for config in [robust(&[]), robust(&["a", "b"])] {
        let run = |batch: &Batch| -> (Vec<f32>, Vec<Vec<f32>>) {
            let mut method = method(config.clone());
            let batch = with_presence(batch, presence.clone());
            let gradients = method.loss(&batch, &step(1)).unwrap().total().unwrap().backward().unwrap();
            let of = |(_, var): (String, candle_core::Var)| gradients.get(&var).map(flat);
            let gradients = method.parameters().variables().into_iter().filter_map(of).collect();
            (flat(&method.deployed().predict(batch.inputs()).unwrap().prediction), gradients)
        };
        let reference = run(&full);
        assert!(reference.1.len() > 10 && reference.0.iter().chain(reference.1.iter().flatten()).all(|x| x.is_finite()));
        for (m, width) in WIDTHS.into_iter().enumerate() {
            let clean = content(&full, m);
            let absent = |i: usize| i / width % 3 == m;
            for content in [0.0, 1e30, f32::NAN, f32::INFINITY] {
                let spoilt = replaced(&full, m, |i| if absent(i) { content } else { clean[i] });
                assert!(run(&spoilt) == reference, "modality {m} with {content}");
            }
        }
    }
}

#[test]
fn a_modality_outside_the_available_ones_is_never_read() {
    let method = method(robust(&["a", "b"]));
    let model = method.deployed();
    let batch = data(12).batch(&(0..12).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let subsets: Vec<Subset> = Subset::all_non_empty(3).filter(|s| model.supports(*s)).collect();
    assert_eq!(subsets.len(), 6, "all but c alone");
    let reference = model.predict_combinations(batch.inputs(), &subsets).unwrap();
    assert_eq!(model.encode(batch.inputs()).unwrap().encoder_passes, 2);
    let spoilt = model.predict_combinations(replaced(&batch, 2, |_| f32::NAN).inputs(), &subsets).unwrap();
    assert_eq!(flat(&reference), flat(&spoilt));
    let error = model.predict_combinations(batch.inputs(), &[Subset::single(2)]).unwrap_err();
    assert!(matches!(error, Error::Modality(ModalityError::NotRead { sample: None, .. })), "{error}");
    assert!(!method.parameters().names().iter().any(|n| n.starts_with("own.encoders.c")));
}

#[test]
fn combinations_equal_samples_that_have_just_them() {
    let method = method(robust(&[]));
    let model = method.deployed();
    let batch = data(12).batch(&(0..12).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let all: Vec<Subset> = Subset::all_non_empty(3).collect();
    let together = model.predict_combinations(batch.inputs(), &all).unwrap();
    // One batch whose samples have all the different combinations.
    let mixed = with_presence(&batch, Presence::new((0..12).map(|i| all[i % 7]).collect()));
    let alone = model.predict(mixed.inputs()).unwrap().prediction.to_vec2::<f32>().unwrap();
    let together = together.to_vec3::<f32>().unwrap();
    for (i, row) in alone.iter().enumerate() {
        let close = row.iter().zip(&together[i % 7][i]).all(|(x, y)| (x - y).abs() < 1e-5);
        assert!(close, "sample {i}: {row:?} {:?}", together[i % 7][i]);
    }
}

#[test]
fn every_sample_draws_what_it_trains_with() {
    let batch = data(60).batch(&(0..60).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let task = |seed: u64| {
        let losses = method(robust(&[])).loss(&batch, &Step { seed, ..step(1) }).unwrap();
        losses.terms().find(|(name, _)| *name == "task").unwrap().1.to_scalar::<f32>().unwrap()
    };
    assert_eq!(task(0), task(0));
    assert!((task(0) - task(1)).abs() > 1e-4, "{} {}", task(0), task(1));
}

#[test]
fn robust_mode_learns_every_combination() {
    let data = data(600);
    let (train, test): (Vec<usize>, Vec<usize>) = (0..600).partition(|i| i % 4 != 0);
    let mut method = method(robust(&[]));
    let config = TrainConfig { epochs: 12, batch_size: 30, ..TrainConfig::default() };
    Trainer::new(config).run(&mut method, &data, &train, &[]).unwrap();
    let all: Vec<Subset> = Subset::all_non_empty(3).collect();
    let evaluation = evaluate(method.deployed(), &data, &test, &all, 64, &Device::Cpu).unwrap();
    assert_eq!(evaluation.combinations.len(), 7);
    // One standard deviation of noise on a, half of that on b and c, at a distance of two.
    for combination in &evaluation.combinations {
        let least = if combination.subset == Subset::single(0) { 0.75 } else { 0.93 };
        let accuracy = combination.scored.get("accuracy");
        assert!(accuracy > least, "{:?} {accuracy}", combination.subset);
    }
}

#[test]
fn means_need_features_of_one_width() {
    let encoders = [("b".to_string(), EncoderConfig::mlp([9]))].into();
    let uneven = ModDistillConfig { network: NetworkConfig { encoders, ..network() }, ..robust(&[]) };
    let schema = schema();
    let setup = Setup::new(&schema);
    let error = uneven.model(&setup).err().expect("refused").to_string();
    assert!(error.contains("16") && error.contains('9'), "{error}");
    assert!(ModDistillConfig { robust: false, ..uneven }.model(&setup).is_err(), "nothing is available");
    let two_stage = ModDistillConfig { two_stage: true, ..robust(&["a"]) };
    assert!(matches!(two_stage.model(&setup), Err(Error::Config { field, .. }) if field == "two_stage"));
}

/// The teacher reads a privileged sensor that gives NaN for some samples: these are not aligned, and nothing else changes.
#[test]
fn nan_of_a_privileged_sensor_reaches_no_gradient() {
    let data = data(24);
    let batch = data.batch(&(0..24).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let clean = content(&batch, 1);
    let some = replaced(&batch, 1, |i| if i / WIDTHS[1] < 5 { f32::NAN } else { clean[i] });
    let held_out = HeldOut { source: &data, rows: &[], batch_size: 8, device: &Device::Cpu };
    for (batch, terms, remark) in [
        (some, vec!["task", "rec", "ja"], "5 samples were not aligned"),
        (replaced(&batch, 1, |_| f32::NAN), vec!["task", "rec"], "24 samples were not aligned"),
    ] {
        let mut method = method(config(&["a"]));
        let losses = method.loss(&batch, &step(1)).unwrap();
        assert_eq!(losses.terms().map(|(n, _)| n).collect::<Vec<_>>(), terms);
        let gradients = losses.total().unwrap().backward().unwrap();
        for (name, var) in method.parameters().variables() {
            if let Some(gradient) = gradients.get(&var) {
                assert!(flat(gradient).iter().all(|g| g.is_finite()), "{name}");
            }
        }
        let remarks = method.end_of_epoch(0, &held_out).unwrap();
        assert!(remarks.iter().any(|r| r.contains(remark)), "{remarks:?}");
    }
}

/// `Σ exp(-s_i) w_i L_i + s_i`: equal to the fixed weights at first, but for the sum of the s.
#[test]
fn uncertainties_weigh_the_terms_and_are_not_deployed() {
    let batch = data(24).batch(&(0..24).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let balanced = || ModDistillConfig { balance: Balance::Uncertainty, lambda_r: 0.3, ..config(&["a"]) };
    let total = |method: &mut ModDistill| method.loss(&batch, &step(1)).unwrap().total().unwrap().to_scalar::<f32>().unwrap();
    let fixed = total(&mut method(ModDistillConfig { balance: Balance::Fixed, ..balanced() }));
    let mut method = method(balanced());
    assert!((total(&mut method) - fixed).abs() < 1e-5);
    let training = method.training_parameters().unwrap().names();
    let balances = ["ja", "rec", "restored_task", "task"].map(|term| format!("balance.{term}")).to_vec();
    assert_eq!(training, [balances, vec!["restored_head.bias".into(), "restored_head.weight".into()]].concat());
    let deployed = method.deployed().parameters().names();
    assert!(deployed.contains(&"restored.trunk.0.linear.weight".to_string()) && deployed.iter().all(|name| !training.contains(name)));
    let s = method.parameters().variable("balance.task").unwrap();
    s.set(&Tensor::new(0.5f32, &Device::Cpu).unwrap()).unwrap();
    let losses = method.loss(&batch, &step(1)).unwrap();
    let task = losses.terms().find(|(n, _)| *n == "task").unwrap().1.to_scalar::<f32>().unwrap();
    let total = losses.total().unwrap();
    let expected = fixed + ((-0.5f32).exp() - 1.0) * task + 0.5;
    assert!((total.to_scalar::<f32>().unwrap() - expected).abs() < 1e-4);
    // d/ds = 1 - exp(-s) L.
    let gradient = total.backward().unwrap().get(&s).unwrap().to_scalar::<f32>().unwrap();
    assert!((gradient - (1.0 - (-0.5f32).exp() * task)).abs() < 1e-5);
}

/// Without a sample to align there is no term, so its uncertainty does not run away.
#[test]
fn a_term_that_is_not_there_has_no_uncertainty() {
    let batch = data(24).batch(&(0..24).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let without = with_presence(&batch, Presence::uniform(Subset::single(0), 24));
    let mut method = method(ModDistillConfig { balance: Balance::Uncertainty, ..config(&["a"]) });
    for (batch, moved) in [(&batch, true), (&without, false)] {
        let gradients = method.loss(batch, &step(1)).unwrap().total().unwrap().backward().unwrap();
        let s = method.parameters().variable("balance.ja").unwrap();
        assert_eq!(gradients.get(&s).is_some(), moved);
    }
}

/// A teacher for other classes is named, with both shapes.
#[test]
fn a_teacher_of_other_classes_is_refused() {
    struct Other;
    impl Teacher for Other {
        fn teach(&self, inputs: &Inputs) -> Result<Output> {
            let zeros = |width: usize| Tensor::zeros((inputs.len(), width), candle_core::DType::F32, &Device::Cpu);
            Ok(Output::with_feature(zeros(4)?, zeros(12)?))
        }
    }
    let batch = data(12).batch(&(0..12).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let mut method = ModDistill::new(config(&["a"]), &Setup::new(&schema()), Other).unwrap();
    let error = method.loss(&batch, &step(1)).unwrap_err().to_string();
    assert!(error.contains("[3]") && error.contains("[4]"), "{error}");
}
