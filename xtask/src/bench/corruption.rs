//! How a trained cell does when sensors degrade.

use crate::result::CorruptionResult;
use anyhow::Result;
use candle_core::Device;
use mm_core::Modalities;
use mm_core::corrupt::{Corruption, Family, Severity, apply, screen_non_finite};
use mm_core::data::{Dataset, NonFinite};
use mm_core::eval::{classification_metrics, spoof_metrics};
use mm_core::predict::Predictor;
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

/// Predicts the test samples with everything they have, under each corruption. A sample that has not what the model needs is left out,
/// and so is a corruption that leaves none.
pub fn evaluate(
    predictor: &dyn Predictor,
    data: &dyn Dataset,
    rows: &[usize],
    corruptions: &[CorruptedSubset],
    seed: u64,
    device: &Device,
) -> Result<Vec<CorruptionResult>> {
    let schema = data.schema();
    let classes = schema.target.classes();
    let mut results = Vec::with_capacity(corruptions.len());
    for entry in corruptions {
        let subset = schema.modalities.parse(&entry.modalities)?;
        let (mut logits, mut labels, mut correct, mut non_finite) = (Vec::new(), Vec::new(), String::new(), 0);
        for chunk in rows.chunks(BATCH) {
            let batch = apply(&data.batch(chunk, device)?, entry.corruption, subset, seed)?;
            let screened = screen_non_finite(&batch, NonFinite::Absent)?;
            non_finite += screened.non_finite;
            let screened_positions: Vec<usize> = (0..chunk.len()).filter(|position| !screened.excluded.contains(position)).collect();
            let presence = screened.batch.presence.subsets();
            let usable: Vec<usize> = (0..presence.len()).filter(|&i| predictor.supports(presence[i])).collect();
            let mut marks = vec!['-'; chunk.len()];
            if !usable.is_empty() {
                let batch = screened.batch.select(&usable)?;
                let predicted = predictor.predict(&batch)?.to_vec2::<f32>()?;
                for ((row, label), &i) in predicted.into_iter().zip(batch.labels.to_vec1::<u32>()?).zip(&usable) {
                    let best = (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
                    marks[screened_positions[i]] = if best == label as usize { '1' } else { '0' };
                    logits.extend(row);
                    labels.push(label);
                }
            }
            correct.extend(marks);
        }
        if labels.is_empty() {
            continue;
        }
        let metrics = classification_metrics(&logits, classes, &labels, 15)?;
        let spoof = (classes == 2).then(|| spoof_metrics(&logits, &labels)).transpose()?;
        results.push(CorruptionResult {
            corruption: entry.corruption.family.name().into(),
            severity: entry.corruption.severity.into(),
            subset: entry.modalities.clone(),
            metrics: super::run_cell::metrics(&metrics, spoof.as_ref()),
            correct,
            non_finite,
        });
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Tensor;
    use mm_core::Subset;
    use mm_core::data::Batch;
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

    fn marks(data: &dyn Dataset, rows: &[usize]) -> Vec<String> {
        let entry = CorruptionEntry { families: vec![Family::Gaussian], severities: None, modalities: "middle".into() };
        let corruptions = entry.resolve(&data.schema().modalities).unwrap();
        let results = evaluate(&NeedsFirst, data, rows, &corruptions, 0, &Device::Cpu).unwrap();
        results.into_iter().map(|r| r.correct).collect()
    }

    #[test]
    fn samples_that_a_model_cannot_use_are_left_out() {
        let has = |i: usize| if i.is_multiple_of(2) { Subset::full(3) } else { Subset::single(1) };
        let data = patterns(clear_to_weak_schema(), 6, &[0.1; 3], has);
        assert_eq!(marks(&data, &[0, 1, 2, 3, 4, 5]), ["1-0-0-"; 5]);
        assert_eq!(marks(&data, &[1, 3]), Vec::<String>::new());
        assert_eq!(marks(&clear_to_weak(3, 0), &[0, 1, 2]), ["100"; 5]);
    }
}
