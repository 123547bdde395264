//! Sums that stay close to f64: 16 lanes of f32 over a block, blocks in f64.

use crate::simd::{Level, Vector, at_level};

/// Numbers summed in f32 before the lanes go to f64: 64 a lane.
const BLOCK: usize = 1024;

/// The sums of the `N` numbers `f` makes of the elements of `M` slices, of the first one's length. The order is fixed.
///
/// Always inlined, so inside [`vectorize`](crate::simd::vectorize) it is vectorised.
#[inline(always)]
pub(crate) fn sums<const M: usize, const N: usize>(inputs: [&[f32]; M], f: impl Fn([f32; M]) -> [f32; N]) -> [f64; N] {
    let mut sums = Sums::default();
    sums.add(inputs, f);
    sums.finish()
}

/// Sums over many slices, such as the planes of a channel: short ones share a block, since emptying the lanes takes as long as
/// adding a hundred numbers.
pub(crate) struct Sums<const N: usize> {
    total: [f64; N],
    lanes: [[f32; 16]; N],
    /// Numbers in the lanes, each slice rounded up to whole rows of lanes.
    held: usize,
}

impl<const N: usize> Default for Sums<N> {
    fn default() -> Self {
        Self { total: [0.0; N], lanes: [[0.0; 16]; N], held: 0 }
    }
}

impl<const N: usize> Sums<N> {
    /// Adds what `f` makes of the elements of slices of the first one's length.
    #[inline(always)]
    #[allow(
        clippy::needless_range_loop,
        reason = "adaptors of iterators are calls in the innermost loop where the compiler doesn't inline them"
    )]
    pub(crate) fn add<const M: usize>(&mut self, inputs: [&[f32]; M], f: impl Fn([f32; M]) -> [f32; N]) {
        let length = inputs[0].len();
        let mut start = 0;
        while start < length {
            let end = (start + BLOCK - self.held).min(length);
            let mut block: [(&[[f32; 16]], &[f32]); M] = [(&[], &[]); M];
            for m in 0..M {
                block[m] = inputs[m][start..end].as_chunks::<16>();
            }
            let rows = block[0].0.len();
            let mut lanes = self.lanes;
            for i in 0..rows {
                let mut row = [&[0.0f32; 16]; M];
                for m in 0..M {
                    row[m] = &block[m].0[i];
                }
                for l in 0..16 {
                    let mut x = [0.0f32; M];
                    for m in 0..M {
                        x[m] = row[m][l];
                    }
                    let terms = f(x);
                    for n in 0..N {
                        lanes[n][l] += terms[n];
                    }
                }
            }
            let rest = block[0].1.len();
            if rest > 0 {
                let mut last = [[0.0f32; 16]; M];
                for m in 0..M {
                    last[m][..rest].copy_from_slice(block[m].1);
                }
                for l in 0..16 {
                    let mut x = [0.0f32; M];
                    for m in 0..M {
                        x[m] = last[m][l];
                    }
                    let terms = f(x);
                    for n in 0..N {
                        lanes[n][l] += if l < rest { terms[n] } else { 0.0 };
                    }
                }
            }
            self.lanes = lanes;
            self.held += (end - start).next_multiple_of(16);
            if self.held >= BLOCK {
                self.empty();
            }
            start = end;
        }
    }

    #[inline(always)]
    fn empty(&mut self) {
        for (total, lanes) in self.total.iter_mut().zip(&mut self.lanes) {
            *total += lanes.iter().map(|&x| f64::from(x)).sum::<f64>();
            *lanes = [0.0; 16];
        }
        self.held = 0;
    }

    /// The sums of all that was added.
    #[inline(always)]
    pub(crate) fn finish(mut self) -> [f64; N] {
        self.empty();
        self.total
    }
}

/// The sums of `g` and of `g (x - mean)` over planes (x, g, y), whose parts are of one length; `gated`: of those numbers where y is positive.
/// As [`Sums`] would compute them, which for two terms of a gate the compiler makes no good vectors of.
pub(crate) fn gradient_sums(level: Level, planes: &[[&[f32]; 3]], gated: bool, mean: f32) -> [f64; 2] {
    assert!(planes.iter().all(|[x, g, y]| x.len() == g.len() && x.len() == y.len()), "parts of one length");
    at_level!(level, gradient_sums_of(planes, gated, mean))
}

/// # Safety
/// The parts of a plane must be of one length.
#[inline(always)]
unsafe fn gradient_sums_of<V: Vector>(planes: &[[&[f32]; 3]], gated: bool, mean: f32) -> [f64; 2] {
    // SAFETY: rows of 16 numbers are inside their slices.
    unsafe {
        let mean = V::splat(mean);
        let (mut lanes, mut held, mut totals) = ([[V::splat(0.0); 2]; 2], 0, [0.0f64; 2]);
        for plane in planes {
            let mut start = 0;
            while start < plane[0].len() {
                let end = (start + BLOCK - held).min(plane[0].len());
                let whole = start + (end - start) / 16 * 16;
                for at in (start..whole).step_by(16) {
                    add(&mut lanes, [plane[0].as_ptr().add(at), plane[1].as_ptr().add(at), plane[2].as_ptr().add(at)], gated, mean);
                }
                if whole < end {
                    // Behind the last numbers stand gradients of zero.
                    let mut last = [[0.0f32; 16]; 3];
                    last.iter_mut().zip(plane).for_each(|(last, x)| last[..end - whole].copy_from_slice(&x[whole..end]));
                    add(&mut lanes, [last[0].as_ptr(), last[1].as_ptr(), last[2].as_ptr()], gated, mean);
                }
                held += (end - start).next_multiple_of(16);
                start = end;
                if held >= BLOCK {
                    empty(&mut lanes, &mut totals);
                    held = 0;
                }
            }
        }
        empty(&mut lanes, &mut totals);
        totals
    }
}

/// Adds 16 numbers of a plane (x, g, y) to the lanes. A function: a closure would not be inlined for sure, and then its vectors
/// go through memory.
///
/// # Safety
/// As the methods of [`Vector`], with 16 numbers behind each pointer.
#[inline(always)]
unsafe fn add<V: Vector>([of_g, of_gx]: &mut [[V; 2]; 2], [x, g, y]: [*const f32; 3], gated: bool, mean: V) {
    for (v, (of_g, of_gx)) in of_g.iter_mut().zip(of_gx).take(16 / V::LANES).enumerate() {
        let at = v * V::LANES;
        // SAFETY: the caller's promise.
        unsafe {
            let g = V::load(g.add(at));
            let g = if gated { g.where_positive(V::load(y.add(at))) } else { g };
            *of_g = of_g.add(g);
            *of_gx = of_gx.add(g.mul(V::load(x.add(at)).sub(mean)));
        }
    }
}

/// # Safety
/// As the methods of [`Vector`].
#[inline(always)]
unsafe fn empty<V: Vector>(lanes: &mut [[V; 2]; 2], totals: &mut [f64; 2]) {
    for (lanes, total) in lanes.iter_mut().zip(totals) {
        let mut numbers = [0.0f32; 16];
        for (lanes, numbers) in lanes.iter_mut().zip(numbers.chunks_exact_mut(V::LANES)) {
            // SAFETY: the caller's promise.
            unsafe {
                lanes.store(numbers.as_mut_ptr());
                *lanes = V::splat(0.0);
            }
        }
        *total += numbers.iter().map(|&x| f64::from(x)).sum::<f64>();
    }
}
