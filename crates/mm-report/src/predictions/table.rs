//! What a line of a table says.

use super::columns::Columns;
use super::error::{Place, Result};
use super::kind::Kind;
use csv::StringRecord;

/// What reads a table line by line.
pub trait Sink {
    /// The names of the columns.
    fn header(&mut self, place: &Place, names: &StringRecord) -> Result<()>;
    /// A line; as many fields as the header.
    fn row(&mut self, place: &Place, fields: &StringRecord) -> Result<()>;
}

/// The data set of a table that does not name one.
const DATA: &str = "data";
/// Whole numbers up to here are exact in f64; no image has as many pixels.
const MOST_PIXELS: f64 = (1u64 << 53) as f64;

/// What a line says, but for its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'t> {
    pub data: &'t str,
    pub run: &'t str,
    pub seed: u64,
    pub combination: &'t str,
    /// Corruption, severity, corrupted modalities; nothing where all is clean.
    pub corruption: Option<(&'t str, u8, &'t str)>,
    pub sample: &'t str,
    /// The sample's class, where one is predicted.
    pub class: Option<&'t str>,
}

impl Columns {
    /// What a line says.
    pub fn line<'t>(&self, place: &Place, fields: &'t StringRecord) -> Result<Line<'t>> {
        let filled = |column: usize| match &fields[column] {
            "" => Err(self.field(place, column, "is empty".into())),
            text => Ok(text),
        };
        let needed = |i: usize| filled(self.needed[i]);
        let optional = |i: usize| self.optional[i].map_or("", |column| &fields[column]);
        let seed = needed(1)?;
        let seed = seed.parse().map_err(|_| self.field(place, self.needed[1], format!("`{seed}` is no whole number of at least 0")))?;
        let wrong = |i: usize, problem: String| self.field(place, self.optional[i].unwrap_or_default(), problem);
        let (corruption, severity, corrupted) = (optional(1), optional(2), optional(3));
        let corruption = match corruption {
            "" if !matches!(severity, "" | "0") => return Err(wrong(2, format!("`{severity}`, but no corruption is named"))),
            "" if !corrupted.is_empty() => return Err(wrong(3, format!("`{corrupted}`, but no corruption is named"))),
            "" => None,
            name if corrupted.is_empty() => {
                let problem = format!("`{name}` needs a severity in the column `severity` and the corrupted modalities in `corrupted`");
                return Err(wrong(1, problem));
            }
            name => match severity.parse() {
                Ok(severity) if severity > 0 => Some((name, severity, corrupted)),
                _ => {
                    let is = "it is a whole number from 1 (a clean prediction has no corruption)";
                    return Err(wrong(1, format!("the severity of `{name}` is `{severity}`; {is}")));
                }
            },
        };
        let data = match optional(0) {
            "" if self.optional[0].is_some() => return Err(wrong(0, "is empty".into())),
            "" => DATA,
            name => name,
        };
        let class = self.class.map(filled).transpose()?;
        Ok(Line { data, run: needed(0)?, seed, combination: needed(2)?, corruption, sample: needed(3)?, class })
    }

    /// Which labels of the sample hold, 1 or 0, or its numbers; nothing where the truth is a class or counted.
    pub fn truths(&self, place: &Place, fields: &StringRecord, truths: &mut Vec<f64>) -> Result<()> {
        let of = if self.kind == Kind::Labels { holds } else { finite };
        self.parsed(&self.truths, of, place, fields, truths)
    }

    /// What is predicted, in the order of [`Columns::values`].
    pub fn values(&self, place: &Place, fields: &StringRecord, values: &mut Vec<f64>) -> Result<()> {
        let of = if self.kind == Kind::Pixels { pixels } else { number };
        self.parsed(&self.values, of, place, fields, values)
    }

    fn parsed(
        &self,
        columns: &[usize],
        parse: fn(&str) -> std::result::Result<f64, String>,
        place: &Place,
        fields: &StringRecord,
        into: &mut Vec<f64>,
    ) -> Result<()> {
        into.clear();
        for &column in columns {
            into.push(parse(&fields[column]).map_err(|problem| self.field(place, column, problem))?);
        }
        Ok(())
    }
}

fn number(text: &str) -> std::result::Result<f64, String> {
    text.parse().map_err(|_| said(text, "no number"))
}

/// What is wrong with a text.
fn said(text: &str, is: &str) -> String {
    if text.is_empty() { format!("is empty, which is {is}") } else { format!("`{text}` is {is}") }
}

fn finite(text: &str) -> std::result::Result<f64, String> {
    match number(text)? {
        value if value.is_finite() => Ok(value),
        _ => Err(said(text, "no finite number")),
    }
}

/// Booleans of Parquet files and of Python are texts.
fn holds(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(value) if value == 0.0 || value == 1.0 => Ok(value),
        _ if text.eq_ignore_ascii_case("true") => Ok(1.0),
        _ if text.eq_ignore_ascii_case("false") => Ok(0.0),
        _ => Err(said(text, "neither 1 (the label holds) nor 0; leave out a sample of which a label is not known")),
    }
}

fn pixels(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(count) if (0.0..=MOST_PIXELS).contains(&count) && f64::fract(count) == 0.0 => Ok(count),
        _ => Err(said(text, "no count of pixels, a whole number of at least 0")),
    }
}
