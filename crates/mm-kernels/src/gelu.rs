//! The exact GELU (Hendrycks & Gimpel 2016): `x Φ(x)`, with Φ the distribution function of N(0, 1).

use crate::error::{Result, check_length as check};
use crate::math::normal_cdf;
use crate::simd::{Level, vectorize};
use crate::threads::for_each_of;

/// Numbers of one task.
const CHUNK: usize = 1 << 14;
/// What one number costs, in multiply-adds: for the choice of threads.
const WORK: usize = 32;

/// `output = x Φ(x)`; absolute error below `3e-7 |x|`. NaN stays NaN.
pub fn gelu_forward(input: &[f32], output: &mut [f32]) -> Result<()> {
    check("output", input.len(), output.len())?;
    let level = Level::current();
    let parts = input.chunks(CHUNK).zip(output.chunks_mut(CHUNK)).collect();
    for_each_of(parts, input.len() * WORK, |(x, y)| {
        vectorize(
            level,
            #[inline(always)]
            move || {
                // Not `for_each`: its loop is a function of its own, compiled without the level's instructions.
                for (y, x) in y.iter_mut().zip(x) {
                    *y = x * normal_cdf(*x).0;
                }
            },
        );
    });
    Ok(())
}

/// Gradient with respect to the input: `(Φ(x) + x φ(x)) output_gradient`.
pub fn gelu_backward(input: &[f32], output_gradient: &[f32], input_gradient: &mut [f32]) -> Result<()> {
    check("output gradient", input.len(), output_gradient.len())?;
    check("input gradient", input.len(), input_gradient.len())?;
    // 1 / sqrt(2 π)
    const DENSITY_AT_0: f32 = 0.398_942_3;
    let level = Level::current();
    let parts = input.chunks(CHUNK).zip(output_gradient.chunks(CHUNK)).zip(input_gradient.chunks_mut(CHUNK)).collect();
    for_each_of(parts, input.len() * WORK, |((x, g), to)| {
        vectorize(
            level,
            #[inline(always)]
            move || {
                for ((to, x), g) in to.iter_mut().zip(x).zip(g) {
                    let (cdf, bell) = normal_cdf(*x);
                    *to = g * (cdf + x * (bell * DENSITY_AT_0));
                }
            },
        );
    });
    Ok(())
}
