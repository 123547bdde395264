//! Sizes, windows, mirrored images, coarser labels.

use candle_core::{DType, Device, Tensor, Var};
use mm_core::Error;
use mm_core::data::{LossOptions, Targets};
use mm_core::dense::{Window, crop, mirrored, pad_to_multiple, sliding_window, windows};
use mm_core::loss::{coarser_labels, pixel_cross_entropy};
use mm_core::task::{PixelClasses, Task};
use mm_testing::{bits, difference, gradient_error, values};

#[test]
fn padding_repeats_the_border_and_is_cropped_back() {
    let maps = Tensor::arange(0f32, 6.0, &Device::Cpu).unwrap().reshape((1, 1, 2, 3)).unwrap();
    let padded = pad_to_multiple(&maps, 4).unwrap();
    let rows = padded.squeeze(0).unwrap().squeeze(0).unwrap().to_vec2::<f32>().unwrap();
    let last = vec![3.0, 4.0, 5.0, 5.0];
    assert_eq!(rows, [vec![0.0, 1.0, 2.0, 2.0], last.clone(), last.clone(), last]);
    assert_eq!(bits(&crop(&padded, (2, 3)).unwrap()), bits(&maps));
    assert_eq!(pad_to_multiple(&padded, 4).unwrap().dims(), [1, 1, 4, 4]);
    assert!(matches!(crop(&maps, (3, 3)), Err(Error::Shape { .. })));
    assert!(matches!(pad_to_multiple(&maps, 0), Err(Error::Shape { .. })));
    let smooth = values(&[1, 2, 3, 5], DType::F64);
    assert!(gradient_error(&smooth, |x| pad_to_multiple(x, 4)) < 1e-6);
    assert!(gradient_error(&smooth, mirrored) < 1e-6);
}

#[test]
fn windows_cover_the_image() {
    for (size, window, step) in [((7, 9), (4, 4), (3, 2)), ((4, 4), (4, 4), (4, 4)), ((3, 20), (8, 8), (8, 5)), ((1, 1), (5, 5), (1, 1))] {
        let mut seen = vec![0; size.0 * size.1];
        let all = windows(size, window, step).unwrap();
        for w in &all {
            assert_eq!((w.height, w.width), (window.0.min(size.0), window.1.min(size.1)));
            for y in w.top..w.top + w.height {
                for x in w.left..w.left + w.width {
                    seen[y * size.1 + x] += 1;
                }
            }
        }
        assert!(seen.iter().all(|&n| n > 0), "{size:?} {all:?}");
        let image = values(&[2, 3, size.0, size.1], DType::F32);
        let found = sliding_window(size, window, step, |w| w.of(&image)).unwrap();
        assert!(difference(&found, &image) < 1e-6);
    }
    for (window, step, field) in [((4, 4), (5, 1), "step"), ((4, 4), (0, 1), "step"), ((0, 4), (1, 1), "window")] {
        let Err(Error::Config { field: found, .. }) = windows((9, 9), window, step) else { panic!() };
        assert_eq!(found, field);
    }
    let wrong = sliding_window((8, 8), (4, 4), (4, 4), |_| Ok(Tensor::zeros((1, 2, 4, 3), DType::F32, &Device::Cpu)?));
    assert!(matches!(wrong, Err(Error::Shape { .. })));
}

/// Two windows of a row of three pixels overlap in the middle one: the mean of 1 and 3 is 2.
#[test]
fn overlaps_are_averaged() {
    let constant = |w: Window| Ok(Tensor::full(if w.left == 0 { 1f32 } else { 3.0 }, (1, 1, 1, 2), &Device::Cpu)?);
    let found = sliding_window((1, 3), (1, 2), (1, 1), constant).unwrap();
    assert_eq!(found.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [1.0, 2.0, 3.0]);
}

#[test]
fn coarser_labels_are_those_of_upper_left_pixels() {
    let labels = Tensor::arange(0u32, 45, &Device::Cpu).unwrap().reshape((1, 5, 9)).unwrap();
    let at = |size| coarser_labels(&labels, size).unwrap().squeeze(0).unwrap().to_vec2::<u32>().unwrap();
    assert_eq!(at((3, 5)), [[0, 2, 4, 6, 8], [18, 20, 22, 24, 26], [36, 38, 40, 42, 44]]);
    assert_eq!(at((1, 2)), [[0, 8]]);
    assert!(
        coarser_labels(&labels, (4, 5)).is_err() && coarser_labels(&labels, (0, 1)).is_err() && coarser_labels(&labels, (6, 9)).is_err()
    );
}

/// In f64 it is made of candle ops.
#[test]
fn the_cross_entropy_of_pixels_is_that_of_candle_ops() {
    let labels = Tensor::from_vec((0..2 * 35 * 40u32).map(|i| i * 7 % 4).collect(), (2, 35, 40), &Device::Cpu).unwrap();
    let [fast, exact] = [DType::F32, DType::F64].map(|dtype| Var::from_tensor(&values(&[2, 3, 35, 40], dtype)).unwrap());
    for weighted in [false, true] {
        let gradient = |logits: &Var| {
            let dtype = logits.dtype();
            let weight = weighted.then(|| Tensor::new(&[1f32, 2.0, 0.5], &Device::Cpu).unwrap().to_dtype(dtype).unwrap());
            let losses = pixel_cross_entropy(logits, &labels, weight.as_ref()).unwrap();
            let share = Tensor::new(&[0.3f32, 1.1], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let gradients = losses.mul(&share).unwrap().sum_all().unwrap().backward().unwrap();
            (losses, gradients.get(logits).unwrap().clone())
        };
        let ((losses, slopes), (expected, expected_slopes)) = (gradient(&fast), gradient(&exact));
        assert!(difference(&losses, &expected) < 1e-6, "{losses} {expected}");
        assert!(difference(&slopes, &expected_slopes) < 1e-5);
    }
    // Nothing is labelled.
    let void = labels.zeros_like().unwrap();
    assert_eq!(pixel_cross_entropy(&fast, &void, None).unwrap().to_vec1::<f32>().unwrap(), [0.0, 0.0]);
}

#[test]
fn losses_of_all_scales_are_added() {
    let labels = Tensor::from_vec((0..35u32).map(|i| i % 4).collect(), (1, 5, 7), &Device::Cpu).unwrap();
    let weight = Tensor::new(&[1f32, 2.0, 0.5], &Device::Cpu).unwrap();
    let (fine, coarse) = (values(&[1, 3, 5, 7], DType::F32), values(&[1, 3, 3, 4], DType::F32));
    let targets = Targets::new(labels.clone()).with_options(LossOptions { class_weights: Some(weight.clone()), ..LossOptions::default() });
    let all = PixelClasses::new(["a", "b", "c"]).loss_of_scales(&fine, std::slice::from_ref(&coarse), &targets).unwrap();
    let loss = |logits: &Tensor, labels: &Tensor| pixel_cross_entropy(logits, labels, Some(&weight)).unwrap().mean_all().unwrap();
    let sum = (loss(&fine, &labels) + loss(&coarse, &coarser_labels(&labels, (3, 4)).unwrap())).unwrap();
    assert!(difference(&all, &sum) < 1e-6);
}
