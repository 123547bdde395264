//! Labels, numbers and the scores that head a report, with answers that are known.

use candle_core::{DType, Device, Tensor, Var};
use mm_core::data::{InputSpec, LossOptions, Schema, Standardized, Standardizer, TableDataset, Target, TargetValue, Targets};
use mm_core::statistics::{Bootstrap, Outcomes, Score, Statistic};
use mm_core::task::{Labels, Numbers};
use mm_core::{Modalities, Presence, Subset};
use rand::RngExt;

const CPU: Device = Device::Cpu;

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
}

fn labels() -> Target {
    Target::Labels(Labels::new(["a", "b", "c"]))
}

/// scikit-learn 1.5: `f1_score` (macro, micro), `hamming_loss`, `accuracy_score`, `average_precision_score`, `roc_auc_score`, and the log loss
/// of each label.
#[test]
fn scores_of_labels_are_those_of_scikit_learn() {
    let truths = [[true, false, true], [false, false, true], [true, true, false], [false, true, false]];
    let logits = [[2.0f32, -1.0, 0.5], [-0.5, 0.3, 1.5], [-0.2, 1.0, -2.0], [-1.0, 0.4, 0.1]];
    let target = labels();
    let mut scores = target.task().scores("macro_f1");
    let mut numbers = Vec::new();
    for (truth, logits) in truths.iter().zip(&logits) {
        scores.add(logits, &TargetValue::Labels(truth.to_vec()), &mut numbers).unwrap();
    }
    let scored = scores.finish();
    // Label a: 1 right, 1 called, 2 hold: 2/3. b: 2 right, 3 called, 2 hold: 4/5. c: 2 right, 3 called, 2 hold: 4/5.
    close(scored.get("macro_f1"), (2.0 / 3.0 + 0.8 + 0.8) / 3.0);
    close(scored.get("micro_f1"), 10.0 / 13.0);
    close(scored.get("hamming"), 3.0 / 12.0);
    close(scored.get("exact_match"), 1.0 / 4.0);
    close(scored.get("auroc"), 1.0);
    close(scored.get("map"), 1.0);
    let log = |x: f64| (1.0 + (-x).exp()).ln();
    let expected: f64 = truths.iter().flatten().zip(logits.iter().flatten()).map(|(&t, &z)| log(f64::from(if t { z } else { -z }))).sum();
    close(scored.get("nll"), expected / 12.0);
    close(scored.outputs[1]["f1"], 0.8);
    close(Score::MeanF1 { classes: 3 }.of_all(&numbers), scored.get("macro_f1"));
    for (measure, expected) in
        [("micro_f1", 10.0 / 13.0), ("hamming", 0.25), ("exact_match", 0.25), ("nll", expected / 12.0), ("auroc", 1.0)]
    {
        let (mut scores, mut numbers) = (target.task().scores(measure), Vec::new());
        for (truth, logits) in truths.iter().zip(&logits) {
            scores.add(logits, &TargetValue::Labels(truth.to_vec()), &mut numbers).unwrap();
        }
        close(target.task().score(measure).unwrap().of_all(&numbers), expected);
    }
}

#[test]
fn losses_of_labels_are_means_of_binary_cross_entropies() {
    let target = labels();
    let truths = [vec![true, false, true], vec![false, false, true]].map(TargetValue::Labels);
    let targets = target.task().collate(&truths, &CPU).unwrap();
    assert_eq!(target.task().values(&targets).unwrap(), truths);
    let logits = Tensor::new(&[[2.0f32, -1.0, 0.0], [0.0, 1.0, 3.0]], &CPU).unwrap();
    let of = |targets: &Targets| target.task().loss_per_sample(&logits, targets).unwrap().to_vec1::<f32>().unwrap();
    let log = |x: f64| (1.0 + (-x).exp()).ln();
    let plain = of(&targets);
    close(plain[0].into(), (log(2.0) + log(1.0) + log(0.0)) / 3.0);
    close(plain[1].into(), (log(0.0) + log(-1.0) + log(3.0)) / 3.0);
    // A weight is of the label where it holds.
    let weights = Some(Tensor::new(&[3f32, 5.0, 2.0], &CPU).unwrap());
    let weighted = of(&targets.with_options(LossOptions { class_weights: weights, ..LossOptions::default() }));
    close(weighted[0].into(), (3.0 * log(2.0) + log(1.0) + 2.0 * log(0.0)) / 3.0);
    // Undecided is ln 2 a label; what is certain, nothing.
    let certain = Tensor::new(&[[0f32, 0.0, 0.0], [80.0, -80.0, 80.0]], &CPU).unwrap();
    let entropies = target.task().uncertainty(&certain).unwrap().to_vec1::<f32>().unwrap();
    close(entropies[0].into(), 2f64.ln());
    assert!((0.0..1e-30).contains(&entropies[1]));
    // The divergence of two Bernoulli distributions, and the same softened by a temperature.
    let (p, q) = (1.0 / (1.0 + (-2f64).exp()), 1.0 / (1.0 + 1f64.exp()));
    let kl = p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
    close(target.task().divergence(&[2.0, 0.0, 0.0], &[-1.0, 0.0, 0.0]), kl / 3.0);
    let (teacher, student) = ([[6.0f32, 0.0, 0.0]], [[-3.0f32, 0.0, 0.0]]);
    let distilled = target.task().distillation(&Tensor::new(&student, &CPU).unwrap(), &Tensor::new(&teacher, &CPU).unwrap(), 3.0).unwrap();
    close(distilled.to_scalar::<f32>().unwrap().into(), 9.0 * kl / 3.0);
    // Averaged probabilities are averaged probabilities.
    let task = target.task();
    let there_and_back = task.of_expectation(&task.expectation(&logits).unwrap()).unwrap();
    assert!(mm_testing::difference(&there_and_back, &logits) < 1e-5);
}

/// Four samples of two numbers, with their scale; predictions are in standard deviations.
fn numbers() -> (Target, [Vec<f64>; 4], [[f32; 2]; 4]) {
    let target = Target::Numbers(Numbers::new(["age", "grams"]).scaled(vec![[50.0, 10.0], [0.0, 2.0]]));
    let truths = [vec![40.0, 1.0], vec![50.0, -1.0], vec![60.0, 3.0], vec![70.0, 5.0]];
    (target, truths, [[-1.0, 0.0], [0.5, 0.0], [1.0, 1.0], [1.5, 2.0]])
}

/// NumPy and scikit-learn: `mean_absolute_error`, `root_mean_squared_error`, `r2_score`, `corrcoef`, and Lin's formula.
#[test]
fn scores_of_numbers_are_in_their_unit() {
    let (target, truths, predictions) = numbers();
    // In their units: age 40 55 60 65 of 40 50 60 70, grams 0 0 2 4 of 1 -1 3 5.
    let (age, grams) = ([0.0, 5.0, 0.0, -5.0f64], [-1.0, 1.0, -1.0, -1.0f64]);
    let mae = |errors: [f64; 4]| errors.iter().map(|e| e.abs()).sum::<f64>() / 4.0;
    let rmse = |errors: [f64; 4]| (errors.iter().map(|e| e * e).sum::<f64>() / 4.0).sqrt();
    let (r2_age, r2_grams) = (1.0 - 50.0 / 500.0, 1.0 - 4.0 / 20.0);
    // age: deviations of the truth -15 -5 5 15, of the prediction -15 0 5 10. grams: -1 -3 1 3 and -1.5 -1.5 .5 2.5.
    let (pearson_age, pearson_grams) = (400.0 / (500.0f64 * 350.0).sqrt(), 14.0 / (20.0f64 * 11.0).sqrt());
    let (lin_age, lin_grams) = (2.0 * 100.0 / (125.0 + 87.5), 2.0 * 3.5 / (5.0 + 2.75 + 0.25));
    let expected = [
        ("mae", (mae(age) + mae(grams)) / 2.0),
        ("rmse", (rmse(age) + rmse(grams)) / 2.0),
        ("r2", (r2_age + r2_grams) / 2.0),
        ("pearson", (pearson_age + pearson_grams) / 2.0),
        ("concordance", (lin_age + lin_grams) / 2.0),
    ];
    for (measure, expected) in expected {
        let (mut scores, mut numbers) = (target.task().scores(measure), Vec::new());
        for (truth, prediction) in truths.iter().zip(&predictions) {
            scores.add(prediction, &TargetValue::Numbers(truth.clone()), &mut numbers).unwrap();
        }
        close(scores.finish().get(measure), expected);
        // What intervals are made from comes to the same.
        close(target.task().score(measure).unwrap().of_all(&numbers), expected);
        close(scores.finish().outputs[0]["rmse"], rmse(age));
    }
}

#[test]
fn losses_of_numbers_are_in_standard_deviations() {
    let (target, truths, predictions) = numbers();
    let truths = truths.map(TargetValue::Numbers);
    let targets = target.task().collate(&truths, &CPU).unwrap();
    assert_eq!(targets.values().to_vec2::<f32>().unwrap()[3], [2.0, 2.5]);
    assert_eq!(target.task().values(&targets).unwrap(), truths);
    let prediction = Var::from_tensor(&Tensor::new(&predictions, &CPU).unwrap()).unwrap();
    let of = |targets: &Targets| target.task().loss_per_sample(&prediction, targets).unwrap();
    // Errors in standard deviations: (0, -.5), (.5, .5), (0, -.5), (-.5, -.5).
    assert_eq!(of(&targets).to_vec1::<f32>().unwrap(), [0.0625, 0.125, 0.0625, 0.125]);
    // Above .25 the tangent: .25 · .5 - .25² / 2.
    let robust = targets.with_options(LossOptions { huber: 0.25, ..LossOptions::default() });
    assert_eq!(of(&robust).to_vec1::<f32>().unwrap(), [0.046875, 0.09375, 0.046875, 0.09375]);
    let gradient = of(&robust).sum_all().unwrap().backward().unwrap();
    let gradient = gradient.get(&prediction).unwrap().to_vec2::<f32>().unwrap();
    // The threshold, over two numbers.
    assert_eq!((&*gradient[1], gradient[0][0]), ([0.125, 0.125].as_slice(), 0.0));
    let even = target.task().uncertainty(&prediction).unwrap();
    assert_eq!((even.dtype(), even.to_vec1::<f32>().unwrap()), (DType::F32, vec![1.0; 4]));
}

#[test]
fn numbers_are_standardized_by_the_training_part() {
    let schema = Schema::new(Modalities::new(["x"]).unwrap(), vec![InputSpec::vector(1)], Target::Numbers(Numbers::new(["y"]))).unwrap();
    let values = [1e9 + 1.0, 1e9 + 3.0, 1e9 + 100.0].map(|y| TargetValue::Numbers(vec![y]));
    let presence = Presence::uniform(Subset::full(1), 3);
    let data = TableDataset::with_targets(schema, vec![vec![0.0, 1.0, 2.0]], presence.clone(), values.to_vec()).unwrap();
    let standardizer = Standardizer::fit(&data, &[0, 1]).unwrap();
    let standardized = Standardized::new(&data, &standardizer).unwrap();
    let batch = standardized.source().batch(&[0, 1, 2], &CPU).unwrap();
    assert_eq!(batch.targets().values().to_vec2::<f32>().unwrap(), [[-1.0], [1.0], [98.0]]);
    // A column that says nothing is refused by name.
    let constant = Standardizer::fit(&data, &[1]).unwrap_err().to_string();
    assert!(constant.contains("`y` is 1000000003 in all 1 training samples"), "{constant}");
    let wrong =
        TableDataset::with_targets(data_schema(), vec![vec![0.0]], Presence::uniform(Subset::full(1), 1), vec![TargetValue::Class(1)]);
    assert!(wrong.unwrap_err().to_string().contains("numbers"));
}

fn data_schema() -> Schema {
    Schema::new(Modalities::new(["x"]).unwrap(), vec![InputSpec::vector(1)], Target::Numbers(Numbers::new(["y"]))).unwrap()
}

#[test]
fn only_what_intervals_can_be_made_of_heads_a_report() {
    let schema = || Schema::new(Modalities::new(["x"]).unwrap(), vec![InputSpec::vector(1)], Target::of_classes(["a", "b"])).unwrap();
    assert_eq!((schema().measure().name, schema().score()), ("accuracy", Score::Mean));
    let ranked = schema().scored_by(Some("auroc")).unwrap();
    assert_eq!((ranked.measure().name, ranked.score()), ("auroc", Score::AreaUnderRoc { outputs: 1 }));
    let error = schema().scored_by(Some("aurco")).unwrap_err().to_string();
    assert!(error.contains("did you mean `auroc`?") && error.contains("accuracy, macro_f1, balanced_accuracy, auroc"), "{error}");
    assert!(schema().scored_by(Some("ece")).is_err());
    // A schema without a choice is written as ever.
    assert!(!serde_json::to_string(&schema()).unwrap().contains("score"));
    assert_eq!(serde_json::from_str::<Schema>(&serde_json::to_string(&ranked).unwrap()).unwrap(), ranked);
}

/// `Σ over pairs` by definition, each sample as often as it was drawn.
fn area_by_definition(scores: &[(f32, bool)], weights: &[usize]) -> f64 {
    let (mut pairs, mut all) = (0.0, 0.0);
    for (i, (a, positive)) in scores.iter().enumerate().filter(|(_, s)| s.1) {
        for (j, (b, _)) in scores.iter().enumerate().filter(|(_, s)| s.1 != *positive) {
            let weight = (weights[i] * weights[j]) as f64;
            pairs += weight
                * if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                };
            all += weight;
        }
    }
    pairs / all
}

/// scikit-learn: `f1_score([0, 1, 0, 0], [0, 1, 1, 0], average="macro")` is that of two classes, however many there are elsewhere.
#[test]
fn macro_f1_is_over_what_occurs_or_is_predicted() {
    let scored = |target: Target, samples: &[([f32; 3], TargetValue)]| {
        let (mut scores, mut numbers) = (target.task().scores("macro_f1"), Vec::new());
        samples.iter().for_each(|(logits, truth)| scores.add(logits, truth, &mut numbers).unwrap());
        (scores.finish(), Score::MeanF1 { classes: 3 }.of_all(&numbers))
    };
    let (first, second) = ([1.0, 0.0, -9.0], [0.0, 1.0, -9.0]);
    let classes = [(first, 0), (second, 1), (second, 0), (first, 0)].map(|(logits, class)| (logits, TargetValue::Class(class)));
    let (found, of_numbers) = scored(Target::of_classes(["a", "b", "c"]), &classes);
    close(found.get("macro_f1"), (0.8 + 2.0 / 3.0) / 2.0);
    close(of_numbers, found.get("macro_f1"));
    // Predicted without occurring, a class counts 0.
    let (found, _) = scored(Target::of_classes(["a", "b", "c"]), &[classes[0].clone(), (second, TargetValue::Class(0))]);
    close(found.get("macro_f1"), (2.0 / 3.0 + 0.0) / 2.0);
    let of_labels = |held: [bool; 3]| ([1.0, 1.0, -1.0], TargetValue::Labels(held.to_vec()));
    let (found, of_numbers) = scored(labels(), &[of_labels([true, false, false]), of_labels([true, true, false])]);
    close(found.get("macro_f1"), (1.0 + 2.0 / 3.0) / 2.0);
    close(of_numbers, found.get("macro_f1"));
    assert!(!found.outputs[2].contains_key("f1"));
    let (found, of_numbers) = scored(labels(), &[([-1.0; 3], TargetValue::Labels(vec![false; 3]))]);
    assert!(found.get("macro_f1").is_nan() && of_numbers.is_nan());
}

#[test]
fn areas_are_resampled_from_the_scores() {
    let mut random = mm_core::rng::stream(3, "areas", &[]);
    let samples = 60;
    // Ties included: scores in steps of a tenth.
    let scores: Vec<(f32, bool)> = (0..samples)
        .map(|i| {
            let positive = i % 3 == 0;
            ((10.0 * (random.random::<f32>() + 0.4 * f32::from(u8::from(positive)))).round() / 10.0, positive)
        })
        .collect();
    let numbers: Vec<f32> = scores.iter().flat_map(|(score, positive)| [*score, f32::from(u8::from(*positive))]).collect();
    let score = Score::AreaUnderRoc { outputs: 1 };
    close(score.of_all(&numbers), area_by_definition(&scores, &vec![1; samples]));
    // Every second sample was not evaluated in the second column.
    let marks = ["1".repeat(samples), "1-".repeat(samples / 2)];
    let columns = [(marks[0].as_str(), &*numbers), (marks[1].as_str(), &*numbers)];
    let resampled = Bootstrap { resamples: 2000, seed: 1 }.run(&[Outcomes::from_sums(score, &columns).unwrap()]).unwrap();
    let whole = resampled.statistic(&Statistic::Single(0)).unwrap().estimate();
    close(whole.value, area_by_definition(&scores, &vec![1; samples]));
    let halves: Vec<(f32, bool)> = scores.iter().copied().step_by(2).collect();
    close(resampled.statistic(&Statistic::Single(1)).unwrap().estimate().value, area_by_definition(&halves, &vec![1; samples / 2]));
    // The spread over resamples drawn here, by definition, is that of the bootstrap.
    let drawn: Vec<f64> = (0..2000)
        .map(|_| {
            let mut weights = vec![0; samples];
            (0..samples).for_each(|_| weights[random.random_range(0..samples)] += 1);
            area_by_definition(&scores, &weights)
        })
        .collect();
    let sd = mm_core::statistics::standard_deviation(&drawn).unwrap();
    let interval = whole.interval(0.05);
    let half = (interval.high - interval.low) / 2.0;
    assert!((half / (2.0 * sd) - 1.0).abs() < 0.12, "{half} {sd}");
}
