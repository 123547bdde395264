//! The truth of each sample, and who says so.

use super::data_set::At;
use crate::result::CellResult;
use mm_core::statistics::Score;

/// A number of 32 bits is the same as one with more digits.
const TOLERANCE: f64 = f32::EPSILON as f64;

/// Who said something.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    File(At),
    Result(usize),
}

/// The truths of the samples of a data set, by number. One is the position of a class, 1 or 0 of each label, each number, or how many
/// pixels are of each class.
#[derive(Default)]
pub struct Truths(Vec<Option<(Box<[f64]>, Source)>>);

/// What was said of a sample before.
pub struct Contradiction {
    /// Which number differs.
    pub at: usize,
    /// What it was.
    pub other: f64,
    pub source: Source,
}

impl Truths {
    /// Makes room for one sample more.
    pub fn push(&mut self) {
        self.0.push(None);
    }

    /// That of a sample, if it is known.
    pub fn of(&self, sample: usize) -> Option<&[f64]> {
        self.0.get(sample)?.as_ref().map(|(truth, _)| &**truth)
    }

    /// All that are known.
    pub fn known(&self) -> impl Iterator<Item = &[f64]> {
        self.0.iter().flatten().map(|(truth, _)| &**truth)
    }

    /// Keeps the truth of a sample of which none was known; otherwise finds what differs.
    pub fn note(&mut self, sample: usize, truth: &[f64], source: Source) -> Option<Contradiction> {
        let (known, source) = self.0.get_mut(sample)?.get_or_insert_with(|| (truth.into(), source));
        let differs = |(a, b): (&f64, &f64)| (a - b).abs() > TOLERANCE * a.abs().max(b.abs());
        let at = known.iter().zip(truth).position(differs)?;
        Some(Contradiction { at, other: known[at], source: *source })
    }
}

/// The truths of a finished cell, in the order of its test samples.
pub fn of_result(result: &CellResult) -> Vec<Option<Vec<f64>>> {
    if let Some(classes) = &result.truths {
        return classes.iter().map(|class| Some(vec![f64::from(*class)])).collect();
    }
    if !result.true_outputs.is_empty() {
        return result.true_outputs.iter().cloned().map(Some).collect();
    }
    // The last numbers of a sample say how many pixels are of each class, and in results of an older version which labels hold.
    let of_labels = !result.outputs.is_empty();
    let of_truth = match result.measure.score {
        Score::MeanIou { classes } | Score::ClassIou { classes, .. } => classes,
        Score::MeanF1 { classes } | Score::MicroF1 { classes } if of_labels => classes,
        Score::AreaUnderRoc { outputs } | Score::AveragePrecision { outputs } if of_labels => outputs,
        _ => return Vec::new(),
    };
    let width = result.measure.score.width();
    let mut truths = vec![None; result.test_samples];
    for combination in &result.combinations {
        let of_samples = combination.correct.bytes().zip(combination.sums.chunks_exact(width));
        for (truth, (_, numbers)) in truths.iter_mut().zip(of_samples).filter(|(_, (mark, _))| *mark != b'-') {
            truth.get_or_insert_with(|| numbers[width - of_truth..].iter().map(|x| f64::from(*x)).collect());
        }
    }
    truths
}
