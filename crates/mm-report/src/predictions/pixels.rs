//! Scores of a segmentation from counts of pixels.

use mm_core::statistics::Score;
use mm_core::task::Scored;
use std::collections::BTreeMap;

/// The scores of images from their numbers for [`Score::MeanIou`], of which the first is NaN where there is no prediction. `of_interest` is
/// the position of a class with scores of its own; `is_complete` says whether the classes are all there are.
pub fn scored(numbers: &[f32], classes: usize, of_interest: Option<usize>, is_complete: bool) -> Scored {
    let (mut sums, mut samples) = (vec![0.0; 3 * classes], 0);
    for image in numbers.chunks_exact(3 * classes).filter(|image| !image[0].is_nan()) {
        sums.iter_mut().zip(image).for_each(|(sum, x)| *sum += f64::from(*x));
        samples += 1;
    }
    let iou = |class: usize| Score::ClassIou { classes, class }.of(&sums, samples as f64);
    let dice = |iou: f64| 2.0 * iou / (1.0 + iou);
    let defined: Vec<f64> = (0..classes).map(iou).filter(|iou| !iou.is_nan()).collect();
    let mean = |of: &dyn Fn(f64) -> f64| defined.iter().map(|iou| of(*iou)).sum::<f64>() / defined.len() as f64;
    let of_interest = of_interest.map_or(f64::NAN, iou);
    let right = sums[..classes].iter().sum::<f64>() / sums[2 * classes..].iter().sum::<f64>();
    let values = BTreeMap::from([
        ("iou", of_interest),
        ("dice", dice(of_interest)),
        ("miou", mean(&|iou| iou)),
        ("mean_dice", mean(&dice)),
        ("pixel_accuracy", if is_complete { right } else { f64::NAN }),
    ]);
    let values = values.into_iter().filter(|(_, value)| !value.is_nan()).collect();
    Scored { samples, values, ..Scored::default() }
}

#[cfg(test)]
mod tests {
    use super::scored;

    #[test]
    fn scores_are_of_all_pixels_together() {
        // Two images of three classes; the third neither occurs nor is called. The sample between them is not predicted.
        let numbers = [[3.0, 1.0, 0.0, 4.0, 2.0, 0.0, 4.0, 2.0, 0.0], [f32::NAN; 9], [2.0, 2.0, 0.0, 2.0, 4.0, 0.0, 4.0, 2.0, 0.0]];
        let found = scored(numbers.as_flattened(), 3, Some(1), true);
        let close = |name: &str, expected: f64| assert!((found.get(name) - expected).abs() < 1e-12, "{name}: {}", found.get(name));
        assert_eq!(found.samples, 2);
        // Of the first class 5 of 8 + 6 - 5, of the second 3 of 4 + 6 - 3.
        close("miou", (5.0 / 9.0 + 3.0 / 7.0) / 2.0);
        close("iou", 3.0 / 7.0);
        close("dice", 6.0 / 10.0);
        close("mean_dice", (10.0 / 14.0 + 6.0 / 10.0) / 2.0);
        close("pixel_accuracy", 8.0 / 12.0);
        let partial = scored(numbers.as_flattened(), 3, None, false);
        assert!(["pixel_accuracy", "iou", "dice"].iter().all(|name| !partial.values.contains_key(name)));
    }
}
