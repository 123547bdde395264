use mm_core::data::audio::{resample, resampled_length};
use std::f64::consts::TAU;

/// `torchaudio.functional.resample` by its formula in numpy (f64), of `x = [((i * 7919) % 101) / 50 - 1 for i in range(60)]`: the first six and
/// last three.
#[test]
fn values_are_torchaudios() {
    let x: Vec<f32> = (0..60).map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0).collect();
    let cases: [(u32, u32, usize, [f32; 6], [f32; 3]); 4] = [
        (44_100, 16_000, 22, [-0.2882325, -0.0912272, -0.1721054, -0.0703997, -0.0565946, -0.0546385], [-0.0280203, 0.1115628, 0.0695162]),
        (8000, 16_000, 120, [-1.0007084, -0.9189027, -0.1736824, 0.6221682, 0.6283252, -0.1086866], [0.8287948, 0.9211069, 0.4784073]),
        (16_000, 8000, 30, [-0.5466409, 0.1903604, -0.3708732, -0.1211163, 0.1386841, -0.4520128], [0.4398831, -0.1757482, 0.1397305]),
        (230, 200, 53, [-0.9988608, 0.1353032, 0.1743621, -0.178458, -0.3742422, -0.540117], [-0.6099141, 0.8753761, 0.2128957]),
    ];
    for (from, to, length, first, last) in cases {
        let y = resample(&x, from, to);
        assert_eq!((y.len(), resampled_length(60, from, to)), (length, length));
        let found = y[..6].iter().chain(&y[length - 3..]);
        let worst = found.zip(first.iter().chain(&last)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-6, "{from} to {to}: {worst}");
    }
}

/// A tone keeps its phase: a delay of a hundredth of a sample would show.
#[test]
fn nothing_is_delayed() {
    for (from, to) in [(44_100u32, 16_000u32), (48_000, 16_000), (22_050, 16_000), (8000, 44_100), (44_101, 16_000), (1145, 1000)] {
        let hertz = 0.1 * f64::from(from.min(to));
        let tone = |rate: u32, i: usize| (TAU * hertz * i as f64 / f64::from(rate)).sin();
        let x: Vec<f32> = (0..from as usize).map(|i| tone(from, i) as f32).collect();
        let y = resample(&x, from, to);
        assert_eq!(y.len(), to as usize);
        let (mut along, mut across) = (0.0, 0.0);
        for i in y.len() / 4..y.len() / 2 {
            along += f64::from(y[i]) * tone(to, i);
            across += f64::from(y[i]) * (TAU * hertz * i as f64 / f64::from(to)).cos();
        }
        let delay = -(across / along).atan() / TAU / hertz * f64::from(to);
        assert!(delay.abs() < 0.01, "{from} to {to}: {delay} samples");
    }
}

#[test]
fn what_the_lower_rate_cannot_hold_is_gone() {
    let x: Vec<f32> = (0..16_000).map(|i| (TAU * 6000.0 * i as f64 / 16_000.0).sin() as f32).collect();
    let y = resample(&x, 16_000, 8000);
    assert!(y[100..7900].iter().all(|x| x.abs() < 0.02));
}

#[test]
fn odd_inputs_are_no_trouble() {
    assert_eq!(resample(&[0.5, 1.5], 8000, 8000), [0.5, 1.5]);
    assert!(resample(&[], 8000, 16_000).is_empty());
    assert!(resample(&[1.0], 0, 16_000).is_empty() && resample(&[1.0], 16_000, 0).is_empty());
    assert_eq!(resample(&[1.0; 5], 768_000, 1).len(), 1);
    assert_eq!(resample(&[1.0], 1, 768_000).len(), 768_000);
}
