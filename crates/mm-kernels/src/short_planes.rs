//! Planes of few numbers: beginning each one anew takes longer than the work on it. They are joined for the sums over a channel, and results
//! go straight to their places, in whole vectors: the last vector of a plane computes some numbers of the one before it again.

use crate::batch_norm::{BatchNormShape, zero_behind};
use crate::scratch::{self, Scratch};
use crate::simd::{Lanes8, Level, Vector, at_level};
use crate::threads::Shared;

/// The forward pass joins planes of up to so many numbers.
pub(crate) const FORWARD: usize = 256;
/// The backward pass, which would copy three maps.
pub(crate) const BACKWARD: usize = 64;

impl BatchNormShape<'_> {
    /// Whether planes of up to `largest` numbers are joined: whether copying them takes less than beginning each one anew.
    pub(crate) fn is_joined(&self, largest: usize) -> bool {
        self.spatial <= largest && self.batch > 1
    }

    /// What counts of the planes of a channel, one behind the other.
    pub(crate) fn join(&self, channel: usize, from: &[f32]) -> Scratch {
        let mut to = scratch::take(self.count());
        let mut rest = &mut to[..];
        for (at, filled) in self.planes(channel) {
            let (plane, behind) = std::mem::take(&mut rest).split_at_mut(filled);
            plane.copy_from_slice(&from[at..at + filled]);
            rest = behind;
        }
        to
    }
}

/// `output = relu((x - mean) * scale + shift + residual)` of a channel, from its joined planes; `affine` is (mean, scale, shift).
///
/// # Safety
/// Nothing else may touch the planes of the channel in `output`.
pub(crate) unsafe fn affine(
    level: Level,
    (shape, channel): (&BatchNormShape, usize),
    x: &[f32],
    affine: (f32, f32, f32),
    residual: Option<&[f32]>,
    relu: bool,
    output: Shared,
) {
    assert_eq!(x.len(), shape.count());
    at_level!(level, affine_of(shape, channel, x, affine, residual, relu, output))
}

/// # Safety
/// As [`affine`], with as many numbers in `x` as count.
#[inline(always)]
unsafe fn affine_of<V: Vector>(
    shape: &BatchNormShape,
    channel: usize,
    x: &[f32],
    (mean, scale, shift): (f32, f32, f32),
    residual: Option<&[f32]>,
    relu: bool,
    output: Shared,
) {
    let mut begin = 0;
    for (at, filled) in shape.planes(channel) {
        let (x, r) = (&x[begin..begin + filled], residual.map(|r| &r[at..at + filled]));
        begin += filled;
        // SAFETY: the caller's promises.
        unsafe {
            let out = zero_behind(output.range(at, shape.spatial), filled);
            match filled {
                0..8 => affine_numbers(x, (mean, scale, shift), r, relu, out),
                _ if filled < V::LANES => affine_vectors::<Lanes8>(x, (mean, scale, shift), r, relu, out),
                _ => affine_vectors::<V>(x, (mean, scale, shift), r, relu, out),
            }
        }
    }
}

#[inline(always)]
fn affine_numbers(x: &[f32], (mean, scale, shift): (f32, f32, f32), r: Option<&[f32]>, relu: bool, out: &mut [f32]) {
    for (i, (out, x)) in out.iter_mut().zip(x).enumerate() {
        let y = (x - mean) * scale + shift;
        let y = r.map_or(y, |r| y + r[i]);
        // Written so that NaN stays NaN.
        *out = if relu && y < 0.0 { 0.0 } else { y };
    }
}

/// # Safety
/// As the methods of [`Vector`], with at least a vector of numbers in each slice, and as many in all.
#[inline(always)]
unsafe fn affine_vectors<V: Vector>(x: &[f32], (mean, scale, shift): (f32, f32, f32), r: Option<&[f32]>, relu: bool, out: &mut [f32]) {
    let mut next = 0;
    while next < x.len() {
        let i = next.min(x.len() - V::LANES);
        // SAFETY: the caller's promise.
        unsafe {
            let y = V::load(x.as_ptr().add(i)).sub(V::splat(mean)).mul(V::splat(scale)).add(V::splat(shift));
            let y = match r {
                Some(r) => y.add(V::load(r.as_ptr().add(i))),
                None => y,
            };
            let y = if relu { y.relu() } else { y };
            y.store(out.as_mut_ptr().add(i));
        }
        next += V::LANES;
    }
}

/// The gradients of input and residual of a channel, from its joined planes (x, g, y); that of the input is `a g - b (x - m) - c`, `slope` is
/// `[a, b, c, m]`; `gated`: g counts where y is positive.
///
/// # Safety
/// Nothing else may touch the planes of the channel in the gradients.
pub(crate) unsafe fn gradients(
    level: Level,
    (shape, channel): (&BatchNormShape, usize),
    joined: [&[f32]; 3],
    gated: bool,
    slope: [f32; 4],
    input_gradient: Shared,
    residual_gradient: Option<Shared>,
) {
    assert!(joined.iter().all(|joined| joined.len() == shape.count()));
    at_level!(level, gradients_of(shape, channel, joined, gated, slope, input_gradient, residual_gradient))
}

/// # Safety
/// As [`gradients`], with as many joined numbers as count.
#[inline(always)]
unsafe fn gradients_of<V: Vector>(
    shape: &BatchNormShape,
    channel: usize,
    joined: [&[f32]; 3],
    gated: bool,
    slope: [f32; 4],
    input_gradient: Shared,
    residual_gradient: Option<Shared>,
) {
    let mut begin = 0;
    for (at, filled) in shape.planes(channel) {
        let plane = joined.map(|joined| &joined[begin..begin + filled]);
        begin += filled;
        // SAFETY: the caller's promises.
        unsafe {
            let dx = zero_behind(input_gradient.range(at, shape.spatial), filled);
            let dr = residual_gradient.map(|r| zero_behind(r.range(at, shape.spatial), filled));
            match filled {
                0..8 => gradient_numbers(plane, gated, slope, dx, dr),
                _ if filled < V::LANES => gradient_vectors::<Lanes8>(plane, gated, slope, dx, dr),
                _ => gradient_vectors::<V>(plane, gated, slope, dx, dr),
            }
        }
    }
}

#[inline(always)]
fn gradient_numbers([x, g, y]: [&[f32]; 3], gated: bool, [a, b, c, m]: [f32; 4], dx: &mut [f32], mut dr: Option<&mut [f32]>) {
    for i in 0..x.len() {
        let g = if !gated || y[i] > 0.0 { g[i] } else { 0.0 };
        dx[i] = a * g - b * (x[i] - m) - c;
        if let Some(dr) = &mut dr {
            dr[i] = g;
        }
    }
}

/// # Safety
/// As the methods of [`Vector`], with at least a vector of numbers in each slice, and as many in all.
#[inline(always)]
unsafe fn gradient_vectors<V: Vector>(
    [x, g, y]: [&[f32]; 3],
    gated: bool,
    [a, b, c, m]: [f32; 4],
    dx: &mut [f32],
    mut dr: Option<&mut [f32]>,
) {
    let mut next = 0;
    while next < x.len() {
        let i = next.min(x.len() - V::LANES);
        // SAFETY: the caller's promise.
        unsafe {
            let g = V::load(g.as_ptr().add(i));
            let g = if gated { g.where_positive(V::load(y.as_ptr().add(i))) } else { g };
            let centred = V::load(x.as_ptr().add(i)).sub(V::splat(m));
            let of_x = V::splat(a).mul(g).sub(V::splat(b).mul(centred)).sub(V::splat(c));
            of_x.store(dx.as_mut_ptr().add(i));
            if let Some(dr) = &mut dr {
                g.store(dr.as_mut_ptr().add(i));
            }
        }
        next += V::LANES;
    }
}
