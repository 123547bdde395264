//! Columns that say what a sample is called and where it belongs: its id, group and part.

use super::super::Part;
use super::ID;
use super::columns::no_column;
use super::table::Table;
use crate::error::Result;

/// What a column says of each sample. It may be lacking, unless somebody named it.
pub(super) struct Role {
    usual: &'static str,
    what: &'static str,
    said: Option<String>,
}

impl Role {
    pub const ID: Self = Self { usual: ID, what: "the name of each sample", said: None };
    pub const GROUP: Self = Self { usual: "group", what: "the group of each sample", said: None };
    pub const PART: Self = Self { usual: "part", what: "the part of each sample", said: None };

    /// It stands in this column.
    pub fn in_column(self, column: impl Into<String>) -> Self {
        Self { said: Some(column.into()), ..self }
    }

    /// The name of its column, if it is another than usual.
    pub fn other_name(&self) -> Option<&String> {
        self.said.as_ref().filter(|name| *name != self.usual)
    }

    /// Whether somebody named its column.
    pub fn is_said(&self) -> bool {
        self.said.is_some()
    }

    /// Its column.
    pub fn column(&self, table: &Table) -> Result<Option<usize>> {
        match &self.said {
            Some(name) => table.column(name).map(Some).ok_or_else(|| no_column(table, name, self.what)),
            None => Ok(table.column(self.usual)),
        }
    }

    /// A column that was probably meant, and is not read as it is not called so; `read`: those that are.
    pub fn remark(&self, table: &Table, read: &[usize]) -> Option<String> {
        if self.said.is_some() || table.column(self.usual).is_some() {
            return None;
        }
        let meant = |&column: &usize| {
            let name = table.columns[column].to_lowercase();
            let holds_parts =
                || table.rows.iter().map(|row| &row.cells[column]).all(|text| text.is_empty() || text.parse::<Part>().is_ok());
            match self.usual == Self::PART.usual {
                true => ["part", "split"].contains(&name.as_str()) && holds_parts(),
                false => name == self.usual,
            }
        };
        let column = (0..table.columns.len()).filter(|column| !read.contains(column)).find(meant)?;
        let (name, usual) = (&table.columns[column], self.usual);
        let advice = format!("if it is that, call it `{usual}`, or write {usual} = \"{name}\" in the card");
        Some(format!("{}: column `{name}` is not read as {}: {advice}", table.path.display(), self.what))
    }
}
