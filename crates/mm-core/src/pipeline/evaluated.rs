//! What a model reached with each combination of sensors.

use crate::data::Schema;
use crate::eval::Evaluation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Standard deviations on either side of the mean that hold 95 % of a normal distribution.
const TWO_SIDED: f64 = 1.959_963_984_540_054;

/// What a model reached with each combination of sensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluated {
    /// Name of the score that heads the table.
    pub measure: String,
    /// By size of the combination.
    pub combinations: Vec<CombinationScore>,
}

/// What one combination reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CombinationScore {
    /// The combination, such as `rgb+depth`.
    pub combination: String,
    /// Samples that have all of it.
    pub samples: usize,
    /// All scores that the samples define, by name.
    pub scores: BTreeMap<String, f64>,
    /// 95 % interval of the score that heads the table, over samples (Wilson's for shares, else normal); none where that score is no mean
    /// over samples.
    pub interval: Option<[f64; 2]>,
}

impl CombinationScore {
    /// A score in digits; `-` where the samples do not define it.
    pub fn in_digits(&self, measure: &str) -> String {
        self.scores.get(measure).filter(|score| !score.is_nan()).map_or("-".into(), |score| format!("{score:.3}"))
    }
}

impl Evaluated {
    /// Of an evaluation.
    pub fn new(schema: &Schema, evaluation: &Evaluation) -> Self {
        let combinations = evaluation.combinations.iter().map(|c| {
            let outcomes: Vec<f64> = c.outcomes.iter().filter(|x| !x.is_nan()).map(|&x| f64::from(x)).collect();
            let mean = outcomes.iter().sum::<f64>() / outcomes.len() as f64;
            let is_mean = (mean - c.scored.get(evaluation.measure.name)).abs() < 1e-6;
            CombinationScore {
                combination: schema.modalities.format(c.subset),
                samples: c.scored.samples,
                scores: c
                    .scored
                    .values
                    .iter()
                    .filter(|(_, value)| !value.is_nan())
                    .map(|(name, value)| (name.to_string(), *value))
                    .collect(),
                interval: is_mean.then(|| interval(&outcomes)),
            }
        });
        Self { measure: evaluation.measure.name.into(), combinations: combinations.collect() }
    }

    /// The score that heads the table, of a combination by name.
    pub fn score(&self, combination: &str) -> Option<f64> {
        self.combinations.iter().find(|c| c.combination == combination)?.scores.get(&self.measure).copied()
    }
}

/// 95 % interval of a mean over samples.
fn interval(outcomes: &[f64]) -> [f64; 2] {
    let n = outcomes.len() as f64;
    let mean = outcomes.iter().sum::<f64>() / n;
    let z2 = TWO_SIDED * TWO_SIDED;
    if outcomes.iter().all(|x| *x == 0.0 || *x == 1.0) {
        let centre = (mean + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = TWO_SIDED / (1.0 + z2 / n) * (mean * (1.0 - mean) / n + z2 / (4.0 * n * n)).sqrt();
        return [centre - half, centre + half];
    }
    let variance = outcomes.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let half = TWO_SIDED * (variance / n).sqrt();
    [mean - half, mean + half]
}

impl fmt::Display for Evaluated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.combinations.iter().map(|c| c.combination.chars().count()).max().unwrap_or(0).max(11);
        writeln!(f, "{:longest$}  samples  {}", "combination", self.measure)?;
        for c in &self.combinations {
            write!(f, "{:longest$}  {:7}  {}", c.combination, c.samples, c.in_digits(&self.measure))?;
            match c.interval {
                Some([low, high]) => writeln!(f, " [{low:.3}, {high:.3}]")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
