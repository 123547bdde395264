//! Settings of series in CSV files, and of arrays of NumPy, by some of their files.

use super::quoted;
use super::sensor::Reading;
use crate::data::number::has_decimal_comma;
use crate::data::series_text::{SeriesText, is_number, rises};
use crate::data::{numpy, utf8};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs::File;
use std::path::Path;

/// Columns that say when, not what; so do those that rise from line to line in every file.
const TIMES: [&str; 9] = ["", "t", "time", "timestamp", "date", "datetime", "index", "step", "seconds"];
/// Channels are few; a last axis of up to so many may be theirs.
const MOST_CHANNELS: usize = 16;

/// Kind and settings of files of numbers in lines: series, or vectors where all files have one line of numbers.
pub(super) fn of_csv(files: &[&Reading]) -> (&'static str, String) {
    let read = |(path, _): &&Reading| {
        let bytes = std::fs::read(path).ok()?;
        let text = SeriesText::of(utf8(path, &bytes).ok()?)?;
        let (mut columns, mut steps) = (vec![Column::default(); text.first.len()], 0);
        for (_, row) in text.rows() {
            columns.iter_mut().zip(row).for_each(|(column, cell)| column.see(cell));
            steps += 1;
        }
        let names = text.named.then(|| text.first.iter().map(ToString::to_string).collect());
        let numbers = columns.iter().map(|column| column.words <= column.numbers).collect();
        let rising = columns.iter().map(|column| rises(&column.values)).collect();
        Some(Series { names, numbers, steps, rising })
    };
    let seen: Vec<Series> = files.iter().filter_map(read).filter(|series| series.steps > 0).collect();
    let Some(form) = most_frequent(seen.iter().map(|series| (series.names.clone(), series.numbers.clone()))) else {
        let comment = format!("none of {} files could be read: correct channels and steps", files.len());
        return ("series", format!("channels = 1  # {comment}\nsteps = 100\n"));
    };
    let (names, numbers) = form;
    if names.is_none() && seen.iter().all(|series| series.steps == 1) {
        return ("vector", format!("features = {}  # seen: files of one line of numbers\n", numbers.len()));
    }
    let of_form = || seen.iter().filter(|series| series.names == names);
    let is_named = |column: usize| names.as_ref().is_some_and(|names| TIMES.contains(&names[column].to_lowercase().as_str()));
    let is_clock = |column: usize| names.is_some() && of_form().count() > 1 && of_form().all(|series| series.rising[column]);
    let steady = |column: usize| numbers[column] && !is_named(column) && !is_clock(column);
    // What is alone may well rise.
    let is_alone = !(0..numbers.len()).any(steady);
    let is_channel = |column: usize| numbers[column] && !is_named(column) && (is_alone || !is_clock(column));
    let (channels, others): (Vec<usize>, Vec<usize>) = (0..numbers.len()).partition(|&column| is_channel(column));
    let mut settings = format!("channels = {}\n", channels.len().max(1));
    settings += &steps(seen.iter().map(|series| series.steps).collect());
    let are_found = |names: &Vec<String>| !others.is_empty() || seen.iter().all(|series| tells_apart(names, series.names.as_deref()));
    if let Some(names) = names.filter(|names| !channels.is_empty() && are_found(names)) {
        let quoted: Vec<String> = channels.iter().map(|&column| quoted(&names[column])).collect();
        let why = |column: usize| if numbers[column] { "says when" } else { "is no number" };
        let left: Vec<String> = others.iter().map(|&column| format!("{} ({})", told(&names[column]), why(column))).collect();
        let comment = if left.is_empty() { "found by name, in any order".into() } else { format!("left out: {}", left.join(", ")) };
        settings += &format!("columns = [{}]  # {comment}\n", quoted.join(", "));
    }
    ("series", settings)
}

/// Whether another file has the same names in any order, and each of them tells one column; a number among them may be a slip in a line of
/// numbers, which readers tell where columns are not named.
fn tells_apart(names: &[String], others: Option<&[String]>) -> bool {
    let sorted = |names: &[String]| names.iter().map(String::from).collect::<BTreeSet<String>>();
    let own = sorted(names);
    let is_name = |name: &String| !name.is_empty() && !is_number(name);
    own.len() == names.len() && own.iter().all(is_name) && others.is_some_and(|others| others.len() == names.len() && sorted(others) == own)
}

/// Whether texts are numbers and no sentences, by some of them.
pub(super) fn are_numbers(files: &[&Reading]) -> bool {
    let texts: Vec<String> = files.iter().filter_map(|(path, _)| std::fs::read_to_string(path).ok()).collect();
    let is_numbers =
        |text: &String| text.split(|c: char| c.is_whitespace() || ",;".contains(c)).filter(|cell| !cell.is_empty()).all(is_number);
    !texts.is_empty() && texts.iter().all(|text| is_numbers(text) && !text.trim().is_empty())
}

/// A CSV file.
struct Series {
    names: Option<Vec<String>>,
    /// By column, whether it holds numbers, perhaps with slips among them: what reads the files tells these.
    numbers: Vec<bool>,
    steps: usize,
    /// By column, whether it [`rises`].
    rising: Vec<bool>,
}

/// What stands in a column of a file.
#[derive(Default, Clone)]
struct Column {
    numbers: usize,
    /// Cells that are no numbers.
    words: usize,
    values: Vec<f64>,
}

impl Column {
    fn see(&mut self, cell: &str) {
        match cell.parse::<f64>() {
            Ok(value) => {
                self.numbers += 1;
                self.values.push(value);
            }
            Err(_) if cell.is_empty() => {}
            Err(_) if has_decimal_comma(cell) => self.numbers += 1,
            Err(_) => self.words += 1,
        }
    }
}

/// The name of a column, for a comment.
fn told(name: &str) -> &str {
    if name.is_empty() { "a column without a name" } else { name }
}

/// How long a series is made: nineteen of twenty fit in.
fn steps(mut lengths: Vec<usize>) -> String {
    lengths.sort();
    let at = |share: f64| lengths[((lengths.len() - 1) as f64 * share).round() as usize];
    format!("steps = {}  # seen: {} to {}, half of them below {}\nlength = \"pad\"\n", at(0.95).max(1), at(0.0), at(1.0), at(0.5))
}

/// Kind and settings of arrays: by their number of axes, and by which of these have the same length in all files.
pub(super) fn of_numpy(files: &[&Reading]) -> (&'static str, String) {
    let entries = files.iter().find_map(|(path, _)| entries(path)).unwrap_or_default();
    let entry = match entries.as_slice() {
        [_, _, ..] => entries.iter().max_by_key(|(_, size)| *size).map(|(name, _)| name.as_str()),
        _ => None,
    };
    let shapes: Vec<Vec<usize>> = files.iter().filter_map(|(path, part)| shape(path, entry, part.is_some())).collect();
    let Some(axes) = most_frequent(shapes.iter().map(Vec::len)) else {
        let comment = format!("none of {} files could be read: correct the shape", files.len());
        return ("array", format!("shape = [1]  # {comment}\n"));
    };
    let shapes: Vec<Vec<usize>> = shapes.into_iter().filter(|shape| shape.len() == axes).collect();
    let lengths = |axis: usize| shapes.iter().map(|shape| shape[axis]).collect::<Vec<usize>>();
    let differs = |axis: usize| lengths(axis).iter().any(|length| *length != shapes[0][axis]);
    let seen = seen(&shapes);
    // A manifest names entries of the first axis, one each, or steps of a series.
    let lengths_of_parts: Vec<u64> = files.iter().filter_map(|(_, part)| part.as_ref().map(|part| part.end - part.start)).collect();
    let is_entry = |length: &u64| *length == 1 || *length > u64::MAX / 2;
    let are_entries = !lengths_of_parts.is_empty() && lengths_of_parts.iter().all(is_entry);
    let (kind, mut settings) = match axes {
        0 | 1 if are_entries => {
            let features = shapes[0].first().unwrap_or(&1);
            ("array", format!("shape = [{features}]  # seen: {features} numbers in each entry of the first axis\n"))
        }
        0 | 1 if !lengths_of_parts.is_empty() => {
            let channels = shapes[0].first().unwrap_or(&1);
            let known = lengths_of_parts.into_iter().filter(|length| !is_entry(length)).map(|length| length as usize).collect();
            ("series", format!("channels = {channels}  # seen: in each step\n{}time_first = true\n", steps(known)))
        }
        0 => ("vector", "features = 1\n".into()),
        1 if differs(0) => ("series", format!("channels = 1  # seen: one axis, of different lengths\n{}", steps(lengths(0)))),
        1 => ("vector", format!("features = {}  # seen: one axis, of this length in all files\n", shapes[0][0])),
        2 if !are_entries => {
            // Time is the axis that differs; else the longer one.
            let time_first = match (differs(0), differs(1)) {
                (true, false) => true,
                (false, true) => false,
                _ => shapes[0][0] > shapes[0][1],
            };
            let (time, channel) = if time_first { (0, 1) } else { (1, 0) };
            let why = if differs(time) { "its length differs" } else { "it is the longer one" };
            let channels = most_frequent(lengths(channel).into_iter()).unwrap_or(1).max(1);
            let turned = if time_first { "time_first = true\n" } else { "" };
            let comment = format!("seen: {seen}; axis {} is taken for the time, because {why}", time + 1);
            ("series", format!("channels = {channels}  # {comment}\n{}{turned}", steps(lengths(time))))
        }
        2..=4 => {
            let mut shape = most_frequent(shapes.iter().cloned()).unwrap_or_default();
            let last = shape[axes - 1];
            let channels_last = last <= MOST_CHANNELS && shape[..axes - 1].iter().all(|side| *side > last);
            let (form, turned) = match channels_last {
                true => ("; the last axis is taken for the channels, because it is the shortest", "channels_last = true\n"),
                false => ("; the first axis is taken for the channels", ""),
            };
            if channels_last {
                shape.rotate_right(1);
            }
            ("array", format!("shape = {shape:?}  # seen: {seen}{form}\n{turned}"))
        }
        _ => {
            let shape = most_frequent(shapes.iter().cloned()).unwrap_or_default();
            ("vector", format!("features = {}  # seen: {seen}; more axes than a network reads\n", shape.iter().product::<usize>()))
        }
    };
    if let Some(entry) = entry {
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        settings += &format!("entry = {}  # the largest; the archives hold {}\n", quoted(entry), names.join(", "));
    }
    (kind, settings)
}

/// The entries of an archive, with how many numbers they hold; `None` where a file is none.
fn entries(path: &Path) -> Option<Vec<(String, usize)>> {
    let bytes = std::fs::read(path).ok().filter(|bytes| bytes.starts_with(b"PK"))?;
    let names = numpy::entries(&bytes).ok()?;
    let size = |name: &String| numpy::read(&bytes, Some(name)).map_or(0, |array| array.shape.iter().product());
    Some(names.into_iter().map(|name| (name.clone(), size(&name))).collect())
}

/// The shape of a reading: of a whole file, or of an entry of its first axis.
fn shape(path: &Path, entry: Option<&str>, is_row: bool) -> Option<Vec<usize>> {
    let ending = path.extension()?.to_string_lossy().to_lowercase();
    let shape = match ending.as_str() {
        "npz" => numpy::read(&std::fs::read(path).ok()?, entry).ok()?.shape,
        _ => numpy::shape(&mut File::open(path).ok()?, path).ok()?,
    };
    Some(if is_row { shape.get(1..)?.to_vec() } else { shape })
}

/// The shapes that there are, most frequent first.
fn seen(shapes: &[Vec<usize>]) -> String {
    let mut counts: BTreeMap<&Vec<usize>, usize> = BTreeMap::new();
    shapes.iter().for_each(|shape| *counts.entry(shape).or_default() += 1);
    let mut counts: Vec<(&Vec<usize>, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = if counts.len() > 3 { " and others" } else { "" };
    let shown: Vec<String> = counts.iter().take(3).map(|(shape, count)| format!("{} ({count})", sides(shape))).collect();
    format!("{}{more}", shown.join(", "))
}

/// `4 x 8 x 8`.
fn sides(shape: &[impl Display]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ")
}

/// What there is most often; of equals the smallest.
fn most_frequent<T: Ord>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(one, _)| one)
}
