//! One data set: its classes, modalities and samples, and the predictions of its cells as they are written.

use super::collect::Collector;
use super::error::{Place, PredictionError, Result};
use super::settings::{FolderSettings, TaskName};
use super::table::{Columns, Line};
use crate::result::CellResult;
use mm_core::Modalities;
use mm_core::data::{Target, nearest};
use mm_core::task::FaceAntiSpoofing;
use std::collections::HashMap;

/// What named the classes.
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
    /// The classes in order.
    pub classes: Vec<String>,
    /// What named them.
    classes_of: String,
    /// Whether the first of two classes is an attack: finished cells with attack rates or `predictions.toml` say so.
    attacks: bool,
    /// The modalities, where finished cells or `predictions.toml` name them.
    pub modalities: Option<Modalities>,
    /// The ids of samples, by number of first appearance.
    pub samples: Vec<String>,
    numbers: HashMap<String, u32>,
    /// The class of each sample, and who says so.
    pub truths: Vec<Option<(u32, Source)>>,
    /// In the order of their first lines.
    pub cells: Vec<Cell>,
}

/// Who said something.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    File(At),
    Result(usize),
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
    /// As many as there are classes for each row.
    pub logits: Vec<f32>,
}

impl DataSet {
    /// With what the finished cells of it say.
    pub fn new(name: &str, results: &[CellResult]) -> Result<Self> {
        let mut set = Self {
            name: name.into(),
            classes: Vec::new(),
            classes_of: String::new(),
            attacks: false,
            modalities: None,
            samples: Vec::new(),
            numbers: HashMap::new(),
            truths: Vec::new(),
            cells: Vec::new(),
        };
        for (i, result) in results.iter().enumerate().filter(|(_, r)| r.data == name) {
            if set.classes.is_empty() {
                (set.classes, set.classes_of) = (result.classes.clone(), FINISHED.into());
                set.modalities = Some(Modalities::new(result.modalities.clone())?);
            }
            set.attacks |= result.combinations.iter().any(|c| c.metrics.spoof.is_some());
            let Some(ids) = result.sample_ids() else {
                return Err(PredictionError::OldResult { data: name.into(), run: result.run.clone(), seed: result.seed });
            };
            for (id, truth) in ids.iter().zip(result.truths.iter().flatten()) {
                let sample = set.number(id);
                set.truths[sample as usize].get_or_insert((*truth, Source::Result(i)));
            }
        }
        Ok(set)
    }

    /// What is predicted.
    pub fn target(&self) -> Target {
        match self.classes.as_slice() {
            [attack, live] if self.attacks => Target::FaceAntiSpoofing(FaceAntiSpoofing::new([attack.clone(), live.clone()])),
            classes => Target::of_classes(classes),
        }
    }

    /// The class of a sample, by its number.
    pub fn truth(&self, sample: usize) -> u32 {
        self.truths[sample].map_or(0, |(truth, _)| truth)
    }

    /// An id that is none, where it first stands.
    pub fn wrong_id(&self, id: &str, collector: &Collector) -> PredictionError {
        let rows = self.cells.iter().flat_map(|c| &c.situations).flat_map(|s| &s.rows);
        let at = rows.into_iter().find(|(sample, _)| self.samples[*sample as usize] == id).map(|(_, at)| *at);
        match at {
            Some(at) => PredictionError::Id { place: collector.place(at), sample: id.into() },
            None => PredictionError::NoPrediction { data: self.name.clone() },
        }
    }

    /// The number of a sample.
    pub fn number(&mut self, id: &str) -> u32 {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let number = self.samples.len() as u32;
        self.samples.push(id.into());
        self.numbers.insert(id.into(), number);
        self.truths.push(None);
        number
    }

    /// Takes over what the folder says, where nothing is known yet; refuses what contradicts.
    pub fn settle(&mut self, settings: &FolderSettings, place: &Place) -> Result<()> {
        if let Some(given) = &settings.modalities {
            let known = self.modalities.get_or_insert_with(|| given.clone());
            if sorted(known.names()) != sorted(given.names()) {
                let (known, given) = (known.names().join(", "), given.names().join(", "));
                let problem =
                    format!("the modalities of data {} are {known}, but `predictions.toml` of this folder names {given}", self.name);
                return Err(PredictionError::Combination { place: place.clone(), problem });
            }
        }
        if let Some(given) = &settings.classes {
            if self.classes.is_empty() {
                (self.classes, self.classes_of) = (given.clone(), SETTINGS.into());
            }
            self.same_classes(given, "`predictions.toml` of this folder", place)?;
        }
        if settings.task == TaskName::FaceAntiSpoofing {
            self.attacks = true;
            if self.classes.len() != 2 || !self.classes_named() {
                let problem = "`task = \"face_anti_spoofing\"` in predictions.toml needs its two classes in order, the attack first: \
                               `classes = [\"attack\", \"live\"]`";
                return Err(PredictionError::Classes { place: place.clone(), problem: problem.into() });
            }
        }
        Ok(())
    }

    /// For each class, which number of a line of this table is its.
    pub fn order(&mut self, columns: &Columns, matrix: Option<usize>, place: &Place) -> Result<Vec<usize>> {
        let problem = |problem: String| PredictionError::Classes { place: place.clone(), problem };
        if let Some(count) = matrix {
            return match self.classes.len() {
                0 => Err(problem(
                    "no column names the classes of a NumPy file; give them in order, `classes = [...]`, in predictions.toml".into(),
                )),
                known if known != count => {
                    Err(problem(format!("the NumPy file has {count} numbers a line for the {known} classes of {}", self.classes_of)))
                }
                _ => Ok((0..count).collect()),
            };
        }
        let names: Vec<String> = columns.classes.iter().map(|(class, _)| class.clone()).collect();
        if self.classes.is_empty() {
            (self.classes, self.classes_of) = (names.clone(), place.path.display().to_string());
        }
        self.same_classes(&names, "this table", place)?;
        Ok(self.classes.iter().filter_map(|class| names.iter().position(|name| name == class)).collect())
    }

    /// Whether something other than the columns of a table gives the order of the classes.
    fn classes_named(&self) -> bool {
        matches!(self.classes_of.as_str(), FINISHED | SETTINGS)
    }

    fn same_classes(&self, given: &[String], of: &str, place: &Place) -> Result<()> {
        let lacking = |these: &[String], others: &[String]| these.iter().find(|class| !others.contains(class)).cloned();
        let (who, whom, class) = match (lacking(given, &self.classes), lacking(&self.classes, given)) {
            (Some(class), _) => (of, self.classes_of.as_str(), class),
            (None, Some(class)) => (self.classes_of.as_str(), of, class),
            (None, None) => return Ok(()),
        };
        let near = nearest(&class, if who == of { &self.classes } else { given }.iter().map(String::as_str));
        let near = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
        let problem = format!("the classes of data {} differ: `{class}` is in {who} and not in {whom}{near}", self.name);
        Err(PredictionError::Classes { place: place.clone(), problem })
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
