//! Which rows of several files belong together.

use super::DataError;
use super::labels::alike;
use super::names::some;
use super::read_as::ID;
use super::reader::Table;
use super::text::parse_error;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

/// Sample -> row of each table.
pub(super) type RowMaps = Vec<Vec<Option<usize>>>;

/// How the ids of one file met those of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// The file.
    pub file: String,
    /// Lines with samples.
    pub rows: usize,
    /// Of these, how many have an id that another file has too; all if there is one file or files are joined by row.
    pub matched: usize,
    /// Ids that it has alone.
    pub unmatched: usize,
    /// Ids that other files have and it lacks.
    pub lacking: usize,
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, rows, matched, unmatched, lacking } = self;
        if *unmatched == 0 && *lacking == 0 {
            return write!(f, "{file}: {rows} ids, all match");
        }
        write!(f, "{file}: {rows} ids, {matched} in another file too, {unmatched} only here, {lacking} that others have are not here")
    }
}

/// Rows of the same place are one sample, and so is an id where there are some.
pub(super) fn by_rows(tables: &[Table]) -> Result<RowMaps> {
    let samples = tables[0].lines.len();
    if let Some(other) = tables.iter().find(|t| t.lines.len() != samples) {
        let (path, other_path) = (tables[0].path.clone(), other.path.clone());
        return Err(DataError::Rows { path, rows: samples, other: other_path, other_rows: other.lines.len() }.into());
    }
    for table in tables.iter().filter(|table| table.keys[ID].is_some()) {
        let column = &table.header.names[id_column(table)];
        let advice = format!("; where rows belong together (of one patient), write group = {column:?} in place of `id`");
        rows_by_id(table, &advice)?;
    }
    Ok(vec![(0..samples).map(Some).collect(); tables.len()])
}

/// Rows with the same id are one sample, in the order of first appearance in a file with a modality. Files must match, but for
/// what `allow_unmatched` allows; what to know about it is added to `remarks`.
pub(super) fn by_id(tables: &[Table], allow_unmatched: bool, remarks: &mut Vec<String>) -> Result<RowMaps> {
    let mut rows_of: Vec<HashMap<&str, usize>> = Vec::with_capacity(tables.len());
    for table in tables {
        rows_of.push(rows_by_id(table, "")?);
    }
    let mut order: Vec<&str> = Vec::new();
    let mut seen = HashSet::new();
    for table in tables.iter().filter(|t| t.modality.is_some()) {
        order.extend(ids(table).iter().map(String::as_str).filter(|id| seen.insert(*id)));
    }
    for (table, rows) in tables.iter().zip(&rows_of) {
        // Views of one file are no evidence of a match.
        let others = || tables.iter().zip(&rows_of).filter(|(other, _)| other.path != table.path).map(|(_, rows)| rows);
        let alone = sorted(rows.keys().copied().filter(|id| !others().any(|o| o.contains_key(id))));
        let lacking: Vec<&str> = order.iter().copied().filter(|id| !rows.contains_key(id)).collect();
        let likeness = likeness(&alone, &lacking);
        if others().next().is_some() && alone.len() == rows.len() {
            let elsewhere = sorted(others().flat_map(HashMap::keys).copied());
            let hint = likeness.map_or_else(|| "does `id` name the right column of each file?".into(), |likeness| likeness.to_string());
            let problem =
                format!("no id of this file is in another file: here {}, elsewhere {}; {hint}", some(&alone, 5), some(&elsewhere, 5));
            return Err(parse_error(&table.path, table.header.line, id_column(table) + 1, problem));
        }
        let file = table.path.display();
        if table.modality.is_none() {
            let extra: Vec<&str> = alone.into_iter().filter(|id| !seen.contains(id)).collect();
            if !extra.is_empty() {
                remarks.push(format!("{file}: labels of {} ids that no file with readings has: {}", extra.len(), some(&extra, 5)));
            }
        } else if !lacking.is_empty() && !allow_unmatched {
            let ids = lacking.into_iter().map(String::from).collect();
            return Err(DataError::LackingIds { path: table.path.clone(), ids, likeness: likeness.map(Box::new) }.into());
        } else if let Some(likeness) = likeness {
            remarks.push(format!("{file}: {likeness}"));
        }
    }
    Ok(rows_of.iter().map(|rows| order.iter().map(|id| rows.get(id).copied()).collect()).collect())
}

fn ids(table: &Table) -> &[String] {
    table.keys[ID].as_ref().map_or(&[], |column| &column.values)
}

fn id_column(table: &Table) -> usize {
    table.keys[ID].as_ref().map_or(0, |column| column.column)
}

/// The row of each id; an error with this advice where one stands twice.
fn rows_by_id<'t>(table: &'t Table, advice: &str) -> Result<HashMap<&'t str, usize>> {
    if table.keys[ID].is_none() {
        return Err(parse_error(
            &table.path,
            table.header.line,
            1,
            "files joined by id need an id column; name it in the card or the view",
        ));
    }
    let mut rows = HashMap::new();
    let mut twice: BTreeMap<&str, usize> = BTreeMap::new();
    for (row, id) in ids(table).iter().enumerate() {
        if rows.insert(id.as_str(), row).is_some() {
            twice.entry(id).or_insert(row);
        }
    }
    match twice.values().min() {
        Some(row) => {
            let problem = format!("ids that appear twice: {}; an id is one sample{advice}", some(&sorted(twice.keys().copied()), 5));
            Err(parse_error(&table.path, table.lines[*row], id_column(table) + 1, problem))
        }
        None => Ok(rows),
    }
}

/// How ids that do not match would: as numbers, or but for case and spaces.
pub(super) fn likeness(own: &[&str], other: &[&str]) -> Option<Likeness> {
    let own: HashMap<String, &str> = own.iter().rev().map(|id| (alike(id), *id)).collect();
    let pairs: Vec<(&str, &str)> = other.iter().filter_map(|id| Some((*own.get(&alike(id))?, *id))).collect();
    let (a, b) = *pairs.first()?;
    let as_numbers = a.parse::<f64>().is_ok() && b.parse::<f64>().is_ok();
    Some(Likeness { ids: pairs.len(), as_numbers, here: a.into(), there: b.into() })
}

/// How ids of one file that others do not have would match theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Likeness {
    /// How many would.
    pub ids: usize,
    /// Whether as numbers; otherwise but for case and spaces.
    pub as_numbers: bool,
    /// Such an id of the file.
    pub here: String,
    /// What other files have in its place.
    pub there: String,
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ids, as_numbers, here, there } = self;
        let how = if *as_numbers { "as numbers" } else { "without regard to case and spaces" };
        write!(f, "{ids} ids would match {how}, such as `{here}` and `{there}`: write them alike in both files")
    }
}

/// One report a file, each file once.
pub(super) fn file_reports(tables: &[Table], maps: &RowMaps) -> Vec<FileReport> {
    let mut reports: Vec<FileReport> = Vec::new();
    for (i, table) in tables.iter().enumerate() {
        let file = table.path.display().to_string();
        if reports.iter().any(|r| r.file == file) {
            continue;
        }
        let others = |sample: usize| maps.iter().zip(tables).any(|(map, other)| other.path != table.path && map[sample].is_some());
        let alone = tables.iter().all(|other| other.path == table.path);
        let has = |sample: &usize| maps[i][*sample].is_some();
        let samples = 0..maps[i].len();
        let matched = samples.clone().filter(has).filter(|&sample| alone || others(sample)).count();
        let lacking = samples.filter(|sample| !has(sample)).count();
        let rows = table.lines.len();
        reports.push(FileReport { file, rows, matched, unmatched: rows - matched, lacking });
    }
    reports
}

/// Names in order, each once.
fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names.collect::<BTreeSet<_>>().into_iter().collect()
}
