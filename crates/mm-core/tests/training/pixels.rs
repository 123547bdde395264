//! A class for each pixel: loss, scores, and intervals over images.

use candle_core::{DType, Device, Tensor};
use mm_core::data::{LossOptions, PixelLabels, Source, Split, Target, TargetValue, Targets};
use mm_core::loss::soft_dice;
use mm_core::missing::MissingPattern;
use mm_core::rng::Draws;
use mm_core::statistics::{Bootstrap, Outcomes, Score, Statistic};
use mm_core::task::PixelClasses;
use mm_core::train::{Selection, TrainConfig};
use mm_testing::{Squares, gradient_error};

fn target() -> Target {
    Target::Pixels(PixelClasses::new(["road", "car"]))
}

/// 2 x 3 pixels: void, road, road / car, car, road.
fn labels() -> TargetValue {
    TargetValue::Pixels(PixelLabels::new(2, 3, vec![0, 1, 1, 2, 2, 1]).unwrap())
}

/// Logits `[2, 2, 3]` that say these classes, by `margin`.
fn saying(classes: [u32; 6], margin: f32) -> Vec<f32> {
    (0..2u32).flat_map(|k| classes.map(|class| if class == k { margin } else { 0.0 })).collect()
}

#[test]
fn scores_are_those_computed_by_hand() {
    let target = target();
    let mut scores = target.task().scores("miou");
    let mut numbers = Vec::new();
    // Right: road, car, road; wrong: a road called car, a car called road. What is said of the void pixel counts for nothing.
    scores.add(&saying([1, 0, 1, 1, 0, 0], 2.0), &labels(), &mut numbers).unwrap();
    assert_eq!(numbers, [2.0, 1.0, 3.0, 2.0, 3.0, 2.0]);
    let scored = scores.finish();
    assert_eq!(scored.confusion, [[2, 1], [1, 1]]);
    let (road, car) = (2.0 / 4.0, 1.0 / 3.0);
    let close = |name: &str, expected: f64| assert!((scored.get(name) - expected).abs() < 1e-9, "{name}: {}", scored.get(name));
    close("miou", (road + car) / 2.0);
    close("pixel_accuracy", 0.6);
    let p = 1.0 / (1.0 + (-2f64).exp());
    close("nll", -(3.0 * p.ln() + 2.0 * (1.0 - p).ln()) / 5.0);
    close("ece", p - 0.6);
    // Everything is near a boundary here.
    close("boundary_miou", (road + car) / 2.0);
    assert!(scores.add(&[0.0; 5], &labels(), &mut numbers).unwrap_err().to_string().contains("[2, 2, 3]"));
    assert!(scores.add(&saying([0; 6], 1.0), &TargetValue::Class(1), &mut numbers).is_err());
    let foreign = TargetValue::Pixels(PixelLabels::new(2, 3, vec![3; 6]).unwrap());
    assert!(scores.add(&saying([0; 6], 1.0), &foreign, &mut numbers).unwrap_err().to_string().contains("label 3 of 2"));
}

#[test]
fn a_class_of_interest_is_the_score() {
    let classes = PixelClasses::new(["road", "car"]).of_interest("car");
    let target = Target::Pixels(classes.clone());
    let mut scores = target.task().scores("miou");
    let mut numbers = Vec::new();
    scores.add(&saying([1, 0, 1, 1, 0, 0], 2.0), &labels(), &mut numbers).unwrap();
    let scored = scores.finish();
    // Of two cars one is found, and a road is called one.
    assert_eq!((scored.get("iou"), scored.get("dice")), (1.0 / 3.0, 0.5));
    assert_eq!(scored.get("mean_dice"), (2.0 * 2.0 / 6.0 + 0.5) / 2.0);
    let sums: Vec<f64> = numbers.iter().map(|&x| f64::from(x)).collect();
    assert_eq!((target.task().score("iou").unwrap().of(&sums, 1.0), target.task().measures()[0].name), (1.0 / 3.0, "iou"));
    // Without one there is no such measure.
    assert_eq!(self::target().task().measures()[0].name, "miou");
    assert!(self::target().task().scores("miou").finish().get("iou").is_nan());
    let text = serde_json::to_string(&classes).unwrap();
    assert_eq!(serde_json::from_str::<PixelClasses>(&text).unwrap(), classes);
    let error = Target::Pixels(classes.of_interest("tram")).task().check().unwrap_err().to_string();
    assert!(error.contains("pixels.of_interest") && error.contains("`tram`") && error.contains("road, car"), "{error}");
}

#[test]
fn a_class_that_is_nowhere_counts_for_nothing() {
    let target = Target::Pixels(PixelClasses::new(["road", "car", "tram"]));
    let mut scores = target.task().scores("miou");
    let all_road = TargetValue::Pixels(PixelLabels::new(1, 2, vec![1, 1]).unwrap());
    scores.add(&[5.0, 5.0, 0.0, 0.0, 0.0, 0.0], &all_road, &mut Vec::new()).unwrap();
    assert_eq!(scores.finish().get("miou"), 1.0);
    assert_eq!(target.task().score("miou").unwrap().of(&[2.0, 0.0, 0.0, 2.0, 0.0, 0.0, 2.0, 0.0, 0.0], 1.0), 1.0);
}

#[test]
fn the_band_is_a_square_around_each_boundary() {
    let mut labels = vec![1u16; 9 * 9];
    labels[4 * 9 + 8] = 2;
    let band = PixelLabels::new(9, 9, labels).unwrap().boundary_band(1);
    let rows: Vec<usize> = (0..81).filter(|&at| band[at]).collect();
    // The pixel itself and its left, upper and lower neighbours, each with one around.
    let expected: Vec<usize> =
        (0..81).filter(|at| (2..=6).contains(&(at / 9)) && at % 9 >= 6 && !(at % 9 == 6 && matches!(at / 9, 2 | 6))).collect();
    assert_eq!(rows, expected.into_iter().filter(|at| at % 9 >= 7 || (3..=5).contains(&(at / 9))).collect::<Vec<_>>());
    let void = PixelLabels::new(1, 3, vec![1, 0, 2]).unwrap();
    assert!(void.boundary_band(2).iter().all(|in_band| !in_band));
}

#[test]
fn the_loss_is_the_weighted_mean_over_labelled_pixels() {
    let target = target();
    let task = target.task();
    let empty = TargetValue::Pixels(PixelLabels::new(2, 3, vec![0; 6]).unwrap());
    let targets = task.collate(&[labels(), empty], &Device::Cpu).unwrap();
    let logits: Vec<f32> = [saying([1, 0, 1, 1, 0, 0], 2.0), saying([0; 6], 3.0)].concat();
    let logits = Tensor::from_vec(logits, (2, 2, 2, 3), &Device::Cpu).unwrap();
    let loss = |targets: &Targets| task.loss(&logits, targets).unwrap().to_scalar::<f32>().unwrap();
    let (right, wrong) = ((1.0 + (-2f32).exp()).ln(), (1.0 + 2f32.exp()).ln());
    assert!((loss(&targets) - (3.0 * right + 2.0 * wrong) / 5.0).abs() < 1e-6);
    // Cars weigh three times as much: one right, one wrong; of the roads two right, one wrong.
    let weighted = targets
        .clone()
        .with_options(LossOptions { class_weights: Some(Tensor::new(&[1f32, 3.0], &Device::Cpu).unwrap()), ..LossOptions::default() });
    assert!((loss(&weighted) - (2.0 * right + wrong + 3.0 * (right + wrong)) / 9.0).abs() < 1e-6);
    let void = task.collate(&[TargetValue::Pixels(PixelLabels::new(2, 3, vec![0; 6]).unwrap())], &Device::Cpu).unwrap();
    let nothing = task.loss(&logits.narrow(0, 0, 1).unwrap(), &void).unwrap().to_scalar::<f32>().unwrap();
    assert_eq!(nothing, 0.0);
    // A coarser prediction is held against the labels of the upper left pixels: void and road.
    let coarse = Tensor::zeros((2, 2, 1, 2), DType::F32, &Device::Cpu).unwrap();
    let both = task.loss_of_scales(&logits, &[coarse], &targets).unwrap().to_scalar::<f32>().unwrap();
    assert!((both - loss(&targets) - 2f32.ln()).abs() < 1e-6);

    let error = gradient_error(&logits, |logits| task.loss(logits, &weighted));
    assert!(error < 1e-2, "{error}");
}

#[test]
fn the_dice_loss_weighs_classes_alike() {
    let target = target();
    let task = target.task();
    let targets = task.collate(&[labels()], &Device::Cpu).unwrap();
    let logits = Tensor::from_vec(saying([1, 0, 1, 1, 0, 0], 2.0), (1, 2, 2, 3), &Device::Cpu).unwrap();
    let value = |tensor: mm_core::Result<Tensor>| tensor.unwrap().to_scalar::<f32>().unwrap();
    // Void counts for nothing: the road is given p, 1 - p, p of its three pixels and 1 - p + p of the car's two; the car likewise.
    let p = 1.0 / (1.0 + (-2f32).exp());
    let road = 2.0 * (2.0 * p + 1.0 - p) / ((2.0 * p + 1.0 - p + 1.0) + 3.0);
    let car = 2.0 * 1.0 / ((1.0 + 2.0 * (1.0 - p) + p) + 2.0);
    let dice = 1.0 - (road + car) / 2.0;
    assert!((value(Ok(soft_dice(&logits, targets.values()).unwrap())) - dice).abs() < 1e-6);
    let both = targets.clone().with_options(LossOptions { dice: 0.5, ..LossOptions::default() });
    assert!((value(task.loss(&logits, &both)) - value(task.loss(&logits, &targets)) - 0.5 * dice).abs() < 1e-6);
    let error = gradient_error(&logits, |logits| task.loss(logits, &both));
    assert!(error < 1e-2, "{error}");
    // A class that the batch does not show asks for nothing.
    let road_alone = task.collate(&[TargetValue::Pixels(PixelLabels::new(2, 3, vec![1; 6]).unwrap())], &Device::Cpu).unwrap();
    let sure = Tensor::from_vec(saying([0; 6], 60.0), (1, 2, 2, 3), &Device::Cpu).unwrap();
    assert_eq!(soft_dice(&sure, road_alone.values()).unwrap().to_scalar::<f32>().unwrap(), 0.0);
    let void = Tensor::zeros((1, 2, 3), DType::U32, &Device::Cpu).unwrap();
    assert_eq!(soft_dice(&sure, &void).unwrap().to_scalar::<f32>().unwrap(), 0.0);
}

#[test]
fn intervals_of_mean_iou_resample_whole_images() {
    let score = Score::MeanIou { classes: 2 };
    // Each image: both, predicted, actual, two numbers each.
    let image = |right: f32| [right, right, 10.0, 10.0, 10.0, 10.0];
    let rights = [9f32, 8.0, 2.0, 10.0, 7.0, 6.0, 9.0, 3.0];
    let numbers: Vec<f32> = rights.iter().flat_map(|&right| image(right)).collect();
    let outcomes = Outcomes::from_sums(score, &[("11111111", &numbers)]).unwrap();
    let resampled = Bootstrap { resamples: 500, seed: 1 }.run(&[outcomes]).unwrap();
    let estimate = resampled.statistic(&Statistic::Single(0)).unwrap().estimate();
    let sum: f32 = rights.iter().sum();
    let expected = f64::from(sum) / (160.0 - f64::from(sum));
    assert!((estimate.value - expected).abs() < 1e-12, "{}", estimate.value);
    assert!(estimate.within.sqrt() > 0.03 && estimate.within.sqrt() < 0.25, "{}", estimate.within.sqrt());
    // Images that were not evaluated count for nothing.
    let outcomes = Outcomes::from_sums(score, &[("1-------", &numbers)]).unwrap();
    let resampled = Bootstrap { resamples: 20, seed: 1 }.run(&[outcomes]).unwrap();
    assert!((resampled.statistic(&Statistic::Single(0)).unwrap().estimate().value - 9.0 / 11.0).abs() < 1e-12);
    assert!(Outcomes::from_sums(score, &[("11", &numbers)]).is_err() && Outcomes::from_sums(score, &[]).is_err());
}

#[test]
fn marks_and_sums_of_them_give_the_same_statistics() {
    let marks = ["1101-011", "10110-01"];
    let sums = marks.map(|marks| marks.bytes().map(|mark| f32::from(mark == b'1')).collect::<Vec<f32>>());
    let columns: Vec<(&str, &[f32])> = marks.iter().copied().zip(sums.iter().map(Vec::as_slice)).collect();
    let run = |outcomes: Outcomes| Bootstrap { resamples: 300, seed: 2 }.run(&[outcomes]).unwrap();
    let (a, b) = (run(Outcomes::from_rows(&marks).unwrap()), run(Outcomes::from_sums(Score::Mean, &columns).unwrap()));
    for statistic in [Statistic::Mean(vec![0, 1]), Statistic::Worst(vec![0, 1]), Statistic::Highest(vec![0, 1])] {
        assert_eq!(a.statistic(&statistic).unwrap(), b.statistic(&statistic).unwrap());
    }
}

/// What asks for one class of a sample, or for a class of interest, says so.
#[test]
fn settings_of_other_targets_are_refused_in_plain_words() {
    let data = Squares::new(4, 0);
    let check = |config: TrainConfig| config.check(&data, &[0]).unwrap_err().to_string();
    let selected =
        |by: &str| check(TrainConfig { select: Selection::BestValidation, select_by: Some(by.into()), ..TrainConfig::default() });
    let scored = |score: &str| data.schema().clone().scored_by(Some(score)).unwrap_err().to_string();
    let by_class: MissingPattern = serde_json::from_str(r#"{"by_class":{"near":{"square":0.5}}}"#).unwrap();
    let split = Split { train: vec![0, 1], validation: vec![2], test: vec![3] };
    for (error, expected) in [
        (check(TrainConfig { threshold_by: Some("accuracy".into()), ..TrainConfig::default() }), "this data has 2 classes of each pixel"),
        (selected("accuracy"), "no score `accuracy` for this target"),
        (selected("dice"), "`of_interest = \"class\"`. There are: miou, mean_dice"),
        (scored("iou"), "`iou` and `dice` are of one class, which the card names under [pixels]: `of_interest = \"class\"`"),
        (scored("miuo"), "did you mean `miou`?"),
        (
            by_class.draw_rows(&data, &[0, 1], &Draws::new(0, "mask", &[])).unwrap_err().to_string(),
            "`missing.by_class`: needs one class a sample, and this data has 2 classes of each pixel",
        ),
        (
            split.with_train_per_class(1, &data, 0).unwrap_err().to_string(),
            "`train_per_class`: needs one class a sample, and this data has 2 classes of each pixel",
        ),
    ] {
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
    }
}
