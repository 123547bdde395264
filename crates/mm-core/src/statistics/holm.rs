//! Holm's correction for several comparisons, and what a comparison then says.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A difference counts as found below this adjusted p-value.
pub const LEVEL: f64 = 0.05;

/// P-values adjusted by Holm's step-down procedure: the chance of any false finding among all of them stays below the level.
/// A p-value that is not a number counts as 1.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let p = |i: usize| if p_values[i].is_nan() { 1.0 } else { p_values[i] };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p(a).total_cmp(&p(b)));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max((p_values.len() - rank) as f64 * p(i)).min(1.0);
        adjusted[i] = largest;
    }
    adjusted
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Higher, beyond what chance explains.
    Better,
    /// Lower, beyond what chance explains.
    Worse,
    /// Nothing that chance could not explain. That is not a proof of equality.
    NoDifferenceFound,
}

/// The verdict on a difference and its adjusted p-value.
pub fn verdict(difference: f64, adjusted_p: f64) -> Verdict {
    match adjusted_p < LEVEL {
        true if difference > 0.0 => Verdict::Better,
        true if difference < 0.0 => Verdict::Worse,
        _ => Verdict::NoDifferenceFound,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifferenceFound => "no difference found",
        })
    }
}
