//! What is to be predicted as text: which texts are classes, labels and numbers, which say that there is none, and which look like a
//! mistake.

use super::names::{class_position, some, suggestion};
use super::number::{comma_advice, has_decimal_comma};
use super::{TargetValue, TaskKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What to do with a sample that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unusable {
    /// An error that names it.
    #[default]
    Error,
    /// It is left out and counted.
    Drop,
}

/// Texts by which programs write that there is no value, in lower case.
const NO_VALUE: [&str; 14] = ["nan", "-nan", "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "none", "null", "nil", "nat", "?", "undefined"];

/// How the labels of a data set are read.
#[derive(Clone, Copy, Default)]
pub(super) struct Labels<'a> {
    /// The classes, if the card lists them.
    pub classes: Option<&'a [String]>,
    /// What to do with a sample without label.
    pub missing: Unusable,
    /// What they are.
    pub task: TaskKind,
    /// Whether numbers have a decimal comma, where the card may say so.
    pub decimal_comma: Option<bool>,
    /// What the card says of cells that stand for nothing, besides empty ones.
    pub none: &'a [String],
}

impl Labels<'_> {
    /// The class that a cell names; `None` if it names none and that is to be left out.
    pub fn read<'t>(&'t self, text: &'t str) -> Result<Option<&'t str>, String> {
        if let Some(class) = self.classes.and_then(|classes| Some(&classes[class_position(classes, text)?])) {
            return Ok(Some(class));
        }
        let empty = text.is_empty();
        if self.is_none(text) {
            let drop = "write missing_label = \"drop\" in the card to leave such samples out";
            return match self.missing {
                Unusable::Drop => Ok(None),
                Unusable::Error if empty => Err(format!("the label is empty; every sample needs one, or {drop}")),
                Unusable::Error => {
                    let says = self.says_so(text);
                    Err(format!("`{text}` says that there is no label{says}; {drop}, or list it in classes = [...] if it is a class"))
                }
            };
        }
        match self.classes {
            Some(classes) => {
                let near = suggestion(text, classes.iter().map(String::as_str));
                Err(format!("`{text}` is none of the classes that the card lists; {near}"))
            }
            None => Ok(Some(text)),
        }
    }

    /// A cell of a column of its own: a number, or whether a label holds. The text; `None` where there is nothing and that is to be left out.
    pub fn read_column<'t>(&self, text: &'t str) -> Result<Option<&'t str>, String> {
        if self.is_none(text) {
            return match self.missing {
                Unusable::Drop => Ok(None),
                Unusable::Error => {
                    let (says, drop) = (self.says_so(text), "write missing_label = \"drop\" in the card to leave such samples out");
                    Err(format!("`{text}` is no value{says}, and every sample needs one of what is to be predicted; {drop}"))
                }
            };
        }
        match self.task {
            TaskKind::Labels if mark(text).is_none() => {
                // A card of a manifest may say what stands between two.
                let sign = ['|', ';', ',', '/'].into_iter().find(|&sign| text.contains(sign));
                let list = match (sign.filter(|_| self.decimal_comma.is_none()), text.parse::<f64>()) {
                    (Some(sign), _) => {
                        format!("; if it lists those that hold, name its column as `label` and write separator = \"{sign}\"")
                    }
                    (None, Err(_)) if self.decimal_comma.is_none() => {
                        "; if cells list those that hold, write what stands between two, such as separator = \"|\"".into()
                    }
                    _ => String::new(),
                };
                Err(format!("`{text}` does not say whether the label holds: write 1 or 0, true or false, yes or no{list}"))
            }
            TaskKind::Numbers => match self.number(text) {
                Some(x) if x.is_finite() => Ok(Some(text)),
                Some(_) => Err(format!("`{text}` is not finite: it cannot be predicted")),
                None if has_decimal_comma(text) => {
                    Err(format!("`{text}` is not a number; {}", comma_advice(text, self.decimal_comma.is_some())))
                }
                None => Err(format!("`{text}` is not a number, and task = \"numbers\" predicts numbers; name another column")),
            },
            _ => Ok(Some(text)),
        }
    }

    /// Whether a cell says that there is nothing: it is empty, or as programs write it, or as the card says.
    fn is_none(&self, text: &str) -> bool {
        text.is_empty() || NO_VALUE.contains(&text.to_lowercase().as_str()) || self.is_marked(text)
    }

    /// Whether it is one of the cells of the card; `-999` is `-999.0`, as in cells of sensors.
    fn is_marked(&self, text: &str) -> bool {
        let number = |text: &str| self.number(text).filter(|x| x.is_finite());
        self.none.iter().map(|mark| mark.trim()).any(|mark| mark == text || number(mark).is_some() && number(mark) == number(text))
    }

    fn says_so(&self, text: &str) -> &'static str {
        match self.is_marked(text) {
            true => ", as `missing` in the card says (write it in the [[view]] if it is of readings alone)",
            false => "",
        }
    }

    /// The labels or numbers of a sample from the texts of its columns, which [`Labels::read_column`] let pass.
    pub fn value<'t>(&self, texts: impl Iterator<Item = &'t str>) -> TargetValue {
        match self.task {
            TaskKind::Numbers => TargetValue::Numbers(texts.map(|text| self.number(text).unwrap_or(f64::NAN)).collect()),
            _ => TargetValue::Labels(texts.map(|text| mark(text) == Some(true)).collect()),
        }
    }

    /// A cell that lists the labels that hold, with a separator between; empty where none does.
    pub fn read_list<'t>(&self, text: &'t str, separator: char) -> Result<Option<&'t str>, String> {
        if NO_VALUE.contains(&text.to_lowercase().as_str()) {
            return self.read_column(text);
        }
        let known = |label: &str| self.classes.is_none_or(|classes| classes.iter().any(|class| class == label));
        match listed(text, separator).find(|label| !known(label)) {
            Some(label) => {
                let near = suggestion(label, self.classes.unwrap_or_default().iter().map(String::as_str));
                Err(format!("`{label}` is none of the labels that the card lists; {near}"))
            }
            None => Ok(Some(text)),
        }
    }

    /// The names of labels (as listed by the card, else sorted) and those of each sample, from lists that [`Labels::read_list`] let pass.
    pub fn lists(&self, texts: &[&str], separator: char) -> (Vec<String>, Vec<TargetValue>) {
        let names: Vec<String> = match self.classes {
            Some(classes) => classes.to_vec(),
            None => texts.iter().flat_map(|text| listed(text, separator)).collect::<BTreeSet<_>>().into_iter().map(String::from).collect(),
        };
        let value = |text: &&str| {
            let held: BTreeSet<&str> = listed(text, separator).collect();
            TargetValue::Labels(names.iter().map(|name| held.contains(name.as_str())).collect())
        };
        let values = texts.iter().map(value).collect();
        (names, values)
    }

    fn number(&self, text: &str) -> Option<f64> {
        match self.decimal_comma == Some(true) && has_decimal_comma(text) {
            true => text.replace(',', ".").parse().ok(),
            false => text.parse().ok(),
        }
    }

    /// Class names in order (as listed; by number if all are integers; else by name) and the label of each sample.
    pub fn classes(&self, texts: &[&str]) -> (Vec<String>, Vec<u32>) {
        let mut numbers: HashMap<&str, u32> = texts.iter().map(|t| (*t, 0)).collect();
        let mut names: Vec<&str> = numbers.keys().copied().collect();
        names.sort_unstable();
        if names.iter().all(|n| n.parse::<i64>().is_ok()) {
            names.sort_by_key(|n| n.parse::<i64>().unwrap_or_default());
        }
        if let Some(classes) = self.classes {
            names = classes.iter().map(String::as_str).collect();
        }
        for (label, name) in (0..).zip(&names) {
            numbers.insert(name, label);
        }
        let labels = texts.iter().map(|t| numbers[t]).collect();
        (names.into_iter().map(String::from).collect(), labels)
    }
}

fn listed(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).map(str::trim).filter(|label| !label.is_empty())
}

/// Whether a label holds.
fn mark(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "1" | "1.0" | "true" | "yes" | "y" | "t" => Some(true),
        "0" | "0.0" | "false" | "no" | "n" | "f" => Some(false),
        _ => None,
    }
}

/// Characters without width, which nobody sees.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// A text as a person would compare it: numbers by value, else without regard to case, spaces and characters that nobody sees.
pub(super) fn alike(text: &str) -> String {
    let squeezed: String = text.chars().filter(|&c| !c.is_whitespace() && !is_unseen(c)).flat_map(char::to_lowercase).collect();
    match squeezed.parse::<f64>() {
        // Longer numbers may differ behind the digits of an f64.
        Ok(number) if number.is_finite() && squeezed.len() < 16 => format!("{}", number + 0.0),
        _ => squeezed,
    }
}

/// A name in a message about names that look alike: what nobody sees is written as its code.
pub(super) fn seen(name: &str) -> String {
    let shown = |c: char| if is_unseen(c) || c.is_whitespace() && c != ' ' { c.escape_unicode().to_string() } else { c.into() };
    name.chars().map(shown).collect()
}

/// What to say of groups that look alike.
pub(super) fn alike_groups<'a>(groups: impl Iterator<Item = &'a str>) -> Option<String> {
    let sets = look_alikes(groups.collect::<BTreeSet<_>>().into_iter());
    let sets: Vec<String> = sets.iter().map(|set| set.iter().map(|name| seen(name)).collect::<Vec<_>>().join(" and ")).collect();
    let advice = "a split may tear them apart: write them alike if they are the same";
    (!sets.is_empty()).then(|| format!("groups that look alike: {}; {advice}", some(&sets, 5)))
}

/// Names that are different texts but probably mean the same, together.
pub(super) fn look_alikes<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    let mut by_likeness: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    names.for_each(|name| by_likeness.entry(alike(name)).or_default().push(name));
    // A word for 1 or 0 beside the number.
    for (number, words) in [("1", ["yes", "true"]), ("0", ["no", "false"])] {
        for word in words {
            if by_likeness.contains_key(number)
                && let Some(same) = by_likeness.remove(word)
            {
                by_likeness.entry(number.into()).or_default().extend(same);
            }
        }
    }
    by_likeness.into_values().filter(|same| same.len() > 1).collect()
}

/// Fewer different labels are never taken for a quantity.
const FEW_FRACTIONS: usize = 8;
const FEW_NAMES: usize = 20;

/// Whether labels are numbers of a quantity, few of which come back, rather than classes. Whole numbers without a gap are those of classes where
/// they begin at 0 or 1, and count the samples where each comes once; those that nearly all come again name something, such as persons.
pub(super) fn is_quantity<'a>(texts: impl Iterator<Item = &'a str>) -> bool {
    let (mut samples, mut counts) = (0, BTreeMap::new());
    for text in texts.filter(|text| !NO_VALUE.contains(&text.to_lowercase().as_str())) {
        samples += 1;
        *counts.entry(text).or_insert(0) += 1;
    }
    // A comma may be a decimal one, or stand between thousands: either way it is a number.
    let number = |text: &str| text.replacen(',', ".", 1).replace(',', "").parse::<f64>().ok();
    let Some(mut numbers) = counts.keys().map(|text| number(text)).collect::<Option<Vec<f64>>>() else { return false };
    numbers.retain(|x| x.is_finite());
    let (low, high) = numbers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
    let is_whole = numbers.iter().all(|x| x.fract() == 0.0);
    let is_count = is_whole && high - low + 1.0 == numbers.len() as f64 && (numbers.len() == samples || [0.0, 1.0].contains(&low));
    let few = if is_whole { FEW_NAMES } else { FEW_FRACTIONS };
    let come_once = counts.values().filter(|count| **count == 1).count();
    let come_again = is_whole && 4 * come_once < numbers.len();
    numbers.len() >= few && 3 * numbers.len() > samples && !is_count && !come_again
}

/// Why labels are hardly classes: numbers of a quantity, or a different text for nearly every sample.
pub(super) fn hardly_classes(texts: &[&str]) -> Option<String> {
    let (names, samples) = (Vec::from_iter(texts.iter().collect::<BTreeSet<_>>()), texts.len());
    let ways_out = "list them in classes = [...] of the card if they are classes after all";
    if is_quantity(texts.iter().copied()) {
        return Some(format!(
            "the label looks continuous: {} different numbers in {samples} samples, such as `{}`. To predict a quantity (regression) write \
             task = \"numbers\" and targets = [...] with its column in place of label in the card; {ways_out}",
            names.len(),
            names[0]
        ));
    }
    (names.len() >= FEW_NAMES && 2 * names.len() > samples).then(|| {
        format!(
            "the label has {} different values in {samples} samples, such as `{}`: is it an id? Name the column of the classes; {ways_out}",
            names.len(),
            names[0]
        )
    })
}
