//! Columns of large numbers that hardly differ, held in f32 without losing what differs.

/// So many values of a column, evenly spread over the samples, say what it is like.
const LOOKED_AT: usize = 256;
/// An offset is taken off where the middle of a column is so many times its spread: below, 32 bits keep more than 13 of the spread.
const LARGE: f64 = 1024.0;
/// Columns in which at least this share of neighbouring numbers that differ become equal are told.
const COLLAPSED: f64 = 0.05;

/// Rows of f64 as the columns' offsets and f32 distances from them.
pub(super) fn distances(values: Vec<f64>, offsets: &[f64]) -> Vec<f32> {
    match offsets {
        [] => values.into_iter().map(|x| x as f32).collect(),
        offsets => values.into_iter().zip(offsets.iter().cycle()).map(|(x, offset)| (x - offset) as f32).collect(),
    }
}

/// The offset of each column of `[rows, width]`: its median where that is large beside its spread, else 0. Empty if all are 0.
pub(super) fn offsets(values: &[f64], width: usize, present: impl Fn(usize) -> bool) -> Vec<f64> {
    let rows: Vec<usize> = (0..values.len() / width.max(1)).filter(|&row| present(row)).collect();
    let looked_at: Vec<usize> = rows.iter().step_by(rows.len().div_ceil(LOOKED_AT).max(1)).copied().collect();
    if looked_at.is_empty() {
        return Vec::new();
    }
    let offset = |column: usize| {
        // A NaN is a number that was not measured.
        let mut sample: Vec<f64> = looked_at.iter().map(|row| values[row * width + column]).filter(|x| !x.is_nan()).collect();
        if sample.is_empty() {
            return 0.0;
        }
        let middle = median(&mut sample);
        let (low, high) = sample.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
        sample.iter_mut().for_each(|x| *x = (*x - middle).abs());
        let spread = match median(&mut sample) {
            0.0 => high - low,
            spread => spread,
        };
        if spread > 0.0 && middle.abs() > LARGE * spread { middle } else { 0.0 }
    };
    let offsets: Vec<f64> = (0..width).map(offset).collect();
    if offsets.iter().all(|offset| *offset == 0.0) { Vec::new() } else { offsets }
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// The columns in which different numbers become equal in f32, after the offsets are taken off.
pub(super) fn collapsed(values: &[f64], width: usize, offsets: &[f64], present: impl Fn(usize) -> bool) -> Vec<usize> {
    let (mut different, mut equal) = (vec![0u32; width], vec![0u32; width]);
    let mut last: Option<&[f64]> = None;
    for (_, row) in values.chunks_exact(width.max(1)).enumerate().filter(|(row, _)| present(*row)) {
        for (column, (x, y)) in
            last.into_iter().flatten().zip(row).enumerate().filter(|(_, (x, y))| x.partial_cmp(y).is_some_and(|order| order.is_ne()))
        {
            let offset = offsets.get(column).copied().unwrap_or(0.0);
            different[column] += 1;
            equal[column] += u32::from((x - offset) as f32 == (y - offset) as f32);
        }
        last = Some(row);
    }
    (0..width).filter(|&c| f64::from(equal[c]) > COLLAPSED * f64::from(different[c])).collect()
}
