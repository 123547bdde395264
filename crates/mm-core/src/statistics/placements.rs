//! The area under the ROC curve as a mean over samples, and its interval.
//!
//! E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson: Comparing the areas under two or more correlated receiver operating characteristic
//! curves, Biometrics 44 (1988).

use super::estimate::{Interval, LEVEL};
use statrs::distribution::{ContinuousCDF, Normal};

/// Of each sample (its score, and whether it is positive) the share of the other kind that it is on the right side of, ties counted half: the
/// mean over the positives, and that over the negatives, are the area under the ROC curve. `None` where all samples are of one kind.
pub fn placements(scores: &[(f32, bool)]) -> Option<Vec<f64>> {
    let positives = scores.iter().filter(|(_, positive)| *positive).count();
    let negatives = scores.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].0.total_cmp(&scores[b].0));
    let mut found = vec![0.0; scores.len()];
    let (mut negatives_below, mut positives_below) = (0, 0);
    for tied in order.chunk_by(|&a, &b| scores[a].0 == scores[b].0) {
        let positives_here = tied.iter().filter(|&&i| scores[i].1).count();
        let negatives_here = tied.len() - positives_here;
        for &i in tied {
            found[i] = match scores[i].1 {
                true => (negatives_below as f64 + negatives_here as f64 / 2.0) / negatives as f64,
                false => 1.0 - (positives_below as f64 + positives_here as f64 / 2.0) / positives as f64,
            };
        }
        negatives_below += negatives_here;
        positives_below += positives_here;
    }
    Some(found)
}

/// The mean area under the ROC curve of several models on the same samples, and its 95 % interval over the choice of samples: `models` holds
/// the [`placements`] of each, `positive` what the samples are. `None` where there are fewer than two samples of a kind.
pub fn auroc_interval(models: &[&[f32]], positive: &[bool]) -> Option<Interval> {
    let mean_of =
        |i: usize| models.iter().map(|model| model.get(i).copied().map_or(f64::NAN, f64::from)).sum::<f64>() / models.len() as f64;
    let kind = |wanted: bool| -> Vec<f64> {
        (0..positive.len()).filter(|&i| positive[i] == wanted).map(mean_of).filter(|x| x.is_finite()).collect()
    };
    let (ones, others) = (kind(true), kind(false));
    if ones.len() < 2 || others.len() < 2 {
        return None;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let of_mean = |values: &[f64]| {
        let (mean, n) = (mean(values), values.len() as f64);
        values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0) / n
    };
    let estimate = mean(&ones);
    let half = Normal::standard().inverse_cdf(1.0 - LEVEL / 2.0) * (of_mean(&ones) + of_mean(&others)).sqrt();
    Some(Interval { estimate, low: (estimate - half).max(0.0), high: (estimate + half).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::area_under_roc;

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
        use rand::RngExt;
        let (mut covered, truth) = (0, 0.5 + 0.5 * (1.0 - 0.8f64 * 0.8)); // P(u + .2 > v) for two uniform numbers
        for trial in 0..300 {
            let mut random = crate::rng::stream(trial, "placements", &[]);
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
}
