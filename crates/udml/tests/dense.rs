//! UDML where every pixel has a class.

use candle_core::Device;
use mm_core::data::Source;
use mm_core::dense::{BackboneConfig, ContextConfig, DecoderConfig, DenseBlock, DenseConfig, EsaNetConfig, UNetConfig};
use mm_core::eval::{default_combinations, evaluate};
use mm_core::fusion::NetworkConfig;
use mm_core::recipe::{AnyRecipe, Setup};
use mm_core::train::{ClassWeights, Method, TrainConfig, Trainer};
use mm_core::{Error, Presence, Subset};
use mm_testing::{Squares, bits, difference, parameter_bits, spoilt, with_presence};
use udml::{DependenceForm, EstimatorInput, Prior, UdmlConfig};

const IMAGES: usize = 24;

fn unet() -> DenseConfig {
    DenseConfig::UNet(UNetConfig { widths: vec![4, 8], side_outputs: true, ..UNetConfig::default() })
}

fn esanet() -> DenseConfig {
    DenseConfig::EsaNet(EsaNetConfig {
        encoder: BackboneConfig { depth: 18, block: Some(DenseBlock::NonBottleneck1d), width: 4 },
        context: ContextConfig { bins: vec![1], adapted_to: None },
        decoder: DecoderConfig { channels: [8, 8, 8], blocks: 1 },
        carrier: None,
    })
}

fn config(dense: DenseConfig, estimator_input: EstimatorInput) -> UdmlConfig {
    UdmlConfig { network: NetworkConfig { dense: Some(dense), ..NetworkConfig::default() }, estimator_input, ..UdmlConfig::default() }
}

fn recipes() -> Vec<(&'static str, UdmlConfig)> {
    vec![
        ("own encoder", config(unet(), EstimatorInput::OwnEncoder)),
        ("feature", config(unet(), EstimatorInput::Feature)),
        ("feature detached", UdmlConfig { residual: false, ..config(unet(), EstimatorInput::FeatureDetached) }),
        ("static", UdmlConfig { network: config(unet(), EstimatorInput::Feature).network, ..UdmlConfig::static_fusion() }),
        ("esanet", config(esanet(), EstimatorInput::Feature)),
    ]
}

fn method(recipe: &UdmlConfig, data: &Squares) -> Box<dyn Method> {
    AnyRecipe::method(recipe, &Setup::new(data.schema()), None).unwrap()
}

fn train(method: &mut dyn Method, data: &Squares, epochs: usize) -> Vec<f64> {
    let config =
        TrainConfig { epochs, batch_size: 8, learning_rate: 0.1, class_weights: ClassWeights::MedianFrequency, ..TrainConfig::default() };
    let outcome = Trainer::new(config).run(method, data, &(0..IMAGES).collect::<Vec<_>>(), &[]).unwrap();
    outcome.history.iter().map(|log| log.losses["total"]).collect()
}

#[test]
fn every_combination_is_learned() {
    let (data, test) = (Squares::new(IMAGES, 0), Squares::new(12, 1));
    for (name, recipe) in recipes().into_iter().filter(|(name, _)| *name != "esanet") {
        let mut method = method(&recipe, &data);
        let losses = train(&mut *method, &data, 40);
        assert!(losses[39] < 0.8 * losses[0], "{name}: {losses:?}");
        let model = method.into_model();
        let rows: Vec<usize> = (0..test.len()).collect();
        let evaluation = evaluate(&*model, &test, &rows, &default_combinations(2, 0), 5, &Device::Cpu).unwrap();
        assert_eq!(evaluation.combinations.len(), 3, "{name}");
        for combination in &evaluation.combinations {
            // Naming the ground everywhere reaches less than one half.
            let iou = combination.scored.get("miou");
            println!("{name} {:?} {iou}", combination.subset);
            assert!(iou > 0.55, "{name} {:?}: {iou}", combination.subset);
        }
    }
}

/// A sensor of pure noise weighs less than a clean one, and the weights of a sample are 1 on average.
#[test]
fn a_noisy_sensor_weighs_less() {
    let data = Squares::new(IMAGES, 0);
    let test = Squares::new(12, 1).batch(&(0..12).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    for (name, recipe) in recipes() {
        let mut method = method(&recipe, &data);
        train(&mut *method, &data, 30);
        let model = method.into_model();
        let noisy = |sensor: usize| {
            let reading = &test.inputs().at(sensor).unwrap().values;
            let noise = mm_core::rng::standard_normal(&mut mm_core::rng::stream(7, "test", &[sensor as u64]), reading.elem_count());
            let noise = candle_core::Tensor::from_vec(noise.iter().map(|x| 3.0 * x).collect(), reading.shape(), &Device::Cpu).unwrap();
            test.inputs().clone().with_values(sensor, (reading + noise).unwrap()).unwrap()
        };
        for sensor in [0, 1] {
            let (output, trust) = model.predict_with_trust(&noisy(sensor)).unwrap();
            assert_eq!(bits(&output.prediction), bits(&model.predict(&noisy(sensor)).unwrap().prediction));
            assert_eq!(trust, model.trust(&noisy(sensor)).unwrap());
            assert_eq!(trust.is_some(), model.knows_trust());
            let Some(trust) = trust else {
                assert_eq!(name, "static");
                continue;
            };
            let mean = |m: usize| trust.iter().map(|sample| sample[m].weight).sum::<f32>() / trust.len() as f32;
            println!("{name}: noisy {} clean {}", mean(sensor), mean(1 - sensor));
            // The other forms separate noise less surely after so few steps: how well hangs on rounding.
            assert!(name != "own encoder" || mean(sensor) < 0.7, "{name}: {}", mean(sensor));
            assert!(trust.iter().all(|sample| (sample[0].weight + sample[1].weight - 2.0).abs() < 1e-4));
        }
    }
}

#[test]
fn what_an_absent_sensor_holds_is_not_read() {
    let data = Squares::new(6, 2).with_presence(|i| [Subset::full(2), Subset::single(0), Subset::single(1)][i % 3]);
    let batch = data.batch(&[0, 1, 2, 3, 4, 5], &Device::Cpu).unwrap();
    for (name, recipe) in recipes() {
        let mut method = method(&recipe, &data);
        train(&mut *method, &Squares::new(IMAGES, 0), 2);
        let mut model = method.into_model();
        let predicted = model.predict(batch.inputs()).unwrap().prediction;
        assert_eq!(predicted.dims(), [6, 2, 16, 16], "{name}");
        let has = batch.presence().subsets().to_vec();
        let nan = spoilt(&batch, f32::NAN, |row, sensor| !has[row].contains(sensor));
        assert_eq!(bits(&predicted), bits(&model.predict(nan.inputs()).unwrap().prediction), "{name}");
        assert_eq!(model.trust(batch.inputs()).unwrap(), model.trust(nan.inputs()).unwrap(), "{name}");
        assert!(predicted.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|x| x.is_finite()), "{name}");
        // All combinations at once say what each says alone.
        let complete = Squares::new(3, 5).batch(&[0, 1, 2], &Device::Cpu).unwrap();
        let subsets = default_combinations(2, 0);
        let together = model.predict_combinations(complete.inputs(), &subsets).unwrap();
        for (i, &subset) in subsets.iter().enumerate() {
            let only = with_presence(&complete, Presence::uniform(subset, 3));
            let alone = model.predict(only.inputs()).unwrap().prediction;
            assert!(difference(&together.get(i).unwrap(), &alone) < 1e-4, "{name} {subset:?}");
        }
        model.freeze();
        assert!(difference(&predicted, &model.predict(batch.inputs()).unwrap().prediction) < 1e-4, "{name}");
    }
}

#[test]
fn a_seed_fixes_a_run() {
    let data = Squares::new(IMAGES, 0).with_presence(|i| if i % 5 == 0 { Subset::single(1) } else { Subset::full(2) });
    for (_, recipe) in recipes() {
        let trained = || {
            let mut method = method(&recipe, &data);
            train(&mut *method, &data, 2);
            parameter_bits(&method.parameters())
        };
        assert_eq!(trained(), trained());
    }
}

/// A model built from the settings alone has all parameters of the trained one, and none besides.
#[test]
fn all_that_is_trained_is_deployed() {
    let data = Squares::new(IMAGES, 0);
    for (name, recipe) in recipes() {
        let method = method(&recipe, &data);
        assert!(method.training_parameters().is_none(), "{name}");
        let deployed = AnyRecipe::model(&recipe, &Setup::new(data.schema()).for_loading()).unwrap();
        assert_eq!(deployed.parameters().names(), method.model().parameters().names(), "{name}");
        let estimators = deployed.parameters().names().iter().filter(|name| name.starts_with("estimators.")).count();
        assert_eq!(estimators, if name == "static" { 0 } else { 8 }, "{name}");
    }
}

#[test]
fn options_without_meaning_are_refused() {
    let data = Squares::new(2, 0);
    let base = || config(unet(), EstimatorInput::OwnEncoder);
    for (field, recipe) in [
        ("estimator_input", UdmlConfig { estimator_input: EstimatorInput::SpreadDetached, ..base() }),
        ("dependence", UdmlConfig { dependence: DependenceForm::LoneModality, ..base() }),
        ("prior", UdmlConfig { prior: Prior::NoiseLevel, ..base() }),
        ("lambda_unimodal", UdmlConfig { lambda_unimodal: 2.0, ..base() }),
    ] {
        match AnyRecipe::model(&recipe, &Setup::new(data.schema())) {
            Err(Error::Config { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {}", other.is_ok()),
        }
    }
}
