//! How a trained cell does when sensors degrade.

use anyhow::{Context, Result};
use candle_core::Device;
use mm_core::Modalities;
use mm_core::corrupt::{Corruption, Family, Severity, apply, screen_non_finite};
use mm_core::data::{Batch, Dataset, NonFinite};
use mm_core::eval::{classification_metrics, spoof_metrics};
use mm_core::predict::{Predictor, check_logits};
use mm_report::result::{CleanResult, CorruptionResult, Excluded, Metrics};
use serde::{Deserialize, Serialize};

/// Samples per batch.
const BATCH: usize = 512;

/// One line of a plan: families and severities on some modalities.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorruptionEntry {
    families: Vec<Family>,
    /// 1 to 5; all by default.
    #[serde(default)]
    severities: Option<Vec<Severity>>,
    /// What is corrupted, such as `rgb+depth` or `all`.
    modalities: String,
}

impl CorruptionEntry {
    /// Every family at every severity.
    pub fn resolve(&self, modalities: &Modalities) -> Result<Vec<CorruptedSubset>> {
        let modalities = modalities.format(modalities.parse(&self.modalities)?);
        let severities: Vec<Severity> = self.severities.clone().unwrap_or_else(|| Severity::all().collect());
        let pairs = self.families.iter().flat_map(|&family| severities.iter().map(move |&severity| Corruption { family, severity }));
        Ok(pairs.map(|corruption| CorruptedSubset { corruption, modalities: modalities.clone() }).collect())
    }
}

/// One corruption of some modalities.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CorruptedSubset {
    corruption: Corruption,
    modalities: String,
}

impl std::fmt::Display for CorruptedSubset {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} of severity {} on {}", self.corruption.family.name(), u8::from(self.corruption.severity), self.modalities)
    }
}

/// The test samples of a cell with what predicts them.
struct Test<'a> {
    predictor: &'a dyn Predictor,
    data: &'a dyn Dataset,
    rows: &'a [usize],
    device: &'a Device,
}

/// Predictions with everything each sample has.
struct Predicted {
    metrics: Metrics,
    correct: String,
    excluded: Excluded,
    /// Sample-modality pairs.
    non_finite: usize,
}

/// Predicts the test samples with everything they have, as they are and under each corruption. A sample that has not what the model needs
/// is left out, and so is a corruption that leaves none. Nothing is predicted if there are no corruptions.
pub fn evaluate(
    predictor: &dyn Predictor,
    data: &dyn Dataset,
    rows: &[usize],
    corruptions: &[CorruptedSubset],
    seed: u64,
    device: &Device,
) -> Result<(Option<CleanResult>, Vec<CorruptionResult>)> {
    if corruptions.is_empty() {
        return Ok((None, Vec::new()));
    }
    let test = Test { predictor, data, rows, device };
    let clean = test.predicted(|batch| Ok(batch.clone()))?;
    let mut results = Vec::with_capacity(corruptions.len());
    for entry in corruptions {
        let subset = data.schema().modalities.parse(&entry.modalities)?;
        let predicted = test.predicted(|batch| apply(batch, entry.corruption, subset, seed)).with_context(|| format!("under {entry}"))?;
        results.extend(predicted.map(|p| CorruptionResult {
            corruption: entry.corruption.family.name().into(),
            severity: entry.corruption.severity.into(),
            subset: entry.modalities.clone(),
            metrics: p.metrics,
            correct: p.correct,
            excluded: p.excluded,
            non_finite: p.non_finite,
        }));
    }
    Ok((clean.map(|p| CleanResult { metrics: p.metrics, correct: p.correct, excluded: p.excluded }), results))
}

impl Test<'_> {
    /// Predicts what `change` makes of each batch; `None` if no sample is left.
    fn predicted(&self, change: impl Fn(&Batch) -> mm_core::Result<Batch>) -> Result<Option<Predicted>> {
        let classes = self.data.schema().target.classes();
        let (mut logits, mut labels, mut correct) = (Vec::new(), Vec::new(), String::new());
        let (mut excluded, mut non_finite) = (Excluded::default(), 0);
        for chunk in self.rows.chunks(BATCH) {
            let batch = change(&self.data.batch(chunk, self.device)?)?;
            let mut marks = vec!['-'; chunk.len()];
            match screen_non_finite(&batch, NonFinite::Absent) {
                Ok(screened) => {
                    non_finite += screened.non_finite;
                    excluded.non_finite += screened.excluded.len();
                    let positions: Vec<usize> = (0..chunk.len()).filter(|position| !screened.excluded.contains(position)).collect();
                    let presence = screened.batch.presence.subsets();
                    let usable: Vec<usize> = (0..presence.len()).filter(|&i| self.predictor.supports(presence[i])).collect();
                    excluded.unusable += presence.len() - usable.len();
                    if !usable.is_empty() {
                        let batch = screened.batch.select(&usable)?;
                        let predicted = self.predictor.predict(&batch)?.to_vec2::<f32>()?;
                        for ((row, label), &i) in predicted.into_iter().zip(batch.labels.to_vec1::<u32>()?).zip(&usable) {
                            let has = self.data.schema().modalities.format(presence[i]);
                            check_logits(&row, classes, &has, [chunk[positions[i]] as u64])?;
                            let best = (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
                            marks[positions[i]] = if best == label as usize { '1' } else { '0' };
                            logits.extend(row);
                            labels.push(label);
                        }
                    }
                }
                // No sample of the batch has a reading left.
                Err(mm_core::Error::NonFinite(_)) => {
                    non_finite += batch.presence.subsets().iter().map(|has| has.len()).sum::<usize>();
                    excluded.non_finite += chunk.len();
                }
                Err(other) => return Err(other.into()),
            }
            correct.extend(marks);
        }
        if labels.is_empty() {
            return Ok(None);
        }
        let metrics = classification_metrics(&logits, classes, &labels, 15)?;
        let spoof = (classes == 2).then(|| spoof_metrics(&logits, &labels)).transpose()?;
        Ok(Some(Predicted { metrics: super::run_cell::metrics(&metrics, spoof.as_ref()), correct, excluded, non_finite }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Tensor;
    use mm_core::Subset;
    use mm_core::predict::Predictions;
    use mm_testing::{clear_to_weak, clear_to_weak_schema, patterns};

    /// Says class 0, and needs the first modality.
    struct NeedsFirst;

    impl Predictor for NeedsFirst {
        fn predict(&self, batch: &Batch) -> mm_core::Result<Tensor> {
            assert!(batch.presence.subsets().iter().all(|&s| self.supports(s)));
            let row = [1f32, 0.0, 0.0].repeat(batch.len());
            Ok(Tensor::from_vec(row, (batch.len(), 3), &Device::Cpu)?)
        }

        fn predict_combinations(&self, _: &Batch, _: &[Subset]) -> mm_core::Result<Predictions> {
            unreachable!("corruptions are evaluated on what a sample has")
        }

        fn supports(&self, subset: Subset) -> bool {
            subset.contains(0)
        }
    }

    fn evaluated(data: &dyn Dataset, rows: &[usize], family: Family, modalities: &str) -> (Option<CleanResult>, Vec<CorruptionResult>) {
        let entry = CorruptionEntry { families: vec![family], severities: None, modalities: modalities.into() };
        let corruptions = entry.resolve(&data.schema().modalities).unwrap();
        evaluate(&NeedsFirst, data, rows, &corruptions, 0, &Device::Cpu).unwrap()
    }

    fn marks(data: &dyn Dataset, rows: &[usize]) -> Vec<String> {
        let (clean, results) = evaluated(data, rows, Family::Gaussian, "middle");
        clean.map(|r| r.correct).into_iter().chain(results.into_iter().map(|r| r.correct)).collect()
    }

    #[test]
    fn samples_that_a_model_cannot_use_are_left_out_at_every_severity() {
        let has = |i: usize| if i.is_multiple_of(2) { Subset::full(3) } else { Subset::single(1) };
        let data = patterns(clear_to_weak_schema(), 6, &[0.1; 3], has);
        assert_eq!(marks(&data, &[0, 1, 2, 3, 4, 5]), ["1-0-0-"; 6]);
        assert_eq!(marks(&data, &[1, 3]), Vec::<String>::new());
        assert_eq!(marks(&clear_to_weak(3, 0), &[0, 1, 2]), ["100"; 6]);
        let (clean, results) = evaluated(&data, &[0, 1, 2, 3, 4, 5], Family::Gaussian, "middle");
        assert!(results.iter().map(|r| r.excluded).chain([clean.unwrap().excluded]).all(|e| (e.unusable, e.non_finite) == (3, 0)));
    }

    #[test]
    fn samples_without_a_finite_reading_are_counted() {
        // At severity 5 every reading holds a NaN: nothing is left to predict from, and that is no failure of the cell.
        let (clean, results) = evaluated(&clear_to_weak(4, 0), &[0, 1, 2, 3], Family::NanBurst, "all");
        assert!(clean.is_some() && results.iter().all(|r| r.severity < 5));
        assert!(results.iter().any(|r| r.non_finite > 0));
    }
}
