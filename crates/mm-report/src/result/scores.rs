//! Scores of an evaluation, and the one that heads a report.

use super::CombinationResult;
use crate::words::capitalized;
use mm_core::data::{Schema, Target};
use mm_core::statistics::{Judging, Score};
use mm_core::task::{Measure, Scored};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The score that heads a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Its key in settings, such as `accuracy`.
    pub name: String,
    /// What readers call it.
    pub title: String,
    /// How it comes about from the numbers of samples.
    pub score: Score,
    /// Whether more is better.
    #[serde(default = "yes")]
    pub higher_is_better: bool,
    /// Whether it is a share, shown in percent.
    #[serde(default = "yes")]
    pub share: bool,
}

/// Of older results, which were all of this kind.
fn yes() -> bool {
    true
}

impl Default for Measured {
    fn default() -> Self {
        Self { name: "accuracy".into(), title: "accuracy".into(), score: Score::Mean, higher_is_better: true, share: true }
    }
}

impl Measured {
    /// A measure of a target by its name, by default the first; `None` for one that cannot head a report.
    pub fn of(target: &Target, name: Option<&str>) -> Option<Self> {
        let task = target.task();
        let measure = task.measures().iter().find(|measure| name.is_none_or(|name| measure.name == name))?;
        Some(Self::new(*measure, task.score(measure.name)?).titled(target))
    }

    /// Of two classes, the average precision is that of one: which one is told.
    fn titled(mut self, target: &Target) -> Self {
        if let (Some(class), "auprc", true) = (target.class_names().get(1), self.name.as_str(), target.is_two_classes()) {
            self.title = format!("{} of {class}", self.title);
        }
        self
    }

    fn new(measure: Measure, score: Score) -> Self {
        let Measure { name, title, higher_is_better, is_share, .. } = measure;
        Self { name: name.into(), title: title.into(), score, higher_is_better, share: is_share }
    }

    /// Whether every sample is right or wrong.
    pub fn is_marks(&self) -> bool {
        self.score == Score::Mean && self.share
    }

    /// How its differences are judged.
    pub fn judging(&self) -> Judging {
        Judging { higher_is_better: self.higher_is_better, share: self.share }
    }

    /// The larger the better.
    pub fn goodness(&self, score: f64) -> f64 {
        if self.higher_is_better { score } else { -score }
    }

    /// What readers call it, at the beginning of a sentence.
    pub fn heading(&self) -> String {
        capitalized(&self.title)
    }
}

impl From<&Schema> for Measured {
    fn from(schema: &Schema) -> Self {
        Self::new(schema.measure(), schema.score()).titled(&schema.target)
    }
}

/// What a score is made from, as a result keeps it: one character a sample, and the numbers behind them where those are more than right
/// and wrong.
pub fn marks(outcomes: &[f32], measure: &Measured) -> (String, Vec<f32>) {
    let score = measure.score;
    let mark = |numbers: &[f32]| match numbers {
        [first, ..] if first.is_nan() => '-',
        [0.0] if measure.is_marks() => '0',
        _ => '1',
    };
    let correct = outcomes.chunks_exact(score.width()).map(mark).collect();
    let sums = if measure.is_marks() { Vec::new() } else { outcomes.iter().map(|x| if x.is_nan() { 0.0 } else { *x }).collect() };
    (correct, sums)
}

/// Scores of one evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ReadMetrics")]
pub struct Metrics {
    /// Samples evaluated.
    pub samples: usize,
    /// The score that heads the report: [`CellResult::measure`](super::CellResult::measure).
    pub score: f64,
    /// All others, by name.
    #[serde(flatten)]
    pub values: BTreeMap<String, f64>,
    /// Error rates of two-class (attack 0, live 1) tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spoof: Option<SpoofMetrics>,
}

/// [`Metrics`] as files have them.
#[derive(Deserialize)]
struct ReadMetrics {
    samples: usize,
    score: Option<f64>,
    #[serde(flatten)]
    values: BTreeMap<String, f64>,
    #[serde(default)]
    spoof: Option<SpoofMetrics>,
}

impl TryFrom<ReadMetrics> for Metrics {
    type Error = &'static str;

    /// Older results called the score that heads the report by its name, which was always the accuracy.
    fn try_from(ReadMetrics { samples, score, mut values, spoof }: ReadMetrics) -> Result<Self, Self::Error> {
        let score = score.or_else(|| values.remove("accuracy")).ok_or("has neither `score` nor `accuracy`")?;
        Ok(Self { samples, score, values, spoof })
    }
}

/// Presentation-attack error rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SpoofMetrics {
    /// Attacks called live.
    pub apcer: f64,
    /// Live called attack.
    pub bpcer: f64,
    /// Mean of both.
    pub acer: f64,
}

/// The score over the combinations.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// Mean over the combinations.
    pub mean: f64,
    /// The lowest.
    pub worst: f64,
    /// Where it is.
    pub worst_subset: String,
    /// With all modalities; absent if that combination was not evaluated.
    pub full: Option<f64>,
    /// `full - worst`.
    pub gap: Option<f64>,
}

impl Metrics {
    /// Of what was scored; `measure` is what heads the report.
    pub fn new(scored: &Scored, measure: &Measured) -> Self {
        let spoof = || Some(SpoofMetrics { apcer: *scored.values.get("apcer")?, bpcer: scored.get("bpcer"), acer: scored.get("acer") });
        let others = scored.values.iter().filter(|(name, _)| **name != measure.name && !SPOOF.contains(name));
        // What is not defined, as the area under the curve of samples of one class, is not known.
        let others = others.filter(|(_, value)| !value.is_nan());
        Self {
            samples: scored.samples,
            score: scored.get(&measure.name),
            values: others.map(|(name, value)| (name.to_string(), *value)).collect(),
            spoof: spoof(),
        }
    }

    /// One of the other scores; NaN where it is not known.
    pub fn get(&self, name: &str) -> f64 {
        self.values.get(name).copied().unwrap_or(f64::NAN)
    }
}

/// The scores of [`SpoofMetrics`].
const SPOOF: [&str; 3] = ["apcer", "bpcer", "acer"];

impl Summary {
    /// Means over the combinations; nothing if there are none. `full` is the combination of all modalities as text.
    pub fn of(combinations: &[CombinationResult], full: &str, measure: &Measured) -> Option<Self> {
        let goodness = |c: &CombinationResult| measure.goodness(c.metrics.score);
        let worst = combinations.iter().min_by(|a, b| goodness(a).total_cmp(&goodness(b)))?;
        let full = combinations.iter().find(|c| c.subset == full).map(|c| c.metrics.score);
        Some(Self {
            mean: combinations.iter().map(|c| c.metrics.score).sum::<f64>() / combinations.len() as f64,
            worst: worst.metrics.score,
            worst_subset: worst.subset.clone(),
            full,
            gap: full.map(|full| measure.goodness(full) - goodness(worst)),
        })
    }
}
