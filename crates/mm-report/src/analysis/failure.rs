//! The mean over combinations as often as they occur where each sensor fails at a given rate.

use super::outcomes::Situation;
use super::{Error, FailureRates};
use crate::result::CellResult;
use mm_core::Subset;

/// What is wrong with failure rates for data with these sensors.
pub fn check_failure(given: &FailureRates, modalities: &[String]) -> Result<(), String> {
    for (name, rate) in given {
        if !modalities.contains(name) {
            return Err(format!("`failure` names the sensor `{name}`, but the data has {}", modalities.join(", ")));
        }
        if !(0.0..1.0).contains(rate) {
            return Err(format!("`failure` of `{name}` is {rate}; a rate is at least 0 and below 1"));
        }
    }
    Ok(())
}

/// How often each sensor fails, by position.
pub struct Rates(Vec<f64>);

/// Weights of some combinations, adding up to 1.
pub struct Weights {
    /// Of each that occurs at all.
    pub terms: Vec<(Situation, f64)>,
    /// The share of all cases that these combinations are.
    pub covered: f64,
}

impl Rates {
    /// Those given for this data by name; sensors that are not named never fail.
    pub fn new(given: &FailureRates, first: &CellResult) -> Result<Self, Error> {
        check_failure(given, &first.modalities).map_err(|problem| Error::Failure { data: first.data.clone(), problem })?;
        Ok(Self(first.modalities.iter().map(|name| given.get(name).copied().unwrap_or(0.0)).collect()))
    }

    /// How often a combination is what is left, given that something is: sensors fail independently.
    fn probability(&self, subset: Subset) -> f64 {
        let of_sensor = |(m, rate): (usize, &f64)| if subset.contains(m) { 1.0 - rate } else { *rate };
        let all_fail: f64 = self.0.iter().product();
        self.0.iter().enumerate().map(of_sensor).product::<f64>() / (1.0 - all_fail)
    }

    /// The weights of these combinations; `None` if none of them ever occurs.
    pub fn weights(&self, subsets: &[Subset]) -> Option<Weights> {
        let occurring = subsets.iter().map(|s| (*s, self.probability(*s))).filter(|(_, p)| *p > 0.0);
        let occurring: Vec<(Subset, f64)> = occurring.collect();
        let covered: f64 = occurring.iter().map(|(_, p)| p).sum();
        (covered > 0.0).then(|| Weights {
            terms: occurring.into_iter().map(|(s, p)| (Situation::Only(s), p / covered)).collect(),
            covered: covered.min(1.0),
        })
    }

    /// With the names of the sensors.
    pub fn named(&self, first: &CellResult) -> Vec<(String, f64)> {
        first.modalities.iter().cloned().zip(self.0.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_by_hand() {
        // Two sensors, failing in one of ten and three of ten cases: .63 both, .27 the first alone, .07 the second, .03 nothing.
        let rates = Rates(vec![0.1, 0.3]);
        let [first, second, both] = [1, 2, 3].map(|bits| Subset::from_bits(bits).expect("subset"));
        let all = rates.weights(&[first, second, both]).expect("weights");
        let expected = [0.27 / 0.97, 0.07 / 0.97, 0.63 / 0.97];
        assert!(all.terms.iter().zip(expected).all(|((_, w), e)| (w - e).abs() < 1e-12) && (all.covered - 1.0).abs() < 1e-12);
        let some = rates.weights(&[first, both]).expect("weights");
        assert!((some.covered - 0.9 / 0.97).abs() < 1e-12 && (some.terms[0].1 - 0.3).abs() < 1e-12);
        // A sensor that never fails is in every combination that occurs.
        let sure = Rates(vec![0.0, 0.3]);
        assert_eq!(sure.weights(&[first, second, both]).expect("weights").terms.len(), 2);
        assert!(sure.weights(&[second]).is_none());
    }
}
