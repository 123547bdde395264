//! Made-up results for the tests: as large and as shaped as those of a real plan.

use crate::result::*;
use crate::rows::Rows;
use mm_core::{Modalities, Subset};
use rand::RngExt;
use std::collections::BTreeMap;

/// What to make up.
#[derive(Clone)]
pub struct Synthetic {
    pub data: Vec<&'static str>,
    /// Run, method, and how much better than the rest.
    pub runs: Vec<(&'static str, &'static str, f64)>,
    pub seeds: Vec<u64>,
    pub modalities: Vec<String>,
    pub classes: Vec<String>,
    pub samples: usize,
    /// Corruption, corrupted modalities.
    pub corruptions: Vec<(&'static str, String)>,
    pub epochs: usize,
}

impl Synthetic {
    /// Eight runs, three seeds, 63 combinations, 400 samples, two data entries, three corruptions.
    pub fn realistic() -> Self {
        let modalities: Vec<String> = ["fac", "fou", "kar", "mor", "pix", "zer"].map(String::from).to_vec();
        Self {
            data: vec!["numerals-1400", "numerals-200"],
            runs: vec![
                ("full-only", "full-only", -0.16),
                ("modality-dropout", "modality-dropout", 0.0),
                ("mean-imputation", "mean-imputation", -0.08),
                ("late-fusion", "late-fusion", -0.02),
                ("per-combination", "per-combination", 0.004),
                ("mmanet", "mmanet", 0.006),
                ("dmrnet", "dmrnet", 0.001),
                ("udml", "udml", 0.012),
            ],
            seeds: vec![0, 1, 2],
            modalities: modalities.clone(),
            classes: (0..10).map(|c| c.to_string()).collect(),
            samples: 400,
            corruptions: vec![("gaussian", "pix+kar".into()), ("salt_and_pepper", "pix".into()), ("dead", modalities.join("+"))],
            epochs: 40,
        }
    }

    /// Two runs, two seeds, three combinations: quick.
    pub fn small() -> Self {
        Self {
            data: vec!["tiny"],
            runs: vec![("modality-dropout", "modality-dropout", 0.0), ("better", "mmanet", 0.15)],
            seeds: vec![0, 1],
            modalities: vec!["rgb".into(), "depth".into()],
            classes: vec!["cat".into(), "dog".into(), "cow".into()],
            samples: 80,
            corruptions: vec![("gaussian", "rgb".into())],
            epochs: 3,
        }
    }

    /// All cells.
    pub fn results(&self) -> Vec<CellResult> {
        let mut results = Vec::new();
        for (d, data) in self.data.iter().enumerate() {
            for (r, run) in self.runs.iter().enumerate() {
                results.extend(self.seeds.iter().map(|&seed| self.cell(d, data, r, run, seed)));
            }
        }
        results
    }

    fn cell(&self, d: usize, data: &str, r: usize, &(run, method, skill): &(&str, &str, f64), seed: u64) -> CellResult {
        let names = Modalities::new(self.modalities.clone()).expect("modalities");
        // Samples are as hard for every run; a run adds a little noise of its own.
        let mut shared = mm_core::rng::stream(seed, "synthetic", &[d as u64]);
        let hardness: Vec<f64> = (0..self.samples).map(|_| shared.random()).collect();
        let labels: Vec<usize> = (0..self.samples).map(|i| i % self.classes.len()).collect();
        let mut rng = mm_core::rng::stream(seed, "synthetic-run", &[d as u64, r as u64]);
        let shift = (rng.random::<f64>() - 0.5) * 0.006 - 0.02 * d as f64;
        let m = self.modalities.len();
        let strength = |i: usize| 0.94 - 0.2 * ((i * 7) % m) as f64 / m as f64;
        let accuracy = |subset: Subset| {
            let miss: f64 = subset.indices().map(|i| (1.0 - strength(i)).powf(0.7)).product();
            let absent = 1.0 - subset.len() as f64 / m as f64;
            (1.0 - miss + skill * absent * 1.4 + shift).clamp(0.05, 1.0)
        };
        let mut evaluate = |p: f64| {
            let mut confusion = vec![vec![0u64; self.classes.len()]; self.classes.len()];
            let mut correct = String::new();
            for (h, &label) in hardness.iter().zip(&labels) {
                let right = 0.9 * h + 0.1 * rng.random::<f64>() < p;
                let next = (label + 1 + rng.random_range(0..2usize)) % self.classes.len();
                confusion[label][if right { label } else { next }] += 1;
                correct.push(if right { '1' } else { '0' });
            }
            let accuracy = correct.bytes().filter(|c| *c == b'1').count() as f64 / self.samples as f64;
            (metrics(accuracy, self.samples, self.classes.len() == 2), correct, confusion)
        };
        let subsets = Subset::all_non_empty(m).filter(|s| method != "per-combination" || s.len() == 1 || s.len() == m);
        let combinations: Vec<CombinationResult> = subsets
            .map(|s| {
                let (metrics, correct, confusion) = evaluate(accuracy(s));
                CombinationResult {
                    subset: names.format(s),
                    metrics,
                    correct,
                    sums: Vec::new(),
                    confusion,
                    excluded: Excluded::default(),
                    outputs: Vec::new(),
                }
            })
            .collect();
        let clean = (!self.corruptions.is_empty()).then(|| {
            let (metrics, correct, _) = evaluate(accuracy(names.full()));
            CleanResult { metrics, correct, sums: Vec::new(), excluded: Excluded::default() }
        });
        let mut corruptions = Vec::new();
        for (family, subset) in &self.corruptions {
            for severity in 1..=5u8 {
                let weight = names.parse(subset).expect("subset").len() as f64 / m as f64;
                let lost = weight * f64::from(severity) * (0.09 - 0.6 * skill.max(0.0));
                let (metrics, correct, _) = evaluate((accuracy(names.full()) - lost).max(0.1));
                let non_finite = if *family == "dead" { 3 } else { 0 };
                corruptions.push(CorruptionResult {
                    corruption: family.to_string(),
                    severity,
                    subset: subset.clone(),
                    metrics,
                    correct,
                    sums: Vec::new(),
                    excluded: Excluded::default(),
                    non_finite,
                });
            }
        }
        let worst = combinations.iter().min_by(|a, b| a.metrics.score.total_cmp(&b.metrics.score)).expect("combinations").clone();
        let full = combinations.last().map(|c| c.metrics.score);
        let mean = combinations.iter().map(|c| c.metrics.score).sum::<f64>() / combinations.len() as f64;
        CellResult {
            key: format!("{d}-{r}-{seed}"),
            data: data.into(),
            run: run.into(),
            method: method.into(),
            meaning: format!("What {method} does."),
            seed,
            modalities: self.modalities.clone(),
            classes: self.classes.clone(),
            outputs: Vec::new(),
            predicts: None,
            measure: Measured::default(),
            test_samples: self.samples,
            // Random fifths of one data set, as ours are.
            test_rows: Some(Rows::new((0..self.samples).map(|i| 5 * i + (i + seed as usize) % 5).collect())),
            readings: self
                .modalities
                .iter()
                .map(|m| Readings { modality: m.clone(), present: self.samples, absent: 0, non_finite: 0 })
                .collect(),
            data_remarks: Vec::new(),
            not_evaluated: Vec::new(),
            available: None,
            clean,
            summary: Some(Summary {
                mean,
                worst: worst.metrics.score,
                worst_subset: worst.subset.clone(),
                full,
                gap: full.map(|f| f - worst.metrics.score),
            }),
            combinations,
            corruptions,
            test_ids: None,
            test_groups: None,
            truths: Some(labels.iter().map(|&label| label as u32).collect()),
            true_outputs: Vec::new(),
            cost: Some(Cost {
                train_seconds: 0.9 + 0.3 * r as f64,
                evaluation_seconds: 0.02,
                total_seconds: 1.2 + 0.3 * r as f64,
                steps: 880,
                evaluation_encoder_passes: m,
                evaluation_batches: 1,
                trained_parameters: 123_456 + 10_000 * r,
                deployed_parameters: 103_456,
                peak_memory_bytes: Some(97_000_000 + 1_000_000 * r as u64),
                threads: 1,
            }),
            epochs: (0..self.epochs).map(|e| epoch(e, mean, r)).collect(),
            notes: vec![format!("selected epoch {} by validation accuracy", self.epochs), format!("hardest combination: {}", worst.subset)],
            provenance: Some(Provenance {
                version: "0.1.0 (abcdef012345)".into(),
                data_hash: format!("{:064x}", d + 1),
                machine: "Some Processor, 2 cores, linux".into(),
                level: "avx2".into(),
                finished_at: format!("2026-01-02T03:04:{:02}Z", (r * 3 + seed as usize) % 60),
            }),
            pictures: Vec::new(),
            folder: None,
        }
    }
}

fn metrics(accuracy: f64, samples: usize, two_class: bool) -> Metrics {
    let wrong = 1.0 - accuracy;
    Metrics {
        samples,
        score: accuracy,
        values: BTreeMap::from(
            [
                ("macro_f1", accuracy),
                ("balanced_accuracy", accuracy),
                ("nll", 2.0 * wrong),
                ("brier", 1.4 * wrong),
                ("ece", 0.01 + 0.2 * wrong),
            ]
            .map(|(name, value)| (name.to_string(), value)),
        ),
        spoof: two_class.then_some(SpoofMetrics { apcer: wrong * 0.8, bpcer: wrong * 1.2, acer: wrong }),
    }
}

fn epoch(epoch: usize, mean: f64, run: usize) -> EpochRecord {
    let loss = 2.3 * (-0.15 * epoch as f64).exp() + 0.1 + 0.02 * run as f64;
    EpochRecord {
        epoch,
        learning_rate: 0.05,
        losses: BTreeMap::from([("cross_entropy".to_string(), loss), ("total".to_string(), loss)]),
        validation_score: (epoch % 2 == 1).then(|| mean * (1.0 - 0.7 * (-0.2 * epoch as f64).exp())),
    }
}
