//! Whether the class can be told from what should say nothing of it, or from one number alone.

use super::findings::{Level, Verdict};
use super::scan::{Scanned, Tally};
use super::subject::Subject;
use super::verdicts::verdict;
use crate::data::names::some;
use std::collections::BTreeMap;

/// Names that a verdict shows.
const SHOWN: usize = 8;
/// Values of a variable that are followed: more are no code of classes.
const MOST_CODES: usize = 20;
/// A value must have been seen so often, on average, before it is called a code.
const OFTEN: usize = 5;
/// Of fewer samples of a class, or outside of it, shares say little.
const FEWEST: usize = 20;
/// Shares of samples that have a sensor, in a class and outside, that differ by so much tell the class.
const APART: f64 = 0.8;
/// Numbers of a variable that are kept.
const KEPT: usize = 2000;
/// A threshold that is right about so many samples is told, where the share of the larger side is below [`MOST_COMMON`].
const NEARLY_ALL: f64 = 0.98;
const MOST_COMMON: f64 = 0.95;

/// Verdicts about it.
pub(super) fn verdicts(subject: &Subject, scanned: &Scanned) -> Vec<Verdict> {
    let sensors = scanned.sensors.iter().enumerate();
    let of = |(m, tally)| [absences(subject, m, tally), codes(subject, m, tally), thresholds(subject, m, tally)];
    sensors.flat_map(of).flatten().collect()
}

/// Classes of which a sensor has no reading, which may be called otherwise there, or hardly one, or of which it has one where others have not.
fn absences(subject: &Subject, m: usize, tally: &Tally) -> Option<Verdict> {
    let mut counts: BTreeMap<&String, [usize; 2]> = BTreeMap::new();
    for (row, sample) in subject.samples.iter().enumerate() {
        if let Some(label) = &sample.label {
            let entry = counts.entry(label).or_default();
            entry[0] += 1;
            entry[1] += usize::from(tally.contents.get(row).is_some_and(Option::is_some));
        }
    }
    let told = |found, advice| Some(verdict(Level::Warning, &subject.sensors[m].name, found, advice, Vec::new()));
    let without: Vec<&str> = counts.iter().filter(|(_, [all, here])| *all > 1 && *here == 0).map(|(name, _)| name.as_str()).collect();
    if !without.is_empty() && without.len() < counts.len() {
        let found = format!("no reading in the class{} {}", if without.len() == 1 { "" } else { "es" }, some(&without, SHOWN));
        return told(found, "is the class called otherwise there? As it is, the class can be told by whether this sensor is there");
    }
    let total = counts.values().fold([0; 2], |sum, count| [sum[0] + count[0], sum[1] + count[1]]);
    let share = |[all, here]: [usize; 2]| here as f64 / all.max(1) as f64;
    let apart = counts.iter().filter_map(|(name, &[all, here])| {
        let others = [total[0] - all, total[1] - here];
        let [inside, outside] = [share([all, here]), share(others)];
        let enough = all >= FEWEST && others[0] >= FEWEST;
        (enough && (inside - outside).abs() >= APART).then(|| (name, (inside - outside).abs(), [inside, outside].map(|x| 100.0 * x)))
    });
    let (name, _, [inside, outside]) = apart.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let found = format!("{inside:.0} % of the samples of the class `{name}` have a reading, and {outside:.0} % of the others");
    told(found, "a model learns the class from whether this sensor is there: will that be so where it is used?")
}

/// Variables of few values, each of which has one class: the label in other words.
fn codes(subject: &Subject, m: usize, tally: &Tally) -> Option<Verdict> {
    let sensor = &subject.sensors[m];
    let found: Vec<String> =
        tally.codes.iter().enumerate().filter(|(_, codes)| codes.is_code(tally.present)).map(|(v, _)| sensor.variable(v)).collect();
    let count = found.len();
    (count > 0).then(|| {
        let text = format!(
            "{} the class of every sample: {}",
            if count == 1 { "1 variable tells" } else { "some variables tell" },
            some(&found, SHOWN)
        );
        let advice = "is it the label in other words? Take it out, unless it is known before the class is";
        verdict(Level::Warning, &sensor.name, text, advice, Vec::new())
    })
}

/// Variables of which a threshold tells a class from all others, nearly always.
fn thresholds(subject: &Subject, m: usize, tally: &Tally) -> Option<Verdict> {
    let sensor = &subject.sensors[m];
    let numbers = tally.kept.iter().zip(&tally.codes).enumerate().filter(|(_, (_, codes))| !codes.is_code(tally.present));
    let found: Vec<String> =
        numbers.filter_map(|(v, (kept, _))| Some(format!("{} (`{}`)", sensor.variable(v), told(subject, kept)?))).collect();
    (!found.is_empty()).then(|| {
        let text =
            format!("a threshold of one variable tells a class in {} % of samples or more: {}", 100.0 * NEARLY_ALL, some(&found, SHOWN));
        let advice = "good sensors may; is it known before the class is? If not, take it out";
        verdict(Level::Remark, &sensor.name, text, advice, Vec::new())
    })
}

/// A class that a threshold of some numbers, each with its row, tells from the others.
fn told<'a>(subject: &'a Subject, kept: &[(f64, usize)]) -> Option<&'a str> {
    let class = |row: usize| subject.samples[row].label.as_deref();
    let mut sorted: Vec<(f64, &str)> = kept.iter().filter_map(|&(value, row)| Some((value, class(row)?))).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    sorted.iter().for_each(|(_, class)| *counts.entry(class).or_default() += 1);
    let all = sorted.len();
    let enough = |count: usize| count >= FEWEST && all - count >= FEWEST && (count.max(all - count) as f64) < MOST_COMMON * all as f64;
    counts.into_iter().filter(|(_, count)| enough(*count)).find_map(|(class, count)| {
        let (mut below, mut most) = (0, 0);
        for (k, pair) in sorted.windows(2).enumerate() {
            below += usize::from(pair[0].1 == class);
            if pair[0].0 < pair[1].0 {
                // Right where all of the class lie below the threshold and all others above, or the reverse.
                let right = below + (all - (k + 1)) - (count - below);
                most = most.max(right).max(all - right);
            }
        }
        (most as f64 >= NEARLY_ALL * all as f64).then_some(class)
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
    /// Whether each of a few values, in so many readings, has one class.
    fn is_code(&self, readings: usize) -> bool {
        self.values.as_ref().is_some_and(|values| values.len() > 1 && readings >= OFTEN * values.len())
    }

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

/// Whether the numbers of a row are kept, of so many rows.
pub(super) fn is_kept(row: usize, rows: usize) -> bool {
    row.is_multiple_of(rows.div_ceil(KEPT).max(1))
}
