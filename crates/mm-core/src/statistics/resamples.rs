//! One resampled statistic: its interval, and its difference to another.
//!
//! Resampling `S` seeds with replacement gives `(S - 1) / S` of the variance between them, and the tails of a normal
//! distribution where so few seeds have those of Student's t. With three seeds that would call one in four differences real
//! that are not, if training varies more than the choice of test samples does. So intervals and p-values are corrected: the
//! share of the seeds in the variance is scaled by `S / (S - 1)`, and the quantiles are those of Student's t with the degrees of
//! freedom of Welch and Satterthwaite (`S - 1` if the seeds are all of the variance, many more if they are little of it).
//! With one seed there is nothing to correct with: the interval covers the choice of samples only.

use super::{mean, standard_deviation};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Standard deviations below this are rounding.
const ROUNDING: f64 = 1e-12;
/// The quantile of a normal distribution that bounds the middle 95 %.
const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;
/// Above this many degrees of freedom, Student's t is normal.
const MANY: f64 = 1e6;

/// A statistic with all its resamples.
#[derive(Debug, Clone, PartialEq)]
pub struct Resamples {
    /// Mean over the seeds.
    estimate: f64,
    /// The statistic of each seed.
    seeds: Vec<f64>,
    values: Vec<f64>,
}

/// An estimate with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The value on all seeds and samples.
    pub estimate: f64,
    /// 2.5th percentile of the resamples.
    pub low: f64,
    /// 97.5th percentile of the resamples.
    pub high: f64,
}

/// A difference of two methods.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The difference and its interval.
    pub interval: Interval,
    /// Two-sided p-value of "no difference", never below `2 / (resamples + 1)`.
    pub p: f64,
}

/// The uncertainty of an estimate.
struct Uncertainty {
    /// As the resamples have it.
    resampled: f64,
    /// Corrected for the number of seeds.
    standard_error: f64,
    /// Student's t with its degrees of freedom.
    distribution: Option<StudentsT>,
}

impl Resamples {
    pub(super) fn new(seeds: Vec<f64>, values: Vec<f64>) -> Self {
        Self { estimate: mean(&seeds), seeds, values }
    }

    /// The value on all seeds and samples.
    pub fn estimate(&self) -> f64 {
        self.estimate
    }

    /// The middle 95 % of the resamples, stretched from the estimate for the number of seeds.
    pub fn interval(&self) -> Interval {
        let mut values = self.values.clone();
        let (low, high) = (percentile(&mut values, 0.025), percentile(&mut values, 0.975));
        let Uncertainty { resampled, standard_error, distribution } = self.uncertainty();
        let quantile = distribution.map_or(NORMAL_QUANTILE, |t| t.inverse_cdf(0.975));
        let stretch = if resampled > ROUNDING { standard_error / resampled * quantile / NORMAL_QUANTILE } else { 1.0 };
        let stretched = |bound: f64| self.estimate + (bound - self.estimate) * stretch;
        Interval { estimate: self.estimate, low: stretched(low), high: stretched(high) }
    }

    /// Resample by resample, this minus another statistic of the same draws.
    pub fn minus(&self, other: &Resamples) -> Resamples {
        let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        Resamples::new(minus(&self.seeds, &other.seeds), minus(&self.values, &other.values))
    }

    /// The difference to another statistic of the same draws.
    pub fn difference(&self, other: &Resamples) -> Difference {
        let difference = self.minus(other);
        let Uncertainty { standard_error, distribution, .. } = difference.uncertainty();
        let distance = difference.estimate.abs();
        let p = match distribution {
            _ if distance <= ROUNDING => 1.0,
            _ if standard_error <= ROUNDING => 0.0,
            Some(t) => 2.0 * t.sf(distance / standard_error),
            None => 2.0 * Normal::standard().sf(distance / standard_error),
        };
        let finest = 2.0 / (difference.values.len() + 1) as f64;
        Difference { p: p.clamp(finest.min(1.0), 1.0), interval: difference.interval() }
    }

    fn uncertainty(&self) -> Uncertainty {
        let resampled = standard_deviation(&self.values).unwrap_or(0.0);
        let seeds = self.seeds.len() as f64;
        let between = standard_deviation(&self.seeds).unwrap_or(0.0).powi(2) / seeds;
        if between.sqrt() <= ROUNDING {
            return Uncertainty { resampled, standard_error: resampled, distribution: None };
        }
        let within = (resampled * resampled - between * (seeds - 1.0) / seeds).max(0.0);
        let freedom = (seeds - 1.0) * (1.0 + within / between).powi(2);
        let distribution = if freedom < MANY { StudentsT::new(0.0, 1.0, freedom).ok() } else { None };
        Uncertainty { resampled, standard_error: (between + within).sqrt(), distribution }
    }
}

/// Linear interpolation between the two nearest of the sorted values.
fn percentile(values: &mut [f64], share: f64) -> f64 {
    let position = share * (values.len() - 1) as f64;
    let (_, &mut low, above) = values.select_nth_unstable_by(position as usize, f64::total_cmp);
    let high = above.iter().copied().reduce(f64::min).unwrap_or(low);
    low + (high - low) * position.fract()
}
