//! Reading TOML with messages that say where and what was probably meant.

use super::names::nearest;
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use std::path::Path;

/// Reads `text` as `T`; errors carry file, line and column, and for an unknown field the nearest known one.
pub fn parse_toml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let mut problem = error.message().to_string();
        if let Some(near) = probably_meant(&problem) {
            problem += &format!("; did you mean `{near}`?");
        }
        Error::Parse {
            path: path.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem,
        }
    })
}

/// Reads a part of a TOML file (already a table) as `T`; errors name the field below `what`, and the nearest known one.
pub fn parse_table<T: DeserializeOwned>(what: &str, table: toml::Table) -> Result<T> {
    toml::Value::Table(table).try_into().map_err(|error: toml::de::Error| {
        let mut problem = error.message().to_string();
        if let Some(near) = probably_meant(&problem) {
            problem += &format!("; did you mean `{near}`?");
        }
        // The display names the keys, the error does not give them otherwise.
        let text = error.to_string();
        let keys = text.trim_end().rsplit_once("\nin `").and_then(|(_, keys)| keys.strip_suffix('`'));
        Error::config(keys.map_or(what.to_string(), |keys| format!("{what}.{keys}")), problem)
    })
}

/// Serde words it "unknown field `x`, expected one of `a`, `b`" (or "unknown variant"): the nearest of the expected.
fn probably_meant(message: &str) -> Option<&str> {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (unknown, expected) = quoted.split_first()?;
    message.starts_with("unknown ").then(|| nearest(unknown, expected.iter().copied()))?
}
