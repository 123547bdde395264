//! Intervals and p-values of an estimate.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// A difference counts as found below this p-value; intervals are right in all but this share of the cases.
pub const LEVEL: f64 = 0.05;
/// Above this many degrees of freedom, Student's t is normal.
const MANY: f64 = 1e6;
/// An interval is at least this part of the one that the samples alone make: few seeds that agree by chance do not make the samples
/// certain. The whole would be too careful where seeds differ in nothing but their samples.
const OF_SAMPLES: f64 = 0.5;
/// Estimates below this are rounding.
const ROUNDING: f64 = 1e-12;
/// Above this many samples, their agreement by chance is below any level.
pub(super) const CERTAIN: usize = 64;

/// An estimate and how uncertain it is; made by [`super::Resamples::estimate`].
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The value on all seeds and samples.
    pub value: f64,
    /// Variance over seeds and samples.
    pub variance: f64,
    /// Degrees of freedom of that variance.
    pub freedom: f64,
    /// Variance over the choice of samples, for the seeds as they are.
    pub within: f64,
    /// Distinct samples behind it.
    pub samples: usize,
    /// Accuracies in it that stand on few samples: how many, and how far the value moves with the accuracy.
    ///
    /// Samples that agree do not vary from resample to resample, so the variances know nothing of such an accuracy. `n` samples all agree
    /// by chance with a probability of `2^(1 - n)` (the sign test); at a lower level it may be anything from 0 to 1.
    pub few: Vec<(usize, f64)>,
}

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The value on all seeds and samples.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Estimate {
    /// The interval that misses the true value in a share `level` of the cases: it leaves out 0 just where [`Self::p`] is below it.
    pub fn interval(&self, level: f64) -> Interval {
        let both = quantile(level, self.freedom) * self.variance.sqrt();
        let samples = OF_SAMPLES * quantile(level, self.samples as f64 - 1.0) * self.within.sqrt();
        let unknown: f64 = self.few.iter().filter(|(n, _)| level <= by_chance(*n)).map(|(_, weight)| weight).sum();
        let half = both.max(samples) + unknown;
        Interval { estimate: self.value, low: self.value - half, high: self.value + half }
    }

    /// Two-sided p-value of "it is 0".
    pub fn p(&self) -> f64 {
        let mut few = self.few.clone();
        few.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
        let mut unknown: f64 = few.iter().map(|(_, weight)| weight).sum();
        // Level by level: between the chances of two accuracies, what is unknown is the same.
        let mut above: f64 = 0.0;
        for (n, weight) in few {
            let p = self.tails(self.value.abs() - unknown).max(above);
            if p < by_chance(n) {
                return p;
            }
            above = by_chance(n);
            unknown -= weight;
        }
        self.tails(self.value.abs() - unknown.max(0.0)).max(above)
    }

    /// How often an estimate is so far from the true value.
    fn tails(&self, distance: f64) -> f64 {
        if distance <= ROUNDING {
            return 1.0;
        }
        let p = |variance: f64, freedom| if variance > 0.0 { tails(distance / variance.sqrt(), freedom) } else { 0.0 };
        p(self.variance, self.freedom).max(p(OF_SAMPLES * OF_SAMPLES * self.within, self.samples as f64 - 1.0))
    }
}

/// How often so many samples all agree by chance.
fn by_chance(samples: usize) -> f64 {
    0.5f64.powi(samples.clamp(1, CERTAIN) as i32 - 1)
}

/// Student's t, or a normal where that is the same; `None` for the latter.
fn students_t(freedom: f64) -> Option<StudentsT> {
    if freedom < MANY { StudentsT::new(0.0, 1.0, freedom.max(1.0)).ok() } else { None }
}

/// The distance from the middle that a share `level` lies beyond, on both sides together.
fn quantile(level: f64, freedom: f64) -> f64 {
    let below = 1.0 - level / 2.0;
    students_t(freedom).map_or_else(|| Normal::standard().inverse_cdf(below), |t| t.inverse_cdf(below))
}

/// The share beyond a distance from the middle, on both sides together.
fn tails(distance: f64, freedom: f64) -> f64 {
    2.0 * students_t(freedom).map_or_else(|| Normal::standard().sf(distance), |t| t.sf(distance))
}
