//! The baselines where every pixel has a class.

use candle_core::{Device, Tensor};
use mm_baselines::{DeepEnsembleConfig, EnsembleConfig, FusionConfig};
use mm_core::data::Source;
use mm_core::dense::{DenseConfig, UNetConfig};
use mm_core::eval::{default_combinations, evaluate};
use mm_core::fusion::NetworkConfig;
use mm_core::recipe::{AnyRecipe, Setup};
use mm_core::task::PixelClasses;
use mm_core::teacher::Teacher;
use mm_core::train::{ClassWeights, Method, TrainConfig, Trainer};
use mm_core::{Model, Result, Subset};
use mm_testing::{Squares, bits, parameter_bits, spoilt, with_presence};

const IMAGES: usize = 24;

fn network() -> NetworkConfig {
    let unet = UNetConfig { widths: vec![4, 8], side_outputs: true, ..UNetConfig::default() };
    NetworkConfig { dense: Some(DenseConfig::UNet(unet)), ..NetworkConfig::default() }
}

fn recipes() -> Vec<(&'static str, Box<dyn AnyRecipe>)> {
    let fusion = |config: FusionConfig| Box::new(FusionConfig { network: network(), ..config });
    let ensemble = |config: EnsembleConfig| Box::new(EnsembleConfig { network: network(), ..config });
    vec![
        ("full-only", fusion(FusionConfig::full_only())),
        ("modality-dropout", fusion(FusionConfig::modality_dropout())),
        ("mean-imputation", fusion(FusionConfig::mean_imputation())),
        ("logit-distillation", fusion(FusionConfig::logit_distillation())),
        ("late-fusion", ensemble(EnsembleConfig::late_fusion())),
        ("per-combination", ensemble(EnsembleConfig::per_combination())),
        ("deep-ensemble", Box::new(DeepEnsembleConfig { network: network(), members: 2, ..DeepEnsembleConfig::default() })),
    ]
}

/// A model as a teacher.
struct Taught(Box<dyn Model>);

impl Teacher for Taught {
    fn teach(&self, inputs: &mm_core::data::Inputs) -> Result<mm_core::model::Output> {
        Ok(self.0.predict(inputs)?.detach())
    }
}

fn method(recipe: &dyn AnyRecipe, data: &Squares) -> Box<dyn Method> {
    let setup = Setup::new(data.schema());
    let teacher =
        || -> Box<dyn Teacher> { Box::new(Taught(FusionConfig { network: network(), ..FusionConfig::full_only() }.dense(&setup))) };
    let needed = recipe.teacher_sees(&data.schema().modalities).unwrap().map(|_| teacher());
    recipe.method(&setup, needed).unwrap()
}

trait Dense {
    fn dense(&self, setup: &Setup) -> Box<dyn Model>;
}

impl Dense for FusionConfig {
    fn dense(&self, setup: &Setup) -> Box<dyn Model> {
        AnyRecipe::model(self, setup).unwrap()
    }
}

fn train(method: &mut dyn Method, data: &Squares, epochs: usize) -> Vec<f64> {
    let config =
        TrainConfig { epochs, batch_size: 8, learning_rate: 0.1, class_weights: ClassWeights::MedianFrequency, ..TrainConfig::default() };
    let outcome = Trainer::new(config).run(method, data, &(0..IMAGES).collect::<Vec<_>>(), &[]).unwrap();
    outcome.history.iter().map(|log| log.losses["total"]).collect()
}

#[test]
fn every_baseline_learns_every_combination() {
    let (data, test) = (Squares::new(IMAGES, 0), Squares::new(12, 1));
    for (name, recipe) in recipes() {
        let mut method = method(&*recipe, &data);
        let losses = train(&mut *method, &data, 6);
        assert!(losses[5] < 0.8 * losses[0], "{name}: {losses:?}");
        let model = method.into_model();
        let rows: Vec<usize> = (0..test.len()).collect();
        let evaluation = evaluate(&*model, &test, &rows, &default_combinations(2, 0), 5, &Device::Cpu).unwrap();
        assert_eq!(evaluation.combinations.len(), 3, "{name}");
        for combination in &evaluation.combinations {
            // Naming the ground everywhere reaches less than one half.
            let iou = combination.scored.get("miou");
            let least = if name == "full-only" || name == "mean-imputation" { 0.3 } else { 0.55 };
            assert!(iou > least || combination.subset.len() == 1 && name == "full-only", "{name} {:?}: {iou}", combination.subset);
            assert_eq!(combination.outcomes.len(), 12 * 6);
        }
        // One image at a time, or several: the same scores.
        let alone = evaluate(&*model, &test, &rows, &default_combinations(2, 0), 1, &Device::Cpu).unwrap();
        for (a, b) in evaluation.combinations.iter().zip(&alone.combinations) {
            assert!((a.scored.get("miou") - b.scored.get("miou")).abs() < 0.02, "{name}");
        }
    }
}

#[test]
fn what_an_absent_sensor_holds_is_not_read() {
    let data = Squares::new(6, 2).with_presence(|i| [Subset::full(2), Subset::single(0), Subset::single(1)][i % 3]);
    let batch = data.batch(&[0, 1, 2, 3, 4, 5], &Device::Cpu).unwrap();
    for (name, recipe) in recipes() {
        let mut method = method(&*recipe, &data);
        train(&mut *method, &Squares::new(IMAGES, 0), 1);
        let model = method.into_model();
        let predicted = model.predict(batch.inputs()).unwrap().prediction;
        assert_eq!(predicted.dims(), [6, 2, 16, 16], "{name}");
        let has = batch.presence().subsets().to_vec();
        let nan = spoilt(&batch, f32::NAN, |row, sensor| !has[row].contains(sensor));
        assert_eq!(bits(&predicted), bits(&model.predict(nan.inputs()).unwrap().prediction), "{name}");
        assert!(predicted.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|x| x.is_finite()), "{name}");
        // All combinations at once say what each says alone.
        let complete = Squares::new(3, 5).batch(&[0, 1, 2], &Device::Cpu).unwrap();
        let subsets = default_combinations(2, 0);
        let together = model.predict_combinations(complete.inputs(), &subsets).unwrap();
        for (i, &subset) in subsets.iter().enumerate() {
            let only = with_presence(&complete, mm_core::Presence::uniform(subset, 3));
            let alone = model.predict(only.inputs()).unwrap().prediction;
            let difference = (together.get(i).unwrap() - alone).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(difference < 1e-4, "{name} {subset:?}: {difference}");
        }
    }
}

/// Its parameters are those of its members, each under its own name.
#[test]
fn a_deep_ensemble_answers_with_the_mean_of_its_members() {
    let data = Squares::new(IMAGES, 0);
    let config = DeepEnsembleConfig { network: network(), members: 2, ..DeepEnsembleConfig::default() };
    let mut trained = method(&config, &data);
    train(&mut *trained, &data, 1);
    let ensemble = trained.into_model();
    let alone = |k: usize| {
        let model = FusionConfig { network: network(), ..FusionConfig::modality_dropout() }.dense(&Setup::new(data.schema()));
        for name in model.parameters().names() {
            let of_member = ensemble.parameters().variable(&format!("members.{k}.{name}")).unwrap();
            model.parameters().variable(&name).unwrap().set(of_member.as_tensor()).unwrap();
        }
        model
    };
    let batch = Squares::new(6, 2).with_presence(|i| [Subset::full(2), Subset::single(0), Subset::single(1)][i % 3]);
    let batch = batch.batch(&[0, 1, 2, 3, 4, 5], &Device::Cpu).unwrap();
    let [first, second] = [0, 1].map(|k| alone(k).predict(batch.inputs()).unwrap().prediction);
    let apart = (&first - &second).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(apart > 1e-3, "the members begin with weights of their own");
    let mean = ((first + second).unwrap() * 0.5).unwrap();
    let found = ensemble.predict(batch.inputs()).unwrap().prediction;
    assert!((mean - found).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-5);

    let with_heads = DeepEnsembleConfig { unimodal_weight: 1.0, ..config };
    let refused = AnyRecipe::method(&with_heads, &Setup::new(data.schema()), None).err().unwrap().to_string();
    assert!(refused.contains("options.unimodal_weight") && refused.contains("every pixel"), "{refused}");
}

#[test]
fn a_seed_fixes_a_run() {
    let data = Squares::new(IMAGES, 0);
    let (_, recipe) = recipes().swap_remove(1);
    let trained = || {
        let mut method = method(&*recipe, &data);
        train(&mut *method, &data, 1);
        parameter_bits(&method.parameters())
    };
    assert_eq!(trained(), trained());
}

#[test]
fn rare_classes_weigh_more() {
    let data = Squares::new(IMAGES, 0);
    let target = data.schema().target.clone();
    assert_eq!(target.class_names(), ["ground", "square"]);
    let rows: Vec<usize> = (0..IMAGES).collect();
    for (weights, least) in [(ClassWeights::MedianFrequency, 1.5), (ClassWeights::Balanced, 1.5), (ClassWeights::Logarithmic, 1.5)] {
        let loader_weights = |weights: ClassWeights| {
            let config = TrainConfig { epochs: 1, batch_size: 8, class_weights: weights, ..TrainConfig::default() };
            let seen = std::sync::Mutex::new(None);
            let mut watching = Watching { inner: method(&*recipes().swap_remove(0).1, &data), seen: &seen };
            Trainer::new(config).run(&mut watching, &data, &rows, &[]).unwrap();
            seen.into_inner().unwrap()
        };
        let found: Vec<f32> = loader_weights(weights.clone()).unwrap_or_else(|| panic!("{weights:?} reach the loss"));
        assert!(f64::from(found[1] / found[0]) > least, "{weights:?}: {found:?}");
    }
    let samples = mm_testing::clear_to_weak(8, 0);
    let config = TrainConfig { class_weights: ClassWeights::MedianFrequency, epochs: 1, ..TrainConfig::default() };
    let error = Trainer::new(config).run(&mut mm_testing::Dropout::new(0), &samples, &[0, 1, 2, 3], &[]).unwrap_err().to_string();
    assert!(error.contains("balanced"), "{error}");
    let _ = PixelClasses::new(["a"]);
}

/// Keeps the class weights that reach the loss.
struct Watching<'a> {
    inner: Box<dyn Method>,
    seen: &'a std::sync::Mutex<Option<Vec<f32>>>,
}

impl Method for Watching<'_> {
    fn model(&self) -> &dyn Model {
        self.inner.model()
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        self.inner.into_model()
    }

    fn loss(&mut self, batch: &mm_core::data::Batch, step: &mm_core::train::Step) -> Result<mm_core::train::Losses> {
        *self.seen.lock().unwrap() = batch.targets().options().class_weights.as_ref().map(|weights: &Tensor| weights.to_vec1().unwrap());
        self.inner.loss(batch, step)
    }
}
