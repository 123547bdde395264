//! What a check finds, as plain data.

use super::look::Flaw;
use super::predicted::{Predicted, predicted};
use super::scan::Scanned;
use super::subject::Subject;
use super::twins::Found;
use super::verdicts::verdicts;
use serde::Serialize;
use std::collections::BTreeMap;

/// By this a file of findings is known as ours.
pub const GENERATOR: &str = "mm data check";

/// What is known of a data set after all of it was read.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// [`GENERATOR`].
    pub generator: &'static str,
    /// Name of the data set.
    pub name: String,
    /// The card, table or folder.
    pub place: String,
    /// Rows of the table, or files of the folders.
    pub rows: usize,
    /// The parts that counts are given by, in this order; one, called `all`, where the data name none.
    pub parts: Vec<String>,
    /// Samples by part.
    pub samples: Vec<usize>,
    /// The classes.
    pub classes: Vec<Counted>,
    /// Labels or numbers, where they are to be predicted.
    pub predicted: Option<Predicted>,
    /// The label maps, where each pixel has a class.
    pub pixels: Option<Pixels>,
    /// Which sensors samples have readings of that can be read, most frequent first; such as `rgb+depth`.
    pub combinations: Vec<Counted>,
    /// The sensors.
    pub sensors: Vec<Sensor>,
    /// How many groups there are, where samples have groups.
    pub groups: Option<usize>,
    /// Samples or readings of equal content, and images that look alike: the first of them, and how many there are.
    pub twins: Vec<Twins>,
    /// What to do, the worst first.
    pub verdicts: Vec<Verdict>,
    /// Some samples of each class.
    pub examples: Vec<Example>,
}

/// Something counted by part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// What is counted.
    pub name: String,
    /// By part.
    pub samples: Vec<usize>,
}

/// What label maps hold.
#[derive(Debug, Clone, Serialize)]
pub struct Pixels {
    /// Maps that can be read.
    pub maps: usize,
    /// Height and width that they are brought to, where the card says it.
    pub size: Option<[usize; 2]>,
    /// Sizes of the files.
    pub sizes: Form,
    /// The classes of the card, in its order.
    pub classes: Vec<PixelClass>,
    /// Pixels that count for nothing, by part.
    pub void: Vec<u64>,
    /// Maps that cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// A class of pixels, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PixelClass {
    /// Its name.
    pub name: String,
    /// Its number in the files.
    pub number: u16,
    /// Its colour in pictures.
    pub colour: [u8; 3],
    /// Pixels by part.
    pub pixels: Vec<u64>,
    /// In how many maps it is.
    pub maps: usize,
}

impl Pixels {
    /// By part, how many pixels are of a class.
    pub fn labelled(&self) -> Vec<u64> {
        (0..self.void.len()).map(|part| self.classes.iter().map(|class| class.pixels[part]).sum()).collect()
    }
}

/// A sensor, and what its readings are like.
#[derive(Debug, Clone, Serialize)]
pub struct Sensor {
    /// Its name.
    pub name: String,
    /// Its kind, such as `image`.
    pub kind: String,
    /// Shape of a reading as a model gets it.
    pub shape: Vec<usize>,
    /// Readings that can be read.
    pub present: usize,
    /// Samples without a reading.
    pub absent: usize,
    /// Readings that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// What forms readings have.
    pub forms: Vec<Form>,
    /// How long they are, where they have a length.
    pub lengths: Option<Lengths>,
    /// How many readings have a flaw.
    pub flaws: BTreeMap<Flaw, usize>,
}

/// One side of the form of a sensor's readings: their size, their rate.
#[derive(Debug, Clone, Serialize)]
pub struct Form {
    /// Which side.
    pub what: &'static str,
    /// What there is, and how often, most frequent first; at most 1000 are told apart.
    pub values: Vec<(String, usize)>,
}

/// Lengths of readings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Lengths {
    /// Of the shortest.
    pub least: f64,
    /// Half of them are shorter.
    pub median: f64,
    /// Of the longest.
    pub most: f64,
    /// What they are counted in.
    pub unit: &'static str,
}

/// A reading that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// The sample.
    pub sample: String,
    /// Where it is listed: file, row and column of a table; empty where a folder lists it.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

/// Samples, or readings of one sensor, that are the same or look alike.
#[derive(Debug, Clone, Serialize)]
pub struct Twins {
    /// The sensor; `None` where all readings of the samples are the same.
    pub sensor: Option<String>,
    /// Whether they look alike only.
    pub near: bool,
    /// The first of them.
    pub members: Vec<Member>,
    /// How many there are.
    pub count: usize,
}

/// One of several that are the same.
#[derive(Debug, Clone, Serialize)]
pub struct Member {
    /// The sample.
    pub sample: String,
    /// Where its reading is.
    pub place: String,
    /// Its part, where it has one.
    pub part: Option<String>,
    /// Its class.
    pub label: Option<String>,
    /// A picture of it as a PNG file.
    #[serde(skip)]
    pub picture: Option<Vec<u8>>,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The data cannot be used so, or what comes of them would be wrong.
    Error,
    /// Probably a mistake.
    Warning,
    /// Good to know.
    Remark,
}

/// Something that was found, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// How bad it is.
    pub level: Level,
    /// What it is about: a sensor, `labels`, `parts`.
    pub about: String,
    /// What was found.
    pub found: String,
    /// What to do.
    pub advice: String,
    /// Where, the first of them.
    pub places: Vec<String>,
}

/// A sample to look at.
#[derive(Debug, Clone, Serialize)]
pub struct Example {
    /// Its name.
    pub sample: String,
    /// Its part, where it has one.
    pub part: Option<String>,
    /// Its class.
    pub label: Option<String>,
    /// By sensor; `None` where it has no reading that can be read.
    pub readings: Vec<Option<Shown>>,
    /// Its label map, where it has one that can be read.
    pub map: Option<Shown>,
}

/// A reading to look at.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// A picture of it as a PNG file.
    #[serde(skip)]
    pub picture: Option<Vec<u8>>,
    /// The beginning of a text, or the first numbers.
    pub text: Option<String>,
    /// What it is like, in a few words.
    pub form: String,
}

impl Check {
    /// How many verdicts are of a level.
    pub fn count(&self, level: Level) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.level == level).count()
    }

    /// Whether the data can be used as they are: nothing found is an error.
    pub fn is_usable(&self) -> bool {
        self.count(Level::Error) == 0
    }
}

/// Puts together what was found.
pub(super) fn gather(subject: &Subject, scanned: Scanned, twins: Found) -> Check {
    let parts = subject.parts();
    let count = |rows: &mut dyn Iterator<Item = usize>| {
        let mut counts = vec![0; parts.len()];
        rows.for_each(|row| counts[subject.part_of(row, &parts)] += 1);
        counts
    };
    let samples = &subject.samples;
    let class = |name: &String| {
        let samples = count(&mut (0..samples.len()).filter(|&row| samples[row].label.as_ref() == Some(name)));
        Counted { name: name.clone(), samples }
    };
    let mut check = Check {
        generator: GENERATOR,
        name: subject.name.clone(),
        place: subject.place.clone(),
        rows: subject.rows,
        samples: count(&mut (0..samples.len())),
        classes: subject.classes().iter().map(class).collect(),
        predicted: predicted(subject),
        pixels: None,
        combinations: combinations(subject, &scanned, &count),
        groups: subject.groups(),
        parts: parts.clone(),
        sensors: Vec::new(),
        twins: Vec::new(),
        verdicts: verdicts(subject, &scanned, &twins),
        examples: scanned.examples,
    };
    check.pixels = subject.maps.as_ref().zip(scanned.maps).map(|(maps, tally)| tally.findings(maps));
    check.twins = twins.shown;
    let sensors = subject.sensors.iter().zip(scanned.sensors).map(|(sensor, tally)| {
        let lengths = tally.lengths();
        Sensor {
            name: sensor.name.clone(),
            kind: sensor.kind.clone(),
            shape: sensor.shape.clone(),
            present: tally.present,
            absent: samples.len().saturating_sub(tally.present + tally.unread),
            lengths,
            forms: tally.forms(),
            flaws: tally.flaws.iter().map(|(flaw, rows)| (*flaw, rows.len())).collect(),
            unreadable: tally.unreadable,
        }
    });
    check.sensors = sensors.collect();
    check
}

fn combinations(subject: &Subject, scanned: &Scanned, count: &dyn Fn(&mut dyn Iterator<Item = usize>) -> Vec<usize>) -> Vec<Counted> {
    let mut rows: BTreeMap<Vec<&str>, Vec<usize>> = BTreeMap::new();
    for row in 0..subject.samples.len() {
        let has = subject.sensors.iter().zip(&scanned.sensors).filter(|(_, tally)| tally.contents[row].is_some());
        rows.entry(has.map(|(sensor, _)| sensor.name.as_str()).collect()).or_default().push(row);
    }
    let name = |sensors: &[&str]| if sensors.is_empty() { "none".to_string() } else { sensors.join("+") };
    let counted = rows.iter().map(|(sensors, rows)| Counted { name: name(sensors), samples: count(&mut rows.iter().copied()) });
    let mut counted: Vec<Counted> = counted.collect();
    counted.sort_by_key(|counted| std::cmp::Reverse(counted.samples.iter().sum::<usize>()));
    counted
}
