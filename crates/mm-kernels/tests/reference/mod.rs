//! Plain f64 versions of the kernels, written for sight, and numbers to feed them.
#![allow(dead_code)]

use mm_kernels::conv::Conv2dShape;
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Uniform numbers in -1..1.
pub fn random(seed: u64, length: usize) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..length).map(|_| rng.random_range(-1.0f32..1.0)).collect()
}

/// Largest error, relative to the largest reference value, or to the size of the numbers of [`random`] if that is larger.
pub fn error(found: &[f32], reference: &[f64]) -> f64 {
    error_of_terms(found, reference, 0.25)
}

/// Largest error, relative to the largest reference value, or to `size`, that of the terms that it is a sum of: a few sums may
/// all cancel, and rounding is that of what is summed.
pub fn error_of_terms(found: &[f32], reference: &[f64], size: f64) -> f64 {
    assert_eq!(found.len(), reference.len());
    let scale = reference.iter().fold(size, |a, b| a.max(b.abs()));
    let worst = found.iter().zip(reference).map(|(&f, r)| {
        let e = (f64::from(f) - r).abs();
        if e.is_nan() { f64::INFINITY } else { e }
    });
    worst.fold(0.0, f64::max) / scale
}

/// Calls `visit(input index, weight index, output index)` for every product of a convolution.
pub fn products(s: &Conv2dShape, groups: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let (oh, ow) = (s.out_height(), s.out_width());
    let (ic, oc) = (s.in_channels / groups, s.out_channels / groups);
    for n in 0..s.batch {
        for o in 0..s.out_channels {
            for y in 0..oh {
                for x in 0..ow {
                    for c in 0..ic {
                        for ky in 0..s.kernel.0 {
                            for kx in 0..s.kernel.1 {
                                let iy = y * s.stride.0 + ky * s.dilation.0;
                                let ix = x * s.stride.1 + kx * s.dilation.1;
                                let inside = |i: usize, p: usize, size: usize| i >= p && i - p < size;
                                if inside(iy, s.padding.0, s.height) && inside(ix, s.padding.1, s.width) {
                                    let channel = o / oc * ic + c;
                                    let i = ((n * s.in_channels + channel) * s.height + iy - s.padding.0) * s.width + ix - s.padding.1;
                                    let w = ((o * ic + c) * s.kernel.0 + ky) * s.kernel.1 + kx;
                                    visit(i, w, ((n * s.out_channels + o) * oh + y) * ow + x);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Runs `f` with a pool of `threads` rayon threads.
pub fn on_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

/// The bits of numbers, for exact comparison.
pub fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}
