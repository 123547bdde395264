//! Mining of weak combinations (Eq. 9-13): whose predictions drift furthest from those of the full combination?

use crate::{MmanetConfig, Ranking};
use candle_core::Tensor;
use mm_core::eval::{argmax, divergence, evaluate, probabilities};
use mm_core::task::Task;
use mm_core::train::HeldOut;
use mm_core::{Error, Modalities, Model, Result, Subset, rng};
use rand::seq::IteratorRandom;
use serde::{Deserialize, Serialize};

/// Above this many candidates, a seeded sample of them (and all single modalities) is ranked.
const CANDIDATE_LIMIT: usize = 64;

/// `KL(q̃_c ‖ q̃_full)` with `q̃ = (q + 1/N) / (1 + K/N)` from counts of predicted classes.
pub fn histogram_distance(counts: &[f64], full: &[f64]) -> f64 {
    let smooth = |counts: &[f64]| -> Vec<f64> {
        let (n, k) = (counts.iter().sum::<f64>().max(1.0), counts.len() as f64);
        counts.iter().map(|c| (c / n + 1.0 / n) / (1.0 + k / n)).collect()
    };
    divergence(&smooth(counts), &smooth(full))
}

/// `KL(softmax(q_c) ‖ softmax(q_full))` from counts of predicted classes: the published form.
pub fn reference_histogram_distance(counts: &[f64], full: &[f64]) -> f64 {
    let softmax = |counts: &[f64]| -> Vec<f64> {
        let n = counts.iter().sum::<f64>().max(1.0);
        let exponentials: Vec<f64> = counts.iter().map(|c| (c / n).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        exponentials.iter().map(|e| e / sum).collect()
    };
    divergence(&softmax(counts), &softmax(full))
}

/// Mean over samples of `KL(p_full ‖ p_c)`: probabilities `[samples, classes]`, flattened.
pub fn per_sample_distance(full: &[f64], combination: &[f64], classes: usize) -> f64 {
    let rows = full.chunks_exact(classes).zip(combination.chunks_exact(classes));
    rows.map(|(f, c)| divergence(f, c)).sum::<f64>() / (full.len() / classes).max(1) as f64
}

/// The candidates with their accumulated distances, and the weak set once it is mined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MinedCombinations {
    /// What is ranked.
    pub candidates: Vec<Subset>,
    /// Summed over the mining epochs, by the chosen ranking.
    pub distances: Vec<f64>,
    /// The same by the other ranking, for the log; 0 where no sample has one class.
    pub other_distances: Vec<f64>,
    /// The weak combinations, weakest first; empty until they are mined.
    pub weak: Vec<Subset>,
}

impl MinedCombinations {
    /// Nothing mined yet; with `weak_combinations` given by hand nothing ever is.
    pub(crate) fn new(config: &MmanetConfig, modalities: &Modalities, seed: u64) -> Result<Self> {
        let count = modalities.len();
        let proper = || Subset::all_non_empty(count).filter(move |s| s.len() < count);
        let candidates: Vec<Subset> = match (1usize << count) - 2 > CANDIDATE_LIMIT {
            false => proper().collect(),
            true => {
                let mut random = rng::stream(seed, "mining-candidates", &[]);
                let sampled = proper().filter(|s| s.len() > 1).sample(&mut random, CANDIDATE_LIMIT);
                (0..count).map(Subset::single).chain(sampled).collect()
            }
        };
        let weak = match &config.weak_combinations {
            Some(names) => names.iter().map(|name| modalities.parse(name)).collect::<Result<_>>()?,
            None => Vec::new(),
        };
        let zeros = vec![0.0; candidates.len()];
        Ok(Self { candidates, distances: zeros.clone(), other_distances: zeros, weak })
    }

    /// Adds the distances of this epoch's predictions on held-out samples.
    pub(crate) fn accumulate(&mut self, model: &dyn Model, held_out: &HeldOut, ranking: Ranking) -> Result<()> {
        let Some(&single) = self.candidates.first() else { return Ok(()) };
        let modalities = held_out.source.schema().modalities.len();
        debug_assert!(single.is_subset_of(Subset::full(modalities)));
        let mut subsets = self.candidates.clone();
        subsets.push(Subset::full(modalities));
        let mut logits: Vec<Vec<f32>> = vec![Vec::new(); subsets.len()];
        for batch in held_out.batches() {
            let batch = batch?;
            let predictions = model.predict_combinations(batch.inputs(), &subsets)?;
            // Only complete samples can be compared with the full combination.
            let complete: Vec<u32> =
                (0u32..).zip(batch.presence().subsets()).filter(|(_, s)| s.len() == modalities).map(|(i, _)| i).collect();
            if complete.is_empty() {
                continue;
            }
            let rows = Tensor::from_slice(&complete, complete.len(), predictions.device())?;
            for (all, part) in logits.iter_mut().zip(predictions.index_select(&rows, 1)?.to_vec3::<f32>()?) {
                all.extend(part.into_iter().flatten());
            }
        }
        let target = &held_out.source.schema().target;
        let classes = target.classes();
        if classes == 0 {
            return self.accumulate_divergences(target.task(), &logits, ranking);
        }
        let probabilities: Vec<Vec<f64>> = logits.iter().map(|l| probabilities(l, classes)).collect();
        let Some((full, rest)) = probabilities.split_last().filter(|(full, _)| !full.is_empty()) else {
            return Err(nothing_complete());
        };
        let full_counts = predicted_counts(full, classes);
        for (i, p) in rest.iter().enumerate() {
            let by_sample = per_sample_distance(full, p, classes);
            let counts = predicted_counts(p, classes);
            let by_histogram = match ranking {
                Ranking::SoftmaxTwice => reference_histogram_distance(&counts, &full_counts),
                _ => histogram_distance(&counts, &full_counts),
            };
            let (chosen, other) = if ranking == Ranking::PerSample { (by_sample, by_histogram) } else { (by_histogram, by_sample) };
            self.distances[i] += chosen;
            self.other_distances[i] += other;
        }
        Ok(())
    }

    /// Adds, where labels or numbers are predicted, the mean divergence of each combination's predictions from those of the full one.
    fn accumulate_divergences(&mut self, task: &dyn Task, predictions: &[Vec<f32>], ranking: Ranking) -> Result<()> {
        if ranking != Ranking::PerSample {
            let problem = "counts predicted classes, and there are none: leave `ranking` out, so that combinations are ranked by how far their \
                           predictions are from those of all modalities";
            return Err(Error::config("ranking", problem));
        }
        let Some((full, rest)) = predictions.split_last().filter(|(full, _)| !full.is_empty()) else { return Err(nothing_complete()) };
        let width = task.outputs();
        for (distance, of_combination) in self.distances.iter_mut().zip(rest) {
            let samples = full.chunks_exact(width).zip(of_combination.chunks_exact(width));
            *distance += samples.map(|(full, other)| task.divergence(full, other)).sum::<f64>() / (full.len() / width) as f64;
        }
        Ok(())
    }

    /// Adds, where every pixel has a class, the squared fall of the mean IoU from that of the full combination on the complete held-out samples.
    pub(crate) fn accumulate_mean_iou(&mut self, model: &dyn Model, held_out: &HeldOut) -> Result<()> {
        let HeldOut { source, rows, batch_size, device } = *held_out;
        let full = source.schema().modalities.full();
        let complete: Vec<usize> = rows.iter().copied().filter(|&row| source.meta(row).presence == full).collect();
        if complete.is_empty() {
            return Err(nothing_complete());
        }
        let subsets: Vec<Subset> = self.candidates.iter().copied().chain([full]).collect();
        let evaluation = evaluate(model, source, &complete, &subsets, batch_size.max(1), device)?;
        let of = |subset: Subset| evaluation.combinations.iter().find(|c| c.subset == subset).map(|c| c.scored.get("miou"));
        let of_full = of(full).filter(|miou| miou.is_finite());
        let falls: Option<Vec<f64>> = self.candidates.iter().map(|&c| Some((of_full? - of(c)?).powi(2))).collect();
        let falls = falls.ok_or_else(|| {
            Error::config(
                "weak_combinations",
                "mining weak combinations needs held-out samples with labelled pixels; give some, or name `weak_combinations`",
            )
        })?;
        self.distances.iter_mut().zip(falls).for_each(|(distance, fall)| *distance += fall);
        Ok(())
    }

    /// Settles the weak set where every pixel has a class: the combination with the largest distance, or as many as are asked for.
    pub(crate) fn settle_dense(&mut self, weak_count: Option<usize>) {
        self.weak = top(&self.candidates, &self.distances, weak_count.unwrap_or(1));
    }

    /// Settles the weak set: the largest distances, and the single modalities inside the weakest combination.
    pub(crate) fn settle(&mut self, weak_count: Option<usize>, modalities: usize) {
        let count = weak_count.unwrap_or(match modalities {
            3 => 3,
            _ => ((1usize << modalities) - 2).div_ceil(4).min(16),
        });
        self.weak = top(&self.candidates, &self.distances, count);
        if let Some(&weakest) = self.weak.first() {
            for single in weakest.indices().map(Subset::single) {
                if !self.weak.contains(&single) {
                    self.weak.push(single);
                }
            }
        }
    }

    /// What the log says first.
    pub(crate) fn describe_weak(&self, modalities: &Modalities) -> String {
        format!("mined weak combinations (weakest first): {}", list(modalities, &self.weak))
    }

    /// What the log says: both rankings' first combinations.
    pub(crate) fn describe(&self, modalities: &Modalities, ranking: Ranking) -> Vec<String> {
        if self.other_distances.iter().all(|distance| *distance == 0.0) {
            return vec![self.describe_weak(modalities)];
        }
        let other = if ranking == Ranking::PerSample { "histogram" } else { "per_sample" };
        let others = top(&self.candidates, &self.other_distances, self.weak.len());
        vec![self.describe_weak(modalities), format!("the {other} ranking would have given: {}", list(modalities, &others))]
    }
}

fn list(modalities: &Modalities, subsets: &[Subset]) -> String {
    subsets.iter().map(|subset| modalities.format(*subset)).collect::<Vec<_>>().join(", ")
}

fn nothing_complete() -> Error {
    Error::config(
        "weak_combinations",
        "mining weak combinations needs held-out samples with all modalities (a validation split); give one, or name `weak_combinations`",
    )
}

fn top(candidates: &[Subset], distances: &[f64], count: usize) -> Vec<Subset> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    // Stable: of equal distances the earlier candidate comes first.
    order.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]));
    order.into_iter().take(count).map(|i| candidates[i]).collect()
}

fn predicted_counts(probabilities: &[f64], classes: usize) -> Vec<f64> {
    let mut counts = vec![0.0; classes];
    for row in probabilities.chunks_exact(classes) {
        counts[argmax(row)] += 1.0;
    }
    counts
}
