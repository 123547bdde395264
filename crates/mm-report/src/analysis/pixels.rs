//! What a segmentation reaches with each combination, class by class.

use super::calibration::{OverSeeds, over_seeds};
use super::outcomes::{Group, name};
use crate::result::CombinationResult;
use mm_core::Subset;
use mm_core::statistics::Score;
use serde::{Deserialize, Serialize};

/// Up to this many combinations, all are listed; of more, all sensors, each alone, and all but each.
const ALL_UP_TO: usize = 16;

/// A run on data with a class for each pixel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PixelReport {
    /// The run.
    pub run: String,
    /// The class whose IoU heads the report, by its position; otherwise the mean over all does.
    pub of_interest: Option<usize>,
    /// By size of the combination.
    pub combinations: Vec<PixelScores>,
}

/// What one combination reaches, over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PixelScores {
    /// The combination.
    pub combination: String,
    /// Mean IoU over the classes.
    pub miou: Option<OverSeeds>,
    /// Dice coefficient of the class of interest; without one the mean over the classes.
    pub dice: Option<OverSeeds>,
    /// Share of labelled pixels that are right.
    pub pixel_accuracy: Option<OverSeeds>,
    /// Mean IoU within 2 pixels of a boundary.
    pub boundary_miou: Option<OverSeeds>,
    /// Negative log-likelihood of a pixel.
    pub nll: Option<OverSeeds>,
    /// Calibration error.
    pub ece: Option<OverSeeds>,
    /// IoU of each class, over the seeds in which it occurs or is predicted.
    pub classes: Vec<Option<OverSeeds>>,
}

/// All runs, the best first; nothing where the target is another.
pub fn of(groups: &[Group], best: usize, full: Subset) -> Vec<PixelReport> {
    let order = std::iter::once(best).chain((0..groups.len()).filter(|&i| i != best));
    order.filter_map(|i| groups.get(i)).filter_map(|group| of_run(group, full)).collect()
}

fn of_run(group: &Group, full: Subset) -> Option<PixelReport> {
    let first = group.cells[0].result;
    let (classes, of_interest) = match first.measure.score {
        Score::MeanIou { classes } => (classes, None),
        Score::ClassIou { classes, class } => (classes, Some(class)),
        _ => return None,
    };
    let dice = if of_interest.is_some() { "dice" } else { "mean_dice" };
    let all = group.combinations();
    let listed = |s: &&Subset| all.len() <= ALL_UP_TO || s.len() == 1 || s.len() + 1 >= full.len();
    let scores = |subset: &Subset| {
        let over = |of: &dyn Fn(&CombinationResult) -> f64| {
            over_seeds(&group.each(*subset).map(of).filter(|value| value.is_finite()).collect::<Vec<_>>())
        };
        PixelScores {
            combination: name(*subset, first),
            miou: over(&|c| if of_interest.is_some() { c.metrics.get("miou") } else { c.metrics.score }),
            dice: over(&|c| c.metrics.get(dice)),
            pixel_accuracy: over(&|c| c.metrics.get("pixel_accuracy")),
            boundary_miou: over(&|c| c.metrics.get("boundary_miou")),
            nll: over(&|c| c.metrics.get("nll")),
            ece: over(&|c| c.metrics.get("ece")),
            classes: (0..classes).map(|class| over(&|c| iou(&c.confusion, class))).collect(),
        }
    };
    Some(PixelReport { run: group.run.clone(), of_interest, combinations: all.iter().filter(listed).map(scores).collect() })
}

/// NaN for a class that neither occurs nor is predicted.
fn iou(confusion: &[Vec<u64>], class: usize) -> f64 {
    let at = |row: usize, column: usize| confusion.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0) as f64;
    let (actual, predicted): (f64, f64) =
        (0..confusion.len()).map(|k| (at(class, k), at(k, class))).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    at(class, class) / (actual + predicted - at(class, class))
}

#[cfg(test)]
mod tests {
    use super::iou;

    #[test]
    fn overlap_of_a_class_comes_from_the_confusion() {
        // Of class 0: 6 right, 2 called 1, 1 of class 1 called 0.
        let confusion = [vec![6, 2, 0], vec![1, 3, 0], vec![0, 0, 0]];
        assert_eq!([0, 1].map(|class| iou(&confusion, class)), [6.0 / 9.0, 3.0 / 6.0]);
        assert!(iou(&confusion, 2).is_nan());
    }
}
