//! The probability from which on the second of two classes is predicted.

use super::scores::Reading;
use mm_core::data::{InputSpec, Schema, TableDataset, Target};
use mm_core::eval::{ChosenThreshold, choose_threshold, decide};
use mm_core::{Modalities, Presence, Subset};

/// The threshold that is chosen on samples with these log-odds of the second class, which they are of or not.
fn chosen(samples: &[(f32, bool)], by: &str) -> Option<ChosenThreshold> {
    let schema = Schema::new(Modalities::new(["odds"]).unwrap(), vec![InputSpec::vector(2)], Target::of_classes(["no", "yes"])).unwrap();
    let logits = samples.iter().flat_map(|(odds, _)| [0.0, *odds]).collect();
    let labels = samples.iter().map(|(_, second)| u32::from(*second)).collect();
    let presence = Presence::uniform(Subset::full(1), samples.len());
    let data = TableDataset::new(schema.clone(), vec![logits], presence, labels).unwrap();
    let rows: Vec<usize> = (0..samples.len()).collect();
    choose_threshold(&Reading::new(schema), &data, &rows, by).unwrap()
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
