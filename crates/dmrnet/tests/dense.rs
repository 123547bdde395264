//! The method where every pixel has a class.

use candle_core::{Device, Tensor};
use dmrnet::{DenseDmrnet, DenseDmrnetModel, DmrnetConfig, HardLoss, HardSupervision, MiningScore};
use mm_core::data::{Batch, Source};
use mm_core::dense::{BackboneConfig, DecoderConfig, DenseConfig, EsaNetConfig, UNetConfig};
use mm_core::eval::{default_combinations, evaluate};
use mm_core::fusion::NetworkConfig;
use mm_core::nn::is_running_statistic;
use mm_core::optim::ScheduleConfig;
use mm_core::recipe::{AnyRecipe, Setup};
use mm_core::train::{CheckpointConfig, Method, Step, TrainConfig, TrainOutcome};
use mm_core::{Model, Subset};
use mm_testing::{Squares, bits, fit, parameter_bits, spoilt};
use std::path::Path;

const IMAGES: usize = 32;
const SUPERVISIONS: [HardSupervision; 2] = [HardSupervision::Drawn, HardSupervision::Redraw];

fn unet() -> NetworkConfig {
    let unet = UNetConfig { widths: vec![4, 8, 8], side_outputs: true, ..UNetConfig::default() };
    NetworkConfig { dense: Some(DenseConfig::UNet(unet)), ..NetworkConfig::default() }
}

fn esanet() -> NetworkConfig {
    let encoder = BackboneConfig { depth: 18, width: 16, ..BackboneConfig::default() };
    let esanet = EsaNetConfig { encoder, decoder: DecoderConfig { channels: [16; 3], blocks: 1 }, ..EsaNetConfig::default() };
    NetworkConfig { dense: Some(DenseConfig::EsaNet(esanet)), ..NetworkConfig::default() }
}

fn config(supervision: HardSupervision) -> DmrnetConfig {
    DmrnetConfig { network: unet(), warm_up_epochs: 2, supervision, ..DmrnetConfig::default() }
}

fn by_hand(supervision: HardSupervision) -> DmrnetConfig {
    // Every combination is hard, so that every batch has a hard sample.
    let all = ["near", "far", "near+far"].map(String::from).to_vec();
    DmrnetConfig { hard_combinations: Some(all), warm_up_epochs: 0, ..config(supervision) }
}

fn train_config(epochs: usize) -> TrainConfig {
    // A constant rate, so that a run stopped early is the beginning of a longer one.
    let schedule = ScheduleConfig::Constant { warmup_epochs: 0.0 };
    TrainConfig { epochs, batch_size: 8, learning_rate: 0.1, schedule, ..TrainConfig::default() }
}

fn build(config: DmrnetConfig) -> DenseDmrnet {
    DenseDmrnet::new(config, &Setup::new(Squares::new(1, 0).schema()).seed(2)).unwrap()
}

fn trained(config: DmrnetConfig, epochs: usize, folder: Option<&Path>) -> (DenseDmrnet, TrainOutcome) {
    let mut method = build(config);
    let checkpoints = folder.map(|f| CheckpointConfig { folder: f.into(), every_seconds: 0.0, fingerprint: "dense".into() });
    let (train, held_out): (Vec<usize>, Vec<usize>) = (0..IMAGES).partition(|row| row % 4 != 0);
    let outcome = fit(&mut method, &Squares::new(IMAGES, 0), &train, &held_out, &train_config(epochs), checkpoints.as_ref()).unwrap();
    (method, outcome)
}

fn batch() -> Batch {
    Squares::new(8, 3).batch(&(0..8).collect::<Vec<_>>(), &Device::Cpu).unwrap()
}

fn step(epoch: usize) -> Step {
    Step { seed: 1, epoch, epochs: 10, step: 0, steps: 1 }
}

fn number(tensor: &Tensor) -> f64 {
    f64::from(tensor.to_scalar::<f32>().unwrap())
}

fn terms(config: DmrnetConfig, batch: &Batch) -> Vec<(&'static str, f64)> {
    build(config).loss(batch, &step(0)).unwrap().terms().map(|(name, value)| (name, number(value))).collect()
}

#[test]
fn learns_every_combination_and_mines_one() {
    let test = Squares::new(12, 1);
    let rows: Vec<usize> = (0..test.len()).collect();
    for supervision in SUPERVISIONS {
        let (method, outcome) = trained(config(supervision), 30, None);
        let of = |epoch: usize, name: &str| outcome.history[epoch].losses.get(name).copied();
        assert!(of(29, "task").unwrap() < 0.6 * of(0, "task").unwrap(), "{supervision:?} {:?}", outcome.history);
        assert!(of(0, "kl").is_some() && of(1, "hard").is_none(), "{:?}", outcome.history);
        assert!((2..30).any(|epoch| of(epoch, "hard").is_some()), "{:?}", outcome.history);
        assert_eq!(method.mined().hard().len(), 1);
        assert!(outcome.notes[0].starts_with("mined hard combinations by training loss"), "{:?}", outcome.notes);
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
fn every_score_finds_a_hard_combination() {
    for mining in [MiningScore::TrainingLoss, MiningScore::PerSampleKl, MiningScore::Variance] {
        let (method, _) = trained(DmrnetConfig { mining, ..config(HardSupervision::Drawn) }, 2, None);
        assert_eq!(method.mined().hard().len(), 1, "{mining:?}");
        assert!(method.mined().scores().iter().all(|score| score.is_some_and(|score| score.is_finite() && score > -1e-9)), "{mining:?}");
    }
}

#[test]
fn what_an_absent_sensor_holds_is_not_read() {
    let data = Squares::new(6, 2).with_presence(|i| [Subset::full(2), Subset::single(0), Subset::single(1)][i % 3]);
    let batch = data.batch(&[0, 1, 2, 3, 4, 5], &Device::Cpu).unwrap();
    let has = batch.presence().subsets().to_vec();
    let nan = spoilt(&batch, f32::NAN, |row, sensor| !has[row].contains(sensor));
    for supervision in SUPERVISIONS {
        let loss = |batch| bits(&build(by_hand(supervision)).loss(batch, &step(0)).unwrap().total().unwrap());
        assert_eq!(loss(&batch), loss(&nan), "{supervision:?}");
        let (method, _) = trained(config(supervision), 3, None);
        let predicted = method.model().predict(batch.inputs()).unwrap().prediction;
        assert_eq!(predicted.dims(), [6, 2, 16, 16]);
        assert_eq!(bits(&predicted), bits(&method.model().predict(nan.inputs()).unwrap().prediction), "{supervision:?}");
        assert!(predicted.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|x| x.is_finite()));
        // The spread of what is there, at every position of the context.
        let distribution = method.deployed().distribution(nan.inputs()).unwrap();
        assert_eq!(distribution.mean.dims(), [6, 8, 4, 4]);
        assert!(distribution.mean_variance().unwrap().to_vec1::<f32>().unwrap().iter().all(|x| x.is_finite() && *x > 0.0));
        // Prediction draws nothing: what it decodes is the mean.
        let features = method.model().predict(batch.inputs()).unwrap().features;
        assert_eq!(bits(features.last().unwrap()), bits(&distribution.mean));
    }
}

#[test]
fn same_seed_same_bits_and_a_resumed_run_is_the_same_run() {
    for supervision in SUPERVISIONS {
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
        let mut other = build(config(supervision));
        other.restore(&whole.state()).unwrap();
        assert_eq!(other.mined(), whole.mined());
    }
}

#[test]
fn the_deployed_file_has_the_heads_and_nothing_of_training() {
    let (method, _) = trained(config(HardSupervision::Redraw), 3, None);
    assert!(method.training_parameters().is_none());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    method.model().parameters().save(&path, |_| true).unwrap();
    let (tensors, _) = mm_core::weights::load(&path, &Device::Cpu).unwrap();
    for prefix in ["encoders.", "mean.", "log_var.", "decoder."] {
        assert!(tensors.keys().any(|name| name.starts_with(prefix)), "{prefix}");
    }
    let known = |name: &String| ["encoders.", "mean.", "log_var.", "decoder."].iter().any(|prefix| name.starts_with(prefix));
    assert!(tensors.keys().all(known), "{:?}", tensors.keys());
    // And it is all that a model for prediction needs.
    let schema = Squares::new(1, 0).schema().clone();
    let mut deployed = AnyRecipe::model(&config(HardSupervision::Redraw), &Setup::new(&schema).for_loading()).unwrap();
    deployed.parameters().load(&path).unwrap();
    let predicted = |model: &dyn Model| bits(&model.predict(batch().inputs()).unwrap().prediction);
    assert_eq!(predicted(&*deployed), predicted(method.model()));
    deployed.freeze();
    assert_eq!(deployed.predict(batch().inputs()).unwrap().prediction.dims(), [8, 2, 16, 16]);
    let any: &dyn std::any::Any = &*deployed;
    assert!(any.downcast_ref::<DenseDmrnetModel>().is_some());
}

#[test]
fn gradients_reach_every_part_and_the_detached_divergence_none() {
    let batch = batch();
    for network in [unet(), esanet()] {
        let mut method = build(DmrnetConfig { network: network.clone(), ..by_hand(HardSupervision::Redraw) });
        let losses = method.loss(&batch, &step(0)).unwrap();
        assert_eq!(losses.terms().map(|(name, _)| name).collect::<Vec<_>>(), ["task", "kl", "hard"]);
        let gradients = losses.total().unwrap().backward().unwrap();
        let trained = |(name, _): &(String, _)| !is_running_statistic(name);
        for (name, variable) in method.parameters().variables().into_iter().filter(trained) {
            let gradient = gradients.get(&variable).unwrap_or_else(|| panic!("no gradient for {name}"));
            assert!(number(&gradient.abs().unwrap().sum_all().unwrap()).is_finite(), "{name}");
        }
        for kl_detached in [false, true] {
            let mut method = build(DmrnetConfig { network: network.clone(), kl_detached, ..by_hand(HardSupervision::Redraw) });
            let losses = method.loss(&batch, &step(0)).unwrap();
            let kl = losses.terms().find(|(name, _)| *name == "kl").unwrap().1.backward().unwrap();
            let reached = |prefix: &str| {
                method.parameters().variables().iter().filter(|(name, _)| name.starts_with(prefix)).any(|(_, v)| kl.get(v).is_some())
            };
            assert_eq!(["encoder", "mean.", "log_var."].map(reached), [!kl_detached; 3]);
            assert!(!reached("decoder."));
        }
    }
}

/// Both outputs of fresh heads have mean 0 and variance 1, so the divergence of a channel is ½ E exp(l), for a normal l .824, and ½ at least.
#[test]
fn the_divergence_is_summed_over_channels_alone() {
    let kl = terms(by_hand(HardSupervision::Drawn), &batch())[1].1 / 8.0;
    assert!((0.499..2.0).contains(&kl), "{kl}");
}

#[test]
fn the_loss_of_drawn_samples_is_over_the_batch() {
    // All are hard: it is the task's loss, with weights of the samples, too.
    let weights = Tensor::arange(1f32, 9.0, &Device::Cpu).unwrap();
    let plain = batch();
    let weighted = Batch::new(plain.inputs().clone(), plain.targets().clone().with_weights(weights).unwrap()).unwrap();
    for batch in [&plain, &weighted] {
        let found = terms(by_hand(HardSupervision::Drawn), batch);
        assert_eq!([found[0].0, found[2].0], ["task", "hard"]);
        assert!((found[0].1 - found[2].1).abs() < 1e-5 * found[0].1, "{found:?}");
        // Those of one combination and those of the others add up to all.
        let of = |names: &[&str]| {
            let named = Some(names.iter().map(|name| name.to_string()).collect());
            terms(DmrnetConfig { hard_combinations: named, ..by_hand(HardSupervision::Drawn) }, batch).get(2).map_or(0.0, |term| term.1)
        };
        let (one, others) = (of(&["near"]), of(&["far", "near+far"]));
        assert!((one + others - found[0].1).abs() < 1e-5 * found[0].1, "{one} {others} {found:?}");
        assert!(one < found[0].1 && others < found[0].1 && one + others > 0.0);
    }
}

#[test]
fn the_broadcast_of_the_published_code_is_refused() {
    let config = DmrnetConfig { hard_loss: HardLoss::ReferenceBroadcast, ..config(HardSupervision::Drawn) };
    let schema = Squares::new(1, 0).schema().clone();
    let error = AnyRecipe::method(&config, &Setup::new(&schema), None).err().expect("refused").to_string();
    assert!(error.contains("hard_loss") && error.contains("per_sample"), "{error}");
}
