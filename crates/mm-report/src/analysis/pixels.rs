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
            classes: (0..classes).map(|class| over(&|c| iou(c, classes, class))).collect(),
        }
    };
    Some(PixelReport { run: group.run.clone(), of_interest, combinations: all.iter().filter(listed).map(scores).collect() })
}

/// NaN for a class that neither occurs nor is predicted.
fn iou(combination: &CombinationResult, classes: usize, class: usize) -> f64 {
    // Of samples without a prediction all numbers are 0.
    Score::ClassIou { classes, class }.of_all(&combination.sums)
}

/// How many pixels each class has, from what the score adds up.
pub fn sizes(combination: &CombinationResult, classes: usize) -> Vec<u64> {
    let mut sizes = vec![0.0; classes];
    for image in combination.sums.chunks_exact(3 * classes) {
        sizes.iter_mut().zip(&image[2 * classes..]).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    sizes.into_iter().map(|sum| sum as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Excluded, Metrics};

    #[test]
    fn classes_are_scored_from_the_counts() {
        // Two images of three classes, the last of which neither occurs nor is predicted; an image without a prediction.
        let sums = [[3.0, 1.0, 0.0, 4.0, 2.0, 0.0, 4.0, 2.0, 0.0], [3.0, 2.0, 0.0, 3.0, 2.0, 0.0, 4.0, 2.0, 0.0], [0.0; 9]];
        let metrics = Metrics { samples: 2, score: 0.0, values: Default::default(), spoof: None };
        let (subset, correct, excluded) = ("rgb".into(), "11-".into(), Excluded::default());
        let sums = sums.as_flattened().to_vec();
        let result = CombinationResult { subset, metrics, correct, sums, excluded, confusion: Vec::new(), outputs: Vec::new() };
        assert_eq!([0, 1].map(|class| iou(&result, 3, class)), [6.0 / 9.0, 3.0 / 5.0]);
        assert!(iou(&result, 3, 2).is_nan());
        assert_eq!(sizes(&result, 3), [8, 4, 0]);
    }
}
