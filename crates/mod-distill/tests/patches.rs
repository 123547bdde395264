//! The network for small patches: a spectral image and a height map, fused by cross translation or distilled into the first.

use candle_core::{Device, Tensor};
use mm_core::data::{Batch, InputKind, InputSpec, Inputs, Schema, Source, TableDataset, Target};
use mm_core::loss::cross_entropy;
use mm_core::nn::{Mode, Parameters};
use mm_core::recipe::{Recipe, Setup};
use mm_core::train::{Method, Step, TrainConfig, Trainer};
use mm_core::{Error, Modalities, Model, Presence, Result, Subset, rng};
use mm_testing::{bits, patterns, spoilt, tensors};
use mod_distill::*;

const CLASSES: usize = 3;
const SAMPLES: usize = 36;

fn schema() -> Schema {
    let inputs = vec![InputSpec::new(InputKind::Image, [6, 5, 4]), InputSpec::new(InputKind::Image, [1, 5, 4])];
    let classes = (0..CLASSES).map(|class| class.to_string());
    Schema::new(Modalities::new(["hsi", "lidar"]).unwrap(), inputs, Target::of_classes(classes)).unwrap()
}

/// With `holes` every third sample lacks one of the sensors.
fn dataset(holes: bool) -> TableDataset {
    patterns(schema(), SAMPLES, &[0.5; 2], |i| if holes && i % 3 == 2 { Subset::single(i % 2) } else { Subset::full(2) })
}

fn batch(holes: bool) -> Batch {
    dataset(holes).batch(&(0..SAMPLES).collect::<Vec<_>>(), &Device::Cpu).unwrap()
}

fn cross_fusion(seed: u64) -> CrossFusion {
    CrossFusion::new(CrossFusionConfig::default(), &Setup::new(&schema()).seed(seed)).unwrap()
}

fn distilled(seed: u64) -> ModDistill {
    ModDistill::new(ModDistillConfig::patches(["hsi"]), &Setup::new(&schema()).seed(seed), cross_fusion(5)).unwrap()
}

fn train<M: Method>(mut method: M, holes: bool) -> M {
    let config = TrainConfig { epochs: 3, batch_size: 12, ..TrainConfig::default() };
    Trainer::new(config).run(&mut method, &dataset(holes), &(0..SAMPLES).collect::<Vec<_>>(), &[]).unwrap();
    method
}

fn predict(model: &dyn Model, batch: &Batch) -> Tensor {
    model.predict(batch.inputs()).unwrap().prediction
}

fn loss(model: &dyn Model, batch: &Batch) -> f32 {
    cross_entropy(&predict(model, batch), batch.targets().values()).unwrap().to_scalar().unwrap()
}

fn assert_close(a: &Tensor, b: &Tensor) {
    let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(difference < 1e-4, "{difference}");
}

/// Training lowers the loss of `start`, and a model that loads the file of the deployed part predicts the same bits.
fn learns_and_loads<M: Method>(start: M, trained: &M, other: &dyn Model, batch: &Batch) {
    let trained = trained.model();
    let (before, after) = (loss(start.model(), batch), loss(trained, batch));
    assert!(after < 0.7 * before, "{before} before, {after} after");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    trained.parameters().save(&file, |_| true).unwrap();
    let expected = bits(&predict(trained, batch));
    assert_ne!(bits(&predict(other, batch)), expected);
    other.parameters().load(&file).unwrap();
    assert_eq!(bits(&predict(other, batch)), expected);
}

#[test]
fn cross_fusion_learns_and_loads() {
    learns_and_loads(cross_fusion(1), &train(cross_fusion(1), true), &cross_fusion(9), &batch(true));
}

#[test]
fn its_distilled_form_learns_and_loads() {
    let other = ModDistillConfig::patches(["hsi"]).model(&Setup::new(&schema()).seed(9)).unwrap();
    learns_and_loads(distilled(1), &train(distilled(1), false), &other, &batch(false));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| bits(&predict(train(distilled(1), false).deployed(), &batch(false))))
    };
    let one = with_threads(1);
    assert_eq!(one, with_threads(2));
    assert_eq!(one, with_threads(5));
}

#[test]
fn what_an_absent_sensor_holds_changes_no_bit() -> Result<()> {
    let (model, clean) = (train(cross_fusion(1), true), batch(true));
    let expected = bits(&predict(&model, &clean));
    let absent = |row: usize, m: usize| !clean.presence().subsets()[row].contains(m);
    for value in [f32::NAN, 1e30, -3.0] {
        assert_eq!(bits(&predict(&model, &spoilt(&clean, value, absent))), expected, "{value}");
    }
    // In training too, whose statistics are those of what is there.
    let step = Step { seed: 0, epoch: 0, epochs: 1, step: 0, steps: 1 };
    let task = |batch: &Batch| -> Result<Vec<u32>> { Ok(bits(&cross_fusion(1).loss(batch, &step)?.total()?)) };
    assert_eq!(task(&clean)?, task(&spoilt(&clean, f32::NAN, absent))?);
    // The distilled form never reads what is privileged.
    let (method, clean) = (distilled(1), batch(false));
    let spoilt = spoilt(&clean, f32::NAN, |_, m| m == 1);
    assert_eq!(bits(&predict(method.deployed(), &clean)), bits(&predict(method.deployed(), &spoilt)));
    Ok(())
}

#[test]
fn an_encoder_runs_once_and_only_if_its_sensor_is_there() -> Result<()> {
    let (model, batch) = (train(cross_fusion(1), false), batch(false));
    let subsets: Vec<Subset> = Subset::all_non_empty(2).collect();
    let passes = |model: &dyn Model, inputs: &Inputs| Ok::<_, Error>(model.encode(inputs)?.encoder_passes);
    let together = model.predict_combinations(batch.inputs(), &subsets)?;
    assert_eq!((together.dims(), passes(&model, batch.inputs())?), (&[3, SAMPLES, CLASSES][..], 2));
    for (i, &subset) in subsets.iter().enumerate() {
        let alive = tensors(batch.inputs()).into_iter().enumerate().map(|(m, input)| input.filter(|_| subset.contains(m)));
        let presence = Presence::uniform(subset, SAMPLES);
        let alive = Inputs::new(batch.inputs().modalities(), alive, presence, batch.ids().to_vec())?;
        assert_eq!(passes(&model, &alive)?, subset.len());
        assert_close(&model.predict_combinations(&alive, &[subset])?.get(0)?, &together.get(i)?);
        assert_close(&model.predict(&alive)?.prediction, &together.get(i)?);
    }
    // The distilled form runs two encoders, both on the available sensor, whatever else is there.
    let method = distilled(1);
    let predictions = method.deployed().predict_combinations(batch.inputs(), &[Subset::single(0), Subset::full(2)])?;
    assert_eq!(passes(method.deployed(), batch.inputs())?, 2);
    assert_close(&predictions.get(0)?, &predictions.get(1)?);
    Ok(())
}

/// The distilled form is the cross fusion of the own and the restored feature: with the weights of one, the other's prediction.
#[test]
fn the_distilled_form_is_cross_fusion_of_both_branches() -> Result<()> {
    let inputs = vec![InputSpec::new(InputKind::Image, [6, 5, 4]); 2];
    let twice = Schema::new(Modalities::new(["restored", "own"])?, inputs, schema().target)?;
    let fusion = CrossFusion::new(CrossFusionConfig::default(), &Setup::new(&twice).seed(3))?;
    let method = distilled(1);
    let model = method.deployed();
    let theirs: std::collections::BTreeMap<_, _> = Model::parameters(&fusion).variables().into_iter().collect();
    for (name, variable) in model.parameters().variables() {
        let branch = ["own", "restored"].into_iter().find(|branch| name.starts_with(&format!("{branch}.")));
        let theirs = match branch {
            Some(branch) => theirs.get(&name.replace(&format!("{branch}.encoders.hsi"), &format!("encoders.{branch}"))),
            None => theirs.get(&name),
        };
        variable.set(theirs.unwrap_or_else(|| panic!("nothing is like {name}")))?;
    }
    let batch = batch(false);
    let input = batch.inputs().at(0).cloned();
    let presence = Presence::uniform(Subset::full(2), SAMPLES);
    let doubled = Inputs::new(&twice.modalities, [input.clone(), input], presence, batch.ids().to_vec())?;
    assert_close(&predict(model, &batch), &fusion.predict(&doubled)?.prediction);
    Ok(())
}

#[test]
fn translators_are_shared() -> Result<()> {
    let translation = ConvTranslation::new(&[3, 5, 4], 2, 7, Parameters::new(1, &Device::Cpu).builder())?;
    assert_eq!(translation.joint_shape(), [14, 3, 2]);
    let feature = |key| Tensor::from_vec(rng::standard_normal(&mut rng::stream(key, "x", &[]), 120), (2, 3, 5, 4), &Device::Cpu).unwrap();
    let (restored, available) = (feature(1), feature(2));
    let fused = translation.forward(&restored, &available, Mode::Eval)?;
    assert_eq!(fused.dims(), [2, 14, 3, 2]);
    assert_close(&fused, &translation.forward(&available, &restored, Mode::Eval)?);
    assert_close(&translation.forward(&restored, &restored, Mode::Eval)?, &translation.joint(&restored, Mode::Eval)?);
    Ok(())
}

#[test]
fn settings_that_cannot_work_name_the_field() {
    let schema = schema();
    let setup = Setup::new(&schema);
    let field = |config: ModDistillConfig| match config.model(&setup) {
        Err(Error::Config { field, .. }) => field,
        _ => panic!("accepted"),
    };
    let patches = || ModDistillConfig::patches(["hsi"]);
    assert_eq!(field(ModDistillConfig { robust: true, ..patches() }), "translation.convolution");
    let zero = TranslationConfig { convolution: Some(0), ..TranslationConfig::published() };
    assert_eq!(field(ModDistillConfig { translation: zero, ..patches() }), "translation.convolution");
    let vectors = mm_core::fusion::NetworkConfig::default();
    assert_eq!(field(ModDistillConfig { network: vectors.clone(), ..patches() }), "translation.convolution");
    assert_eq!(field(ModDistillConfig { no_ctn: true, ..patches() }), "trunk.kind");
    let fusion = CrossFusion::new(CrossFusionConfig { network: vectors, ..Default::default() }, &setup);
    assert!(matches!(fusion, Err(Error::Config { field, .. }) if field == "translation.convolution"));
    let small = InputSpec::new(InputKind::Image, [1, 5, 3]);
    let uneven = Schema::new(schema.modalities.clone(), vec![schema.inputs[0].clone(), small], schema.target.clone()).unwrap();
    let problem = CrossFusion::new(CrossFusionConfig::default(), &Setup::new(&uneven)).map(|_| ()).unwrap_err().to_string();
    assert!(problem.contains("`lidar`") && problem.contains("[64, 5, 3]"), "{problem}");
    let read: TranslationConfig = serde_json::from_str(r#"{"convolution": 128}"#).unwrap();
    assert_eq!(read.convolution, Some(128));
}
