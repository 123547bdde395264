//! Which column of a table is the label, the part, the group and the id.

use super::column::{Column, Holds, key};
use super::pixels::MAPS;
use super::quoted;
use crate::data::Part;
use crate::data::check::findings::{Level, Verdict};
use crate::data::check::verdicts::verdict;
use crate::data::long_table::time_of;
use crate::data::names::some;
use crate::data::row_names::is_called_id;
use std::collections::{HashMap, HashSet};

const LABELS: [&str; 14] = [
    "label",
    "class",
    "target",
    "category",
    "y",
    "kind",
    "species",
    "diagnosis",
    "emotion",
    "sentiment",
    "digit",
    "activity",
    "outcome",
    "type",
];
pub(super) const PARTS: [&str; 6] = ["part", "split", "set", "subset", "partition", "fold"];
const GROUPS: [&str; 18] = [
    "group",
    "subject",
    "speaker",
    "person",
    "patient",
    "participant",
    "user",
    "session",
    "recording",
    "event",
    "site",
    "device",
    "actor",
    "scene",
    "video",
    "patnr",
    "mrn",
    "hadm",
];
const IDS: [&str; 8] = ["id", "sample", "name", "key", "index", "uid", "row", "filename"];
/// More different values than this are hardly classes.
const MOST_CLASSES: usize = 100;

/// Columns by their use, as positions.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Roles {
    pub label: Option<usize>,
    pub part: Option<usize>,
    pub group: Option<usize>,
    pub id: Option<usize>,
    /// Numbers that name rows and measure nothing.
    pub names: Vec<usize>,
    /// What a reader should know about them.
    pub remarks: Vec<String>,
    /// What is probably a mistake.
    pub findings: Vec<Verdict>,
}

impl Roles {
    /// Whether a column has one of these uses.
    pub fn has(&self, column: usize) -> bool {
        [self.label, self.part, self.group, self.id].contains(&Some(column)) || self.names.contains(&column)
    }

    /// Finds them: first what is called so, then what looks so.
    pub fn of(columns: &[Column], rows: usize) -> Self {
        let mut roles = Self::default();
        let called = |names: &[&str], fits: &dyn Fn(&Column) -> bool| {
            let mut fitting =
                (0..columns.len()).filter(|&c| !columns[c].name.contains('.') && fits(&columns[c])).map(|c| (place(&columns[c], names), c));
            let mut found: Vec<(usize, usize)> = fitting.by_ref().filter_map(|(place, c)| Some((place?, c))).collect();
            found.sort();
            found.first().map(|(_, column)| *column)
        };
        let is_part = |column: &Column| !column.cells.is_empty() && column.cells.iter().all(|cell| cell.parse::<Part>().is_ok());
        roles.part = called(&PARTS, &is_part).or_else(|| (0..columns.len()).find(|&c| is_part(&columns[c]) && columns[c].distinct > 1));
        if let Some(named) = called(&PARTS[..2], &|column| !is_part(column)).filter(|_| roles.part.is_none()) {
            let column = &columns[named];
            let mut odd: Vec<&str> = column.cells.iter().copied().filter(|cell| cell.parse::<Part>().is_err()).collect();
            odd.sort_unstable();
            odd.dedup();
            odd.truncate(3);
            let problem = format!(
                "column `{}` is not taken as the part: it holds {}, not train, validation and test only",
                column.name,
                odd.join(", ")
            );
            roles.remarks.push(problem);
        }
        let is_id = |column: &Column| column.is_unique() && column.cells.len() == rows && !matches!(column.holds, Holds::Files(_));
        roles.id = called(&IDS, &is_id);
        if let Some(named) = called(&IDS[..1], &|column| !column.is_unique()).filter(|_| roles.id.is_none()) {
            roles.remarks.push(format!("column `{}` is not taken as the id: some of its values are there twice", columns[named].name));
        }
        let could_be_label = |column: &Column| {
            let few = (2..=MOST_CLASSES.min(rows.div_ceil(2).max(2))).contains(&column.distinct);
            few && match &column.holds {
                // What says when is no class, though it comes back.
                Holds::Names => !column.cells.iter().all(|cell| time_of(cell, false).is_some()),
                Holds::Numbers { whole, .. } => *whole,
                // Doses may be classes.
                Holds::Text | Holds::Marked => column.distinct * 4 <= rows,
                Holds::Nothing | Holds::Files(_) => false,
            }
        };
        let free = |roles: &Self, column: usize| !roles.has(column) && !columns[column].name.contains('.');
        let is_group = |column: &Column| column.distinct > 1 && !column.is_unique() && !matches!(column.holds, Holds::Files(_));
        let named = called(&LABELS, &|column| column.distinct > 0 && !matches!(column.holds, Holds::Files(_)) && !is_part(column));
        roles.label = named.filter(|&column| free(&roles, column)).or_else(|| {
            let other = |c: usize| [&GROUPS[..], &PARTS[..2], &IDS].into_iter().any(|names| place(&columns[c], names).is_some());
            let names = (0..columns.len()).filter(|&c| free(&roles, c) && could_be_label(&columns[c]) && !other(c));
            // Words rather than numbers, and the last column rather than others: so tables are usually written.
            names.max_by_key(|&c| (!columns[c].is_numbers(), c))
        });
        roles.group = called(&GROUPS, &is_group).filter(|&column| free(&roles, column));
        let numbers: Vec<usize> = (0..columns.len()).filter(|&c| free(&roles, c) && columns[c].is_numbers()).collect();
        let mut names: Vec<usize> =
            numbers.iter().copied().filter(|&c| !columns[c].name.is_empty() && columns[c].names_rows(rows)).collect();
        if let (None, Some(at)) = (roles.id, names.iter().position(|&c| is_called_id(columns[c].name) && is_id(&columns[c]))) {
            roles.id = Some(names.remove(at));
        }
        let comes_back = |c: &usize| {
            is_called_id(columns[*c].name) && !columns[*c].is_unique() && matches!(columns[*c].holds, Holds::Numbers { whole: true, .. })
        };
        let back: Vec<usize> = numbers.iter().copied().filter(|c| comes_back(c) && !names.contains(c)).collect();
        if names.len() + back.len() < numbers.len() && !back.is_empty() {
            let shown: Vec<&str> = back.iter().map(|&c| columns[c].name).collect();
            let ask = "they are called as ids and come back: if one says whose sample a row is, name it as `group`";
            roles.remarks.push(format!("columns {} are left out: {ask}", some(&shown, 8)));
            roles.names.extend(back);
        }
        // Without any other number it is better than nothing.
        if names.len() < numbers.len() && !names.is_empty() {
            let shown: Vec<&str> = names.iter().map(|&c| columns[c].name).collect();
            let what = "they count the rows, or have zeros in front as names have, and measure nothing";
            roles.remarks.push(format!("columns {} are left out: {what}; add those to `columns` that do", some(&shown, 8)));
            roles.names.extend(names);
        }
        roles
    }

    /// The column of label maps: images that are called so, where no column of classes is.
    pub fn label_maps(&self, columns: &[Column]) -> Option<usize> {
        let is_named = |column: usize| place(&columns[column], &LABELS).is_some();
        if self.label.is_some_and(is_named) {
            return None;
        }
        let images = (0..columns.len()).filter(|&column| columns[column].holds == Holds::Files("image"));
        images.filter_map(|column| Some((place(&columns[column], &MAPS)?, column))).min().map(|(_, column)| column)
    }

    /// Takes back a group that lies in several parts: a fixed split that cuts through it was meant so, or is wrong; either way no reader
    /// takes both.
    pub fn without_cut_groups(mut self, columns: &[Column], cells: impl Fn(usize, usize) -> String, rows: usize) -> Self {
        if let (Some(group), Some(part)) = (self.group, self.part) {
            let mut parts: HashMap<String, HashSet<String>> = HashMap::new();
            for row in 0..rows {
                parts.entry(cells(row, group)).or_default().insert(cells(row, part).to_lowercase());
            }
            let cut = parts.values().filter(|parts| parts.len() > 1).count();
            if cut > 0 {
                let (group, part) = (columns[group].name, columns[part].name);
                let found = format!("column `{group}` is not taken as the group: {cut} of its values lie in several parts of `{part}`");
                self.remarks.push(found.clone());
                let advice = format!(
                    "if `{group}` is who or what samples are of, the test has what training knows, and its scores are too good: divide by `{group}`, or leave \
                     `part` out and write group = {}, by which a split is drawn",
                    quoted(group)
                );
                self.findings.push(verdict(Level::Warning, "parts", found, advice, Vec::new()));
                self.group = None;
            }
        }
        self
    }
}

/// How early a column's name stands in a list: exactly, or as the beginning or end of a longer name.
fn place(column: &Column, names: &[&str]) -> Option<usize> {
    let own = column.key();
    let exact = names.iter().position(|name| own == *name || own == format!("{name}s"));
    let within = || names.iter().position(|name| name.len() > 3 && own.split('_').any(|word| word == *name));
    let ends = || names.iter().position(|name| own.ends_with(&format!("_{}", key(name))));
    exact.or_else(|| within().or_else(ends).map(|at| names.len() + at))
}
