//! Gathers the lines of all tables by data set, run and situation, and checks each line by itself.

use super::columns::Columns;
use super::data_set::{At, Cell, DataSet, Situation, shortened};
use super::error::{Disagreement, Elsewhere, Place, PredictionError, Result, Which};
use super::kind::{Kind, TRUTH};
use super::npy::Matrix;
use super::settings::FolderSettings;
use super::table::{Line, Sink};
use super::truths::{Contradiction, Source};
use super::values::{is_complete, scored, true_pixels};
use crate::result::CellResult;
use csv::StringRecord;
use mm_core::data::{class_position, nearest};
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
    is_empty: bool,
    /// The numbers of an index, and how many of its lines were read.
    matrix: Option<(Matrix, usize)>,
    /// By data set: for each class, label or number, which of a line it is.
    order: HashMap<usize, Vec<usize>>,
    truths: Vec<f64>,
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
        let (order, truths, values) = (HashMap::new(), Vec::new(), Vec::new());
        self.table = Some(Table {
            file,
            columns: None,
            is_empty: true,
            matrix: matrix.map(|m| (m, 0)),
            order,
            truths,
            values,
            last: [usize::MAX; 3],
        });
    }

    /// Ends a table.
    pub fn end_table(&mut self) -> Result<()> {
        let Some(Table { file, matrix, is_empty, .. }) = self.table.take() else { return Ok(()) };
        if is_empty {
            let problem = "there is no row below the names of the columns; write the predictions into it, or remove the file".into();
            return Err(PredictionError::File { path: self.files[file as usize].to_path_buf(), problem });
        }
        let Some((matrix, lines)) = matrix else { return Ok(()) };
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
        let at = known.unwrap_or(self.data.len());
        let Some(table) = self.table.as_mut().filter(|table| !table.order.contains_key(&at)) else { return Ok(at) };
        let Some(columns) = &table.columns else { return Ok(at) };
        if known.is_none() {
            self.data.push(DataSet::new(name, columns.kind, place, self.results)?);
        }
        let data = &mut self.data[at];
        data.settle(&self.settings, columns, place)?;
        let order = data.order(columns, table.matrix.as_ref().map(|(m, _)| m.columns()), place)?;
        data.measure_by(&self.settings)?;
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
            situations.push(Situation { combination, corruption, rows: Vec::new(), values: Vec::new() });
            situations.len() - 1
        });
        Ok([d, c, s])
    }

    /// The position of a line's class.
    fn class(&self, data: usize, name: &str, place: &Place) -> Result<f64> {
        let classes = &self.data[data].names;
        if let Some(class) = class_position(classes, name) {
            return Ok(class as f64);
        }
        let near = nearest(name, classes.iter().map(String::as_str));
        let hint = near.map_or_else(|| format!("there are: {}", shortened(classes)), |near| format!("did you mean `{near}`?"));
        let problem = format!("`{name}` is none of the classes; {hint}");
        Err(PredictionError::Field { place: place.clone(), column: TRUTH.into(), problem })
    }

    /// Checks the truth of a sample and gives the sample's number.
    fn sample(&mut self, data: usize, line: &Line, truth: &[f64], place: &Place, at: At) -> Result<u32> {
        let set = &mut self.data[data];
        let sample = set.number(line.sample);
        let Some(Contradiction { at, other, source }) = set.truths.note(sample as usize, truth, Source::File(at)) else {
            return Ok(sample);
        };
        let said = |value: f64| match set.kind {
            Kind::Classes => set.names.get(value as usize).cloned().unwrap_or_default(),
            _ => value.to_string(),
        };
        let part = match set.kind {
            Kind::Classes => String::new(),
            Kind::Labels | Kind::Numbers => format!(": true:{}", set.names[at]),
            Kind::Pixels => format!(": the number of its pixels that are of {} (tp + fn)", set.names[at]),
        };
        let truths = Box::new(Disagreement { part, here: said(truth[at]), there: said(other) });
        let elsewhere = self.elsewhere(source);
        Err(PredictionError::Truth { place: place.clone(), which: line.which(self.prefix), truths, elsewhere })
    }
}

impl Table {
    /// The numbers of a line: its truths and what is predicted, as they are written.
    fn numbers(&mut self, place: &Place, fields: &StringRecord) -> Result<()> {
        let Some(columns) = &self.columns else { return Ok(()) };
        columns.truths(place, fields, &mut self.truths)?;
        let Some((matrix, lines)) = &mut self.matrix else { return columns.values(place, fields, &mut self.values) };
        let row = matrix.row(*lines).ok_or_else(|| {
            let problem = format!("this is line {} of the index, but its NumPy file has {} rows of numbers", *lines + 1, matrix.rows());
            PredictionError::Field { place: place.clone(), column: "sample".into(), problem }
        })?;
        self.values.clear();
        self.values.extend_from_slice(row);
        *lines += 1;
        Ok(())
    }

    /// Truths and predictions in the order of a data set.
    fn in_order(&self, data: usize) -> [Vec<f64>; 2] {
        let order = self.order.get(&data).map(Vec::as_slice).unwrap_or_default();
        [&self.truths, &self.values].map(|all| all.chunks(order.len().max(1)).flat_map(|of| order.iter().map(|&i| of[i])).collect())
    }
}

impl Sink for Collector<'_> {
    fn header(&mut self, place: &Place, names: &StringRecord) -> Result<()> {
        if let Some(table) = &mut self.table {
            table.columns = Some(Columns::new(place, names, table.matrix.is_some(), self.settings.task)?);
        }
        Ok(())
    }

    fn row(&mut self, place: &Place, fields: &StringRecord) -> Result<()> {
        let Some(table) = &mut self.table else { return Ok(()) };
        let Some(columns) = &table.columns else { return Ok(()) };
        let (line, are_logits) = (columns.line(place, fields)?, columns.are_logits);
        table.numbers(place, fields)?;
        table.is_empty = false;
        let at = At { file: table.file, line: place.line as u32 };
        let [d, c, s] = self.situation(&line, place)?;
        let Some(table) = &mut self.table else { return Ok(()) };
        table.last = [d, c, s];
        let [mut truths, values] = table.in_order(d);
        let (kind, classes) = (self.data[d].kind, self.data[d].names.len());
        match line.class {
            Some(name) => truths.push(self.class(d, name, place)?),
            None if kind == Kind::Pixels => truths = true_pixels(&values, classes),
            None => {}
        }
        let set = &mut self.data[d];
        let scored = scored(kind, are_logits, &set.names, &values, &truths);
        let scored = scored.map_err(|problem| PredictionError::Scores { place: place.clone(), which: line.which(self.prefix), problem })?;
        set.is_complete &= kind != Kind::Pixels || is_complete(&values, classes);
        let sample = self.sample(d, &line, &truths, place, at)?;
        let situation = &mut self.data[d].cells[c].situations[s];
        situation.rows.push((sample, at));
        situation.values.extend(scored);
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
