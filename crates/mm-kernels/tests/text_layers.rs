//! Attention, layer normalisation and GELU against plain f64 loops and finite differences of them, at every level of instructions.

mod reference;

use mm_kernels::attention::{AttentionShape, attention_backward, attention_forward};
use mm_kernels::gelu::{gelu_backward, gelu_forward};
use mm_kernels::layer_norm::{layer_norm_backward, layer_norm_forward};
use mm_kernels::simd::{Level, with_level};
use proptest::prelude::*;
use reference::{bits, error, on_threads, random};

fn levels() -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(|level| *level <= Level::supported())
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

fn attention(shape: AttentionShape, [q, k, v]: [&[f64]; 3]) -> Vec<f64> {
    let stride = shape.heads * shape.width;
    let mut output = vec![0.0; q.len()];
    for pair in shape.starts.windows(2) {
        for at in (0..shape.heads).map(|head| head * shape.width) {
            for i in pair[0]..pair[1] {
                let dot = |j: usize| (0..shape.width).map(|c| q[i * stride + at + c] * k[j * stride + at + c]).sum::<f64>();
                let scores: Vec<f64> = (pair[0]..pair[1]).map(|j| (dot(j) / (shape.width as f64).sqrt()).exp()).collect();
                let sum: f64 = scores.iter().sum();
                for c in 0..shape.width {
                    let terms = (pair[0]..pair[1]).zip(&scores).map(|(j, score)| score / sum * v[j * stride + at + c]);
                    output[i * stride + at + c] = terms.sum();
                }
            }
        }
    }
    output
}

/// Central differences of `Σ f(x) u`.
fn differences(x: &[f64], u: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let value = |i: usize, step: f64| {
        let mut moved = x.to_vec();
        moved[i] += step;
        f(&moved).iter().zip(u).map(|(y, u)| y * u).sum::<f64>()
    };
    (0..x.len()).map(|i| (value(i, 1e-6) - value(i, -1e-6)) / 2e-6).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn attention_is_that_of_the_formula(lengths in prop::collection::vec(0usize..21, 1..4), heads in 1usize..4, width in 1usize..10, seed: u64) {
        let starts: Vec<usize> = (0..=lengths.len()).map(|n| lengths[..n].iter().sum()).collect();
        let shape = AttentionShape { starts: &starts, heads, width };
        let count = starts.last().unwrap() * heads * width;
        let inputs: [Vec<f32>; 3] = std::array::from_fn(|i| random(seed ^ i as u64, count).iter().map(|x| 3.0 * x).collect());
        let [q, k, v] = inputs.each_ref().map(Vec::as_slice);
        let u = random(seed ^ 9, count);
        let exact = inputs.each_ref().map(|x| wide(x));
        let at = |i: usize, x: &[f64]| {
            let mut all = exact.each_ref().map(Vec::as_slice);
            all[i] = x;
            attention(shape, all)
        };
        let expected = at(0, &exact[0]);
        let slopes: Vec<Vec<f64>> = if count < 400 { (0..3).map(|i| differences(&exact[i], &wide(&u), |x| at(i, x))).collect() } else { Vec::new() };
        for level in levels() {
            with_level(level, || {
                let mut output = vec![f32::NAN; count];
                attention_forward(shape, q, k, v, &mut output).unwrap();
                assert!(error(&output, &expected) < 4e-6, "{level:?}: {}", error(&output, &expected));
                let found = attention_backward(shape, q, k, v, &u).unwrap();
                for (found, expected) in [found.query, found.key, found.value].iter().zip(&slopes) {
                    assert!(error(found, expected) < 2e-5, "{level:?}: {}", error(found, expected));
                }
            });
        }
    }

    #[test]
    fn layer_norm_is_that_of_the_formula(rows in 0usize..5, features in 1usize..70, seed: u64) {
        let [x, u] = [0, 1].map(|i| random(seed ^ i, rows * features));
        let [weight, bias] = [2, 3].map(|i| random(seed ^ i, features));
        let eps = 1e-3f32;
        let norm = |x: &[f64], w: &[f64], b: &[f64]| -> Vec<f64> {
            let row = |x: &[f64]| -> Vec<f64> {
                let mean = x.iter().sum::<f64>() / features as f64;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / features as f64;
                x.iter().zip(w).zip(b).map(|((x, w), b)| (x - mean) / (variance + f64::from(eps)).sqrt() * w + b).collect()
            };
            x.chunks(features).flat_map(row).collect()
        };
        let (wx, ww, wb, wu) = (wide(&x), wide(&weight), wide(&bias), wide(&u));
        let slopes = [differences(&wx, &wu, |x| norm(x, &ww, &wb)), differences(&ww, &wu, |w| norm(&wx, w, &wb)), differences(&wb, &wu, |b| norm(&wx, &ww, b))];
        let mut first = None;
        for level in levels() {
            let (output, found) = with_level(level, || {
                let mut output = vec![f32::NAN; x.len()];
                layer_norm_forward(&x, &weight, &bias, eps, &mut output).unwrap();
                (output, layer_norm_backward(&x, &weight, eps, &u).unwrap())
            });
            prop_assert!(error(&output, &norm(&wx, &ww, &wb)) < 2e-6);
            for (found, expected) in [&found.input, &found.weight, &found.bias].into_iter().zip(&slopes) {
                prop_assert!(error(found, expected) < 1e-5, "{}", error(found, expected));
            }
            let all = bits(&[output, found.input, found.weight, found.bias].concat());
            prop_assert_eq!(first.get_or_insert(all.clone()), &all);
        }
    }
}

#[test]
fn gelu_is_that_of_the_formula() {
    // torch.nn.functional.gelu(x, approximate="none") in f64, and its derivative.
    let x = [-6.0f32, -3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.5, 8.0];
    let expected = [-5.919_525_9e-9, -0.004_049_694_1, -0.158_655_25, -0.154_268_77, 0.0, 0.149_676_58, 0.841_344_75, 2.484_475_8, 8.0];
    let slopes = [-3.546_870_9e-8, -0.011_945_647, -0.083_315_471, 0.132_504_88, 0.5, 0.695_373_35, 1.083_315_5, 1.037_611_1, 1.0];
    for level in levels() {
        let (mut y, mut g) = ([0.0; 9], [0.0; 9]);
        with_level(level, || {
            gelu_forward(&x, &mut y).unwrap();
            gelu_backward(&x, &[1.0; 9], &mut g).unwrap();
        });
        assert!(error(&y, &expected) < 1e-7 && error(&g, &slopes) < 5e-7, "{y:?} {g:?}");
    }
}

/// Enough numbers for several tasks.
#[test]
fn the_bits_are_those_of_one_thread() {
    let (starts, heads, width) = ([0, 40, 41, 100, 160], 4, 32);
    let shape = AttentionShape { starts: &starts, heads, width };
    let [x, k, v, u] = [0, 1, 2, 3].map(|i| random(i, 160 * heads * width));
    let all = || {
        let mut outputs = [vec![0.0; x.len()], vec![0.0; x.len()], vec![0.0; x.len()], vec![0.0; x.len()]];
        attention_forward(shape, &x, &k, &v, &mut outputs[0]).unwrap();
        layer_norm_forward(&x, &k[..128], &v[..128], 1e-5, &mut outputs[1]).unwrap();
        gelu_forward(&x, &mut outputs[2]).unwrap();
        gelu_backward(&x, &u, &mut outputs[3]).unwrap();
        let attention = attention_backward(shape, &x, &k, &v, &u).unwrap();
        let norm = layer_norm_backward(&x, &k[..128], 1e-5, &u).unwrap();
        let parts = [outputs.concat(), attention.query, attention.key, attention.value, norm.input, norm.weight, norm.bias];
        bits(&parts.concat())
    };
    assert_eq!(on_threads(1, all), on_threads(3, all));
}

#[test]
fn what_is_not_a_number_stays_so() {
    let shape = AttentionShape { starts: &[0, 2, 4], heads: 1, width: 1 };
    let mut output = [0.0; 4];
    attention_forward(shape, &[1.0; 4], &[1.0, f32::NAN, 1.0, 1.0], &[1.0; 4], &mut output).unwrap();
    assert!(output[..2].iter().all(|x| x.is_nan()) && output[2..] == [1.0, 1.0]);
    // Scores far apart: no sum is infinite.
    attention_forward(shape, &[1e18; 4], &[1e18, -1e18, 0.0, 0.0], &[1.0, 5.0, 2.0, 4.0], &mut output).unwrap();
    assert_eq!(output, [1.0, 1.0, 3.0, 3.0]);
    let mut y = [0.0; 2];
    gelu_forward(&[f32::NAN, 1.0], &mut y).unwrap();
    assert!(y[0].is_nan() && y[1].is_finite());
}

#[test]
fn wrong_shapes_are_refused() {
    let x = [0.0; 8];
    let shape = |starts| AttentionShape { starts, heads: 2, width: 2 };
    for starts in [&[] as &[usize], &[1, 2], &[0, 2, 1], &[0, 3], &[0, usize::MAX]] {
        assert!(attention_forward(shape(starts), &x, &x, &x, &mut [0.0; 8]).is_err(), "{starts:?}");
        assert!(attention_backward(shape(starts), &x, &x, &x, &x).is_err(), "{starts:?}");
    }
    assert!(attention_forward(shape(&[0, 2]), &x, &x, &x[..4], &mut [0.0; 8]).is_err());
    assert!(layer_norm_forward(&x, &[1.0; 3], &[0.0; 3], 1e-5, &mut [0.0; 8]).is_err());
    assert!(layer_norm_forward(&x, &[], &[], 1e-5, &mut [0.0; 8]).is_err());
    assert!(layer_norm_backward(&x, &[1.0; 4], 1e-5, &x[..4]).is_err());
    assert!(gelu_forward(&x, &mut [0.0; 7]).is_err() && gelu_backward(&x, &x[..7], &mut [0.0; 8]).is_err());
}
