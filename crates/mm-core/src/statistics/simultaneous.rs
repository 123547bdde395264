//! Several differences judged together, and what each then says.
//!
//! The chance of any false finding among them stays below the level: each has the interval of a level that is divided by their
//! number (Bonferroni; Dunn 1961). A verdict is read off the interval, so that the two cannot contradict each other. Holm's step-down would
//! find a little more, but the intervals that belong to it end at 0 for whatever it finds and say no more than the verdict
//! (Strassburger and Bretz 2008). The correlation of the differences is not used: between a few seeds it cannot be estimated, and what a
//! few seeds show of it is too much.

use super::{Estimate, Interval, LEVEL};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Ends of intervals nearer to 0 than this are 0: nobody could see the difference.
const RESOLUTION: f64 = 1e-6;

/// A difference of two methods, judged together with others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The difference; the intervals of all that are judged together hold at once in 95 % of the cases.
    pub interval: Interval,
    /// Two-sided p-value of "no difference", for this one alone.
    pub p: f64,
    /// The same, corrected for how many are judged together.
    pub adjusted_p: f64,
    /// What the interval says.
    pub verdict: Verdict,
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The interval lies above 0.
    Better,
    /// The interval lies below 0.
    Worse,
    /// The interval holds 0: nothing that chance could not explain. That is not a proof of equality.
    NoDifferenceFound,
}

/// What a score is, as far as judging its differences goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judging {
    /// Whether more is better.
    pub higher_is_better: bool,
    /// Whether it is a share: no difference is larger than 1 then, and one nearer to 0 than a millionth is none.
    pub share: bool,
}

/// Judges differences of shares together, of which more is better.
pub fn simultaneous(differences: &[Estimate]) -> Vec<Difference> {
    judged(differences, Judging { higher_is_better: true, share: true })
}

/// Judges differences of any score together.
pub fn judged(differences: &[Estimate], judging: Judging) -> Vec<Difference> {
    let number = differences.len() as f64;
    let end = |x: f64| match judging.share {
        true if x.abs() < RESOLUTION => 0.0,
        true => x.clamp(-1.0, 1.0),
        false => x,
    };
    let judge = |difference: &Estimate| {
        let Interval { estimate, low, high } = difference.interval(LEVEL / number);
        let interval = Interval { estimate, low: end(low), high: end(high) };
        let p = difference.p();
        let verdict = match Verdict::of(&interval) {
            Verdict::Better if !judging.higher_is_better => Verdict::Worse,
            Verdict::Worse if !judging.higher_is_better => Verdict::Better,
            verdict => verdict,
        };
        Difference { interval, p, adjusted_p: (number * p).min(1.0), verdict }
    };
    differences.iter().map(judge).collect()
}

impl Verdict {
    /// What the interval of a difference says.
    pub fn of(interval: &Interval) -> Self {
        match interval {
            i if i.low > 0.0 => Self::Better,
            i if i.high < 0.0 => Self::Worse,
            _ => Self::NoDifferenceFound,
        }
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
