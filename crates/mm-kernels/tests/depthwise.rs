//! Depthwise convolution against a plain f64 reference.

mod reference;

use mm_kernels::conv::{Conv2dShape, depthwise_conv2d_forward, depthwise_conv2d_input_gradient, depthwise_conv2d_weight_gradient};
use mm_kernels::simd::{Level, with_level};
use proptest::prelude::*;
use reference::{bits, on_threads, products, random};

fn run(s: Conv2dShape, taps: usize) -> [Vec<f32>; 3] {
    let (input, weight, bias) = (random(1, s.input_length()), random(2, s.in_channels * taps), random(3, s.in_channels));
    let gradient = random(4, s.output_length());
    let mut found = [vec![f32::NAN; gradient.len()], vec![f32::NAN; input.len()], vec![f32::NAN; weight.len()]];
    depthwise_conv2d_forward(s, &input, &weight, Some(&bias), &mut found[0]).unwrap();
    depthwise_conv2d_input_gradient(s, &gradient, &weight, &mut found[1]).unwrap();
    depthwise_conv2d_weight_gradient(s, &input, &gradient, &mut found[2]).unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn depthwise_is_right(
        batch in 1usize..34, channels in 1usize..9, kernel in (1usize..4, 1usize..4), stride in (1usize..3, 1usize..3),
        padding in (0usize..3, 0usize..3), dilation in (1usize..3, 1usize..3), extra in (0usize..20, 0usize..20), level in 0usize..3,
    ) {
        let level = [Level::Portable, Level::Avx2, Level::Avx512][level];
        let size = |k: usize, d: usize, p: usize, e: usize| ((k - 1) * d + 1 + e).saturating_sub(2 * p).max(1);
        let s = Conv2dShape {
            batch, in_channels: channels, out_channels: channels,
            height: size(kernel.0, dilation.0, padding.0, extra.0), width: size(kernel.1, dilation.1, padding.1, extra.1),
            kernel, stride, padding, dilation,
        };
        let taps = kernel.0 * kernel.1;
        let found = with_level(level, || run(s, taps));
        let (input, weight, bias) = (random(1, s.input_length()), random(2, channels * taps), random(3, channels));
        let gradient = random(4, s.output_length());
        let plane = s.out_height() * s.out_width();
        let mut y: Vec<f64> = (0..s.output_length()).map(|i| bias[i / plane % channels].into()).collect();
        let (mut dx, mut dw) = (vec![0.0; input.len()], vec![0.0; weight.len()]);
        // Sums may cancel, and rounding is that of what is summed: errors are relative to the sum of the terms' sizes.
        let mut sizes = [y.iter().map(|y| y.abs()).collect(), dx.clone(), dw.clone()];
        products(&s, channels, |i, w, o| {
            let (x, k, g) = (f64::from(input[i]), f64::from(weight[w]), f64::from(gradient[o]));
            for (sum, size, term) in [(&mut y[o], 0, x * k), (&mut dx[i], 1, g * k), (&mut dw[w], 2, g * x)] {
                *sum += term;
                sizes[size][[o, i, w][size]] += f64::abs(term);
            }
        });
        for ((found, expected), sizes) in found.iter().zip([y, dx, dw]).zip(sizes) {
            let worst = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).abs()).fold(0.0, f64::max);
            prop_assert!(found.iter().all(|f| f.is_finite()) && worst < 1e-6 * sizes.into_iter().fold(1e-3, f64::max));
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let s = Conv2dShape { padding: (1, 1), ..Conv2dShape::new(4, 32, (28, 28), 32, (3, 3)).unwrap() };
    let [one, two] = [1, 2].map(|threads| on_threads(threads, || run(s, 9).map(|x| bits(&x))));
    assert!(one == two);
}

#[test]
fn channels_must_stay() {
    let s = Conv2dShape::new(1, 2, (4, 4), 4, (3, 3)).unwrap();
    assert!(depthwise_conv2d_forward(s, &[0.0; 32], &[0.0; 18], None, &mut [0.0; 16]).is_err());
}
