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
            || {
                let rows = output.chunks_exact_mut(out_width).zip(indices.chunks_exact_mut(out_width));
                for (y, (out, index)) in rows.enumerate() {
                    max_row(&shape, input, y, out, index);
                }
            },
        );
    });
    Ok(())
}

/// One row of the output: the running maximum of all columns, tap by tap.
#[inline(always)]
fn max_row(shape: &Pool2dShape, input: &[f32], y: usize, out: &mut [f32], index: &mut [u32]) {
    out.fill(f32::NEG_INFINITY);
    // A window of -inf keeps its first element: the first tap inside the input must be taken whatever it holds.
    for (x, index) in index.iter_mut().enumerate() {
        let row = (y * shape.stride.0).saturating_sub(shape.padding.0);
        let column = (x * shape.stride.1).saturating_sub(shape.padding.1);
        *index = (row * shape.width + column) as u32;
    }
    for ky in 0..shape.kernel.0 {
        let Some(row) = shape.input_row(y, ky) else { continue };
        for kx in 0..shape.kernel.1 {
            let columns = reached(out.len(), shape.stride.1, kx, shape.padding.1, shape.width);
            if columns.is_empty() {
                continue;
            }
            let first = row * shape.width + columns.start * shape.stride.1 + kx - shape.padding.1;
            let (out, index) = (&mut out[columns.clone()], &mut index[columns]);
            match shape.stride.1 {
                1 => max_tap::<1>(&input[first..], 1, first, out, index),
                2 => max_tap::<2>(&input[first..], 2, first, out, index),
                stride => max_tap::<0>(&input[first..], stride, first, out, index),
            }
        }
    }
}

/// Takes one tap into the running maximum; `STRIDE` is the stride if the compiler should know it, else 0.
#[inline(always)]
fn max_tap<const STRIDE: usize>(input: &[f32], stride: usize, first: usize, out: &mut [f32], index: &mut [u32]) {
    let stride = if STRIDE > 0 { STRIDE } else { stride };
    let input = &input[..(out.len() - 1) * stride + 1];
    for (x, (best, at)) in out.iter_mut().zip(index).enumerate() {
        let value = input[x * stride];
        let better = value > *best || value.is_nan();
        *best = if better { value } else { *best };
        *at = if better { (first + x * stride) as u32 } else { *at };
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
