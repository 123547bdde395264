//! Predictions of any framework as results: tables of probabilities, numbers or counts in, checked, what a bench's own cells leave behind
//! out.
//!
//! The format is described in the book, `docs/src/predictions.md`.

mod agree;
mod cells;
mod collect;
mod columns;
mod data_set;
mod error;
mod kind;
mod measure;
mod npy;
mod parquet;
mod pixels;
mod settings;
mod table;
mod text;
mod truths;
mod values;

pub use error::{Disagreement, Elsewhere, Place, PredictionError, Result, Which};

use crate::result::CellResult;
use agree::{Agreement, situations};
use cells::Test;
use collect::Collector;
use data_set::{DataSet, shortened};
use mm_core::Modalities;
use npy::Matrix;
use settings::FolderSettings;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More rows than any data set has, as in [`crate::Rows`].
const MOST_ROWS: usize = 1 << 32;

/// Reads the predictions in some folders, to be shown beside `results`: cells of a bench, matched by the name of the data set and by
/// test samples. `prefix` stands in front of the names of the predictions' runs.
pub fn read(folders: &[PathBuf], prefix: &str, results: &[CellResult]) -> Result<Vec<CellResult>> {
    let mut collector = Collector::new(results, prefix);
    for folder in folders {
        collector.folder(FolderSettings::read(folder)?);
        read_folder(folder, &mut collector)?;
        collector.end_folder()?;
    }
    let mut cells = Vec::new();
    for data in &collector.data {
        cells.extend(of_data(&collector, data)?);
    }
    Ok(cells)
}

/// The tables of a folder, in the order of their names.
fn read_folder(folder: &Path, collector: &mut Collector) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(mm_core::Error::io(folder))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<std::io::Result<BTreeSet<String>>>();
    let names = names.map_err(mm_core::Error::io(folder))?;
    let is_table = |name: &str| [".csv", ".csv.gz"].iter().any(|end| name.ends_with(end));
    let index_of = |stem: &str| [".csv", ".csv.gz"].iter().map(|end| format!("{stem}{end}")).find(|index| names.contains(index));
    let read = |name: &str| -> Result<Vec<u8>> {
        let path = folder.join(name);
        Ok(std::fs::read(&path).map_err(mm_core::Error::io(path))?)
    };
    let mut found = false;
    for name in &names {
        let stem = name.trim_end_matches(".gz").trim_end_matches(".csv");
        let matrix = format!("{stem}.npy");
        if name.ends_with(".parquet") {
            let path: Arc<Path> = folder.join(name).into();
            collector.table(path.clone(), None);
            parquet::read(&path, collector)?;
            collector.end_table()?;
            found = true;
        } else if is_table(name) {
            let matrix = if names.contains(&matrix) { Some(Matrix::read(&folder.join(&matrix), &read(&matrix)?)?) } else { None };
            let path: Arc<Path> = folder.join(name).into();
            collector.table(path.clone(), matrix);
            text::read(&path, &read(name)?, collector)?;
            collector.end_table()?;
            found = true;
        } else if let Some(stem) = name.strip_suffix(".npy").filter(|stem| index_of(stem).is_none()) {
            let problem = format!("its index, `{stem}.csv` or `{stem}.csv.gz`, is missing");
            return Err(PredictionError::File { path: folder.join(name), problem });
        }
    }
    if found { Ok(()) } else { Err(PredictionError::Empty(folder.into())) }
}

/// The results of one data set.
fn of_data(collector: &Collector, data: &DataSet) -> Result<Vec<CellResult>> {
    let modalities = modalities(collector, data)?;
    let rows = rows(collector, data)?;
    let samples: BTreeMap<usize, usize> = rows.iter().copied().zip(0..).collect();
    let agreement = Agreement { collector, data, modalities: &modalities, samples: &samples };
    let cells = data.cells.iter().map(|cell| situations(&agreement, cell, &rows)).collect::<Result<Vec<_>>>()?;
    agree::check(&agreement, &cells)?;
    // Samples that lack a sensor are in no table of a run that asks for it, but they are test samples all the same.
    let mut tested: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for (cell, situations) in data.cells.iter().zip(&cells) {
        tested.entry(cell.seed).or_default().extend(situations.values().flat_map(|s| s.rows.iter().map(|row| row.row)));
    }
    for result in collector.results().iter().filter(|r| r.data == data.name) {
        let numbers = result.test_rows.iter().flat_map(|rows| rows.numbers());
        tested.entry(result.seed).and_modify(|rows| rows.extend(numbers));
    }
    let (scale, measure) = (data.scale(), data.measured());
    let target = data.target(&scale);
    let result = |(cell, situations): (&data_set::Cell, &agree::Situations)| {
        let rows: Vec<usize> = tested.get(&cell.seed).into_iter().flatten().copied().collect();
        Test { of: &agreement, target: &target, scale: &scale, measure: &measure, rows: &rows }.result(cell, situations)
    };
    data.cells.iter().zip(&cells).map(result).collect()
}

/// The modalities that are given, or else those that the combinations name.
fn modalities(collector: &Collector, data: &DataSet) -> Result<Modalities> {
    if let Some(given) = &data.modalities {
        return Ok(given.clone());
    }
    let written = || data.cells.iter().flat_map(|c| &c.situations);
    let first = written().find_map(|s| s.rows.first());
    let &(_, first) = first.ok_or_else(|| PredictionError::NoPrediction { data: data.name.clone() })?;
    let wrong = |problem: String| PredictionError::Combination { place: collector.place(first), problem };
    let parts = |text: &str| text.split('+').map(|name| name.trim().to_string()).collect::<Vec<_>>();
    let (full, named): (Vec<&str>, Vec<&str>) =
        written().map(|s| s.combination.as_str()).partition(|combination| ["full", "all"].contains(combination));
    let largest = named.iter().map(|combination| parts(combination)).max_by_key(Vec::len).unwrap_or_default();
    let others = named.iter().flat_map(|combination| parts(combination));
    let mut all = largest.clone();
    for name in others.filter(|name| !largest.contains(name)) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    if all.is_empty() {
        return Err(wrong("no combination names a modality; give all in order, `modalities = [...]`, in predictions.toml".into()));
    }
    if all.len() > largest.len() && full.is_empty() {
        let problem = format!("no combination has all modalities that are named ({})", shortened(&all));
        return Err(wrong(format!("{problem}; if these are right, give them in order, `modalities = [...]`, in predictions.toml")));
    }
    Modalities::new(all).map_err(|error| wrong(error.to_string()))
}

/// The row of each sample in the results: that of finished cells where there are some, the id itself where ids are numbers, its place
/// among the ids otherwise.
fn rows(collector: &Collector, data: &DataSet) -> Result<Vec<usize>> {
    let number = |id: &String| id.parse().ok().filter(|n: &usize| *n < MOST_ROWS && n.to_string() == *id);
    let results: Vec<&CellResult> = collector.results().iter().filter(|r| r.data == data.name).collect();
    if results.is_empty() {
        if let Some(numbers) = data.samples.iter().map(number).collect() {
            return Ok(numbers);
        }
        let sorted: BTreeSet<&String> = data.samples.iter().collect();
        let places: BTreeMap<&String, usize> = sorted.into_iter().zip(0..).collect();
        return Ok(data.samples.iter().map(|id| places[id]).collect());
    }
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for result in &results {
        let numbers = result.test_rows.iter().flat_map(|rows| rows.numbers().iter().copied());
        known.extend(result.sample_ids().unwrap_or_default().into_iter().zip(numbers));
    }
    let by_row = results.iter().all(|result| result.test_ids.is_none());
    let mut next = known.values().max().map_or(0, |last| last + 1);
    let mut row = |id: &String| match (known.get(id), by_row) {
        (Some(row), _) => Ok(*row),
        (None, true) => number(id).ok_or_else(|| match data.first_place(id) {
            Some(at) => PredictionError::Id { place: collector.place(at), sample: id.clone() },
            None => PredictionError::NoPrediction { data: data.name.clone() },
        }),
        (None, false) => {
            next += 1;
            Ok(next - 1)
        }
    };
    data.samples.iter().map(&mut row).collect()
}
