//! What each column of a table is for.

use super::column::Column;
use super::read_as::{KEY_NAMES, ReadAs};
use super::text::parse_error;
use crate::error::Result;
use std::collections::HashMap;
use std::path::Path;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Role {
    Skip,
    Feature,
    Key(usize),
    /// What is to be predicted: which label or number.
    Target(usize),
}

/// The header of a table.
pub(super) struct Header {
    pub names: Vec<String>,
    pub line: usize,
}

impl Header {
    /// An error about a column of it, counted from 0.
    pub fn error(&self, path: &Path, column: usize, problem: impl Into<String>) -> crate::Error {
        parse_error(path, self.line, column + 1, problem)
    }
}

/// What each column is for; the names of columns without a name that are left out are added to `ignored`.
pub(super) fn roles(reading: &ReadAs, path: &Path, header: &Header, delimiter: char, ignored: &mut Vec<String>) -> Result<Vec<Role>> {
    let names = &header.names;
    let find = |column: &Column| column.find(names).map_err(|problem| header.error(path, 0, problem + &one_field(header, delimiter)));
    let mut roles = vec![if reading.columns.is_some() { Role::Skip } else { Role::Feature }; names.len()];
    match reading.columns {
        Some(columns) => {
            for column in columns {
                roles[find(column)?] = Role::Feature;
            }
        }
        // One that is not there is told where its view is read.
        None => reading.taken.iter().filter_map(|column| column.find(names).ok()).for_each(|index| roles[index] = Role::Skip),
    }
    for name in reading.categories.keys() {
        let index = find(&Column::Name(name.clone()))?;
        if roles[index] != Role::Feature {
            let problem = format!("column `{name}` has `categories` and is not in `columns`: add it there");
            return Err(header.error(path, index, problem));
        }
    }
    for column in reading.view_ignore.iter().chain(reading.ignore.iter().filter(|c| c.is_in(names))) {
        let index = find(column)?;
        if roles[index] == Role::Feature && (reading.columns.is_some() || reading.categories.contains_key(&names[index])) {
            let named = if reading.columns.is_some() { "columns" } else { "categories" };
            return Err(header.error(path, index, format!("column `{}` is in `{named}` and in `ignore`", names[index])));
        }
        roles[index] = Role::Skip;
    }
    // A name of the card in the first line shows that it is a header.
    let mut named = reading.header || reading.columns.into_iter().flatten().any(|c| matches!(c, Column::Name(_)));
    let mut by_position = vec![false; names.len()];
    for (key, (own, default)) in reading.own.into_iter().zip(reading.defaults).enumerate() {
        let Some(column) = own.or(default.filter(|c| c.is_in(names))) else { continue };
        let index = find(column)?;
        match roles[index] {
            Role::Key(other) => {
                let problem = format!("column `{}` is both {} and {}", names[index], KEY_NAMES[other], KEY_NAMES[key]);
                return Err(header.error(path, index, problem));
            }
            Role::Feature if reading.columns.is_some() => {
                let problem = format!("column `{}` is both a feature and the {}; take it out of `columns`", names[index], KEY_NAMES[key]);
                return Err(header.error(path, index, problem));
            }
            _ => roles[index] = Role::Key(key),
        }
        by_position[index] = matches!(column, Column::Position(_));
        named |= !by_position[index];
    }
    for (target, name) in reading.targets.iter().enumerate() {
        let Some(index) = names.iter().position(|n| n == name) else { continue };
        if roles[index] == Role::Feature && reading.columns.is_some() {
            let problem = format!("column `{name}` is both a feature and to be predicted; take it out of `columns`");
            return Err(header.error(path, index, problem));
        }
        if let Role::Key(key) = roles[index] {
            return Err(header.error(path, index, format!("column `{name}` is the {} and to be predicted", KEY_NAMES[key])));
        }
        roles[index] = Role::Target(target);
        named = true;
    }
    check_names(path, header, &mut roles, &by_position, named, ignored)?;
    if let (Some(modality), false) = (reading.modality, roles.contains(&Role::Feature)) {
        let mut used: Vec<String> = names
            .iter()
            .zip(&roles)
            .filter_map(|(name, role)| if let Role::Key(key) = role { Some(format!("`{name}` is the {}", KEY_NAMES[*key])) } else { None })
            .collect();
        used.extend((!reading.taken.is_empty()).then(|| "other views of the file name theirs".into()));
        let used = if used.is_empty() { String::new() } else { format!(": {}", used.join(", ")) };
        return Err(header.error(path, 0, format!("no column is left for modality `{modality}`{used}{}", one_field(header, delimiter))));
    }
    Ok(roles)
}

/// Whether the first line can be a header: columns have names, each its own, and they are no data.
fn check_names(
    path: &Path,
    header: &Header,
    roles: &mut [Role],
    by_position: &[bool],
    named: bool,
    ignored: &mut Vec<String>,
) -> Result<()> {
    let names = &header.names;
    if let (Some(mark), false) = (comment_mark(&names[0]), named) {
        let problem = format!(
            "the first line looks like a comment: remove it, or write comment = {mark:?} in the card (if it is a header, write header = true in the view)"
        );
        return Err(header.error(path, 0, problem));
    }
    let mut seen = HashMap::new();
    for (column, name) in names.iter().enumerate() {
        // The row numbers that pandas writes, and the end of lines that end with a delimiter.
        let index = column == 0 && (name.is_empty() || name == "Unnamed: 0");
        if (index || name.is_empty() && column + 1 == names.len()) && roles[column] == Role::Feature && names.len() > 1 {
            roles[column] = Role::Skip;
            ignored.push(if name.is_empty() { format!("(column {}, without a name)", column + 1) } else { name.clone() });
            continue;
        }
        if name.is_empty() && roles[column] == Role::Feature {
            return Err(header.error(path, column, "this column has no name; give it one in the header line"));
        }
        if !named && name.parse::<f64>().is_ok() && name.parse::<u64>().is_err() {
            return Err(header.error(
                path,
                column,
                format!("`{name}` looks like data; the first line must be a header with column names (if it is one, write header = true in the view)"),
            ));
        }
        if by_position[column] || name.is_empty() {
            continue;
        }
        if let Some(first) = seen.insert(name, column + 1) {
            let problem =
                format!("columns {first} and {} are both called `{name}`; rename one, or is the header line missing?", column + 1);
            return Err(header.error(path, column, problem));
        }
    }
    // Numbered columns are a header (0, 1, 2, ...); numbers in any order are data.
    let features = names.iter().zip(&*roles).filter(|(_, r)| **r == Role::Feature).map(|(name, _)| name.parse::<u64>());
    if let Ok(numbers) = features.collect::<std::result::Result<Vec<_>, _>>()
        && !named
        && !numbers.is_sorted()
        && !numbers.iter().rev().is_sorted()
    {
        let problem =
            "the first line looks like data; it must be a header with column names (if it is one, write header = true in the view)";
        return Err(header.error(path, 0, problem));
    }
    Ok(())
}

/// The sign that a line of a comment begins with, as programs write them.
pub(super) fn comment_mark(first: &str) -> Option<&str> {
    first.get(..1).filter(|mark| ["#", "%", "!", "/", ";"].contains(mark))
}

/// What may be wrong where the header is a single field.
pub(super) fn one_field(header: &Header, delimiter: char) -> String {
    match header.names.as_slice() {
        [name] if comment_mark(name).is_none() && name.contains(|c: char| !c.is_alphanumeric() && c != '_' && c != '-') => {
            format!(
                "; the line is a single field between delimiters {delimiter:?}: if they are others, write delimiter = \"...\" in the card"
            )
        }
        _ => String::new(),
    }
}
