//! Scores that samples do not define, such as the R² of true values that are all the same: what they would be of is left out.

use super::{CellResult, CombinationResult, Excluded, Measured, Metrics, NotEvaluated, Summary};
use std::collections::BTreeMap;

impl Measured {
    /// Whether samples were evaluated and do not define the score.
    pub fn is_undefined(&self, correct: &str, sums: &[f32]) -> bool {
        let width = self.score.width();
        // Of marks every sample defines it; sums of another length are refused where they are read.
        if self.is_marks() || sums.is_empty() || sums.len() != correct.len() * width {
            return false;
        }
        let evaluated = sums.chunks_exact(width).zip(correct.bytes()).filter(|(_, mark)| *mark != b'-');
        let numbers: Vec<f32> = evaluated.flat_map(|(numbers, _)| numbers).copied().collect();
        !numbers.is_empty() && self.score.of_all(&numbers).is_nan()
    }
}

impl CellResult {
    /// Without the situations whose samples do not define the score, each of which is named in the remarks on the data.
    pub fn with_defined_scores(mut self) -> Self {
        let measure = self.measure.clone();
        let is_undefined = |metrics: &Metrics, correct: &str, sums: &[f32]| {
            metrics.samples > 0 && metrics.score.is_nan() || measure.is_undefined(correct, sums)
        };
        let mut left_out = Vec::new();
        let (undefined, combinations): (Vec<CombinationResult>, Vec<CombinationResult>) =
            self.combinations.into_iter().partition(|c| is_undefined(&c.metrics, &c.correct, &c.sums));
        self.combinations = combinations;
        for CombinationResult { subset, metrics, excluded, .. } in undefined {
            left_out.push(format!("of {subset} is not defined on its {} test samples", metrics.samples));
            let excluded = Excluded { unusable: metrics.samples, ..excluded };
            self.not_evaluated.push(NotEvaluated { subset, excluded, undefined: true });
        }
        if !left_out.is_empty() {
            self.summary = Summary::of(&self.combinations, &self.modalities.join("+"), &measure);
        }
        if self.clean.as_ref().is_some_and(|c| is_undefined(&c.metrics, &c.correct, &c.sums)) {
            self.clean = None;
            left_out.push("with clean sensors, beside degraded ones, is not defined on the test samples".into());
        }
        let mut severities: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        self.corruptions.retain(|c| {
            let undefined = is_undefined(&c.metrics, &c.correct, &c.sums);
            if undefined {
                severities.entry((c.corruption.clone(), c.subset.clone())).or_default().push(c.severity.to_string());
            }
            !undefined
        });
        left_out.extend(severities.into_iter().map(|((corruption, subset), severities)| {
            format!("under {corruption} on {subset}, severity {}, is not defined on the test samples", severities.join(", "))
        }));
        if self.available.as_ref().is_some_and(|a| is_undefined(&a.metrics, &a.correct, &a.sums)) {
            self.available = None;
            left_out.push("with the sensors that each sample has is not defined on the test samples".into());
        }
        if let Some(available) = &mut self.available {
            available.removed.retain(|removed| !removed.metrics.score.is_nan());
        }
        let title = &measure.title;
        let remark = |what: String| format!("the {title} {what} (their truths may all be the same): it is left out");
        self.data_remarks.extend(left_out.into_iter().map(remark));
        self
    }
}
