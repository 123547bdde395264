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
        let problem = explained(error.message());
        Error::Parse {
            path: path.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem,
        }
    })
}

/// Refuses a plan where a card is expected, which would be told of as of unknown fields.
pub(super) fn refuse_plan(path: &Path, text: &str) -> Result<()> {
    let is_plan = |table: &toml::Table| ["runs", "data"].iter().any(|key| table.get(*key).is_some_and(toml::Value::is_array));
    let problem = "is a plan of a bench, and a card of data is expected: give the file that `card` of its [[data]] names (`mm train` takes a plan by `--plan`)";
    refuse(path, text, is_plan, problem)
}

/// Refuses a card where a plan is expected.
pub fn refuse_card(path: &Path, text: &str) -> Result<()> {
    let is_card = |table: &toml::Table| ["view", "modality", "manifest", "folders"].iter().any(|key| table.contains_key(*key));
    let problem =
        "is a card of data, and a plan of a bench is expected: name the card in a plan, [[data]] with `name` and `card`, beside [[runs]]";
    refuse(path, text, is_card, problem)
}

fn refuse(path: &Path, text: &str, is_other: impl Fn(&toml::Table) -> bool, problem: &str) -> Result<()> {
    match text.parse::<toml::Table>().is_ok_and(|table| is_other(&table)) {
        true => Err(Error::File { path: path.into(), problem: problem.into() }),
        false => Ok(()),
    }
}

/// Reads a part of a TOML file (already a table) as `T`; errors name the field below `what`, and the nearest known one.
pub fn parse_table<T: DeserializeOwned>(what: &str, table: toml::Table) -> Result<T> {
    toml::Value::Table(table).try_into().map_err(|error: toml::de::Error| {
        let problem = explained(error.message());
        // The display names the keys, the error does not give them otherwise.
        let text = error.to_string();
        let keys = text.trim_end().rsplit_once("\nin `").and_then(|(_, keys)| keys.strip_suffix('`'));
        Error::config(keys.map_or(what.to_string(), |keys| format!("{what}.{keys}")), problem)
    })
}

/// What serde says of settings, in plain words and with the nearest known name.
pub(super) fn explained(message: &str) -> String {
    let near = probably_meant(message).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    plain(message) + &near
}

/// A value of another type or out of range, in words that need no program: serde says "invalid type: string "1", expected usize".
fn plain(message: &str) -> String {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let Some((found, expected)) = rest.and_then(|rest| rest.split_once(", expected ")) else { return message.into() };
    let whole = ["usize", "u64", "u32", "u16", "u8", "i64", "i32"];
    let expected = match expected {
        name if name.starts_with('u') && whole.contains(&name) && found.starts_with("integer `-") => "a whole number that is not negative",
        name if whole.contains(&name) && message.starts_with("invalid value") => "a smaller whole number",
        name if whole.contains(&name) => "a whole number",
        "f64" | "f32" => "a number",
        "a sequence" => "a list, in [ ]",
        "a map" => "a table, in { } or under a [heading]",
        "a string" => "a text, in quotes",
        "a boolean" => "true or false",
        name if name.starts_with("struct ") => "a table, in { } or under a [heading]",
        // Our own words.
        _ => return message.into(),
    };
    let words = [("string ", "the text "), ("integer ", "the number "), ("floating point ", "the number "), ("boolean ", "the value ")];
    let word = words.iter().find_map(|(kind, word)| Some(format!("{word}{}", found.strip_prefix(kind)?)));
    let found = word.unwrap_or_else(|| if found == "map" { "a table".into() } else { found.replace("sequence", "a list") });
    format!("{found} stands where {expected} is expected")
}

/// Serde words it "unknown field `x`, expected one of `a`, `b`" (or "unknown variant"): the nearest of the expected.
fn probably_meant(message: &str) -> Option<&str> {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (unknown, expected) = quoted.split_first()?;
    message.starts_with("unknown ").then(|| nearest(unknown, expected.iter().copied()))?
}
