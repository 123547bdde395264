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
        let precision = matches!(score, Score::AveragePrecision { .. });
        let mut orders: Vec<Vec<Ranked>> = (0..outputs).map(order).collect();
        // What speaks for one of two classes speaks against the other: the areas under both curves are one.
        if !precision && outputs == 2 && mirrored(&orders[0], &orders[1]) {
            orders.truncate(1);
        }
        Self { precision, orders }
    }

    /// The mean area, each row weighted; of classes and labels that have samples and others, NaN where none has.
    pub fn score(&self, weight: impl Fn(u32) -> f64) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for area in self.orders.iter().filter_map(|order| self.area(order, &weight)) {
            sum += area;
            count += 1.0;
        }
        sum / count
    }

    fn area(&self, order: &[Ranked], weight: &impl Fn(u32) -> f64) -> Option<f64> {
        match self.precision {
            true => areas(order, weight).finish().map(|(_, precision)| precision),
            false => roc(order, weight),
        }
    }
}

/// Whether two orders are of scores of which one falls where the other rises, and of samples of which each is positive in one of them.
fn mirrored(a: &[Ranked], b: &[Ranked]) -> bool {
    // Samples with one score stand in the order of their rows.
    let groups = |order: &'_ [Ranked]| order.chunk_by(|ranked, _| !ranked.last_of_ties).map(<[Ranked]>::to_vec).collect::<Vec<_>>();
    let (a, b) = (groups(a), groups(b));
    let opposite = |(a, b): (&Ranked, &Ranked)| a.row == b.row && a.positive != b.positive;
    a.len() == b.len() && a.iter().zip(b.iter().rev()).all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(opposite))
}

fn areas(order: &[Ranked], weight: &impl Fn(u32) -> f64) -> Areas {
    let (mut areas, mut n, mut p) = (Areas::default(), 0.0, 0.0);
    for ranked in order {
        let weight = weight(ranked.row);
        if ranked.positive {
            p += weight
        } else {
            n += weight
        }
        if ranked.last_of_ties {
            areas.step(n, p);
            (n, p) = (0.0, 0.0);
        }
    }
    areas
}

/// The area under the ROC curve as in [`Areas`], without the other one and without a branch that nobody can foresee: most of a report's time goes here.
fn roc(order: &[Ranked], weight: &impl Fn(u32) -> f64) -> Option<f64> {
    let (mut negatives, mut positives, mut pairs) = (0.0, 0.0, 0.0);
    let (mut n, mut p) = (0.0, 0.0);
    for ranked in order {
        let (weight, positive) = (weight(ranked.row), f64::from(u8::from(ranked.positive)));
        p += weight * positive;
        n += weight * (1.0 - positive);
        if ranked.last_of_ties {
            pairs += n * (positives + p / 2.0);
            negatives += n;
            positives += p;
            (n, p) = (0.0, 0.0);
        }
    }
    (negatives > 0.0 && positives > 0.0).then(|| pairs / (negatives * positives))
}

/// Both areas, from the highest score to the lowest.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Areas {
    negatives: f64,
    positives: f64,
    pairs: f64,
    precision: f64,
}

impl Areas {
    /// Adds the negatives and positives of the next score.
    pub fn step(&mut self, n: f64, p: f64) {
        // A positive beats what comes after it: each negative of this step is beaten by all before and half of its own.
        self.pairs += n * (self.positives + p / 2.0);
        self.negatives += n;
        self.positives += p;
        if p > 0.0 {
            self.precision += p * self.positives / (self.positives + self.negatives);
        }
    }

    /// Area under the ROC curve and average precision; `None` where all samples are of one kind.
    pub fn finish(&self) -> Option<(f64, f64)> {
        let Self { negatives, positives, pairs, precision } = *self;
        (negatives > 0.0 && positives > 0.0).then(|| (pairs / (negatives * positives), precision / positives))
    }
}
