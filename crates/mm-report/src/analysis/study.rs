//! The bootstrap of several runs at once: those with the same seeds and test samples see the same draws.

use super::outcomes::{Cell, Group, Outcome, Situation, order};
use super::{Condition, Error, Settings};
use crate::result::Measured;
use mm_core::Subset;
use mm_core::statistics::{Interval, LEVEL, Outcomes, Resampled, Resamples, Statistic};
use std::collections::BTreeMap;

/// Bytes that one bootstrap may keep; more runs are resampled in turn.
const MEMORY: usize = 256 << 20;

/// Runs resampled together.
struct Study {
    data: String,
    /// Names of the runs.
    runs: Vec<String>,
    measure: Measured,
    seeds: Vec<u64>,
    resampled: Resampled,
    /// By run, the column of each situation.
    columns: Vec<BTreeMap<Situation, usize>>,
}

/// One run in a study.
#[derive(Clone, Copy)]
pub struct View<'s> {
    study: &'s Study,
    member: usize,
}

/// A run beside the reference, on what both have.
pub struct Pair<'s> {
    /// The run.
    pub run: View<'s>,
    /// The reference.
    pub reference: View<'s>,
}

/// Calls `visit` with each run by position, alone and paired with the reference, if they have anything in common.
pub fn for_each_run(
    groups: &[Group],
    reference: usize,
    settings: &Settings,
    mut visit: impl FnMut(usize, View, Option<Pair>) -> Result<(), Error>,
) -> Result<(), Error> {
    if groups.is_empty() {
        return Ok(());
    }
    if same_samples(groups) {
        let others: Vec<usize> = (0..groups.len()).filter(|i| *i != reference).collect();
        let columns = groups.iter().map(|g| g.cells[0].outcomes.len()).max().unwrap_or(1);
        let bytes = 8 * columns * groups[reference].cells.len() * settings.bootstrap.resamples;
        let together = (MEMORY / bytes.max(1)).saturating_sub(1).max(1);
        let batches: Vec<&[usize]> = if others.is_empty() { vec![&[]] } else { others.chunks(together).collect() };
        for (number, batch) in batches.into_iter().enumerate() {
            let members: Vec<&[Cell]> = [&reference].into_iter().chain(batch).map(|i| groups[*i].cells.as_slice()).collect();
            let study = Study::new(&members, false, settings)?;
            let view = |member| View { study: &study, member };
            if number == 0 {
                visit(reference, view(0), None)?;
            }
            for (at, run) in batch.iter().enumerate() {
                visit(*run, view(at + 1), Some(Pair { run: view(at + 1), reference: view(0) }))?;
            }
        }
        return Ok(());
    }
    for (i, group) in groups.iter().enumerate() {
        let own = Study::new(&[&group.cells], false, settings)?;
        let paired = if i == reference { None } else { Paired::new(group, &groups[reference], settings)? };
        visit(i, View { study: &own, member: 0 }, paired.as_ref().map(Paired::pair))?;
    }
    Ok(())
}

/// Two runs resampled on what both have.
pub struct Paired(Study);

impl Paired {
    /// `None` if they have no seed, test samples or situation in common.
    pub fn new(run: &Group, reference: &Group, settings: &Settings) -> Result<Option<Self>, Error> {
        let (a, b) = common_cells(run, reference);
        if a.is_empty() {
            return Ok(None);
        }
        let study = Study::new(&[&a, &b], true, settings)?;
        Ok(Some(study).filter(|study| !study.columns[0].is_empty()).map(Self))
    }

    /// Both sides.
    pub fn pair(&self) -> Pair<'_> {
        Pair { run: View { study: &self.0, member: 0 }, reference: View { study: &self.0, member: 1 } }
    }
}

/// Whether all runs have the same seeds and evaluated the same samples in each situation they share.
fn same_samples(groups: &[Group]) -> bool {
    let mask = |text: &str| -> Vec<bool> { text.bytes().map(|c| c == b'-').collect() };
    groups.iter().all(|g| g.seeds() == groups[0].seeds())
        && (0..groups[0].cells.len()).all(|seed| {
            let mut masks = BTreeMap::new();
            groups.iter().all(|g| {
                let cell = &g.cells[seed];
                let mut same = |(situation, outcome): (&Situation, &Outcome)| {
                    *masks.entry(situation.clone()).or_insert_with(|| mask(&outcome.marks)) == mask(&outcome.marks)
                };
                same_test_samples(cell, &groups[0].cells[seed]) && cell.outcomes.iter().all(&mut same)
            })
        })
}

fn same_test_samples(a: &Cell, b: &Cell) -> bool {
    a.result.test_samples == b.result.test_samples && a.result.test_rows == b.result.test_rows
}

/// The cells of two runs with the same seeds and test samples.
fn common_cells<'a>(a: &Group<'a>, b: &Group<'a>) -> (Vec<Cell<'a>>, Vec<Cell<'a>>) {
    let partner = |c: &Cell| b.cells.iter().find(|o| o.result.seed == c.result.seed && same_test_samples(o, c));
    a.cells.iter().filter_map(|c| Some((c.clone(), partner(c)?.clone()))).unzip()
}

impl Study {
    /// Resamples runs of the same seeds. `align` keeps only the situations and samples that all runs evaluated.
    fn new(runs: &[&[Cell]], align: bool, settings: &Settings) -> Result<Self, Error> {
        let seeds: Vec<u64> = runs[0].iter().map(|c| c.result.seed).collect();
        let mut rows: Vec<Vec<(String, &[f32])>> = vec![Vec::new(); seeds.len()];
        let score = runs[0][0].result.measure.score;
        let width = if runs[0][0].result.measure.is_marks() { 0 } else { score.width() };
        let blank = vec![0.0; runs[0].iter().map(|cell| cell.result.test_samples).max().unwrap_or(0) * width];
        let mut columns = Vec::new();
        for run in runs {
            let mut places = BTreeMap::new();
            for situation in run[0].outcomes.keys() {
                let partners: &[&[Cell]] = if align { runs } else { std::slice::from_ref(run) };
                let found: Option<Vec<(String, &[f32])>> =
                    (0..seeds.len()).map(|s| masked(&run[s], situation, partners.iter().map(|p| &p[s]))).collect();
                if let Some(found) = found {
                    places.insert(situation.clone(), rows[0].len());
                    rows.iter_mut().zip(found).for_each(|(rows, found)| rows.push(found));
                }
            }
            columns.push(places);
        }
        if rows[0].is_empty() && !align {
            return Err(Error::cell(runs[0][0].result, "its seeds have no combination in common"));
        }
        if rows[0].is_empty() {
            // Two runs without a common situation: one blank column keeps the study whole.
            let unevaluated = |cell: &Cell| {
                let samples = cell.result.test_samples;
                ("-".repeat(samples), &blank[..samples * width])
            };
            rows.iter_mut().zip(runs[0]).for_each(|(rows, cell)| rows.push(unevaluated(cell)));
        }
        let known = runs[0].iter().all(|cell| cell.result.test_rows.is_some());
        let outcomes = |(rows, cell): (&Vec<(String, &[f32])>, &Cell)| {
            let outcomes = match width == 0 {
                true => Outcomes::from_rows(&rows.iter().map(|(marks, _)| marks).collect::<Vec<_>>())?,
                false => Outcomes::from_sums(score, &rows.iter().map(|(marks, sums)| (marks.as_str(), *sums)).collect::<Vec<_>>())?,
            };
            match cell.result.test_rows.as_ref().filter(|_| known) {
                Some(ids) => outcomes.with_ids(ids.numbers().iter().map(|&row| row as u64).collect()),
                None => Ok(outcomes),
            }
        };
        let outcomes: Vec<Outcomes> = rows.iter().zip(runs[0]).map(outcomes).collect::<mm_core::Result<_>>()?;
        let first = runs[0][0].result;
        let names = runs.iter().map(|run| run[0].result.run.clone()).collect();
        Ok(Self {
            data: first.data.clone(),
            runs: names,
            measure: first.measure.clone(),
            seeds,
            resampled: settings.bootstrap.run(&outcomes)?,
            columns,
        })
    }
}

/// A cell's outcomes on the samples that all partners evaluated; `None` if one lacks the situation, or what is left does
/// not define the score.
fn masked<'c, 'a: 'c>(cell: &Cell<'a>, situation: &Situation, partners: impl Iterator<Item = &'c Cell<'a>>) -> Option<(String, &'a [f32])> {
    let outcome = cell.outcomes.get(situation)?;
    let mut marks = outcome.marks.as_bytes().to_vec();
    for partner in partners {
        let other = partner.outcomes.get(situation)?.marks.as_bytes();
        marks.iter_mut().zip(other).filter(|(_, o)| **o == b'-').for_each(|(c, _)| *c = b'-');
    }
    let marks = String::from_utf8(marks).ok()?;
    let is_defined = marks.bytes().any(|c| c != b'-') && !cell.result.measure.is_undefined(&marks, outcome.sums);
    is_defined.then_some((marks, outcome.sums))
}

impl View<'_> {
    /// The seeds resampled.
    pub fn seeds(&self) -> &[u64] {
        &self.study.seeds
    }

    /// The combinations of all its seeds, by size.
    pub fn combinations(&self) -> Vec<Subset> {
        let only = |s: &Situation| if let Situation::Only(subset) = s { Some(*subset) } else { None };
        let mut subsets: Vec<Subset> = self.places().keys().filter_map(only).collect();
        subsets.sort_by_key(order);
        subsets
    }

    /// The severities of a corruption that all its seeds have, ascending; 0 is the clean sensor.
    pub fn severities(&self, condition: &Condition) -> Vec<u8> {
        (0..=u8::MAX).filter(|s| self.places().contains_key(&Situation::Corrupted(condition.clone(), *s))).collect()
    }

    /// Whether all its seeds were evaluated in a situation.
    pub fn has(&self, situation: &Situation) -> bool {
        self.places().contains_key(situation)
    }

    /// Mean score over combinations.
    pub fn mean(&self, subsets: &[Subset]) -> Result<Resamples, Error> {
        self.statistic(&Statistic::Mean(self.all(subsets)))
    }

    /// Worst score of some combinations.
    pub fn worst(&self, subsets: &[Subset]) -> Result<Resamples, Error> {
        let columns = self.all(subsets);
        self.statistic(&if self.study.measure.higher_is_better { Statistic::Worst(columns) } else { Statistic::Highest(columns) })
    }

    /// The interval of a score; that of a share ends at 0 and 1.
    pub fn interval(&self, of: &Resamples) -> Interval {
        let Interval { estimate, low, high } = of.estimate().interval(LEVEL);
        let (least, most) = if self.study.measure.share { (0.0, 1.0) } else { (f64::NEG_INFINITY, f64::INFINITY) };
        Interval { estimate, low: low.max(least), high: high.min(most) }
    }

    /// The score.
    pub fn measure(&self) -> &Measured {
        &self.study.measure
    }

    /// Weighted sum over situations it has.
    pub fn linear(&self, terms: &[(Situation, f64)], offset: f64) -> Result<Resamples, Error> {
        let terms = terms.iter().filter_map(|(s, w)| Some((*self.places().get(s)?, *w))).collect();
        self.statistic(&Statistic::Linear { terms, offset })
    }

    fn all(&self, subsets: &[Subset]) -> Vec<usize> {
        subsets.iter().filter_map(|s| self.places().get(&Situation::Only(*s)).copied()).collect()
    }

    fn places(&self) -> &BTreeMap<Situation, usize> {
        &self.study.columns[self.member]
    }

    fn statistic(&self, statistic: &Statistic) -> Result<Resamples, Error> {
        let (data, run) = (&self.study.data, &self.study.runs[self.member]);
        let named = |problem| Error::Statistic { data: data.clone(), run: run.clone(), problem: Box::new(problem) };
        self.study.resampled.statistic(statistic).map_err(named)
    }
}
