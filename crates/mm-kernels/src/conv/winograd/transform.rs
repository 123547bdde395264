//! The small matrices of F(4x4, 3x3) and F(2x2, 3x3), and of F(4, 3) and F(2, 5) along one axis, applied to vectors of channels.
//!
//! For an output tile Y (4x4) of an input tile d (6x6) and a kernel g (3x3):
//! `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`, as in Lavin and Gray (arXiv:1509.09308), but
//! with the points 0, ±1/√2, ±√2, ∞: the matrices' numbers are closer together, and the error smaller, than with
//! 0, ±1, ±2, ∞. The gradient of g is
//! `Gᵀ [(A dY Aᵀ) ⊙ (Bᵀ d B)] G`. Along one axis it is `Y = Aᵀ [(G g) ⊙ (Bᵀ d)]`; with the same points 6 inputs make 4 outputs of 3 taps,
//! or 2 of 5. F(2x2, 3x3) needs the points 0, ±1, ∞ alone.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use crate::simd::Vector;

macro_rules! axis_transform {
    ($(#[$doc:meta])* $name:ident, $from:literal, $to:literal, |$k:ident, $x:ident| $body:block) => {
        $(#[$doc])*
        #[inline(always)]
        unsafe fn $name<V: Vector>($x: [V; $from]) -> [V; $to] {
            // SAFETY: callers run where the vector's instructions are on.
            unsafe {
                // Some are sums alone.
                #[allow(unused_macros)]
                macro_rules! $k { ($c:expr) => { V::splat($c) } }
                $body
            }
        }
    };
}

axis_transform!(
    /// Bᵀ
    input_axis, 6, 6, |k, d| {
        let even = d[2].mul_add(k!(-2.0), d[4]);
        let odd = d[1].mul_add(k!(-SQRT_2), d[3].mul(k!(FRAC_1_SQRT_2)));
        let even2 = d[2].mul_add(k!(-0.5), d[4]);
        let odd2 = d[3].mul_add(k!(SQRT_2), d[1].mul(k!(-FRAC_1_SQRT_2)));
        [
            d[2].mul_add(k!(-2.5), d[0].add(d[4])),
            even.add(odd),
            even.sub(odd),
            even2.add(odd2),
            even2.sub(odd2),
            d[3].mul_add(k!(-2.5), d[1].add(d[5])),
        ]
    }
);

axis_transform!(
    /// Aᵀ
    output_axis, 6, 4, |k, m| {
        let (p, q) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (r, s) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(p).add(r),
            s.mul_add(k!(SQRT_2), q.mul(k!(FRAC_1_SQRT_2))),
            r.mul_add(k!(2.0), p.mul(k!(0.5))),
            s.mul_add(k!(2.0 * SQRT_2), q.mul_add(k!(SQRT_2 / 4.0), m[5])),
        ]
    }
);

axis_transform!(
    /// G
    weight_axis, 3, 6, |k, g| {
        let near = g[0].mul_add(k!(-2.0 / 3.0), g[2].mul(k!(-1.0 / 3.0)));
        let far = g[0].mul_add(k!(1.0 / 6.0), g[2].mul(k!(1.0 / 3.0)));
        let (middle, half) = (g[1].mul(k!(SQRT_2 / 3.0)), g[1].mul(k!(SQRT_2 / 6.0)));
        [g[0], near.sub(middle), near.add(middle), far.add(half), far.sub(half), g[2]]
    }
);

axis_transform!(
    /// A
    output_gradient_axis, 4, 6, |k, y| {
        let even = y[2].mul_add(k!(0.5), y[0]);
        let odd = y[1].mul_add(k!(FRAC_1_SQRT_2), y[3].mul(k!(SQRT_2 / 4.0)));
        let even2 = y[2].mul_add(k!(2.0), y[0]);
        let odd2 = y[1].mul_add(k!(SQRT_2), y[3].mul(k!(2.0 * SQRT_2)));
        [y[0], even.add(odd), even.sub(odd), even2.add(odd2), even2.sub(odd2), y[3]]
    }
);

axis_transform!(
    /// Gᵀ
    weight_gradient_axis, 6, 3, |k, m| {
        let (p, q) = (m[1].add(m[2]), m[2].sub(m[1]));
        let (r, s) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            p.mul_add(k!(-2.0 / 3.0), r.mul_add(k!(1.0 / 6.0), m[0])),
            q.mul_add(k!(SQRT_2 / 3.0), s.mul(k!(SQRT_2 / 6.0))),
            r.sub(p).mul_add(k!(1.0 / 3.0), m[5]),
        ]
    }
);

axis_transform!(
    /// Bᵀ for 2 outputs of 3 taps
    input_axis_2, 4, 4, |k, d| { [d[0].sub(d[2]), d[1].add(d[2]), d[2].sub(d[1]), d[1].sub(d[3])] }
);

axis_transform!(
    /// Aᵀ for 2 outputs of 3 taps
    output_axis_2, 4, 2, |k, m| { [m[0].add(m[1]).add(m[2]), m[1].sub(m[2]).sub(m[3])] }
);

axis_transform!(
    /// G for 2 outputs of 3 taps
    weight_axis_2, 3, 4, |k, g| {
        let (outer, middle) = (g[0].add(g[2]).mul(k!(0.5)), g[1].mul(k!(0.5)));
        [g[0], outer.add(middle), outer.sub(middle), g[2]]
    }
);

axis_transform!(
    /// Aᵀ for 5 taps
    output_axis_5, 6, 2, |k, m| {
        let (p, q) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (r, s) = (m[3].add(m[4]), m[3].sub(m[4]));
        [m[0].add(p).add(r), s.mul_add(k!(SQRT_2), q.mul_add(k!(FRAC_1_SQRT_2), m[5]))]
    }
);

axis_transform!(
    /// G for 5 taps
    weight_axis_5, 5, 6, |k, g| {
        let near = g[0].mul_add(k!(-2.0 / 3.0), g[2].mul_add(k!(-1.0 / 3.0), g[4].mul(k!(-1.0 / 6.0))));
        let far = g[0].mul_add(k!(1.0 / 6.0), g[2].mul_add(k!(1.0 / 3.0), g[4].mul(k!(2.0 / 3.0))));
        let middle = g[1].mul_add(k!(SQRT_2 / 3.0), g[3].mul(k!(SQRT_2 / 6.0)));
        let half = g[1].mul_add(k!(SQRT_2 / 6.0), g[3].mul(k!(SQRT_2 / 3.0)));
        [g[0], near.sub(middle), near.add(middle), far.add(half), far.sub(half), g[4]]
    }
);

axis_transform!(
    /// A for 5 taps
    output_gradient_axis_5, 2, 6, |k, y| {
        let (odd, odd2) = (y[1].mul(k!(FRAC_1_SQRT_2)), y[1].mul(k!(SQRT_2)));
        [y[0], y[0].add(odd), y[0].sub(odd), y[0].add(odd2), y[0].sub(odd2), y[1]]
    }
);

axis_transform!(
    /// Gᵀ for 5 taps
    weight_gradient_axis_5, 6, 5, |k, m| {
        let (p, q) = (m[1].add(m[2]), m[2].sub(m[1]));
        let (r, s) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            p.mul_add(k!(-2.0 / 3.0), r.mul_add(k!(1.0 / 6.0), m[0])),
            q.mul_add(k!(SQRT_2 / 3.0), s.mul(k!(SQRT_2 / 6.0))),
            r.sub(p).mul(k!(1.0 / 3.0)),
            q.mul_add(k!(SQRT_2 / 6.0), s.mul(k!(SQRT_2 / 3.0))),
            p.mul_add(k!(-1.0 / 6.0), r.mul_add(k!(2.0 / 3.0), m[5])),
        ]
    }
);

macro_rules! tile_transform {
    ($(#[$doc:meta])* $name:ident, $axis:ident, $from:literal, $to:literal) => {
        $(#[$doc])*
        ///
        /// Element (row, column) is read from `from[row * steps.0 + column * steps.1]` and written to
        /// `to[(row * columns + column) * to_step]`, a vector each.
        ///
        /// # Safety
        /// All those must be readable and writable; the vector's instructions must be on.
        #[inline(always)]
        pub(super) unsafe fn $name<V: Vector>(from: *const f32, steps: (usize, usize), to: *mut f32, to_step: usize) {
            // SAFETY: the caller's promise.
            unsafe {
                let mut half = [[V::splat(0.0); $from]; $to];
                for column in 0..$from {
                    let mut line = [V::splat(0.0); $from];
                    for (row, x) in line.iter_mut().enumerate() {
                        *x = V::load(from.add(row * steps.0 + column * steps.1));
                    }
                    for (half, x) in half.iter_mut().zip($axis(line)) {
                        half[column] = x;
                    }
                }
                for (row, half) in half.into_iter().enumerate() {
                    for (column, x) in $axis(half).into_iter().enumerate() {
                        x.store(to.add((row * $to + column) * to_step));
                    }
                }
            }
        }
    };
}

tile_transform!(
    /// `Bᵀ d B`: 6x6 to 6x6.
    input_tile, input_axis, 6, 6
);
tile_transform!(
    /// `Aᵀ m A`: 6x6 to 4x4.
    output_tile, output_axis, 6, 4
);
tile_transform!(
    /// `G g Gᵀ`: 3x3 to 6x6.
    weight_tile, weight_axis, 3, 6
);
tile_transform!(
    /// `Bᵀ d B` for 2x2 outputs: 4x4 to 4x4.
    input_tile_2, input_axis_2, 4, 4
);
tile_transform!(
    /// `Aᵀ m A` for 2x2 outputs: 4x4 to 2x2.
    output_tile_2, output_axis_2, 4, 2
);
tile_transform!(
    /// `G g Gᵀ` for 2x2 outputs: 3x3 to 4x4.
    weight_tile_2, weight_axis_2, 3, 4
);
tile_transform!(
    /// `A dY Aᵀ`: 4x4 to 6x6.
    output_gradient_tile, output_gradient_axis, 4, 6
);
tile_transform!(
    /// `Gᵀ m G`: 6x6 to 3x3.
    weight_gradient_tile, weight_gradient_axis, 6, 3
);

macro_rules! line_transform {
    ($(#[$doc:meta])* $name:ident, $axis:ident, $from:literal) => {
        $(#[$doc])*
        ///
        /// Element i is read from `from[i * step]`, and written to `to[i * to_step]`, a vector each.
        ///
        /// # Safety
        /// All those must be readable and writable; the vector's instructions must be on.
        #[inline(always)]
        pub(super) unsafe fn $name<V: Vector>(from: *const f32, step: usize, to: *mut f32, to_step: usize) {
            // SAFETY: the caller's promise.
            unsafe {
                let mut line = [V::splat(0.0); $from];
                for (i, x) in line.iter_mut().enumerate() {
                    *x = V::load(from.add(i * step));
                }
                for (i, x) in $axis(line).into_iter().enumerate() {
                    x.store(to.add(i * to_step));
                }
            }
        }
    };
}

line_transform!(
    /// `Bᵀ d`, for 3 and 5 taps.
    input_line, input_axis, 6
);
line_transform!(
    /// `Aᵀ m` for 3 taps: 6 to 4.
    output_line_3, output_axis, 6
);
line_transform!(
    /// `Aᵀ m` for 5 taps: 6 to 2.
    output_line_5, output_axis_5, 6
);
line_transform!(
    /// `G g`: 3 to 6.
    weight_line_3, weight_axis, 3
);
line_transform!(
    /// `G g`: 5 to 6.
    weight_line_5, weight_axis_5, 5
);
line_transform!(
    /// `A dY` for 3 taps: 4 to 6.
    output_gradient_line_3, output_gradient_axis, 4
);
line_transform!(
    /// `A dY` for 5 taps: 2 to 6.
    output_gradient_line_5, output_gradient_axis_5, 2
);
line_transform!(
    /// `Gᵀ m`: 6 to 3.
    weight_gradient_line_3, weight_gradient_axis, 6
);
line_transform!(
    /// `Gᵀ m`: 6 to 5.
    weight_gradient_line_5, weight_gradient_axis_5, 6
);

pub(super) use crate::simd::at_level;
