//! Optimizer updates against the formulas in f64, at every level of instructions.

mod reference;

use mm_kernels::optimizer::{AdamStep, SgdStep, adam_moment, adam_parameter, move_towards, sgd_parameter, sgd_velocity};
use mm_kernels::simd::{Level, with_level};
use proptest::prelude::*;
use reference::{error, random};

const LEVELS: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn sgd_is_right(n in 0usize..70, nesterov: bool) {
        let step = SgdStep { learning_rate: 0.1, momentum: 0.9, weight_decay: 0.01, nesterov };
        let [p, v, g] = [1, 2, 3].map(|seed| random(seed, n));
        let wide = |i: usize| [&p, &v, &g].map(|x| f64::from(x[i]));
        let (rate, momentum, decay) = (f64::from(step.learning_rate), f64::from(step.momentum), f64::from(step.weight_decay));
        let velocity = |i: usize| { let [p, v, g] = wide(i); momentum * v + g + decay * p };
        let parameter = |i: usize| {
            let [p, _, g] = wide(i);
            p - rate * if nesterov { g + decay * p + momentum * velocity(i) } else { velocity(i) }
        };
        for level in LEVELS {
            let (mut p, mut v) = (p.clone(), v.clone());
            with_level(level, || {
                sgd_velocity(step, &mut v, &p, &g).unwrap();
                sgd_parameter(step, &mut p, &v, &g).unwrap();
            });
            prop_assert!(error(&v, &(0..n).map(velocity).collect::<Vec<_>>()) < 1e-6);
            prop_assert!(error(&p, &(0..n).map(parameter).collect::<Vec<_>>()) < 1e-6);
        }
    }

    #[test]
    fn averages_are_right(n in 0usize..70, share in 0f32..1.0) {
        let [average, p] = [1, 2].map(|seed| random(seed, n));
        let expected: Vec<f64> = average.iter().zip(&p).map(|(a, p)| {
            let (a, p) = (f64::from(*a), f64::from(*p));
            a + f64::from(share) * (p - a)
        }).collect();
        for level in LEVELS {
            let mut found = average.clone();
            with_level(level, || move_towards(share, &mut found, &p).unwrap());
            prop_assert!(error(&found, &expected) < 1e-6);
        }
    }

    #[test]
    fn adam_is_right(n in 0usize..70, decoupled: bool) {
        let step = AdamStep {
            learning_rate: 0.01, beta1: 0.9, beta2: 0.99, eps: 1e-8, correction1: 0.5, correction2: 0.25, weight_decay: 0.1, decoupled,
        };
        let [p, m, g] = [1, 2, 3].map(|seed| random(seed, n));
        let s: Vec<f32> = random(4, n).iter().map(|x| x.abs()).collect();
        let [rate, eps, decay] = [step.learning_rate, step.eps, step.weight_decay].map(f64::from);
        let gradient = |i: usize| f64::from(g[i]) + if decoupled { 0.0 } else { decay * f64::from(p[i]) };
        let first = |i: usize| 0.9 * f64::from(m[i]) + 0.1 * gradient(i);
        let second = |i: usize| 0.99 * f64::from(s[i]) + 0.01 * gradient(i).powi(2);
        let parameter = |i: usize| {
            let kept = f64::from(p[i]) * if decoupled { 1.0 - rate * decay } else { 1.0 };
            kept - rate * (first(i) / 0.5) / ((second(i) / 0.25).sqrt() + eps)
        };
        for level in LEVELS {
            let (mut p, mut m, mut s) = (p.clone(), m.clone(), s.clone());
            with_level(level, || {
                adam_moment(step, false, &mut m, &p, &g).unwrap();
                adam_moment(step, true, &mut s, &p, &g).unwrap();
                adam_parameter(step, &mut p, &m, &s).unwrap();
            });
            prop_assert!(error(&m, &(0..n).map(first).collect::<Vec<_>>()) < 1e-6);
            prop_assert!(error(&s, &(0..n).map(second).collect::<Vec<_>>()) < 1e-6);
            prop_assert!(error(&p, &(0..n).map(parameter).collect::<Vec<_>>()) < 1e-6);
        }
    }
}

#[test]
fn buffers_of_different_lengths_are_refused() {
    let step = SgdStep { learning_rate: 0.1, momentum: 0.9, weight_decay: 0.0, nesterov: false };
    assert!(sgd_velocity(step, &mut [0.0; 3], &[0.0; 3], &[0.0; 2]).is_err());
    assert!(sgd_parameter(step, &mut [0.0; 3], &[0.0; 4], &[0.0; 3]).is_err());
}
