//! Columns that look as if they were of a sensor, and are not read.

use super::super::kinds::{Kind, Written};
use super::columns::Columns;
use super::table::Table;
use std::sync::Arc;

/// What to know about the columns `<column>.*` beside a sensor's own, such as `sound.end`; `used` are those that are read.
pub(super) fn remarks<'a>(
    table: &Table,
    sensors: impl Iterator<Item = (&'a str, &'a Arc<dyn Kind>, &'a Columns)>,
    used: &[usize],
) -> Vec<String> {
    let remark = |(column, kind, columns): (&str, &Arc<dyn Kind>, &Columns)| {
        let prefix = format!("{column}.");
        let unread = |(at, name): (usize, &String)| (name.starts_with(&prefix) && !used.contains(&at)).then(|| format!("`{name}`"));
        let unread: Vec<String> = table.columns.iter().enumerate().filter_map(unread).collect();
        let why = match (columns, kind.written()) {
            (Columns::Numbers(_) | Columns::Measured { .. }, _) => return None,
            (_, Written::File) => format!("of a file `{column}.start` and `{column}.length` are, where it is not read whole"),
            (_, Written::Text | Written::Folder) => format!("a {} has no start and length", kind.name()),
        };
        let s = if unread.len() == 1 { " is" } else { "s are" };
        (!unread.is_empty()).then(|| format!("{}: column{s} not read: {}; {why}", table.path.display(), unread.join(", ")))
    };
    sensors.filter_map(remark).collect()
}
