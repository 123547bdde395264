//! Pooling against plain f64 loops.

mod reference;

use mm_kernels::avg_pool::{adaptive_avg_pool2d_backward, adaptive_avg_pool2d_forward, avg_pool2d_backward, avg_pool2d_forward};
use mm_kernels::max_pool::{max_pool2d_backward, max_pool2d_forward};
use mm_kernels::simd::{Level, with_level};
use mm_kernels::{Error, Pool2dShape};
use proptest::prelude::*;
use reference::{bits, error, on_threads, random};

prop_compose! {
    fn any_shape()(
        batch in 1usize..34, channels in 1usize..4, size in (1usize..14, 1usize..14),
        kernel in (1usize..5, 1usize..5), stride in (1usize..4, 1usize..4), padding in (0usize..3, 0usize..3),
    ) -> Pool2dShape {
        let padding = (padding.0.min(kernel.0 / 2), padding.1.min(kernel.1 / 2));
        Pool2dShape { batch, channels, height: size.0.max(kernel.0), width: size.1.max(kernel.1), kernel, stride, padding }
    }
}

/// For every output, the indices of the inputs of its window (without padding).
fn windows(s: &Pool2dShape) -> Vec<Vec<usize>> {
    let mut windows = Vec::new();
    for plane in 0..s.batch * s.channels {
        for y in 0..s.out_height() {
            for x in 0..s.out_width() {
                let mut window = Vec::new();
                for iy in y * s.stride.0..y * s.stride.0 + s.kernel.0 {
                    for ix in x * s.stride.1..x * s.stride.1 + s.kernel.1 {
                        if iy >= s.padding.0 && ix >= s.padding.1 && iy - s.padding.0 < s.height && ix - s.padding.1 < s.width {
                            window.push((plane * s.height + iy - s.padding.0) * s.width + ix - s.padding.1);
                        }
                    }
                }
                windows.push(window);
            }
        }
    }
    windows
}

/// Forward and backward pass of an average with these windows and divisors.
fn averages(windows: &[Vec<usize>], divisor: impl Fn(usize) -> f64, input: &[f32], gradient: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let mut dx = vec![0.0; input.len()];
    let output = windows.iter().zip(gradient).map(|(w, g)| {
        w.iter().for_each(|&i| dx[i] += f64::from(*g) / divisor(w.len()));
        w.iter().map(|&i| f64::from(input[i])).sum::<f64>() / divisor(w.len())
    });
    (output.collect(), dx)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn max_pool_is_exact(shape in any_shape(), coarse: bool, level in 0usize..3) {
        let level = [Level::Portable, Level::Avx2, Level::Avx512][level];
        let mut input = random(1, shape.input_length());
        if coarse {
            // Many equals, some NaN and some windows of -inf.
            input.iter_mut().for_each(|x| *x = (*x * 2.0).round());
            for i in (0..input.len()).step_by(11) { input[i] = f32::NAN; }
            for i in 0..input.len() / 3 { input[i] = f32::NEG_INFINITY; }
        }
        let gradient = random(2, shape.output_length());
        let plane = shape.height * shape.width;
        let mut expected = (vec![], vec![], vec![0.0f32; input.len()]);
        for (window, g) in windows(&shape).iter().zip(&gradient) {
            let mut best = window[0];
            for &i in window {
                if input[i] > input[best] || (input[i].is_nan()) {
                    best = i;
                }
            }
            expected.0.push(input[best]);
            expected.1.push((best % plane) as u32);
            expected.2[best] += g;
        }
        let mut output = vec![0.0; shape.output_length()];
        let mut indices = vec![0; shape.output_length()];
        let mut dx = vec![f32::NAN; input.len()];
        with_level(level, || {
            max_pool2d_forward(shape, &input, &mut output, &mut indices).unwrap();
            max_pool2d_backward(shape, &indices, &gradient, &mut dx).unwrap();
        });
        prop_assert_eq!(bits(&output), bits(&expected.0));
        prop_assert_eq!(indices, expected.1);
        prop_assert_eq!(dx, expected.2);
    }

    #[test]
    fn avg_pool_is_right(shape in any_shape(), include: bool, level in 0usize..3) {
        let level = [Level::Portable, Level::Avx2, Level::Avx512][level];
        let (input, gradient) = (random(1, shape.input_length()), random(2, shape.output_length()));
        let area = shape.kernel.0 * shape.kernel.1;
        let divisor = |inside| if include { area as f64 } else { inside as f64 };
        let (expected, expected_dx) = averages(&windows(&shape), divisor, &input, &gradient);
        let (mut output, mut dx) = (vec![f32::NAN; gradient.len()], vec![f32::NAN; input.len()]);
        with_level(level, || {
            avg_pool2d_forward(shape, include, &input, &mut output).unwrap();
            avg_pool2d_backward(shape, include, &gradient, &mut dx).unwrap();
        });
        prop_assert!(error(&output, &expected) < 1e-6);
        prop_assert!(error(&dx, &expected_dx) < 1e-6);
    }

    #[test]
    fn adaptive_avg_pool_is_right(planes in 1usize..40, size in (1usize..20, 1usize..20), out in (1usize..9, 1usize..9)) {
        let mut windows = Vec::new();
        for plane in 0..planes {
            for y in 0..out.0 {
                for x in 0..out.1 {
                    let rows = y * size.0 / out.0..((y + 1) * size.0).div_ceil(out.0);
                    let columns = x * size.1 / out.1..((x + 1) * size.1).div_ceil(out.1);
                    windows.push(rows.flat_map(|r| columns.clone().map(move |c| (plane * size.0 + r) * size.1 + c)).collect());
                }
            }
        }
        let (input, gradient) = (random(1, planes * size.0 * size.1), random(2, planes * out.0 * out.1));
        let (expected, expected_dx) = averages(&windows, |n| n as f64, &input, &gradient);
        let (mut output, mut dx) = (vec![f32::NAN; gradient.len()], vec![f32::NAN; input.len()]);
        adaptive_avg_pool2d_forward(planes, size, out, &input, &mut output).unwrap();
        adaptive_avg_pool2d_backward(planes, size, out, &gradient, &mut dx).unwrap();
        prop_assert!(error(&output, &expected) < 1e-6);
        prop_assert!(error(&dx, &expected_dx) < 1e-6);
    }
}

/// torch.nn.functional.max_pool2d(torch.arange(16.).reshape(1, 1, 4, 4), 3, 2, 1, return_indices=True), and its
/// gradient for ones: candle 0.11 refuses this backward pass (huggingface/candle#1593, #1851).
#[test]
fn the_pool_of_a_resnet_stem_trains() {
    let shape = Pool2dShape { batch: 1, channels: 1, height: 4, width: 4, kernel: (3, 3), stride: (2, 2), padding: (1, 1) };
    let input: Vec<f32> = (0..16).map(|x| x as f32).collect();
    let (mut output, mut indices, mut dx) = ([0.0; 4], [0; 4], [0.0; 16]);
    max_pool2d_forward(shape, &input, &mut output, &mut indices).unwrap();
    assert_eq!((output, indices), ([5.0, 7.0, 13.0, 15.0], [5, 7, 13, 15]));
    max_pool2d_backward(shape, &indices, &[1.0; 4], &mut dx).unwrap();
    assert_eq!(dx.iter().sum::<f32>(), 4.0);
}

#[test]
fn threads_do_not_change_a_bit() {
    let shape = Pool2dShape { batch: 8, channels: 16, height: 56, width: 56, kernel: (3, 3), stride: (2, 2), padding: (1, 1) };
    let (input, gradient) = (random(1, shape.input_length()), random(2, shape.output_length()));
    let run = |threads| {
        on_threads(threads, || {
            let (mut output, mut dx, mut indices) = (gradient.clone(), input.clone(), vec![0; gradient.len()]);
            max_pool2d_forward(shape, &input, &mut output, &mut indices).unwrap();
            max_pool2d_backward(shape, &indices, &gradient, &mut dx).unwrap();
            let (mut mean, mut mean_dx) = (vec![0.0; 128], input.clone());
            adaptive_avg_pool2d_forward(128, (56, 56), (1, 1), &input, &mut mean).unwrap();
            avg_pool2d_backward(shape, true, &gradient, &mut mean_dx).unwrap();
            [output, dx, mean, mean_dx].map(|x| bits(&x))
        })
    };
    assert!(run(1) == run(2));
}

#[test]
fn impossible_pools_are_refused() {
    let shape = Pool2dShape { batch: 1, channels: 1, height: 4, width: 4, kernel: (2, 2), stride: (2, 2), padding: (0, 0) };
    for bad in [Pool2dShape { padding: (2, 0), ..shape }, Pool2dShape { stride: (0, 1), ..shape }, Pool2dShape { kernel: (5, 2), ..shape }]
    {
        assert!(matches!(avg_pool2d_forward(bad, true, &[0.0; 16], &mut [0.0; 4]), Err(Error::Shape(_))));
    }
    let found = max_pool2d_backward(shape, &[0, 99, 0, 0], &[0.0; 4], &mut [0.0; 16]);
    assert!(matches!(found, Err(Error::Length { expected: 16, found: 100, .. })));
}
