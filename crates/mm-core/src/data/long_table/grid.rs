//! The steps of a series: rows in the order of time, or a grid of equal steps; and what empty ones become.

use super::Fill;

/// The rows of a series, ascending in time, by step.
pub(super) fn steps_of(rows: &[usize], time: Option<&[f64]>, every: Option<f64>) -> Vec<Vec<usize>> {
    let (Some(time), Some(every)) = (time, every) else { return rows.iter().map(|&row| vec![row]).collect() };
    let mut steps: Vec<Vec<usize>> = Vec::new();
    for &row in rows {
        let step = ((time[row] - time[rows[0]]) / every).floor() as usize;
        steps.resize_with(steps.len().max(step + 1), Vec::new);
        steps[step].push(row);
    }
    steps
}

/// The mean of a channel in each step; NaN where it has no value.
pub(super) fn means(steps: &[Vec<usize>], values: &[f32]) -> Vec<f32> {
    let mean = |rows: &Vec<usize>| {
        let there = || rows.iter().map(|&row| values[row]).filter(|x| !x.is_nan());
        (there().map(f64::from).sum::<f64>() / there().count() as f64) as f32
    };
    steps.iter().map(mean).collect()
}

/// Fills what is NaN; nothing where all is.
pub(super) fn fill(values: &mut [f32], how: Fill) {
    let there: Vec<usize> = (0..values.len()).filter(|&step| !values[step].is_nan()).collect();
    let (Some(&first), Some(&last)) = (there.first(), there.last()) else { return };
    if how == Fill::None {
        return;
    }
    let (begin, end) = (values[first], values[last]);
    values[..first].fill(begin);
    values[last..].fill(end);
    for pair in there.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let (low, high) = (values[from], values[to]);
        for (after, value) in values[from + 1..to].iter_mut().enumerate() {
            *value = match how {
                Fill::Linear => low + (high - low) * ((after + 1) as f32 / (to - from) as f32),
                _ => low,
            };
        }
    }
}
