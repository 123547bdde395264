//! Samples and readings that are there more than once.

use super::alike::{Pair, Signature, pairs};
use super::findings::{Member, Twins};
use super::scan::Scanned;
use super::subject::Subject;
use crate::data::Part;
use crate::data::kinds::Origin;
use std::collections::{BTreeSet, HashMap, HashSet};
use twox_hash::XxHash3_64;

/// Sets of twins that are shown, and members of each.
const SHOWN: usize = 12;
const MEMBERS: usize = 4;

/// All twins.
pub(super) struct Found {
    pub sets: Vec<Set>,
    /// The worst of them, with pictures.
    pub shown: Vec<Twins>,
}

/// Rows that are the same.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub what: What,
    pub rows: Vec<usize>,
    /// Whether they lie in several parts.
    pub across: bool,
    /// Whether their labels differ.
    pub labels: bool,
}

/// In what they are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// All readings of the samples.
    Samples,
    /// The readings of a sensor.
    Readings(usize),
    /// The readings of a sensor are one file.
    File(usize),
    /// The images of a sensor look alike.
    Alike(usize),
}

/// Finds them.
pub(super) fn find(subject: &Subject, scanned: &Scanned) -> Found {
    let mut sets = samples(subject, scanned);
    let told: HashSet<Vec<usize>> = sets.iter().map(|set| set.rows.clone()).collect();
    for sensor in 0..subject.sensors.len() {
        let of_sensor = readings(subject, scanned, sensor);
        sets.extend(of_sensor.into_iter().filter(|set| matches!(set.what, What::File(_)) || !told.contains(&set.rows)));
        sets.extend(alike(subject, scanned, sensor));
    }
    // What leaks from one part to another first, then what contradicts itself.
    let mut order: Vec<&Set> = sets.iter().collect();
    order.sort_by_key(|set| (!set.across, !set.labels, set.what));
    let mut counts = [0; 4];
    let mut is_shown = |set: &&Set| {
        let count = &mut counts[set.what.family()];
        *count += 1;
        *count <= SHOWN
    };
    let shown = order.into_iter().filter(|set| is_shown(set)).map(|set| show(subject, set)).collect();
    Found { sets, shown }
}

impl What {
    /// Which of the four it is.
    fn family(self) -> usize {
        match self {
            Self::Samples => 0,
            Self::Readings(_) => 1,
            Self::File(_) => 2,
            Self::Alike(_) => 3,
        }
    }
}

/// Samples of which all readings are the same, and one at least says something.
fn samples(subject: &Subject, scanned: &Scanned) -> Vec<Set> {
    let mut rows: HashMap<u64, Vec<usize>> = HashMap::new();
    for row in 0..subject.samples.len() {
        let contents: Vec<u64> = scanned.sensors.iter().map(|tally| tally.contents[row].map_or(0, |content| content | 1)).collect();
        let says = scanned.sensors.iter().any(|tally| tally.contents[row].is_some() && !tally.dead.contains(&row));
        let complete = scanned
            .sensors
            .iter()
            .enumerate()
            .all(|(m, tally)| tally.contents[row].is_some() || subject.samples[row].origins.get(m).is_none_or(Option::is_none));
        if says && complete {
            rows.entry(XxHash3_64::oneshot(bytemuck::cast_slice(&contents))).or_default().push(row);
        }
    }
    several(subject, rows, |_| What::Samples)
}

/// Files of a sensor that hold the same, or that several rows name.
fn readings(subject: &Subject, scanned: &Scanned, sensor: usize) -> Vec<Set> {
    let tally = &scanned.sensors[sensor];
    let mut rows: HashMap<u64, Vec<usize>> = HashMap::new();
    let file = |row: usize| subject.samples[row].origins.get(sensor).and_then(Option::as_ref);
    for row in (0..subject.samples.len()).filter(|row| !tally.dead.contains(row)) {
        if let (Some(content), Some(Origin::File { .. })) = (tally.contents[row], file(row)) {
            rows.entry(content).or_default().push(row);
        }
    }
    several(subject, rows, |rows| match rows.iter().all(|&row| file(row) == file(rows[0])) {
        true => What::File(sensor),
        false => What::Readings(sensor),
    })
}

fn several(subject: &Subject, rows: HashMap<u64, Vec<usize>>, what: impl Fn(&[usize]) -> What) -> Vec<Set> {
    let mut sets: Vec<Set> = rows.into_values().filter(|rows| rows.len() > 1).map(|rows| set(subject, what(&rows), rows)).collect();
    sets.sort_by_key(|set| set.rows[0]);
    sets
}

fn set(subject: &Subject, what: What, rows: Vec<usize>) -> Set {
    let parts: BTreeSet<Option<Part>> = rows.iter().map(|&row| subject.samples[row].part).collect();
    let labels: BTreeSet<Option<&String>> = rows.iter().map(|&row| subject.samples[row].label.as_ref()).collect();
    Set { what, across: parts.len() > 1, labels: labels.len() > 1, rows }
}

/// Pairs of images that look alike and are not the same.
fn alike(subject: &Subject, scanned: &Scanned, sensor: usize) -> Vec<Set> {
    let tally = &scanned.sensors[sensor];
    let mut seen = HashSet::new();
    // Of images that are the same, one is compared.
    let first: Vec<&(usize, Signature)> = tally.signatures.iter().filter(|(row, _)| seen.insert(tally.contents[*row])).collect();
    let signatures: Vec<&Signature> = first.iter().map(|(_, signature)| signature).collect();
    let pair = |(a, b, _): Pair| set(subject, What::Alike(sensor), vec![first[a].0, first[b].0]);
    pairs(&signatures).into_iter().map(pair).collect()
}

fn show(subject: &Subject, set: &Set) -> Twins {
    let sensor = match set.what {
        What::Samples => None,
        What::Readings(sensor) | What::File(sensor) | What::Alike(sensor) => Some(sensor),
    };
    let member = |&row: &usize| {
        let sample = &subject.samples[row];
        let look = subject.look(row, sensor.unwrap_or(0), true).and_then(Result::ok);
        Member {
            sample: sample.id.clone(),
            place: subject.reading(row, sensor.unwrap_or(0)),
            part: sample.part.map(|part| part.to_string()),
            label: sample.label.clone(),
            picture: look.and_then(|look| look.picture),
        }
    };
    // One of each part and label at least, where they differ.
    let mut rows = set.rows.clone();
    let mut seen = HashSet::new();
    rows.sort_by_cached_key(|&row| {
        !seen.insert((subject.samples[row].part.map(|part| part.to_string()), subject.samples[row].label.clone()))
    });
    Twins {
        sensor: sensor.map(|sensor| subject.sensors[sensor].name.clone()),
        near: matches!(set.what, What::Alike(_)),
        members: rows.iter().take(MEMBERS).map(member).collect(),
        count: set.rows.len(),
    }
}
