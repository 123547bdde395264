//! A column of a table: by name, or by position where names do not help.

use super::names::suggestion;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use std::result::Result;

/// A column: its name in the header, or its position (1 is the first, -1 the last).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Column {
    /// By name.
    Name(String),
    /// By position; never 0.
    Position(i64),
}

impl Column {
    /// Its index in a header, or what is wrong.
    pub(super) fn find(&self, header: &[String]) -> Result<usize, String> {
        match self {
            Self::Position(position) => {
                let index = if *position > 0 { position - 1 } else { position.saturating_add(header.len() as i64) };
                usize::try_from(index)
                    .ok()
                    .filter(|i| *i < header.len())
                    .ok_or_else(|| format!("column {position} was asked for, but the file has {}", header.len()))
            }
            Self::Name(name) => {
                let mut found = header.iter().enumerate().filter(|(_, h)| *h == name).map(|(i, _)| i);
                match (found.next(), found.next()) {
                    (Some(index), None) => Ok(index),
                    (Some(_), Some(_)) => Err(format!("several columns are called `{name}`; give the position instead (-1 is the last)")),
                    (None, _) => Err(format!("there is no column `{name}`; {}", suggestion(name, header.iter().map(String::as_str)))),
                }
            }
        }
    }

    /// The name, if it is given by name.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Position(_) => None,
        }
    }

    /// The position, if it is given by position.
    pub(super) fn position(&self) -> Option<i64> {
        match self {
            Self::Name(_) => None,
            Self::Position(position) => Some(*position),
        }
    }

    /// Whether the file has it.
    pub(super) fn is_in(&self, header: &[String]) -> bool {
        match self {
            Self::Name(name) => header.contains(name),
            Self::Position(_) => true,
        }
    }
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl From<i64> for Column {
    fn from(position: i64) -> Self {
        Self::Position(position)
    }
}

impl<'de> Deserialize<'de> for Column {
    // By hand, because an untagged enum cannot say what it expected.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Column;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a column: its name in quotes, or its position (1 is the first, -1 the last)")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Column, E> {
                Ok(Column::Name(name.into()))
            }
            fn visit_i64<E: de::Error>(self, position: i64) -> Result<Column, E> {
                match position {
                    0 => Err(E::invalid_value(de::Unexpected::Signed(0), &self)),
                    _ => Ok(Column::Position(position)),
                }
            }
            fn visit_u64<E: de::Error>(self, position: u64) -> Result<Column, E> {
                self.visit_i64(i64::try_from(position).unwrap_or(i64::MAX))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
