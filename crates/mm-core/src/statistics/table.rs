//! Outcomes laid out for counting, and the scores of many resamples.

use super::outcomes::{Outcomes, Values};
use super::{Ranks, Score};
use std::collections::HashMap;

/// Byte counters are added up to wider ones before they can overflow.
const LARGEST_BYTE: usize = 255;
/// Rows are padded to whole vector registers.
const ALIGNMENT: usize = 32;
/// Resamples that are ranked side by side.
const LANES: usize = 8;

/// One seed's outcomes, a row a sample.
#[derive(Debug, Clone)]
pub(super) struct Table {
    columns: usize,
    rows: Rows,
    /// Which of the distinct samples of all seeds each row is.
    members: Vec<u32>,
    /// 1 where evaluated, sample-major; empty where every sample was, in every column.
    evaluated: Vec<u8>,
    /// The score of each column with every sample once; NaN where none was evaluated.
    pub whole: Vec<f64>,
}

#[derive(Debug, Clone)]
enum Rows {
    /// The right answers and, where samples are missing, the evaluated, each 0 or 255; so many bytes a row.
    Marks(usize, Vec<u8>),
    /// The numbers that the score adds up.
    Sums(Score, Vec<f64>),
    /// For each column its evaluated samples in order.
    Ranks(Vec<Ranks>),
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
        let evaluated: Vec<u8> = (0..samples).flat_map(|i| outcomes.evaluated(i)).copied().collect();
        let gaps = evaluated.contains(&0);
        let rows = match outcomes.values() {
            Values::Right(right) => {
                let width = (columns * (1 + usize::from(gaps))).next_multiple_of(ALIGNMENT);
                let mut rows = vec![0; samples * width];
                for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                    let of_sample = i * columns..(i + 1) * columns;
                    let marks = right[of_sample.clone()].iter().chain(evaluated[of_sample].iter().filter(|_| gaps));
                    row.iter_mut().zip(marks).for_each(|(cell, mark)| *cell = if *mark == 1 { u8::MAX } else { 0 });
                }
                Rows::Marks(width, rows)
            }
            Values::Sums(score, values) if score.is_ranked() => {
                let width = score.width();
                let row = |i: usize, column: usize| match outcomes.evaluated(i)[column] {
                    0 => &[],
                    _ => &values[(i * columns + column) * width..][..width],
                };
                let of_column = |column: usize| Ranks::new(*score, &(0..samples).map(|i| row(i, column)).collect::<Vec<_>>());
                Rows::Ranks((0..columns).map(of_column).collect())
            }
            Values::Sums(score, values) => Rows::Sums(*score, score.exact(values).collect()),
        };
        let evaluated = if gaps { evaluated } else { Vec::new() };
        let table = Self { columns, rows, members, evaluated, whole: vec![f64::NAN; columns] };
        let each_once = vec![1; table.members.iter().max().map_or(0, |m| *m as usize + 1)];
        let mut whole = Vec::new();
        Counters::default().scores(&table, &[each_once], |_, scores| whole = scores.to_vec());
        Self { whole, ..table }
    }

    /// Whether every sample was evaluated in every column.
    pub fn is_complete(&self) -> bool {
        self.evaluated.is_empty()
    }

    /// Calls `visit` with each sample that was evaluated in any of these columns.
    pub fn evaluated_in(&self, columns: &[usize], mut visit: impl FnMut(u32)) {
        for (i, member) in self.members.iter().enumerate() {
            if self.is_complete() || columns.iter().any(|c| self.evaluated[i * self.columns + c] != 0) {
                visit(*member);
            }
        }
    }
}

/// Counters of one thread.
#[derive(Default)]
pub(super) struct Counters {
    bytes: Vec<u8>,
    counts: Vec<u32>,
    sums: Vec<f64>,
    scores: Vec<f64>,
}

impl Counters {
    /// The score of each column from the rows of a table, each as often as its sample weighs, with each of some weightings: calls `visit`
    /// with the position of each and its scores. Without a drawn sample they are those of all samples.
    pub fn scores(&mut self, table: &Table, weightings: &[Vec<u8>], mut visit: impl FnMut(usize, &[f64])) {
        if let Rows::Ranks(ranks) = &table.rows {
            return self.of_ranks(table, ranks, weightings, visit);
        }
        for (position, weights) in weightings.iter().enumerate() {
            match &table.rows {
                Rows::Marks(width, rows) => self.of_marks(table, *width, rows, weights),
                Rows::Sums(score, rows) => self.of_sums(table, *score, rows, weights),
                Rows::Ranks(_) => {}
            }
            visit(position, &self.scores);
        }
    }

    /// Several weightings side by side: to go through the order of the samples is most of the work.
    fn of_ranks(&mut self, table: &Table, ranks: &[Ranks], weightings: &[Vec<u8>], mut visit: impl FnMut(usize, &[f64])) {
        for (chunk, weightings) in weightings.chunks(LANES).enumerate() {
            let of_row = |&member: &u32| std::array::from_fn(|lane| weightings.get(lane).map_or(0.0, |of| f64::from(of[member as usize])));
            let rows: Vec<[f64; LANES]> = table.members.iter().map(of_row).collect();
            let columns: Vec<[f64; LANES]> = ranks.iter().map(|ranks| ranks.scores(|row| rows[row as usize])).collect();
            for lane in 0..weightings.len() {
                let drawn = columns.iter().zip(&table.whole).map(|(of, whole)| if of[lane].is_nan() { *whole } else { of[lane] });
                self.scores.clear();
                self.scores.extend(drawn);
                visit(chunk * LANES + lane, &self.scores);
            }
        }
    }

    fn of_marks(&mut self, table: &Table, width: usize, rows: &[u8], weights: &[u8]) {
        self.counts.clear();
        self.counts.resize(width, 0);
        self.bytes.clear();
        self.bytes.resize(width, 0);
        let (mut all, mut in_bytes) = (0u32, 0usize);
        for (row, member) in rows.chunks_exact(width).zip(&table.members) {
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
        let counts = &self.counts;
        let share = |column: usize| match if table.is_complete() { all } else { counts[table.columns + column] } {
            0 => table.whole[column],
            evaluated => f64::from(counts[column]) / f64::from(evaluated),
        };
        self.scores.clear();
        self.scores.extend((0..table.columns).map(share));
    }

    fn flush(&mut self) {
        for (sum, x) in self.counts.iter_mut().zip(&mut self.bytes) {
            *sum += u32::from(*x);
            *x = 0;
        }
    }

    fn of_sums(&mut self, table: &Table, score: Score, rows: &[f64], weights: &[u8]) {
        let (columns, width) = (table.columns, score.width());
        self.sums.clear();
        self.sums.resize(columns * width, 0.0);
        self.counts.clear();
        self.counts.resize(columns, 0);
        let mut all = 0u32;
        for (i, (row, member)) in rows.chunks_exact(columns * width).zip(&table.members).enumerate() {
            let weight = weights[*member as usize];
            if weight == 0 {
                continue;
            }
            all += u32::from(weight);
            let weight = u32::from(weight);
            self.sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * f64::from(weight));
            if !table.is_complete() {
                let evaluated = &table.evaluated[i * columns..][..columns];
                self.counts.iter_mut().zip(evaluated).for_each(|(count, x)| *count += u32::from(*x) * weight);
            }
        }
        self.scores.clear();
        for (column, sums) in self.sums.chunks_exact(width).enumerate() {
            let samples = if table.is_complete() { all } else { self.counts[column] };
            let drawn = if samples == 0 { f64::NAN } else { score.of(sums, f64::from(samples)) };
            // A score that the drawn samples do not define (no pixel of a class) is that of all.
            self.scores.push(if drawn.is_nan() { table.whole[column] } else { drawn });
        }
    }
}

/// The scores of some resamples, column by column; an entry is one seed in one resample.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub entries: usize,
    scores: Vec<f64>,
}

impl Block {
    pub fn new(columns: usize, entries: usize) -> Self {
        Self { entries, scores: vec![0.0; columns * entries] }
    }

    pub fn put(&mut self, entry: usize, scores: &[f64]) {
        scores.iter().enumerate().for_each(|(column, score)| self.scores[column * self.entries + entry] = *score);
    }

    /// The scores of a column over all entries.
    pub fn at(&self, column: usize) -> &[f64] {
        &self.scores[column * self.entries..][..self.entries]
    }
}
