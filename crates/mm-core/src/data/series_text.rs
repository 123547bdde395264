//! Series as a text: a line a step, a column a channel.

use super::check::difference;
use super::kinds::Origin;
use super::names::some;
use super::number::has_decimal_comma;
use super::numpy;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The lines of a series, cut into cells.
pub(super) struct SeriesText<'t> {
    /// The cells of the first line.
    pub first: Vec<&'t str>,
    /// Whether these are names.
    pub named: bool,
    text: &'t str,
    separator: Option<char>,
}

impl<'t> SeriesText<'t> {
    /// `None` where there is nothing but blank lines.
    pub fn of(text: &'t str) -> Option<Self> {
        let text = text.trim_start_matches('\u{feff}');
        let first = text.lines().find(|line| !line.trim().is_empty())?;
        // A comma may be a decimal one where something else stands between the numbers.
        let separator = ['\t', ';', ','].into_iter().find(|&separator| first.contains(separator));
        let first = cells(first, separator);
        let named = first.iter().any(|cell| !cell.is_empty() && !is_number(cell) && !has_decimal_comma(cell));
        Some(Self { first, named, text, separator })
    }

    /// The lines of values, each with its number from 1.
    pub fn rows(&self) -> impl Iterator<Item = (usize, Vec<&'t str>)> {
        let separator = self.separator;
        let lines = (1..).zip(self.text.lines()).filter(|(_, line)| !line.trim().is_empty()).skip(usize::from(self.named));
        lines.map(move |(line, text)| (line, cells(text, separator)))
    }

    /// A number that was cut in two at its decimal comma, with its line: where commas stand between the columns, all of them hold whole numbers,
    /// and behind a comma are digits that no program writes as a number of its own, such as those of `-0,66` or `1,05`.
    pub fn cut_number(&self) -> Option<(usize, String)> {
        if self.separator != Some(',') || self.named || !self.first.len().is_multiple_of(2) {
            return None;
        }
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let mut found = None;
        for (line, row) in self.rows() {
            for pair in row.chunks_exact(2) {
                let (whole, part) = (pair[0], pair[1]);
                if !is_digits(part) || !is_digits(whole.trim_start_matches(['-', '+'])) {
                    return None;
                }
                if whole == "-0" || part.len() > 1 && part.starts_with('0') {
                    found.get_or_insert_with(|| (line, format!("{whole},{part}")));
                }
            }
        }
        found
    }

    /// A cell of the first line that is a number though others are names, and one that is not.
    pub fn mixed(&self) -> Option<(&'t str, &'t str)> {
        let number = self.first.iter().find(|cell| is_number(cell))?;
        let name = self.first.iter().find(|cell| !cell.is_empty() && !is_number(cell))?;
        Some((number, name))
    }
}

/// The names in the first line of a file, none where it holds numbers; `None` of a file that is no text.
pub(super) fn names_of(path: &Path) -> Option<Vec<String>> {
    let mut file = BufReader::new(File::open(path).ok()?);
    loop {
        let mut line = Vec::new();
        if file.read_until(b'\n', &mut line).ok()? == 0 || numpy::is_numpy(&line) {
            return None;
        }
        if let Some(text) = SeriesText::of(std::str::from_utf8(&line).ok()?) {
            return Some(if text.named { text.first.iter().map(ToString::to_string).collect() } else { Vec::new() });
        }
    }
}

/// The names that the columns of all files have, in one order; `None` where files have others or none. Which is wrong where the same names stand
/// in another order.
pub(super) fn agreed_names(origins: &[&Origin]) -> Result<Option<Vec<String>>, String> {
    let paths = origins.iter().copied().filter_map(|origin| if let Origin::File { path, .. } = origin { Some(path) } else { None });
    // Windows of a recording are of one file.
    let files: Vec<&PathBuf> = paths.collect::<BTreeSet<_>>().into_iter().collect();
    let names: Vec<Option<Vec<String>>> = files.par_iter().map(|path| names_of(path)).collect();
    let mut headers: BTreeMap<&[String], (usize, &Path)> = BTreeMap::new();
    for (path, names) in files.iter().zip(&names) {
        let Some(names) = names else { continue };
        headers.entry(names.as_slice()).or_insert((0, path.as_path())).0 += 1;
    }
    let mut counted: Vec<(&[String], usize)> = headers.iter().map(|(names, (count, _))| (*names, *count)).collect();
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    if let Some(difference) = difference(&counted).filter(|difference| difference.is_turned) {
        let first: Vec<String> = counted.iter().map(|(names, _)| headers[names].1.display().to_string()).collect();
        return Err(format!("{}; such as {}; {}", difference.found, some(&first, 2), difference.advice));
    }
    let own: BTreeSet<&String> = counted.iter().flat_map(|(names, _)| names.iter()).collect();
    Ok(match counted[..] {
        [(names, _)] if own.len() == names.len() && !names.is_empty() && !own.iter().any(|name| name.is_empty()) => Some(names.to_vec()),
        _ => None,
    })
}

/// Whether numbers rise from each to the next by about equal steps, as a time or a count of lines does.
pub(super) fn rises(values: &[f64]) -> bool {
    const FEWEST: usize = 8;
    const LARGEST_STEP: f64 = 4.0;
    let (least, most) =
        values.windows(2).map(|pair| pair[1] - pair[0]).fold((f64::INFINITY, 0.0), |(least, most), step| (step.min(least), step.max(most)));
    values.len() >= FEWEST && least > 0.0 && most <= LARGEST_STEP * least
}

/// Whether a cell is a number.
pub(super) fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}

fn cells(line: &str, separator: Option<char>) -> Vec<&str> {
    match separator {
        Some(separator) => line.split(separator).map(cell).collect(),
        None => line.split_whitespace().map(cell).collect(),
    }
}

fn cell(text: &str) -> &str {
    text.trim().trim_matches('"')
}
