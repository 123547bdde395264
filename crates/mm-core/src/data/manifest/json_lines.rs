//! JSON lines as a table: a name is a column, and so is each part of an object or a list.

use super::super::text::{parse_error, text};
use super::table::{Read, Row};
use crate::error;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

/// A value of JSON, objects in the order of the text: the order of columns is that of a vector's numbers.
enum Json {
    Null,
    /// Text, a number or a truth, as a table would have it.
    Cell(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, truth: bool) -> Result<Json, E> {
                Ok(Json::Cell(truth.to_string()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
                Ok(Json::Cell(number.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
                Ok(Json::Cell(number.to_string()))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
                let number = serde_json::Number::from_f64(number).ok_or_else(|| E::custom("a number that is not finite"))?;
                Ok(Json::Cell(number.to_string()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Json, E> {
                Ok(Json::Cell(text.trim().to_string()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Json::List(values))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Json::Object(pairs))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// The columns of JSON lines, in the order in which their names first stand.
#[derive(Default)]
pub(super) struct JsonColumns {
    pub names: Vec<String>,
    places: HashMap<String, usize>,
    /// Columns that held nothing yet.
    blank: HashSet<usize>,
    /// Names of objects and lists, whose parts are the columns.
    groups: HashSet<String>,
}

impl JsonColumns {
    /// A line, an object; a name that is new becomes a column. A line of white space is none.
    pub fn row(&mut self, path: &Path, json: &[u8], line: usize) -> error::Result<Option<Row>> {
        if json.trim_ascii().is_empty() {
            return Ok(None);
        }
        let pairs = match serde_json::from_slice(json) {
            Ok(Json::Object(pairs)) => pairs,
            Ok(_) => return Err(parse_error(path, line, 1, "each line is a JSON object, such as {\"label\": \"cat\"}")),
            Err(error) => {
                let column = error.column().max(1);
                return Err(parse_error(path, line, column, format!("each line is a JSON object{}: {error}", advice(json, column))));
            }
        };
        let mut cells = vec![None; self.names.len()];
        for (name, value) in pairs {
            let place = self.places.get(&name).map_or(1, |place| place + 1);
            self.put(name, value, &mut cells).map_err(|problem| parse_error(path, line, place, problem))?;
        }
        Ok(Some(Row { line, cells: cells.into_iter().map(Option::unwrap_or_default).collect() }))
    }

    fn put(&mut self, name: String, value: Json, cells: &mut Vec<Option<String>>) -> Result<(), String> {
        let parts: Vec<(String, Json)> = match value {
            Json::Null if self.groups.contains(&name) => return Ok(()),
            Json::Null => return self.cell(name, None, cells),
            Json::Cell(text) => return self.cell(name, Some(text), cells),
            Json::Object(pairs) => pairs.into_iter().map(|(part, value)| (format!("{name}.{part}"), value)).collect(),
            Json::List(values) => (1..).zip(values).map(|(at, value)| (format!("{name}.{at}"), value)).collect(),
        };
        if let Some(place) = self.places.get(&name).copied() {
            // A name that said nothing so far was that of a group: its first part takes the column.
            let Some((first, _)) = parts.first().filter(|(first, _)| self.blank.contains(&place) && !self.places.contains_key(first))
            else {
                return Err(format!("`{name}` is a list or an object here and neither in another line: write it in one way"));
            };
            self.places.remove(&name);
            self.places.insert(first.clone(), place);
            self.names[place] = first.clone();
            // What this line said under that name is nothing.
            cells[place] = None;
        }
        self.groups.insert(name);
        parts.into_iter().try_for_each(|(name, value)| self.put(name, value, cells))
    }

    fn cell(&mut self, name: String, text: Option<String>, cells: &mut Vec<Option<String>>) -> Result<(), String> {
        if self.groups.contains(&name) {
            return Err(format!("`{name}` is a list or an object in another line and neither here: write it in one way"));
        }
        let place = match self.places.get(&name) {
            Some(place) => *place,
            None => {
                let place = self.names.len();
                self.names.push(name.clone());
                self.blank.insert(place);
                self.places.insert(name.clone(), place);
                place
            }
        };
        cells.resize(self.names.len().max(cells.len()), None);
        if cells[place].is_some() {
            return Err(format!("`{name}` stands twice in this line"));
        }
        if text.is_some() {
            self.blank.remove(&place);
        }
        cells[place] = Some(text.unwrap_or_default());
        Ok(())
    }
}

/// What to do about a line that is no JSON, where it can be told from what stands there.
fn advice(json: &[u8], column: usize) -> &'static str {
    let at = json.get(column - 1..).unwrap_or_default();
    let at = at.strip_prefix(b"-").unwrap_or(at);
    match at.starts_with(b"NaN") || at.starts_with(b"Infinity") {
        true => ", and JSON has no NaN or Infinity: write null where there is no reading",
        false => ", such as {\"label\": \"cat\"}",
    }
}

/// An object a line: names are columns.
pub(super) fn json_lines(path: &Path, bytes: &[u8]) -> error::Result<Read> {
    let text = text(path, bytes)?;
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    let (mut columns, mut rows) = (JsonColumns::default(), Vec::new());
    for (line, json) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        rows.extend(columns.row(path, json, line)?);
    }
    rows.iter_mut().for_each(|row| row.cells.resize(columns.names.len(), String::new()));
    Ok((columns.names, rows))
}
