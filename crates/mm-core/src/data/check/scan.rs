//! Reading everything once: on all threads, and keeping of each reading only what the findings need.

use super::alike::Signature;
use super::far::Sizes;
use super::findings::{Example, Form, Lengths, Shown, Unreadable};
use super::label_map::MapTally;
use super::leaks::{Codes, is_kept};
use super::look::{Flaw, Look};
use super::subject::Subject;
use crate::error::Result;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};

/// Readings of a sensor that are more different than this are counted together.
pub(super) const MOST_FORMS: usize = 1000;
/// Samples that are read at once, for each thread.
const AT_ONCE: usize = 32;
/// Examples of each class, and of all.
const OF_A_CLASS: usize = 2;
const MOST_EXAMPLES: usize = 24;
/// Examples where each pixel has a class.
const OF_PIXELS: usize = 12;

/// What was found in all readings.
pub(super) struct Scanned {
    /// By sensor.
    pub sensors: Vec<Tally>,
    /// Of the label maps, where each pixel has a class.
    pub maps: Option<MapTally>,
    pub examples: Vec<Example>,
}

/// What was found in the readings of one sensor.
#[derive(Default)]
pub(super) struct Tally {
    pub present: usize,
    /// Samples with a reading that cannot be read.
    pub unread: usize,
    pub unreadable: Vec<Unreadable>,
    forms: BTreeMap<&'static str, BTreeMap<String, Seen>>,
    /// The names that columns have in files, in their order, where files are read by it.
    headers: BTreeMap<Vec<String>, Seen>,
    /// Height and width of images, and how often they occur.
    pub image_sizes: BTreeMap<[usize; 2], usize>,
    unit: Option<&'static str>,
    lengths: Vec<f32>,
    /// By flaw, the rows that have it.
    pub flaws: BTreeMap<Flaw, Vec<usize>>,
    /// By row, what tells contents apart; `None` where there is no reading.
    pub contents: Vec<Option<u64>>,
    /// Rows whose reading says nothing: equal ones are no twins.
    pub dead: HashSet<usize>,
    pub signatures: Vec<(usize, Signature)>,
    /// By channel of series, in how many readings it rises as a time does.
    pub rising: Vec<usize>,
    /// How large the numbers of each variable are.
    pub sizes: Vec<Sizes>,
    /// What values of each variable tell of the class.
    pub codes: Vec<Codes>,
    /// Some numbers of each variable, each with its row.
    pub kept: Vec<Vec<(f64, usize)>>,
    /// Smallest and largest value of each variable.
    pub ranges: Vec<(f64, f64)>,
}

/// A form that readings have.
struct Seen {
    count: usize,
    /// The first row that has it.
    first: usize,
}

/// Reads everything.
pub(super) fn scan(subject: &Subject, progress: super::Progress) -> Scanned {
    let (samples, sensors) = (subject.samples.len(), subject.sensors.len());
    let chosen = examples(subject);
    let mut tallies: Vec<Tally> = (0..sensors).map(|_| Tally { contents: vec![None; samples], ..Tally::default() }).collect();
    for problem in &subject.problems {
        if let Some((sensor, sample)) = &problem.of {
            let (place, problem) = (String::new(), problem.error.to_string());
            tallies[*sensor].unread += 1;
            tallies[*sensor].unreadable.push(Unreadable { sample: sample.clone(), place, problem });
        }
    }
    let parts = subject.parts();
    let mut maps = subject.maps.as_ref().map(|maps| MapTally::new(maps, parts.len()));
    let mut shown = Vec::new();
    let step = AT_ONCE * rayon::current_num_threads();
    for start in (0..samples).step_by(step) {
        let rows = start..(start + step).min(samples);
        let look = |row: usize| {
            let picture = chosen.contains(&row);
            let looks: Vec<Option<Result<Look>>> = (0..sensors).map(|sensor| subject.look(row, sensor, picture)).collect();
            (looks, subject.look_at_map(row, picture))
        };
        let looks: Vec<_> = rows.clone().into_par_iter().map(look).collect();
        for (row, (mut looks, mut map)) in rows.clone().zip(looks) {
            if chosen.contains(&row) {
                let shown_map = map.as_mut().and_then(|map| Some(map.as_mut().ok()?.shown()));
                shown.push(Example { map: shown_map, ..example(subject, row, &mut looks) });
            }
            if let (Some(maps), Some(map)) = (&mut maps, map) {
                maps.add(subject, row, subject.part_of(row, &parts), map, &looks);
            }
            for (sensor, look) in looks.into_iter().enumerate() {
                match look {
                    None => {}
                    Some(Ok(look)) => tallies[sensor].add(row, subject.samples[row].label.as_deref(), look),
                    Some(Err(error)) => {
                        let (sample, place) = (subject.samples[row].id.clone(), subject.listed_at(row, sensor));
                        tallies[sensor].unread += 1;
                        tallies[sensor].unreadable.push(Unreadable { sample, place, problem: error.to_string() });
                    }
                }
            }
        }
        progress(rows.end, samples);
    }
    Scanned { sensors: tallies, maps, examples: shown }
}

impl Tally {
    fn add(&mut self, row: usize, class: Option<&str>, look: Look) {
        self.present += 1;
        self.contents[row] = Some(look.content);
        for (what, value) in look.form {
            let seen = self.forms.entry(what).or_default();
            let value = if seen.len() < MOST_FORMS || seen.contains_key(&value) { value } else { "others".into() };
            seen.entry(value).or_insert(Seen { count: 0, first: row }).count += 1;
        }
        if let Some(names) = look.names.filter(|names| self.headers.len() < MOST_FORMS || self.headers.contains_key(names)) {
            self.headers.entry(names).or_insert(Seen { count: 0, first: row }).count += 1;
        }
        if let Some(size) = look.size {
            *self.image_sizes.entry(size).or_default() += 1;
        }
        if let Some((length, unit)) = look.length {
            self.unit = Some(unit);
            self.lengths.push(length as f32);
        }
        for flaw in look.flaws {
            if flaw.is_dead() {
                self.dead.insert(row);
            }
            self.flaws.entry(flaw).or_default().push(row);
        }
        self.signatures.extend(look.signature.map(|signature| (row, signature)));
        self.rising.resize(self.rising.len().max(look.rising.len()), 0);
        self.rising.iter_mut().zip(look.rising).for_each(|(count, rises)| *count += usize::from(rises));
        if let Some(values) = look.values {
            self.ranges.resize(values.len(), (f64::INFINITY, f64::NEG_INFINITY));
            self.sizes.resize_with(values.len(), Sizes::default);
            self.sizes.iter_mut().zip(&values).for_each(|(sizes, x)| sizes.add(*x, row));
            self.codes.resize_with(values.len(), Codes::default);
            if let Some(class) = class {
                self.codes.iter_mut().zip(&values).for_each(|(codes, x)| codes.add(*x, class));
            }
            if is_kept(row, self.contents.len()) {
                self.kept.resize_with(values.len(), Vec::new);
                self.kept.iter_mut().zip(&values).for_each(|(kept, x)| kept.push((*x, row)));
            }
            self.ranges.iter_mut().zip(values).for_each(|((low, high), x)| (*low, *high) = (low.min(x), high.max(x)));
        }
    }

    /// What forms there are, most frequent first.
    pub fn forms(&self) -> Vec<Form> {
        let form = |(what, seen): (&&'static str, &BTreeMap<String, Seen>)| {
            let mut values: Vec<(String, usize)> = seen.iter().map(|(value, seen)| (value.clone(), seen.count)).collect();
            values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            Form { what, values }
        };
        self.forms.iter().map(form).collect()
    }

    /// The first row of a form.
    pub fn first_of(&self, what: &str, value: &str) -> Option<usize> {
        Some(self.forms.get(what)?.get(value)?.first)
    }

    /// What names of columns there are, each with how often and the first row, most frequent first.
    pub fn headers(&self) -> Vec<(&[String], usize, usize)> {
        let mut headers: Vec<_> = self.headers.iter().map(|(names, seen)| (names.as_slice(), seen.count, seen.first)).collect();
        headers.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
        headers
    }

    /// How long readings are.
    pub fn lengths(&self) -> Option<Lengths> {
        let mut sorted = self.lengths.clone();
        sorted.sort_by(f32::total_cmp);
        let at = |place: usize| f64::from(sorted[place]);
        self.unit.filter(|_| !sorted.is_empty()).map(|unit| Lengths {
            least: at(0),
            median: at(sorted.len() / 2),
            most: at(sorted.len() - 1),
            unit,
        })
    }
}

/// Rows to look at: some of each class, those with most sensors first.
fn examples(subject: &Subject) -> HashSet<usize> {
    let readings = |row: usize| subject.samples[row].origins.iter().flatten().count();
    let mut chosen = Vec::new();
    if subject.maps.is_some() {
        // Of any class: spread over all samples.
        let rows: Vec<usize> = (0..subject.samples.len()).filter(|&row| subject.samples[row].map.is_some()).collect();
        return rows.iter().step_by(rows.len().div_ceil(OF_PIXELS).max(1)).copied().collect();
    }
    for class in subject.classes() {
        let mut rows: Vec<usize> = (0..subject.samples.len()).filter(|&r| subject.samples[r].label.as_ref() == Some(&class)).collect();
        rows.sort_by_key(|&row| std::cmp::Reverse(readings(row)));
        chosen.extend(rows.into_iter().take(OF_A_CLASS));
        if chosen.len() >= MOST_EXAMPLES {
            break;
        }
    }
    chosen.into_iter().collect()
}

fn example(subject: &Subject, row: usize, looks: &mut [Option<Result<Look>>]) -> Example {
    let sample = &subject.samples[row];
    let shown = |look: &mut Option<Result<Look>>| {
        let Some(Ok(look)) = look else { return None };
        let first = |values: &Vec<f64>| {
            let first: Vec<String> = values.iter().take(6).map(|x| format!("{x}")).collect();
            format!("{}{}", first.join(", "), if values.len() > 6 { ", …" } else { "" })
        };
        let text = look.text.clone().or_else(|| look.values.as_ref().map(first));
        let length = look.length.map(|(length, unit)| format!("{} {unit}", (length * 100.0).round() / 100.0));
        let form = look.form.iter().filter(|(what, _)| *what != "format").map(|(_, value)| value.clone()).chain(length);
        Some(Shown { picture: look.picture.take(), text, form: form.collect::<Vec<_>>().join(", ") })
    };
    Example {
        sample: sample.id.clone(),
        part: sample.part.map(|part| part.to_string()),
        label: sample.label.clone(),
        readings: looks.iter_mut().map(shown).collect(),
        map: None,
    }
}
