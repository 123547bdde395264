//! Modality distillation where every pixel has a class.

use candle_core::Device;
use mm_baselines::FusionConfig;
use mm_core::data::{Inputs, Source};
use mm_core::dense::{BackboneConfig, ContextConfig, DecoderConfig, DenseBlock, DenseConfig, EsaNetConfig, UNetConfig};
use mm_core::eval::{default_combinations, evaluate};
use mm_core::fusion::NetworkConfig;
use mm_core::model::Output;
use mm_core::recipe::{AnyRecipe, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{ClassWeights, Method, TrainConfig, Trainer};
use mm_core::{Error, Model, Presence, Result, Subset};
use mm_testing::{Squares, bits, difference, parameter_bits, spoilt, with_presence};
use mod_distill::{Adaptation, Balance, ModDistillConfig, TranslationConfig};

const IMAGES: usize = 24;

fn unet() -> NetworkConfig {
    let unet = UNetConfig { widths: vec![4, 8], side_outputs: true, ..UNetConfig::default() };
    NetworkConfig { dense: Some(DenseConfig::UNet(unet)), ..NetworkConfig::default() }
}

fn esanet() -> NetworkConfig {
    let esanet = EsaNetConfig {
        encoder: BackboneConfig { depth: 18, block: Some(DenseBlock::NonBottleneck1d), width: 4 },
        context: ContextConfig { bins: vec![1], adapted_to: None },
        decoder: DecoderConfig { channels: [8, 8, 8], blocks: 1 },
        carrier: None,
    };
    NetworkConfig { dense: Some(DenseConfig::EsaNet(esanet)), ..NetworkConfig::default() }
}

fn recipes() -> Vec<(&'static str, ModDistillConfig)> {
    let near = |network| ModDistillConfig { network, mmd_pixels: 64, ..ModDistillConfig::available(["near"]) };
    vec![
        ("unet", near(unet())),
        ("robust", ModDistillConfig { robust: true, available: Vec::new(), ..near(unet()) }),
        ("restored task", ModDistillConfig { lambda_r: 0.5, balance: Balance::Uncertainty, ..near(unet()) }),
        ("no adaptation", ModDistillConfig { no_ja: true, ..near(unet()) }),
        ("esanet", near(esanet())),
    ]
}

struct Taught(Box<dyn Model>);

impl Teacher for Taught {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        Ok(self.0.predict(inputs)?.detach())
    }
}

fn run(method: &mut dyn Method, data: &Squares, epochs: usize) -> Vec<f64> {
    run_at(0.1, method, data, epochs)
}

fn run_at(learning_rate: f64, method: &mut dyn Method, data: &Squares, epochs: usize) -> Vec<f64> {
    let config =
        TrainConfig { epochs, batch_size: 8, learning_rate, class_weights: ClassWeights::MedianFrequency, ..TrainConfig::default() };
    let outcome = Trainer::new(config).run(method, data, &(0..IMAGES).collect::<Vec<_>>(), &[]).unwrap();
    outcome.history.iter().map(|log| log.losses.get("task").copied().unwrap_or_default()).collect()
}

/// With a teacher that was trained on both sensors.
fn method(recipe: &ModDistillConfig, data: &Squares) -> Box<dyn Method> {
    let setup = Setup::new(data.schema());
    let full = FusionConfig { network: recipe.network.clone(), ..FusionConfig::full_only() };
    let mut teacher = AnyRecipe::method(&full, &setup, None).unwrap();
    run(&mut *teacher, &Squares::new(IMAGES, 0), 2);
    AnyRecipe::method(recipe, &setup, Some(Box::new(Taught(teacher.into_model())))).unwrap()
}

#[test]
fn every_supported_combination_is_learned() {
    let (data, test) = (Squares::new(IMAGES, 0), Squares::new(12, 1));
    for (name, recipe) in recipes() {
        let mut method = method(&recipe, &data);
        // Nothing normalises the maps that the published network translates: at 0.1 they grow beyond all bounds.
        let losses = run_at(if name == "esanet" { 0.01 } else { 0.1 }, &mut *method, &data, 12);
        let model = method.into_model();
        assert!(losses[11] < 0.85 * losses[0], "{name}: {losses:?}");
        let all = default_combinations(2, 0);
        let combinations: Vec<Subset> = all.iter().copied().filter(|&subset| model.supports(subset)).collect();
        assert_eq!(combinations.len(), if name == "robust" { 3 } else { 2 }, "{name}");
        assert_eq!(model.reads(), if name == "robust" { Subset::full(2) } else { Subset::single(0) });
        let rows: Vec<usize> = (0..test.len()).collect();
        let evaluation = evaluate(&*model, &test, &rows, &combinations, 5, &Device::Cpu).unwrap();
        for combination in &evaluation.combinations {
            // Naming the ground everywhere reaches less than one half. Maps of 1/32 of these images say little.
            let iou = combination.scored.get("miou");
            println!("{name} {:?} {iou}", combination.subset);
            assert!(iou > 0.55 || name == "esanet", "{name} {:?}: {iou}", combination.subset);
        }
    }
}

#[test]
fn terms_are_those_of_the_settings() {
    let data = Squares::new(IMAGES, 0);
    for (name, recipe) in recipes() {
        let mut method = method(&recipe, &data);
        let config = TrainConfig { epochs: 1, batch_size: 8, ..TrainConfig::default() };
        let outcome = Trainer::new(config).run(&mut *method, &data, &(0..IMAGES).collect::<Vec<_>>(), &[]).unwrap();
        let terms: Vec<&str> = outcome.history[0].losses.keys().map(|term| &**term).collect();
        let expected: &[&str] = match name {
            "no adaptation" => &["rec", "task", "total"],
            "restored task" => &["balanced", "ja", "rec", "restored_task", "task", "total"],
            _ => &["ja", "rec", "task", "total"],
        };
        assert_eq!(terms, expected, "{name}");
        assert!(outcome.history[0].losses.values().all(|x| x.is_finite()));
    }
}

#[test]
fn what_an_absent_sensor_holds_is_not_read() {
    let (far, near) = (Subset::single(1), Subset::single(0));
    for (name, recipe) in recipes() {
        let data = Squares::new(6, 2).with_presence(|i| match (i % 3, name) {
            (0, _) => Subset::full(2),
            (1, "robust") => far,
            _ => near,
        });
        let batch = data.batch(&[0, 1, 2, 3, 4, 5], &Device::Cpu).unwrap();
        let mut method = method(&recipe, &data);
        run(&mut *method, &Squares::new(IMAGES, 0), 1);
        let mut model = method.into_model();
        let predicted = model.predict(batch.inputs()).unwrap().prediction;
        assert_eq!(predicted.dims(), [6, 2, 16, 16], "{name}");
        let has = batch.presence().subsets().to_vec();
        let nan = spoilt(&batch, f32::NAN, |row, sensor| !has[row].contains(sensor));
        assert_eq!(bits(&predicted), bits(&model.predict(nan.inputs()).unwrap().prediction), "{name}");
        assert!(predicted.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|x| x.is_finite()), "{name}");
        let complete = Squares::new(3, 5).batch(&[0, 1, 2], &Device::Cpu).unwrap();
        let subsets: Vec<Subset> = default_combinations(2, 0).into_iter().filter(|&subset| model.supports(subset)).collect();
        let together = model.predict_combinations(complete.inputs(), &subsets).unwrap();
        for (i, &subset) in subsets.iter().enumerate() {
            let only = with_presence(&complete, Presence::uniform(subset, 3));
            let alone = model.predict(only.inputs()).unwrap().prediction;
            assert!(difference(&together.get(i).unwrap(), &alone) < 1e-4, "{name} {subset:?}");
        }
        if name != "robust" {
            assert!(model.predict(with_presence(&complete, Presence::uniform(far, 3)).inputs()).is_err());
        }
        model.freeze();
        assert!(difference(&predicted, &model.predict(batch.inputs()).unwrap().prediction) < 1e-4, "{name}");
    }
}

/// Samples without the privileged sensor, and such for which it broke, train the task alone: no NaN reaches a parameter.
#[test]
fn incomplete_and_broken_samples_train_the_task() {
    for (name, recipe) in recipes() {
        let data = Squares::new(IMAGES, 0).with_presence(|i| if i % 3 == 0 { Subset::single(0) } else { Subset::full(2) });
        let trained = || {
            let mut method = method(&recipe, &data);
            run(&mut *method, &data, 2);
            parameter_bits(&method.parameters())
        };
        let found = trained();
        // The same seed, the same bits.
        assert_eq!(found, trained(), "{name}");
        assert!(found.iter().flat_map(|(_, values)| values).all(|&x| f32::from_bits(x).is_finite()), "{name}");
    }
    // The robust model reads both sensors; the others never read `far` but through the teacher.
    for (name, recipe) in recipes().into_iter().filter(|(name, _)| *name != "robust") {
        let data = Squares::new(IMAGES, 0);
        let mut method = method(&recipe, &data);
        let batch = data.batch(&(0..8).collect::<Vec<_>>(), &Device::Cpu).unwrap();
        let broken = spoilt(&batch, f32::NAN, |row, sensor| sensor == 1 && row < 3);
        let step = mm_core::train::Step { seed: 0, epoch: 3, epochs: 4, step: 0, steps: 1 };
        for (term, value) in method.loss(&broken, &step).unwrap().terms() {
            assert!(value.to_scalar::<f32>().unwrap().is_finite(), "{name} {term}");
        }
    }
}

/// The deployed model has no parameter that only training needs, and is what the settings alone build.
#[test]
fn training_parameters_are_not_deployed() {
    let data = Squares::new(IMAGES, 0);
    for (name, recipe) in recipes() {
        let method = method(&recipe, &data);
        let training = method.training_parameters().unwrap().names();
        assert_eq!(training.is_empty(), name == "no adaptation", "{name}");
        let deployed = AnyRecipe::model(&recipe, &Setup::new(data.schema()).for_loading()).unwrap();
        assert_eq!(deployed.parameters().names(), method.model().parameters().names(), "{name}");
        assert!(training.iter().all(|parameter| !deployed.parameters().names().contains(parameter)), "{name}");
        // Nothing of what is deployed is idle: NaN in any parameter shows in the prediction.
        let mut spoilt = method.into_model();
        let batch = data.batch(&[0, 1], &Device::Cpu).unwrap();
        let one = with_presence(&batch, Presence::uniform(Subset::single(0), 2));
        for (parameter, variable) in spoilt.parameters().variables().into_iter().filter(|(p, _)| p.ends_with(".weight")) {
            // The robust model with `near` alone needs neither the encoder of `far` nor what restores `near`.
            if name == "robust"
                && (parameter.starts_with("encoders.far") || parameter.contains(".near.") && parameter.starts_with("restorers"))
            {
                continue;
            }
            // Side outputs predict in training.
            if parameter.contains("side") {
                continue;
            }
            let before = variable.as_tensor().copy().unwrap();
            variable.set(&(variable.as_tensor() * f64::NAN).unwrap()).unwrap();
            let prediction = spoilt.predict(one.inputs()).unwrap().prediction.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(prediction.iter().any(|x| x.is_nan()), "{name} {parameter}");
            variable.set(&before).unwrap();
        }
        spoilt.freeze();
    }
}

#[test]
fn options_without_meaning_are_refused() {
    let data = Squares::new(2, 0);
    let base = || ModDistillConfig { network: unet(), ..ModDistillConfig::available(["near"]) };
    for (field, recipe) in [
        ("adaptation", ModDistillConfig { adaptation: Adaptation::Joint, ..base() }),
        ("two_stage", ModDistillConfig { two_stage: true, ..base() }),
        ("no_ctn", ModDistillConfig { no_ctn: true, ..base() }),
        ("translation", ModDistillConfig { translation: TranslationConfig { norm: true, ..TranslationConfig::default() }, ..base() }),
        ("mmd_pixels", ModDistillConfig { mmd_pixels: 1, ..base() }),
        ("robust", ModDistillConfig { robust: true, network: esanet(), ..base() }),
        ("available", ModDistillConfig { available: Vec::new(), ..base() }),
    ] {
        match AnyRecipe::model(&recipe, &Setup::new(data.schema())) {
            Err(Error::Config { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {}", other.is_ok()),
        }
    }
}
