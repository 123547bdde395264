//! Linear layers and batch normalisation of rows against plain f64 loops, at every level of instructions.

mod reference;

use mm_kernels::Error;
use mm_kernels::dense::{
    LinearShape, batch_norm_rows_backward, batch_norm_rows_forward, column_sums, linear_forward, linear_input_gradient,
    linear_weight_gradient, relu_gradient, scale_shift_rows,
};
use mm_kernels::simd::{Level, with_level};
use proptest::prelude::*;
use reference::{bits, random};

const LEVELS: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];
const EPS: f32 = 1e-5;

/// A sum, and the sum of its terms' sizes: what its rounding is relative to.
#[derive(Clone, Copy, Default)]
struct Sum {
    value: f64,
    terms: f64,
}

impl Sum {
    fn of(terms: impl IntoIterator<Item = f64>) -> Self {
        terms.into_iter().fold(Self::default(), |s, x| Self { value: s.value + x, terms: s.terms + x.abs() })
    }
}

/// Largest error relative to the terms of the largest sum; infinite where a number is none.
fn error(found: &[f32], expected: &[Sum]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1e-3, |a: f64, s| a.max(s.terms));
    let errors = found.iter().zip(expected).map(|(f, s)| (f64::from(*f) - s.value).abs());
    errors.map(|e| if e.is_nan() { f64::INFINITY } else { e }).fold(0.0, f64::max) / scale
}

/// `[rows, columns]` sums, each over `0..inner`.
fn sums(rows: usize, columns: usize, inner: usize, term: impl Fn(usize, usize, usize) -> f64) -> Vec<Sum> {
    let at = |i: usize| Sum::of((0..inner).map(|k| term(i / columns, i % columns, k)));
    (0..rows * columns).map(at).collect()
}

struct Rows {
    features: usize,
    input: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    gradient: Vec<f32>,
    relu: bool,
}

/// Everything that the kernels of batch normalisation compute.
struct Found {
    mean: Vec<f32>,
    variance: Vec<f32>,
    output: Vec<f32>,
    input: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Rows {
    fn new(rows: usize, features: usize, relu: bool) -> Self {
        let n = rows * features;
        Self { features, input: random(1, n), weight: random(2, features), bias: random(3, features), gradient: random(4, n), relu }
    }

    fn run(&self) -> Found {
        let mut output = vec![f32::NAN; self.input.len()];
        let statistics = batch_norm_rows_forward(&self.input, &self.weight, &self.bias, EPS, self.relu, &mut output).unwrap();
        let gradients = batch_norm_rows_backward(&self.input, &self.weight, &statistics, self.relu, &output, &self.gradient).unwrap();
        Found {
            mean: statistics.mean,
            variance: statistics.variance,
            output,
            input: gradients.input,
            weight: gradients.weight,
            bias: gradients.bias,
        }
    }

    /// Errors of mean, variance, output, and the gradients of input, weight and bias.
    fn errors(&self, found: &Found) -> [f64; 6] {
        let (f, rows) = (self.features, self.input.len() / self.features);
        let n = rows as f64;
        let at = |x: &[f32], i: usize| f64::from(x[i]);
        let mean = sums(1, f, rows, |_, c, r| at(&self.input, r * f + c) / n);
        let variance = sums(1, f, rows, |_, c, r| (at(&self.input, r * f + c) - mean[c].value).powi(2) / n);
        let std: Vec<f64> = variance.iter().map(|v| (v.value + f64::from(EPS)).sqrt()).collect();
        let scale = |c: usize| at(&self.weight, c) / std[c];
        let output = sums(rows, f, 3, |r, c, k| [at(&self.input, r * f + c) * scale(c), -mean[c].value * scale(c), at(&self.bias, c)][k]);
        let closed = |s: &Sum| Sum { value: if self.relu { s.value.max(0.0) } else { s.value }, ..*s };
        let output: Vec<Sum> = output.iter().map(closed).collect();
        // The gate of the kernel's own output, so that a value at zero cannot fall on either side.
        let g = |r: usize, c: usize| if self.relu && found.output[r * f + c] <= 0.0 { 0.0 } else { at(&self.gradient, r * f + c) };
        let normal = |r: usize, c: usize| (at(&self.input, r * f + c) - mean[c].value) / std[c];
        // The deviation is itself a difference of two rounded numbers.
        let weight = sums(1, f, 2 * rows, |_, c, k| {
            let (r, parts) = (k / 2, [at(&self.input, k / 2 * f + c), -mean[c].value]);
            g(r, c) * parts[k % 2] / std[c]
        });
        let bias = sums(1, f, rows, |_, c, r| g(r, c));
        let input = sums(rows, f, 3, |r, c, k| scale(c) * [g(r, c), -bias[c].value / n, -normal(r, c) * weight[c].value / n][k]);
        let pairs = [
            (&found.mean, &mean),
            (&found.variance, &variance),
            (&found.output, &output),
            (&found.input, &input),
            (&found.weight, &weight),
            (&found.bias, &bias),
        ];
        pairs.map(|(found, expected)| error(found, expected))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    #[test]
    fn linear_is_right(
        rows in prop_oneof![4 => 1usize..34, 1 => (1usize..6).prop_map(|panels| 32 * panels)],
        inputs in 1usize..140,
        outputs in 1usize..100,
        biased: bool,
        relu: bool,
    ) {
        let shape = LinearShape { rows, inputs, outputs };
        let (x, w, b, g) = (random(1, rows * inputs), random(2, outputs * inputs), random(3, outputs), random(4, rows * outputs));
        let product = |a: f32, b: f32| f64::from(a) * f64::from(b);
        let forward = sums(rows, outputs, inputs + 1, |r, o, k| match k {
            0 => if biased { f64::from(b[o]) } else { 0.0 },
            k => product(x[r * inputs + k - 1], w[o * inputs + k - 1]),
        });
        let forward: Vec<Sum> = forward.into_iter().map(|s| Sum { value: if relu { s.value.max(0.0) } else { s.value }, ..s }).collect();
        let dx = sums(rows, inputs, outputs, |r, i, o| product(g[r * outputs + o], w[o * inputs + i]));
        let dw = sums(outputs, inputs, rows, |o, i, r| product(g[r * outputs + o], x[r * inputs + i]));
        let db = sums(1, outputs, rows, |_, o, r| f64::from(g[r * outputs + o]));
        for level in LEVELS {
            let nan = |n| vec![f32::NAN; n];
            let (mut y, mut found_dx, mut found_dw, mut found_db) = (nan(g.len()), nan(x.len()), nan(w.len()), nan(outputs));
            with_level(level, || {
                linear_forward(shape, &x, &w, biased.then_some(&b[..]), relu, &mut y).unwrap();
                linear_input_gradient(shape, &g, &w, &mut found_dx).unwrap();
                linear_weight_gradient(shape, &g, &x, &mut found_dw).unwrap();
                column_sums(&g, outputs, &mut found_db).unwrap();
            });
            let errors = [error(&y, &forward), error(&found_dx, &dx), error(&found_dw, &dw), error(&found_db, &db)];
            prop_assert!(errors.iter().all(|&e| e < 1e-6), "{level:?}: {errors:?}");
        }
    }

    #[test]
    fn batch_norm_of_rows_is_right(rows in 1usize..200, features in 1usize..70, relu: bool) {
        let case = Rows::new(rows, features, relu);
        let mut first = None;
        for level in LEVELS {
            let found = with_level(level, || case.run());
            let errors = case.errors(&found);
            // Of few rows the input's gradient is a difference of nearly equal terms.
            let limits = [1e-6, 1e-6, 1e-6, 2e-5, 1e-6, 1e-6];
            prop_assert!(errors.iter().zip(limits).all(|(&e, limit)| e < limit), "{level:?}: {errors:?}");
            let found = [found.mean, found.variance, found.output, found.input, found.weight, found.bias].map(|x| bits(&x));
            prop_assert!(*first.get_or_insert_with(|| found.clone()) == found, "{level:?} has other bits");
        }
    }

    #[test]
    fn scale_and_shift_are_right(rows in 0usize..34, features in 1usize..70, relu: bool) {
        let case = Rows::new(rows, features, relu);
        for level in LEVELS {
            let mut output = vec![f32::NAN; rows * features];
            with_level(level, || scale_shift_rows(&case.input, &case.weight, &case.bias, relu, &mut output)).unwrap();
            for (i, y) in output.iter().enumerate() {
                let expected = case.input[i] * case.weight[i % features] + case.bias[i % features];
                prop_assert_eq!(*y, if relu { expected.max(0.0) } else { expected });
            }
        }
    }
}

#[test]
fn a_relu_lets_gradients_through_where_its_output_is_not_zero() {
    for level in LEVELS {
        let mut gradient = [f32::NAN; 4];
        with_level(level, || relu_gradient(&[0.0, 2.0, 0.0, 1e-20], &[3.0, 4.0, -5.0, -6.0], &mut gradient)).unwrap();
        assert_eq!(gradient, [0.0, 4.0, 0.0, -6.0]);
    }
    assert!(relu_gradient(&[0.0; 3], &[0.0; 2], &mut [0.0; 3]).is_err());
    assert!(relu_gradient(&[0.0; 3], &[0.0; 3], &mut [0.0; 2]).is_err());
}

#[test]
fn nan_stays_nan() {
    let mut output = [0.0; 2];
    scale_shift_rows(&[f32::NAN, -1.0], &[1.0; 2], &[0.0; 2], true, &mut output).unwrap();
    assert!(output[0].is_nan() && output[1] == 0.0);
}

#[test]
fn wrong_lengths_are_refused() {
    let shape = LinearShape { rows: 2, inputs: 3, outputs: 4 };
    let refused = |found: Result<(), Error>| assert!(matches!(found, Err(Error::Length { .. })), "{found:?}");
    refused(linear_forward(shape, &[0.0; 5], &[0.0; 12], None, false, &mut [0.0; 8]));
    refused(linear_forward(shape, &[0.0; 6], &[0.0; 11], None, false, &mut [0.0; 8]));
    refused(linear_forward(shape, &[0.0; 6], &[0.0; 12], Some(&[0.0; 3]), false, &mut [0.0; 8]));
    refused(linear_forward(shape, &[0.0; 6], &[0.0; 12], None, false, &mut [0.0; 9]));
    refused(linear_input_gradient(shape, &[0.0; 7], &[0.0; 12], &mut [0.0; 6]));
    refused(linear_weight_gradient(shape, &[0.0; 8], &[0.0; 6], &mut [0.0; 13]));
    refused(column_sums(&[0.0; 7], 4, &mut [0.0; 4]));
    refused(scale_shift_rows(&[0.0; 6], &[0.0; 3], &[0.0; 2], false, &mut [0.0; 6]));
    refused(batch_norm_rows_forward(&[0.0; 7], &[0.0; 3], &[0.0; 3], EPS, false, &mut [0.0; 7]).map(drop));
}
