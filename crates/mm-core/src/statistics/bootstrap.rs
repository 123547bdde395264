//! The paired bootstrap over test samples. Each resample draws the distinct samples of all seeds once, with replacement, and every
//! seed counts those of its own as often as they were drawn: what seeds share varies together, what they do not share varies by
//! itself. All columns of the outcomes see the same draws, so that the difference of two methods is resampled as a pair.
//!
//! Seeds are not drawn: [`super::Resamples`] adds what varies between them. The lowest of several accuracies is biased: its resamples
//! lie a little below the estimate; in the difference of two methods most of that cancels.
//!
//! Each resample has its own random stream, so the numbers do not depend on the number of threads.

use super::estimate::CERTAIN;
use super::table::{Block, Counters, Table, distinct_samples};
use super::{Outcomes, Resamples, StatisticsError};
use crate::error::{Error, Result};
use rand::RngExt;
use rayon::prelude::*;

/// Resamples that are counted and stored together.
const BLOCK: usize = 64;

/// A number computed from the scores of some columns, within one seed.
#[derive(Debug, Clone, PartialEq)]
pub enum Statistic {
    /// Mean over columns.
    Mean(Vec<usize>),
    /// The lowest of the columns.
    Worst(Vec<usize>),
    /// The highest of the columns: the worst, where a score is better the lower it is.
    Highest(Vec<usize>),
    /// One column.
    Single(usize),
    /// `offset + sum of weight * score`: a Shapley value, the area under a severity curve.
    Linear {
        /// Column and weight.
        terms: Vec<(usize, f64)>,
        /// Added to the sum.
        offset: f64,
    },
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

impl Bootstrap {
    /// Resamples outcomes, given as one table a seed with the same columns; [`Resampled::statistic`] then gives any number of
    /// statistics. Keeps `8 * columns * seeds * resamples` bytes.
    pub fn run(&self, seeds: &[Outcomes]) -> Result<Resampled> {
        if self.resamples == 0 {
            return Err(Error::config("resamples", "must be at least 1"));
        }
        let Some(first) = seeds.first() else {
            return Err(StatisticsError::NoSeed.into());
        };
        if let Some(other) = seeds.iter().find(|s| s.columns() != first.columns()) {
            return Err(StatisticsError::Columns { found: other.columns(), expected: first.columns() }.into());
        }
        let (members, samples) = distinct_samples(seeds);
        let tables: Vec<Table> = seeds.iter().zip(members).map(|(outcomes, members)| Table::new(outcomes, members)).collect();
        let starts: Vec<usize> = (0..self.resamples).step_by(BLOCK).collect();
        let block = |start: usize| self.block(&tables, samples, start..(start + BLOCK).min(self.resamples));
        let blocks = starts.into_par_iter().map(block).collect();
        // Every sample once: what the estimates come from.
        let mut whole = Block::new(first.columns(), tables.len());
        tables.iter().enumerate().for_each(|(seed, table)| whole.put(seed, &table.whole));
        Ok(Resampled { columns: first.columns(), samples, whole, blocks, tables })
    }

    fn block(&self, tables: &[Table], samples: usize, resamples: std::ops::Range<usize>) -> Block {
        let mut block = Block::new(tables[0].whole.len(), resamples.len() * tables.len());
        let mut counters = Counters::default();
        let weightings: Vec<Vec<u8>> = resamples.map(|index| self.draw(samples, index)).collect();
        for (seed, table) in tables.iter().enumerate() {
            counters.scores(table, &weightings, |resample, scores| block.put(resample * tables.len() + seed, scores));
        }
        block
    }

    /// How often each sample is drawn in a resample.
    fn draw(&self, samples: usize, resample: usize) -> Vec<u8> {
        let mut rng = crate::rng::stream(self.seed, "bootstrap", &[resample as u64]);
        let mut weights = vec![0u8; samples];
        for _ in 0..samples {
            let weight = &mut weights[rng.random_range(0..samples as u32) as usize];
            *weight = weight.saturating_add(1);
        }
        weights
    }
}

/// All resamples of some outcomes.
#[derive(Debug, Clone)]
pub struct Resampled {
    columns: usize,
    /// Distinct samples of all seeds.
    samples: usize,
    tables: Vec<Table>,
    whole: Block,
    blocks: Vec<Block>,
}

impl Resampled {
    /// A statistic over all resamples.
    pub fn statistic(&self, statistic: &Statistic) -> Result<Resamples> {
        let columns: Vec<usize> = match statistic {
            Statistic::Mean(columns) | Statistic::Worst(columns) | Statistic::Highest(columns) => columns.clone(),
            Statistic::Single(column) => vec![*column],
            Statistic::Linear { terms, .. } => terms.iter().map(|t| t.0).collect(),
        };
        if columns.is_empty() {
            return Err(StatisticsError::NoColumn.into());
        }
        if let Some(&column) = columns.iter().find(|c| **c >= self.columns) {
            return Err(StatisticsError::Column { column, columns: self.columns }.into());
        }
        for (seed, table) in self.tables.iter().enumerate() {
            if let Some(&column) = columns.iter().find(|c| table.whole[**c].is_nan()) {
                return Err(StatisticsError::NotEvaluated { seed, column }.into());
            }
        }
        let values: Vec<Vec<f64>> = self.blocks.par_iter().map(|block| self.of_block(block, statistic)).collect();
        Ok(Resamples::new(self.of_block(&self.whole, statistic), values.concat(), self.evaluated_in(&columns), self.few(statistic)))
    }

    /// How many distinct samples were evaluated in any of these columns.
    fn evaluated_in(&self, columns: &[usize]) -> usize {
        if self.tables.iter().all(Table::is_complete) {
            return self.samples;
        }
        let mut any = vec![false; self.samples];
        self.tables.iter().for_each(|table| table.evaluated_in(columns, |sample| any[sample as usize] = true));
        any.into_iter().filter(|any| *any).count()
    }

    /// The columns of a statistic that stand on few samples, and how far it moves with their score.
    fn few(&self, statistic: &Statistic) -> Vec<(usize, f64)> {
        let few = |column: usize, weight: f64| Some((self.evaluated_in(&[column]), weight)).filter(|(n, _)| *n < CERTAIN);
        match statistic {
            Statistic::Mean(columns) => columns.iter().filter_map(|c| few(*c, 1.0 / columns.len() as f64)).collect(),
            Statistic::Single(column) => few(*column, 1.0).into_iter().collect(),
            Statistic::Linear { terms, .. } => terms.iter().filter_map(|(c, weight)| few(*c, weight.abs())).collect(),
            // Any of them may be the lowest.
            Statistic::Worst(columns) | Statistic::Highest(columns) => {
                columns.iter().filter_map(|c| few(*c, 1.0)).min_by_key(|(n, _)| *n).into_iter().collect()
            }
        }
    }

    /// One value an entry of the block.
    fn of_block(&self, block: &Block, statistic: &Statistic) -> Vec<f64> {
        let mut values = vec![0.0; block.entries];
        let mut each = |columns: &mut dyn Iterator<Item = usize>, add: &dyn Fn(usize, &mut f64, f64)| {
            for (k, column) in columns.enumerate() {
                values.iter_mut().zip(block.at(column)).for_each(|(value, score)| add(k, value, *score));
            }
        };
        match statistic {
            Statistic::Mean(columns) => {
                let share = 1.0 / columns.len() as f64;
                each(&mut columns.iter().copied(), &|_, value, a| *value += a * share);
            }
            Statistic::Worst(columns) => each(&mut columns.iter().copied(), &|k, value, a| *value = if k == 0 { a } else { value.min(a) }),
            Statistic::Highest(columns) => {
                each(&mut columns.iter().copied(), &|k, value, a| *value = if k == 0 { a } else { value.max(a) });
            }
            Statistic::Single(column) => each(&mut std::iter::once(*column), &|_, value, a| *value = a),
            Statistic::Linear { terms, offset } => {
                each(&mut terms.iter().map(|t| t.0), &|k, value, a| *value += a * terms[k].1 + if k == 0 { *offset } else { 0.0 });
            }
        }
        values
    }
}
