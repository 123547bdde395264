//! One data set: what is predicted, its modalities and samples, and the predictions of its cells as they are written.

use super::columns::Columns;
use super::error::{Place, PredictionError, Result};
use super::kind::Kind;
use super::settings::{FolderSettings, TaskName};
use super::table::Line;
use super::truths::{Source, Truths, of_result};
use crate::result::{CellResult, Measured};
use mm_core::Modalities;
use mm_core::data::nearest;
use mm_core::statistics::Score;
use mm_core::task::{Numbers, Task};
use std::collections::HashMap;

/// What named the classes, or said what is predicted.
const FINISHED: &str = "the finished cells";
const SETTINGS: &str = "`predictions.toml`";

/// A file and a line of it.
#[derive(Debug, Clone, Copy)]
pub struct At {
    pub file: u32,
    pub line: u32,
}

/// One data set.
pub struct DataSet {
    pub name: String,
    /// What is predicted.
    pub kind: Kind,
    /// What said so.
    kind_of: String,
    /// The classes, labels or numbers, in order.
    pub names: Vec<String>,
    /// What named them.
    names_of: String,
    /// Whether the first of two classes is an attack: finished cells with attack rates or `predictions.toml` say so.
    pub attacks: bool,
    /// The class of pixels whose IoU is the score.
    pub of_interest: Option<String>,
    /// The score, where finished cells or `predictions.toml` say which.
    pub measure: Option<Measured>,
    /// Whether finished cells do.
    pub is_finished: bool,
    /// Whether the classes of pixels can be all there are.
    pub is_complete: bool,
    /// The modalities, where finished cells or `predictions.toml` name them.
    pub modalities: Option<Modalities>,
    /// The ids of samples, by number of first appearance.
    pub samples: Vec<String>,
    numbers: HashMap<String, u32>,
    pub truths: Truths,
    /// In the order of their first lines.
    pub cells: Vec<Cell>,
}

/// The predictions of one run with one seed.
pub struct Cell {
    /// With the prefix.
    pub run: String,
    pub method: String,
    pub seed: u64,
    pub notes: Vec<String>,
    pub situations: Vec<Situation>,
}

/// The predictions of one cell in one situation, as it is written.
pub struct Situation {
    pub combination: String,
    /// Corruption, severity, corrupted modalities.
    pub corruption: Option<(String, u8, String)>,
    /// Sample and where it is predicted.
    pub rows: Vec<(u32, At)>,
    /// What [`super::values::scored`] made of each row, one after the other.
    pub values: Vec<f32>,
}

impl DataSet {
    /// With what the finished cells of it say. A table predicts `kind`.
    pub fn new(name: &str, kind: Kind, place: &Place, results: &[CellResult]) -> Result<Self> {
        let mut set = Self {
            name: name.into(),
            kind,
            kind_of: place.path.display().to_string(),
            names: Vec::new(),
            names_of: String::new(),
            attacks: false,
            of_interest: None,
            measure: None,
            is_finished: false,
            is_complete: true,
            modalities: None,
            samples: Vec::new(),
            numbers: HashMap::new(),
            truths: Truths::default(),
            cells: Vec::new(),
        };
        for (i, result) in results.iter().enumerate().filter(|(_, r)| r.data == name) {
            if !set.is_finished {
                set.begin_beside(result)?;
            }
            set.attacks |= result.combinations.iter().any(|c| c.metrics.spoof.is_some());
            let Some(ids) = result.sample_ids() else {
                return Err(PredictionError::OldResult { data: name.into(), run: result.run.clone(), seed: result.seed });
            };
            let mut truths = of_result(result).into_iter();
            for id in &ids {
                let sample = set.number(id);
                if let Some(truth) = truths.next().flatten() {
                    set.truths.note(sample as usize, &truth, Source::Result(i));
                }
            }
        }
        Ok(set)
    }

    /// Takes over what a finished cell predicts.
    fn begin_beside(&mut self, result: &CellResult) -> Result<()> {
        let CellResult { classes, outputs, measure, .. } = result;
        let of_numbers = Numbers::new(outputs.clone()).score(&measure.name).is_some();
        self.kind = match measure.score {
            Score::MeanIou { .. } | Score::ClassIou { .. } => Kind::Pixels,
            _ if outputs.is_empty() => Kind::Classes,
            _ if of_numbers => Kind::Numbers,
            _ => Kind::Labels,
        };
        if let Score::ClassIou { class, .. } = measure.score {
            self.of_interest = classes.get(class).cloned();
        }
        self.names = if outputs.is_empty() { classes.clone() } else { outputs.clone() };
        (self.kind_of, self.names_of) = (FINISHED.into(), FINISHED.into());
        (self.measure, self.is_finished) = (Some(measure.clone()), true);
        self.modalities = Some(Modalities::new(result.modalities.clone())?);
        Ok(())
    }

    /// Where the id of a sample first stands.
    pub fn first_place(&self, id: &str) -> Option<At> {
        let rows = self.cells.iter().flat_map(|c| &c.situations).flat_map(|s| &s.rows);
        rows.into_iter().find(|(sample, _)| self.samples[*sample as usize] == id).map(|(_, at)| *at)
    }

    /// The number of a sample.
    pub fn number(&mut self, id: &str) -> u32 {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let number = self.samples.len() as u32;
        self.samples.push(id.into());
        self.numbers.insert(id.into(), number);
        self.truths.push();
        number
    }

    /// Refuses a table that predicts something else; takes over what its folder says where nothing is known yet, and refuses what
    /// contradicts.
    pub fn settle(&mut self, settings: &FolderSettings, columns: &Columns, place: &Place) -> Result<()> {
        if columns.kind != self.kind {
            let (this, known, of) = (columns.kind.noun(), self.kind.noun(), &self.kind_of);
            let problem = format!("this table is of {this}, but data {} is of {known} in {of}; a data set has one kind", self.name);
            return Err(PredictionError::Kinds { place: place.clone(), problem });
        }
        if let Some(given) = &settings.modalities {
            let known = self.modalities.get_or_insert_with(|| given.clone());
            if sorted(known.names()) != sorted(given.names()) {
                let (known, given) = (known.names().join(", "), given.names().join(", "));
                let problem =
                    format!("the modalities of data {} are {known}, but `predictions.toml` of this folder names {given}", self.name);
                return Err(PredictionError::Combination { place: place.clone(), problem });
            }
        }
        let problem = |problem: &str| Err(PredictionError::Names { place: place.clone(), problem: problem.into() });
        if let Some(given) = &settings.classes {
            if matches!(self.kind, Kind::Labels | Kind::Numbers) {
                return problem("`classes` in predictions.toml names classes; labels and numbers are named by the columns `true:`");
            }
            if self.names.is_empty() {
                (self.names, self.names_of) = (given.clone(), SETTINGS.into());
            }
            self.same_names(given, "`predictions.toml` of this folder", place)?;
        }
        if settings.task == Some(TaskName::FaceAntiSpoofing) {
            self.attacks = true;
            let in_order = matches!(self.names_of.as_str(), FINISHED | SETTINGS);
            if self.names.len() != 2 || !in_order {
                return problem(
                    "`task = \"face_anti_spoofing\"` in predictions.toml needs its two classes in order, the attack first: `classes = [\"attack\", \"live\"]`",
                );
            }
        }
        Ok(())
    }

    /// For each class, label or number, which of this table is it.
    pub fn order(&mut self, columns: &Columns, matrix: Option<usize>, place: &Place) -> Result<Vec<usize>> {
        let problem = |problem: String| PredictionError::Names { place: place.clone(), problem };
        if columns.outputs.is_empty() && self.names.is_empty() {
            return Err(problem(
                "no column names the classes of a NumPy file; give them in order, `classes = [...]`, in predictions.toml".into(),
            ));
        }
        let (names, of) = match columns.outputs.is_empty() {
            true => (self.names.clone(), self.names_of.as_str()),
            false => (columns.outputs.clone(), "its index"),
        };
        if let Some(count) = matrix.filter(|count| *count != names.len()) {
            let (known, named) = (names.len(), self.kind.named());
            return Err(problem(format!("the NumPy file has {count} numbers a line for the {known} {named} of {of}")));
        }
        if self.names.is_empty() {
            (self.names, self.names_of) = (names.clone(), place.path.display().to_string());
        }
        self.same_names(&names, "this table", place)?;
        Ok(self.names.iter().filter_map(|known| names.iter().position(|name| name == known)).collect())
    }

    fn same_names(&self, given: &[String], of: &str, place: &Place) -> Result<()> {
        let lacking = |these: &[String], others: &[String]| these.iter().find(|name| !others.contains(name)).cloned();
        let (who, whom, name) = match (lacking(given, &self.names), lacking(&self.names, given)) {
            (Some(name), _) => (of, self.names_of.as_str(), name),
            (None, Some(name)) => (self.names_of.as_str(), of, name),
            (None, None) => return Ok(()),
        };
        let near = nearest(&name, if who == of { &self.names } else { given }.iter().map(String::as_str));
        let near = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
        let (named, data) = (self.kind.named(), &self.name);
        let problem = format!("the {named} of data {data} differ: `{name}` is in {who} and not in {whom}{near}");
        Err(PredictionError::Names { place: place.clone(), problem })
    }
}

impl Cell {
    /// Whether a line is of it.
    pub fn is_of(&self, line: &Line, prefix: &str) -> bool {
        self.seed == line.seed && self.run.strip_prefix(prefix) == Some(line.run)
    }
}

impl Situation {
    /// Whether a line is of it.
    pub fn is_of(&self, line: &Line) -> bool {
        self.combination == line.combination
            && self.corruption.as_ref().map(|(name, severity, of)| (name.as_str(), *severity, of.as_str())) == line.corruption
    }
}

fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort();
    names
}

/// The first names of a list.
pub fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown}, ...") } else { shown }
}
