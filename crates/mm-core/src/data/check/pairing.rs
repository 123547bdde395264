//! Whether sensors meet in samples, and whether the class can be told from what should say nothing of it.

use super::findings::{Level, Verdict};
use super::scan::{Scanned, Tally};
use super::subject::Subject;
use crate::data::names::some;
use std::collections::BTreeMap;

/// Names that a verdict shows.
const SHOWN: usize = 8;
/// Values of a variable that are followed: more are no code of classes.
const MOST_CODES: usize = 20;
/// A value must have been seen so often, on average, before it is called a code.
const OFTEN: usize = 5;

/// Verdicts about them.
pub(super) fn verdicts(subject: &Subject, scanned: &Scanned) -> Vec<Verdict> {
    let mut verdicts = strangers(subject, scanned);
    for (m, tally) in scanned.sensors.iter().enumerate() {
        verdicts.extend(classes_without(subject, m, tally));
        verdicts.extend(codes(subject, m, tally));
    }
    verdicts
}

fn warning(about: &str, found: String, advice: &str, places: Vec<String>) -> Verdict {
    Verdict { level: Level::Warning, about: about.into(), found, advice: advice.into(), places }
}

/// Pairs of sensors that no sample has together: their names probably do not match.
fn strangers(subject: &Subject, scanned: &Scanned) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (a, first) in scanned.sensors.iter().enumerate() {
        for (b, second) in scanned.sensors.iter().enumerate().skip(a + 1) {
            let together = first.contents.iter().zip(&second.contents).any(|(x, y)| x.is_some() && y.is_some());
            if together || first.present < 2 || second.present < 2 {
                continue;
            }
            let of = |m: usize, tally: &Tally| {
                let row = tally.contents.iter().position(Option::is_some);
                row.map(|row| format!("{}: {}", subject.sensors[m].name, subject.samples[row].id))
            };
            let places = [of(a, first), of(b, second)].into_iter().flatten().collect();
            let found = format!("no sample has both `{}` and `{}`", subject.sensors[a].name, subject.sensors[b].name);
            let advice = match subject.has_table() {
                true => "readings of one sample stand in one row: put them there, or nothing can be learnt of both together",
                false => {
                    "files of one sample have one name, in folders of one name: call them alike, or nothing can be learnt of both together"
                }
            };
            verdicts.push(warning("sensors", found, advice, places));
        }
    }
    verdicts
}

/// Classes of which a sensor has no reading: they may be called otherwise there.
fn classes_without(subject: &Subject, m: usize, tally: &Tally) -> Option<Verdict> {
    let mut counts: BTreeMap<&String, [usize; 2]> = BTreeMap::new();
    for (row, sample) in subject.samples.iter().enumerate() {
        if let Some(label) = &sample.label {
            let entry = counts.entry(label).or_default();
            entry[0] += 1;
            entry[1] += usize::from(tally.contents.get(row).is_some_and(Option::is_some));
        }
    }
    let without: Vec<&str> = counts.iter().filter(|(_, [all, here])| *all > 1 && *here == 0).map(|(name, _)| name.as_str()).collect();
    if without.is_empty() || without.len() == counts.len() {
        return None;
    }
    let found = format!("no reading in the class{} {}", if without.len() == 1 { "" } else { "es" }, some(&without, SHOWN));
    let advice = "is the class called otherwise there? As it is, the class can be told by whether this sensor is there";
    Some(warning(&subject.sensors[m].name, found, advice, Vec::new()))
}

/// Variables of few values, each of which has one class: the label in other words.
fn codes(subject: &Subject, m: usize, tally: &Tally) -> Option<Verdict> {
    let sensor = &subject.sensors[m];
    let is_code = |codes: &Codes| codes.values.as_ref().is_some_and(|values| values.len() > 1 && tally.present >= OFTEN * values.len());
    let name = |v: usize| sensor.variables.get(v).cloned().unwrap_or_else(|| format!("number {}", v + 1));
    let found: Vec<String> = tally.codes.iter().enumerate().filter(|(_, codes)| is_code(codes)).map(|(v, _)| name(v)).collect();
    let count = found.len();
    (count > 0).then(|| {
        let text = format!(
            "{} the class of every sample: {}",
            if count == 1 { "1 variable tells" } else { "some variables tell" },
            some(&found, SHOWN)
        );
        warning(&sensor.name, text, "is it the label in other words? Take it out, unless it is known before the class is", Vec::new())
    })
}

/// The class of each value of a variable, as long as each has one.
pub(super) struct Codes {
    values: Option<BTreeMap<u64, String>>,
}

impl Default for Codes {
    fn default() -> Self {
        Self { values: Some(BTreeMap::new()) }
    }
}

impl Codes {
    /// A further value.
    pub fn add(&mut self, value: f64, class: &str) {
        let Some(values) = &mut self.values else { return };
        // Zeros of both signs are the same number.
        let known = values.entry((value + 0.0).to_bits()).or_insert_with(|| class.into());
        if known != class || values.len() > MOST_CODES {
            self.values = None;
        }
    }
}
