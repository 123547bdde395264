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
/// Half the width of an interval that holds every accuracy and every difference of two.
const EVERYTHING: f64 = 2.0;

/// An estimate and how uncertain it is; made by [`super::Resamples::estimate`].
#[derive(Debug, Clone, Copy, PartialEq)]
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
        let half = if level <= self.finest_p() {
            EVERYTHING
        } else {
            let both = quantile(level, self.freedom) * self.variance.sqrt();
            both.max(OF_SAMPLES * quantile(level, self.samples as f64 - 1.0) * self.within.sqrt())
        };
        Interval { estimate: self.value, low: self.value - half, high: self.value + half }
    }

    /// Two-sided p-value of "it is 0".
    pub fn p(&self) -> f64 {
        let distance = self.value.abs();
        if distance <= ROUNDING {
            return 1.0;
        }
        let p = |variance: f64, freedom| if variance > 0.0 { tails(distance / variance.sqrt(), freedom) } else { 0.0 };
        let both = p(self.variance, self.freedom);
        both.max(p(OF_SAMPLES * OF_SAMPLES * self.within, self.samples as f64 - 1.0)).max(self.finest_p())
    }

    /// So often do so few samples all agree by chance: the p-value of the sign test. A resample of samples that agree does not vary,
    /// and its variance knows nothing of that.
    fn finest_p(&self) -> f64 {
        2f64.powi(1 - i32::try_from(self.samples.max(1)).unwrap_or(i32::MAX)).max(f64::MIN_POSITIVE)
    }
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
