//! Max pooling. Exact: no rounding, in either direction.

use crate::error::{Result, check_length};
use crate::simd::{Level, vectorize};
use crate::threads::{Shared, for_each, for_each_of};
use crate::window::{Pool2dShape, reached};

/// `output` = largest number of each window; `indices` its place in the plane (`row * width + column`), which the
/// backward pass needs. As in PyTorch the first of equals wins, NaN beats numbers, and padding is never chosen.
pub fn max_pool2d_forward(shape: Pool2dShape, input: &[f32], output: &mut [f32], indices: &mut [u32]) -> Result<()> {
    let shape = shape.checked()?;
    check_length("input", shape.input_length(), input.len())?;
    check_length("output", shape.output_length(), output.len())?;
    check_length("indices", shape.output_length(), indices.len())?;
    let level = Level::current();
    let (plane, out_width) = (shape.height * shape.width, shape.out_width());
    let out_plane = shape.out_height() * out_width;
    let planes = input.chunks_exact(plane);
    let work = shape.output_length() * shape.kernel.0 * shape.kernel.1;
    let parts: Vec<_> = planes.zip(output.chunks_exact_mut(out_plane)).zip(indices.chunks_exact_mut(out_plane)).collect();
    for_each_of(parts, work, |((input, output), indices)| {
        vectorize(
            level,
            #[inline(always)]
            move || {
                let mut columns = Columns::new(shape.width);
                let rows = output.chunks_exact_mut(out_width).zip(indices.chunks_exact_mut(out_width));
                for (y, (out, index)) in rows.enumerate() {
                    max_row(&shape, input, y, &mut columns, out, index);
                }
            },
        );
    });
    Ok(())
}

/// Working memory of a plane: the largest number of each column of a window's rows, with its place in the plane, and the
/// same sorted by column modulo stride, so that the taps of neighbouring windows lie side by side.
struct Columns {
    values: Vec<f32>,
    places: Vec<u32>,
    sorted_values: Vec<f32>,
    sorted_places: Vec<u32>,
}

impl Columns {
    fn new(width: usize) -> Self {
        Self { values: vec![0.0; width], places: vec![0; width], sorted_values: vec![0.0; width], sorted_places: vec![0; width] }
    }
}

/// One row of the output: the maximum down the columns, then along them.
#[inline(always)]
fn max_row(shape: &Pool2dShape, input: &[f32], y: usize, columns: &mut Columns, out: &mut [f32], index: &mut [u32]) {
    out.fill(f32::NEG_INFINITY);
    index.fill(u32::MAX);
    let Columns { values, places, sorted_values, sorted_places } = columns;
    let mut rows = (0..shape.kernel.0).filter_map(|ky| shape.input_row(y, ky)).map(|row| (row * shape.width, row));
    let Some((first, row)) = rows.next() else { return };
    values.copy_from_slice(&input[first..first + shape.width]);
    for (x, place) in places.iter_mut().enumerate() {
        *place = (row * shape.width + x) as u32;
    }
    for (first, _) in rows {
        let row = &input[first..first + shape.width];
        for (x, ((value, best), at)) in row.iter().zip(values.iter_mut()).zip(places.iter_mut()).enumerate() {
            let better = *value > *best || value.is_nan();
            *best = if better { *value } else { *best };
            *at = if better { (first + x) as u32 } else { *at };
        }
    }
    let stride = shape.stride.1;
    match stride {
        1 => {
            sorted_values.copy_from_slice(values);
            sorted_places.copy_from_slice(places);
        }
        2 => sort_columns::<2>(stride, (values, places), (sorted_values, sorted_places)),
        _ => sort_columns::<0>(stride, (values, places), (sorted_values, sorted_places)),
    }
    for kx in 0..shape.kernel.1 {
        let reached = reached(out.len(), stride, kx, shape.padding.1, shape.width);
        if reached.is_empty() {
            continue;
        }
        let column = reached.start * stride + kx - shape.padding.1;
        // Columns before it of smaller remainder, then those of its own.
        let first = (0..column % stride).map(|r| (shape.width - r).div_ceil(stride)).sum::<usize>() + column / stride;
        let part = first..first + reached.len();
        let best = out[reached.clone()].iter_mut().zip(&mut index[reached]);
        for ((best, at), (value, place)) in best.zip(sorted_values[part.clone()].iter().zip(&sorted_places[part])) {
            // Of equals the first place in the plane, of NaNs the last: as if taps were taken row by row.
            let tie = (*value == *best) & (*place < *at);
            let nan = value.is_nan() & (!best.is_nan() | (*place > *at));
            let better = (*value > *best) | tie | nan;
            *best = if better { *value } else { *best };
            *at = if better { *place } else { *at };
        }
    }
}

/// Columns by remainder of their position by the stride; `STRIDE` is the stride if the compiler should know it, else 0.
#[inline(always)]
fn sort_columns<const STRIDE: usize>(stride: usize, from: (&[f32], &[u32]), to: (&mut [f32], &mut [u32])) {
    let stride = if STRIDE > 0 { STRIDE } else { stride };
    let mut at = 0;
    for remainder in 0..stride.min(from.0.len()) {
        let count = (from.0.len() - remainder).div_ceil(stride);
        for (i, (value, place)) in to.0[at..at + count].iter_mut().zip(&mut to.1[at..at + count]).enumerate() {
            *value = from.0[remainder + i * stride];
            *place = from.1[remainder + i * stride];
        }
        at += count;
    }
}

/// Gradient of the input: each output's gradient goes to the number that was chosen.
pub fn max_pool2d_backward(shape: Pool2dShape, indices: &[u32], output_gradient: &[f32], input_gradient: &mut [f32]) -> Result<()> {
    let shape = shape.checked()?;
    check_length("indices", shape.output_length(), indices.len())?;
    check_length("output gradient", shape.output_length(), output_gradient.len())?;
    check_length("input gradient", shape.input_length(), input_gradient.len())?;
    let (plane, out_plane) = (shape.height * shape.width, shape.out_height() * shape.out_width());
    // An index from elsewhere must be an error, not a panic in a worker thread.
    if let Some(&found) = indices.iter().find(|&&i| i as usize >= plane) {
        check_length("plane that holds the index", plane, found as usize + 1)?;
    }
    let shared = Shared::new(input_gradient);
    for_each(shape.batch * shape.channels, 2 * shape.input_length(), |task| {
        // SAFETY: tasks own different planes.
        let to = unsafe { shared.range(task * plane, plane) };
        to.fill(0.0);
        let part = task * out_plane..(task + 1) * out_plane;
        for (&i, g) in indices[part.clone()].iter().zip(&output_gradient[part]) {
            to[i as usize] += g;
        }
    });
    Ok(())
}
