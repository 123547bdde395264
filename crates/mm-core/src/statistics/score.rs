//! What is computed from the numbers of samples: the score of a set of samples is that of their sums, or of their ranks.

use serde::{Deserialize, Serialize};

/// A score of some samples, from numbers of which each sample has [`Score::width`]. All but those for which [`Score::is_ranked`] holds come
/// from the sums of these numbers over the samples.
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
    /// Mean F1 over the classes or labels that occur or are called, from the same numbers.
    MeanF1 {
        /// Number of classes or labels.
        classes: usize,
    },
    /// F1 of all labels together, from the same numbers.
    MicroF1 {
        /// Number of labels.
        classes: usize,
    },
    /// Mean recall over the classes that occur. The numbers: for each class whether the sample is of it and called so, then for each
    /// whether it is of it.
    MeanRecall {
        /// Number of classes.
        classes: usize,
    },
    /// Root of the mean of a number, mean over several: the root mean squared error of each target.
    RootMean {
        /// Number of targets.
        targets: usize,
    },
    /// 1 less the squared errors over the squared distances from the mean, mean over targets. The numbers of each target: squared error,
    /// true value, its square.
    R2 {
        /// Number of targets.
        targets: usize,
    },
    /// Pearson's correlation, mean over targets. The numbers of each: true value, predicted value, both squares, product.
    Pearson {
        /// Number of targets.
        targets: usize,
    },
    /// Lin's concordance correlation, mean over targets, from the same numbers.
    Concordance {
        /// Number of targets.
        targets: usize,
    },
    /// Area under the ROC curve, mean over classes or labels. The numbers: for each how much speaks for it, then for each whether it is
    /// so (1 or 0).
    AreaUnderRoc {
        /// Number of classes or labels.
        outputs: usize,
    },
    /// Average precision, mean over classes or labels, from the same numbers.
    AveragePrecision {
        /// Number of classes or labels.
        outputs: usize,
    },
}

impl Score {
    /// Numbers of a sample.
    pub fn width(&self) -> usize {
        match *self {
            Self::Mean => 1,
            Self::Ratio => 2,
            Self::MeanIou { classes } | Self::ClassIou { classes, .. } | Self::MeanF1 { classes } | Self::MicroF1 { classes } => {
                3 * classes
            }
            Self::MeanRecall { classes } => 2 * classes,
            Self::RootMean { targets } => targets,
            Self::R2 { targets } => 3 * targets,
            Self::Pearson { targets } | Self::Concordance { targets } => 5 * targets,
            Self::AreaUnderRoc { outputs } | Self::AveragePrecision { outputs } => 2 * outputs,
        }
    }

    /// Whether it hangs on the order of the samples, not on sums.
    pub fn is_ranked(&self) -> bool {
        matches!(self, Self::AreaUnderRoc { .. } | Self::AveragePrecision { .. })
    }

    /// The score of `samples` samples from the sums of their numbers; NaN where it is not defined, and where it hangs on ranks.
    pub fn of(&self, sums: &[f64], samples: f64) -> f64 {
        match *self {
            Self::Mean => sums[0] / samples,
            Self::Ratio => sums[0] / sums[1],
            Self::MeanIou { classes } => mean_defined((0..classes).map(|class| class_iou(sums, classes, class))),
            Self::ClassIou { classes, class } => class_iou(sums, classes, class),
            Self::MeanF1 { classes } => mean_defined((0..classes).map(|class| f1(counts(sums, classes, class)))),
            Self::MicroF1 { classes } => {
                let all = (0..classes).map(|class| counts(sums, classes, class));
                let all = f1(all.fold([0.0; 3], |sum, of| [sum[0] + of[0], sum[1] + of[1], sum[2] + of[2]]));
                if all.is_nan() { 0.0 } else { all }
            }
            Self::MeanRecall { classes } => mean_defined((0..classes).map(|class| sums[class] / sums[classes + class])),
            Self::RootMean { targets } => sums.iter().map(|sum| (sum / samples).sqrt()).sum::<f64>() / targets as f64,
            Self::R2 { targets } => sums.chunks_exact(3).map(|of| r2(of, samples)).sum::<f64>() / targets as f64,
            Self::Pearson { targets } => sums.chunks_exact(5).map(|of| correlation(of, samples, false)).sum::<f64>() / targets as f64,
            Self::Concordance { targets } => sums.chunks_exact(5).map(|of| correlation(of, samples, true)).sum::<f64>() / targets as f64,
            Self::AreaUnderRoc { .. } | Self::AveragePrecision { .. } => f64::NAN,
        }
    }

    /// The score of samples from all their numbers, sample by sample; those of which the first is NaN count for nothing.
    pub fn of_all(&self, numbers: &[f32]) -> f64 {
        let samples = || numbers.chunks_exact(self.width()).filter(|of| !of[0].is_nan());
        if self.is_ranked() {
            let rows: Vec<&[f32]> = samples().collect();
            return super::Ranks::new(*self, &rows).scores(|_| [1.0])[0];
        }
        let (mut sums, mut count) = (vec![0.0; self.width()], 0.0);
        for of_sample in samples() {
            sums.iter_mut().zip(self.exact(of_sample)).for_each(|(sum, x)| *sum += x);
            count += 1.0;
        }
        self.of(&sums, count)
    }

    /// The numbers of a sample as they are summed. Squares and products are made anew: of 32 bits each, they would differ from those of the
    /// values by more than values far from 0 differ among themselves.
    pub(super) fn exact(&self, of_sample: &[f32]) -> impl Iterator<Item = f64> {
        let width = match self {
            Self::R2 { .. } => 3,
            Self::Pearson { .. } | Self::Concordance { .. } => 5,
            _ => 1,
        };
        of_sample.chunks_exact(width).flat_map(move |of| {
            (0..width).map(move |k| {
                let x = |at: usize| f64::from(of[at]);
                match (width, k) {
                    (3, 2) => x(1) * x(1),
                    (5, 2) => x(0) * x(0),
                    (5, 3) => x(1) * x(1),
                    (5, 4) => x(0) * x(1),
                    _ => x(k),
                }
            })
        })
    }
}

/// Right, called and actual of a class.
fn counts(sums: &[f64], classes: usize, class: usize) -> [f64; 3] {
    [sums[class], sums[classes + class], sums[2 * classes + class]]
}

/// NaN for a class that neither occurs nor is predicted.
fn class_iou(sums: &[f64], classes: usize, class: usize) -> f64 {
    let [both, predicted, actual] = counts(sums, classes, class);
    both / (predicted + actual - both)
}

/// NaN for a class that neither occurs nor is predicted.
fn f1([both, predicted, actual]: [f64; 3]) -> f64 {
    2.0 * both / (predicted + actual)
}

/// Of those that are numbers; NaN where none is.
fn mean_defined(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.filter(|value| !value.is_nan()).fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

/// What is left of a sum of squares beyond this share is the rounding of the sum.
const ROUNDING: f64 = 1e-12;

/// From the mean of the squares and the mean; 0 where all values are the same.
fn variance(squares: f64, mean: f64) -> f64 {
    let variance = squares - mean * mean;
    if variance > ROUNDING * squares { variance } else { 0.0 }
}

/// NaN where all true values are the same.
fn r2(of: &[f64], samples: f64) -> f64 {
    let variance = variance(of[2] / samples, of[1] / samples);
    if variance > 0.0 { 1.0 - of[0] / samples / variance } else { f64::NAN }
}

/// Pearson's, or Lin's; NaN where all true values are the same, 0 where all predictions are.
fn correlation(of: &[f64], samples: f64, concordance: bool) -> f64 {
    let mean = |k: usize| of[k] / samples;
    let (truth, predicted) = (mean(0), mean(1));
    let (of_truth, of_predicted) = (variance(mean(2), truth), variance(mean(3), predicted));
    let together = mean(4) - truth * predicted;
    if of_truth == 0.0 {
        return f64::NAN;
    }
    match concordance {
        _ if of_predicted == 0.0 => 0.0,
        true => 2.0 * together / (of_truth + of_predicted + (truth - predicted).powi(2)),
        false => together / (of_truth * of_predicted).sqrt(),
    }
}
