//! What the columns of a table mean, found in its header.

use super::error::{Place, PredictionError, Result};
use super::kind::{COLUMNS, COUNTS, Kind, PREFIXES, TRUTH};
use super::settings::TaskName;
use csv::StringRecord;
use mm_core::data::nearest;

/// Columns that every table has.
pub const NEEDED: [&str; 4] = ["run", "seed", "combination", "sample"];
/// Columns that a table may have.
pub const OPTIONAL: [&str; 4] = ["data", "corruption", "severity", "corrupted"];

/// Where everything is in a table.
#[derive(Debug)]
pub struct Columns {
    /// All of them.
    pub names: Vec<String>,
    /// In the order of [`NEEDED`].
    pub needed: [usize; 4],
    /// In the order of [`OPTIONAL`].
    pub optional: [Option<usize>; 4],
    /// What is predicted.
    pub kind: Kind,
    /// Whether columns are of logits, not of probabilities.
    pub are_logits: bool,
    /// The class of a sample.
    pub class: Option<usize>,
    /// The names of the classes, labels or numbers; none in an index of classes.
    pub outputs: Vec<String>,
    /// The truth of each label or number.
    pub truths: Vec<usize>,
    /// What is predicted of each output; three in turn for all classes of pixels. Empty in an index.
    pub values: Vec<usize>,
}

/// The columns of one prefix: what follows it, and where.
struct Family {
    prefix: &'static str,
    columns: Vec<(String, usize)>,
}

impl Columns {
    /// Reads the header. An index has no columns of numbers; `task` says what is predicted, where that is known.
    pub fn new(place: &Place, header: &StringRecord, is_index: bool, task: Option<TaskName>) -> Result<Self> {
        let names: Vec<String> = header.iter().map(String::from).collect();
        if let Some(i) = (0..names.len()).find(|&i| names[..i].contains(&names[i])) {
            return Err(PredictionError::ColumnTwice { place: place.clone(), name: names[i].clone() });
        }
        let is_known = |name: &str| {
            NEEDED.contains(&name) || OPTIONAL.contains(&name) || name == TRUTH || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        };
        let unknown = names.iter().enumerate().filter(|(column, name)| !is_known(name) && !is_index_of_rows(*column, name));
        let unknown: Vec<&str> = unknown.map(|(_, name)| name.as_str()).collect();
        check_prefixes(place, &unknown)?;
        let kind = Kind::of_table(place, &names, is_index, task)?;
        let needed = NEEDED.into_iter().chain((kind == Kind::Classes).then_some(TRUTH));
        check_names(place, &names, &unknown, needed)?;
        let at = |name: &str| names.iter().position(|n| n == name);
        let [truths, values] = families(place, &names, kind, is_index)?;
        let all = || truths.iter().chain(&values);
        let first = all().next();
        let outputs: Vec<String> = first.iter().flat_map(|family| family.columns.iter().map(|(name, _)| name.clone())).collect();
        let of_outputs = |families: &[Family]| families.iter().flat_map(|f| outputs.iter().filter_map(|name| f.at(name))).collect();
        if let Some(first) = first {
            first.check_alone(place)?;
            all().skip(1).try_for_each(|family| first.check_same(family, place))?;
        }
        if kind == Kind::Classes && outputs.len() == 1 {
            return Err(missing_values(place, kind, "there is only one; two classes have two, whose probabilities sum to 1"));
        }
        Ok(Self {
            needed: NEEDED.map(|name| at(name).unwrap_or_default()),
            optional: OPTIONAL.map(at),
            kind,
            are_logits: values.iter().any(|family| family.prefix == "logit:"),
            class: at(TRUTH),
            truths: of_outputs(&truths),
            values: of_outputs(&values),
            outputs,
            names,
        })
    }

    /// An error about a field of a line.
    pub fn field(&self, place: &Place, column: usize, problem: String) -> PredictionError {
        PredictionError::Field { place: place.clone(), column: self.names.get(column).cloned().unwrap_or_default(), problem }
    }
}

/// Whether a column is the index that pandas writes: the first one of a CSV file, without a name or with the one it gets when read again.
fn is_index_of_rows(column: usize, name: &str) -> bool {
    column == 0 && matches!(name, "" | "Unnamed: 0") || is_index_level(name)
}

/// Whether a name is that of an index without a name which pandas writes to Parquet: `__index_level_0__`.
pub fn is_index_level(name: &str) -> bool {
    let level = name.strip_prefix("__index_level_").and_then(|rest| rest.strip_suffix("__"));
    level.is_some_and(|level| level.parse::<usize>().is_ok())
}

/// Refuses a column whose prefix is wrong by a letter: without it, the table would look like one of another kind.
fn check_prefixes(place: &Place, unknown: &[&str]) -> Result<()> {
    let slip = |name: &&str| {
        let (prefix, rest) = name.split_once(':')?;
        let near = nearest(&format!("{prefix}:"), PREFIXES)?;
        Some((name.to_string(), format!("did you mean `{near}{rest}`?")))
    };
    match unknown.iter().find_map(slip) {
        Some((name, hint)) => Err(PredictionError::UnknownColumn { place: place.clone(), name, hint }),
        None => Ok(()),
    }
}

/// Refuses a header without a column that is needed, or with one that means nothing.
fn check_names(place: &Place, names: &[String], unknown: &[&str], needed: impl Iterator<Item = &'static str> + Clone) -> Result<()> {
    if let Some(name) = needed.clone().find(|needed| !names.iter().any(|name| name == needed)) {
        // Of a name that is wrong by a letter, the wrong one is what the reader looks for.
        let hint = match nearest(name, unknown.iter().copied()) {
            Some(near) => format!("is it `{near}`?"),
            None if names.len() == 1 => "fields are separated by commas".into(),
            None if name == TRUTH => COLUMNS.into(),
            None => format!("every table has the columns {}", NEEDED.join(", ")),
        };
        return Err(PredictionError::MissingColumn { place: place.clone(), name: name.into(), hint });
    }
    let Some(name) = unknown.first() else { return Ok(()) };
    let all = needed.chain(OPTIONAL);
    let hint = match nearest(name, all.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}; {COLUMNS}", all.collect::<Vec<_>>().join(", ")),
    };
    Err(PredictionError::UnknownColumn { place: place.clone(), name: name.to_string(), hint })
}

/// The families of a kind's truths, and of what is predicted.
fn families(place: &Place, names: &[String], kind: Kind, is_index: bool) -> Result<[Vec<Family>; 2]> {
    let family = |prefix| Family::of(prefix, names);
    let truths = if matches!(kind, Kind::Labels | Kind::Numbers) { vec![family("true:")] } else { Vec::new() };
    let values = match kind {
        Kind::Numbers => vec![family("predicted:")],
        Kind::Pixels => COUNTS.map(family).into(),
        Kind::Classes | Kind::Labels => match [family("p:"), family("logit:")] {
            [p, logits] if !p.columns.is_empty() && !logits.columns.is_empty() => {
                return Err(missing_values(place, kind, "there are columns of probabilities and of logits; write one kind"));
            }
            [p, logits] => vec![if logits.columns.is_empty() { p } else { logits }],
        },
    };
    let written = values.iter().find_map(|family| family.columns.first());
    match (is_index, written) {
        (true, Some((_, column))) => {
            let hint = match kind {
                Kind::Pixels => "counts of pixels are in the table alone; remove the NumPy file of this name",
                _ => "the numbers are in the NumPy file of this name; an index has none",
            };
            Err(PredictionError::UnknownColumn { place: place.clone(), name: names[*column].clone(), hint: hint.into() })
        }
        (true, None) => Ok([truths, Vec::new()]),
        (false, None) if kind == Kind::Labels => {
            Err(missing_values(place, kind, "a column for each label is needed, or `logit:<label>`; numbers have `predicted:<name>`"))
        }
        (false, None) => Err(missing_values(
            place,
            kind,
            "a column for each class is needed, or `logit:<class>`, or a file of probabilities beside this one that has its name and ends in .npy",
        )),
        (false, Some(_)) => Ok([truths, values]),
    }
}

fn missing_values(place: &Place, kind: Kind, hint: &str) -> PredictionError {
    let name = if kind == Kind::Labels { "p:<label>" } else { "p:<class>" };
    PredictionError::MissingColumn { place: place.clone(), name: name.into(), hint: hint.into() }
}

impl Family {
    fn of(prefix: &'static str, names: &[String]) -> Self {
        let columns = names.iter().enumerate().filter_map(|(i, name)| Some((name.strip_prefix(prefix)?.trim().to_string(), i)));
        Self { prefix, columns: columns.collect() }
    }

    fn at(&self, name: &str) -> Option<usize> {
        self.columns.iter().find(|(of, _)| of == name).map(|(_, column)| *column)
    }

    /// Refuses names that are empty or there twice.
    fn check_alone(&self, place: &Place) -> Result<()> {
        for (i, (name, _)) in self.columns.iter().enumerate() {
            let column = format!("{}{name}", self.prefix);
            if name.is_empty() {
                let hint = "a name follows the colon".into();
                return Err(PredictionError::UnknownColumn { place: place.clone(), name: column, hint });
            }
            if self.columns[..i].iter().any(|(other, _)| other == name) {
                return Err(PredictionError::ColumnTwice { place: place.clone(), name: column });
            }
        }
        Ok(())
    }

    /// Refuses another family that has not the same names.
    fn check_same(&self, other: &Self, place: &Place) -> Result<()> {
        other.check_alone(place)?;
        for (one, two) in [(self, other), (other, self)] {
            let Some((name, _)) = one.columns.iter().find(|(name, _)| two.at(name).is_none()) else { continue };
            let unpaired = two.columns.iter().map(|(name, _)| name.as_str()).filter(|name| one.at(name).is_none());
            let hint = match nearest(name, unpaired) {
                Some(near) => format!("is it `{}{near}`?", two.prefix),
                None => format!("`{}{name}` needs one", one.prefix),
            };
            return Err(PredictionError::MissingColumn { place: place.clone(), name: format!("{}{name}", two.prefix), hint });
        }
        Ok(())
    }
}
