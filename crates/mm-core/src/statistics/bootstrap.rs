//! The paired hierarchical bootstrap: seeds are drawn with replacement, then the test samples within each drawn seed; every
//! method sees the same draws, so that the difference of two methods is resampled as a pair.
//!
//! One resample's statistic is the mean over the drawn seeds of the statistic within a seed. The interval holds the middle
//! 95 % of the resamples (percentile interval). With fewer than five seeds it tends to be too narrow: there is little to
//! resample. The worst combination is a minimum, so its resamples lie a little below the estimate; in the difference of two
//! methods most of that cancels.
//!
//! Each resample has its own random stream, so the numbers do not depend on the number of threads.

use super::Outcomes;
use crate::error::{Error, Result};
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Byte counters are added up to wider ones before they can overflow.
const DRAWS_PER_BLOCK: usize = 255;
/// Columns are padded to whole vector registers.
const ALIGNMENT: usize = 32;

/// A number computed from the accuracies of all combinations, within one seed.
#[derive(Debug, Clone, PartialEq)]
pub enum Statistic {
    /// Mean over the combinations.
    Mean,
    /// The lowest accuracy.
    Worst,
    /// One combination, by position.
    Combination(usize),
    /// One combination, by position, minus the lowest accuracy.
    Gap(usize),
    /// `offset + weights . accuracies`: a Shapley value, the area under a severity curve.
    Linear {
        /// One weight a combination.
        weights: Vec<f64>,
        /// Added to the sum.
        offset: f64,
    },
}

impl Statistic {
    fn of(&self, accuracies: &[f64]) -> f64 {
        match self {
            Self::Mean => accuracies.iter().sum::<f64>() / accuracies.len() as f64,
            Self::Worst => lowest(accuracies),
            Self::Combination(k) => accuracies[*k],
            Self::Gap(k) => accuracies[*k] - lowest(accuracies),
            Self::Linear { weights, offset } => offset + weights.iter().zip(accuracies).map(|(w, a)| w * a).sum::<f64>(),
        }
    }

    fn check(&self, combinations: usize) -> Result<()> {
        match self {
            Self::Combination(k) | Self::Gap(k) if *k >= combinations => Err(Error::Data(format!("combination {k} of {combinations}"))),
            Self::Linear { weights, .. } if weights.len() != combinations => {
                Err(Error::Data(format!("{} weights for {combinations} combinations", weights.len())))
            }
            _ => Ok(()),
        }
    }
}

fn lowest(accuracies: &[f64]) -> f64 {
    accuracies.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Settings of the bootstrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// How many resamples.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 10_000, seed: 0 }
    }
}

/// An estimate with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The value on all seeds and samples.
    pub estimate: f64,
    /// 2.5th percentile of the resamples.
    pub low: f64,
    /// 97.5th percentile of the resamples.
    pub high: f64,
}

/// A difference of two methods.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The difference and its interval.
    pub interval: Interval,
    /// Two-sided p-value of "no difference", never below `2 / (resamples + 1)`.
    pub p: f64,
}

/// The resampled statistics of each method.
#[derive(Debug, Clone)]
pub struct Resampled {
    /// `estimates[method][statistic]`.
    estimates: Vec<Vec<f64>>,
    /// `values[method][statistic][resample]`.
    values: Vec<Vec<Vec<f64>>>,
}

impl Bootstrap {
    /// Resamples `statistics` of each of `methods`, which are given as one [`Outcomes`] a seed, the same seeds in the same order.
    ///
    /// A combination is compared on the samples that every method evaluated; it is an error if there are none.
    pub fn run(&self, methods: &[&[Outcomes]], statistics: &[Statistic]) -> Result<Resampled> {
        if self.resamples == 0 {
            return Err(Error::config("resamples", "must be at least 1"));
        }
        let seeds = methods.first().map_or(0, |m| m.len());
        if seeds == 0 || methods.iter().any(|m| m.len() != seeds) {
            return Err(Error::Data("a bootstrap needs at least one method and the same number of seeds, at least one, from each".into()));
        }
        let tables: Vec<Table> = (0..seeds).map(|s| Table::new(s, methods.iter().map(|m| &m[s]).collect())).collect::<Result<_>>()?;
        let combinations = tables[0].combinations;
        if tables.iter().any(|t| t.combinations != combinations) {
            return Err(Error::Data("the seeds have different numbers of combinations".into()));
        }
        statistics.iter().try_for_each(|s| s.check(combinations))?;

        let width = methods.len() * statistics.len();
        let plain = (0..seeds).map(|s| tables[s].statistics_of(&tables[s].all_right, None, statistics));
        let estimates = mean_of_seeds(plain, width, seeds);
        let resamples: Vec<Vec<f64>> = (0..self.resamples)
            .into_par_iter()
            .map_init(Scratch::default, |scratch, index| {
                let mut rng = crate::rng::stream(self.seed, "bootstrap", &[index as u64]);
                let mut one_seed = |_| {
                    let table = &tables[rng.random_range(0..seeds as u32) as usize];
                    scratch.count(table, &mut rng);
                    table.statistics_of(&scratch.counts, Some(&scratch.counts), statistics)
                };
                mean_of_seeds((0..seeds).map(&mut one_seed), width, seeds)
            })
            .collect();
        let at = |m: usize, s: usize| m * statistics.len() + s;
        let column = |i: usize| resamples.iter().map(|r| r[i]).collect::<Vec<f64>>();
        let by_method = |f: &dyn Fn(usize, usize) -> Vec<f64>| -> Vec<Vec<Vec<f64>>> {
            (0..methods.len()).map(|m| (0..statistics.len()).map(|s| f(m, s)).collect()).collect()
        };
        Ok(Resampled {
            estimates: estimates.chunks(statistics.len().max(1)).map(<[f64]>::to_vec).collect(),
            values: by_method(&|m, s| column(at(m, s))),
        })
    }
}

fn mean_of_seeds(values: impl Iterator<Item = Vec<f64>>, width: usize, seeds: usize) -> Vec<f64> {
    let mut sums = vec![0.0; width];
    values.for_each(|seed| sums.iter_mut().zip(seed).for_each(|(sum, x)| *sum += x));
    sums.iter().map(|sum| sum / seeds as f64).collect()
}

/// The outcomes of all methods with one seed, ready to be counted: a row a sample, `[right of each method..., evaluated]`.
struct Table {
    combinations: usize,
    samples: usize,
    methods: usize,
    width: usize,
    rows: Vec<u8>,
    /// Whether a sample is missing anywhere; else the evaluated columns are left out.
    gaps: bool,
    /// Column sums over all samples.
    all_right: Vec<u32>,
    /// Samples of each combination.
    all_evaluated: Vec<u32>,
}

impl Table {
    fn new(seed: usize, outcomes: Vec<&Outcomes>) -> Result<Self> {
        let (combinations, samples) = (outcomes[0].combinations(), outcomes[0].samples());
        if outcomes.iter().any(|o| o.combinations() != combinations || o.samples() != samples) {
            return Err(Error::Data(format!("seed number {seed}: the methods have different numbers of combinations or samples")));
        }
        let methods = outcomes.len();
        let evaluated = |i: usize, k: usize| outcomes.iter().all(|o| o.evaluated(i)[k] == 1);
        let gaps = (0..samples).any(|i| (0..combinations).any(|k| !evaluated(i, k)));
        let width = (combinations * (methods + usize::from(gaps))).next_multiple_of(ALIGNMENT);
        let mut rows = vec![0; samples * width];
        for (i, row) in rows.chunks_exact_mut(width).enumerate() {
            for (m, outcome) in outcomes.iter().enumerate() {
                for k in 0..combinations {
                    row[m * combinations + k] = outcome.right(i)[k] & u8::from(evaluated(i, k));
                }
            }
            for k in (0..combinations).filter(|_| gaps) {
                row[methods * combinations + k] = u8::from(evaluated(i, k));
            }
        }
        let sum = |column: usize| rows.chunks_exact(width).map(|row| u32::from(row[column])).sum::<u32>();
        let all_right: Vec<u32> = (0..width).map(sum).collect();
        let all_evaluated: Vec<u32> = (0..combinations).map(|k| if gaps { all_right[methods * combinations + k] } else { samples as u32 }).collect();
        if let Some(k) = all_evaluated.iter().position(|&n| n == 0) {
            return Err(Error::Data(format!("seed number {seed}: no sample of combination {k} was evaluated by every method")));
        }
        Ok(Self { combinations, samples, methods, width, rows, gaps, all_right, all_evaluated })
    }

    /// `[method][statistic]`, flat, from column counts. A combination without a drawn sample keeps its accuracy on all samples.
    fn statistics_of(&self, right: &[u32], drawn: Option<&[u32]>, statistics: &[Statistic]) -> Vec<f64> {
        let mut values = Vec::with_capacity(self.methods * statistics.len());
        let mut accuracies = vec![0.0; self.combinations];
        for m in 0..self.methods {
            for (k, accuracy) in accuracies.iter_mut().enumerate() {
                let column = m * self.combinations + k;
                let evaluated = match drawn {
                    Some(counts) if self.gaps => counts[self.methods * self.combinations + k],
                    _ => self.all_evaluated[k],
                };
                *accuracy = match evaluated {
                    0 => f64::from(self.all_right[column]) / f64::from(self.all_evaluated[k]),
                    n => f64::from(right[column]) / f64::from(n),
                };
            }
            values.extend(statistics.iter().map(|s| s.of(&accuracies)));
        }
        values
    }
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    bytes: Vec<u8>,
    counts: Vec<u32>,
}

impl Scratch {
    /// Draws as many samples as there are, with replacement, and adds up their rows.
    fn count(&mut self, table: &Table, rng: &mut crate::rng::Rng) {
        self.counts.clear();
        self.counts.resize(table.width, 0);
        let mut left = table.samples;
        while left > 0 {
            let block = left.min(DRAWS_PER_BLOCK);
            self.bytes.clear();
            self.bytes.resize(table.width, 0);
            for _ in 0..block {
                let sample = rng.random_range(0..table.samples as u32) as usize;
                let row = &table.rows[sample * table.width..][..table.width];
                self.bytes.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            self.counts.iter_mut().zip(&self.bytes).for_each(|(sum, x)| *sum += u32::from(*x));
            left -= block;
        }
    }
}

impl Resampled {
    /// A method's statistic, both by position.
    pub fn interval(&self, method: usize, statistic: usize) -> Interval {
        interval(self.estimates[method][statistic], self.values[method][statistic].clone())
    }

    /// The statistic of method `a` minus that of method `b`.
    pub fn difference(&self, a: usize, b: usize, statistic: usize) -> Difference {
        let estimate = self.estimates[a][statistic] - self.estimates[b][statistic];
        let values: Vec<f64> = self.values[a][statistic].iter().zip(&self.values[b][statistic]).map(|(a, b)| a - b).collect();
        // Rounding of sums in different orders is no difference.
        let share = |side: &dyn Fn(f64) -> bool| (values.iter().filter(|&&d| side(d)).count() + 1) as f64 / (values.len() + 1) as f64;
        let (below, above) = (share(&|d| d <= 1e-12), share(&|d| d >= -1e-12));
        Difference { p: (2.0 * below.min(above)).min(1.0), interval: interval(estimate, values) }
    }
}

fn interval(estimate: f64, mut values: Vec<f64>) -> Interval {
    Interval { estimate, low: percentile(&mut values, 0.025), high: percentile(&mut values, 0.975) }
}

/// Linear interpolation between the two nearest of the sorted values.
fn percentile(values: &mut [f64], share: f64) -> f64 {
    let position = share * (values.len() - 1) as f64;
    let (_, &mut low, above) = values.select_nth_unstable_by(position as usize, f64::total_cmp);
    let high = above.iter().copied().reduce(f64::min).unwrap_or(low);
    low + (high - low) * position.fract()
}
