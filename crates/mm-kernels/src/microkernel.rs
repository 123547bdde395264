//! The inner loop of every convolution: a small matrix product whose accumulators stay in registers.

#[cfg(target_arch = "x86_64")]
use crate::simd::{self, x86};
use crate::simd::{Lanes8, Level, Vector};

/// Width of a panel of columns: two AVX-512 vectors.
pub(crate) const PANEL: usize = 32;

/// A stretch of the inner dimension: starts at `a` in the left operand and `b` in the right one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub a: usize,
    pub b: usize,
    pub length: usize,
}

/// Where the rows of the left operand start.
#[derive(Clone, Copy)]
pub(crate) enum Rows<'a> {
    /// At these offsets; along the inner dimension the numbers are adjacent.
    At(&'a [usize]),
    /// Side by side; along the inner dimension the numbers are `a_step` apart.
    Adjacent { count: usize, a_step: usize },
}

impl Rows<'_> {
    fn count(&self) -> usize {
        match *self {
            Rows::At(offsets) => offsets.len(),
            Rows::Adjacent { count, .. } => count,
        }
    }
}

/// `c[row, column] (+)= sum over runs and k of a[row, k] b[k, column]` for one panel of columns.
///
/// The sum over k runs in order for every element, so it does not depend on how rows are split.
pub(crate) struct Product<'a> {
    pub a: *const f32,
    pub rows: Rows<'a>,
    pub b: *const f32,
    /// Distance of two rows of `b`.
    pub b_step: usize,
    /// 16 or 32: all are computed and stored, and read from `b`.
    pub columns: usize,
    pub runs: &'a [Run],
    pub c: *mut f32,
    /// Distance of two rows of `c`.
    pub c_step: usize,
    /// Add to `c`, else overwrite it.
    pub accumulate: bool,
}

/// Columns to compute for the panel that starts at `first` of `total` columns: 16 if that is enough.
pub(crate) fn panel_columns(first: usize, total: usize) -> usize {
    if total - first <= PANEL / 2 { PANEL / 2 } else { PANEL }
}

impl Product<'_> {
    /// Computes the product.
    ///
    /// # Safety
    /// Every element that the rows, runs and steps name must be inside the memory of `a`, `b` and `c`; nothing else
    /// may touch the written part of `c` meanwhile.
    pub(crate) unsafe fn run(&self, level: Level) {
        // SAFETY: the caller's promise; a `Level` above `Portable` is made only where the processor has its features.
        unsafe {
            match level {
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => simd::avx512(
                    #[inline(always)]
                    || avx512_rows(self),
                ),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => simd::avx2(
                    #[inline(always)]
                    || avx2_rows(self),
                ),
                _ => portable_rows(self),
            }
        }
    }
}

macro_rules! by_rows {
    ($product:expr, $vector:ty, $columns:literal, $first:expr, $count:expr, $column:expr, [$($rows:literal)*]) => {
        match $count {
            $($rows => tile::<$vector, $rows, $columns>($product, $first, $column),)*
            _ => unreachable!("rows are split into at most the largest tile"),
        }
    };
}

// Plain loops, no closures: a closure would be compiled without the vector instructions.
macro_rules! rows_at {
    ($name:ident, $vector:ty, $most:literal, $step:literal, [$($rows:literal)*]) => {
        #[inline(always)]
        unsafe fn $name(p: &Product) {
            let rows = p.rows.count();
            // Nearly equal parts of at most `most` rows.
            let parts = rows.div_ceil($most);
            for column in (0..p.columns).step_by($step) {
                for i in 0..parts {
                    let (first, end) = (rows * i / parts, rows * (i + 1) / parts);
                    let wide = p.columns - column >= 2 * <$vector>::LANES;
                    // SAFETY: passed on from `Product::run`.
                    unsafe {
                        if wide {
                            by_rows!(p, $vector, 2, first, end - first, column, [$($rows)*])
                        } else {
                            by_rows!(p, $vector, 1, first, end - first, column, [$($rows)*])
                        }
                    }
                }
            }
        }
    };
}

// 14 x 2 accumulators, 2 columns and 1 broadcast fill 31 of AVX-512's 32 registers; 6 x 2 + 3 fill 15 of AVX2's 16.
#[cfg(target_arch = "x86_64")]
rows_at!(avx512_rows, x86::__m512, 14, 32, [1 2 3 4 5 6 7 8 9 10 11 12 13 14]);
#[cfg(target_arch = "x86_64")]
rows_at!(avx2_rows, x86::__m256, 6, 16, [1 2 3 4 5 6]);
rows_at!(portable_rows, Lanes8, 4, 16, [1 2 3 4]);

/// `R` rows by `N` vectors.
#[inline(always)]
unsafe fn tile<V: Vector, const R: usize, const N: usize>(p: &Product, first: usize, column: usize) {
    // SAFETY (whole body): all addresses are those `Product::run`'s caller vouched for.
    unsafe {
        let mut sums = [[V::splat(0.0); N]; R];
        let corner = p.c.add(first * p.c_step + column);
        if p.accumulate {
            for (r, row) in sums.iter_mut().enumerate() {
                for (j, sum) in row.iter_mut().enumerate() {
                    *sum = V::load(corner.add(r * p.c_step + j * V::LANES));
                }
            }
        }
        match p.rows {
            Rows::At(offsets) => {
                let offsets = &*offsets.as_ptr().add(first).cast::<[usize; R]>();
                for run in p.runs {
                    let mut a = [p.a; R];
                    for (a, offset) in a.iter_mut().zip(offsets) {
                        *a = a.add(run.a + offset);
                    }
                    let mut b = p.b.add(run.b + column);
                    for k in 0..run.length {
                        let mut left = [0.0; R];
                        for (left, a) in left.iter_mut().zip(a) {
                            *left = *a.add(k);
                        }
                        step::<V, R, N>(&mut sums, left, b);
                        b = b.wrapping_add(p.b_step);
                    }
                }
            }
            Rows::Adjacent { a_step, .. } => {
                for run in p.runs {
                    let mut a = p.a.add(run.a + first);
                    let mut b = p.b.add(run.b + column);
                    for _ in 0..run.length {
                        step::<V, R, N>(&mut sums, *a.cast::<[f32; R]>(), b);
                        a = a.wrapping_add(a_step);
                        b = b.wrapping_add(p.b_step);
                    }
                }
            }
        }
        for (r, row) in sums.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                sum.store(corner.add(r * p.c_step + j * V::LANES));
            }
        }
    }
}

/// `sums[r] += left[r] * b`, for one k.
#[inline(always)]
unsafe fn step<V: Vector, const R: usize, const N: usize>(sums: &mut [[V; N]; R], left: [f32; R], b: *const f32) {
    // SAFETY: passed on from `tile`.
    unsafe {
        let mut right = [V::splat(0.0); N];
        for (j, right) in right.iter_mut().enumerate() {
            *right = V::load(b.add(j * V::LANES));
        }
        for (r, row) in sums.iter_mut().enumerate() {
            let x = V::splat(left[r]);
            for (sum, right) in row.iter_mut().zip(right) {
                *sum = x.mul_add(right, *sum);
            }
        }
    }
}
