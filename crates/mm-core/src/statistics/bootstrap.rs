//! The paired hierarchical bootstrap: seeds are drawn with replacement, then the test samples within each drawn seed. All
//! columns of the outcomes see the same draws, so that the difference of two methods is resampled as a pair.
//!
//! One resample's statistic is the mean over the drawn seeds of the statistic within a seed. The lowest of several accuracies is
//! biased: its resamples lie a little below the estimate; in the difference of two methods most of that cancels.
//!
//! Each resample has its own random stream, so the numbers do not depend on the number of threads.

use super::{Outcomes, Resamples};
use crate::error::{Error, Result};
use rand::RngExt;
use rayon::prelude::*;

/// Byte counters are added up to wider ones before they can overflow.
const DRAWS_PER_SUM: usize = 255;
/// Rows are padded to whole vector registers.
const ALIGNMENT: usize = 32;
/// Resamples that are counted and stored together.
const BLOCK: usize = 64;

/// A number computed from the accuracies of some columns, within one seed.
#[derive(Debug, Clone, PartialEq)]
pub enum Statistic {
    /// Mean over columns.
    Mean(Vec<usize>),
    /// The lowest of the columns.
    Worst(Vec<usize>),
    /// One column.
    Single(usize),
    /// `offset + sum of weight * accuracy`: a Shapley value, the area under a severity curve.
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
    /// statistics. Keeps `4 * columns * seeds * resamples` bytes.
    pub fn run(&self, seeds: &[Outcomes]) -> Result<Resampled> {
        if self.resamples == 0 {
            return Err(Error::config("resamples", "must be at least 1"));
        }
        let Some(first) = seeds.first() else {
            return Err(Error::Data("a bootstrap needs at least one seed".into()));
        };
        if seeds.iter().any(|s| s.columns() != first.columns()) {
            return Err(Error::Data("the seeds have different numbers of columns".into()));
        }
        let tables: Vec<Table> = seeds.iter().map(Table::new).collect();
        let starts: Vec<usize> = (0..self.resamples).step_by(BLOCK).collect();
        let blocks = starts.into_par_iter().map(|start| self.block(&tables, start..(start + BLOCK).min(self.resamples))).collect();
        Ok(Resampled { columns: first.columns(), whole: Block::whole(&tables), blocks, tables })
    }

    fn block(&self, tables: &[Table], resamples: std::ops::Range<usize>) -> Block {
        let mut block = Block::new(tables, resamples.len() * tables.len());
        let mut sums = Sums::default();
        let mut entry = 0;
        for index in resamples {
            let mut rng = crate::rng::stream(self.seed, "bootstrap", &[index as u64]);
            for _ in tables {
                let seed = rng.random_range(0..tables.len() as u32) as usize;
                sums.draw(&tables[seed], &mut rng);
                block.put(entry, seed, &sums.counts);
                entry += 1;
            }
        }
        block
    }
}

/// One seed's outcomes, ready to be counted: a row a sample, the right answers and, where samples are missing, the evaluated.
#[derive(Debug, Clone)]
struct Table {
    samples: usize,
    width: usize,
    rows: Vec<u8>,
    totals: Vec<u32>,
    gaps: bool,
}

impl Table {
    fn new(outcomes: &Outcomes) -> Self {
        let (columns, samples) = (outcomes.columns(), outcomes.samples());
        let gaps = (0..samples).any(|i| outcomes.evaluated(i).contains(&0));
        let width = (columns * (1 + usize::from(gaps))).next_multiple_of(ALIGNMENT);
        let mut rows = vec![0; samples * width];
        let mut totals = vec![0; width];
        for (i, row) in rows.chunks_exact_mut(width).enumerate() {
            row[..columns].copy_from_slice(outcomes.right(i));
            if gaps {
                row[columns..2 * columns].copy_from_slice(outcomes.evaluated(i));
            }
            totals.iter_mut().zip(&*row).for_each(|(sum, x)| *sum += u32::from(*x));
        }
        Self { samples, width, rows, totals, gaps }
    }

    fn evaluated(&self, columns: usize, column: usize, counts: &[u32]) -> u32 {
        if self.gaps { counts[columns + column] } else { self.samples as u32 }
    }
}

/// Counters of one thread.
#[derive(Default)]
struct Sums {
    bytes: Vec<u8>,
    counts: Vec<u32>,
}

impl Sums {
    /// Draws as many samples as there are, with replacement, and adds up their rows.
    fn draw(&mut self, table: &Table, rng: &mut crate::rng::Rng) {
        self.counts.clear();
        self.counts.resize(table.width, 0);
        let mut left = table.samples;
        while left > 0 {
            let draws = left.min(DRAWS_PER_SUM);
            self.bytes.clear();
            self.bytes.resize(table.width, 0);
            for _ in 0..draws {
                let sample = rng.random_range(0..table.samples as u32) as usize;
                let row = &table.rows[sample * table.width..][..table.width];
                self.bytes.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            self.counts.iter_mut().zip(&self.bytes).for_each(|(sum, x)| *sum += u32::from(*x));
            left -= draws;
        }
    }
}

/// The counts of some entries (a drawn seed of a resample each), column by column.
#[derive(Debug, Clone)]
struct Block {
    entries: usize,
    /// Columns stored: twice as many where samples are missing.
    stored: usize,
    seeds: Vec<usize>,
    counts: Vec<u32>,
}

impl Block {
    fn new(tables: &[Table], entries: usize) -> Self {
        let stored = tables.iter().map(|t| t.totals.len()).max().unwrap_or(0);
        Self { entries, stored, seeds: vec![0; entries], counts: vec![0; stored * entries] }
    }

    /// Every seed once, every sample once: what the estimates come from.
    fn whole(tables: &[Table]) -> Self {
        let mut block = Self::new(tables, tables.len());
        tables.iter().enumerate().for_each(|(seed, table)| block.put(seed, seed, &table.totals));
        block
    }

    fn put(&mut self, entry: usize, seed: usize, counts: &[u32]) {
        self.seeds[entry] = seed;
        for (column, count) in counts.iter().enumerate().take(self.stored) {
            self.counts[column * self.entries + entry] = *count;
        }
    }
}

/// All resamples of some outcomes.
#[derive(Debug, Clone)]
pub struct Resampled {
    columns: usize,
    tables: Vec<Table>,
    whole: Block,
    blocks: Vec<Block>,
}

impl Resampled {
    /// A statistic over all resamples.
    pub fn statistic(&self, statistic: &Statistic) -> Result<Resamples> {
        let columns: Vec<usize> = match statistic {
            Statistic::Mean(columns) | Statistic::Worst(columns) => columns.clone(),
            Statistic::Single(column) => vec![*column],
            Statistic::Linear { terms, .. } => terms.iter().map(|t| t.0).collect(),
        };
        if columns.is_empty() {
            return Err(Error::Data("a statistic needs at least one column".into()));
        }
        if let Some(column) = columns.iter().find(|c| **c >= self.columns) {
            return Err(Error::Data(format!("column {column} of {}", self.columns)));
        }
        for (seed, table) in self.tables.iter().enumerate() {
            if let Some(column) = columns.iter().find(|c| table.evaluated(self.columns, **c, &table.totals) == 0) {
                return Err(Error::Data(format!("seed number {seed}: no sample of column {column} was evaluated")));
            }
        }
        let values: Vec<Vec<f64>> = self.blocks.par_iter().map(|block| self.of_block(block, statistic)).collect();
        Ok(Resamples::new(self.of_entries(&self.whole, statistic), values.concat()))
    }

    /// One value a resample of the block: the mean over its drawn seeds.
    fn of_block(&self, block: &Block, statistic: &Statistic) -> Vec<f64> {
        self.of_entries(block, statistic).chunks_exact(self.tables.len()).map(super::mean).collect()
    }

    /// One value an entry of the block.
    fn of_entries(&self, block: &Block, statistic: &Statistic) -> Vec<f64> {
        let mut values = vec![0.0; block.entries];
        let mut accuracies = vec![0.0; block.entries];
        let mut each = |columns: &mut dyn Iterator<Item = usize>, add: &dyn Fn(usize, &mut f64, f64)| {
            for (k, column) in columns.enumerate() {
                self.accuracies(block, column, &mut accuracies);
                values.iter_mut().zip(&accuracies).for_each(|(value, accuracy)| add(k, value, *accuracy));
            }
        };
        match statistic {
            Statistic::Mean(columns) => {
                let share = 1.0 / columns.len() as f64;
                each(&mut columns.iter().copied(), &|_, value, a| *value += a * share);
            }
            Statistic::Worst(columns) => each(&mut columns.iter().copied(), &|k, value, a| *value = if k == 0 { a } else { value.min(a) }),
            Statistic::Single(column) => each(&mut std::iter::once(*column), &|_, value, a| *value = a),
            Statistic::Linear { terms, offset } => {
                each(&mut terms.iter().map(|t| t.0), &|k, value, a| *value += a * terms[k].1 + if k == 0 { *offset } else { 0.0 });
            }
        }
        values
    }

    /// A column's accuracy in each entry. Without a drawn sample it is that of all samples.
    fn accuracies(&self, block: &Block, column: usize, out: &mut [f64]) {
        let right = &block.counts[column * block.entries..][..block.entries];
        for ((entry, accuracy), seed) in out.iter_mut().enumerate().zip(&block.seeds) {
            let table = &self.tables[*seed];
            let evaluated = if table.gaps { block.counts[(self.columns + column) * block.entries + entry] } else { table.samples as u32 };
            *accuracy = match evaluated {
                0 => f64::from(table.totals[column]) / f64::from(table.evaluated(self.columns, column, &table.totals)),
                n => f64::from(right[entry]) / f64::from(n),
            };
        }
    }
}
