//! Convolutions against a plain f64 reference, between instruction sets and between thread counts.

mod reference;

use mm_kernels::Error;
use mm_kernels::conv::{
    Conv2dShape, Epilogue, PreparedWeights, conv2d_bias_gradient, conv2d_forward, conv2d_forward_prepared, conv2d_input_gradient,
    conv2d_weight_gradient, with_exact_sums,
};
use mm_kernels::simd::{Level, with_level};
use proptest::prelude::*;
use reference::{bits, error, error_of_terms, on_threads, products, random};

struct Case {
    shape: Conv2dShape,
    input: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    gradient: Vec<f32>,
}

#[derive(Debug, PartialEq)]
struct Results<T> {
    output: Vec<T>,
    input_gradient: Vec<T>,
    weight_gradient: Vec<T>,
    bias_gradient: Vec<T>,
}

impl Case {
    fn new(shape: Conv2dShape) -> Self {
        Self {
            shape: shape.checked().unwrap(),
            input: random(1, shape.input_length()),
            weight: random(2, shape.weight_length()),
            bias: random(3, shape.out_channels),
            gradient: random(4, shape.output_length()),
        }
    }

    fn run(&self) -> Results<f32> {
        // NaN shows what a kernel forgot to write.
        let nan = |n| vec![f32::NAN; n];
        let s = self.shape;
        let mut r = Results {
            output: nan(s.output_length()),
            input_gradient: nan(s.input_length()),
            weight_gradient: nan(s.weight_length()),
            bias_gradient: nan(s.out_channels),
        };
        conv2d_forward(s, &self.input, &self.weight, Some(&self.bias), &mut r.output).unwrap();
        conv2d_input_gradient(s, &self.gradient, &self.weight, &mut r.input_gradient).unwrap();
        conv2d_weight_gradient(s, &self.input, &self.gradient, &mut r.weight_gradient).unwrap();
        conv2d_bias_gradient(s, &self.gradient, &mut r.bias_gradient).unwrap();
        r
    }

    fn reference(&self) -> Results<f64> {
        self.sums(|term| term)
    }

    /// How large the largest sum of each result is, had its terms random signs.
    fn sizes(&self) -> [f64; 4] {
        let squares = self.sums(|term| term * term);
        [squares.output, squares.input_gradient, squares.weight_gradient, squares.bias_gradient]
            .map(|sums| sums.into_iter().fold(0.0, f64::max).sqrt())
    }

    /// Every result with `of` each of its terms.
    fn sums(&self, of: impl Fn(f64) -> f64) -> Results<f64> {
        let s = &self.shape;
        let plane = s.out_height() * s.out_width();
        let wide = |x: &[f32], i: usize| f64::from(x[i]);
        let mut r = Results {
            output: (0..s.output_length()).map(|i| of(wide(&self.bias, i / plane % s.out_channels))).collect(),
            input_gradient: vec![0.0; s.input_length()],
            weight_gradient: vec![0.0; s.weight_length()],
            bias_gradient: vec![0.0; s.out_channels],
        };
        products(s, 1, |i, w, o| {
            r.output[o] += of(wide(&self.input, i) * wide(&self.weight, w));
            r.input_gradient[i] += of(wide(&self.gradient, o) * wide(&self.weight, w));
            r.weight_gradient[w] += of(wide(&self.gradient, o) * wide(&self.input, i));
        });
        for o in 0..s.output_length() {
            r.bias_gradient[o / plane % s.out_channels] += of(wide(&self.gradient, o));
        }
        r
    }

    /// Relative errors of output, input gradient, weight gradient and bias gradient: the worst of all instruction sets.
    fn errors(&self) -> [f64; 4] {
        let (expected, sizes) = (self.reference(), self.sizes());
        let mut worst = [0.0f64; 4];
        for level in [Level::Portable, Level::Avx2, Level::Avx512] {
            let found = with_level(level, || self.run());
            let pairs = [
                (&found.output, &expected.output),
                (&found.input_gradient, &expected.input_gradient),
                (&found.weight_gradient, &expected.weight_gradient),
                (&found.bias_gradient, &expected.bias_gradient),
            ];
            for ((worst, (found, expected)), size) in worst.iter_mut().zip(pairs).zip(sizes) {
                *worst = worst.max(error_of_terms(found, expected, size));
            }
        }
        worst
    }

    /// Relative error of the output with sums in f64.
    fn exact_error(&self) -> f64 {
        error(&with_exact_sums(|| self.run()).output, &self.reference().output)
    }

    fn error(&self) -> f64 {
        self.errors().into_iter().fold(0.0, f64::max)
    }
}

fn shape(batch: usize, channels: (usize, usize), size: (usize, usize), kernel: (usize, usize)) -> Conv2dShape {
    Conv2dShape::new(batch, channels.0, size, channels.1, kernel).unwrap()
}

/// A 3x3 convolution with padding 1.
fn three_by_three(batch: usize, channels: (usize, usize), size: (usize, usize)) -> Conv2dShape {
    Conv2dShape { padding: (1, 1), ..shape(batch, channels, (size.0 + 2, size.1 + 2), (3, 3)) }.resized(size)
}

/// A convolution along one axis, padded or not: 1x3, 1x5, 3x1 or 5x1.
fn line(batch: usize, channels: (usize, usize), size: (usize, usize), kernel: (usize, usize), padding: usize) -> Conv2dShape {
    let along = |kernel: usize| if kernel > 1 { padding } else { 0 };
    let padding = (along(kernel.0), along(kernel.1));
    let size = (size.0.max(kernel.0), size.1.max(kernel.1));
    Conv2dShape { padding, ..shape(batch, channels, size, kernel) }
}

trait Resized {
    fn resized(self, size: (usize, usize)) -> Self;
}

impl Resized for Conv2dShape {
    fn resized(self, (height, width): (usize, usize)) -> Self {
        Self { height, width, ..self }
    }
}

prop_compose! {
    fn any_shape()(
        batch in 1usize..4,
        channels in (1usize..40, 1usize..70),
        kernel in (1usize..5, 1usize..5),
        stride in (1usize..4, 1usize..4),
        padding in (0usize..4, 0usize..4),
        dilation in (1usize..4, 1usize..4),
        extra in (0usize..12, 0usize..12),
    ) -> Conv2dShape {
        let size = |kernel: usize, dilation: usize, padding: usize, extra: usize| {
            ((kernel - 1) * dilation + 1 + extra).saturating_sub(2 * padding).max(1)
        };
        Conv2dShape {
            batch,
            in_channels: channels.0,
            out_channels: channels.1,
            height: size(kernel.0, dilation.0, padding.0, extra.0),
            width: size(kernel.1, dilation.1, padding.1, extra.1),
            kernel, stride, padding, dilation,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_convolution_is_right(shape in any_shape()) {
        let case = Case::new(shape);
        prop_assert!(case.error() < 2e-6);
        prop_assert!(case.exact_error() < 6e-8, "half a unit in the last place of f32");
    }

    #[test]
    fn three_by_three_is_right(batch in 1usize..34, channels in (1usize..70, 1usize..70), size in (1usize..10, 1usize..10)) {
        let batch = if channels.0 * channels.1 > 400 { batch % 4 + 1 } else { batch };
        prop_assert!(Case::new(three_by_three(batch, channels, size)).error() < 1e-5);
    }

    #[test]
    fn lines_are_right(
        batch in 1usize..20,
        channels in (1usize..70, 1usize..70),
        size in (1usize..30, 1usize..30),
        kernel in prop::sample::select(vec![(1, 3), (1, 5), (3, 1), (5, 1)]),
        padding in 0usize..6,
    ) {
        let batch = if channels.0 * channels.1 > 400 { batch % 4 + 1 } else { batch };
        prop_assert!(Case::new(line(batch, channels, size, kernel, padding)).error() < 5e-6);
    }
}

/// Errors relative to the largest value, as the documentation quotes them.
#[test]
fn errors_of_the_fast_paths() {
    let strided = |s: Conv2dShape, n| Conv2dShape { stride: (n, n), ..s };
    let cases = [
        ("3x3", three_by_three(2, (64, 64), (28, 28)), 1e-5),
        ("3x3 small image", three_by_three(9, (96, 72), (7, 7)), 1e-5),
        ("3x3 wide", three_by_three(1, (40, 33), (5, 61)), 1e-5),
        ("3x3 few tiles", three_by_three(1, (96, 72), (9, 11)), 3e-6),
        ("3x3 few tiles, no border", shape(2, (33, 40), (9, 10), (3, 3)), 3e-6),
        ("3x3 in chunks", three_by_three(9, (256, 16), (20, 20)), 5e-6),
        ("3x3 in parts", three_by_three(3, (24, 40), (61, 50)), 5e-6),
        ("3x3/2 in parts", strided(three_by_three(9, (24, 40), (20, 21)), 2), 3e-6),
        ("3x3/2 in chunks", strided(three_by_three(9, (256, 16), (20, 20)), 2), 3e-6),
        ("3x3/2", strided(three_by_three(2, (32, 48), (15, 16)), 2), 1e-6),
        ("7x7/2", Conv2dShape { padding: (3, 3), ..strided(shape(2, (3, 64), (31, 32), (7, 7)), 2) }, 1e-6),
        ("7x7/2 of one channel", Conv2dShape { padding: (3, 3), ..strided(shape(2, (1, 64), (32, 31), (7, 7)), 2) }, 2e-6),
        ("1x1", shape(3, (100, 36), (9, 7), (1, 1)), 1e-6),
        ("1x1/2", strided(shape(3, (36, 100), (9, 8), (1, 1)), 2), 1e-6),
        ("1x3", line(2, (64, 64), (28, 28), (1, 3), 1), 2e-6),
        ("3x1", line(2, (256, 96), (15, 20), (3, 1), 1), 2e-6),
        ("1x5", line(9, (64, 48), (1, 100), (1, 5), 2), 3e-6),
        ("5x1", line(1, (32, 64), (61, 40), (5, 1), 2), 3e-6),
        ("3x1 dilated", Conv2dShape { padding: (4, 0), dilation: (4, 1), ..shape(2, (20, 24), (12, 9), (3, 1)) }, 1e-6),
        ("1x3 dilated", Conv2dShape { padding: (0, 2), dilation: (1, 2), ..shape(2, (20, 24), (12, 9), (1, 3)) }, 1e-6),
    ];
    for (name, shape, bound) in cases {
        let errors = Case::new(shape).errors();
        println!("{name}: {}", errors.map(|e| format!("{e:.1e}")).join(", "));
        assert!(errors.iter().all(|&error| error < bound), "{name}: {errors:?}");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let shapes = [
        three_by_three(5, (64, 64), (17, 14)),
        three_by_three(1, (160, 160), (7, 7)),
        three_by_three(2, (160, 160), (7, 7)),
        three_by_three(4, (32, 48), (40, 44)),
        Conv2dShape { stride: (2, 2), ..three_by_three(5, (8, 20), (33, 28)) },
        Conv2dShape { stride: (2, 2), ..three_by_three(7, (48, 80), (28, 28)) },
        line(3, (64, 40), (30, 41), (1, 3), 1),
        line(2, (40, 64), (30, 41), (3, 1), 1),
        line(64, (32, 32), (1, 50), (1, 5), 2),
        shape(6, (128, 96), (14, 14), (1, 1)),
        Conv2dShape { stride: (2, 2), padding: (3, 3), ..shape(4, (3, 64), (64, 64), (7, 7)) },
    ];
    for shape in shapes {
        let case = Case::new(shape);
        let [one, two, three] = [1, 2, 3].map(|threads| {
            let r = on_threads(threads, || case.run());
            [r.output, r.input_gradient, r.weight_gradient, r.bias_gradient].map(|x| bits(&x))
        });
        assert!(one == two && one == three, "{shape:?}");
    }
}

#[test]
fn epilogue_adds_bias_and_residual_then_closes() {
    for shape in [
        three_by_three(9, (256, 16), (20, 20)),
        three_by_three(2, (24, 40), (9, 10)),
        shape(2, (24, 40), (9, 10), (1, 1)),
        shape(1, (3, 5), (2, 2), (1, 1)),
    ] {
        let case = Case::new(shape);
        let residual = random(5, shape.output_length());
        let plain = case.reference().output;
        let expected: Vec<f64> = plain.iter().zip(&residual).map(|(x, r)| (x + f64::from(*r)).max(0.0)).collect();
        let weights = PreparedWeights::new(shape, &case.weight).unwrap();
        let epilogue = Epilogue { bias: Some(&case.bias), residual: Some(&residual), relu: true };
        let mut output = vec![f32::NAN; shape.output_length()];
        conv2d_forward_prepared(shape, &case.input, &weights, epilogue, &mut output).unwrap();
        assert!(error(&output, &expected) < 5e-6);
    }
}

#[test]
fn prepared_weights_fit_other_batches_but_not_other_kernels() {
    let shape = three_by_three(1, (16, 16), (8, 8));
    let weights = PreparedWeights::new(shape, &random(1, shape.weight_length())).unwrap();
    let run = |shape: Conv2dShape| {
        let (input, mut output) = (random(2, shape.input_length()), vec![0.0; shape.output_length()]);
        conv2d_forward_prepared(shape, &input, &weights, Epilogue::default(), &mut output)
    };
    run(three_by_three(17, (16, 16), (21, 6))).unwrap();
    // A server answers one sample now and many then: its weights are arranged once.
    for (kernel, size, channels) in [((1, 3), (8, 10), 64), ((3, 1), (30, 40), 128), ((3, 1), (8, 10), 512), ((1, 5), (1, 13), 128)] {
        let of_batch = |batch| line(batch, (channels, channels), size, kernel, 1);
        let weights = PreparedWeights::new(of_batch(1), &random(1, of_batch(1).weight_length())).unwrap();
        assert!([2, 8, 64].iter().all(|&batch| weights.suits(&of_batch(batch))), "{kernel:?}");
    }
    assert!(matches!(run(Conv2dShape { stride: (2, 2), ..shape }), Err(Error::Shape(_))));
}

#[test]
fn wrong_lengths_and_shapes_are_refused() {
    let shape = shape(2, (3, 4), (5, 6), (3, 3));
    let weight = vec![0.0; shape.weight_length()];
    let mut output = vec![0.0; shape.output_length()];
    let found = conv2d_forward(shape, &[0.0; 7], &weight, None, &mut output);
    assert_eq!(found, Err(Error::Length { what: "input", expected: 180, found: 7 }));
    let input = vec![0.0; shape.input_length()];
    let found = conv2d_forward(shape, &input, &weight, Some(&[0.0; 3]), &mut output);
    assert_eq!(found, Err(Error::Length { what: "bias", expected: 4, found: 3 }));
    for bad in [
        Conv2dShape { kernel: (6, 3), ..shape },
        Conv2dShape { stride: (0, 1), ..shape },
        Conv2dShape { dilation: (usize::MAX, 1), ..shape },
        Conv2dShape { batch: usize::MAX, ..shape },
    ] {
        assert!(matches!(bad.checked(), Err(Error::Shape(_))), "{bad:?}");
    }
}

#[test]
fn an_empty_batch_is_no_work() {
    for one in [three_by_three(1, (16, 16), (8, 8)), line(1, (16, 16), (8, 40), (1, 3), 1), line(1, (16, 16), (1, 9), (1, 5), 2)] {
        let found = Case::new(Conv2dShape { batch: 0, ..one }).run();
        assert!(found.output.is_empty() && found.weight_gradient.iter().all(|&w| w == 0.0));
    }
}

#[test]
fn nan_stays_nan_through_the_epilogue() {
    let shape = shape(1, (8, 16), (4, 4), (1, 1));
    let weights = PreparedWeights::new(shape, &random(1, 128)).unwrap();
    let mut output = vec![0.0; 256];
    let epilogue = Epilogue { relu: true, ..Epilogue::default() };
    conv2d_forward_prepared(shape, &[f32::NAN; 128], &weights, epilogue, &mut output).unwrap();
    assert!(output.iter().all(|x| x.is_nan()));
}
