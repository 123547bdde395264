//! Rank correlation, to tell whether a score orders combinations as their errors do.

/// Spearman's rank correlation in `[-1, 1]`; equal values share their mean rank.
///
/// `None` where it has no meaning: fewer than two pairs, unequal lengths, or all values of one side equal.
///
/// ```
/// assert_eq!(dmrnet::rank_correlation(&[1.0, 2.0, 3.0], &[0.1, 0.5, 9.0]), Some(1.0));
/// assert_eq!(dmrnet::rank_correlation(&[1.0, 2.0, 3.0], &[5.0, 5.0, 5.0]), None);
/// ```
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() || a.len() < 2 {
        return None;
    }
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() + 1) as f64 / 2.0;
    let covariance = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let scale = (covariance(&a, &a) * covariance(&b, &b)).sqrt();
    (scale > 0.0).then(|| covariance(&a, &b) / scale)
}

/// Ranks from 1, ascending.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let rank = first as f64 + (tied.len() + 1) as f64 / 2.0;
        tied.iter().for_each(|&i| ranks[i] = rank);
        first += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected number is Pearson's correlation of the mean ranks, as `scipy.stats.spearmanr` defines it.
    #[test]
    fn ties_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 4.0, 1.0]), [3.0, 1.5, 4.0, 1.5]);
        let found = rank_correlation(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0], &[2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0]).unwrap();
        assert!((found - 0.19885368120992464).abs() < 1e-12, "{found}");
        assert_eq!(rank_correlation(&[1.0, 2.0], &[4.0, 3.0]), Some(-1.0));
        assert_eq!(rank_correlation(&[1.0], &[1.0]), None);
        assert_eq!(rank_correlation(&[1.0, 2.0], &[1.0]), None);
    }
}
