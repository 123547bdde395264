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

/// Predicts the test samples with everything they have, under each corruption.
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
            let predicted = predictor.predict(&screened.batch)?.to_vec2::<f32>()?;
            let mut predicted = predicted.into_iter().zip(screened.batch.labels.to_vec1::<u32>()?);
            for position in 0..chunk.len() {
                if screened.excluded.contains(&position) {
                    correct.push('-');
                    continue;
                }
                let Some((row, label)) = predicted.next() else { anyhow::bail!("a sample has no prediction") };
                let best = (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
                correct.push(if best == label as usize { '1' } else { '0' });
                logits.extend(row);
                labels.push(label);
            }
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
