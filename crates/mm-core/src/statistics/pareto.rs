//! What is worth its cost: the points that no other one beats in both cost and value.

/// Positions of the `(cost, value)` points on the Pareto front, by ascending cost: no other point costs at most as much and is
/// worth more, or costs less and is worth as much. Of equal points the first is kept; values that are not numbers never are.
pub fn pareto_front(points: &[(f64, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).filter(|&i| !points[i].0.is_nan() && !points[i].1.is_nan()).collect();
    order.sort_by(|&a, &b| points[a].0.total_cmp(&points[b].0).then(points[b].1.total_cmp(&points[a].1)));
    let mut best = f64::NEG_INFINITY;
    order.retain(|&i| {
        let better = points[i].1 > best;
        best = best.max(points[i].1);
        better
    });
    order
}
