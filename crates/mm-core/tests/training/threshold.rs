//! The probability from which on the second of two classes is predicted.

use super::scores::Reading;
use mm_core::data::{InputSpec, Schema, TableDataset, Target};
use mm_core::eval::{ChosenThreshold, choose_threshold, decide};
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Modalities, Presence, Subset};

/// Samples with these log-odds of the second class, which they are of or not, and a model that says so.
fn read(samples: &[(f32, bool)]) -> (Reading, TableDataset, Vec<usize>) {
    let schema = Schema::new(Modalities::new(["odds"]).unwrap(), vec![InputSpec::vector(2)], Target::of_classes(["no", "yes"])).unwrap();
    let logits = samples.iter().flat_map(|(odds, _)| [0.0, *odds]).collect();
    let labels = samples.iter().map(|(_, second)| u32::from(*second)).collect();
    let presence = Presence::uniform(Subset::full(1), samples.len());
    let data = TableDataset::new(schema.clone(), vec![logits], presence, labels).unwrap();
    (Reading::new(schema), data, (0..samples.len()).collect())
}

/// The threshold that is chosen on them.
fn chosen(samples: &[(f32, bool)], by: &str) -> Option<ChosenThreshold> {
    let (model, data, rows) = read(samples);
    choose_threshold(&model, &data, &rows, by).unwrap()
}

/// By hand: 1 / (1 + e^13) = 2.2603e-6.
#[test]
fn a_threshold_near_0_or_1_is_told_with_its_digits() {
    let trainer = Trainer::new(TrainConfig { threshold_by: Some("accuracy".into()), ..TrainConfig::default() });
    for (odds, expected) in [(-13.0, "of 2.26e-6 on"), (0.0, "of 0.5000 on"), (-3.0, "of 0.0474 on"), (13.0, "of 0.99999774 on")] {
        let (model, data, rows) = read(&[(odds - 1.0, false), (odds + 1.0, true)]);
        let (_, note) = trainer.threshold(&model, &data, &rows).unwrap();
        assert!(note.as_ref().unwrap().contains(expected), "{note:?}");
    }
}

/// By hand: one of four is of the second class, and its odds are below one half.
#[test]
fn the_best_threshold_lies_between_samples() {
    let samples = [(-3.0, false), (-1.0, true), (-2.0, false), (-0.5, false)];
    let found = chosen(&samples, "balanced_accuracy").unwrap();
    // From -1.5 on: two of three and one of one are right.
    assert!((found.score - (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-12, "{found:?}");
    assert!((found.probability - 1.0 / (1.0 + 1.5f64.exp())).abs() < 1e-12, "{found:?}");
    // Accuracy is best where the first class is always predicted.
    let found = chosen(&samples, "accuracy").unwrap();
    assert!(found.score == 0.75 && found.probability > 0.5, "{found:?}");
    let found = chosen(&samples, "macro_f1").unwrap();
    assert!((found.score - (0.8 + 2.0 / 3.0) / 2.0).abs() < 1e-12, "{found:?}");
    assert_eq!(chosen(&[(0.0, true), (1.0, true)], "accuracy"), None);
}

#[test]
fn of_equals_the_nearest_to_one_half_counts_and_ties_stay_together() {
    let found = chosen(&[(-4.0, false), (-1.0, false), (2.0, true), (5.0, true)], "accuracy").unwrap();
    assert_eq!((found.score, found.samples), (1.0, 4));
    assert!((found.probability - 1.0 / (1.0 + (-0.5f64).exp())).abs() < 1e-12);
    let tied = chosen(&[(1.0, false), (1.0, true), (1.0, true)], "accuracy").unwrap();
    assert!((tied.score - 2.0 / 3.0).abs() < 1e-12 && decide(&[0.0, 1.0], Some(tied.probability)) == 1, "{tied:?}");
}

#[test]
fn decisions_are_those_of_the_probability() {
    assert_eq!([decide(&[0.0, -1.0], Some(0.2)), decide(&[0.0, -1.5], Some(0.2)), decide(&[3.0, 3.0], Some(0.5))], [1, 0, 1]);
}
