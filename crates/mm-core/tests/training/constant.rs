//! True values and predictions that are all the same have no spread, whatever rounding leaves of it.

use mm_core::data::{Target, TargetValue};
use mm_core::statistics::Score;
use mm_core::task::{Numbers, Scored};

/// No one of the others is a binary fraction.
const CONSTANTS: [f64; 4] = [0.1, 7.7, 1_000_000.3, 3.0];

/// What pairs of true and predicted values come to, by the sums of the task and by the numbers of the samples.
fn scored(measure: &str, [mean, std]: [f64; 2], pairs: impl Iterator<Item = (f64, f64)>) -> (Scored, f64) {
    let target = Target::Numbers(Numbers::new(["x"]).scaled(vec![[mean, std]]));
    let (mut scores, mut numbers) = (target.task().scores(measure), Vec::new());
    for (truth, predicted) in pairs {
        scores.add(&[((predicted - mean) / std) as f32], &TargetValue::Numbers(vec![truth]), &mut numbers).unwrap();
    }
    (scores.finish(), target.task().score(measure).unwrap().of_all(&numbers))
}

#[test]
fn no_coefficient_is_defined_where_all_true_values_are_the_same() {
    for constant in CONSTANTS {
        for measure in ["r2", "pearson", "concordance"] {
            let pairs = (0..60).map(|i| (constant, constant + 0.1 * f64::from(i % 7)));
            let (scored, of_samples) = scored(measure, [constant - 0.7, 2.0], pairs);
            assert!(of_samples.is_nan() && scored.get(measure).is_nan(), "{measure} of {constant}: {of_samples} {}", scored.get(measure));
            assert!(scored.get("mae").is_finite());
        }
        // As results have them, with a square of 32 bits.
        let numbers = [1.0, constant as f32, (constant * constant) as f32].repeat(60);
        assert!(Score::R2 { targets: 1 }.of_all(&numbers).is_nan(), "{constant}");
    }
}

#[test]
fn equal_predictions_correlate_with_nothing() {
    for constant in CONSTANTS {
        for measure in ["pearson", "concordance"] {
            let pairs = (0..60).map(|i| (constant + f64::from(i % 11), constant + 0.3));
            let (scored, of_samples) = scored(measure, [constant, 1.3], pairs);
            assert_eq!((scored.get(measure), of_samples), (0.0, 0.0), "{measure} {constant}");
        }
    }
}

/// Predictions far from the truth, as in another unit, or hardly different: they rise with it all the same, whichever sample is the first.
#[test]
fn predictions_with_little_spread_of_their_own_are_scored() {
    let truth = |k: i32| 20.0 + 0.1 * f64::from(k % 13);
    for (offset, slope) in [(273.15, 1.0), (3000.0, 1.0), (0.0, 3e-4)] {
        for first in [0, 6, 12] {
            let pairs = (first..first + 130).map(|k| (truth(k), offset + slope * (truth(k) - 20.6) + 20.6));
            let (of_task, of_samples) = scored("pearson", [20.6, 0.37], pairs);
            assert!(of_task.get("pearson") > 0.999 && of_samples > 0.999, "{offset} {slope}: {of_samples}");
        }
    }
}

/// The true values have a variance of (100² - 1) / 12 thousandths squared.
#[test]
fn a_small_spread_far_from_zero_is_scored() {
    let pairs = || (0..100).map(|k| 1000.0 + 1e-3 * f64::from(k)).map(|truth| (truth, truth + 0.01));
    let expected = 1.0 - 1e-4 / (1e-6 * (1e4 - 1.0) / 12.0);
    for scale in [[0.0, 1.0], [1000.0, 0.03]] {
        let (of_task, of_samples) = scored("r2", scale, pairs());
        assert!((of_task.get("r2") - expected).abs() < 0.01 && (of_samples - expected).abs() < 0.01, "{of_samples} {expected}");
        let (of_task, of_samples) = scored("pearson", scale, pairs());
        assert!(of_task.get("pearson") > 0.999 && of_samples > 0.999, "{of_samples}");
    }
}
