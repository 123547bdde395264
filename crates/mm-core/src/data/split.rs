//! Which samples train, which choose the model, which test.

use super::names::some;
use super::{DataError, Meta, Source, Target, TargetValue};
use crate::error::{Error, Result};
use crate::rng;
use crate::statistics::standard_deviation;
use rand::seq::SliceRandom;
use serde::{Deserialize, Deserializer, Serialize, de};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Rows of each part, ascending; no row is in two parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Rows to learn from.
    pub train: Vec<usize>,
    /// Rows to choose the model and stop by.
    pub validation: Vec<usize>,
    /// Rows that nothing is chosen by.
    pub test: Vec<usize>,
}

/// A part of a split, as a column of a table names it: `train`, `validation` (or `val`, `dev`), `test`, in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// To learn from.
    Train,
    /// To choose the model by.
    Validation,
    /// To test.
    Test,
}

impl std::str::FromStr for Part {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.to_lowercase().as_str() {
            "train" | "training" => Ok(Self::Train),
            "validation" | "val" | "valid" | "dev" => Ok(Self::Validation),
            "test" | "testing" => Ok(Self::Test),
            _ => Err(format!("`{text}` is no part; use train, validation or test")),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// How much of each class goes to a part: an integer counts samples, a number with a point is a share of the class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Amount {
    /// Samples of each class.
    PerClass(usize),
    /// Share of each class, 0.0 to 1.0; at least one sample unless 0.0.
    Share(f64),
}

impl Amount {
    fn of(self, samples: usize) -> usize {
        match self {
            Self::PerClass(count) => count,
            Self::Share(share) if share > 0.0 => ((share * samples as f64).round() as usize).max(1),
            Self::Share(_) => 0,
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number of samples per class (140) or a share of each class (0.7)")
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> std::result::Result<Amount, E> {
                Ok(Amount::PerClass(count as usize))
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> std::result::Result<Amount, E> {
                let count = usize::try_from(count).map_err(|_| E::invalid_value(de::Unexpected::Signed(count), &self))?;
                Ok(Amount::PerClass(count))
            }
            fn visit_f64<E: de::Error>(self, share: f64) -> std::result::Result<Amount, E> {
                match (0.0..=1.0).contains(&share) {
                    true => Ok(Amount::Share(share)),
                    false => Err(E::invalid_value(de::Unexpected::Float(share), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A stratified split: each class is divided in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitSpec {
    /// For training.
    pub train: Amount,
    /// For validation.
    pub validation: Amount,
    /// For the test.
    pub test: Amount,
}

impl Default for SplitSpec {
    fn default() -> Self {
        Self { train: Amount::Share(0.7), validation: Amount::Share(0.1), test: Amount::Share(0.2) }
    }
}

impl SplitSpec {
    /// Sum of what is given as shares.
    fn shares(&self) -> f64 {
        [self.train, self.validation, self.test].iter().map(|a| if let Amount::Share(s) = a { *s } else { 0.0 }).sum()
    }

    /// What is wrong for any data.
    pub(super) fn validate(&self) -> std::result::Result<(), String> {
        match self.shares() {
            shares if shares > 1.0 + 1e-9 => Err(format!("the shares sum to {shares:.4}, more than 1")),
            _ => Ok(()),
        }
    }

    /// The split of a source: the one that its rows name as their part; else one that keeps groups together, where rows have a group;
    /// else each class is divided in the same way.
    ///
    /// Test rows are drawn first and training rows last, so the same seed gives the same test set whatever the training size. With
    /// groups, sizes are targets: groups are dealt out, largest first, to the part that lacks most; what fits nowhere goes to training. A
    /// part that would have none of a class then gets the smallest group that another part can do without.
    pub fn draw(&self, data: &dyn Source, seed: u64) -> Result<Split> {
        let parts = every_row(data, "part", |meta| meta.part.is_some())?;
        // A group that some rows lack is a slip in a fixed split, too.
        let groups = every_row(data, "group", |meta| meta.group.is_some())?;
        if parts {
            Split::from_parts(data)
        } else if groups {
            self.draw_grouped(data, seed)
        } else {
            self.draw_stratified(data, seed)
        }
    }

    /// How many of so many samples of a class are for training, validation and the test, where there are no groups.
    fn sizes(&self, rows: usize) -> [usize; 3] {
        let [mut train, validation, test] = [self.train, self.validation, self.test].map(|a| a.of(rows));
        if let Amount::Share(share) = self.train {
            // What rounding up the others takes comes out of training; shares of 1 leave nothing over.
            let left = rows.saturating_sub(validation.saturating_add(test));
            train = if self.shares() > 1.0 - 1e-9 { left } else { train.min(left) };
            train = train.max(usize::from(share > 0.0));
        }
        [train, validation, test]
    }

    fn draw_stratified(&self, data: &dyn Source, seed: u64) -> Result<Split> {
        self.validate().map_err(|problem| Error::config("split", problem))?;
        let mut split = Split { train: vec![], validation: vec![], test: vec![] };
        for (class, rows) in shuffled_classes(data, (0..data.len()).collect(), seed, "split") {
            let [train, validation, test] = self.sizes(rows.len());
            let needed = [train, validation, test].iter().fold(0usize, |sum, n| sum.saturating_add(*n));
            if needed > rows.len() {
                let class = class_name(data, class);
                return Err(DataError::SmallClass { class, found: rows.len(), train, validation, test }.into());
            }
            split.test.extend(&rows[..test]);
            split.validation.extend(&rows[test..][..validation]);
            split.train.extend(&rows[test + validation..][..train]);
        }
        split.sorted()
    }

    fn draw_grouped(&self, data: &dyn Source, seed: u64) -> Result<Split> {
        let classes = strata(data);
        let mut sizes = vec![0; classes];
        let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for row in 0..data.len() {
            sizes[class_of(data, row)] += 1;
            // Every row has one here.
            members.entry(data.meta(row).group.unwrap_or_default()).or_default().push(row);
        }
        let amounts = [self.test, self.validation, self.train];
        let targets = amounts.map(|a| sizes.iter().map(|&n| a.of(n) as f64).collect::<Vec<f64>>());
        let mut lacking = targets.clone();
        let mut dealt = Vec::with_capacity(members.len());
        let mut order: Vec<Vec<usize>> = members.into_values().collect();
        order.shuffle(&mut rng::stream(seed, "split groups", &[]));
        order.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
        for rows in order {
            let mut counts: BTreeMap<usize, f64> = BTreeMap::new();
            rows.iter().for_each(|&row| *counts.entry(class_of(data, row)).or_default() += 1.0);
            // How much nearer to its target the part would be, squared and relative to the target.
            let gain = |part: usize| -> f64 {
                let wanted =
                    counts.iter().map(|(&class, n)| (n, lacking[part][class], targets[part][class])).filter(|(.., target)| *target > 0.0);
                wanted.map(|(n, lack, target)| (lack * lack - (lack - n) * (lack - n)) / (target * target)).sum()
            };
            let gains = [gain(0), gain(1), gain(2)];
            let best = (0..3).rev().filter(|p| gains[*p] > 0.0).max_by(|a, b| gains[*a].total_cmp(&gains[*b])).unwrap_or(2);
            counts.iter().for_each(|(&class, n)| lacking[best][class] -= n);
            dealt.push(Group { classes: counts.into_keys().collect(), rows, part: best });
        }
        fill_empty(&mut dealt, &targets);
        let mut parts = [vec![], vec![], vec![]];
        dealt.iter().for_each(|group| parts[group.part].extend(&group.rows));
        let [test, validation, train] = parts;
        let split = Split { train, validation, test };
        let parts = [
            (Part::Train, &split.train, &targets[2]),
            (Part::Validation, &split.validation, &targets[1]),
            (Part::Test, &split.test, &targets[0]),
        ];
        for (part, rows, targets) in parts {
            let found: HashSet<usize> = rows.iter().map(|&row| class_of(data, row)).collect();
            if let Some(class) = (0..classes).find(|c| targets[*c] > 0.0 && !found.contains(c)) {
                let wanted = parts.iter().filter(|(_, _, targets)| targets[class] > 0.0).map(|(part, ..)| *part).collect();
                let rows = (0..data.len()).filter(|&row| class_of(data, row) == class);
                let groups = rows.map(|row| data.meta(row).group).collect::<HashSet<_>>().len();
                return Err(DataError::TooFewGroups { class: class_name(data, class), groups, part, wanted }.into());
            }
        }
        split.sorted()
    }
}

/// Numbers to be predicted are of unlike units where their standard deviations are so many times as large.
const UNLIKE: f64 = 100.0;

/// By how much a part that groups make may differ from what was asked for.
const FAR: usize = 2;

impl SplitSpec {
    /// What to know about a split that is drawn: samples that shares leave out, and of whole groups held-out parts of far other sizes than this
    /// asks for.
    pub fn remark(&self, split: &Split, data: &dyn Source) -> Option<String> {
        let is_drawn = (0..data.len()).any(|row| data.meta(row).group.is_some() && data.meta(row).part.is_none());
        let mut sizes = vec![0; strata(data)];
        (0..data.len()).for_each(|row| sizes[class_of(data, row)] += 1);
        let without = |row: usize| data.meta(row).group.is_none() && data.meta(row).part.is_none();
        let is_shared = [self.train, self.validation, self.test].iter().all(|amount| !matches!(amount, Amount::PerClass(1..)));
        let used: usize = sizes.iter().map(|&size| self.sizes(size).iter().sum::<usize>()).sum();
        if is_shared && used < data.len() && (0..data.len()).all(without) {
            let (unused, of, shares) = (data.len() - used, data.len(), (self.shares() * 1e4).round() / 1e4);
            return Some(format!(
                "{unused} of {of} samples are in no part: the shares under [split] sum to {shares}, and 1 leaves none out"
            ));
        }
        let held_out = [(Part::Validation, self.validation, &split.validation), (Part::Test, self.test, &split.test)];
        let far = held_out.into_iter().filter_map(|(part, asked, rows)| {
            let asked: usize = sizes.iter().map(|&size| asked.of(size)).sum();
            let is_far = !rows.is_empty() && (rows.len() > FAR * asked || FAR * rows.len() < asked);
            is_far.then(|| format!("{} {part} samples where {asked} are asked for", rows.len()))
        });
        let far: Vec<String> = far.filter(|_| is_drawn).collect();
        let advice = "a group stays whole: name parts in a column, or write other shares under [split] of the card";
        (!far.is_empty()).then(|| format!("groups make {}: {advice}", far.join(", and ")))
    }
}

/// What is wrong with a group that is in this part and in another one, at another place.
pub(super) fn torn(group: &str, here: Part, there: Part, place: &str) -> String {
    format!(
        "group `{group}` is in two parts: {here} here, {there} in {place}; give all its samples one part, or take out `group` if its samples may be \
         in several"
    )
}

/// A group that was dealt to a part.
struct Group {
    rows: Vec<usize>,
    classes: Vec<usize>,
    part: usize,
}

/// Gives parts that are to have samples of a class and have no group of it the smallest one that no other part needs. `targets`: by part and
/// class.
fn fill_empty(dealt: &mut [Group], targets: &[Vec<f64>; 3]) {
    loop {
        let mut held = targets.each_ref().map(|targets| vec![0; targets.len()]);
        dealt.iter().for_each(|group| group.classes.iter().for_each(|&class| held[group.part][class] += 1));
        let is_spare = |group: &Group| group.classes.iter().all(|&class| targets[group.part][class] <= 0.0 || held[group.part][class] > 1);
        let lacking = (0..3).flat_map(|part| (0..held[part].len()).map(move |class| (part, class)));
        let mut lacking = lacking.filter(|&(part, class)| targets[part][class] > 0.0 && held[part][class] == 0);
        let smallest = |class: usize| {
            let spare = (0..dealt.len()).filter(|&at| dealt[at].classes.contains(&class) && is_spare(&dealt[at]));
            spare.min_by_key(|&at| dealt[at].rows.len())
        };
        let Some((part, at)) = lacking.find_map(|(part, class)| Some((part, smallest(class)?))) else { return };
        dealt[at].part = part;
    }
}

impl Split {
    /// The split that the rows name as their part.
    fn from_parts(data: &dyn Source) -> Result<Self> {
        let rows = |part| (0..data.len()).filter(|&row| data.meta(row).part == Some(part)).collect();
        Self { train: rows(Part::Train), validation: rows(Part::Validation), test: rows(Part::Test) }.sorted()
    }

    /// The same validation and test rows with only `per_class` training rows of each class, chosen by `seed`; fewer are
    /// part of more.
    pub fn with_train_per_class(&self, per_class: usize, data: &dyn Source, seed: u64) -> Result<Self> {
        let target = &data.schema().target;
        if !target.is_class() {
            let problem = format!("needs one class a sample, and this data has {}: leave it out", target.in_words());
            return Err(Error::config("train_per_class", problem));
        }
        let mut train = Vec::new();
        for (class, rows) in shuffled_classes(data, self.train.clone(), seed, "train per class") {
            if rows.len() < per_class || per_class == 0 {
                return Err(DataError::TooFewPerClass { class: class_name(data, class), found: rows.len(), per_class }.into());
            }
            train.extend(&rows[..per_class]);
        }
        Self { train, ..self.clone() }.sorted()
    }

    /// What to know about it before training, in words: classes that a part lacks.
    pub fn remarks(&self, data: &dyn Source) -> Vec<String> {
        // Where every pixel has a class, rows have none.
        let names = if data.schema().target.is_dense() { &[] } else { data.schema().target.class_names() };
        let lacking = |rows: &[usize]| -> Vec<String> {
            let mut found = vec![false; names.len()];
            rows.iter().filter_map(|&row| data.meta(row).class).for_each(|class| found[class as usize] = true);
            names.iter().zip(found).filter(|(_, found)| !found).map(|(name, _)| format!("`{name}`")).collect()
        };
        let mut remarks = self.remarks_on_score(data);
        let untrained = lacking(&self.train);
        if !untrained.is_empty() {
            let what = "no training sample has the class";
            remarks.push(format!("{what} {}: no model can learn it, and its test samples count as wrong", some(&untrained, 5)));
        }
        if self.validation.is_empty() {
            let chosen = "the last weights of each training are tested, and nothing is chosen by held-out samples";
            remarks.push(format!("no sample is for validation: {chosen}; such samples are not taken from the training or test part"));
        }
        for (part, rows) in [(Part::Validation, &self.validation), (Part::Test, &self.test)] {
            let absent = lacking(rows);
            if !rows.is_empty() && !absent.is_empty() {
                remarks.push(format!("no {part} sample has the class {}", some(&absent, 5)));
            }
        }
        remarks
    }

    /// SHA-256 of which rows, of how many, are for the test: of another split, or of a table that grew, it is another.
    pub fn test_hash(&self, data: &dyn Source) -> String {
        let mut hash = Sha256::new_with_prefix(data.len().to_le_bytes());
        self.test.iter().for_each(|&row| hash.update(format!("{row} {:?}\0", data.meta(row).id)));
        hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// What to know about the score that heads the report.
    pub(super) fn remarks_on_score(&self, data: &dyn Source) -> Vec<String> {
        self.common_class(data).into_iter().chain(self.unlike_units(data)).collect()
    }

    /// Where errors in the units of several numbers are asked for, and some of them are too small to count.
    fn unlike_units(&self, data: &dyn Source) -> Option<String> {
        let (Target::Numbers(_), measure) = (&data.schema().target, data.schema().measure()) else { return None };
        if !["mae", "rmse"].contains(&measure.name) {
            return None;
        }
        let values = |row: usize| match data.target(row) {
            Ok(TargetValue::Numbers(numbers)) => Some(numbers),
            _ => None,
        };
        let rows: Vec<Vec<f64>> = self.train.iter().filter_map(|&row| values(row)).collect();
        let names = data.schema().target.output_names();
        let std = |k: usize| standard_deviation(&rows.iter().map(|row| row[k]).collect::<Vec<_>>()).filter(|std| *std > 0.0);
        let spread: Vec<(&String, f64)> = names.iter().enumerate().filter_map(|(k, name)| Some((name, std(k)?))).collect();
        let (largest, most) = spread.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let small = spread.iter().filter(|(_, std)| std * UNLIKE < *most).map(|(name, _)| format!("`{name}`"));
        let small: Vec<String> = small.collect();
        (!small.is_empty()).then(|| {
            format!(
                "the {} is a mean over numbers in their own units, in which {} hardly count: the standard deviation of `{largest}` is more than \
                 {UNLIKE} times theirs; write score = \"r2\" in the card, or look at each number by itself",
                measure.title,
                some(&small, 5)
            )
        })
    }

    /// Where the average precision of the second of two classes is asked for, and most samples are of it.
    fn common_class(&self, data: &dyn Source) -> Option<String> {
        let schema = data.schema();
        let second = |rows: &[usize]| rows.iter().filter(|&&row| data.meta(row).class == Some(1)).count();
        let asked = schema.measure().name == "auprc" && schema.target.is_two_classes();
        let [first, common] = schema.target.class_names() else { return None };
        (asked && 2 * second(&self.train) > self.train.len()).then(|| {
            format!(
                "the AUPRC is that of the second class, `{common}`, which most samples have; for that of `{first}` write classes = [\"{common}\", \"{first}\"] in the card"
            )
        })
    }

    fn sorted(mut self) -> Result<Self> {
        for (part, rows) in [(Part::Train, &mut self.train), (Part::Validation, &mut self.validation), (Part::Test, &mut self.test)] {
            rows.sort_unstable();
            if rows.is_empty() && part != Part::Validation {
                return Err(DataError::EmptyPart { part }.into());
            }
        }
        Ok(self)
    }
}

/// Whether rows name `what`: all of them, or none.
fn every_row(data: &dyn Source, what: &'static str, names: impl Fn(&Meta) -> bool) -> Result<bool> {
    let without: Vec<usize> = (0..data.len()).filter(|&row| !names(&data.meta(row))).collect();
    if without.is_empty() || without.len() == data.len() {
        return Ok(without.is_empty() && !data.is_empty());
    }
    let name = |&row: &usize| data.meta(row).id.map_or_else(|| format!("row {} of the data", row + 1), |id| format!("`{id}`"));
    let names = without.iter().take(5).map(name).collect();
    Err(DataError::NotNamed { names, without: without.len(), of: data.len(), what }.into())
}

/// The class of a row; where there are no classes, all rows are alike.
fn class_of(data: &dyn Source, row: usize) -> usize {
    data.meta(row).class.map_or(0, |class| class as usize)
}

fn strata(data: &dyn Source) -> usize {
    let target = &data.schema().target;
    // Where every pixel has a class, rows have none.
    if target.is_dense() { 1 } else { target.classes().max(1) }
}

fn class_name(data: &dyn Source, class: usize) -> String {
    let target = &data.schema().target;
    target.class_names().get(class).filter(|_| !target.is_dense()).map_or("any".into(), String::clone)
}

/// The rows of each class, in seeded order.
fn shuffled_classes(data: &dyn Source, rows: Vec<usize>, seed: u64, purpose: &str) -> Vec<(usize, Vec<usize>)> {
    let mut classes = vec![vec![]; strata(data)];
    rows.into_iter().for_each(|row| classes[class_of(data, row)].push(row));
    for (class, rows) in (0..).zip(&mut classes) {
        rows.shuffle(&mut rng::stream(seed, purpose, &[class]));
    }
    classes.into_iter().enumerate().collect()
}
