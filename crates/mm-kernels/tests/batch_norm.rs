//! Batch normalisation against f64, and its gradient against finite differences.

mod reference;

use mm_kernels::Error;
use mm_kernels::batch_norm::{BatchNormGradientsMut, BatchNormShape, batch_norm_backward, batch_norm_forward, scale_shift};
use mm_kernels::simd::{Level, with_level};
use proptest::prelude::*;
use reference::{bits, error, error_of_terms, on_threads, random};

const EPS: f32 = 1e-5;

struct Case {
    shape: BatchNormShape<'static>,
    input: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    residual: Option<Vec<f32>>,
    relu: bool,
    gradient: Vec<f32>,
}

impl Case {
    fn new(shape: BatchNormShape<'static>, offset: f32, residual: bool, relu: bool) -> Self {
        Self {
            shape,
            input: random(1, shape.length()).iter().map(|x| x + offset).collect(),
            weight: random(2, shape.channels),
            bias: random(3, shape.channels),
            residual: residual.then(|| random(4, shape.length())),
            relu,
            gradient: random(5, shape.length()),
        }
    }

    fn channel(&self, i: usize) -> usize {
        i / self.shape.spatial % self.shape.channels
    }

    /// Output, mean, biased variance in f64; `input` replaces the case's.
    fn forward64(&self, input: &[f64], weight: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let c = self.shape.channels;
        let n = (self.shape.batch * self.shape.spatial) as f64;
        let (mut mean, mut variance) = (vec![0.0; c], vec![0.0; c]);
        for (i, x) in input.iter().enumerate() {
            mean[self.channel(i)] += x / n;
        }
        for (i, x) in input.iter().enumerate() {
            variance[self.channel(i)] += (x - mean[self.channel(i)]).powi(2) / n;
        }
        let output = input.iter().enumerate().map(|(i, x)| {
            let c = self.channel(i);
            let y = (x - mean[c]) / (variance[c] + f64::from(EPS)).sqrt() * weight[c] + f64::from(self.bias[c]);
            let y = y + self.residual.as_ref().map_or(0.0, |r| f64::from(r[i]));
            if self.relu { y.max(0.0) } else { y }
        });
        (output.collect(), mean, variance)
    }

    /// Largest errors of the forward pass and of the gradients against the textbook formula in f64, relative to the terms they
    /// are sums of.
    fn errors(&self) -> [f64; 2] {
        let shape = self.shape;
        let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|&x| x.into()).collect() };
        let (input, weight) = (wide(&self.input), wide(&self.weight));
        let (expected, mean, variance) = self.forward64(&input, &weight);
        let mut output = vec![f32::NAN; shape.length()];
        let statistics =
            batch_norm_forward(shape, &self.input, &self.weight, &self.bias, EPS, self.residual.as_deref(), self.relu, &mut output)
                .unwrap();
        let (c, n) = (shape.channels, (shape.batch * shape.spatial) as f64);
        let std: Vec<f64> = variance.iter().map(|v| (v + f64::from(EPS)).sqrt()).collect();
        let scaled = |(i, x): (usize, &f64)| (x * weight[self.channel(i)] / std[self.channel(i)]).abs();
        let terms = input.iter().enumerate().map(scaled).fold(0.0, f64::max);
        let forward = error_of_terms(&output, &expected, terms);
        let forward = forward.max(error(&statistics.mean, &mean)).max(error(&statistics.variance, &variance));

        // The gate of the kernel's own output, so that a value at zero cannot fall on either side.
        let gated: Vec<f64> =
            self.gradient.iter().zip(&output).map(|(&g, &y)| if self.relu && y <= 0.0 { 0.0 } else { g.into() }).collect();
        let (mut dw, mut db) = (vec![0.0; c], vec![0.0; c]);
        let normal = |i: usize| (input[i] - mean[self.channel(i)]) / std[self.channel(i)];
        for (i, g) in gated.iter().enumerate() {
            dw[self.channel(i)] += g * normal(i);
            db[self.channel(i)] += g;
        }
        let dx: Vec<f64> = gated
            .iter()
            .enumerate()
            .map(|(i, g)| {
                let c = self.channel(i);
                weight[c] / std[c] * (g - db[c] / n - normal(i) * dw[c] / n)
            })
            .collect();
        let mut found = [vec![f32::NAN; shape.length()], vec![f32::NAN; c], vec![f32::NAN; c], vec![f32::NAN; shape.length()]];
        let [input_g, weight_g, bias_g, residual_g] = &mut found;
        let gradients = BatchNormGradientsMut { input: input_g, weight: weight_g, bias: bias_g, residual: Some(residual_g) };
        let gate = self.relu.then_some(&output[..]);
        batch_norm_backward(shape, &self.input, &self.weight, &statistics, gate, &self.gradient, gradients).unwrap();
        // Gradients are sums that may cancel (with two numbers a channel, dx is zero but for eps), and rounding is that of
        // what is summed: so errors are relative to the terms, not to what is left of them.
        let mut terms = [0.0f64, 0.0, 0.0];
        let (mut dw_terms, mut db_terms) = (vec![0.0; c], vec![0.0; c]);
        for (i, g) in gated.iter().enumerate() {
            let c = self.channel(i);
            dw_terms[c] += (g * normal(i)).abs();
            db_terms[c] += g.abs();
            terms[0] = terms[0].max((weight[c] / std[c] * g).abs());
        }
        terms[1] = dw_terms.into_iter().fold(0.0, f64::max);
        terms[2] = db_terms.into_iter().fold(0.0, f64::max);
        let backward = [&dx, &dw, &db].into_iter().zip(&found).zip(terms).map(|((e, f), terms)| {
            let worst = e.iter().zip(f).map(|(e, f)| (e - f64::from(*f)).abs()).fold(0.0, f64::max);
            assert!(f.iter().all(|f| f.is_finite()), "a gradient was not written");
            worst / terms.max(1e-3)
        });
        let backward = backward.fold(error(&found[3], &gated), f64::max);
        [forward, backward]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn batch_norm_is_right(
        batch in 2usize..34, channels in 1usize..20, spatial in 1usize..80,
        residual: bool, relu: bool, level in 0usize..3,
    ) {
        let case = Case::new(BatchNormShape { batch, channels, spatial, filled: None }, 0.3, residual, relu);
        let level = [Level::Portable, Level::Avx2, Level::Avx512][level];
        let [forward, backward] = with_level(level, || case.errors());
        prop_assert!(forward < 2e-6, "forward {forward}");
        prop_assert!(backward < 1e-6, "backward {backward}");
    }
}

/// The errors the documentation quotes.
#[test]
fn errors_at_the_size_of_a_network() {
    let case = Case::new(BatchNormShape { batch: 16, channels: 8, spatial: 56 * 56, filled: None }, 0.5, true, true);
    let [forward, backward] = case.errors();
    println!("forward {forward:.1e}, backward {backward:.1e}");
    assert!(forward < 1e-6 && backward < 1e-6);
}

#[test]
fn a_large_mean_does_not_eat_the_variance() {
    let case = Case::new(BatchNormShape { batch: 8, channels: 3, spatial: 100, filled: None }, 1000.0, false, false);
    assert!(case.errors()[0] < 1e-4, "{:?}", case.errors());
}

#[test]
fn the_gradient_is_the_slope() {
    let case = Case::new(BatchNormShape { batch: 3, channels: 2, spatial: 4, filled: None }, 0.0, false, false);
    let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|&x| x.into()).collect() };
    let (input, weight) = (wide(&case.input), wide(&case.weight));
    let loss = |x: &[f64]| -> f64 { case.forward64(x, &weight).0.iter().zip(&case.gradient).map(|(y, g)| y * f64::from(*g)).sum() };
    let slopes: Vec<f64> = (0..input.len())
        .map(|i| {
            let at = |h: f64| {
                let mut x = input.clone();
                x[i] += h;
                loss(&x)
            };
            (at(1e-5) - at(-1e-5)) / 2e-5
        })
        .collect();
    let mut output = vec![0.0; 24];
    let statistics = batch_norm_forward(case.shape, &case.input, &case.weight, &case.bias, EPS, None, false, &mut output).unwrap();
    let (mut dx, mut dw, mut db) = (vec![0.0; 24], vec![0.0; 2], vec![0.0; 2]);
    let gradients = BatchNormGradientsMut { input: &mut dx, weight: &mut dw, bias: &mut db, residual: None };
    batch_norm_backward(case.shape, &case.input, &case.weight, &statistics, None, &case.gradient, gradients).unwrap();
    assert!(error(&dx, &slopes) < 1e-4);
}

#[test]
fn inference_is_scale_and_shift() {
    let shape = BatchNormShape { batch: 2, channels: 3, spatial: 20, filled: None };
    let (input, scale, shift, residual) = (random(1, 120), random(2, 3), random(3, 3), random(4, 120));
    let expected: Vec<f64> = (0..120)
        .map(|i| {
            let c = i / 20 % 3;
            (f64::from(input[i]) * f64::from(scale[c]) + f64::from(shift[c]) + f64::from(residual[i])).max(0.0)
        })
        .collect();
    let mut output = vec![0.0; 120];
    scale_shift(shape, &input, &scale, &shift, Some(&residual), true, &mut output).unwrap();
    assert!(error(&output, &expected) < 1e-6);
}

/// Sequences of different lengths are one long sequence of what each has; what stands behind them is never read.
#[test]
fn statistics_are_those_of_what_is_filled() {
    let (filled, channels, steps) = ([5, 0, 40, 1, 33], 3, 40);
    let shape = BatchNormShape { batch: 5, channels, spatial: steps, filled: Some(&filled) };
    let total: usize = filled.iter().sum();
    let packed_shape = BatchNormShape { batch: 1, channels, spatial: total, filled: None };
    let pack = |x: &[f32]| -> Vec<f32> {
        let of = |c: usize| filled.iter().enumerate().flat_map(move |(n, &f)| &x[(n * channels + c) * steps..][..f]);
        (0..channels).flat_map(of).copied().collect()
    };
    let hidden = |mut x: Vec<f32>| {
        for (plane, x) in x.chunks_mut(steps).enumerate() {
            x[filled[plane / channels]..].fill(f32::NAN);
        }
        x
    };
    let zero_behind = |x: &[f32]| {
        assert!(x.chunks(steps).enumerate().all(|(plane, x)| x[filled[plane / channels]..].iter().all(|x| *x == 0.0)));
    };
    let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|&x| x.into()).collect() };
    let [input, residual, gradient] = [1, 2, 3].map(|seed| hidden(random(seed, shape.length())));
    let (weight, bias) = (random(4, channels), random(5, channels));
    let run = |shape: BatchNormShape, input: &[f32], residual: &[f32], gradient: &[f32]| {
        let mut y = vec![f32::NAN; shape.length()];
        let statistics = batch_norm_forward(shape, input, &weight, &bias, EPS, Some(residual), true, &mut y).unwrap();
        let mut found = [vec![f32::NAN; shape.length()], vec![0.0; channels], vec![0.0; channels], vec![f32::NAN; shape.length()]];
        let [dx, dw, db, dr] = &mut found;
        let into = BatchNormGradientsMut { input: dx, weight: dw, bias: db, residual: Some(dr) };
        batch_norm_backward(shape, input, &weight, &statistics, Some(&y), gradient, into).unwrap();
        let mut inference = vec![f32::NAN; shape.length()];
        scale_shift(shape, input, &weight, &bias, Some(residual), false, &mut inference).unwrap();
        let [dx, dw, db, dr] = found;
        ([y, dx, dr, inference], [dw, db, statistics.mean, statistics.variance])
    };
    let (maps, vectors) = run(shape, &input, &residual, &gradient);
    let (packed, packed_vectors) = run(packed_shape, &pack(&input), &pack(&residual), &pack(&gradient));
    for (found, expected) in maps.iter().zip(&packed) {
        zero_behind(found);
        assert!(error(&pack(found), &wide(expected)) < 1e-5);
    }
    for (found, expected) in vectors.iter().zip(&packed_vectors) {
        assert!(error(found, &wide(expected)) < 1e-5);
    }
    let too_long = BatchNormShape { filled: Some(&[5, 0, 41, 1, 33]), ..shape };
    assert!(scale_shift(too_long, &input, &weight, &bias, None, false, &mut vec![0.0; shape.length()]).is_err());
}

#[test]
fn threads_do_not_change_a_bit() {
    let case = Case::new(BatchNormShape { batch: 9, channels: 40, spatial: 300, filled: None }, 0.1, true, true);
    let run = |threads| {
        on_threads(threads, || {
            let mut output = vec![0.0; case.shape.length()];
            let s = batch_norm_forward(case.shape, &case.input, &case.weight, &case.bias, EPS, None, true, &mut output).unwrap();
            let (mut dx, mut dw, mut db) = (output.clone(), vec![0.0; 40], vec![0.0; 40]);
            let gradients = BatchNormGradientsMut { input: &mut dx, weight: &mut dw, bias: &mut db, residual: None };
            batch_norm_backward(case.shape, &case.input, &case.weight, &s, Some(&output), &case.gradient, gradients).unwrap();
            [output, dx, dw, db, s.mean, s.variance].map(|x| bits(&x))
        })
    };
    assert!(run(1) == run(2));
}

#[test]
fn wrong_lengths_are_refused() {
    let shape = BatchNormShape { batch: 2, channels: 3, spatial: 4, filled: None };
    let found = batch_norm_forward(shape, &[0.0; 24], &[1.0; 2], &[0.0; 3], EPS, None, false, &mut [0.0; 24]);
    assert_eq!(found.unwrap_err(), Error::Length { what: "weight", expected: 3, found: 2 });
    let empty = BatchNormShape { batch: 0, ..shape };
    assert!(batch_norm_forward(empty, &[], &[1.0; 3], &[0.0; 3], EPS, None, false, &mut []).is_err());
}
