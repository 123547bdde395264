//! The method on a small synthetic task: three sensors, of which `c` tells the classes apart only badly.

use candle_core::{Device, Tensor};
use dmrnet::*;
use mm_core::data::{Batch, InputSpec, Schema, Source, TableDataset, Target};
use mm_core::encoder::EncoderConfig;
use mm_core::fusion::TrunkConfig;
use mm_core::missing::MissingPattern;
use mm_core::recipe::{Recipe, Setup};
use mm_core::train::{CheckpointConfig, HeldOut, Losses, Method, Step, TrainConfig};
use mm_core::{Error, Modalities, ModalityError, Model, Presence, Result, Subset, rng};
use mm_testing::{bits, fit, parameter_bits, patterns, with_presence, with_values};

const CLASSES: usize = 3;
const WIDTHS: [usize; 3] = [8, 12, 6];

fn schema() -> Schema {
    let names = (0..CLASSES).map(|c| c.to_string());
    Schema::new(Modalities::new(["a", "b", "c"]).unwrap(), WIDTHS.map(InputSpec::vector).to_vec(), Target::of_classes(names)).unwrap()
}

/// Every fifth sample lacks sensor `c`.
fn dataset(samples: usize) -> TableDataset {
    patterns(schema(), samples, &[0.4, 0.4, 2.5], |i| if i % 5 == 4 { subset(&[0, 1]) } else { Subset::full(3) })
}

fn subset(indices: &[usize]) -> Subset {
    Subset::from_indices(indices.iter().copied()).unwrap()
}

fn small() -> DmrnetConfig {
    let mut config = DmrnetConfig { warm_up_epochs: 3, ..DmrnetConfig::default() };
    config.network.encoder = Some(EncoderConfig::mlp([12, 8]));
    config.network.trunk = TrunkConfig::Mlp { widths: vec![16, 10] };
    config
}

fn build(config: &DmrnetConfig) -> Dmrnet {
    Dmrnet::new(config.clone(), &Setup::new(&schema()).seed(1)).unwrap()
}

fn train_config(epochs: usize) -> TrainConfig {
    TrainConfig { epochs, batch_size: 32, seed: 1, ..TrainConfig::default() }
}

fn trained(config: &DmrnetConfig, epochs: usize) -> (Dmrnet, Vec<String>) {
    let (train, validation): (Vec<usize>, Vec<usize>) = (0..300).partition(|row| row % 5 < 3 || row % 10 == 4);
    let mut model = build(config);
    let outcome = fit(&mut model, &dataset(300), &train, &validation, &train_config(epochs), None).unwrap();
    (model, outcome.notes)
}

fn batch(rows: usize) -> Batch {
    dataset(rows).batch(&(0..rows).collect::<Vec<_>>(), &Device::Cpu).unwrap()
}

fn step(epoch: usize) -> Step {
    Step { seed: 1, epoch, epochs: 10, step: 0, steps: 1 }
}

fn terms(model: &mut Dmrnet, batch: &Batch, step: &Step) -> Vec<(&'static str, f32)> {
    model.loss(batch, step).unwrap().terms().map(|(name, value)| (name, value.to_scalar::<f32>().unwrap())).collect()
}

#[test]
fn learns_and_mines_the_combination_that_is_hard() -> Result<()> {
    for mining in [MiningScore::TrainingLoss, MiningScore::PerSampleKl] {
        let (model, notes) = trained(&DmrnetConfig { mining, ..small() }, 20);
        let test = batch(600);
        let good = Presence::uniform(subset(&[0]), 600);
        let predicted = model.deployed().predict(&test.inputs().with_presence(good)?)?.prediction.argmax(1)?.to_vec1::<u32>()?;
        let right = predicted.iter().zip(test.targets().values().to_vec1::<u32>()?).filter(|(p, l)| **p == *l).count();
        assert!(right > 540, "{mining:?}: {right} of 600 by sensor a");
        assert_eq!(model.mined().hard()[0], Subset::single(2), "{mining:?}: {:?}", model.mined());
        assert_eq!(model.mined().hard().len(), 3);
        assert!(notes[0].contains("(hardest first, 7 of 7 ranked): c, "), "{notes:?}");
        let correlation: f64 = notes[1].split(": ").nth(1).and_then(|t| t.split(' ').next()).unwrap().parse().unwrap();
        assert!(correlation > 0.5, "{notes:?}");
    }
    Ok(())
}

#[test]
fn the_extra_loss_begins_after_the_warm_up_and_acts_on_hard_combinations() {
    let names = |epoch: usize, config: DmrnetConfig| -> Vec<&str> {
        terms(&mut build(&config), &batch(40), &step(epoch)).into_iter().map(|(name, _)| name).collect()
    };
    let by_hand = || DmrnetConfig { hard_combinations: Some(vec!["c".into(), "a+c".into()]), warm_up_epochs: 6, ..small() };
    assert_eq!(names(5, by_hand()), ["task", "kl"]);
    assert_eq!(names(6, by_hand()), ["task", "kl", "hard"]);
    assert_eq!(names(6, DmrnetConfig { supervision: HardSupervision::Drawn, ..by_hand() }), ["task", "kl", "hard"]);
    assert_eq!(names(6, DmrnetConfig { beta: 0.0, alpha: 0.0, ..by_hand() }), ["task"]);
    // Nothing drawn is hard: no extra loss.
    let only_b = MissingPattern::Fixed("b".into());
    assert_eq!(names(6, DmrnetConfig { supervision: HardSupervision::Drawn, missing: only_b.clone(), ..by_hand() }), ["task", "kl"]);
    // All is hard: the extra loss is the task loss, and the broadcast form the batch size times as much.
    let hard_b =
        DmrnetConfig { hard_combinations: Some(vec!["b".into()]), supervision: HardSupervision::Drawn, missing: only_b, ..by_hand() };
    for (hard_loss, factor) in [(HardLoss::PerSample, 1.0), (HardLoss::ReferenceBroadcast, 40.0)] {
        let found = terms(&mut build(&DmrnetConfig { hard_loss, ..hard_b.clone() }), &batch(40), &step(6));
        assert!((found[2].1 - factor * found[0].1).abs() < 1e-4 * factor, "{hard_loss:?}: {found:?}");
    }
}

/// A redrawn sample has one of the hard combinations, or what it had if it has nothing of them.
#[test]
fn redrawn_samples_see_only_the_hard_combination() {
    let hard_c = DmrnetConfig { hard_combinations: Some(vec!["c".into()]), ..small() };
    let hard = |change: usize| -> f32 {
        let batch = batch(40);
        // Samples without `c` keep what they have, so only complete ones can show that `a` and `b` are not looked at.
        let rows: Vec<usize> = (0..40).filter(|i| i % 5 != 4).collect();
        let batch = batch.select(&rows).unwrap();
        // Readings of other samples; the batch normalisation behind would undo a change of scale.
        let turned = Tensor::new((0..32).rev().collect::<Vec<u32>>().as_slice(), &Device::Cpu).unwrap();
        let batch = with_values(&batch, change, batch.inputs().at(change).unwrap().values.index_select(&turned, 0).unwrap());
        terms(&mut build(&DmrnetConfig { missing: MissingPattern::Natural, ..hard_c.clone() }), &batch, &step(3))[2].1
    };
    assert_eq!(hard(0), hard(1));
    assert!((hard(0) - hard(2)).abs() > 1e-3, "{} {}", hard(0), hard(2));
}

/// Through heads, sampling, all three terms and both passes; the noise is the same in each, as it depends on the step only.
#[test]
fn gradients_are_those_of_finite_differences() -> Result<()> {
    let config = DmrnetConfig { alpha: 0.05, hard_combinations: Some(vec!["c".into()]), clamp_log_var: Some(10.0), ..small() };
    let (mut model, batch) = (build(&config), batch(40));
    let gradients = model.loss(&batch, &step(3))?.total()?.backward()?;
    for (name, var) in model.parameters().variables() {
        if !["mean.linear.weight", "mean.norm.weight", "log_var.linear.weight", "log_var.norm.bias", "head.weight"].contains(&name.as_str())
        {
            continue;
        }
        let analytic = gradients.get(&var).unwrap().flatten_all()?.to_vec1::<f32>()?;
        let before = var.as_tensor().copy()?;
        assert!(analytic.iter().any(|g| g.abs() > 0.02), "{name}: no gradient to compare");
        let steepest = (0..analytic.len()).max_by(|&i, &j| analytic[i].abs().total_cmp(&analytic[j].abs())).unwrap();
        for element in [0, analytic.len() / 2, steepest] {
            let mut loss_at = |change: f32| -> Result<f64> {
                let mut values = before.flatten_all()?.to_vec1::<f32>()?;
                values[element] += change;
                var.set(&Tensor::from_vec(values, before.shape(), &Device::Cpu)?)?;
                Ok(f64::from(model.loss(&batch, &step(3))?.total()?.to_scalar::<f32>()?))
            };
            let h = 4e-3;
            let numeric = (loss_at(h)? - loss_at(-h)?) / (2.0 * f64::from(h));
            loss_at(0.0)?;
            let found = f64::from(analytic[element]);
            assert!((found - numeric).abs() < 1e-3 + 0.01 * numeric.abs(), "{name}[{element}]: {found}, by differences {numeric}");
        }
    }
    Ok(())
}

#[test]
fn the_kl_term_pulls_only_where_it_is_attached() -> Result<()> {
    let gradient = |config: DmrnetConfig| -> Result<Vec<u32>> {
        let mut model = build(&config);
        let gradients = model.loss(&batch(40), &step(0))?.total()?.backward()?;
        let var = model.parameters().variables().into_iter().find(|(name, _)| name == "log_var.norm.bias").unwrap().1;
        Ok(bits(gradients.get(&var).unwrap()))
    };
    let without = gradient(DmrnetConfig { alpha: 0.0, ..small() })?;
    assert_eq!(gradient(DmrnetConfig { kl_detached: true, ..small() })?, without);
    assert_ne!(gradient(small())?, without);
    Ok(())
}

#[test]
fn prediction_uses_the_mean_and_no_randomness() -> Result<()> {
    let (model, _) = trained(&small(), 3);
    let test = batch(50);
    let logits = model.deployed().predict(test.inputs())?.prediction;
    assert_eq!(bits(&logits), bits(&model.deployed().predict(test.inputs())?.prediction));
    let distribution = model.deployed().distribution(test.inputs())?;
    assert_eq!(bits(&logits), bits(&model.deployed().network().head().forward(&distribution.mean)?));
    let variance = distribution.mean_variance()?.to_vec1::<f32>()?;
    assert!(variance.len() == 50 && variance.iter().all(|v| *v > 0.0));
    let clamped = Dmrnet::new(DmrnetConfig { clamp_log_var: Some(0.01), ..small() }, &Setup::new(&schema()).seed(1))?;
    let largest = clamped.deployed().distribution(test.inputs())?.log_var.abs()?.max_all()?.to_scalar::<f32>()?;
    assert!(largest <= 0.01, "{largest}");
    Ok(())
}

#[test]
fn combinations_from_one_run_equal_predictions_of_each() -> Result<()> {
    let (method, _) = trained(&small(), 3);
    let model = method.deployed();
    let rows: Vec<usize> = (0..60).filter(|i| i % 5 != 4).collect();
    let batch = dataset(60).batch(&rows, &Device::Cpu)?;
    let subsets: Vec<Subset> = Subset::all_non_empty(3).collect();
    let all = model.predict_combinations(batch.inputs(), &subsets)?;
    assert_eq!((all.dims(), model.encode(batch.inputs())?.encoder_passes), ([7, rows.len(), CLASSES].as_slice(), 3));
    for (i, &subset) in subsets.iter().enumerate() {
        let alone = model.predict(&batch.inputs().with_presence(Presence::uniform(subset, rows.len()))?)?.prediction;
        assert!((all.get(i)? - alone)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-4, "{subset:?}");
    }
    assert!(model.predict_combinations(batch.inputs(), &[]).is_err());
    Ok(())
}

#[test]
fn what_an_absent_modality_holds_changes_nothing() -> Result<()> {
    let (model, _) = trained(&small(), 3);
    let full = batch(60);
    let batch = with_presence(&full, Presence::uniform(subset(&[0, 2]), 60).intersection(full.presence())?);
    let input = &batch.inputs().at(1).unwrap().values;
    let noise = rng::standard_normal(&mut rng::stream(3, "n", &[]), input.elem_count());
    let noise = (Tensor::from_vec(noise, input.shape(), &Device::Cpu)? * 100.0)?;
    let (expected, spread) =
        (bits(&model.deployed().predict(batch.inputs())?.prediction), bits(&model.deployed().distribution(batch.inputs())?.log_var));
    let mut losses = Vec::new();
    for content in [input.zeros_like()?, noise, Tensor::full(f32::NAN, input.shape(), &Device::Cpu)?] {
        let changed = with_values(&batch, 1, content);
        assert_eq!(bits(&model.deployed().predict(changed.inputs())?.prediction), expected);
        assert_eq!(bits(&model.deployed().distribution(changed.inputs())?.log_var), spread);
        // Training too, in the extra loss as well.
        let config = DmrnetConfig { hard_combinations: Some(vec!["b".into(), "c".into()]), ..small() };
        losses.push(terms(&mut build(&config), &changed, &step(3)));
    }
    assert!(losses[0].len() == 3 && losses[0].iter().all(|(_, value)| value.is_finite()));
    assert!(losses.iter().all(|l| *l == losses[0]), "{losses:?}");
    assert!(matches!(Subset::from_bits(0), Err(Error::Modality(ModalityError::EmptySubset))));
    Ok(())
}

#[test]
fn masks_are_uniform_over_the_combinations() -> Result<()> {
    let natural = Presence::uniform(Subset::full(3), 70_000);
    let ids: Vec<u64> = (0..70_000).collect();
    let draw = || DmrnetConfig::default().missing.draw(&natural, &schema().modalities, &ids, &step(0).draws("missing"));
    let drawn = draw()?;
    for subset in Subset::all_non_empty(3) {
        let count = drawn.subsets().iter().filter(|s| **s == subset).count();
        assert!((9600..=10400).contains(&count), "{subset:?}: {count}");
    }
    assert_eq!(drawn, draw()?);
    Ok(())
}

#[test]
fn same_seed_same_bytes() {
    let (a, b) = (trained(&small(), 5).0, trained(&small(), 5).0);
    assert_eq!(parameter_bits(&a.parameters()), parameter_bits(&b.parameters()));
    assert_eq!(a.mined(), b.mined());
    let other = Dmrnet::new(small(), &Setup::new(&schema()).seed(2)).unwrap();
    assert_ne!(parameter_bits(&other.parameters()), parameter_bits(&build(&small()).parameters()));
}

/// Stops in front of the first step of an epoch, as a killed process does.
struct Interrupted {
    model: Dmrnet,
    epoch: usize,
}

impl Method for Interrupted {
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        if step.epoch == self.epoch { Err(Error::config("epochs", "stopped")) } else { self.model.loss(batch, step) }
    }

    fn end_of_epoch(&mut self, epoch: usize, held_out: &HeldOut) -> Result<Vec<String>> {
        self.model.end_of_epoch(epoch, held_out)
    }

    fn model(&self) -> &dyn Model {
        self.model.model()
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        unreachable!("the run is interrupted")
    }

    fn state(&self) -> serde_json::Value {
        self.model.state()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        self.model.restore(state)
    }
}

/// Stopped in the middle of the warm-up, and after it: sums, counts and the hard set all come back.
#[test]
fn a_resumed_run_is_the_uninterrupted_one() -> Result<()> {
    let (data, rows, validation): (_, Vec<usize>, Vec<usize>) = (dataset(160), (0..120).collect(), (120..160).collect());
    for (supervision, mining) in [(HardSupervision::Redraw, MiningScore::TrainingLoss), (HardSupervision::Drawn, MiningScore::Variance)] {
        let config = DmrnetConfig { supervision, mining, ..small() };
        let mut whole = build(&config);
        let expected = fit(&mut whole, &data, &rows, &validation, &train_config(6), None)?;
        for epoch in [2, 4] {
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = CheckpointConfig { folder: folder.path().into(), every_seconds: 0.0, fingerprint: "test".into() };
            let mut first = Interrupted { model: build(&config), epoch };
            assert!(fit(&mut first, &data, &rows, &validation, &train_config(6), Some(&checkpoints)).is_err());
            let mut second = build(&config);
            let outcome = fit(&mut second, &data, &rows, &validation, &train_config(6), Some(&checkpoints))?;
            assert_eq!((outcome.history, outcome.notes), (expected.history.clone(), expected.notes.clone()));
            assert_eq!(parameter_bits(&second.parameters()), parameter_bits(&whole.parameters()));
            assert_eq!(second.mined(), whole.mined());
        }
    }
    Ok(())
}

/// Names of the tensors in a file; those of encoders and trunk only as their first part.
fn tensor_names(file: &std::path::Path) -> Vec<String> {
    let tensors = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    let name = |name: String| match name.split_once('.') {
        Some((part @ ("encoders" | "trunk"), _)) => part.to_string(),
        _ => name,
    };
    tensors.into_keys().map(name).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Nothing that only training has; the head of the variance is there for `Dmrnet::distribution`.
const DEPLOYED: [&str; 16] = [
    "encoders",
    "head.bias",
    "head.weight",
    "log_var.linear.bias",
    "log_var.linear.weight",
    "log_var.norm.bias",
    "log_var.norm.running_mean",
    "log_var.norm.running_var",
    "log_var.norm.weight",
    "mean.linear.bias",
    "mean.linear.weight",
    "mean.norm.bias",
    "mean.norm.running_mean",
    "mean.norm.running_var",
    "mean.norm.weight",
    "trunk",
];

#[test]
fn a_saved_model_predicts_the_same_and_foreign_state_is_refused() -> Result<()> {
    let (model, _) = trained(&small(), 4);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    model.parameters().save(&file, |_| true)?;
    assert_eq!(tensor_names(&file), DEPLOYED);
    let loaded = Dmrnet::new(small(), &Setup::new(&schema()).seed(7))?;
    loaded.parameters().load(&file)?;
    assert_eq!(
        bits(&loaded.deployed().predict(batch(30).inputs())?.prediction),
        bits(&model.deployed().predict(batch(30).inputs())?.prediction)
    );
    assert_eq!(
        bits(&loaded.deployed().distribution(batch(30).inputs())?.log_var),
        bits(&model.deployed().distribution(batch(30).inputs())?.log_var)
    );
    let mut loaded = loaded;
    assert!(matches!(loaded.restore(&serde_json::json!({"candidates": 3})), Err(Error::State { .. })));
    let foreign = serde_json::json!({"candidates": [1, 2], "sums": [0.0, 0.0], "counts": [0, 0], "hard": []});
    assert!(matches!(loaded.restore(&foreign), Err(Error::ForeignState { .. })));
    Ok(())
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let bad = [
        ("alpha", DmrnetConfig { alpha: -1.0, ..small() }),
        ("beta", DmrnetConfig { beta: f64::NAN, ..small() }),
        ("hard_count", DmrnetConfig { hard_count: Some(0), ..small() }),
        ("hard_combinations", DmrnetConfig { hard_combinations: Some(vec![]), ..small() }),
        ("warm_up_epochs", DmrnetConfig { warm_up_epochs: 0, ..small() }),
        ("hard_loss", DmrnetConfig { hard_loss: HardLoss::ReferenceBroadcast, ..small() }),
        ("clamp_log_var", DmrnetConfig { clamp_log_var: Some(0.0), ..small() }),
        ("missing.rates", DmrnetConfig { missing: MissingPattern::Rates([("d".to_string(), 0.5)].into()), ..small() }),
    ];
    for (name, config) in bad {
        let error = Dmrnet::new(config, &Setup::new(&schema())).err();
        assert!(matches!(&error, Some(Error::Config { field, .. }) if field == name), "{name}: {error:?}");
    }
    let one = Schema::new(Modalities::new(["a"]).unwrap(), vec![InputSpec::vector(3)], Target::of_classes(["x"])).unwrap();
    assert!(
        matches!(Dmrnet::new(DmrnetConfig::default(), &Setup::new(&one)).err(), Some(Error::Config { field, .. }) if field == "modalities")
    );
    DmrnetConfig::published().validate().unwrap();
    assert!(serde_json::from_str::<DmrnetConfig>(r#"{"beta": 0.5, "bet": 1}"#).is_err());
    let written: DmrnetConfig = serde_json::from_str(r#"{"mining": "per_sample_kl", "supervision": "drawn"}"#).unwrap();
    assert_eq!(written, DmrnetConfig { mining: MiningScore::PerSampleKl, supervision: HardSupervision::Drawn, ..DmrnetConfig::default() });
    // Held-out samples are needed for one of the scores only, and the message says so.
    let mut model = build(&DmrnetConfig { mining: MiningScore::PerSampleKl, ..small() });
    let rows: Vec<usize> = (0..100).collect();
    let error = fit(&mut model, &dataset(100), &rows, &[], &train_config(4), None).unwrap_err();
    assert!(matches!(&error, Error::Config { field, problem } if field == "mining" && problem.contains("training_loss")), "{error}");
    fit(&mut build(&small()), &dataset(100), &rows, &[], &train_config(4), None).unwrap();
}

/// The published score does not find the poor sensor here: alone, it has the smallest variance of the three, not the largest.
#[test]
fn variance_is_smallest_where_the_evidence_is_poor() -> Result<()> {
    let rows: Vec<usize> = (0..180).collect();
    for seed in 0..3 {
        let observed = DmrnetConfig { mining: MiningScore::Variance, warm_up_epochs: 20, supervision: HardSupervision::Drawn, ..small() };
        let mut model = Dmrnet::new(observed, &Setup::new(&schema()).seed(seed))?;
        fit(&mut model, &dataset(180), &rows, &[], &TrainConfig { seed, ..train_config(20) }, None)?;
        let scores = model.mined().scores();
        let of_single = [0, 1, 2].map(|m| scores[model.mined().candidates().iter().position(|c| *c == subset(&[m])).unwrap()].unwrap());
        assert!(of_single[2] < of_single[0] && of_single[2] < of_single[1], "seed {seed}: {of_single:?}");
    }
    Ok(())
}
