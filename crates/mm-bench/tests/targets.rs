//! Labels and numbers: every method learns them, is saved, and answers in the unit of the data.

use mm_baselines::FusionConfig;
use mm_bench::{Registry, from_pretrained};
use mm_core::data::{InputSpec, Schema, Source, Split, TableDataset, Target, TargetValue};
use mm_core::pipeline::Readings;
use mm_core::task::{Labels, Numbers};
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Modalities, Pipeline, Presence, Subset, rng};

const SAMPLES: usize = 240;
const MODALITIES: [&str; 3] = ["strong", "middle", "weak"];

/// Two hidden quantities, which each sensor shows the less clearly the weaker it is; every ninth sample lacks the last sensor.
fn data(target: Target, value: impl Fn(f64, f64) -> TargetValue) -> (TableDataset, Split) {
    let hidden = rng::standard_normal(&mut rng::stream(5, "hidden", &[]), 2 * SAMPLES);
    let columns = [0.1f32, 0.5, 1.5].iter().enumerate().map(|(m, noise)| {
        let draws = rng::standard_normal(&mut rng::stream(5, "noise", &[m as u64]), 4 * SAMPLES);
        let of_sample = |i: usize| {
            let (a, b) = (hidden[2 * i], hidden[2 * i + 1]);
            [a, b, a + b, a - b].into_iter().zip(&draws[4 * i..]).map(|(x, draw)| x + noise * draw).collect::<Vec<f32>>()
        };
        (0..SAMPLES).flat_map(of_sample).collect()
    });
    let presence = (0..SAMPLES).map(|i| if i % 9 == 8 { Subset::from_bits(0b011).unwrap() } else { Subset::full(3) });
    let schema = Schema::new(Modalities::new(MODALITIES).unwrap(), vec![InputSpec::vector(4); 3], target).unwrap();
    let targets = (0..SAMPLES).map(|i| value(f64::from(hidden[2 * i]), f64::from(hidden[2 * i + 1]))).collect();
    let data = TableDataset::with_targets(schema, columns.collect(), Presence::new(presence.collect()), targets).unwrap();
    let part = |from: usize| (0..SAMPLES).filter(|row| row % 6 == from).collect::<Vec<_>>();
    let split = Split { train: (0..SAMPLES).filter(|row| row % 6 > 1).collect(), validation: part(0), test: part(1) };
    (data, split)
}

/// Far from 0 and of very different spread: what is not standardized is not learnt.
fn numbers() -> (TableDataset, Split) {
    data(Target::Numbers(Numbers::new(["pressure", "grams"])), |a, b| TargetValue::Numbers(vec![101_325.0 + 800.0 * a, 0.02 * b - 0.5]))
}

fn labels() -> (TableDataset, Split) {
    let held = |a: f64, b: f64| TargetValue::Labels(vec![a > 0.0, a + b > 0.5, b < -0.3]);
    data(Target::Labels(Labels::new(["cough", "fever", "rash"])), held)
}

fn readings(data: &TableDataset, row: usize) -> Readings {
    let named = MODALITIES.iter().zip(data.read(row).unwrap().readings);
    named.fold(Readings::new(), |readings, (name, array)| match array {
        Some(array) => readings.array(name, array),
        None => readings.absent(name),
    })
}

fn trainer() -> Trainer {
    Trainer::new(TrainConfig { epochs: 14, batch_size: 16, seed: 3, ..TrainConfig::default() })
}

/// Trains a method with its teacher, evaluates it, saves it and loads it again.
fn trained(name: &str, data: &TableDataset, split: &Split) -> Pipeline {
    let registry = Registry::default();
    let options = match name {
        "mod-distill" => "available = ['strong', 'middle']",
        "mmanet" => "begin_epoch = 3",
        _ => "",
    };
    let recipe = registry.method(name).unwrap().recipe(&options.parse().unwrap()).unwrap();
    let needs_teacher = recipe.teacher_sees(&data.schema().modalities).unwrap().is_some();
    let teacher = needs_teacher.then(|| trainer().fit(FusionConfig::full_only(), data, split).unwrap());
    let mut model = trainer().fit_any(&*recipe, teacher, data, split).unwrap_or_else(|e| panic!("{name}: {e}"));
    model.evaluate(data, &split.test).unwrap();
    let folder = tempfile::tempdir().unwrap();
    model.save_pretrained(folder.path()).unwrap();
    let loaded = from_pretrained(folder.path()).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    assert_eq!(loaded.config(), model.config());
    loaded
}

#[test]
fn every_method_predicts_numbers_in_their_unit() {
    let (data, split) = numbers();
    for method in Registry::default().methods() {
        let name = method.name();
        let model = trained(name, &data, &split);
        let evaluated = model.config().evaluation.as_ref().unwrap();
        assert_eq!(evaluated.measure, "r2", "{name}");
        let full = evaluated.combinations.iter().find(|c| c.combination == "strong+middle+weak").unwrap();
        assert!(full.scores["r2"] > 0.5, "{name}: {:?}", full.scores);
        // The mean over both numbers, in their units: that of the pressure is all of it.
        assert!(full.scores["mae"] > 1.0 && full.scores["mae"] < 400.0, "{name}: {:?}", full.scores);
        let answers = model.predict_all(&split.test.iter().map(|&row| readings(&data, row)).collect::<Vec<_>>()).unwrap();
        let mut errors = [0.0; 2];
        for (answer, &row) in answers.into_iter().zip(&split.test) {
            assert!(answer.class.is_empty() && answer.probabilities.is_empty() && answer.labels.is_empty());
            let TargetValue::Numbers(truth) = data.target(row).unwrap() else { panic!("numbers") };
            for (k, ((number, predicted), truth)) in answer.numbers.iter().zip(truth).enumerate() {
                assert_eq!(number, ["pressure", "grams"][k]);
                errors[k] += (predicted - truth).abs() / split.test.len() as f64;
            }
        }
        assert!(errors[0] < 500.0 && errors[1] < 0.0125, "{name}: {errors:?}");
    }
}

#[test]
fn every_method_predicts_labels() {
    let (data, split) = labels();
    for method in Registry::default().methods() {
        let name = method.name();
        let model = trained(name, &data, &split);
        let evaluated = model.config().evaluation.as_ref().unwrap();
        assert_eq!(evaluated.measure, "macro_f1", "{name}");
        let full = evaluated.combinations.iter().find(|c| c.combination == "strong+middle+weak").unwrap();
        // Calling every label in every sample gets .6.
        assert!(full.scores["macro_f1"] > 0.75 && full.scores["map"] > 0.8, "{name}: {:?}", full.scores);
        let answer = model.predict(&readings(&data, split.test[0])).unwrap();
        let above: Vec<&String> = answer.probabilities.iter().filter(|(_, p)| *p > 0.5).map(|(label, _)| label).collect();
        assert!(answer.probabilities.len() == 3 && answer.numbers.is_empty() && answer.labels.iter().eq(above), "{name}: {answer:?}");
    }
}

#[test]
fn weights_of_labels_and_robust_losses_change_the_training_and_nothing_else_takes_them() {
    use mm_core::train::ClassWeights;
    let (labels, split) = labels();
    let fit = |config: TrainConfig, data: &TableDataset| Trainer::new(config).fit(FusionConfig::full_only(), data, &split);
    let config = TrainConfig { epochs: 2, batch_size: 16, ..TrainConfig::default() };
    let bits = |model: Pipeline| mm_testing::parameter_bits(model.model().parameters());
    let balanced = TrainConfig { class_weights: ClassWeights::Balanced, ..config.clone() };
    assert_ne!(bits(fit(balanced.clone(), &labels).unwrap()), bits(fit(config.clone(), &labels).unwrap()));
    let (numbers, _) = numbers();
    let huber = TrainConfig { huber: 0.5, ..config.clone() };
    assert_ne!(bits(fit(huber.clone(), &numbers).unwrap()), bits(fit(config, &numbers).unwrap()));
    let flips = TrainConfig { test_flips: true, ..balanced.clone() };
    let turns = TrainConfig { test_turns: true, ..balanced.clone() };
    let refused = [
        (balanced, &numbers, "train.class_weights"),
        (huber, &labels, "train.huber"),
        (flips, &labels, "train.test_flips"),
        (turns, &labels, "train.test_turns"),
    ];
    for (config, data, field) in refused {
        let error = fit(config, data).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}
