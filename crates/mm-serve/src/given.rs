//! What a request says of the sensors: JSON, or the parts of a form.

use crate::decode::wanted;
use crate::error::Refusal;
use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::stream::once;
use mm_core::Pipeline;
use mm_core::data::kinds::Written;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt;

/// Brackets that numbers may stand in.
const DEEPEST: usize = 5;
/// Files of one sensor: the frames of a video.
const MOST_FILES: usize = 1024;

/// What is given of one sensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    Absent,
    Numbers { shape: Vec<usize>, values: Vec<f64> },
    Text(String),
    Files(Vec<(String, Bytes)>),
}

/// What is given of each sensor, in the schema's order; `None` where the request does not name it.
pub(crate) type All = Vec<Option<Given>>;

/// What the reading of a request needs to know.
pub(crate) struct Asked<'m> {
    pub model: &'m Pipeline,
    /// Numbers of a sensor whose readings have no fixed number of them.
    pub most_numbers: usize,
}

impl Asked<'_> {
    fn position(&self, name: &str) -> Result<usize, String> {
        self.model.schema().modalities.index(name).map_err(|error| match error {
            mm_core::Error::Modality(problem) => problem.to_string(),
            error => error.to_string(),
        })
    }

    /// How many numbers of a sensor are read; one more is an error.
    fn most(&self, position: usize) -> usize {
        let fixed = self.model.schema().inputs[position].elements();
        let stretches = self.model.kind(position).is_some_and(|kind| kind.takes_numbers().is_none() && kind.extensions().contains(&"npy"));
        if stretches { self.most_numbers.max(fixed) } else { fixed }
    }
}

/// The readings of a JSON object: `{"gauge": [1.2, 61.0], "note": "it squeals", "photo": null}`.
pub(crate) fn of_json(bytes: &[u8], asked: &Asked) -> Result<All, Refusal> {
    let sensor = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Object { asked, sensor: &sensor }.deserialize(&mut deserializer).and_then(|all| deserializer.end().map(|()| all));
    read.map_err(|error| refused(&error, bytes, sensor.into_inner()))
}

fn refused(error: &serde_json::Error, bytes: &[u8], sensor: Option<String>) -> Refusal {
    if error.classify() == Category::Data {
        return match sensor {
            Some(sensor) => Refusal::of_sensor(&sensor, error),
            None => Refusal::unusable(error.to_string()),
        };
    }
    let has = |word: &[u8]| bytes.windows(word.len()).any(|found| found == word);
    let hint = if has(b"NaN") || has(b"Infinity") { "; JSON has no NaN and no infinity: write null" } else { "" };
    Refusal::new(StatusCode::BAD_REQUEST, format!("the body is no JSON: {error}{hint}"))
}

struct Object<'a, 'm> {
    asked: &'a Asked<'m>,
    /// The sensor that is being read, for messages.
    sensor: &'a RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = All;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<All, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = All;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "an object with a reading for each sensor ({})", self.asked.model.schema().modalities)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<All, A::Error> {
        let mut all: All = vec![None; self.asked.model.schema().modalities.len()];
        while let Some(name) = map.next_key::<String>()? {
            let position = self.asked.position(&name).map_err(A::Error::custom)?;
            self.sensor.replace(Some(name));
            let given = map.next_value_seed(Value { most: self.asked.most(position) })?;
            if all[position].replace(given).is_some() {
                return Err(A::Error::custom("is given twice"));
            }
            self.sensor.replace(None);
        }
        Ok(all)
    }
}

/// What is given of one sensor, with so many numbers at most.
struct Value {
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Given;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Given, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("numbers in brackets, a text, or null")
    }

    fn visit_unit<E>(self) -> Result<Given, E> {
        Ok(Given::Absent)
    }

    fn visit_f64<E>(self, x: f64) -> Result<Given, E> {
        Ok(Given::Numbers { shape: vec![1], values: vec![x] })
    }

    fn visit_i64<E: Error>(self, x: i64) -> Result<Given, E> {
        self.visit_f64(x as f64)
    }

    fn visit_u64<E: Error>(self, x: u64) -> Result<Given, E> {
        self.visit_f64(x as f64)
    }

    fn visit_str<E>(self, text: &str) -> Result<Given, E> {
        Ok(Given::Text(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Given, E> {
        Ok(Given::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Given, A::Error> {
        let mut numbers = Numbers { most: self.most, values: Vec::new(), sides: [None; DEEPEST], depth: None };
        Level { depth: 0, numbers: &mut numbers }.visit_seq(list)?;
        let depth = numbers.depth.ok_or_else(|| A::Error::custom("holds no number: write null for a sensor that gave nothing"))?;
        let shape = numbers.sides.iter().take(depth + 1).map_while(|side| *side).collect();
        Ok(Given::Numbers { shape, values: numbers.values })
    }
}

/// Numbers in brackets, so far.
struct Numbers {
    most: usize,
    values: Vec<f64>,
    /// How many elements the lists of each depth have.
    sides: [Option<usize>; DEEPEST],
    /// In how many brackets the numbers stand, without the outermost.
    depth: Option<usize>,
}

/// An element of a list in so many brackets.
struct Level<'n> {
    depth: usize,
    numbers: &'n mut Numbers,
}

impl Level<'_> {
    /// Takes a number that stands in the brackets of one level less than its own.
    fn number<E: Error>(self, x: f64) -> Result<(), E> {
        let Some(depth) = self.depth.checked_sub(1) else { return Err(E::custom("numbers stand in brackets")) };
        if *self.numbers.depth.get_or_insert(depth) != depth {
            return Err(E::custom("its numbers stand in different numbers of brackets"));
        }
        if self.numbers.values.len() == self.numbers.most {
            return Err(E::custom(format!("has more than {} numbers", self.numbers.most)));
        }
        self.numbers.values.push(x);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a number, or null for one that is not known")
    }

    /// JSON has no NaN.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.number(f64::NAN)
    }

    fn visit_f64<E: Error>(self, x: f64) -> Result<(), E> {
        self.number(x)
    }

    fn visit_i64<E: Error>(self, x: i64) -> Result<(), E> {
        self.number(x as f64)
    }

    fn visit_u64<E: Error>(self, x: u64) -> Result<(), E> {
        self.number(x as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { depth, numbers } = self;
        if depth == DEEPEST {
            return Err(A::Error::custom(format!("numbers stand in at most {DEEPEST} brackets")));
        }
        let mut count = 0;
        while list.next_element_seed(Level { depth: depth + 1, numbers: &mut *numbers })?.is_some() {
            count += 1;
        }
        match *numbers.sides[depth].get_or_insert(count) {
            side if side == count && count > 0 => Ok(()),
            _ => Err(A::Error::custom("its lists have different lengths, or none")),
        }
    }
}

/// The readings of a form (`multipart/form-data`), a part a sensor: files, texts, or numbers as `1.2, 61` or as JSON.
pub(crate) async fn of_form(bytes: Bytes, boundary: &str, asked: &Asked<'_>) -> Result<All, Refusal> {
    let damaged = |error: multer::Error| Refusal::new(StatusCode::BAD_REQUEST, format!("the form cannot be read: {error}"));
    let mut form = multer::Multipart::new(once(async { Ok::<_, Infallible>(bytes) }), boundary);
    let mut all: All = vec![None; asked.model.schema().modalities.len()];
    while let Some(part) = form.next_field().await.map_err(damaged)? {
        let name = part.name().unwrap_or_default().to_string();
        let position = asked.position(&name).map_err(Refusal::unusable)?;
        let file = part.file_name().map(String::from);
        let content = part.bytes().await.map_err(damaged)?;
        let given = match file {
            // A field of a page in which no file was chosen.
            Some(file) if file.is_empty() && content.is_empty() => Given::Absent,
            Some(file) => Given::Files(vec![(file, content)]),
            None => of_text(&content, &name, position, asked).map_err(|error| Refusal::of_sensor(&name, error))?,
        };
        match (&mut all[position], given) {
            (Some(Given::Files(files)), Given::Files(more)) if files.len() < MOST_FILES => files.extend(more),
            (Some(_), _) => return Err(Refusal::of_sensor(&name, "is given twice")),
            (empty, given) => *empty = Some(given),
        }
    }
    Ok(all)
}

/// How a file is sent, for messages.
pub(crate) fn file_advice(name: &str) -> String {
    format!("for a file write `-F {name}=@file`")
}

/// A part of a form without the name of a file.
fn of_text(content: &[u8], name: &str, position: usize, asked: &Asked) -> Result<Given, String> {
    let text = std::str::from_utf8(content).map_err(|_| "is no text in UTF-8, and has no name of a file".to_string())?;
    if asked.model.kind(position).is_some_and(|kind| kind.written() == Written::Text) {
        return Ok(Given::Text(text.into()));
    }
    let text = text.trim();
    if text.is_empty() {
        return Ok(Given::Absent);
    }
    let bracketed = format!("[{text}]");
    let json = if text.starts_with('[') || text == "null" { text } else { &bracketed };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let given = Value { most: asked.most(position) }.deserialize(&mut deserializer).and_then(|given| deserializer.end().map(|()| given));
    given.map_err(|error| match text.split([',', '[', ']']).map(str::trim).find(|cell| cell.parse().is_ok_and(|x: f64| !x.is_finite())) {
        Some(cell) => format!("holds `{cell}`: write null for a number that is not known, or leave the sensor out"),
        None if error.classify() == Category::Data => error.to_string(),
        None => match asked.model.kind(position) {
            Some(kind) if kind.written() == Written::Folder => {
                format!("takes {}, and was given a text: {}", wanted(&asked.model.schema().inputs[position], Some(kind)), file_advice(name))
            }
            _ => format!("is neither a file nor numbers: {}", file_advice(name)),
        },
    })
}
