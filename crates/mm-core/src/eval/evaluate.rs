//! One pass over the samples, every combination.

use crate::data::{DataError, Schema, Source};
use crate::error::{Error, Result};
use crate::modality::Subset;
use crate::model::{Model, check_prediction};
use crate::task::{Measure, Scored, Scores};
use candle_core::Device;
use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

/// Above this many modalities, all combinations are too many to evaluate by default.
const ALL_COMBINATIONS_UP_TO: usize = 10;
/// How many combinations are sampled then, next to the single modalities and the full set.
const SAMPLED_COMBINATIONS: usize = 256;
/// Bytes that a batch may take where no gradient is needed, with so much for each byte of a sample.
const BATCH_BYTES: usize = 256 << 20;
const BYTES_PER_BYTE: usize = 24;
/// More samples gain nothing.
const LARGEST_BATCH: usize = 512;

/// How one combination did.
#[derive(Debug, Clone)]
pub struct CombinationEvaluation {
    /// The combination.
    pub subset: Subset,
    /// Its scores, over the samples that have all its modalities.
    pub scored: Scored,
    /// Each sample's numbers for [`Schema::score`] (for accuracy 1 for right and 0 for wrong), one sample after the other; NaN if it lacks
    /// one of the modalities.
    pub outcomes: Vec<f32>,
}

/// How all combinations did.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The measure that models are selected by.
    pub measure: Measure,
    /// In the order asked for; combinations that the model does not support or that no sample has are left out.
    pub combinations: Vec<CombinationEvaluation>,
    /// Encoder runs over all batches.
    pub encoder_passes: usize,
    /// Batches.
    pub batches: usize,
}

impl Evaluation {
    /// Mean of a measure over the combinations that define it; NaN where none does.
    pub fn mean(&self, measure: &str) -> f64 {
        let defined: Vec<f64> = self.combinations.iter().map(|c| c.scored.get(measure)).filter(|score| !score.is_nan()).collect();
        defined.iter().sum::<f64>() / defined.len() as f64
    }

    /// The combinations whose samples do not define a measure: their truths may all be the same.
    pub fn undefined(&self, measure: &str) -> impl Iterator<Item = &CombinationEvaluation> {
        self.combinations.iter().filter(move |c| c.scored.get(measure).is_nan())
    }

    /// How badly a combination did: by the measure that models are selected by, the larger the worse.
    pub fn error(&self, combination: &CombinationEvaluation) -> f64 {
        let score = combination.scored.get(self.measure.name);
        if self.measure.higher_is_better { 1.0 - score } else { score }
    }

    /// Mean over the combinations that define it of the measure that models are selected by.
    pub fn mean_score(&self) -> f64 {
        self.mean(self.measure.name)
    }
}

/// All combinations up to 10 modalities; above, the single ones, 256 random ones (seeded) and the full one.
pub fn default_combinations(modalities: usize, seed: u64) -> Vec<Subset> {
    if modalities <= ALL_COMBINATIONS_UP_TO {
        return Subset::all_non_empty(modalities).collect();
    }
    use rand::seq::IteratorRandom;
    let mut rng = crate::rng::stream(seed, "evaluated-combinations", &[]);
    let inner: Vec<Subset> = Subset::all_non_empty(modalities).filter(|s| s.len() > 1 && s.len() < modalities).collect();
    let sampled = inner.iter().copied().sample(&mut rng, SAMPLED_COMBINATIONS);
    let mut all: Vec<Subset> = (0..modalities).map(Subset::single).chain(sampled).chain([Subset::full(modalities)]).collect();
    all.sort_by_key(|s| (s.len(), std::cmp::Reverse(s.bits().reverse_bits())));
    all
}

/// Samples a batch where no gradient is needed: as many as memory allows, at most 512.
pub fn evaluation_batch(schema: &Schema) -> usize {
    let bytes: usize = schema.inputs.iter().map(|input| 4 * input.elements()).fold(1, usize::saturating_add);
    (BATCH_BYTES / BYTES_PER_BYTE / bytes).clamp(1, LARGEST_BATCH)
}

/// What is known of a combination so far.
struct Running {
    scores: Box<dyn Scores>,
    outcomes: Vec<f32>,
    /// Of the sample that is added.
    numbers: Vec<f32>,
}

/// Evaluates a model on `rows` of a source for each of `subsets`, in batches of `batch_size`. Predictions are scored as they come and
/// not kept, so that memory grows by one number for each sample and combination. Samples that the model reads nothing of are left out.
pub fn evaluate(
    model: &dyn Model,
    source: &dyn Source,
    rows: &[usize],
    subsets: &[Subset],
    batch_size: usize,
    device: &Device,
) -> Result<Evaluation> {
    let (schema, task) = (source.schema(), source.schema().target.task());
    let subsets: Vec<Subset> = subsets.iter().copied().filter(|&s| model.supports(s)).collect();
    if rows.is_empty() || subsets.is_empty() || batch_size == 0 {
        return Err(DataError::NothingToEvaluate { samples: rows.len(), combinations: subsets.len(), batch_size }.into());
    }
    let (measure, score) = (schema.measure(), schema.score());
    let numbers = score.width();
    let nothing = vec![f32::NAN; rows.len() * numbers];
    let fresh = |_: &Subset| Mutex::new(Running { scores: schema.scores(), outcomes: nothing.clone(), numbers: Vec::new() });
    let running: Vec<Mutex<Running>> = subsets.iter().map(fresh).collect();
    let (mut encoder_passes, mut batches) = (0, 0);
    for (chunk, first) in rows.chunks(batch_size).zip((0..).step_by(batch_size)) {
        let batch = source.batch(chunk, device)?;
        let truths = task.values(batch.targets())?;
        let has = batch.presence().subsets();
        let asked = |has: Subset| model.supports(has) || subsets.iter().any(|subset| subset.is_subset_of(has));
        let usable: Vec<usize> = (0..chunk.len()).filter(|&k| asked(has[k])).collect();
        let inputs = match usable.len() {
            0 => continue,
            all if all == chunk.len() => Cow::Borrowed(batch.inputs()),
            _ => Cow::Owned(batch.inputs().select(&usable)?),
        };
        encoder_passes += model.visit_combinations(&inputs, &subsets, &|i, output| {
            if output.prediction.dims().first() != Some(&usable.len()) || output.prediction.elem_count() < usable.len() * task.outputs() {
                let expected = format!("[{}, {}, ..]", usable.len(), task.outputs());
                return Err(Error::shape("prediction", expected, output.prediction.dims()));
            }
            let values = output.prediction.flatten_all()?.to_vec1::<f32>()?;
            let width = values.len() / usable.len();
            // A combination is visited once a batch: nobody waits here.
            let mut running = running[i].lock().unwrap_or_else(PoisonError::into_inner);
            let Running { scores, outcomes, numbers: of_sample } = &mut *running;
            for (values, &k) in values.chunks_exact(width).zip(&usable).filter(|(_, k)| subsets[i].is_subset_of(has[**k])) {
                check_prediction(values, chunk[k], || schema.modalities.format(subsets[i]))?;
                of_sample.clear();
                scores.add(values, &truths[k], of_sample)?;
                outcomes[(first + k) * numbers..][..numbers].copy_from_slice(of_sample);
            }
            Ok(())
        })?;
        batches += 1;
    }
    let finished = subsets.into_iter().zip(running).map(|(subset, running)| {
        let Running { scores, outcomes, .. } = running.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut scored = scores.finish();
        // What intervals are made from says what heads the report: of many classes, areas are else counted in steps.
        if scored.samples > 0 && score.is_ranked() {
            scored.values.insert(measure.name, score.of_all(&outcomes));
        }
        CombinationEvaluation { subset, scored, outcomes }
    });
    let combinations = finished.filter(|combination| combination.scored.samples > 0).collect();
    Ok(Evaluation { measure, combinations, encoder_passes, batches })
}
