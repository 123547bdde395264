//! What an evaluation says in numbers.

use crate::data::TargetValue;
use crate::error::Result;
use std::collections::BTreeMap;

/// One number of an evaluation, and its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Its key in results and settings.
    pub name: &'static str,
    /// What readers call it.
    pub title: &'static str,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// Whether it is a share of what is possible, 1 at best: shown in percent, its differences in percentage points.
    pub is_share: bool,
    /// What it is, in a sentence.
    pub meaning: &'static str,
}

impl Measure {
    /// A share of what is possible.
    pub const fn share(name: &'static str, title: &'static str, meaning: &'static str) -> Self {
        Self { name, title, higher_is_better: true, is_share: true, meaning }
    }

    /// A number of its own that is 1 at best and 0 where nothing was found out.
    pub const fn coefficient(name: &'static str, title: &'static str, meaning: &'static str) -> Self {
        Self { name, title, higher_is_better: true, is_share: false, meaning }
    }

    /// An error in a unit of its own: the lower the better.
    pub const fn error(name: &'static str, title: &'static str, meaning: &'static str) -> Self {
        Self { name, title, higher_is_better: false, is_share: false, meaning }
    }
}

/// Scores of many samples, fed one by one: nothing of the size of all predictions is kept.
pub trait Scores: Send {
    /// Adds a sample; appends its numbers for the score that was asked for (for accuracy 1 for right, 0 for wrong).
    fn add(&mut self, prediction: &[f32], target: &TargetValue, numbers: &mut Vec<f32>) -> Result<()>;

    /// From which probability on the second of two classes counts as predicted; without it the likelier one does.
    fn decide_at(&mut self, _threshold: f64) {}

    /// What was reached.
    fn finish(&self) -> Scored;
}

/// What some samples reached.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scored {
    /// Samples.
    pub samples: usize,
    /// By [`Measure::name`]; a measure that the samples do not define (no sample of a class) is left out.
    pub values: BTreeMap<&'static str, f64>,
    /// The same of each label or number alone, in order; empty where the target is a class.
    pub outputs: Vec<BTreeMap<&'static str, f64>>,
    /// `confusion[true][predicted]`; empty where the target is no one class.
    pub confusion: Vec<Vec<u64>>,
}

impl Scored {
    /// A measure by name; NaN where it is not defined.
    pub fn get(&self, measure: &str) -> f64 {
        self.values.get(measure).copied().unwrap_or(f64::NAN)
    }
}

/// The mean of each measure over labels or numbers; what one of them does not define is left out.
pub(super) fn means(outputs: &[BTreeMap<&'static str, f64>]) -> BTreeMap<&'static str, f64> {
    let names = outputs.first().into_iter().flat_map(|of| of.keys().copied());
    let mean = |name: &'static str| Some((name, outputs.iter().map(|of| of.get(name)).sum::<Option<f64>>()? / outputs.len() as f64));
    names.filter_map(mean).collect()
}
