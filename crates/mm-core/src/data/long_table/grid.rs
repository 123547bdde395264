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

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;

    #[test]
    fn rows_fall_into_steps_and_their_values_are_averaged() {
        let time = [10.0, 10.5, 12.0, 11.0, 15.9];
        let steps = steps_of(&[0, 1, 3, 2, 4], Some(&time), Some(1.0));
        assert_eq!(steps, [vec![0, 1], vec![3], vec![2], vec![], vec![], vec![4]]);
        let found = means(&steps, &[1.0, 2.0, NAN, 4.0, 5.0]);
        assert_eq!(found[..2], [1.5, 4.0]);
        assert!(found[2..5].iter().all(|x| x.is_nan()) && found[5] == 5.0);
        assert_eq!(steps_of(&[3, 1], Some(&time), None), [vec![3], vec![1]]);
    }

    #[test]
    fn what_is_empty_is_filled() {
        let of = |how: Fill| {
            let mut values = [NAN, 1.0, NAN, NAN, 4.0, NAN];
            fill(&mut values, how);
            values
        };
        assert_eq!(of(Fill::Last), [1.0, 1.0, 1.0, 1.0, 4.0, 4.0]);
        assert_eq!(of(Fill::Linear), [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
        assert!(of(Fill::None)[0].is_nan());
        let mut empty = [NAN; 2];
        fill(&mut empty, Fill::Last);
        assert!(empty.iter().all(|x| x.is_nan()));
    }
}
