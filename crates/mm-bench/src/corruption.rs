//! How a trained cell does when sensors degrade.

use anyhow::{Context, Result};
use candle_core::Device;
use mm_core::corrupt::{Corruption, Corruptor, Family, Severity, screen_non_finite};
use mm_core::data::{Inputs, NonFinite, Source};
use mm_core::eval::evaluation_batch;
use mm_core::model::check_prediction;
use mm_core::{Modalities, Model, NonFiniteError};
use mm_report::result::{CleanResult, CorruptionResult, Excluded, Metrics, marks};
use serde::{Deserialize, Serialize};

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
    model: &'a dyn Model,
    data: &'a dyn Source,
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
    model: &dyn Model,
    data: &dyn Source,
    rows: &[usize],
    corruptions: &[CorruptedSubset],
    seed: u64,
    device: &Device,
) -> Result<(Option<CleanResult>, Vec<CorruptionResult>)> {
    if corruptions.is_empty() {
        return Ok((None, Vec::new()));
    }
    let test = Test { model, data, rows, device };
    let clean = test.predicted(|inputs| Ok(inputs.clone()))?;
    let mut results = Vec::with_capacity(corruptions.len());
    for entry in corruptions {
        let subset = data.schema().modalities.parse(&entry.modalities)?;
        let corruptor = Corruptor::new(data, rows, entry.corruption, subset, seed);
        let predicted = test.predicted(|inputs| corruptor.apply(inputs)).with_context(|| format!("under {entry}"))?;
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
    fn predicted(&self, change: impl Fn(&Inputs) -> mm_core::Result<Inputs>) -> Result<Option<Predicted>> {
        let schema = self.data.schema();
        let task = schema.target.task();
        let (mut scores, mut outcomes) = (task.scores(), Vec::with_capacity(self.rows.len()));
        let (mut excluded, mut non_finite) = (Excluded::default(), 0);
        for chunk in self.rows.chunks(evaluation_batch(schema)) {
            let batch = self.data.batch(chunk, self.device)?;
            let truths = task.values(batch.targets())?;
            let inputs = change(batch.inputs())?;
            let mut of_chunk = vec![f32::NAN; chunk.len()];
            match screen_non_finite(&inputs, NonFinite::Absent) {
                Ok(screened) => {
                    non_finite += screened.non_finite;
                    excluded.non_finite += screened.excluded.len();
                    let positions: Vec<usize> = (0..chunk.len()).filter(|position| !screened.excluded.contains(position)).collect();
                    let presence = screened.inputs.presence().subsets();
                    let usable: Vec<usize> = (0..presence.len()).filter(|&i| self.model.supports(presence[i])).collect();
                    excluded.unusable += presence.len() - usable.len();
                    if !usable.is_empty() {
                        let predicted =
                            self.model.predict(&screened.inputs.select(&usable)?)?.prediction.flatten_all()?.to_vec1::<f32>()?;
                        let width = predicted.len() / usable.len();
                        for (row, &i) in predicted.chunks_exact(width).zip(&usable) {
                            let at = positions[i];
                            check_prediction(row, chunk[at], || schema.modalities.format(presence[i]))?;
                            of_chunk[at] = scores.add(row, &truths[at])?;
                        }
                    }
                }
                // No sample of the batch has a reading left.
                Err(mm_core::Error::NonFinite(NonFiniteError::EveryReading)) => {
                    non_finite += inputs.presence().subsets().iter().map(|has| has.len()).sum::<usize>();
                    excluded.non_finite += chunk.len();
                }
                Err(other) => return Err(other.into()),
            }
            outcomes.extend(of_chunk);
        }
        let scored = scores.finish();
        Ok((scored.samples > 0).then(|| Predicted { metrics: Metrics::from(&scored), correct: marks(&outcomes), excluded, non_finite }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Tensor;
    use mm_core::Subset;
    use mm_core::data::Schema;
    use mm_core::model::{Encoded, Output};
    use mm_core::nn::Parameters;
    use mm_core::{Presence, Result as CoreResult};
    use mm_testing::{clear_to_weak, clear_to_weak_schema, patterns};

    /// Says class 0, and needs the first modality.
    struct NeedsFirst {
        schema: Schema,
        parameters: Parameters,
    }

    impl Model for NeedsFirst {
        fn schema(&self) -> &Schema {
            &self.schema
        }

        fn parameters(&self) -> &Parameters {
            &self.parameters
        }

        fn encode(&self, inputs: &Inputs) -> CoreResult<Encoded> {
            Ok(Encoded { tensors: Vec::new(), presence: inputs.presence().clone(), encoder_passes: 0 })
        }

        fn fuse(&self, _: &Encoded, presence: &Presence) -> CoreResult<Output> {
            assert!(presence.subsets().iter().all(|&s| self.supports(s)));
            let row = [1f32, 0.0, 0.0].repeat(presence.len());
            Ok(Output::new(Tensor::from_vec(row, (presence.len(), 3), &Device::Cpu)?))
        }

        fn supports(&self, subset: Subset) -> bool {
            subset.contains(0)
        }

        fn freeze(&mut self) {}
    }

    fn evaluated(data: &dyn Source, rows: &[usize], family: Family, modalities: &str) -> (Option<CleanResult>, Vec<CorruptionResult>) {
        let entry = CorruptionEntry { families: vec![family], severities: None, modalities: modalities.into() };
        let model = NeedsFirst { schema: clear_to_weak_schema(), parameters: Parameters::new(0, &Device::Cpu) };
        let corruptions = entry.resolve(&data.schema().modalities).unwrap();
        evaluate(&model, data, rows, &corruptions, 0, &Device::Cpu).unwrap()
    }

    fn marks_of(data: &dyn Source, rows: &[usize]) -> Vec<String> {
        let (clean, results) = evaluated(data, rows, Family::Gaussian, "middle");
        clean.map(|r| r.correct).into_iter().chain(results.into_iter().map(|r| r.correct)).collect()
    }

    #[test]
    fn samples_that_a_model_cannot_use_are_left_out_at_every_severity() {
        let has = |i: usize| if i.is_multiple_of(2) { Subset::full(3) } else { Subset::single(1) };
        let data = patterns(clear_to_weak_schema(), 6, &[0.1; 3], has);
        assert_eq!(marks_of(&data, &[0, 1, 2, 3, 4, 5]), ["1-0-0-"; 6]);
        assert_eq!(marks_of(&data, &[1, 3]), Vec::<String>::new());
        assert_eq!(marks_of(&clear_to_weak(3, 0), &[0, 1, 2]), ["100"; 6]);
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
