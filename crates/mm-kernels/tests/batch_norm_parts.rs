//! A batch in parts is normalised as the whole, forward and backward.

mod reference;

use mm_kernels::batch_norm::{BatchNormGradientsMut, BatchNormShape, batch_norm_backward, batch_norm_forward};
use mm_kernels::batch_norm_parts::{Moments, combined, gradient_sums, input_gradient, moments, normalise};
use reference::random;

const EPS: f32 = 1e-5;

fn close(found: &[f32], expected: &[f32], what: &str) {
    within(found, expected, 0.0, what);
}

/// As far apart as rounding allows, and `more`.
fn within(found: &[f32], expected: &[f32], more: f32, what: &str) {
    let largest = expected.iter().fold(1.0f32, |a, b| a.max(b.abs()));
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() < 2e-6 * largest + more, "{what}: {f} {e}");
    }
}

/// One shape, cut behind `cut` samples.
fn check(batch: usize, channels: usize, spatial: usize, filled: Option<&[usize]>, cut: usize, residual: bool, relu: bool) {
    let shape = |from: usize, to: usize| BatchNormShape { batch: to - from, channels, spatial, filled: filled.map(|f| &f[from..to]) };
    let whole = shape(0, batch);
    let length = whole.length();
    // Far from zero, where sums of squares would lose their digits.
    let input: Vec<f32> = random(1, length).iter().map(|x| x + 30.0).collect();
    let (weight, bias, gradient) = (random(2, channels), random(3, channels), random(5, length));
    let residual = residual.then(|| random(4, length));
    let mut output = vec![f32::NAN; length];
    let statistics = batch_norm_forward(whole, &input, &weight, &bias, EPS, residual.as_deref(), relu, &mut output).unwrap();
    let mut expected = [vec![0.0; length], vec![0.0; channels], vec![0.0; channels], vec![0.0; length]];
    let [dx, dw, db, dr] = &mut expected;
    let into = BatchNormGradientsMut { input: dx, weight: dw, bias: db, residual: residual.is_some().then_some(&mut dr[..]) };
    batch_norm_backward(whole, &input, &weight, &statistics, relu.then_some(&output), &gradient, into).unwrap();

    let parts = [(0, cut), (cut, batch)];
    let at = |(from, to): (usize, usize)| from * channels * spatial..to * channels * spatial;
    let own: Vec<Moments> = parts.iter().map(|&p| moments(shape(p.0, p.1), &input[at(p)]).unwrap()).collect();
    let all = combined(&own).unwrap();
    let found = all.statistics(EPS);
    close(&found.mean, &statistics.mean, "mean");
    close(&found.variance, &statistics.variance, "variance");
    let mut parted = vec![f32::NAN; length];
    for p in parts {
        let residual = residual.as_ref().map(|r| &r[at(p)]);
        normalise(shape(p.0, p.1), &input[at(p)], &all, [&weight, &bias], EPS, residual, relu, &mut parted[at(p)]).unwrap();
    }
    close(&parted, &output, "output");
    // With the outputs of the whole, so that no ReLU is open here and closed there.
    let opened = |p| relu.then(|| &output[at(p)]);
    let sums = parts.map(|p| gradient_sums(shape(p.0, p.1), &input[at(p)], &found, opened(p), &gradient[at(p)]).unwrap());
    let total = [0, 1].map(|i| sums[0][i].iter().zip(&sums[1][i]).map(|(a, b)| a + b).collect::<Vec<f64>>());
    let as_f32 = |values: &[f64]| values.iter().map(|x| *x as f32).collect::<Vec<f32>>();
    close(&as_f32(&total[0]), &expected[2], "bias gradient");
    // Means that differ in their last bit move every normalised number.
    let moved = expected[2].iter().zip(&found.inverse_std).map(|(g, s)| g.abs() * s * 31.0 * f32::EPSILON).fold(0.0, f32::max);
    within(&as_f32(&total[1]), &expected[1], moved, "weight gradient");
    let (mut dx, mut dr) = (vec![f32::NAN; length], vec![f32::NAN; length]);
    for p in parts {
        let of_residual = residual.is_some().then_some(&mut dr[at(p)]);
        let (s, g) = (shape(p.0, p.1), &gradient[at(p)]);
        input_gradient(s, &input[at(p)], &weight, &found, (&total, all.count), opened(p), g, &mut dx[at(p)], of_residual).unwrap();
    }
    close(&dx, &expected[0], "input gradient");
    if residual.is_some() {
        close(&dr, &expected[3], "residual gradient");
    }
}

#[test]
fn two_parts_are_the_whole() {
    for (residual, relu) in [(false, false), (false, true), (true, false), (true, true)] {
        for cut in [1, 2, 5] {
            check(6, 3, 35, None, cut, residual, relu);
            check(6, 7, 1, None, cut, residual, relu);
            check(6, 2, 9, Some(&[9, 4, 1, 7, 9, 2]), cut, residual, relu);
        }
    }
}

#[test]
fn moments_that_do_not_fit_are_refused() {
    let part = |channels: usize| Moments { count: 2.0, mean: vec![0.0; channels], squares: vec![1.0; channels] };
    assert!(combined(&[part(2), part(3)]).is_err());
    assert!(combined(&[]).is_err());
}
