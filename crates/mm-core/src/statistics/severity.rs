//! One number for a severity curve: the area under it, as the mean height over the range of severities.

/// Trapezoid weights at ascending positions, adding up to 1, so that the area is `weights . heights`.
/// `None` for fewer than two positions or positions that do not ascend.
pub fn area_weights(positions: &[f64]) -> Option<Vec<f64>> {
    let range = positions.last()? - positions.first()?;
    let ascending = positions.windows(2).all(|pair| pair[0] < pair[1]);
    if positions.len() < 2 || !ascending || !range.is_finite() {
        return None;
    }
    let mut weights = vec![0.0; positions.len()];
    for (i, pair) in positions.windows(2).enumerate() {
        let half = (pair[1] - pair[0]) / (2.0 * range);
        weights[i] += half;
        weights[i + 1] += half;
    }
    Some(weights)
}

/// Normalised area under `(severity, accuracy)`: 1 for a method that is always right.
pub fn area_under_curve(points: &[(f64, f64)]) -> Option<f64> {
    let (positions, heights): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    Some(area_weights(&positions)?.iter().zip(heights).map(|(w, h)| w * h).sum())
}
