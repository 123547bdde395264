//! Every sample with the sensors that it has, and with fewer.

use super::evaluation_batch;
use crate::data::{Source, TargetValue};
use crate::error::Result;
use crate::modality::{Presence, Subset};
use crate::model::{Model, check_prediction};
use crate::rng::Draws;
use crate::statistics::placements;
use crate::task::{Scored, Scores};
use candle_core::{Device, Tensor};
use rand::seq::SliceRandom;
use std::collections::BTreeMap;

/// As many further sensors are taken away, one after another.
const MOST_REMOVED: usize = 6;
/// All models and seeds lose the same sensors of a sample: what they do not share could not be compared.
const REMOVAL_SEED: u64 = 0;

/// How a model does with what each sample has.
#[derive(Debug, Clone)]
pub struct AvailableEvaluation {
    /// Its scores, over the samples that it can predict from.
    pub scored: Scored,
    /// Each sample's numbers for [`Task::score`], one sample after the other; NaN where the model cannot predict.
    ///
    /// [`Task::score`]: crate::task::Task::score
    pub outcomes: Vec<f32>,
    /// Samples that the model cannot predict from.
    pub left_out: usize,
    /// Where there are two classes, the [`placements`] of the samples by the odds of the second one; NaN where the model cannot predict.
    pub placements: Vec<f32>,
    /// When 1, 2, .. more sensors go.
    pub removed: Vec<RemovedEvaluation>,
}

/// How a model does when so many sensors more than those that a sample lacks are gone. A sample keeps at least one.
#[derive(Debug, Clone)]
pub struct RemovedEvaluation {
    /// How many.
    pub count: usize,
    /// Each measure, its mean over the draws of which sensors go; a measure that a draw does not define is left out.
    pub scored: Scored,
    /// Predictions, of all draws together, that the model could not make.
    pub left_out: usize,
}

/// What is known of one draw of some removals.
struct Running {
    count: usize,
    draws: Draws,
    scores: Box<dyn Scores>,
    left_out: usize,
}

/// Evaluates a model on `rows` of a source with what each sample has, and with 1 to 6 sensors fewer: their score is the mean over `draws`
/// draws of which of a sample's sensors go, keyed by the sample. `None` where every sample has every sensor: that is the full combination.
pub fn evaluate_available(
    model: &dyn Model,
    source: &dyn Source,
    rows: &[usize],
    draws: usize,
    device: &Device,
) -> Result<Option<AvailableEvaluation>> {
    let (schema, task) = (source.schema(), source.schema().target.task());
    let full = schema.modalities.full();
    if rows.iter().all(|&row| source.meta(row).presence == full) {
        return Ok(None);
    }
    let most = MOST_REMOVED.min(schema.modalities.len() - 1);
    let one = |count, draw| {
        let draws = Draws::new(REMOVAL_SEED, "further-removals", &[draw as u64]);
        Running { count, draws, scores: schema.scores(), left_out: 0 }
    };
    let mut removals: Vec<Running> = (1..=most).flat_map(|count| (0..draws).map(move |draw| one(count, draw))).collect();
    let (mut scores, mut outcomes, mut left_out) = (schema.scores(), Vec::new(), 0);
    let mut ranked: Vec<Option<(f32, bool)>> = Vec::new();
    let (measure, score) = (schema.measure(), schema.score());
    let numbers = score.width();
    for chunk in rows.chunks(evaluation_batch(schema)) {
        let batch = source.batch(chunk, device)?;
        let (has, truths) = (batch.presence().subsets(), task.values(batch.targets())?);
        let usable: Vec<usize> = (0..chunk.len()).filter(|&i| model.supports(has[i])).collect();
        left_out += chunk.len() - usable.len();
        let mut of_chunk = vec![f32::NAN; chunk.len() * numbers];
        let mut rank = vec![None; chunk.len()];
        if !usable.is_empty() {
            let inputs = batch.inputs().select(&usable)?;
            let encoded = model.encode(&inputs)?;
            let name = |subset: Subset| schema.modalities.format(subset);
            let add = |prediction: &Tensor, presence: &Presence, visit: &mut dyn FnMut(usize, &[f32]) -> Result<()>| -> Result<()> {
                let values = prediction.flatten_all()?.to_vec1::<f32>()?;
                for (k, values) in values.chunks_exact(values.len() / usable.len()).enumerate() {
                    check_prediction(values, chunk[usable[k]], || name(presence.subsets()[k]))?;
                    visit(usable[k], values)?;
                }
                Ok(())
            };
            let natural = inputs.presence();
            add(&model.fuse(&encoded, natural)?.prediction, natural, &mut |i, values| {
                let mut found = Vec::with_capacity(numbers);
                scores.add(values, &truths[i], &mut found)?;
                of_chunk[i * numbers..][..numbers].copy_from_slice(&found);
                rank[i] = odds(values, &truths[i]);
                Ok(())
            })?;
            for removal in &mut removals {
                let fewer: Vec<Subset> = natural.subsets().iter().zip(inputs.ids()).map(|(&has, &id)| removal.left(has, id)).collect();
                // Those that the model cannot predict from are predicted with all they have, and not looked at.
                let can: Vec<bool> = fewer.iter().map(|&subset| model.supports(subset)).collect();
                let shown = fewer.iter().zip(natural.subsets()).zip(&can).map(|((fewer, has), can)| if *can { *fewer } else { *has });
                let shown = Presence::new(shown.collect());
                removal.left_out += can.iter().filter(|can| !**can).count();
                let mut at = can.iter();
                let (prediction, mut ignored) = (model.fuse(&encoded, &shown)?.prediction, Vec::new());
                add(&prediction, &shown, &mut |i, values| match at.next() {
                    Some(true) => {
                        ignored.clear();
                        removal.scores.add(values, &truths[i], &mut ignored)
                    }
                    _ => Ok(()),
                })?;
            }
        }
        outcomes.extend(of_chunk);
        ranked.extend(rank);
    }
    let removed = removals.chunk_by(|a, b| a.count == b.count).map(|draws| RemovedEvaluation {
        count: draws[0].count,
        scored: mean(draws.iter().map(|draw| draw.scores.finish())),
        left_out: draws.iter().map(|draw| draw.left_out).sum(),
    });
    let removed = removed.filter(|removed| removed.scored.samples > 0).collect();
    let mut scored = scores.finish();
    if scored.samples > 0 && score.is_ranked() {
        scored.values.insert(measure.name, score.of_all(&outcomes));
    }
    Ok(Some(AvailableEvaluation { scored, outcomes, left_out, placements: of_two_classes(&ranked), removed }))
}

impl Running {
    /// What a sample has left: the sensors behind the first `count` of an order of its own, the last one in any case.
    fn left(&self, has: Subset, id: u64) -> Subset {
        let mut order: Vec<usize> = has.indices().collect();
        order.shuffle(&mut self.draws.of(id));
        let first = self.count.min(order.len() - 1);
        order[first..].iter().map(|&m| Subset::single(m)).reduce(Subset::union).unwrap_or(has)
    }
}

/// The odds of the second of two classes, and whether the sample is of it.
pub(super) fn odds(prediction: &[f32], truth: &TargetValue) -> Option<(f32, bool)> {
    match (prediction, truth) {
        (&[first, second], TargetValue::Class(class)) => Some((second - first, *class == 1)),
        _ => None,
    }
}

/// Nothing where there are not two classes.
fn of_two_classes(ranked: &[Option<(f32, bool)>]) -> Vec<f32> {
    let known: Vec<(f32, bool)> = ranked.iter().copied().flatten().collect();
    let Some(found) = placements(&known) else { return Vec::new() };
    let mut found = found.into_iter().map(|x| x as f32);
    ranked.iter().map(|ranked| ranked.and_then(|_| found.next()).unwrap_or(f32::NAN)).collect()
}

/// The mean of each measure that all have; of samples, the mean number.
fn mean(scored: impl ExactSizeIterator<Item = Scored>) -> Scored {
    let count = scored.len().max(1);
    let (mut sums, mut samples) = (BTreeMap::<&'static str, (f64, usize)>::new(), 0);
    for one in scored {
        samples += one.samples;
        for (name, value) in one.values {
            let sum = sums.entry(name).or_default();
            *sum = (sum.0 + value, sum.1 + 1);
        }
    }
    let in_all = sums.into_iter().filter(|(_, (_, found))| *found == count);
    Scored { samples: samples / count, values: in_all.map(|(name, (sum, _))| (name, sum / count as f64)).collect(), ..Scored::default() }
}
