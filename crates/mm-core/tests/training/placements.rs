//! The interval of the area under the ROC curve.

use mm_core::rng;
use mm_core::statistics::{auroc_interval, placements};
use mm_core::task::area_under_roc;
use rand::RngExt;

/// By hand: positives .35 and .8 beat one and two of the negatives .1 and .4; ties count half.
#[test]
fn placements_by_hand() {
    let scores = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
    assert_eq!(placements(&scores), Some(vec![1.0, 0.5, 0.5, 1.0]));
    assert_eq!(placements(&[(0.5, true), (0.5, false)]), Some(vec![0.5, 0.5]));
    assert_eq!(placements(&[(0.5, true), (0.7, true)]), None);
    // V10 = (.5, 1), V01 = (1, .5): variances .125 each, so the standard error is sqrt(.125 / 2 + .125 / 2) = .3536.
    let found: Vec<f32> = placements(&scores).unwrap().into_iter().map(|x| x as f32).collect();
    let interval = auroc_interval(&[&found], &[false, false, true, true]).unwrap();
    assert!((interval.estimate - 0.75).abs() < 1e-12 && (interval.low - (0.75 - 1.959964 * 0.353553)).abs() < 1e-5, "{interval:?}");
    assert_eq!(auroc_interval(&[&found], &[false, false, false, true]), None);
}

#[test]
fn the_mean_over_either_kind_is_the_area_and_the_interval_covers_it() {
    let (mut covered, truth) = (0, 0.5 + 0.5 * (1.0 - 0.8f64 * 0.8)); // P(u + .2 > v) for two uniform numbers
    for trial in 0..300 {
        let mut random = rng::stream(trial, "placements", &[]);
        let scores: Vec<(f32, bool)> =
            (0..240).map(|i| (random.random::<f32>() + if i % 4 == 0 { 0.2 } else { 0.0 }, i % 4 == 0)).collect();
        let found: Vec<f32> = placements(&scores).unwrap().into_iter().map(|x| x as f32).collect();
        let positive: Vec<bool> = scores.iter().map(|(_, positive)| *positive).collect();
        let interval = auroc_interval(&[&found, &found], &positive).unwrap();
        assert!((interval.estimate - area_under_roc(&scores).unwrap()).abs() < 1e-6);
        let negatives = found.iter().zip(&positive).filter(|(_, positive)| !**positive).map(|(x, _)| f64::from(*x));
        assert!((negatives.sum::<f64>() / 180.0 - interval.estimate).abs() < 1e-6);
        covered += usize::from(interval.low <= truth && truth <= interval.high);
    }
    assert!((275..=297).contains(&covered), "{covered} of 300");
}
