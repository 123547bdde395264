//! How a trained cell does when sensors degrade.

use anyhow::{Context, Result, bail};
use candle_core::Device;
use mm_core::corrupt::{Corrupted, Corruption, Family, Fault, Severity, screen_non_finite};
use mm_core::data::{NonFinite, Schema, Source};
use mm_core::eval::evaluation_batch;
use mm_core::model::check_prediction;
use mm_core::{Model, NonFiniteError};
use mm_report::result::{CleanResult, CorruptionResult, Excluded, Measured, Metrics, marks};
use serde::{Deserialize, Serialize};

/// One line of a plan: families and severities on some modalities, one after another or several together.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorruptionEntry {
    /// One after another.
    #[serde(default)]
    families: Vec<Family>,
    /// What is corrupted, such as `rgb+depth` or `all`.
    #[serde(default)]
    modalities: Option<String>,
    /// Or several at once.
    #[serde(default)]
    together: Vec<Part>,
    /// 1 to 5; all by default.
    #[serde(default)]
    severities: Option<Vec<Severity>>,
}

/// A family on some modalities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    family: Family,
    modalities: String,
}

impl CorruptionEntry {
    /// Everything at every severity; refuses what the sensors of the data cannot have.
    pub fn resolve(&self, data: &dyn Source) -> Result<Vec<PlannedCorruption>> {
        let modalities = &data.schema().modalities;
        let part = |family: Family, of: &str| -> Result<Part> { Ok(Part { family, modalities: modalities.format(modalities.parse(of)?) }) };
        let cases: Vec<Vec<Part>> = match (&self.modalities, self.families.is_empty(), self.together.is_empty()) {
            (Some(of), false, true) => self.families.iter().map(|&family| Ok(vec![part(family, of)?])).collect::<Result<_>>()?,
            (None, true, false) => vec![self.together.iter().map(|p| part(p.family, &p.modalities)).collect::<Result<_>>()?],
            (_, true, true) => bail!("an entry names `families` and `modalities`, or what happens `together`"),
            (None, false, true) => {
                bail!("`families` need `modalities`: what is corrupted, such as \"{}\", or \"all\"", modalities.names()[0])
            }
            (.., false) => {
                bail!("`together` names families and modalities itself: write `families` and `modalities` as an entry of their own")
            }
        };
        if self.severities.as_ref().is_some_and(Vec::is_empty) {
            bail!("`severities` is an empty list, and nothing would be corrupted: name some of 1 to 5, or leave it out for all");
        }
        let severities: Vec<Severity> = self.severities.clone().unwrap_or_else(|| Severity::all().collect());
        let at = |parts: Vec<Part>| severities.iter().map(move |&severity| PlannedCorruption { parts: parts.clone(), severity });
        let corruptions: Vec<PlannedCorruption> = cases.into_iter().flat_map(at).collect();
        corruptions.iter().try_for_each(|corruption| corruption.of(data, &[], 0).map(|_| ()))?;
        Ok(corruptions)
    }
}

/// What happens at once, all of one severity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlannedCorruption {
    parts: Vec<Part>,
    severity: Severity,
}

impl PlannedCorruption {
    /// The data as the sensors then give them.
    fn of<'a>(&self, data: &'a dyn Source, rows: &[usize], seed: u64) -> Result<Corrupted<'a>> {
        let fault = |part: &Part| -> Result<Fault> {
            let corruption = Corruption { family: part.family, severity: self.severity };
            Ok(Fault { corruption, modalities: data.schema().modalities.parse(&part.modalities)? })
        };
        Ok(Corrupted::new(data, rows, self.parts.iter().map(fault).collect::<Result<_>>()?, seed)?)
    }

    /// Its name in a report: the family, or the families with their modalities.
    fn name(&self) -> String {
        match &*self.parts {
            [part] => part.family.to_string(),
            parts => parts.iter().map(|part| format!("{} ({})", part.family, part.modalities)).collect::<Vec<_>>().join(" and "),
        }
    }

    /// All modalities that it hits.
    fn subset(&self, schema: &Schema) -> Result<String> {
        let modalities = &schema.modalities;
        let parts = self.parts.iter().map(|part| modalities.parse(&part.modalities)).collect::<Result<Vec<_>, _>>()?;
        Ok(parts.into_iter().reduce(|a, b| a.union(b)).map(|subset| modalities.format(subset)).unwrap_or_default())
    }
}

impl std::fmt::Display for PlannedCorruption {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let parts: Vec<String> = self.parts.iter().map(|part| format!("{} on {}", part.family, part.modalities)).collect();
        write!(f, "{} of severity {}", parts.join(" and "), u8::from(self.severity))
    }
}

/// The test samples of a cell with what predicts them.
struct Test<'a> {
    model: &'a dyn Model,
    rows: &'a [usize],
    device: &'a Device,
}

/// Predictions with everything each sample has.
struct Predicted {
    metrics: Metrics,
    correct: String,
    sums: Vec<f32>,
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
    corruptions: &[PlannedCorruption],
    seed: u64,
    device: &Device,
) -> Result<(Option<CleanResult>, Vec<CorruptionResult>)> {
    if corruptions.is_empty() {
        return Ok((None, Vec::new()));
    }
    let test = Test { model, rows, device };
    let clean = test.predicted(data, |_| true)?;
    let mut results = Vec::with_capacity(corruptions.len());
    for entry in corruptions {
        let corrupted = entry.of(data, rows, seed)?;
        let predicted = test.predicted(&corrupted, |row| corrupted.left(row).is_some()).with_context(|| format!("under {entry}"))?;
        let subset = entry.subset(data.schema())?;
        results.extend(predicted.map(|p| CorruptionResult {
            corruption: entry.name(),
            severity: entry.severity.into(),
            subset,
            metrics: p.metrics,
            correct: p.correct,
            sums: p.sums,
            excluded: p.excluded,
            non_finite: p.non_finite,
        }));
    }
    Ok((clean.map(|p| CleanResult { metrics: p.metrics, correct: p.correct, sums: p.sums, excluded: p.excluded }), results))
}

/// A note on each corruption that left no test sample that could be predicted.
pub fn without_result(planned: &[PlannedCorruption], results: &[CorruptionResult], schema: &Schema) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for entry in planned {
        let (name, severity, subset) = (entry.name(), u8::from(entry.severity), entry.subset(schema)?);
        if !results.iter().any(|found| (&found.corruption, found.severity, &found.subset) == (&name, severity, &subset)) {
            notes.push(format!("under {entry} no test sample could be predicted: it is left out"));
        }
    }
    Ok(notes)
}

impl Test<'_> {
    /// Predicts the samples of a source that have something left; `None` if none can be predicted.
    fn predicted(&self, data: &dyn Source, has_something: impl Fn(usize) -> bool) -> Result<Option<Predicted>> {
        let schema = data.schema();
        let task = schema.target.task();
        let measure = Measured::from(schema);
        let numbers_a_sample = measure.score.width();
        let (mut scores, mut outcomes) = (schema.scores(), Vec::with_capacity(self.rows.len() * numbers_a_sample));
        let (mut excluded, mut non_finite) = (Excluded::default(), 0);
        for chunk in self.rows.chunks(evaluation_batch(schema)) {
            let mut of_chunk = vec![f32::NAN; chunk.len() * numbers_a_sample];
            // Where in the chunk each sample of the batch is.
            let places: Vec<usize> = (0..chunk.len()).filter(|&place| has_something(chunk[place])).collect();
            excluded.unusable += chunk.len() - places.len();
            if places.is_empty() {
                outcomes.extend(of_chunk);
                continue;
            }
            let batch = data.batch(&places.iter().map(|&place| chunk[place]).collect::<Vec<_>>(), self.device)?;
            let truths = task.values(batch.targets())?;
            let inputs = batch.inputs();
            match screen_non_finite(inputs, NonFinite::Absent) {
                Ok(screened) => {
                    non_finite += screened.non_finite;
                    excluded.non_finite += screened.excluded.len();
                    let positions: Vec<usize> = (0..places.len()).filter(|position| !screened.excluded.contains(position)).collect();
                    let presence = screened.inputs.presence().subsets();
                    let usable: Vec<usize> = (0..presence.len()).filter(|&i| self.model.supports(presence[i])).collect();
                    excluded.unusable += presence.len() - usable.len();
                    if !usable.is_empty() {
                        let predicted =
                            self.model.predict(&screened.inputs.select(&usable)?)?.prediction.flatten_all()?.to_vec1::<f32>()?;
                        let width = predicted.len() / usable.len();
                        for (row, &i) in predicted.chunks_exact(width).zip(&usable) {
                            let at = positions[i];
                            check_prediction(row, chunk[places[at]], || schema.modalities.format(presence[i]))?;
                            let mut numbers = Vec::with_capacity(numbers_a_sample);
                            scores.add(row, &truths[at], &mut numbers)?;
                            of_chunk[places[at] * numbers_a_sample..][..numbers_a_sample].copy_from_slice(&numbers);
                        }
                    }
                }
                // No sample of the batch has a reading left.
                Err(mm_core::Error::NonFinite(NonFiniteError::EveryReading)) => {
                    non_finite += inputs.presence().subsets().iter().map(|has| has.len()).sum::<usize>();
                    excluded.non_finite += places.len();
                }
                Err(other) => return Err(other.into()),
            }
            outcomes.extend(of_chunk);
        }
        let mut scored = scores.finish();
        if scored.samples > 0 && measure.score.is_ranked() {
            scored.values.insert(schema.measure().name, measure.score.of_all(&outcomes));
        }
        let (correct, sums) = marks(&outcomes, &measure);
        Ok((scored.samples > 0).then(|| Predicted { metrics: Metrics::new(&scored, &measure), correct, sums, excluded, non_finite }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Tensor;
    use mm_core::Subset;
    use mm_core::data::Inputs;
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
        let entry = CorruptionEntry { families: vec![family], modalities: Some(modalities.into()), together: Vec::new(), severities: None };
        let model = NeedsFirst { schema: clear_to_weak_schema(), parameters: Parameters::new(0, &Device::Cpu) };
        let corruptions = entry.resolve(data).unwrap();
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

    #[test]
    fn a_corruption_that_leaves_nothing_is_noted() {
        let data = clear_to_weak(4, 0);
        let (families, modalities) = (vec![Family::NanBurst], Some("all".to_string()));
        let entry = CorruptionEntry { families, modalities, together: Vec::new(), severities: None };
        let (_, results) = evaluated(&data, &[0, 1, 2, 3], Family::NanBurst, "all");
        let notes = without_result(&entry.resolve(&data).unwrap(), &results, data.schema()).unwrap();
        assert!(notes.last().is_some_and(|note| note.contains("of severity 5 no test sample could be predicted")), "{notes:?}");
    }
}
