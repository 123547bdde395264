//! The cross entropy of maps, against the same in f64.

use mm_kernels::pixel_loss::{ImageLoss, PixelLoss};

fn logits(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 % 1013) as f32 - 506.0) / 60.0).collect()
}

/// Losses of the images, and the gradient of their sum times `scales`.
fn exact(loss: &PixelLoss, logits: &[f32], scales: &[f32]) -> (Vec<ImageLoss>, Vec<f64>) {
    let [images, classes, pixels] = loss.shape;
    let mut losses = vec![ImageLoss::default(); images];
    let mut gradient = vec![0.0; logits.len()];
    for image in 0..images {
        for pixel in 0..pixels {
            let label = loss.labels[image * pixels + pixel] as usize;
            if label == 0 {
                continue;
            }
            let at = |class: usize| (image * classes + class) * pixels + pixel;
            let weight = f64::from(loss.class_weights.map_or(1.0, |weights| weights[label - 1]));
            let sum: f64 = (0..classes).map(|class| f64::from(logits[at(class)]).exp()).sum();
            losses[image].sum += weight * (sum.ln() - f64::from(logits[at(label - 1)]));
            losses[image].weight += weight;
            for class in 0..classes {
                let probability = f64::from(logits[at(class)]).exp() / sum;
                gradient[at(class)] = f64::from(scales[image]) * weight * (probability - f64::from(u8::from(class + 1 == label)));
            }
        }
    }
    (losses, gradient)
}

fn found(loss: &PixelLoss, logits: &[f32], scales: &[f32]) -> (Vec<ImageLoss>, Vec<f32>) {
    let (mut log_sums, mut gradient) = (vec![f32::NAN; loss.labels.len()], vec![f32::NAN; logits.len()]);
    let losses = loss.forward(logits, &mut log_sums).unwrap();
    loss.backward(logits, &log_sums, scales, &mut gradient).unwrap();
    (losses, gradient)
}

#[test]
fn sums_and_gradients_are_right() {
    let weights = [0.5, 2.0, 1.0, 0.25];
    for (images, classes, pixels) in [(1, 1, 1), (2, 3, 7), (3, 4, 1024), (2, 4, 2500)] {
        let labels: Vec<u32> = (0..images * pixels).map(|i| (i * 31 % (classes + 1)) as u32).collect();
        for class_weights in [None, Some(&weights[..classes])] {
            let loss = PixelLoss { shape: [images, classes, pixels], labels: &labels, class_weights };
            let (logits, scales) = (logits(images * classes * pixels), [0.7, -1.5, 0.1]);
            let ((losses, gradient), (sums, slopes)) = (found(&loss, &logits, &scales[..images]), exact(&loss, &logits, &scales));
            for (a, b) in losses.iter().zip(&sums) {
                assert!((a.sum - b.sum).abs() <= 1e-6 * b.sum.abs() && (a.weight - b.weight).abs() < 1e-9, "{a:?} {b:?}");
            }
            let error = gradient.iter().zip(&slopes).fold(0.0f64, |error, (a, b)| error.max((f64::from(*a) - b).abs()));
            assert!(error < 3e-6, "{images} {classes} {pixels}: {error}");
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let labels: Vec<u32> = (0..2 * 9000).map(|i| (i % 4) as u32).collect();
    let loss = PixelLoss { shape: [2, 3, 9000], labels: &labels, class_weights: None };
    let logits = logits(2 * 3 * 9000);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| found(&loss, &logits, &[1.0, 2.0]))
    };
    let (losses, gradient) = with(1);
    for threads in [2, 3] {
        let (again, same) = with(threads);
        assert_eq!(losses, again);
        assert!(gradient.iter().zip(&same).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}

#[test]
fn void_pixels_count_nothing_and_nan_is_seen() {
    let mut loss = PixelLoss { shape: [1, 2, 3], labels: &[0, 0, 0], class_weights: None };
    let mut log_sums = [0.0; 3];
    assert_eq!(loss.forward(&[1.0; 6], &mut log_sums).unwrap(), [ImageLoss::default()]);
    loss.labels = &[0, 1, 0];
    let mut logits = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    logits[4] = f32::NAN;
    assert!(loss.forward(&logits, &mut log_sums).unwrap()[0].sum.is_nan());
}

#[test]
fn what_does_not_fit_is_refused() {
    let loss = PixelLoss { shape: [1, 2, 3], labels: &[0, 1, 3], class_weights: None };
    let error = loss.forward(&[0.0; 6], &mut [0.0; 3]).unwrap_err().to_string();
    assert!(error.contains("label 3 of 2 classes"), "{error}");
    let loss = PixelLoss { labels: &[0, 1, 2], ..loss };
    assert!(loss.forward(&[0.0; 5], &mut [0.0; 3]).is_err() && loss.forward(&[0.0; 6], &mut [0.0; 2]).is_err());
    assert!(loss.backward(&[0.0; 6], &[0.0; 3], &[], &mut [0.0; 6]).is_err());
    assert!(PixelLoss { class_weights: Some(&[1.0]), ..loss }.forward(&[0.0; 6], &mut [0.0; 3]).is_err());
}
