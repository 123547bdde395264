//! Functions of one number without branches, so that loops over them become vector instructions. Only rounded products and sums:
//! the bits are the same at every [`Level`](crate::simd::Level).

/// Below this the exponential is 0 here; the true one is no longer a normal number.
const LEAST: f32 = -87.0;

/// `e^x` for x up to 88; relative error below 2e-7. NaN stays NaN.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // ln 2 in two parts, the first short enough that its products with whole numbers are exact.
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Adding it rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x < LEAST { LEAST } else { x };
    let rounded = clamped * std::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    let r = (clamped - whole * LN2[0]) - whole * LN2[1];
    // Taylor: |r| is at most ln 2 / 2, and the next term below 6e-9.
    let mut power = 1.0 / 5040.0;
    for factorial in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        power = power * r + factorial;
    }
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1f32.to_bits()));
    if x < LEAST { 0.0 } else { power * scale }
}

/// The distribution function of N(0, 1) at x, and `e^(-x²/2)`; absolute error below 3e-7.
#[inline(always)]
pub(crate) fn normal_cdf(x: f32) -> (f32, f32) {
    // The tail over e^(-x²/2) as a polynomial of t = 1 / (1 + 0.26 |x|), fitted by least squares for |x| to 13.5 with weights that even
    // out the relative error: 2.2e-8 in exact arithmetic.
    const TAIL: [f32; 9] =
        [0.030_783_59, -0.154_189_3, 0.254_317_85, -0.154_206_38, 0.163_220_36, 0.050_047_017, 0.103_285_395, 0.102_980_22, 0.103_761_26];
    let bell = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.26 * x.abs());
    let mut polynomial = 0.0;
    for coefficient in TAIL {
        polynomial = polynomial * t + coefficient;
    }
    let tail = bell * (polynomial * t);
    (if x > 0.0 { 1.0 - tail } else { tail }, bell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_close_everywhere() {
        for i in -8_700..=800 {
            let x = i as f32 * 0.01;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 2e-7, "{x}");
        }
        assert_eq!([exp(0.0), exp(-100.0), exp(f32::NEG_INFINITY)], [1.0, 0.0, 0.0]);
        assert!(exp(f32::NAN).is_nan());
    }

    /// By Simpson's rule from 0.
    #[test]
    fn the_normal_distribution_is_close_everywhere() {
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (mut integral, step) = (0.0, 0.01);
        for i in 0..=1300 {
            let x = f64::from(i) * step;
            for (x, exact) in [(x, 0.5 + integral), (-x, 0.5 - integral)] {
                let (found, bell) = normal_cdf(x as f32);
                assert!((f64::from(found) - exact).abs() < 3e-7, "{x}: {found}, {exact}");
                assert!((f64::from(bell) - (-0.5 * x * x).exp()).abs() < 2e-7, "{x}");
            }
            integral += step / 6.0 * (density(x) + 4.0 * density(x + step / 2.0) + density(x + step));
        }
        assert_eq!((normal_cdf(f32::INFINITY).0, normal_cdf(f32::NEG_INFINITY).0), (1.0, 0.0));
        assert!(normal_cdf(f32::NAN).0.is_nan());
    }
}
