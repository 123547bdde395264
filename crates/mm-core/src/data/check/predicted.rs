//! Labels and numbers that are to be predicted: how often each holds, how each is spread, and what cannot be learnt.

use super::findings::{Counted, Level, Verdict};
use super::subject::Subject;
use super::verdicts::verdict;
use crate::data::far_values::FarValues;
use crate::data::names::some;
use crate::data::{Source, Target, TargetValue};
use serde::Serialize;

/// A number further from the mean than so many standard deviations is told.
const FAR: f64 = 8.0;
/// Names and places that a verdict lists.
const NAMED: usize = 8;

/// What is to be predicted, where that is no class.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Predicted {
    /// For how many samples each label holds.
    Labels(Vec<Counted>),
    /// How each number is spread.
    Numbers(Vec<Spread>),
}

/// How a number is spread over all samples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// Its name.
    pub name: String,
    /// Mean over the samples.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
    /// The lowest.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
}

/// The targets of a source whose target is labels or numbers, by row.
pub(super) type Targets = (Target, Vec<TargetValue>);

/// Those of a source; nothing where the target is another.
pub(super) fn targets(source: &dyn Source) -> Option<Targets> {
    let target = &source.schema().target;
    let values = || (0..source.len()).map(|row| source.target(row)).collect::<crate::Result<Vec<_>>>().ok();
    matches!(target, Target::Labels(_) | Target::Numbers(_)).then(values)?.map(|values| (target.clone(), values))
}

/// What a subject's samples are to be predicted by.
pub(super) fn predicted(subject: &Subject) -> Option<Predicted> {
    let (target, values) = subject.targets.as_ref()?;
    let parts = subject.parts();
    let names = target.output_names().iter().enumerate();
    Some(match target {
        Target::Labels(_) => Predicted::Labels(
            names
                .map(|(k, name)| {
                    let mut samples = vec![0; parts.len()];
                    let held = values.iter().enumerate().filter(|(_, value)| matches!(value, TargetValue::Labels(held) if held[k]));
                    held.for_each(|(row, _)| samples[subject.part_of(row, &parts)] += 1);
                    Counted { name: name.clone(), samples }
                })
                .collect(),
        ),
        _ => Predicted::Numbers(names.map(|(k, name)| spread(name, &numbers(values, k))).collect()),
    })
}

/// All values of a number, by row.
fn numbers(values: &[TargetValue], k: usize) -> Vec<f64> {
    values.iter().filter_map(|value| if let TargetValue::Numbers(numbers) = value { numbers.get(k).copied() } else { None }).collect()
}

fn spread(name: &str, values: &[f64]) -> Spread {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    Spread {
        name: name.into(),
        mean,
        std: (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt(),
        lowest: values.iter().copied().fold(f64::INFINITY, f64::min),
        highest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

/// What cannot be learnt, and what is easily wrong.
pub(super) fn verdicts(subject: &Subject) -> Vec<Verdict> {
    let mut found = Vec::new();
    match predicted(subject) {
        Some(Predicted::Labels(labels)) => of_labels(subject, &labels, &mut found),
        Some(Predicted::Numbers(numbers)) => of_numbers(subject, &numbers, &mut found),
        None => {}
    }
    found
}

fn of_labels(subject: &Subject, labels: &[Counted], found: &mut Vec<Verdict>) {
    let parts = subject.parts();
    let mut tell = |level, what: &str, names: Vec<&str>, advice: &str| {
        if !names.is_empty() {
            found.push(verdict(level, "labels", format!("{what}: {}", some(&names, NAMED)), advice, Vec::new()));
        }
    };
    let named =
        |holds: &dyn Fn(&Counted) -> bool| labels.iter().filter(|label| holds(label)).map(|label| label.name.as_str()).collect::<Vec<_>>();
    let total = |label: &Counted| label.samples.iter().sum::<usize>();
    let never = "a label that never holds or always does is nothing to tell apart: take its column out of `targets`";
    tell(Level::Error, "labels that hold for no sample", named(&|label| total(label) == 0), never);
    tell(Level::Error, "labels that hold for every sample", named(&|label| total(label) == subject.samples.len()), never);
    if let Some(train) = parts.iter().position(|part| part == "train") {
        let untaught = named(&|label| label.samples[train] == 0 && total(label) > 0);
        tell(
            Level::Error,
            "labels that hold for no training sample",
            untaught,
            "no model can learn them: add training samples, or take them out",
        );
    }
    let rare = named(&|label| total(label) > 0 && 20 * total(label) < subject.samples.len());
    let advice = "read `auroc` or `map`, not the share of right labels; class_weights = \"balanced\" in [train] makes them count more";
    tell(Level::Remark, "labels that hold for less than a twentieth of the samples", rare, advice);
}

fn of_numbers(subject: &Subject, numbers_found: &[Spread], found: &mut Vec<Verdict>) {
    let Some((_, values)) = &subject.targets else { return };
    for (k, number) in numbers_found.iter().enumerate() {
        if number.lowest == number.highest {
            let what = format!("`{}` is {} in every sample", number.name, number.lowest);
            found.push(verdict(Level::Error, "numbers", what, "there is nothing to predict: is this the right column?", Vec::new()));
            continue;
        }
        let mut ends = FarValues::default();
        numbers(values, k).into_iter().for_each(|value| ends.add(value));
        if let Some(what) = FarValues::in_words([(number.name.clone(), &ends)].into_iter()) {
            let advice = "is it a code for no value? Then name it in `missing` of the card, with missing_label = \"drop\"";
            found.push(verdict(Level::Warning, "numbers", what, advice, Vec::new()));
        }
        let far = |x: &f64| (x - number.mean).abs() > FAR * number.std;
        let places: Vec<String> = numbers(values, k)
            .iter()
            .enumerate()
            .filter(|(_, x)| far(x))
            .map(|(row, x)| format!("{x} of sample `{}`", subject.samples[row].id))
            .collect();
        if !places.is_empty() {
            let what = format!("{} values of `{}` are more than {FAR} standard deviations from the mean", places.len(), number.name);
            let advice = "are they right? If so, `huber = 1` in [train] keeps them from leading the training";
            found.push(verdict(Level::Warning, "numbers", what, advice, places));
        }
    }
}
