//! Tables whose rows are steps of series and no samples.

use super::column::Column;
use super::roles::Roles;
use crate::data::long_table::time_of;
use crate::data::manifest::Table;
use std::collections::HashMap;
use std::path::Path;

/// Words in the names of columns that say when.
const WHEN: [&str; 20] = [
    "t",
    "time",
    "timestamp",
    "datetime",
    "date",
    "charttime",
    "step",
    "frame",
    "tick",
    "ms",
    "sec",
    "second",
    "seconds",
    "min",
    "minute",
    "minutes",
    "hour",
    "hours",
    "day",
    "days",
];
/// Fewer rows to each series, and they may well be samples.
const FEW_ROWS: usize = 5;
/// Of so many rows one may be out of order.
const DISORDER: usize = 20;

/// Says so where a time rises within each value of a column that looks like the name of a series.
pub(super) fn steps_of_series(path: &Path, table: &Table, columns: &[Column], roles: &Roles) -> Option<String> {
    let named = |at: &usize| {
        ["id", "series", "recording", "record", "stay", "case", "unit", "engine"].iter().any(|name| has_word(&columns[*at], name))
    };
    let series = roles.group.or_else(|| (0..columns.len()).filter(|at| !roles.has(*at) || roles.names.contains(at)).find(named))?;
    let rows = table.rows.len();
    if columns[series].cells.len() < rows || columns[series].distinct * FEW_ROWS > rows {
        return None;
    }
    let is_when = |at: &usize| *at != series && Some(*at) != roles.label && WHEN.iter().any(|word| has_word(&columns[*at], word));
    let time = (0..columns.len()).filter(is_when).find(|&at| rises(table, series, at))?;
    let (id, when) = (columns[series].name, columns[time].name);
    let label = roles.label.map(|at| format!(" --label {}", shell(columns[at].name))).unwrap_or_default();
    Some(format!(
        "rows look like steps of series, and count as samples of their own here: `{when}` rises within each of the {} values of `{id}`; \
         `mm data series {} --id {} --time {}{label} --out FOLDER` makes series of them",
        columns[series].distinct,
        shell(&path.display().to_string()),
        shell(id),
        shell(when),
    ))
}

fn has_word(column: &Column, word: &str) -> bool {
    column.key().split('_').any(|own| own == word)
}

/// Whether a column says a time that rises from row to row of one series, but for a few.
fn rises(table: &Table, series: usize, time: usize) -> bool {
    let mut last: HashMap<&str, f64> = HashMap::new();
    let mut odd = 0;
    for row in &table.rows {
        let Some(now) = time_of(&row.cells[time], true) else { return false };
        odd += usize::from(last.insert(&row.cells[series], now).is_some_and(|before| before >= now));
    }
    odd * DISORDER <= table.rows.len()
}

/// A word as a shell reads it.
fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "._-/".contains(c);
    if word.chars().all(is_plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
