//! Checks that need all lines: whether samples are predicted wherever they can be, and runs were tested on the same ones.

use super::collect::{Collector, corrupted_in_words};
use super::data_set::{At, Cell, DataSet};
use super::error::{Elsewhere, PredictionError, Result, Which};
use crate::result::CellResult;
use mm_core::{Modalities, Subset};
use std::collections::{BTreeMap, BTreeSet};

/// A situation with its modalities known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Situation {
    /// Only these modalities.
    Only(Subset),
    /// Corruption, corrupted modalities, severity: in this order in a result.
    Corrupted(String, Subset, u8),
}

/// The predictions of one cell in one situation.
#[derive(Default)]
pub struct Predicted {
    /// Ascending by the sample's place in the order of all samples.
    pub rows: Vec<Row>,
}

/// One prediction.
#[derive(Debug, Clone)]
pub struct Row {
    /// Number of the sample in the results.
    pub row: usize,
    /// Where it stands.
    pub at: At,
    /// Where its numbers are: situation as written, and row of it.
    pub from: (usize, usize),
}

/// A cell by situation.
pub type Situations = BTreeMap<Situation, Predicted>;

/// What one cell, theirs or ours, was tested on.
struct Tested<'c> {
    run: &'c str,
    seed: u64,
    /// Rows of all samples, ascending, and where the first prediction of each stands.
    by_situation: BTreeMap<Situation, Vec<(usize, Option<At>)>>,
    all: BTreeSet<usize>,
}

/// What a data set's predictions are checked with.
pub struct Agreement<'a> {
    pub collector: &'a Collector<'a>,
    pub data: &'a DataSet,
    pub modalities: &'a Modalities,
    /// Which sample of the data set each row is.
    pub samples: &'a BTreeMap<usize, usize>,
}

/// The predictions of a cell by situation, each sample once.
pub fn situations(of: &Agreement, cell: &Cell, rows: &[usize]) -> Result<Situations> {
    let mut situations = Situations::new();
    for (s, written) in cell.situations.iter().enumerate() {
        let Some(first) = written.rows.first() else { continue };
        let wrong = |problem: String| PredictionError::Combination { place: of.collector.place(first.1), problem };
        let parse = |text: &str| of.modalities.parse(text).map_err(|error| wrong(error.to_string()));
        let combination = parse(&written.combination)?;
        let situation = match &written.corruption {
            None => Situation::Only(combination),
            Some((name, severity, corrupted)) if combination == of.modalities.full() => {
                Situation::Corrupted(name.clone(), parse(corrupted)?, *severity)
            }
            Some((name, ..)) => {
                let problem = "predictions under a corruption are made from everything that a sample has: their combination is `full`";
                return Err(wrong(format!("`{name}` on the combination `{}`; {problem}", written.combination)));
            }
        };
        let lines = written.rows.iter().enumerate();
        let of_situation = lines.map(|(i, &(sample, at))| Row { row: rows[sample as usize], at, from: (s, i) });
        situations.entry(situation).or_default().rows.extend(of_situation);
    }
    for (situation, predicted) in &mut situations {
        // Stable: of two lines the first one written comes first.
        predicted.rows.sort_by_key(|row| row.row);
        if let Some(pair) = predicted.rows.windows(2).find(|pair| pair[0].row == pair[1].row) {
            return Err(PredictionError::Twice {
                place: of.collector.place(pair[1].at),
                which: of.which(&cell.run, cell.seed, situation, pair[1].row),
                before: of.collector.place(pair[0].at),
            });
        }
    }
    Ok(situations)
}

/// Compares all cells of a data set, with each other and with the finished ones.
pub fn check(of: &Agreement, cells: &[Situations]) -> Result<()> {
    let theirs: Vec<Tested> = of.data.cells.iter().zip(cells).map(|(cell, situations)| Tested::of_cell(cell, situations)).collect();
    theirs.iter().try_for_each(|cell| of.check_alone(cell))?;
    let ours = of.collector.results().iter().filter(|r| r.data == of.data.name);
    let ours: Vec<Tested> = ours.map(|result| Tested::of_result(result, of.modalities)).collect::<Result<_>>()?;
    for (i, cell) in theirs.iter().enumerate() {
        let same_seed = |other: &&Tested| other.seed == cell.seed;
        for ours in ours.iter().filter(same_seed) {
            if let Some(row) = cell.all.iter().find(|row| !ours.all.contains(row)) {
                return Err(of.test_set(ours, cell, *row));
            }
            of.check_pair(ours, cell)?;
        }
        theirs[..i].iter().filter(same_seed).try_for_each(|other| of.check_pair(other, cell))?;
    }
    Ok(())
}

impl<'c> Tested<'c> {
    fn of_cell(cell: &'c Cell, situations: &Situations) -> Self {
        let rows = |predicted: &Predicted| predicted.rows.iter().map(|row| (row.row, Some(row.at))).collect();
        let by_situation: BTreeMap<_, Vec<_>> = situations.iter().map(|(s, predicted)| (s.clone(), rows(predicted))).collect();
        let all = by_situation.values().flatten().map(|(row, _)| *row).collect();
        Self { run: &cell.run, seed: cell.seed, by_situation, all }
    }

    fn of_result(result: &'c CellResult, modalities: &Modalities) -> Result<Self> {
        let all: Vec<usize> = result.test_rows.as_ref().map(|rows| rows.numbers().to_vec()).unwrap_or_default();
        let mut by_situation = BTreeMap::new();
        for combination in &result.combinations {
            let evaluated = all.iter().zip(combination.correct.bytes()).filter(|(_, c)| *c != b'-');
            let rows: Vec<(usize, Option<At>)> = evaluated.map(|(row, _)| (*row, None)).collect();
            by_situation.insert(Situation::Only(modalities.parse(&combination.subset)?), rows);
        }
        Ok(Self { run: &result.run, seed: result.seed, by_situation, all: all.into_iter().collect() })
    }

    fn elsewhere(&self, at: Option<At>, collector: &Collector) -> Elsewhere {
        match at {
            Some(at) => Elsewhere::At(collector.place(at)),
            None => Elsewhere::Results { run: self.run.into(), seed: self.seed },
        }
    }
}

impl Agreement<'_> {
    /// The id of a row.
    pub fn id(&self, row: usize) -> String {
        self.samples.get(&row).map(|sample| self.data.samples[*sample].clone()).unwrap_or_default()
    }

    /// A sample that has the sensors of a combination has those of its parts, and is there under every corruption.
    fn check_alone(&self, cell: &Tested) -> Result<()> {
        let full = Situation::Only(self.modalities.full());
        for (situation, rows) in &cell.by_situation {
            let has_part = |whole: &Situation| match (situation, whole) {
                (Situation::Only(part), Situation::Only(whole)) => part.is_subset_of(*whole),
                (Situation::Corrupted(..), whole) => *whole == full,
                _ => false,
            };
            for (_, more) in cell.by_situation.iter().filter(|(whole, _)| *whole != situation && has_part(whole)) {
                self.first_missing(cell, situation, rows, cell, more)?;
            }
        }
        Ok(())
    }

    /// Where both evaluated a situation, both did on the same samples. Corruptions may leave samples without a reading, so that ours
    /// leave them out.
    fn check_pair(&self, a: &Tested, b: &Tested) -> Result<()> {
        for (situation, rows) in &b.by_situation {
            if let Some(others) = a.by_situation.get(situation).filter(|others| !others.is_empty()) {
                self.first_missing(b, situation, rows, a, others)?;
                self.first_missing(a, situation, others, b, rows)?;
            }
        }
        Ok(())
    }

    /// The first sample of `more`, of the cell `other`, that `rows` of `cell` lack.
    fn first_missing(
        &self,
        cell: &Tested,
        situation: &Situation,
        rows: &[(usize, Option<At>)],
        other: &Tested,
        more: &[(usize, Option<At>)],
    ) -> Result<()> {
        let mut here = rows.iter().map(|(row, _)| *row).peekable();
        for &(row, at) in more {
            while here.next_if(|r| *r < row).is_some() {}
            if here.next_if_eq(&row).is_some() {
                continue;
            }
            if !cell.all.contains(&row) {
                return Err(self.test_set(cell, other, row));
            }
            let elsewhere = other.elsewhere(at, self.collector);
            return Err(PredictionError::Missing { which: self.which(cell.run, cell.seed, situation, row), elsewhere });
        }
        Ok(())
    }

    fn test_set(&self, lacks: &Tested, has: &Tested, row: usize) -> PredictionError {
        let at = has.by_situation.values().flatten().find(|(r, _)| *r == row).and_then(|(_, at)| *at);
        PredictionError::TestSet {
            data: self.data.name.clone(),
            seed: lacks.seed,
            run: lacks.run.into(),
            sample: self.id(row),
            elsewhere: format!("run {} ({})", has.run, has.elsewhere(at, self.collector)),
        }
    }

    /// A prediction, for messages.
    pub fn which(&self, run: &str, seed: u64, situation: &Situation, row: usize) -> Box<Which> {
        let situation = match situation {
            Situation::Only(subset) => self.modalities.format(*subset),
            Situation::Corrupted(name, subset, severity) => corrupted_in_words(name, *severity, &self.modalities.format(*subset)),
        };
        let sample = self.id(row);
        Box::new(Which { data: self.data.name.clone(), run: run.into(), seed, situation, sample })
    }
}
