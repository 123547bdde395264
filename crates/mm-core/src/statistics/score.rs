//! What is computed from numbers that add up over samples: the score of a set of samples is that of their sums.

use serde::{Deserialize, Serialize};

/// A score of some samples, from numbers that are added up over them. Each sample has [`Score::width`] such numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Score {
    /// The mean of one number: the share of right answers, where it is 1 for right and 0 for wrong.
    Mean,
    /// The first number over the second: right pixels over labelled ones.
    Ratio,
    /// Mean intersection over union. The numbers: for each class the pixels that are of it and are called so, then for each class those
    /// that are called so, then for each class those that are of it. A class that neither occurs nor is called counts for nothing.
    MeanIou {
        /// Number of classes.
        classes: usize,
    },
    /// Intersection over union of one class, from the same numbers.
    ClassIou {
        /// Number of classes.
        classes: usize,
        /// Which one, from 0.
        class: usize,
    },
}

impl Score {
    /// Numbers of a sample.
    pub fn width(&self) -> usize {
        match *self {
            Self::Mean => 1,
            Self::Ratio => 2,
            Self::MeanIou { classes } | Self::ClassIou { classes, .. } => 3 * classes,
        }
    }

    /// The score of `samples` samples from the sums of their numbers; NaN where it is not defined.
    pub fn of(&self, sums: &[f64], samples: f64) -> f64 {
        match *self {
            Self::Mean => sums[0] / samples,
            Self::Ratio => sums[0] / sums[1],
            Self::MeanIou { classes } => {
                let (mut sum, mut count) = (0.0, 0.0);
                for class in 0..classes {
                    let iou = class_iou(sums, classes, class);
                    if !iou.is_nan() {
                        sum += iou;
                        count += 1.0;
                    }
                }
                sum / count
            }
            Self::ClassIou { classes, class } => class_iou(sums, classes, class),
        }
    }
}

/// NaN for a class that neither occurs nor is predicted.
fn class_iou(sums: &[f64], classes: usize, class: usize) -> f64 {
    let (both, predicted, actual) = (sums[class], sums[classes + class], sums[2 * classes + class]);
    both / (predicted + actual - both)
}
