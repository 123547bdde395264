//! Random changes of training series.

use mm_core::data::SeriesAugment;
use mm_core::rng;

fn series(channels: usize) -> Vec<Vec<f64>> {
    (0..channels).map(|c| (0..50).map(|i| ((i * (c + 2)) as f64 * 0.3).sin() + c as f64).collect()).collect()
}

fn applied(augment: SeriesAugment, channels: usize, seed: u64) -> Vec<Vec<f64>> {
    augment.validate(channels).unwrap();
    let mut changed = series(channels);
    augment.apply(&mut changed, &mut rng::stream(seed, "test", &[1]), &mut rng::stream(seed, "own", &[1]));
    changed
}

#[test]
fn nothing_is_changed_by_default() {
    assert!(!SeriesAugment::default().changes());
    assert!(!SeriesAugment { time_mask: 0.5, ..Default::default() }.changes());
    assert!(!SeriesAugment { time_masks: 2, time_mask: 0.0, ..Default::default() }.changes());
    assert_eq!(applied(SeriesAugment::default(), 3, 0), series(3));
}

#[test]
fn each_change_does_what_it_says() {
    let none = SeriesAugment::default();
    for seed in 0..20 {
        let before = series(3);
        let faster = applied(SeriesAugment { speed: [2.0, 2.0], ..none }, 3, seed);
        assert!(faster.iter().zip(&before).all(|(a, b)| a.len() == 25 && a[0] == b[0] && (a[24] - b[49]).abs() < 1e-12));
        let cropped = applied(SeriesAugment { crop: 0.5, ..none }, 3, seed);
        let length = cropped[0].len();
        assert!((25..=50).contains(&length));
        let at = (0..=50 - length).find(|&at| before[0][at..at + length] == cropped[0]).unwrap();
        assert!(before.iter().zip(&cropped).all(|(b, c)| b[at..at + length] == *c));
        let moved = applied(SeriesAugment { shift: 7, ..none }, 3, seed);
        let by = (-7i64..=7).find(|&by| (7..43).all(|i| moved[1][i] == before[1][(i as i64 - by) as usize])).unwrap();
        assert_eq!(if by > 0 { moved[0][0] } else { moved[0][49] }, if by > 0 { before[0][0] } else { before[0][49] });
        let scaled = applied(SeriesAugment { scale: [0.5, 2.0], ..none }, 3, seed);
        let factor = scaled[1][3] / before[1][3];
        assert!((0.5..=2.0).contains(&factor) && (scaled[2][9] / before[2][9] - factor).abs() < 1e-12);
        let turned = applied(SeriesAugment { rotation: 40.0, ..none }, 3, seed);
        for step in 0..50 {
            let dot = |a: &[Vec<f64>], b: &[Vec<f64>]| (0..3).map(|axis| a[axis][step] * b[axis][step]).sum::<f64>();
            let (long, short) = (dot(&turned, &turned), dot(&before, &before));
            assert!((long - short).abs() < 1e-9 * short, "a turn keeps lengths");
            assert!(dot(&turned, &before) / short > 40f64.to_radians().cos() - 1e-9);
        }
        let masked = applied(SeriesAugment { time_masks: 1, time_mask: 0.4, ..none }, 3, seed);
        let hidden = (0..50).filter(|&i| masked[0][i] != before[0][i]).count();
        assert!(hidden <= 20);
    }
    let noisy = applied(SeriesAugment { jitter: 0.1, ..none }, 3, 0);
    let deviation = (noisy[0].iter().zip(&series(1)[0]).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 50.0).sqrt();
    assert!((0.03..0.14).contains(&deviation), "{deviation}");
    assert_eq!(noisy, applied(SeriesAugment { jitter: 0.1, ..none }, 3, 0));
    assert_ne!(noisy, applied(SeriesAugment { jitter: 0.1, ..none }, 3, 1));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let none = SeriesAugment::default();
    let refused = |augment: SeriesAugment, word: &str| {
        let error = augment.validate(4).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(SeriesAugment { speed: [1.2, 0.8], ..none }, "augment.speed");
    refused(SeriesAugment { scale: [f64::NAN, 1.0], ..none }, "augment.scale");
    refused(SeriesAugment { crop: 0.0, ..none }, "augment.crop");
    refused(SeriesAugment { rotation: 10.0, ..none }, "multiple of 3; there are 4");
    refused(SeriesAugment { jitter: -1.0, ..none }, "augment.jitter");
    refused(SeriesAugment { noise: f64::INFINITY, ..none }, "augment.noise");
    refused(SeriesAugment { time_mask: 1.5, ..none }, "augment.time_mask");
}
