//! How an answer is written: a line of CSV, or a JSON object.

use anyhow::{Result, bail};
use mm_core::Pipeline;
use mm_core::data::Target;
use mm_core::pipeline::{Answer, Ignored, ignored_json};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// The answer of a row, or why no sensor of it could be used.
pub type Answered = std::result::Result<Answer, Vec<Ignored>>;

/// The form of a file of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table with a header.
    Csv,
    /// An object a line.
    Json,
}

impl Format {
    /// As the ending of the file says.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().unwrap_or_default().to_string_lossy().to_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "jsonl" | "ndjson" => Ok(Self::Json),
            _ => bail!("`--out {}`: the ending says how answers are written; use .csv or .jsonl", path.display()),
        }
    }

    /// What stands before the first answer.
    pub fn header(self, model: &Pipeline) -> String {
        if self == Self::Json {
            return String::new();
        }
        let mut header = vec!["id".to_string()];
        let target = &model.schema().target;
        let probabilities = || target.output_names().iter().map(|name| format!("probability.{name}"));
        match target {
            Target::Pixels(_) => header.push("map".into()),
            Target::Numbers(task) => header.extend(task.names().iter().map(|name| format!("predicted.{name}"))),
            Target::Labels(_) => header.extend(std::iter::once("labels".into()).chain(probabilities())),
            _ => header.extend(std::iter::once("class".into()).chain(probabilities())),
        }
        header.extend(["used".into(), "ignored".into()]);
        for name in trusted(model) {
            header.extend([format!("weight.{name}"), format!("level.{name}")]);
        }
        let header: Vec<String> = header.iter().map(|name| quoted(name)).collect();
        header.join(",") + "\n"
    }

    /// Appends the answer of a row; `map` is the file of its pixels' classes, where they have some.
    pub fn line(self, model: &Pipeline, id: &str, answer: &Answered, map: Option<&str>, text: &mut String) {
        // Writing to a string does not fail.
        _ = match self {
            Self::Csv => csv(model, id, answer, map, text),
            Self::Json => writeln!(text, "{}", object(model, id, answer, map)),
        };
    }
}

/// The sensors whose trust is told.
fn trusted(model: &Pipeline) -> &[String] {
    if model.model().knows_trust() { model.schema().modalities.names() } else { &[] }
}

fn ignored(answer: &Answered) -> &[Ignored] {
    match answer {
        Ok(answer) => &answer.ignored,
        Err(ignored) => ignored,
    }
}

fn csv(model: &Pipeline, id: &str, answer: &Answered, map: Option<&str>, text: &mut String) -> std::fmt::Result {
    write!(text, "{}", quoted(id))?;
    match answer {
        Ok(answer) if model.schema().target.is_dense() => {
            write!(text, ",{},{}", quoted(map.unwrap_or_default()), answer.used.join("+"))?;
        }
        Err(_) if model.schema().target.is_dense() => write!(text, ",,")?,
        Ok(answer) if !answer.numbers.is_empty() => {
            answer.numbers.iter().try_for_each(|(_, number)| write!(text, ",{number}"))?;
            write!(text, ",{}", answer.used.join("+"))?;
        }
        Ok(answer) => {
            let what = if answer.class.is_empty() { answer.labels.join("; ") } else { answer.class.clone() };
            write!(text, ",{}", quoted(&what))?;
            // The digits of an f32, as in JSON; small ones as 2.454e-6.
            answer.probabilities.iter().try_for_each(|(_, probability)| write!(text, ",{:?}", *probability as f32))?;
            write!(text, ",{}", answer.used.join("+"))?;
        }
        Err(_) => {
            let target = &model.schema().target;
            let columns = target.output_names().len() + usize::from(!matches!(target, Target::Numbers(_)));
            write!(text, "{},", ",".repeat(columns))?;
        }
    }
    let why: Vec<String> = ignored(answer).iter().map(|ignored| format!("{}: {}", ignored.modality, ignored.reason.word())).collect();
    write!(text, ",{}", quoted(&why.join("; ")))?;
    let trust = answer.as_ref().ok().and_then(|answer| answer.trust.as_ref());
    for name in trusted(model) {
        match trust.and_then(|trust| trust.iter().find(|sensor| sensor.modality == *name)) {
            Some(sensor) => write!(text, ",{:.4},{:.4}", sensor.weight, sensor.level)?,
            None => write!(text, ",,")?,
        }
    }
    writeln!(text)
}

fn object(model: &Pipeline, id: &str, answer: &Answered, map: Option<&str>) -> Value {
    let target = &model.schema().target;
    let mut object = match (answer, target) {
        (Ok(answer), _) => answer.to_json(target).into(),
        (Err(_), Target::Pixels(_)) => json!({ "used": [] }),
        (Err(_), Target::Numbers(_)) => json!({ "numbers": null, "used": [] }),
        (Err(_), Target::Labels(_)) => json!({ "labels": null, "probabilities": {}, "used": [] }),
        (Err(_), _) => json!({ "class": null, "probabilities": {}, "used": [] }),
    };
    (object["id"], object["ignored"]) = (id.into(), ignored_json(ignored(answer)));
    if target.is_dense() {
        object["map"] = map.into();
    }
    object
}

/// A field of CSV.
pub fn quoted(field: &str) -> String {
    match field.contains(['"', ',', '\n', '\r']) || field.trim() != field {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.into(),
    }
}
