//! The card of a table of samples.

use super::column::{Column, Holds};
use super::roles::Roles;
use super::sensor::{Reading, Written, of_files};
use super::{Guess, name_of, named_from, quoted};
use crate::data::manifest::Table;
use crate::data::names::some;
use crate::error::{Error, Result};
use std::path::Path;

/// Guesses it.
pub(super) fn guess(path: &Path, beside: &Path) -> Result<Guess> {
    let table = Table::read(path)?;
    let columns: Vec<Column> = (0..table.columns.len()).map(|column| Column::of(&table, column)).collect();
    let cell = |row: usize, column: usize| table.rows[row].cells[column].clone();
    let mut roles = Roles::of(&columns, table.rows.len()).without_cut_groups(&columns, cell, table.rows.len());
    let Some(label) = roles.label else {
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        let problem = format!("no column looks like the class of a sample: call it `label`; there are: {}", some(&names, 12));
        return Err(Error::File { path: path.into(), problem });
    };
    let csv = !table.is_typed;
    let mut remarks = std::mem::take(&mut roles.remarks);
    let sensors = sensors(path, &table, &columns, &roles, &mut remarks);
    let file = named_from(path, beside)?;
    let name = name_of(&path.file_stem().unwrap_or_default().to_string_lossy().replace(".csv", ""));
    let mut card = format!("# Guessed by `mm data check` from {} rows: look it over, and correct what is wrong.\n", table.rows.len());
    card += &format!("name = {}\n", quoted(&name));
    let key = |what: &str, column: Option<usize>, why: &str| {
        let named = column.filter(|&column| columns[column].name != what);
        named.map(|column| format!("{what} = {}{why}\n", quoted(columns[column].name))).unwrap_or_default()
    };
    let classes = format!("  # {} classes", columns[label].distinct);
    let of_files = sensors.iter().any(|sensor| sensor.kind != "vector") || !csv;
    if of_files {
        card += &format!("manifest = {}\n", quoted(&file));
        card += &key("label", roles.label, &classes);
        card += &key("part", roles.part, "");
        card += &key("group", roles.group, "  # samples of one group stay in one part");
        card += &key("id", roles.id, "");
        if columns[label].cells.len() < table.rows.len() {
            card += "missing_label = \"drop\"  # some rows have no label\n";
        }
        sensors.iter().for_each(|sensor| card += &sensor.toml());
        if sensors.is_empty() {
            let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
            let problem = format!("no column looks like a sensor (files, sentences, numbers); there are: {}", some(&names, 12));
            return Err(Error::File { path: path.into(), problem });
        }
        return Ok(Guess { card, remarks });
    }
    let numbers: Vec<usize> = (0..columns.len()).filter(|&c| columns[c].is_numbers() && !roles.has(c)).collect();
    remarks.retain(|remark| !remark.contains(PLAIN));
    if numbers.is_empty() {
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        let problem = format!("no column looks like a sensor (files, sentences, numbers); there are: {}", some(&names, 12));
        return Err(Error::File { path: path.into(), problem });
    }
    card += &numbers_toml(&table, &columns, &roles, &numbers, &classes);
    for (sensor, of) in by_sensor(&columns, &numbers, &name) {
        let names: Vec<String> = of.iter().map(|&column| quoted(columns[column].name)).collect();
        card += &format!("\n[[view]]\nmodality = {}\nfile = {}\ncolumns = [{}]\n", quoted(&sensor), quoted(&file), names.join(", "));
    }
    Ok(Guess { card, remarks })
}

/// In a remark on numbers that are no sensor.
const PLAIN: &str = "hold numbers and are left out";

/// The sensors whose readings are files, sentences, or numbers under a common name.
fn sensors(path: &Path, table: &Table, columns: &[Column], roles: &Roles, remarks: &mut Vec<String>) -> Vec<Written> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut sensors: Vec<Written> = Vec::new();
    let (mut plain, mut odd): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for (at, column) in columns.iter().enumerate().filter(|(at, _)| !roles.has(*at)) {
        let name = name_of(column.name);
        let renamed = (name != column.name).then(|| column.name.to_string());
        let (stem, variable) = column.name.split_once('.').unwrap_or((column.name, ""));
        match &column.holds {
            Holds::Files(kind) => {
                let number = |suffix: &str| table.column(&format!("{}.{suffix}", column.name));
                let (start, length) = (number("start"), number("length"));
                let reading = |row: &crate::data::manifest::Row| -> Option<Reading> {
                    let cell = Some(&row.cells[at]).filter(|cell| !cell.is_empty())?;
                    let whole =
                        |column: Option<usize>| column.and_then(|column| row.cells[column].trim_end_matches(".0").parse::<u64>().ok());
                    let part = match (whole(start), whole(length)) {
                        (from, Some(length)) => Some(from.unwrap_or(0)..from.unwrap_or(0).saturating_add(length)),
                        (Some(from), None) => Some(from..u64::MAX),
                        (None, None) => None,
                    };
                    Some((folder.join(cell), part))
                };
                let readings: Vec<Reading> = table.rows.iter().filter_map(reading).collect();
                sensors.push(of_files(&name, kind, renamed, &readings));
            }
            Holds::Text => sensors.push(Written { name, kind: "text", column: renamed, settings: String::new() }),
            // The place of a reading in its file.
            Holds::Numbers { .. } if ["start", "length"].contains(&variable) && columns.iter().any(|c| c.name == stem) => {}
            Holds::Numbers { .. } if !variable.is_empty() => {
                let count = columns.iter().filter(|other| other.is_numbers() && other.name.starts_with(&format!("{stem}."))).count();
                if !sensors.iter().any(|sensor| sensor.kind == "vector" && sensor.name == name_of(stem)) {
                    let renamed = (name_of(stem) != stem).then(|| stem.to_string());
                    sensors.push(Written {
                        name: name_of(stem),
                        kind: "vector",
                        column: renamed,
                        settings: format!("features = {count}\n"),
                    });
                }
            }
            Holds::Numbers { .. } => plain.push(column.name),
            Holds::Names => odd.push(column.name),
            Holds::Nothing => odd.push(column.name),
        }
    }
    if !plain.is_empty() {
        let advice = format!("to use them as a sensor, call them `place.{}` and so on", plain[0]);
        remarks.push(format!("columns {} {PLAIN}; {advice}", some(&plain, 8)));
    }
    if !odd.is_empty() {
        remarks.push(format!("columns {} are left out: they hold neither files, sentences nor numbers", some(&odd, 8)));
    }
    sensors
}

/// Label and the like of a table of numbers, and how it is written.
fn numbers_toml(table: &Table, columns: &[Column], roles: &Roles, numbers: &[usize], classes: &str) -> String {
    let mut card = String::new();
    let mut key = |what: &str, column: Option<usize>, why: &str| {
        column.iter().for_each(|&column| card += &format!("{what} = {}{why}\n", quoted(columns[column].name)));
    };
    key("label", roles.label, classes);
    key("part", roles.part, "");
    key("group", roles.group, "  # samples of one group stay in one part");
    key("id", roles.id, "");
    let (mut comma, mut words) = (false, Vec::new());
    for &column in numbers {
        if let Holds::Numbers { comma: has, missing, .. } = &columns[column].holds {
            comma |= has;
            words.extend(missing.iter().map(|word| quoted(word)));
        }
    }
    words.sort();
    words.dedup();
    if comma {
        card += "decimal = \",\"\n";
    }
    if !words.is_empty() {
        card += &format!("missing = [{}]  # cells that stand for no reading\n", words.join(", "));
    }
    let gaps = |column: usize| table.rows.iter().any(|row| row.cells[column].is_empty() || words.contains(&quoted(&row.cells[column])));
    if numbers.iter().any(|&column| gaps(column)) {
        card += "partial = \"absent\"  # a sensor counts as absent in rows where some of its cells are empty\n";
        card += "no_reading = \"drop\"  # rows without any reading are left out\n";
    }
    if roles.label.is_some_and(|label| columns[label].cells.len() < table.rows.len()) {
        card += "missing_label = \"drop\"  # some rows have no label\n";
    }
    card
}

/// Columns by sensor: what stands before the first point of their names, or all together.
fn by_sensor(columns: &[Column], numbers: &[usize], all: &str) -> Vec<(String, Vec<usize>)> {
    let mut sensors: Vec<(String, Vec<usize>)> = Vec::new();
    for &column in numbers {
        let name = columns[column].name.split_once('.').map_or_else(|| all.to_string(), |(sensor, _)| name_of(sensor));
        match sensors.iter_mut().find(|(known, _)| *known == name) {
            Some((_, of)) => of.push(column),
            None => sensors.push((name, vec![column])),
        }
    }
    sensors
}
