//! Resizing against plain f64 loops.

mod reference;

use mm_kernels::resize::{Interpolation, ResizeShape, resize_backward, resize_forward};
use mm_kernels::simd::{Level, with_level};
use proptest::prelude::*;
use reference::{bits, error, on_threads, random};

/// (input coordinate, share) of an output coordinate, by PyTorch's rules in f64.
fn shares(i: usize, size: usize, out: usize, mode: Interpolation) -> [(usize, f64); 2] {
    let at = match mode {
        Interpolation::Nearest => (i * size / out) as f64,
        Interpolation::Bilinear { align_corners: true } if out == 1 => 0.0,
        Interpolation::Bilinear { align_corners: true } => i as f64 * ((size - 1) as f64 / (out - 1) as f64),
        Interpolation::Bilinear { align_corners: false } => ((i as f64 + 0.5) * (size as f64 / out as f64) - 0.5).max(0.0),
    };
    let low = (at.floor() as usize).min(size - 1);
    [(low, 1.0 - (at - low as f64)), ((low + 1).min(size - 1), at - low as f64)]
}

fn reference(s: ResizeShape, mode: Interpolation, input: &[f32], gradient: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let (mut output, mut dx) = (vec![0.0; s.output_length()], vec![0.0; s.input_length()]);
    for plane in 0..s.planes {
        for y in 0..s.out.0 {
            for x in 0..s.out.1 {
                let o = (plane * s.out.0 + y) * s.out.1 + x;
                for (iy, wy) in shares(y, s.size.0, s.out.0, mode) {
                    for (ix, wx) in shares(x, s.size.1, s.out.1, mode) {
                        let i = (plane * s.size.0 + iy) * s.size.1 + ix;
                        output[o] += wy * wx * f64::from(input[i]);
                        dx[i] += wy * wx * f64::from(gradient[o]);
                    }
                }
            }
        }
    }
    (output, dx)
}

const MODES: [Interpolation; 3] =
    [Interpolation::Nearest, Interpolation::Bilinear { align_corners: false }, Interpolation::Bilinear { align_corners: true }];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn resize_is_right(
        planes in 1usize..34, size in (1usize..20, 1usize..20), out in (1usize..40, 1usize..40),
        mode in 0usize..3, level in 0usize..3,
    ) {
        let (shape, mode) = (ResizeShape { planes, size, out }, MODES[mode]);
        let level = [Level::Portable, Level::Avx2, Level::Avx512][level];
        let (input, gradient) = (random(1, shape.input_length()), random(2, shape.output_length()));
        let (expected, expected_dx) = reference(shape, mode, &input, &gradient);
        let (mut output, mut dx) = (vec![f32::NAN; gradient.len()], vec![f32::NAN; input.len()]);
        with_level(level, || {
            resize_forward(shape, mode, &input, &mut output).unwrap();
            resize_backward(shape, mode, &gradient, &mut dx).unwrap();
        });
        prop_assert!(error(&output, &expected) < 1e-6);
        prop_assert!(error(&dx, &expected_dx) < 2e-6);
    }
}

/// torch.nn.functional.interpolate(torch.tensor([[[[1., 2.], [3., 4.]]]]), (3, 3), mode="bilinear"), and with
/// align_corners=True.
#[test]
fn torch_agrees() {
    let shape = ResizeShape { planes: 1, size: (2, 2), out: (3, 3) };
    let mut output = [0.0; 9];
    resize_forward(shape, MODES[1], &[1.0, 2.0, 3.0, 4.0], &mut output).unwrap();
    assert_eq!(output, [1.0, 1.5, 2.0, 2.0, 2.5, 3.0, 3.0, 3.5, 4.0]);
    resize_forward(ResizeShape { out: (1, 3), ..shape }, MODES[2], &[1.0, 2.0, 3.0, 4.0], &mut output[..3]).unwrap();
    assert_eq!(output[..3], [1.0, 1.5, 2.0]);
}

/// candle 0.11's gradient of two such resizes in a row is wrong (huggingface/candle#3507).
#[test]
fn nearest_twice_has_the_right_gradient() {
    let (once, twice) = (ResizeShape { planes: 1, size: (2, 2), out: (4, 4) }, ResizeShape { planes: 1, size: (4, 4), out: (8, 8) });
    let (mut middle, mut dx) = ([0.0; 16], [0.0; 4]);
    resize_backward(twice, MODES[0], &[1.0; 64], &mut middle).unwrap();
    resize_backward(once, MODES[0], &middle, &mut dx).unwrap();
    assert_eq!((middle, dx), ([4.0; 16], [16.0; 4]));
}

#[test]
fn threads_do_not_change_a_bit() {
    let shape = ResizeShape { planes: 64, size: (30, 40), out: (60, 80) };
    let (input, gradient) = (random(1, shape.input_length()), random(2, shape.output_length()));
    let run = |threads| {
        on_threads(threads, || {
            let (mut output, mut dx) = (gradient.clone(), input.clone());
            resize_forward(shape, MODES[1], &input, &mut output).unwrap();
            resize_backward(shape, MODES[1], &gradient, &mut dx).unwrap();
            [output, dx].map(|x| bits(&x))
        })
    };
    assert!(run(1) == run(2));
}

#[test]
fn wrong_lengths_are_refused() {
    let shape = ResizeShape { planes: 1, size: (2, 2), out: (3, 3) };
    assert!(resize_forward(shape, MODES[0], &[0.0; 4], &mut [0.0; 8]).is_err());
    assert!(resize_forward(ResizeShape { out: (0, 3), ..shape }, MODES[0], &[0.0; 4], &mut []).is_err());
}
