//! What a rate of missing may depend on besides what a sample has: its class, and what its sensors read.

use super::MissingPattern;
use crate::data::{Batch, InputKind, Reading, Schema, Source, TargetValue};
use crate::error::{Error, Result};
use crate::modality::Presence;
use crate::task::Target;

/// Of each sample of some, what a pattern asks for; empty where it asks for nothing.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The class of each.
    pub classes: Vec<u32>,
    /// By modality, the mean of all standardized numbers of each sample's reading; empty where that is not asked for.
    pub levels: Vec<Vec<f64>>,
}

impl Facts {
    /// Of a batch. Readings of samples that lack the modality by `natural` are not looked at.
    pub fn of_batch(pattern: &MissingPattern, natural: &Presence, batch: &Batch, schema: &Schema) -> Result<Self> {
        match pattern {
            MissingPattern::ByClass(_) => {
                let values = schema.target.task().values(batch.targets())?;
                let class = |value: &TargetValue| match value {
                    TargetValue::Class(class) => Ok(*class),
                    _ => Err(no_class(&schema.target)),
                };
                Ok(Self { classes: values.iter().map(class).collect::<Result<_>>()?, ..Self::default() })
            }
            MissingPattern::ByValue(rates) => {
                let asked = asked(rates.keys(), schema)?;
                let level = |m: usize| match (asked[m], batch.inputs().at(m)) {
                    (true, Some(reading)) => levels(reading, &natural.rows_with(m), batch.len()),
                    (true, None) => Ok(vec![0.0; batch.len()]),
                    (false, _) => Ok(Vec::new()),
                };
                Ok(Self { levels: (0..schema.inputs.len()).map(level).collect::<Result<_>>()?, ..Self::default() })
            }
            _ => Ok(Self::default()),
        }
    }

    /// Of rows of a source, whose readings are standardized.
    pub fn of_rows(pattern: &MissingPattern, source: &dyn Source, rows: &[usize]) -> Result<Self> {
        match pattern {
            MissingPattern::ByClass(_) => {
                let class = |&row: &usize| source.meta(row).class.ok_or_else(|| no_class(&source.schema().target));
                Ok(Self { classes: rows.iter().map(class).collect::<Result<_>>()?, ..Self::default() })
            }
            MissingPattern::ByValue(rates) => {
                let asked = asked(rates.keys(), source.schema())?;
                let mut levels: Vec<Vec<f64>> = asked.iter().map(|&asked| vec![0.0; if asked { rows.len() } else { 0 }]).collect();
                for (i, &row) in rows.iter().enumerate() {
                    let sample = source.read(row)?;
                    for (level, array) in levels.iter_mut().zip(&sample.readings).filter(|(level, _)| !level.is_empty()) {
                        level[i] = array.as_ref().map_or(0.0, |array| mean(&array.filled()));
                    }
                }
                Ok(Self { levels, ..Self::default() })
            }
            _ => Ok(Self::default()),
        }
    }
}

/// Which modalities are named; refuses those whose numbers are of words.
fn asked<'a>(names: impl Iterator<Item = &'a String>, schema: &Schema) -> Result<Vec<bool>> {
    let mut asked = vec![false; schema.inputs.len()];
    for name in names {
        for m in schema.modalities.parse(name).map_err(|e| Error::config("missing.by_value", e.to_string()))?.indices() {
            if schema.inputs[m].kind == InputKind::Tokens {
                let problem =
                    format!("the numbers of `{}` are those of words: they have no mean that says anything", schema.modalities.names()[m]);
                return Err(Error::config("missing.by_value", problem));
            }
            asked[m] = true;
        }
    }
    Ok(asked)
}

fn no_class(target: &Target) -> Error {
    Error::config("missing.by_class", format!("needs one class a sample, and this data has {}", target.in_words()))
}

/// The mean of what each sample in `rows` fills of a reading; 0 for all others.
fn levels(reading: &Reading, rows: &[u32], batch: usize) -> Result<Vec<f64>> {
    let values = reading.values.flatten_all()?.to_vec1::<f32>()?;
    let lengths = reading.lengths.as_ref().map(|lengths| lengths.to_vec1::<u32>()).transpose()?;
    let (elements, last) = (values.len() / batch.max(1), reading.values.dims().last().copied().unwrap_or(1).max(1));
    let mut levels = vec![0.0; batch];
    for row in rows.iter().map(|&row| row as usize) {
        let filled = lengths.as_ref().map_or(last, |lengths| (lengths[row] as usize).min(last));
        let numbers = values[row * elements..][..elements].chunks(last).flat_map(|row| &row[..filled]);
        levels[row] = mean(&numbers.map(|&x| f64::from(x)).collect::<Vec<_>>());
    }
    Ok(levels)
}

/// 0, which is the mean of training, of nothing and of what is not finite.
fn mean(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    if mean.is_finite() { mean } else { 0.0 }
}
