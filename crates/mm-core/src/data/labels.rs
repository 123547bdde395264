//! Labels as text: which texts are classes, which say that there is no label, and which look like a mistake.

use super::names::suggestion;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

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
}

impl Labels<'_> {
    /// The class that a cell names; `None` if it names none and that is to be left out.
    pub fn read<'t>(&self, text: &'t str) -> Result<Option<&'t str>, String> {
        if self.classes.is_some_and(|classes| classes.iter().any(|class| class == text)) {
            return Ok(Some(text));
        }
        let empty = text.is_empty();
        if empty || NO_VALUE.contains(&text.to_lowercase().as_str()) {
            let drop = "write missing_label = \"drop\" in the card to leave such samples out";
            return match self.missing {
                Unusable::Drop => Ok(None),
                Unusable::Error if empty => Err(format!("the label is empty; every sample needs one, or {drop}")),
                Unusable::Error => {
                    Err(format!("`{text}` says that there is no label; {drop}, or list it in classes = [...] if it is a class"))
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

/// A text as a person would compare it: numbers by value, else without regard to case and spaces.
pub(super) fn alike(text: &str) -> String {
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    match squeezed.parse::<f64>() {
        Ok(number) if number.is_finite() => format!("{}", number + 0.0),
        _ => squeezed,
    }
}

/// Names that are different texts but probably mean the same, together.
pub(super) fn look_alikes<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    let mut by_likeness: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    names.for_each(|name| by_likeness.entry(alike(name)).or_default().push(name));
    by_likeness.into_values().filter(|same| same.len() > 1).collect()
}

/// Fewer different labels are never taken for a quantity.
const FEW_FRACTIONS: usize = 8;
const FEW_NAMES: usize = 20;

/// Why labels are hardly classes: numbers of a quantity, or a different text for nearly every sample.
pub(super) fn hardly_classes(names: &[String], samples: usize) -> Option<String> {
    let numbers: Option<Vec<f64>> = names.iter().map(|n| n.parse().ok()).collect();
    let fractions = numbers.is_some_and(|numbers| numbers.iter().any(|n| n.fract() != 0.0));
    let ways_out = "list them in classes = [...] of the card if they are classes after all";
    if fractions && names.len() >= FEW_FRACTIONS && 3 * names.len() > samples {
        return Some(format!(
            "the label looks continuous: {} different numbers in {samples} samples, such as `{}`. Predicting a quantity (regression) is not \
             possible yet: make a column of classes from it (such as low, middle, high) and name that as the label; {ways_out}",
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
