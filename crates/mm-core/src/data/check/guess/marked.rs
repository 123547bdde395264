//! Numbers that people read and programs do not: with signs, units or separators between thousands.

use super::column::{Column, Holds, SLIPS};
use super::roles::Roles;
use crate::data::check::findings::{Level, Verdict};
use crate::data::check::verdicts::verdict;
use crate::data::decimal_marks::{Thousands, in_thousands};
use crate::data::manifest::{Row, Table};
use crate::data::number::{has_decimal_comma, says_no_number};
use std::collections::HashSet;

/// Fewer different ones may be classes, such as `<5` and `>5`.
pub(super) const MARKED: usize = 8;
/// What may stand between thousands.
const SEPARATORS: [char; 8] = [',', '.', '\'', '’', ' ', '\u{a0}', '\u{202f}', '\u{2009}'];
/// Units are no longer.
const LONGEST_UNIT: usize = 12;

/// Whether numbers with commas have them between thousands: three digits behind each, and smaller numbers without one. Where commas stand
/// between the fields as well, a decimal comma with three digits behind it everywhere is hardly meant.
pub(super) fn has_thousands(numbers: &[&str], of_commas: bool) -> bool {
    if of_commas {
        let mut with_comma = numbers.iter().filter(|cell| cell.contains(','));
        return with_comma.all(|cell| in_thousands(cell, ','));
    }
    let mut thousands = Thousands::default();
    numbers.iter().filter(|cell| !cell.contains('.')).for_each(|cell| thousands.see(cell, 1));
    thousands.may_be()
}

/// Whether nearly all cells are numbers with signs, with one unit at most.
pub(super) fn is_marked(cells: &[&str]) -> bool {
    let numbers: Vec<&&str> = cells.iter().filter(|cell| !says_no_number(cell)).collect();
    let units: Vec<&str> = numbers.iter().filter_map(|cell| unit(cell)).collect();
    let different: HashSet<&str> = units.iter().copied().filter(|unit| !unit.is_empty()).collect();
    !numbers.is_empty() && (numbers.len() - units.len()) * SLIPS <= numbers.len() && different.len() <= 1
}

/// The unit behind a number, perhaps an empty one; `None` where there is no number.
fn unit(text: &str) -> Option<&str> {
    let text = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    let text = text.trim_start_matches(|c: char| "<>≤≥=~≈$€£¥\u{2212}+-".contains(c) || c.is_whitespace());
    let (number, unit) = text.split_at(text.rfind(|c: char| c.is_ascii_digit())? + 1);
    // Fortran writes exponents with a D.
    let is_plain = number.replace("D+", "e+").replace("D-", "e-").parse::<f64>().is_ok() || has_decimal_comma(number);
    let grouped = |separator: char| {
        ['.', ','].into_iter().filter(|mark| *mark != separator).any(|mark| {
            let (whole, fraction) = number.split_once(mark).unwrap_or((number, ""));
            in_thousands(whole, separator) && fraction.chars().all(|c| c.is_ascii_digit())
        })
    };
    let unit = unit.trim();
    let is_unit = unit.chars().count() <= LONGEST_UNIT && unit.chars().all(|c| c.is_alphabetic() || "%‰°/²³·$€£¥".contains(c));
    (is_unit && (is_plain || SEPARATORS.into_iter().any(grouped))).then_some(unit)
}

/// Warnings of the columns that are left out because of it, each with its first such cell.
pub(super) fn findings(table: &Table, columns: &[Column], roles: &Roles) -> Vec<Verdict> {
    let marked = (0..columns.len()).filter(|&at| columns[at].holds == Holds::Marked && !roles.has(at));
    let finding = |at: usize| {
        let is_odd = |cell: &str| cell.parse::<f64>().is_err() && !says_no_number(cell) && !cell.is_empty();
        let odd = |row: &&Row| is_odd(&row.cells[at]);
        let row = table.rows.iter().filter(odd).find(|row| !has_decimal_comma(&row.cells[at])).or_else(|| table.rows.iter().find(odd))?;
        let (cell, name) = (&row.cells[at], columns[at].name);
        let (what, advice) = match in_thousands(cell, ',') {
            true => (
                "numbers that look as if they had separators between thousands",
                "write them without; if the commas are decimal ones, name the column in `columns` and write decimal = \",\" in the card",
            ),
            false => ("numbers with signs, units or separators between thousands", "write numbers alone, and - for minus"),
        };
        let found =
            format!("column `{name}` is left out of the guessed card: it holds {what}, `{cell}` in line {}, column {}", row.line, at + 1);
        Some(verdict(Level::Warning, name, found, advice, Vec::new()))
    };
    marked.filter_map(finding).collect()
}
