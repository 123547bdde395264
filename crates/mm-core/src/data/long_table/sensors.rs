//! Which columns are a sensor.

use super::LongTable;
use super::read::Rows;
use super::write::LongSensor;
use crate::data::names::some;
use crate::error::{Error, Result};
use std::path::Path;

/// More sensors than that have more combinations than anyone looks at: a guess that finds so many is wrong.
const MOST_GUESSED: usize = 8;

/// The sensors as the settings name them, or guessed: columns whose names begin alike and that are empty in the same rows.
/// Tables that are made as an earlier one was may lack sensors.
pub(super) fn sensors(path: &Path, rows: &Rows, settings: &LongTable, remarks: &mut Vec<String>) -> Result<Vec<LongSensor>> {
    let wrong = |problem: String| Error::File { path: path.into(), problem };
    if !settings.sensors.is_empty() {
        for (at, sensor) in settings.sensors.iter().enumerate() {
            if sensor.name.is_empty() || plain(&sensor.name) != sensor.name {
                return Err(wrong(format!("is to have a sensor `{}`: its name may have letters, numbers, `_` and `-`", sensor.name)));
            }
            if sensor.columns.is_empty() || settings.sensors[..at].iter().any(|other| other.name == sensor.name) {
                return Err(wrong(format!("is to have the sensor `{}` twice, or without a column", sensor.name)));
            }
        }
        let is_gone = |sensor: &&LongSensor| settings.label_optional && sensor.columns.iter().all(|name| !rows.columns.contains(name));
        let (gone, named): (Vec<&LongSensor>, Vec<&LongSensor>) = settings.sensors.iter().partition(is_gone);
        if !gone.is_empty() {
            let names: Vec<&str> = gone.iter().map(|sensor| sensor.name.as_str()).collect();
            remarks.push(format!("there are no columns of the sensors {}: absent in every series", some(&names, 8)));
        }
        for name in named.iter().flat_map(|sensor| &sensor.columns) {
            let Some(column) = rows.columns.iter().position(|column| column == name) else {
                return Err(wrong(format!("has no column `{name}`; there are: {}", some(&rows.columns, 12))));
            };
            // One that never changes is a channel where it is called one.
            if rows.cells[column].values.is_empty() {
                return Err(wrong(format!("column `{name}` holds no numbers, or has another use, and is no channel")));
            }
        }
        return Ok(named.into_iter().cloned().collect());
    }
    let channels: Vec<usize> = (0..rows.columns.len()).filter(|&column| rows.cells[column].is_channel()).collect();
    if channels.is_empty() {
        return Err(wrong("has no column of numbers that change within a series".into()));
    }
    let mut found: Vec<(Option<&str>, u64, Vec<String>)> = Vec::new();
    for &column in &channels {
        let (name, gaps) = (&rows.columns[column], rows.cells[column].gaps);
        let shared = |stem: &&str| channels.iter().filter(|&&other| stem_of(&rows.columns[other]) == Some(stem)).count() > 1;
        let stem = stem_of(name).filter(shared);
        match found.iter_mut().find(|(of, empty, _)| *of == stem && *empty == gaps) {
            Some((_, _, columns)) => columns.push(name.clone()),
            None => found.push((stem, gaps, vec![name.clone()])),
        }
    }
    if found.len() > MOST_GUESSED {
        let names: Vec<String> = found.iter().map(|(_, _, columns)| columns.join("+")).collect();
        let problem = format!(
            "which columns are a sensor is not clear: by their names and empty cells there are {} ({}); say it by --sensor name=column,column",
            names.len(),
            some(&names, 8)
        );
        return Err(wrong(problem));
    }
    let alone = found.len() == 1;
    let mut sensors: Vec<LongSensor> = Vec::new();
    for (stem, _, columns) in &found {
        let name = match stem {
            Some(stem) if found.iter().filter(|(other, _, _)| *other == Some(*stem)).count() == 1 => stem.to_string(),
            _ if alone => "sensor".into(),
            _ => columns[..columns.len().min(3)].join("_"),
        };
        sensors.push(LongSensor { name: plain(&name), columns: columns.clone() });
    }
    Ok(sensors)
}

/// A name that may be that of a sensor and of a file.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || "_-".contains(c) { c } else { '_' }).collect()
}

/// What stands before the last part of a name: `acc` of `acc_x`, `wrist.acc` of `wrist.acc.x`.
fn stem_of(name: &str) -> Option<&str> {
    name.rsplit_once(['_', '.', ' ', '-']).map(|(stem, _)| stem).filter(|stem| !stem.is_empty())
}
