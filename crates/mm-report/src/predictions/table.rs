//! What the columns of a table mean, and what a line of it says.

use super::error::{Place, PredictionError, Result};
use csv::StringRecord;
use mm_core::data::nearest;

/// What reads a table line by line.
pub trait Sink {
    /// The names of the columns.
    fn header(&mut self, place: &Place, names: &StringRecord) -> Result<()>;
    /// A line; as many fields as the header.
    fn row(&mut self, place: &Place, fields: &StringRecord) -> Result<()>;
}

/// Columns that every table has.
const NEEDED: [&str; 5] = ["run", "seed", "combination", "sample", "truth"];
/// Columns that a table may have.
const OPTIONAL: [&str; 4] = ["data", "corruption", "severity", "corrupted"];
/// The data set of a table that does not name one.
const DATA: &str = "data";
/// Counts of a segmentation.
const COUNTS: [&str; 3] = ["tp:", "fp:", "fn:"];

/// What the numbers of a prediction are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scores {
    /// Probabilities, column by column `p:<class>`.
    Probabilities,
    /// Columns `logit:<class>`.
    Logits,
}

/// Where everything is in a table.
#[derive(Debug)]
pub struct Columns {
    names: Vec<String>,
    /// In the order of `NEEDED`.
    needed: [usize; 5],
    /// In the order of `OPTIONAL`.
    optional: [Option<usize>; 4],
    /// What the numbers are.
    pub scores: Scores,
    /// Class and column of each number; none in the index of a NumPy file.
    pub classes: Vec<(String, usize)>,
}

/// What a line says, but for its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'t> {
    pub data: &'t str,
    pub run: &'t str,
    pub seed: u64,
    pub combination: &'t str,
    /// Corruption, severity, corrupted modalities; nothing where all is clean.
    pub corruption: Option<(&'t str, u8, &'t str)>,
    pub sample: &'t str,
    pub truth: &'t str,
}

impl Columns {
    /// Reads the header. An index has no columns of numbers, every other table has some.
    pub fn new(place: &Place, header: &StringRecord, is_index: bool) -> Result<Self> {
        let names: Vec<String> = header.iter().map(String::from).collect();
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                return Err(PredictionError::ColumnTwice { place: place.clone(), name: name.clone() });
            }
            if COUNTS.iter().any(|prefix| name.starts_with(prefix)) {
                return Err(PredictionError::Segmentation { place: place.clone(), name: name.clone() });
            }
        }
        let with = |prefix: &str| -> Vec<(String, usize)> {
            names.iter().enumerate().filter_map(|(i, name)| Some((name.strip_prefix(prefix)?.trim().to_string(), i))).collect()
        };
        let (probabilities, logits) = (with("p:"), with("logit:"));
        let known = |name: &str| NEEDED.contains(&name) || OPTIONAL.contains(&name) || name.starts_with("p:") || name.starts_with("logit:");
        let unknown: Vec<&str> = names.iter().map(String::as_str).filter(|name| !known(name)).collect();
        let at = |name: &str| names.iter().position(|n| n == name);
        if let Some(name) = NEEDED.into_iter().find(|name| at(name).is_none()) {
            // Of a name that is wrong by a letter, the wrong one is what the reader looks for.
            let hint = match nearest(name, unknown.iter().copied()) {
                Some(near) => format!("is it `{near}`?"),
                None if names.len() == 1 => "fields are separated by commas".into(),
                None => format!("every table has the columns {}", NEEDED.join(", ")),
            };
            return Err(PredictionError::MissingColumn { place: place.clone(), name: name.into(), hint });
        }
        if let Some(name) = unknown.first() {
            let all = NEEDED.into_iter().chain(OPTIONAL);
            let hint = match nearest(name, all.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}, and `p:<class>` or `logit:<class>`", all.collect::<Vec<_>>().join(", ")),
            };
            return Err(PredictionError::UnknownColumn { place: place.clone(), name: name.to_string(), hint });
        }
        let missing = |hint: &str| PredictionError::MissingColumn { place: place.clone(), name: "p:<class>".into(), hint: hint.into() };
        let (scores, classes) = match (is_index, probabilities.is_empty(), logits.is_empty()) {
            (true, true, true) => (Scores::Probabilities, Vec::new()),
            (true, ..) => return Err(numbers_twice(place, &names)),
            (false, true, true) => {
                return Err(missing(
                    "a column for each class is needed, or `logit:<class>`, or a file of probabilities beside this one that has its name and ends in .npy",
                ));
            }
            (false, false, false) => return Err(missing("there are columns of probabilities and of logits; write one kind")),
            (false, false, true) => (Scores::Probabilities, probabilities),
            (false, true, false) => (Scores::Logits, logits),
        };
        if let Some((_, column)) = classes.iter().find(|(class, _)| class.is_empty()) {
            let hint = "a class has a name".to_string();
            return Err(PredictionError::UnknownColumn { place: place.clone(), name: names[*column].clone(), hint });
        }
        if classes.len() == 1 {
            return Err(missing("there is only one; two classes have two, whose probabilities sum to 1"));
        }
        let needed = NEEDED.map(|name| at(name).unwrap_or_default());
        Ok(Self { needed, optional: OPTIONAL.map(at), scores, classes, names })
    }

    /// What a line says.
    pub fn line<'t>(&self, place: &Place, fields: &'t StringRecord) -> Result<Line<'t>> {
        let needed = |i: usize| match &fields[self.needed[i]] {
            "" => Err(self.field(place, self.needed[i], "is empty".into())),
            text => Ok(text),
        };
        let optional = |i: usize| self.optional[i].map_or("", |column| &fields[column]);
        let seed = needed(1)?;
        let seed = seed.parse().map_err(|_| self.field(place, self.needed[1], format!("`{seed}` is no whole number of at least 0")))?;
        let wrong = |i: usize, problem: String| self.field(place, self.optional[i].unwrap_or_default(), problem);
        let (corruption, severity, corrupted) = (optional(1), optional(2), optional(3));
        let corruption =
            match corruption {
                "" if !matches!(severity, "" | "0") => return Err(wrong(2, format!("`{severity}`, but no corruption is named"))),
                "" if !corrupted.is_empty() => return Err(wrong(3, format!("`{corrupted}`, but no corruption is named"))),
                "" => None,
                name if corrupted.is_empty() => {
                    return Err(self.field(
                        place,
                        self.optional[1].unwrap_or_default(),
                        format!("`{name}` needs a severity in the column `severity` and the corrupted modalities in `corrupted`"),
                    ));
                }
                name => match severity.parse() {
                    Ok(severity) if severity > 0 => Some((name, severity, corrupted)),
                    _ => return Err(self.field(
                        place,
                        self.optional[1].unwrap_or_default(),
                        format!(
                            "the severity of `{name}` is `{severity}`; it is a whole number from 1 (a clean prediction has no corruption)"
                        ),
                    )),
                },
            };
        let data = match optional(0) {
            "" if self.optional[0].is_some() => return Err(wrong(0, "is empty".into())),
            "" => DATA,
            name => name,
        };
        Ok(Line { data, run: needed(0)?, seed, combination: needed(2)?, corruption, sample: needed(3)?, truth: needed(4)? })
    }

    /// The numbers of a line, in the order of [`Columns::classes`].
    pub fn numbers(&self, place: &Place, fields: &StringRecord, values: &mut Vec<f64>) -> Result<()> {
        values.clear();
        for &(_, column) in &self.classes {
            let text = &fields[column];
            values.push(text.parse().map_err(|_| self.field(place, column, format!("`{text}` is no number")))?);
        }
        Ok(())
    }

    fn field(&self, place: &Place, column: usize, problem: String) -> PredictionError {
        PredictionError::Field { place: place.clone(), column: self.names.get(column).cloned().unwrap_or_default(), problem }
    }
}

fn numbers_twice(place: &Place, names: &[String]) -> PredictionError {
    let name = names.iter().find(|name| name.starts_with("p:") || name.starts_with("logit:")).cloned().unwrap_or_default();
    let hint = "the numbers are in the NumPy file of this name; an index has none".into();
    PredictionError::UnknownColumn { place: place.clone(), name, hint }
}

/// What is wrong with the numbers of a prediction, and the logits of those that are right.
pub fn logits(scores: Scores, values: &[f64]) -> std::result::Result<Vec<f32>, String> {
    if let Some(value) = values.iter().find(|v| !(**v as f32).is_finite()) {
        return Err(format!("{value} is no finite number of 32 bits"));
    }
    if scores == Scores::Logits {
        return Ok(values.iter().map(|v| *v as f32).collect());
    }
    if let Some(value) = values.iter().find(|v| **v < 0.0) {
        return Err(format!("the probability {value} is negative; columns of logits are named `logit:<class>`"));
    }
    let sum: f64 = values.iter().sum();
    if (sum - 1.0).abs() > TOLERANCE {
        return Err(format!("the probabilities sum to {sum:.4}, not to 1; columns of logits are named `logit:<class>`"));
    }
    // Rounded to 0, a probability is unknown but not impossible: one wrong sample would make the log-likelihood infinite.
    Ok(values.iter().map(|p| (p / sum).max(SMALLEST).ln() as f32).collect())
}

/// How far probabilities may be from a sum of 1.
const TOLERANCE: f64 = 1e-3;
/// Smaller probabilities count as this.
const SMALLEST: f64 = 1e-12;
