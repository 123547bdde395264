//! The method on a small synthetic task: three sensors that each show the class.

use candle_core::{DType, Device, Tensor};
use mm_core::data::{Batch, InputSpec, Schema, Source, TableDataset, Target};
use mm_core::missing::MissingPattern;
use mm_core::recipe::{Recipe, Setup};
use mm_core::train::{CheckpointConfig, Method, Step, TrainConfig};
use mm_core::{Error, Modalities, Model, Presence, Result, Subset, rng};
use mm_testing::{fit, parameter_bits, patterns, with_presence, with_values};
use udml::*;

const CLASSES: usize = 3;
const WIDTHS: [usize; 3] = [8, 12, 6];

fn schema() -> Schema {
    let names = (0..CLASSES).map(|c| c.to_string());
    Schema::new(Modalities::new(["a", "b", "c"]).unwrap(), WIDTHS.map(InputSpec::vector).to_vec(), Target::of_classes(names)).unwrap()
}

/// Every fifth sample lacks sensor `c`.
fn dataset(samples: usize) -> TableDataset {
    let both = Subset::from_indices([0, 1]).unwrap();
    patterns(schema(), samples, &[0.3; 3], |i| if i % 5 == 4 { both } else { Subset::full(3) })
}

fn small() -> UdmlConfig {
    let mut config = UdmlConfig { estimator_width: 32, ..UdmlConfig::default() };
    config.network.encoder = Some(mm_core::encoder::EncoderConfig::mlp([24, 16]));
    config
}

fn trained(config: UdmlConfig, epochs: usize) -> Udml {
    let data = dataset(240);
    let mut model = Udml::new(config, &Setup::new(&schema()).seed(1)).unwrap();
    let train: Vec<usize> = (0..180).collect();
    fit(&mut model, &data, &train, &[], &train_config(epochs), None).unwrap();
    model
}

fn train_config(epochs: usize) -> TrainConfig {
    TrainConfig { epochs, batch_size: 32, seed: 1, clip_norm: Some(20.0), ..TrainConfig::default() }
}

fn held_out() -> Batch {
    dataset(240).batch(&(180..240).collect::<Vec<_>>(), &Device::Cpu).unwrap()
}

fn accuracy(model: &Udml, batch: &Batch) -> f64 {
    let predicted = model.deployed().predict(batch.inputs()).unwrap().prediction.argmax(1).unwrap().to_vec1::<u32>().unwrap();
    let labels = batch.targets().values().to_vec1::<u32>().unwrap();
    predicted.iter().zip(&labels).filter(|(p, l)| p == l).count() as f64 / labels.len() as f64
}

#[test]
fn learns_and_trusts_the_noisy_sensor_less() -> Result<()> {
    let (model, clean) = (trained(small(), 30), held_out());
    assert!(accuracy(&model, &clean) > 0.95);
    let full: Vec<usize> = (0..clean.len()).filter(|i| clean.presence().subsets()[*i].len() == 3).collect();
    for m in 0..3 {
        let input = &clean.inputs().at(m).unwrap().values;
        let noise = rng::standard_normal(&mut rng::stream(2, "test", &[]), input.elem_count());
        let noisy = with_values(&clean, m, (input + (Tensor::from_vec(noise, input.shape(), &Device::Cpu)? * 3.0)?)?);
        let dead = with_values(&clean, m, input.zeros_like()?);
        let mean = |batch: &Batch, pick: fn(&SensorTrust) -> f32| -> Result<f32> {
            let trust = model.deployed().trust(batch.inputs())?.unwrap();
            Ok(full.iter().map(|&i| pick(&trust[i][m])).sum::<f32>() / full.len() as f32)
        };
        let (before, after, without) = (mean(&clean, |t| t.weight)?, mean(&noisy, |t| t.weight)?, mean(&dead, |t| t.weight)?);
        assert!(after < 0.5 * before && without < 0.3, "sensor {m}: {before} clean, {after} noisy, {without} dead");
        assert!(mean(&noisy, |t| t.level)? > 2.0 * mean(&clean, |t| t.level)?);
        assert!(accuracy(&model, &noisy) > 0.9 && accuracy(&model, &dead) > 0.9);
    }
    Ok(())
}

#[test]
fn the_published_form_trains() -> Result<()> {
    let network = small().network;
    // Its training wants complete samples; the data set has some that are not.
    let config = UdmlConfig { network, missing: MissingPattern::Natural, ..UdmlConfig::published() };
    let model = trained(config, 20);
    assert!(accuracy(&model, &held_out()) > 0.9);
    // Noise in the last half only, and weights by dependence until then.
    let late = trained(UdmlConfig { clean_share: 0.5, static_share: 0.6, ..small() }, 10);
    assert!(accuracy(&late, &held_out()) > 0.9);
    Ok(())
}

#[test]
fn output_is_consistent() -> Result<()> {
    let (model, batch) = (trained(small(), 4), held_out());
    let output = model.deployed().output(batch.inputs())?;
    assert_eq!(output.logits.to_vec2::<f32>()?, model.deployed().predict(batch.inputs())?.prediction.to_vec2::<f32>()?);
    let (weights, levels) = (output.weights.to_vec2::<f32>()?, output.levels.to_vec2::<f32>()?);
    for (i, subset) in batch.presence().subsets().iter().enumerate() {
        assert!((weights[i].iter().sum::<f32>() - subset.len() as f32).abs() < 1e-5);
        assert!((0..3).all(|m| (weights[i][m] > 0.0) == subset.contains(m) && (levels[i][m] > 0.0) == subset.contains(m)));
        let trust = &model.deployed().trust(batch.inputs())?.unwrap()[i];
        assert_eq!(trust.iter().map(|t| t.modality.as_str()).collect::<Vec<_>>(), ["a", "b", "c"][..subset.len()]);
    }
    // Head identity: Σ_m out_m - (M - 1) b = out.
    let bias = model.parameters().get("head.bias").unwrap();
    let sum = output.unimodal_logits.sum(1)?.broadcast_sub(&(bias.detach() * 2.0)?)?;
    assert!((sum - &output.logits)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-4);
    Ok(())
}

#[test]
fn combinations_from_one_run_equal_predictions_of_each() -> Result<()> {
    for config in [small(), UdmlConfig { residual: false, ..small() }, UdmlConfig { weights: WeightForm::Static, ..small() }] {
        let model = trained(config, 3);
        let rows: Vec<usize> = (0..60).filter(|i| i % 5 != 4).collect();
        let batch = dataset(60).batch(&rows, &Device::Cpu)?;
        let subsets: Vec<Subset> = Subset::all_non_empty(3).collect();
        let all = model.deployed().predict_combinations(batch.inputs(), &subsets)?;
        assert_eq!(all.dims(), [7, rows.len(), CLASSES]);
        for (i, &subset) in subsets.iter().enumerate() {
            let alone = model.deployed().predict(&batch.inputs().with_presence(Presence::uniform(subset, rows.len()))?)?.prediction;
            assert!((all.get(i)? - alone)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-4, "{subset:?}");
        }
        assert!(model.deployed().predict_combinations(batch.inputs(), &[]).is_err());
    }
    Ok(())
}

#[test]
fn what_an_absent_modality_holds_changes_nothing() -> Result<()> {
    for config in [small(), UdmlConfig { estimator_input: EstimatorInput::Feature, ..small() }] {
        let model = trained(config.clone(), 3);
        let batch = with_presence(&held_out(), Presence::uniform(Subset::from_indices([0, 2])?, 60).intersection(held_out().presence())?);
        let input = &batch.inputs().at(1).unwrap().values;
        let noise = Tensor::from_vec(rng::standard_normal(&mut rng::stream(3, "n", &[]), input.elem_count()), input.shape(), &Device::Cpu)?;
        let contents = [input.zeros_like()?, (noise * 100.0)?, Tensor::full(f32::NAN, input.shape(), &Device::Cpu)?];
        let bits = |t: &Tensor| -> Result<Vec<u32>> { Ok(t.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f32::to_bits).collect()) };
        let expected = model.deployed().output(batch.inputs())?;
        let step = Step { seed: 1, epoch: 5, epochs: 6, step: 0, steps: 1 };
        let mut losses = Vec::new();
        for content in contents {
            let changed = with_values(&batch, 1, content);
            let output = model.deployed().output(changed.inputs())?;
            assert_eq!(bits(&output.logits)?, bits(&expected.logits)?);
            assert_eq!(bits(&output.weights)?, bits(&expected.weights)?);
            // Training too.
            let mut fresh = Udml::new(config.clone(), &Setup::new(&schema()))?;
            losses.push(fresh.loss(&changed, &step)?.total()?.to_scalar::<f32>()?.to_bits());
        }
        assert!(f32::from_bits(losses[0]).is_finite() && losses.iter().all(|l| *l == losses[0]));
    }
    Ok(())
}

#[test]
fn same_seed_same_bytes() {
    let (a, b) = (trained(small(), 3), trained(small(), 3));
    assert_eq!(parameter_bits(&a.parameters()), parameter_bits(&b.parameters()));
    let other = Udml::new(small(), &Setup::new(&schema()).seed(2)).unwrap();
    assert_ne!(
        parameter_bits(&other.parameters()),
        parameter_bits(&Udml::new(small(), &Setup::new(&schema()).seed(1)).unwrap().parameters())
    );
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one() -> Result<()> {
    let data = dataset(120);
    let rows: Vec<usize> = (0..120).collect();
    for config in [small(), UdmlConfig { dependence: DependenceForm::LoneModality, dependence_momentum: 0.0, ..small() }] {
        let build = || Udml::new(config.clone(), &Setup::new(&schema()).seed(1));
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointConfig { folder: folder.path().into(), every_seconds: 0.0, fingerprint: "test".into() };
        let mut whole = build()?;
        fit(&mut whole, &data, &rows, &[], &train_config(6), None)?;
        // A run that is stopped in its fourth epoch leaves the checkpoint of the third.
        let mut first = Interrupted { model: build()?, epoch: 3 };
        let stopped = fit(&mut first, &data, &rows, &[], &train_config(6), Some(&checkpoints));
        assert!(stopped.is_err());
        let mut second = build()?;
        let outcome = fit(&mut second, &data, &rows, &[], &train_config(6), Some(&checkpoints))?;
        assert_eq!(outcome.history.len(), 6);
        assert_eq!(parameter_bits(&second.parameters()), parameter_bits(&whole.parameters()));
    }
    Ok(())
}

/// A method that fails at the beginning of an epoch.
struct Interrupted {
    model: Udml,
    epoch: usize,
}

impl Method for Interrupted {
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<mm_core::train::Losses> {
        if step.epoch == self.epoch {
            return Err(Error::config("epochs", "interrupted"));
        }
        self.model.loss(batch, step)
    }
    fn model(&self) -> &dyn Model {
        self.model.model()
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        unreachable!("the run is interrupted")
    }
}

#[test]
fn the_deployed_file_holds_everything_prediction_needs() -> Result<()> {
    let model = trained(small(), 3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.parameters().save(&path, |_| true)?;
    let loaded = Udml::new(small(), &Setup::new(&schema()).seed(77))?;
    loaded.parameters().load(&path)?;
    let batch = held_out();
    assert_eq!(
        loaded.deployed().predict(batch.inputs())?.prediction.to_vec2::<f32>()?,
        model.deployed().predict(batch.inputs())?.prediction.to_vec2::<f32>()?
    );
    assert_eq!(loaded.deployed().dependence()?.to_vec1::<f32>()?, model.deployed().dependence()?.to_vec1::<f32>()?);

    let names = model.parameters().names();
    let mut expected = vec!["dependence.running_mean".to_string(), "head.bias".into(), "head.weight".into()];
    let norm = |prefix: String| ["weight", "bias", "running_mean", "running_var"].map(|n| format!("{prefix}.norm.{n}"));
    for m in ["a", "b", "c"] {
        for layer in [
            format!("encoders.{m}.0"),
            format!("encoders.{m}.1"),
            format!("noise_encoders.{m}.0"),
            format!("noise_encoders.{m}.1"),
            format!("features.{m}.mean"),
            format!("features.{m}.log_var"),
        ] {
            expected.push(format!("{layer}.linear.weight"));
            expected.extend(norm(layer));
        }
        expected.extend(["0.weight", "0.bias", "1.weight", "1.bias"].map(|n| format!("estimators.{m}.{n}")));
    }
    expected.sort();
    assert_eq!(names, expected);
    let fixed = Udml::new(UdmlConfig { weights: WeightForm::Static, ..small() }, &Setup::new(&schema()))?;
    assert!(fixed.parameters().names().iter().all(|n| !n.starts_with("estimators") && !n.starts_with("noise_encoders")));
    Ok(())
}

/// Gradients of one loss term: which parameters it reaches.
fn reached(config: UdmlConfig, term: &str) -> Vec<String> {
    let mut model = Udml::new(config, &Setup::new(&schema())).unwrap();
    let batch = dataset(60).batch(&(0..60).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let losses = model.loss(&batch, &Step { seed: 1, epoch: 5, epochs: 6, step: 0, steps: 1 }).unwrap();
    let value = losses.terms().find(|(name, _)| *name == term).unwrap().1.clone();
    let gradients = value.backward().unwrap();
    let moved = |var: &candle_core::Var| {
        let gradient = gradients.get(var)?.abs().ok()?.sum_all().ok()?.to_scalar::<f32>().ok()?;
        (gradient > 0.0).then_some(())
    };
    model.parameters().variables().into_iter().filter(|(_, var)| moved(var).is_some()).map(|(name, _)| name).collect()
}

#[test]
fn gradients_go_where_they_should() {
    let any = |names: &[String], start: &str| names.iter().any(|n| n.starts_with(start));
    for (input, encoders, own) in [
        (EstimatorInput::SpreadDetached, false, false),
        (EstimatorInput::FeatureDetached, false, false),
        (EstimatorInput::Feature, true, false),
        (EstimatorInput::OwnEncoder, false, true),
    ] {
        let level = reached(UdmlConfig { estimator_input: input, ..small() }, "level");
        assert!(any(&level, "estimators") && !any(&level, "head") && !any(&level, "dependence"), "{input:?}: {level:?}");
        assert_eq!((any(&level, "encoders"), any(&level, "noise_encoders")), (encoders, own), "{input:?}");
    }
    let task = reached(small(), "task");
    assert!(any(&task, "encoders") && any(&task, "head") && !any(&task, "estimators") && !any(&task, "noise_encoders"));
    assert!(any(&reached(UdmlConfig { detach_weights: false, ..small() }, "task"), "estimators"));
}

#[test]
fn the_static_phase_does_not_look_at_the_noise() -> Result<()> {
    let batch = dataset(60).batch(&(0..60).collect::<Vec<_>>(), &Device::Cpu)?;
    let task = |share: f64, estimator: f32| -> Result<f32> {
        let mut model = Udml::new(UdmlConfig { static_share: share, ..small() }, &Setup::new(&schema()))?;
        for (name, var) in model.parameters().variables() {
            if name.starts_with("estimators.a.1.bias") {
                var.set(&Tensor::full(estimator, 1, &Device::Cpu)?)?;
            }
        }
        let losses = model.loss(&batch, &Step { seed: 1, epoch: 2, epochs: 10, step: 0, steps: 1 })?;
        let value = losses.terms().next().unwrap().1.to_scalar::<f32>()?;
        Ok(value)
    };
    assert_eq!(task(0.5, 0.0)?, task(0.5, 2.0)?);
    assert!((task(0.1, 0.0)? - task(0.1, 2.0)?).abs() > 1e-3, "{} {}", task(0.1, 0.0)?, task(0.1, 2.0)?);
    Ok(())
}

#[test]
fn samples_have_the_stated_mean_and_spread() -> Result<()> {
    let (mean, log_var) = (Tensor::full(0.5f64, (1, 2, 3, 3), &Device::Cpu)?, Tensor::full(2f64.ln(), (1, 2, 3, 3), &Device::Cpu)?);
    let (mut sum, mut squares, draws) = (0.0, 0.0, 2000);
    for i in 0..draws {
        let noise = rng::standard_normal(&mut rng::stream(5, "draw", &[i]), 18);
        let noise = Tensor::from_vec(noise, (1, 2, 3, 3), &Device::Cpu)?.to_dtype(DType::F64)?;
        let h = reparameterize(&mean, &log_var, &noise)?;
        sum += h.sum_all()?.to_scalar::<f64>()?;
        squares += h.sqr()?.sum_all()?.to_scalar::<f64>()?;
    }
    let n = 18.0 * draws as f64;
    assert!((sum / n - 0.5).abs() < 0.03 && (squares / n - (sum / n).powi(2) - 2.0).abs() < 0.06);
    // KL over all positions: 18 elements of N(0.5, 2) to N(0, 1).
    let expected = 18.0 * 0.5 * (2.0 + 0.25 - 2f64.ln() - 1.0);
    assert!((gaussian_kl(&mean, &log_var, None)?.to_scalar::<f64>()? - expected).abs() < 1e-9);
    Ok(())
}

#[test]
fn settings_are_read_and_checked() {
    let read = |text: &str| serde_json::from_str::<UdmlConfig>(text);
    assert_eq!(read("{}").unwrap(), UdmlConfig::default());
    let config = read(r#"{"weights": "static", "noise": {"families": ["gaussian"]}, "missing": {"rates": {"a": 0.1, "c": 0.3}}}"#).unwrap();
    let rates = [("a".to_string(), 0.1), ("c".to_string(), 0.3)].into();
    assert_eq!((config.weights, config.missing), (WeightForm::Static, MissingPattern::Rates(rates)));
    assert!(read(r#"{"lambda": 1}"#).is_err());
    let field = |config: UdmlConfig| match Udml::new(config, &Setup::new(&schema())) {
        Err(Error::Config { field, .. }) => field,
        _ => panic!("accepted"),
    };
    assert_eq!(field(UdmlConfig { temperature: 0.0, ..small() }), "temperature");
    assert_eq!(field(UdmlConfig { lambda_kl: f64::NAN, ..small() }), "lambda_kl");
    assert_eq!(field(UdmlConfig { static_share: 1.5, ..small() }), "static_share");
    assert_eq!(field(UdmlConfig { estimator_dropout: 1.0, ..small() }), "estimator_dropout");
    assert_eq!(field(UdmlConfig { lambda_level: 0.0, ..small() }), "lambda_level");
    assert_eq!(field(UdmlConfig { noise: NoiseConfig { max_level: 1.0, ..NoiseConfig::default() }, ..small() }), "noise.max_level");
    assert_eq!(field(UdmlConfig { missing: MissingPattern::Rates([("d".to_string(), 0.5)].into()), ..small() }), "missing.rates");
    UdmlConfig::published().validate().unwrap();
    UdmlConfig::static_fusion().validate().unwrap();
}
