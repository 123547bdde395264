//! Areas under curves of weighted samples: sorted once, then added up for any number of resamples.

use super::Score;

/// Samples in the order of what speaks for each class or label.
#[derive(Debug, Clone)]
pub(super) struct Ranks {
    precision: bool,
    /// By class or label.
    orders: Vec<Vec<Ranked>>,
}

/// A sample in the order of one class or label.
#[derive(Debug, Clone, Copy)]
struct Ranked {
    row: u32,
    positive: bool,
    /// Whether the next sample has a lower score.
    last_of_ties: bool,
}

impl Ranks {
    /// Of rows as an area's [`Score`] has them; rows without numbers are left out.
    pub fn new(score: Score, rows: &[&[f32]]) -> Self {
        let outputs = score.width() / 2;
        let order = |output: usize| {
            let mut order: Vec<u32> = (0..rows.len() as u32).filter(|&row| !rows[row as usize].is_empty()).collect();
            let of = |row: u32| rows[row as usize][output];
            order.sort_by(|&a, &b| of(b).total_cmp(&of(a)));
            let ranked = order.iter().enumerate().map(|(at, &row)| Ranked {
                row,
                positive: rows[row as usize][outputs + output] > 0.5,
                last_of_ties: order.get(at + 1).is_none_or(|&next| of(next) != of(row)),
            });
            ranked.collect()
        };
        Self { precision: matches!(score, Score::AveragePrecision { .. }), orders: (0..outputs).map(order).collect() }
    }

    /// The mean area with each of several weightings of the rows; of classes and labels that have samples and others, NaN where none has.
    pub fn scores<const LANES: usize>(&self, weights: impl Fn(u32) -> [f64; LANES]) -> [f64; LANES] {
        let mut means = [(0.0, 0.0); LANES];
        for order in &self.orders {
            for ((sum, count), area) in means.iter_mut().zip(self.areas(order, &weights)) {
                if let Some(area) = area {
                    *sum += area;
                    *count += 1.0;
                }
            }
        }
        means.map(|(sum, count)| sum / count)
    }

    fn areas<const LANES: usize>(&self, order: &[Ranked], weights: &impl Fn(u32) -> [f64; LANES]) -> [Option<f64>; LANES] {
        if self.precision {
            let mut areas = [Areas::default(); LANES];
            steps(order, weights, |lane, n, p| areas[lane].step(n, p));
            return areas.map(|areas| areas.finish().map(|(_, precision)| precision));
        }
        let mut rocs = [Roc::default(); LANES];
        steps(order, weights, |lane, n, p| rocs[lane].step(n, p));
        rocs.map(|roc| roc.finish())
    }
}

/// The negatives and positives of each score and weighting, from the highest score to the lowest.
fn steps<const LANES: usize>(order: &[Ranked], weights: &impl Fn(u32) -> [f64; LANES], mut step: impl FnMut(usize, f64, f64)) {
    let (mut all, mut p) = ([0.0; LANES], [0.0; LANES]);
    for ranked in order {
        // Nobody can foresee which of both it is: a product is cheaper than a branch.
        let (weights, positive) = (weights(ranked.row), f64::from(u8::from(ranked.positive)));
        for lane in 0..LANES {
            all[lane] += weights[lane];
            p[lane] += weights[lane] * positive;
        }
        if ranked.last_of_ties {
            (0..LANES).for_each(|lane| step(lane, all[lane] - p[lane], p[lane]));
            (all, p) = ([0.0; LANES], [0.0; LANES]);
        }
    }
}

/// The area under the ROC curve.
#[derive(Debug, Clone, Copy, Default)]
struct Roc {
    negatives: f64,
    positives: f64,
    pairs: f64,
}

impl Roc {
    fn step(&mut self, n: f64, p: f64) {
        // A positive beats what comes after it: each negative of this step is beaten by all before and half of its own.
        self.pairs += n * (self.positives + p / 2.0);
        self.negatives += n;
        self.positives += p;
    }

    fn finish(&self) -> Option<f64> {
        (self.negatives > 0.0 && self.positives > 0.0).then(|| self.pairs / (self.negatives * self.positives))
    }
}

/// Both areas, from the highest score to the lowest.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Areas {
    roc: Roc,
    precision: f64,
}

impl Areas {
    /// Adds the negatives and positives of the next score.
    pub fn step(&mut self, n: f64, p: f64) {
        self.roc.step(n, p);
        if p > 0.0 {
            self.precision += p * self.roc.positives / (self.roc.positives + self.roc.negatives);
        }
    }

    /// Area under the ROC curve and average precision; `None` where all samples are of one kind.
    pub fn finish(&self) -> Option<(f64, f64)> {
        self.roc.finish().map(|roc| (roc, self.precision / self.roc.positives))
    }
}
