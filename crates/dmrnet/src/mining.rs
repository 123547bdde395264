//! Mining of hard combinations (Eq. 10): which ones does the network find hardest in the warm-up?

use crate::{DmrnetConfig, MiningScore, rank_correlation};
use mm_core::eval::evaluate;
use mm_core::model::Output;
use mm_core::train::HeldOut;
use mm_core::{Error, Modalities, Model, Presence, Result, Subset, rng};
use rand::seq::IteratorRandom;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// Above this many combinations, a seeded sample of them and all single modalities are ranked.
const CANDIDATE_LIMIT: usize = 64;

/// The candidates with their scores, and the hard set once it is mined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinedCombinations {
    candidates: Vec<Subset>,
    sums: Vec<f64>,
    counts: Vec<u64>,
    hard: Vec<Subset>,
}

impl MinedCombinations {
    /// Nothing mined yet; with `hard_combinations` given by hand nothing ever is.
    pub(crate) fn new(config: &DmrnetConfig, modalities: &Modalities, seed: u64) -> Result<Self> {
        let count = modalities.len();
        let candidates: Vec<Subset> = if (1usize << count) - 1 > CANDIDATE_LIMIT {
            let mut random = rng::stream(seed, "mining-candidates", &[]);
            let sampled = Subset::all_non_empty(count).filter(|s| s.len() > 1).sample(&mut random, CANDIDATE_LIMIT);
            (0..count).map(Subset::single).chain(sampled).collect()
        } else {
            Subset::all_non_empty(count).collect()
        };
        let hard = match &config.hard_combinations {
            Some(names) => names.iter().map(|name| modalities.parse(name)).collect::<Result<_>>()?,
            None => Vec::new(),
        };
        let zeros = vec![0; candidates.len()];
        Ok(Self { sums: vec![0.0; candidates.len()], counts: zeros, candidates, hard })
    }

    /// What is ranked.
    pub fn candidates(&self) -> &[Subset] {
        &self.candidates
    }

    /// Mean score of each candidate, in the order of [`MinedCombinations::candidates`]; `None` where no sample had it.
    pub fn scores(&self) -> Vec<Option<f64>> {
        self.sums.iter().zip(&self.counts).map(|(sum, &count)| (count > 0).then(|| sum / count as f64)).collect()
    }

    /// The hard combinations, hardest first; empty until they are mined.
    pub fn hard(&self) -> &[Subset] {
        &self.hard
    }

    /// Adds the score of each sample of a training batch to its combination's.
    pub(crate) fn observe(&mut self, drawn: &Presence, scores: &[f32]) {
        for (subset, &score) in drawn.subsets().iter().zip(scores) {
            if let Some(i) = self.candidates.iter().position(|c| c == subset) {
                self.sums[i] += f64::from(score);
                self.counts[i] += 1;
            }
        }
    }

    /// Settles the hard set after the last epoch of the warm-up; what the log says then.
    pub(crate) fn end_of_epoch(
        &mut self,
        epoch: usize,
        config: &DmrnetConfig,
        model: &dyn Model,
        held_out: &HeldOut,
    ) -> Result<Vec<String>> {
        if !config.mines_in(epoch) || epoch + 1 < config.warm_up_epochs {
            return Ok(Vec::new());
        }
        let mut mined = self.clone();
        if config.mining == MiningScore::PerSampleKl {
            mined.measure_divergence(model, held_out)?;
        }
        let modalities = &model.schema().modalities;
        mined.settle(config.hard_count, modalities.len());
        let correlation = mined.correlation_with_error(model, held_out)?;
        let notes = mined.describe(modalities, config.mining, correlation);
        *self = mined;
        Ok(notes)
    }

    /// Takes up a saved state of the same candidates.
    pub(crate) fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        let saved: Self = serde_json::from_value(state.clone()).map_err(Error::state("mined set"))?;
        self.check_same_candidates(&saved)?;
        *self = saved;
        Ok(())
    }

    /// Sets the scores to the mean of KL(p_full ‖ p_c) over the complete held-out samples.
    pub(crate) fn measure_divergence(&mut self, model: &dyn Model, held_out: &HeldOut) -> Result<()> {
        let schema = held_out.source.schema();
        let (task, full) = (schema.target.task(), schema.modalities.full());
        let sums: Vec<Mutex<f64>> = self.candidates.iter().map(|_| Mutex::new(0.0)).collect();
        let mut complete = 0;
        for batch in held_out.batches() {
            let batch = batch?;
            let has_all: Vec<usize> = (0..batch.len()).filter(|&i| batch.presence().subsets()[i] == full).collect();
            complete += has_all.len() as u64;
            // One combination after the other: of every pixel, the predictions of all of them would fill the memory.
            let encoded = model.encode(batch.inputs())?;
            let numbers = |output: Output| -> Result<Vec<f32>> { Ok(output.prediction.flatten_all()?.to_vec1()?) };
            let of_full = numbers(model.fuse(&encoded, &Presence::uniform(full, batch.len()))?)?;
            let width = of_full.len() / batch.len().max(1);
            model.visit_encoded(&encoded, &self.candidates, &|candidate, output| {
                let of_candidate = numbers(output)?;
                let rows = has_all.iter().map(|i| i * width..(i + 1) * width);
                let sum: f64 = rows.map(|row| task.divergence(&of_full[row.clone()], &of_candidate[row])).sum();
                *sums[candidate].lock().unwrap_or_else(PoisonError::into_inner) += sum;
                Ok(())
            })?;
        }
        if complete == 0 {
            return Err(Error::config(
                "mining",
                "mining by `per_sample_kl` needs held-out samples with all modalities (a validation split); give one, or use `training_loss`",
            ));
        }
        self.counts = vec![complete; sums.len()];
        self.sums = sums.into_iter().map(|sum| sum.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
        Ok(())
    }

    /// Settles the hard set: the candidates with the largest scores, of equal ones the earlier.
    pub(crate) fn settle(&mut self, hard_count: Option<usize>, modalities: usize) {
        let count = hard_count.unwrap_or_else(|| default_hard_count(modalities));
        let mut ranked: Vec<(Subset, f64)> = self.candidates.iter().zip(self.scores()).filter_map(|(&c, s)| Some((c, s?))).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        self.hard = ranked.into_iter().take(count).map(|(c, _)| c).collect();
    }

    /// Spearman correlation of the scores with the held-out errors of the same combinations; `None` without held-out samples.
    pub fn correlation_with_error(&self, model: &dyn Model, held_out: &HeldOut) -> Result<Option<f64>> {
        if held_out.rows.is_empty() {
            return Ok(None);
        }
        let HeldOut { source, rows, batch_size, device } = *held_out;
        let evaluation = evaluate(model, source, rows, &self.candidates, batch_size, device)?;
        let scores = self.scores();
        let pairs = evaluation.combinations.iter().filter_map(|c| {
            let score = scores[self.candidates.iter().position(|s| *s == c.subset)?]?;
            Some((score, evaluation.error(c)))
        });
        let (scores, errors): (Vec<f64>, Vec<f64>) = pairs.unzip();
        Ok(rank_correlation(&scores, &errors))
    }

    /// What the log says once the hard set is settled.
    pub(crate) fn describe(&self, modalities: &Modalities, score: MiningScore, correlation: Option<f64>) -> Vec<String> {
        let hard: Vec<String> = self.hard.iter().map(|s| modalities.format(*s)).collect();
        let score = match score {
            MiningScore::TrainingLoss => "training loss",
            MiningScore::PerSampleKl => "KL from the full combination",
            MiningScore::Variance => "predicted variance",
        };
        let seen = self.counts.iter().filter(|c| **c > 0).count();
        vec![
            format!("mined hard combinations by {score} (hardest first, {seen} of {} ranked): {}", self.candidates.len(), hard.join(", ")),
            match correlation {
                Some(r) => {
                    format!("rank correlation of the {score} with the held-out error: {r:.2} (1: the hardest were found, 0: nothing was)")
                }
                None => "no held-out samples whose errors differ by combination: whether mining found hard ones is not known".into(),
            },
        ]
    }

    /// Whether a saved state belongs to this model.
    fn check_same_candidates(&self, saved: &Self) -> Result<()> {
        let lengths_fit = saved.sums.len() == saved.candidates.len() && saved.counts.len() == saved.candidates.len();
        match saved.candidates == self.candidates && lengths_fit {
            true => Ok(()),
            false => Err(Error::ForeignState { what: "mined set", part: "candidates" }),
        }
    }
}

/// 1 for two modalities, 3 for three, beyond that a quarter of all combinations, at most 16.
fn default_hard_count(modalities: usize) -> usize {
    match modalities {
        0..=2 => 1,
        3 => 3,
        _ => ((1usize << modalities) - 1).div_ceil(4).min(16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Distribution;
    use candle_core::{Device, Tensor};
    use mm_core::ModalityError;

    fn fresh(config: &DmrnetConfig, count: usize) -> MinedCombinations {
        let names: Vec<String> = (0..count).map(|i| format!("m{i}")).collect();
        MinedCombinations::new(config, &Modalities::new(names).unwrap(), 0).unwrap()
    }

    fn variance_scores() -> (Presence, Vec<f32>) {
        let variance = Tensor::new(&[[1f32, 3.0], [2.0, 2.0], [8.0, 4.0], [1.0, 1.0], [5.0, 5.0]], &Device::Cpu).unwrap();
        let distribution = Distribution { mean: variance.zeros_like().unwrap(), log_var: variance.log().unwrap() };
        let [a, b, c] = [0, 1, 2].map(Subset::single);
        (Presence::new(vec![a, a, b, c, b]), distribution.mean_variance().unwrap().to_vec1().unwrap())
    }

    #[test]
    fn the_largest_mean_variance_is_hard() {
        let (drawn, scores) = variance_scores();
        let mut mined = fresh(&DmrnetConfig::default(), 3);
        assert!(mined.hard().is_empty());
        mined.observe(&drawn, &scores);
        let [a, b, c] = [0, 1, 2].map(Subset::single);
        for (found, expected) in mined.scores().into_iter().zip([Some(2.0), Some(5.5), Some(1.0), None, None, None, None]) {
            assert!(found.zip(expected).map_or(found == expected, |(f, e)| (f - e).abs() < 1e-5), "{found:?} {expected:?}");
        }
        mined.settle(Some(1), 3);
        assert_eq!(mined.hard(), [b]);
        mined.settle(Some(2), 3);
        assert_eq!(mined.hard(), [b, a]);
        // Combinations that no sample drew are never hard.
        mined.settle(Some(7), 3);
        assert_eq!(mined.hard(), [b, a, c]);
    }

    #[test]
    fn of_equal_scores_the_earlier_combination_is_hard() {
        let mut mined = fresh(&DmrnetConfig::default(), 2);
        let all: Vec<Subset> = Subset::all_non_empty(2).collect();
        mined.observe(&Presence::new(all.iter().rev().copied().collect()), &[1.0; 3]);
        mined.settle(None, 2);
        assert_eq!(mined.hard(), [Subset::single(0)]);
    }

    #[test]
    fn candidates_are_limited_and_seeded() {
        assert_eq!(fresh(&DmrnetConfig::default(), 6).candidates().len(), 63);
        let many = fresh(&DmrnetConfig::default(), 9);
        assert_eq!(many.candidates().len(), 9 + 64);
        assert!((0..9).all(|m| many.candidates().contains(&Subset::single(m))));
        assert_eq!(many, fresh(&DmrnetConfig::default(), 9));
        assert_eq!([2, 3, 4, 6, 9].map(default_hard_count), [1, 3, 4, 16, 16]);
    }

    #[test]
    fn sets_by_hand_are_read_by_name() {
        let named =
            |names: &[&str]| DmrnetConfig { hard_combinations: Some(names.iter().map(|n| n.to_string()).collect()), ..Default::default() };
        let mined = fresh(&named(&["m1", "m0+m2"]), 3);
        assert_eq!(mined.hard(), [Subset::single(1), Subset::from_indices([0, 2]).unwrap()]);
        let modalities = Modalities::new(["m0"]).unwrap();
        assert!(matches!(MinedCombinations::new(&named(&["audio"]), &modalities, 0), Err(Error::Modality(ModalityError::Unknown { .. }))));
    }
}
