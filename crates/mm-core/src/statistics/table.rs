//! Outcomes laid out for counting, and the counts of many resamples.

use super::Outcomes;
use std::collections::HashMap;

/// Byte counters are added up to wider ones before they can overflow.
const LARGEST_BYTE: usize = 255;
/// Rows are padded to whole vector registers.
const ALIGNMENT: usize = 32;

/// One seed's outcomes: a row a sample, the right answers and, where samples are missing, the evaluated; 0 or 255.
#[derive(Debug, Clone)]
pub(super) struct Table {
    columns: usize,
    width: usize,
    rows: Vec<u8>,
    /// Which of the distinct samples of all seeds each row is.
    members: Vec<u32>,
    /// Counts with every sample once.
    pub totals: Vec<u32>,
    gaps: bool,
}

/// Numbers the samples of all seeds: for each seed which distinct sample each of its own is, and how many distinct ones there are.
/// Samples without an id are no other seed's.
pub(super) fn distinct_samples(seeds: &[Outcomes]) -> (Vec<Vec<u32>>, usize) {
    let mut known = HashMap::new();
    let mut count = 0u32;
    let mut next = || {
        count += 1;
        count - 1
    };
    let mut number = |outcomes: &Outcomes, i: usize| match outcomes.id(i) {
        Some(id) => *known.entry(id).or_insert_with(&mut next),
        None => next(),
    };
    let members = seeds.iter().map(|outcomes| (0..outcomes.samples()).map(|i| number(outcomes, i)).collect()).collect();
    (members, count as usize)
}

impl Table {
    pub fn new(outcomes: &Outcomes, members: Vec<u32>) -> Self {
        let (columns, samples) = (outcomes.columns(), outcomes.samples());
        let gaps = (0..samples).any(|i| outcomes.evaluated(i).contains(&0));
        let width = (columns * (1 + usize::from(gaps))).next_multiple_of(ALIGNMENT);
        let mut rows = vec![0; samples * width];
        for (i, row) in rows.chunks_exact_mut(width).enumerate() {
            let marks = outcomes.right(i).iter().chain(outcomes.evaluated(i).iter().filter(|_| gaps));
            row.iter_mut().zip(marks).for_each(|(cell, mark)| *cell = if *mark == 1 { u8::MAX } else { 0 });
        }
        let mut table = Self { columns, width, rows, members, totals: Vec::new(), gaps };
        let mut sums = Sums::default();
        let each_once = vec![1; table.members.iter().max().map_or(0, |m| *m as usize + 1)];
        sums.add(&table, &each_once);
        table.totals = sums.counts;
        table
    }

    /// Whether every sample was evaluated in every column.
    pub fn is_complete(&self) -> bool {
        !self.gaps
    }

    /// Counts kept of each resample: the right answers by column, then the evaluated by column or of all columns at once.
    pub fn stored(&self) -> usize {
        if self.gaps { 2 * self.columns } else { self.columns + 1 }
    }

    /// Where the count of a column's evaluated samples is.
    pub fn evaluated_at(&self, column: usize) -> usize {
        self.columns + if self.gaps { column } else { 0 }
    }

    /// Calls `visit` with each sample that was evaluated in any of these columns.
    pub fn evaluated_in(&self, columns: &[usize], mut visit: impl FnMut(u32)) {
        for (row, member) in self.rows.chunks_exact(self.width).zip(&self.members) {
            if !self.gaps || columns.iter().any(|c| row[self.columns + c] != 0) {
                visit(*member);
            }
        }
    }
}

/// Counters of one thread.
#[derive(Default)]
pub(super) struct Sums {
    bytes: Vec<u8>,
    pub counts: Vec<u32>,
}

impl Sums {
    /// Adds up the rows of a table, each as often as its sample weighs.
    pub fn add(&mut self, table: &Table, weights: &[u8]) {
        self.counts.clear();
        self.counts.resize(table.width.max(table.stored()), 0);
        self.bytes.clear();
        self.bytes.resize(table.width, 0);
        let (mut all, mut in_bytes) = (0u32, 0usize);
        for (row, member) in table.rows.chunks_exact(table.width).zip(&table.members) {
            let weight = weights[*member as usize];
            if weight == 0 {
                continue;
            }
            if in_bytes + usize::from(weight) > LARGEST_BYTE {
                self.flush();
                in_bytes = 0;
            }
            in_bytes += usize::from(weight);
            all += u32::from(weight);
            self.bytes.iter_mut().zip(row).for_each(|(sum, x)| *sum += x & weight);
        }
        self.flush();
        if !table.gaps {
            self.counts[table.columns] = all;
        }
    }

    fn flush(&mut self) {
        for (sum, x) in self.counts.iter_mut().zip(&mut self.bytes) {
            *sum += u32::from(*x);
            *x = 0;
        }
    }
}

/// The counts of some resamples, column by column; an entry is one seed in one resample.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub entries: usize,
    stored: usize,
    counts: Vec<u32>,
}

impl Block {
    pub fn new(tables: &[Table], entries: usize) -> Self {
        let stored = tables.iter().map(Table::stored).max().unwrap_or(0);
        Self { entries, stored, counts: vec![0; stored * entries] }
    }

    pub fn put(&mut self, entry: usize, counts: &[u32]) {
        for (column, count) in counts.iter().enumerate().take(self.stored) {
            self.counts[column * self.entries + entry] = *count;
        }
    }

    /// The counts at a place over all entries.
    pub fn at(&self, place: usize) -> &[u32] {
        &self.counts[place * self.entries..][..self.entries]
    }
}
