//! Between planes (`[channel, pixel]`, the layout of tensors) and pixels (`[pixel, channel]`, the layout of the
//! convolutions' inner loops), in blocks of 8x8 that are transposed in registers.

use crate::simd::{Lanes8, Level, Vector};
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2, x86};

trait Transpose: Vector {
    /// Rows become columns.
    unsafe fn transpose(rows: [Self; 8]) -> [Self; 8];
}

impl Transpose for Lanes8 {
    #[inline(always)]
    unsafe fn transpose(rows: [Self; 8]) -> [Self; 8] {
        let (mut from, mut to) = ([[0.0f32; 8]; 8], rows);
        // SAFETY: each store and load covers the 8 numbers of one row.
        unsafe {
            for (row, from) in rows.iter().zip(&mut from) {
                row.store(from.as_mut_ptr());
            }
            for (j, to) in to.iter_mut().enumerate() {
                let column: [f32; 8] = std::array::from_fn(|i| from[i][j]);
                *to = Self::load(column.as_ptr());
            }
        }
        to
    }
}

#[cfg(target_arch = "x86_64")]
impl Transpose for x86::__m256 {
    #[inline(always)]
    unsafe fn transpose(r: [Self; 8]) -> [Self; 8] {
        use x86::*;
        // SAFETY: callers run inside `vectorize` at `Avx2` or above.
        unsafe {
            let t0 = _mm256_unpacklo_ps(r[0], r[1]);
            let t1 = _mm256_unpackhi_ps(r[0], r[1]);
            let t2 = _mm256_unpacklo_ps(r[2], r[3]);
            let t3 = _mm256_unpackhi_ps(r[2], r[3]);
            let t4 = _mm256_unpacklo_ps(r[4], r[5]);
            let t5 = _mm256_unpackhi_ps(r[4], r[5]);
            let t6 = _mm256_unpacklo_ps(r[6], r[7]);
            let t7 = _mm256_unpackhi_ps(r[6], r[7]);
            let s0 = _mm256_shuffle_ps::<0x44>(t0, t2);
            let s1 = _mm256_shuffle_ps::<0xee>(t0, t2);
            let s2 = _mm256_shuffle_ps::<0x44>(t1, t3);
            let s3 = _mm256_shuffle_ps::<0xee>(t1, t3);
            let s4 = _mm256_shuffle_ps::<0x44>(t4, t6);
            let s5 = _mm256_shuffle_ps::<0xee>(t4, t6);
            let s6 = _mm256_shuffle_ps::<0x44>(t5, t7);
            let s7 = _mm256_shuffle_ps::<0xee>(t5, t7);
            [
                _mm256_permute2f128_ps::<0x20>(s0, s4),
                _mm256_permute2f128_ps::<0x20>(s1, s5),
                _mm256_permute2f128_ps::<0x20>(s2, s6),
                _mm256_permute2f128_ps::<0x20>(s3, s7),
                _mm256_permute2f128_ps::<0x31>(s0, s4),
                _mm256_permute2f128_ps::<0x31>(s1, s5),
                _mm256_permute2f128_ps::<0x31>(s2, s6),
                _mm256_permute2f128_ps::<0x31>(s3, s7),
            ]
        }
    }
}

/// Starts of blocks of 8 that cover `0..length`; the last one overlaps its neighbour. Empty below 8.
#[inline(always)]
fn blocks(length: usize) -> impl Iterator<Item = usize> {
    let count = if length < 8 { 0 } else { length.div_ceil(8) };
    (0..count).map(move |i| (8 * i).min(length - 8))
}

/// Writes element (c, p) of `from` to `to[place(p) + c]`, for `channels` planes `plane` apart and pixels `0..pixels`.
///
/// # Safety
/// All named elements of `from` must be readable and those of `to` writable, the latter by this call alone.
pub(crate) unsafe fn planes_to_pixels(
    level: Level,
    from: *const f32,
    plane: usize,
    (channels, pixels): (usize, usize),
    to: *mut f32,
    place: impl Fn(usize) -> usize,
) {
    #[inline(always)]
    unsafe fn go<V: Transpose>(
        from: *const f32,
        plane: usize,
        (channels, pixels): (usize, usize),
        to: *mut f32,
        place: &impl Fn(usize) -> usize,
    ) {
        // SAFETY (whole body): every address is an element (c, p) with c < channels and p < pixels.
        unsafe {
            if channels < 8 || pixels < 8 {
                for p in 0..pixels {
                    let to = to.add(place(p));
                    for c in 0..channels {
                        *to.add(c) = *from.add(c * plane + p);
                    }
                }
                return;
            }
            for p in blocks(pixels) {
                let mut places = [0; 8];
                for (i, at) in places.iter_mut().enumerate() {
                    *at = place(p + i);
                }
                for c in blocks(channels) {
                    let mut rows = [V::splat(0.0); 8];
                    for (i, row) in rows.iter_mut().enumerate() {
                        *row = V::load(from.add((c + i) * plane + p));
                    }
                    for (row, at) in V::transpose(rows).iter().zip(places) {
                        row.store(to.add(at + c));
                    }
                }
            }
        }
    }
    // SAFETY: the caller's promise; a `Level` above `Portable` is made only where the processor has its features.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 | Level::Avx512 => avx2(
                #[inline(always)]
                move || go::<x86::__m256>(from, plane, (channels, pixels), to, &place),
            ),
            _ => go::<Lanes8>(from, plane, (channels, pixels), to, &place),
        }
    }
}

/// What is done to a number of the output before it is stored: `relu(x + bias[channel] + residual)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finish {
    /// The bias of the first channel, or null.
    pub bias: *const f32,
    /// The residual at the output's first element, or null; laid out as the output.
    pub residual: *const f32,
    pub relu: bool,
}

impl Finish {
    pub(crate) const NOTHING: Self = Self { bias: std::ptr::null(), residual: std::ptr::null(), relu: false };

    /// The finish of the part of the output that starts `channel` channels and `at` numbers later.
    ///
    /// # Safety
    /// Both must be inside the bias and the residual.
    #[inline(always)]
    pub(crate) unsafe fn part(self, channel: usize, at: usize) -> Self {
        // SAFETY: the caller's promise.
        let later = |p: *const f32, n| if p.is_null() { p } else { unsafe { p.add(n) } };
        Self { bias: later(self.bias, channel), residual: later(self.residual, at), relu: self.relu }
    }

    /// Finishes one number.
    ///
    /// # Safety
    /// As [`part`](Self::part).
    #[inline(always)]
    pub(crate) unsafe fn one(&self, mut x: f32, channel: usize, at: usize) -> f32 {
        // SAFETY: the caller's promise.
        unsafe {
            if !self.bias.is_null() {
                x += *self.bias.add(channel);
            }
            if !self.residual.is_null() {
                x += *self.residual.add(at);
            }
        }
        if self.relu && x < 0.0 { 0.0 } else { x }
    }
}

/// Writes `finish` of element (p, c) of `from` (rows `from_step` apart) to `to[c * plane + p]`.
///
/// # Safety
/// As [`planes_to_pixels`]; `finish` must cover the written elements.
pub(crate) unsafe fn pixels_to_planes(
    level: Level,
    from: *const f32,
    from_step: usize,
    (pixels, channels): (usize, usize),
    to: *mut f32,
    plane: usize,
    finish: Finish,
) {
    #[inline(always)]
    unsafe fn go<V: Transpose>(
        from: *const f32,
        from_step: usize,
        (pixels, channels): (usize, usize),
        to: *mut f32,
        plane: usize,
        finish: Finish,
    ) {
        // SAFETY (whole body): every address is an element (p, c) with p < pixels and c < channels.
        unsafe {
            if channels < 8 || pixels < 8 {
                for c in 0..channels {
                    for p in 0..pixels {
                        let at = c * plane + p;
                        *to.add(at) = finish.one(*from.add(p * from_step + c), c, at);
                    }
                }
                return;
            }
            for c in blocks(channels) {
                for p in blocks(pixels) {
                    let mut rows = [V::splat(0.0); 8];
                    for (i, row) in rows.iter_mut().enumerate() {
                        *row = V::load(from.add((p + i) * from_step + c));
                    }
                    for (i, mut row) in V::transpose(rows).into_iter().enumerate() {
                        let at = (c + i) * plane + p;
                        if !finish.bias.is_null() {
                            row = row.add(V::splat(*finish.bias.add(c + i)));
                        }
                        if !finish.residual.is_null() {
                            row = row.add(V::load(finish.residual.add(at)));
                        }
                        if finish.relu {
                            row = row.relu();
                        }
                        row.store(to.add(at));
                    }
                }
            }
        }
    }
    // SAFETY: the caller's promise; a `Level` above `Portable` is made only where the processor has its features.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 | Level::Avx512 => avx2(
                #[inline(always)]
                move || go::<x86::__m256>(from, from_step, (pixels, channels), to, plane, finish),
            ),
            _ => go::<Lanes8>(from, from_step, (pixels, channels), to, plane, finish),
        }
    }
}
