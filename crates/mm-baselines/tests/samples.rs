//! Which samples the baselines train on, and what they do where there are none.

use candle_core::Device;
use mm_baselines::{Ensemble, EnsembleConfig, Fusion, FusionConfig, Imputation};
use mm_core::data::{Batch, Schema, Source, TableDataset};
use mm_core::eval::{default_combinations, evaluate};
use mm_core::missing::MissingPattern;
use mm_core::recipe::{Recipe, Setup};
use mm_core::train::{CheckpointConfig, Method, Step, TrainConfig, TrainOutcome, Trainer};
use mm_core::{Error, Model, Presence, Result, Subset};
use mm_testing::{bits, clear_to_weak_schema, parameter_bits, patterns, spoilt, with_presence};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Schema> = LazyLock::new(clear_to_weak_schema);
const SAMPLES: usize = 60;

/// The first sensor always, the second in every tenth sample, the third only without the second.
fn rare(i: usize) -> Subset {
    Subset::from_bits(if i.is_multiple_of(10) { 0b011 } else { 0b101 }).unwrap()
}

fn data(has: impl Fn(usize) -> Subset) -> TableDataset {
    patterns(SCHEMA.clone(), SAMPLES, &[0.3; 3], has)
}

fn train(method: &mut dyn Method, data: &TableDataset, epochs: usize, checkpoints: Option<&CheckpointConfig>) -> Result<TrainOutcome> {
    let schedule = serde_json::from_value(serde_json::json!({"kind": "constant"})).unwrap();
    let config = TrainConfig { epochs, batch_size: 4, schedule, ..TrainConfig::default() };
    let trainer = Trainer::new(config);
    let trainer = checkpoints.map_or(trainer.clone(), |checkpoints| trainer.checkpoints(checkpoints.clone()));
    trainer.run(method, data, &(0..SAMPLES).collect::<Vec<_>>(), &[])
}

fn subsets(names: &[&str]) -> Vec<Subset> {
    names.iter().map(|name| SCHEMA.modalities.parse(name).unwrap()).collect()
}

fn of_combinations(names: &[&str]) -> EnsembleConfig {
    EnsembleConfig { combinations: Some(names.iter().map(|name| name.to_string()).collect()), ..EnsembleConfig::per_combination() }
}

fn per_combination(names: &[&str]) -> Ensemble {
    Ensemble::new(&of_combinations(names), &Setup::new(&SCHEMA)).unwrap()
}

fn predicted(model: &dyn Model, batch: &Batch) -> Vec<u32> {
    bits(&model.predict(batch.inputs()).unwrap().prediction)
}

#[test]
fn batches_without_usable_samples_are_skipped_and_counted() {
    let data = data(rare);
    let mut ensemble = per_combination(&["strong+middle"]);
    // Six samples of sixty have both: many batches of four have fewer than two of them.
    let outcome = train(&mut ensemble, &data, 20, None).unwrap();
    assert!(outcome.steps > 0 && outcome.steps < 100, "{}", outcome.steps);
    let told = format!("{} of 300 steps were skipped", 300 - outcome.steps);
    assert!(outcome.notes.iter().any(|note| note.contains(&told)), "{:?}", outcome.notes);
    let model = ensemble.model();
    assert!(model.supports(subsets(&["strong+middle"])[0]) && !model.supports(Subset::single(0)));
    let rows: Vec<usize> = (0..SAMPLES).collect();
    let evaluation = evaluate(model, &data, &rows, &default_combinations(3, 0), 64, &Device::Cpu).unwrap();
    assert_eq!(evaluation.combinations.iter().map(|c| c.scored.samples).collect::<Vec<_>>(), [6]);

    let folder = tempfile::tempdir().unwrap();
    let checkpoints = CheckpointConfig { folder: folder.path().into(), every_seconds: 0.0, fingerprint: "skips".into() };
    train(&mut per_combination(&["strong+middle"]), &data, 7, Some(&checkpoints)).unwrap();
    let mut resumed = per_combination(&["strong+middle"]);
    assert_eq!(train(&mut resumed, &data, 20, Some(&checkpoints)).unwrap().notes, outcome.notes);
    assert_eq!(parameter_bits(&resumed.parameters()), parameter_bits(&ensemble.parameters()));
}

#[test]
fn a_network_that_was_never_trained_does_not_predict() {
    let data = data(rare);
    let mut ensemble = per_combination(&["strong", "strong+weak", "middle+weak"]);
    let outcome = train(&mut ensemble, &data, 4, None).unwrap();
    let model = ensemble.model();
    let [strong, strong_weak, middle_weak] = subsets(&["strong", "strong+weak", "middle+weak"])[..] else { unreachable!() };
    assert!(model.supports(strong) && model.supports(strong_weak) && !model.supports(middle_weak));
    assert!(outcome.notes.iter().any(|note| note.contains("middle+weak was never trained")), "{:?}", outcome.notes);
    let batch = data.batch(&[0, 1], &Device::Cpu).unwrap();
    let error = model.predict_combinations(batch.inputs(), &[middle_weak]).unwrap_err().to_string();
    assert!(error.contains("no member was trained for the combination middle+weak"), "{error}");
    // Nor after its weights were stored and read.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.parameters().save(&path, |_| true).unwrap();
    let read = of_combinations(&["strong", "strong+weak", "middle+weak"]).model(&Setup::new(&SCHEMA).for_loading()).unwrap();
    assert!(!read.supports(strong));
    read.parameters().load(&path).unwrap();
    assert!(read.supports(strong) && read.supports(strong_weak) && !read.supports(middle_weak));
}

#[test]
fn late_fusion_averages_the_members_that_were_trained() {
    // The second sensor is in one sample only.
    let data = data(|i| Subset::from_bits(if i == 7 { 0b111 } else { 0b101 }).unwrap());
    let mut ensemble = Ensemble::new(&EnsembleConfig::late_fusion(), &Setup::new(&SCHEMA)).unwrap();
    train(&mut ensemble, &data, 3, None).unwrap();
    let model = ensemble.model();
    assert!(!model.supports(Subset::single(1)) && model.supports(Subset::from_bits(0b011).unwrap()));
    let batch = data.batch(&[7], &Device::Cpu).unwrap();
    let predictions = model.predict_combinations(batch.inputs(), &subsets(&["strong", "strong+middle"])).unwrap();
    assert_eq!(bits(&predictions.get(0).unwrap()), bits(&predictions.get(1).unwrap()));
}

#[test]
fn data_without_two_samples_for_any_member_is_refused_before_training() {
    let error = train(&mut per_combination(&["strong+middle+weak", "middle+weak"]), &data(rare), 1, None).unwrap_err();
    assert!(matches!(&error, Error::Config { problem, .. } if problem.contains("strong+middle+weak, middle+weak")), "{error}");
    let full = FusionConfig { missing: MissingPattern::Full, ..FusionConfig::default() };
    let mut full = Fusion::new(full, &Setup::new(&SCHEMA)).unwrap();
    let error = train(&mut full, &data(rare), 1, None).unwrap_err().to_string();
    assert!(error.contains("60 of 60 training samples lack a modality"), "{error}");
}

#[test]
fn a_network_of_fixed_modalities_reads_and_trains_on_nothing_else() {
    reads_the_fixed_modality_alone(Imputation::ZeroFeature);
}

#[test]
fn so_does_one_that_imputes_means() {
    reads_the_fixed_modality_alone(Imputation::Mean);
}

fn reads_the_fixed_modality_alone(imputation: Imputation) {
    let fixed = |has: fn(usize) -> Subset| {
        let config = FusionConfig { missing: MissingPattern::Fixed("middle".into()), imputation, ..FusionConfig::default() };
        let mut fusion = Fusion::new(config, &Setup::new(&SCHEMA)).unwrap();
        train(&mut fusion, &data(has), 20, None).map(|outcome| (fusion, outcome))
    };
    let (mut fusion, outcome) = fixed(rare).unwrap();
    // Six samples have the sensor.
    assert!(outcome.steps < 100, "{}", outcome.steps);
    let combinations = subsets(&["middle", "strong+middle", "strong+middle+weak"]);
    let model = fusion.model();
    assert!(combinations.iter().all(|s| model.supports(*s)) && !model.supports(Subset::single(0)));
    let batch = data(|_| Subset::full(3)).batch(&[0, 1, 2, 3], &Device::Cpu).unwrap();
    let predictions = model.predict_combinations(batch.inputs(), &combinations).unwrap();
    let expected = bits(&predictions.get(0).unwrap());
    assert_eq!(bits(&predictions.get(1).unwrap()), expected);
    assert_eq!(bits(&predictions.get(2).unwrap()), expected);
    assert_eq!(predicted(model, &spoilt(&batch, f32::NAN, |_, m| m != 1)), predicted(model, &batch));
    let alone = with_presence(&batch, Presence::uniform(Subset::single(0), 4));
    let error = model.predict(alone.inputs()).unwrap_err().to_string();
    assert!(error.contains("the combination has strong, but this model reads middle"), "{error}");
    assert!(fixed(|i| Subset::single(if i == 3 { 1 } else { 0 })).is_err());
    // A batch with one usable sample is no step.
    let one = data(rare).batch(&[0, 1, 2], &Device::Cpu).unwrap();
    assert!(fusion.loss(&one, &Step { seed: 0, epoch: 0, epochs: 1, step: 0, steps: 1 }).unwrap().is_empty());
}

/// A model of the first two sensors, and samples of which some have the third alone.
#[test]
fn samples_without_a_sensor_that_a_model_reads_are_left_out() {
    let data = data(|i| Subset::from_bits(if i.is_multiple_of(3) { 0b100 } else { 0b111 }).unwrap());
    let config = FusionConfig { missing: MissingPattern::Fixed("strong+middle".into()), ..FusionConfig::modality_dropout() };
    let model = Recipe::model(&config, &Setup::new(&SCHEMA)).unwrap();
    let evaluated = |rows: &[usize]| evaluate(&model, &data, rows, &default_combinations(3, 0), 7, &Device::Cpu).unwrap();
    let all = evaluated(&(0..SAMPLES).collect::<Vec<_>>());
    assert_eq!(all.combinations.len(), 6, "all but the third sensor alone");
    let read = evaluated(&(0..SAMPLES).filter(|i| i % 3 != 0).collect::<Vec<_>>());
    for (all, read) in all.combinations.iter().zip(&read.combinations) {
        assert!(all.outcomes.iter().enumerate().all(|(i, x)| x.is_nan() == i.is_multiple_of(3)), "{:?}", all.outcomes);
        let known: Vec<f32> = all.outcomes.iter().copied().filter(|x| !x.is_nan()).collect();
        assert_eq!((all.subset, all.scored.samples, known), (read.subset, read.scored.samples, read.outcomes.clone()));
    }
}
