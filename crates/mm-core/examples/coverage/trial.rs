//! Two methods that are equally good, trained with several seeds and tested on samples that seeds share or not.

use mm_core::rng;
use mm_core::statistics::{Bootstrap, LEVEL, Outcomes, Statistic, Verdict, simultaneous};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

/// Test samples of a seed.
const SAMPLES: u64 = 200;
/// Samples of the data set that random test sets are parts of.
const POOL: u64 = 5 * SAMPLES;
/// Methods.
const METHODS: usize = 2;
/// Combinations, and how far their mean accuracies are apart.
const COMBINATIONS: usize = 4;
const SPREAD: f64 = 0.3;
/// A sample is right where `ease + difficulty + affinity + training + noise > 0`. Standard deviations of what all methods and seeds have
/// in common in a sample, what one method has in it with every seed, and what is left.
const DIFFICULTY: f64 = 1.0;
const AFFINITY: f64 = 0.5;
const NOISE: f64 = 0.5;

/// Which test samples the seeds share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// All.
    Same,
    /// Half of them; the others are each seed's own.
    Half,
    /// As random fifths of one data set do.
    Fifths,
    /// None.
    None,
}

/// One kind of experiment.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub sharing: Sharing,
    pub seeds: u64,
    /// Standard deviation of what a training has in all samples.
    pub training: f64,
}

/// Shares of the trials.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shares {
    /// In which the interval of a mean over combinations holds the true one.
    pub coverage: f64,
    /// In which the mean over combinations of one method is called better or worse.
    pub false_mean: f64,
    /// In which its worst combination is.
    pub false_worst: f64,
}

impl Setting {
    /// Many trials.
    pub fn run(self, trials: u64, resamples: usize) -> Shares {
        let found: Vec<[bool; 3]> = (0..trials).into_par_iter().map(|trial| self.trial(trial, resamples)).collect();
        let share = |what: usize| found.iter().filter(|f| f[what]).count() as f64 / trials as f64;
        Shares { coverage: share(0), false_mean: share(1), false_worst: share(2) }
    }

    fn trial(self, trial: u64, resamples: usize) -> [bool; 3] {
        let mut random = rng::stream(trial, "coverage", &[]);
        let mut normal = |sd: f64| -> f64 {
            let x: f64 = StandardNormal.sample(&mut random);
            sd * x
        };
        // What a sample is, is the same with every seed.
        let of_samples: Vec<[f64; METHODS]> = (0..POOL.max((self.seeds + 2) * SAMPLES))
            .map(|_| {
                let difficulty = normal(DIFFICULTY);
                [0; METHODS].map(|_| difficulty + normal(AFFINITY))
            })
            .collect();
        let mut outcomes = |seed: u64| {
            let ids = self.samples(trial, seed);
            let training = [0; METHODS].map(|_| normal(self.training));
            let mut rows = vec![String::new(); METHODS * COMBINATIONS];
            for &id in &ids {
                for (column, row) in rows.iter_mut().enumerate() {
                    let (method, combination) = (column / COMBINATIONS, column % COMBINATIONS);
                    let x = ease(combination) + of_samples[id as usize][method] + training[method] + normal(NOISE);
                    row.push(if x > 0.0 { '1' } else { '0' });
                }
            }
            Outcomes::from_rows(&rows).and_then(|outcomes| outcomes.with_ids(ids)).expect("outcomes")
        };
        let seeds: Vec<Outcomes> = (0..self.seeds).map(&mut outcomes).collect();
        let resampled = Bootstrap { resamples, seed: trial }.run(&seeds).expect("bootstrap");
        let statistic = |s: Statistic| resampled.statistic(&s).expect("statistic");
        let columns = |method: usize| (method * COMBINATIONS..(method + 1) * COMBINATIONS).collect::<Vec<_>>();
        let interval = statistic(Statistic::Mean(columns(0))).estimate().interval(LEVEL);
        let truth = self.true_mean();
        let found = |of: fn(Vec<usize>) -> Statistic| {
            let difference = statistic(of(columns(0))).minus(&statistic(of(columns(1)))).estimate();
            simultaneous(&[difference])[0].verdict != Verdict::NoDifferenceFound
        };
        [interval.low <= truth && truth <= interval.high, found(Statistic::Mean), found(Statistic::Worst)]
    }

    fn samples(self, trial: u64, seed: u64) -> Vec<u64> {
        let own = (seed + 1) * SAMPLES;
        match self.sharing {
            Sharing::Same => (0..SAMPLES).collect(),
            Sharing::Half => (0..SAMPLES / 2).chain(own..own + SAMPLES / 2).collect(),
            Sharing::None => (own..own + SAMPLES).collect(),
            Sharing::Fifths => {
                let mut random = rng::stream(trial, "split", &[seed]);
                let mut all: Vec<u64> = (0..POOL).collect();
                for i in 0..SAMPLES as usize {
                    let other = random.random_range(i..all.len());
                    all.swap(i, other);
                }
                all.truncate(SAMPLES as usize);
                all
            }
        }
    }

    /// The accuracy over all samples and trainings there could be, mean over the combinations.
    fn true_mean(self) -> f64 {
        let sd = [DIFFICULTY, AFFINITY, NOISE, self.training].iter().map(|x| x * x).sum::<f64>().sqrt();
        (0..COMBINATIONS).map(|k| Normal::standard().cdf(ease(k) / sd)).sum::<f64>() / COMBINATIONS as f64
    }
}

/// How easy a combination is.
fn ease(combination: usize) -> f64 {
    0.8 + SPREAD * combination as f64
}
