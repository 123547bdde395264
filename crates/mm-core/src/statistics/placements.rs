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
