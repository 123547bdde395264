//! Gathers the lines of all tables by data set, run and situation, and checks each line by itself.

use super::data_set::{At, Cell, DataSet, Situation, Source, shortened};
use super::error::{Elsewhere, Place, PredictionError, Result, Which};
use super::npy::Matrix;
use super::settings::FolderSettings;
use super::table::{Columns, Line, Sink, logits};
use crate::result::CellResult;
use csv::StringRecord;
use mm_core::data::nearest;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Everything that was read.
pub struct Collector<'r> {
    results: &'r [CellResult],
    prefix: &'r str,
    files: Vec<Arc<Path>>,
    /// In the order of their first lines.
    pub data: Vec<DataSet>,
    table: Option<Table>,
    settings: FolderSettings,
    /// Names of the runs of this folder, as written.
    runs: Vec<String>,
}

/// The table that is being read.
struct Table {
    file: u32,
    /// From its header on.
    columns: Option<Columns>,
    /// The numbers of an index, and how many of its lines were read.
    matrix: Option<(Matrix, usize)>,
    /// By data set: for each class, which number of a line is its.
    order: HashMap<usize, Vec<usize>>,
    values: Vec<f64>,
    /// Data set, cell and situation of the last line.
    last: [usize; 3],
}

impl<'r> Collector<'r> {
    /// `results` are the finished cells beside which the predictions are shown, `prefix` stands in front of the names of runs.
    pub fn new(results: &'r [CellResult], prefix: &'r str) -> Self {
        let settings = FolderSettings::default();
        Self { results, prefix, files: Vec::new(), data: Vec::new(), table: None, settings, runs: Vec::new() }
    }

    /// Begins a folder.
    pub fn folder(&mut self, settings: FolderSettings) {
        (self.settings, self.runs) = (settings, Vec::new());
    }

    /// Ends a folder.
    pub fn end_folder(&self) -> Result<()> {
        self.settings.check_runs(&self.runs)
    }

    /// Begins a table; `matrix` holds the numbers of an index.
    pub fn table(&mut self, path: Arc<Path>, matrix: Option<Matrix>) {
        let file = self.files.len() as u32;
        self.files.push(path);
        let (order, values) = (HashMap::new(), Vec::new());
        self.table = Some(Table { file, columns: None, matrix: matrix.map(|m| (m, 0)), order, values, last: [usize::MAX; 3] });
    }

    /// Ends a table.
    pub fn end_table(&mut self) -> Result<()> {
        let Some(Table { file, matrix: Some((matrix, lines)), .. }) = self.table.take() else { return Ok(()) };
        if matrix.rows() == lines {
            return Ok(());
        }
        let problem = format!("{lines} lines, but its NumPy file has {} rows of numbers", matrix.rows());
        Err(PredictionError::File { path: self.files[file as usize].to_path_buf(), problem })
    }

    /// The place of a line.
    pub fn place(&self, at: At) -> Place {
        Place { path: self.files[at.file as usize].clone(), line: at.line as usize }
    }

    /// The finished cells.
    pub fn results(&self) -> &'r [CellResult] {
        self.results
    }

    fn elsewhere(&self, source: Source) -> Elsewhere {
        match source {
            Source::File(at) => Elsewhere::At(self.place(at)),
            Source::Result(i) => Elsewhere::Results { run: self.results[i].run.clone(), seed: self.results[i].seed },
        }
    }

    /// The data set of a line, made where it is new.
    fn data_set(&mut self, name: &str, place: &Place) -> Result<usize> {
        let known = self.data.iter().position(|d| d.name == name);
        let at = match known {
            Some(at) => at,
            None => {
                self.data.push(DataSet::new(name, self.results)?);
                self.data.len() - 1
            }
        };
        let Some(table) = self.table.as_mut().filter(|table| !table.order.contains_key(&at)) else { return Ok(at) };
        let Some(columns) = &table.columns else { return Ok(at) };
        let data = &mut self.data[at];
        data.settle(&self.settings, place)?;
        let order = data.order(columns, table.matrix.as_ref().map(|(m, _)| m.columns()), place)?;
        table.order.insert(at, order);
        Ok(at)
    }

    /// The situation of a line, made where it is new.
    fn situation(&mut self, line: &Line, place: &Place) -> Result<[usize; 3]> {
        let last = self.table.as_ref().map_or([usize::MAX; 3], |table| table.last);
        let found = self.data.get(last[0]).filter(|d| d.name == line.data).and_then(|d| {
            let cell = d.cells.get(last[1]).filter(|c| c.is_of(line, self.prefix))?;
            cell.situations.get(last[2]).filter(|s| s.is_of(line))
        });
        if found.is_some() {
            return Ok(last);
        }
        let d = self.data_set(line.data, place)?;
        let data = &mut self.data[d];
        let c = data.cells.iter().position(|c| c.is_of(line, self.prefix)).unwrap_or_else(|| {
            let settings = self.settings.runs.get(line.run).cloned().unwrap_or_default();
            let method = settings.method.clone().unwrap_or_else(|| line.run.to_string());
            let run = format!("{}{}", self.prefix, line.run);
            data.cells.push(Cell { run, method, seed: line.seed, notes: settings.notes(), situations: Vec::new() });
            data.cells.len() - 1
        });
        if self.results.iter().any(|r| r.data == line.data && r.run == data.cells[c].run) {
            return Err(PredictionError::SameRun { data: line.data.into(), run: data.cells[c].run.clone() });
        }
        if !self.runs.iter().any(|run| run == line.run) {
            self.runs.push(line.run.to_string());
        }
        let situations = &mut data.cells[c].situations;
        let s = situations.iter().position(|s| s.is_of(line)).unwrap_or_else(|| {
            let corruption = line.corruption.map(|(name, severity, corrupted)| (name.to_string(), severity, corrupted.to_string()));
            let combination = line.combination.to_string();
            situations.push(Situation { combination, corruption, rows: Vec::new(), logits: Vec::new() });
            situations.len() - 1
        });
        Ok([d, c, s])
    }

    /// Checks the truth of a sample and gives the sample's number.
    fn sample(&mut self, data: usize, line: &Line, place: &Place, at: At) -> Result<u32> {
        let set = &mut self.data[data];
        let Some(truth) = set.classes.iter().position(|class| class == line.truth) else {
            let near = nearest(line.truth, set.classes.iter().map(String::as_str));
            let hint = near.map_or_else(|| format!("there are: {}", shortened(&set.classes)), |near| format!("did you mean `{near}`?"));
            let problem = format!("`{}` is none of the classes; {hint}", line.truth);
            return Err(PredictionError::Field { place: place.clone(), column: "truth".into(), problem });
        };
        let sample = set.number(line.sample);
        let known = set.truths[sample as usize].get_or_insert((truth as u32, Source::File(at)));
        if known.0 == truth as u32 {
            return Ok(sample);
        }
        let (other, source) = *known;
        Err(PredictionError::Truth {
            place: place.clone(),
            which: line.which(self.prefix),
            truth: line.truth.into(),
            other: set.classes[other as usize].clone(),
            elsewhere: self.elsewhere(source),
        })
    }
}

impl Sink for Collector<'_> {
    fn header(&mut self, place: &Place, names: &StringRecord) -> Result<()> {
        if let Some(table) = &mut self.table {
            table.columns = Some(Columns::new(place, names, table.matrix.is_some())?);
        }
        Ok(())
    }

    fn row(&mut self, place: &Place, fields: &StringRecord) -> Result<()> {
        let Some(table) = &mut self.table else { return Ok(()) };
        let Some(columns) = &table.columns else { return Ok(()) };
        let line = columns.line(place, fields)?;
        let mut values = std::mem::take(&mut table.values);
        match &mut table.matrix {
            None => columns.numbers(place, fields, &mut values)?,
            Some((matrix, lines)) => {
                let row = matrix.row(*lines).ok_or_else(|| {
                    let problem =
                        format!("this is line {} of the index, but its NumPy file has {} rows of numbers", *lines + 1, matrix.rows());
                    PredictionError::Field { place: place.clone(), column: "sample".into(), problem }
                })?;
                values.clear();
                values.extend_from_slice(row);
                *lines += 1;
            }
        }
        let (scores, at) = (columns.scores, At { file: table.file, line: place.line as u32 });
        let [d, c, s] = self.situation(&line, place)?;
        let scored = logits(scores, &values);
        let logits = scored.map_err(|problem| PredictionError::Scores { place: place.clone(), which: line.which(self.prefix), problem })?;
        let sample = self.sample(d, &line, place, at)?;
        let Some(table) = &mut self.table else { return Ok(()) };
        let situation = &mut self.data[d].cells[c].situations[s];
        situation.rows.push((sample, at));
        situation.logits.extend(table.order[&d].iter().map(|&number| logits[number]));
        (table.last, table.values) = ([d, c, s], values);
        Ok(())
    }
}

impl Line<'_> {
    fn which(&self, prefix: &str) -> Box<Which> {
        let situation =
            self.corruption.map_or_else(|| self.combination.to_string(), |(name, severity, of)| corrupted_in_words(name, severity, of));
        let Self { data, run, seed, sample, .. } = *self;
        Box::new(Which { data: data.into(), run: format!("{prefix}{run}"), seed, situation, sample: sample.into() })
    }
}

/// `gaussian of severity 3 on rgb`.
pub fn corrupted_in_words(corruption: &str, severity: u8, corrupted: &str) -> String {
    format!("{corruption} of severity {severity} on {corrupted}")
}
