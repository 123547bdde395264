//! Samples as a table or folders list them, with all that is wrong about the list: a reader stops at the first problem, a check names
//! them all.

use super::kinds::Origin;
use super::labels::{alike_groups, look_alikes, seen};
use super::names::some;
use super::split::{Part, torn};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// What a data set of files lists.
#[derive(Default)]
pub(super) struct Listing {
    pub samples: Vec<Listed>,
    /// In the order in which a reader meets them.
    pub problems: Vec<Problem>,
    /// What to know about the data.
    pub remarks: Vec<String>,
    /// Rows of the table, or files; samples may be fewer.
    pub rows: usize,
}

/// A sample that is listed.
pub(super) struct Listed {
    pub id: String,
    /// Where it is listed: a line of a table, where there is one.
    pub line: Option<usize>,
    /// `None` where the label is one of the problems.
    pub label: Option<String>,
    /// The text of each label or number that is to be predicted, or the one list of labels; nothing where a class is.
    pub values: Vec<String>,
    /// Where its classes are, where each pixel has one.
    pub map: Option<Origin>,
    pub part: Option<Part>,
    pub group: Option<String>,
    /// In the loss.
    pub weight: f32,
    /// By modality; `None` where the sensor gave nothing, or what it gave is one of the problems.
    pub origins: Vec<Option<Origin>>,
}

/// Something that a reader refuses.
pub(super) struct Problem {
    pub error: Error,
    /// The sensor whose reading it is about, and the sample, where it is about one.
    pub of: Option<(usize, String)>,
}

impl Problem {
    /// About the list, not about a reading.
    pub fn new(error: Error) -> Self {
        Self { error, of: None }
    }

    /// About a reading.
    pub fn of(sensor: usize, sample: &str, error: Error) -> Self {
        Self { error, of: Some((sensor, sample.into())) }
    }
}

impl Listing {
    /// The first problem as an error.
    pub fn refuse(&mut self) -> Result<()> {
        match self.problems.is_empty() {
            true => Ok(()),
            false => Err(self.problems.swap_remove(0).error),
        }
    }

    /// Takes what is wrong about single readings for absent readings, and says so; samples that have nothing else are left out.
    pub fn forgive(&mut self, place: &Path) {
        let before = self.problems.len();
        let first = self.problems.iter().find(|problem| problem.of.is_some()).map(|problem| problem.error.to_string());
        self.problems.retain(|problem| problem.of.is_none());
        if let Some(first) = first {
            let count = before - self.problems.len();
            self.remarks.push(format!("{}: {count} readings cannot be used and count as absent, the first: {first}", place.display()));
            let listed = self.samples.len();
            self.samples.retain(|sample| sample.origins.iter().any(Option::is_some));
            let left_out = listed - self.samples.len();
            if left_out > 0 {
                self.remarks.push(format!("{}: {left_out} samples have no other reading and are left out", place.display()));
            }
        }
    }

    /// Remarks on classes (or labels: `what`) and groups that look alike; `place` is where they stand.
    pub fn remark_look_alikes(&mut self, what: &str, classes: &[String], place: &str) {
        for alike in look_alikes(classes.iter().map(String::as_str)) {
            let alike: Vec<String> = alike.into_iter().map(seen).collect();
            self.remarks.push(format!("{place}: {what} that look alike: {}; write them alike if they are the same", alike.join(", ")));
        }
        let groups = self.samples.iter().filter_map(|sample| sample.group.as_deref());
        self.remarks.extend(alike_groups(groups).map(|alike| format!("{place}: {alike}")));
    }

    /// Ids that several samples have, as problems: an id is one sample. `error` words it for a sample, and the first of its id.
    pub fn refuse_equal_ids(&mut self, error: impl Fn(&Listed, &Listed) -> Error) {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (at, sample) in self.samples.iter().enumerate() {
            match first.get(sample.id.as_str()) {
                Some(&other) => self.problems.push(Problem::new(error(sample, &self.samples[other]))),
                None => drop(first.insert(&sample.id, at)),
            }
        }
    }

    /// Remarks on a group in two parts: who publishes parts may have meant it so.
    pub fn remark_torn_group(&mut self, place: &Path, hint: &str) {
        let mut first: HashMap<&str, (Part, &Listed)> = HashMap::new();
        for sample in &self.samples {
            let (Some(group), Some(part)) = (sample.group.as_deref(), sample.part) else { continue };
            let (known, of) = *first.entry(group).or_insert((part, sample));
            if known != part {
                let at = |sample: &Listed| format!("{}{}", place.display(), sample.line.map_or(String::new(), |line| format!(":{line}")));
                let remark = format!("{}: {}{hint}", at(sample), torn(group, part, known, &at(of)));
                return self.remarks.push(remark);
            }
        }
    }

    /// Names of one class that differ in case only are told: on another system they may be one file, and sensors do not find each other.
    pub fn remark_cases(&mut self, place: &str) {
        let mut names: HashMap<String, Vec<&str>> = HashMap::new();
        self.samples.iter().for_each(|sample| names.entry(sample.id.to_lowercase()).or_default().push(&sample.id));
        let mut pairs: Vec<String> =
            names.into_values().filter(|names| names.len() > 1 && names.iter().any(|n| *n != names[0])).map(|n| n.join(" and ")).collect();
        if !pairs.is_empty() {
            pairs.sort();
            let problem = "names that differ in upper and lower case only are different samples, whose sensors do not find each other";
            self.remarks.push(format!("{place}: {problem}: {}", some(&pairs, 5)));
        }
    }
}
