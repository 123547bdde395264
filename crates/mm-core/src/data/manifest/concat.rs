//! Tables of the parts of a data set, put one below the other.

use super::super::Part;
use super::table::Table;
use crate::error::{Error, Result};
use crate::weights::{folder_of, write_atomically};
use serde_json::{Number, Value};
use std::path::{Path, PathBuf};

const PART: &str = "part";

/// Writes the rows of several tables into a new one (`.csv` or `.jsonl`), with a column `part` that says which part each is; returns how many rows
/// each table has.
///
/// The tables have the same columns, in any order. All of them, and the new one, lie in one folder, from which files are named.
pub fn concat_parts(parts: &[(Part, PathBuf)], out: &Path) -> Result<Vec<usize>> {
    let wrong = |path: &Path, problem: String| Error::File { path: path.into(), problem };
    let ending = out.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if !["csv", "jsonl"].contains(&ending.as_str()) {
        return Err(wrong(out, "is to be a table: give it a name that ends in .csv or .jsonl".into()));
    }
    if out.symlink_metadata().is_ok() {
        return Err(wrong(out, "is there already, and is not overwritten: give another name".into()));
    }
    let folder = whole_folder(out)?;
    let mut tables = Vec::with_capacity(parts.len());
    for (part, path) in parts {
        let table = Table::read(path)?;
        if whole_folder(path)? != folder {
            let problem = format!("lies in another folder than {}, and files are named from the folder of their table", out.display());
            return Err(wrong(path, problem));
        }
        if table.column(PART).is_some() {
            return Err(wrong(path, format!("has a column `{PART}` already: rename it, or take it out")));
        }
        if let Some(left) = table.left_out.first() {
            return Err(wrong(path, format!("column `{}` would be lost: it {}", left.column, left.why)));
        }
        tables.push((*part, table));
    }
    let Some((_, first)) = tables.first() else {
        return Err(wrong(out, "is made of the tables of parts: give at least one".into()));
    };
    let columns = first.columns.clone();
    for (_, table) in &tables {
        let lacks = |from: &[String], of: &Table| from.iter().find(|name| of.column(name).is_none()).cloned();
        if let Some(name) = lacks(&columns, table) {
            return Err(wrong(&table.path, format!("has no column `{name}`, as {} has: name columns alike", first.path.display())));
        }
        if let Some(name) = lacks(&table.columns, first) {
            return Err(wrong(&table.path, format!("has a column `{name}`, and {} has none: name columns alike", first.path.display())));
        }
    }
    let rows = tables.iter().flat_map(|(part, table)| {
        let places: Vec<usize> = columns.iter().filter_map(|name| table.column(name)).collect();
        table.rows.iter().map(move |row| (part.to_string(), places.iter().map(|&at| row.cells[at].as_str()).collect::<Vec<_>>()))
    });
    let bytes = match ending.as_str() {
        "csv" => csv_text(&columns, rows).map_err(Error::io(out))?,
        _ => json_text(&columns, rows).into_bytes(),
    };
    write_atomically(out, &bytes)?;
    Ok(tables.iter().map(|(_, table)| table.rows.len()).collect())
}

/// The folder of a file, as it is called from anywhere.
fn whole_folder(path: &Path) -> Result<PathBuf> {
    let folder = folder_of(path);
    std::fs::canonicalize(folder).map_err(Error::io(folder))
}

fn csv_text<'r>(columns: &[String], rows: impl Iterator<Item = (String, Vec<&'r str>)>) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns.iter().map(String::as_str).chain([PART]))?;
    for (part, cells) in rows {
        writer.write_record(cells.into_iter().chain([part.as_str()]))?;
    }
    writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))
}

fn json_text<'r>(columns: &[String], rows: impl Iterator<Item = (String, Vec<&'r str>)>) -> String {
    // Numbers as numbers, where that changes no digit.
    let value = |cell: &str| match cell.parse::<Number>() {
        Ok(number) if number.to_string() == cell => Value::Number(number),
        _ => Value::String(cell.into()),
    };
    // In the order of the columns, which is that of a vector's numbers.
    let pair = |name: &str, value: Value| format!("{}: {value}", Value::from(name));
    let line = |(part, cells): (String, Vec<&str>)| {
        let filled = columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
        let pairs = filled.map(|(name, cell)| pair(name, value(cell))).chain([pair(PART, part.into())]);
        format!("{{{}}}\n", pairs.collect::<Vec<_>>().join(", "))
    };
    rows.map(line).collect()
}
