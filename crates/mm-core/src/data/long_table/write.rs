//! The files: arrays of NumPy, a row a series, the settings, and a card.

use super::grid::{fill, means, steps_of};
use super::read::{Rows, read};
use super::sensors::sensors;
use super::series::{Stretch, stretches};
use super::{Fill, LongTable};
use crate::data::labels::is_quantity;
use crate::data::names::some;
use crate::data::text::parse_error;
use crate::data::{NewFolder, Part};
use crate::error::{Error, Result};
use crate::weights::write_atomically;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::Path;

/// So many steps for each row, nearly all of them empty: `every` is in another unit than the time, or a time is wrong.
const MOST_STEPS_A_ROW: f64 = 100.0;
/// Which may be as long as this all the same.
const NOT_MANY: f64 = 1e5;
/// Longer series are better cut into windows.
const LONG: usize = 2000;

/// A sensor and its columns, in the order of its channels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongSensor {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
}

impl LongSensor {
    /// Columns of the new table that say where its readings are.
    fn own_columns(&self) -> [String; 3] {
        let name = &self.name;
        [name.clone(), format!("{name}.start"), format!("{name}.length")]
    }
}

/// What [`LongTable::write`] made.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesMade {
    /// Rows that were read.
    pub rows: usize,
    /// Series that were written.
    pub series: usize,
    /// Steps of the shortest and of the longest.
    pub steps: [usize; 2],
    /// The sensors, each with the number of series that lack it.
    pub sensors: Vec<(LongSensor, usize)>,
    /// Whether there are labels, and so a card.
    pub card: bool,
    /// What a reader should know.
    pub remarks: Vec<String>,
}

/// The values of a sensor.
struct Values {
    sensor: LongSensor,
    channels: usize,
    /// `[time, channels]`, one series behind the other.
    values: Vec<f32>,
    /// Where each series begins and how long it is; `None` where it lacks the sensor.
    places: Vec<Option<(usize, usize)>>,
    /// Series that lack it for want of some channels only.
    partly: usize,
}

impl LongTable {
    /// Makes series of a table (CSV, JSON lines or Parquet), in a new folder: `<sensor>.npy` (`[time, channels]`, f32), `samples.csv`, the settings as
    /// `series.toml`, and with labels `card.toml`.
    pub fn write(&self, table: &Path, out: &Path) -> Result<SeriesMade> {
        let wrong = |path: &Path, problem: String| Error::File { path: path.into(), problem };
        NewFolder::refuse(out)?;
        if self.every.is_some_and(|every| !(every > 0.0 && every.is_finite())) || self.every.is_some() && self.time.is_none() {
            return Err(wrong(table, "is to be put on a grid of steps: that needs a column of the time, and a length above 0".into()));
        }
        let mut rows = read(table, self)?;
        let mut remarks = std::mem::take(&mut rows.remarks);
        if self.time.is_none() {
            remarks.push("the steps of a series are its rows in the order of the file: --time names a column to order them by".into());
        }
        if let Some(label) = self.label.as_ref().filter(|_| rows.label.is_none()) {
            match self.label_optional {
                true => remarks.push(format!("there is no column `{label}`: the series are written without labels, for predictions")),
                false => return Err(wrong(table, format!("has no column `{label}`; there are: {}", some(&rows.columns, 12)))),
            }
        }
        let named = sensors(table, &rows, self, &mut remarks)?;
        let (mut series, is_cut) = stretches(table, &rows, self, &mut remarks)?;
        let mut all: Vec<Values> = named.into_iter().map(|sensor| Values::new(sensor, self)).collect();
        for stretch in &series {
            self.add(table, &rows, stretch, &mut all)?;
        }
        let has_any: Vec<bool> = (0..series.len()).map(|k| all.iter().any(|of| of.places[k].is_some())).collect();
        let without = has_any.iter().filter(|any| !**any).count();
        if without > 0 {
            remarks.push(format!("{without} series have no sensor at all, and are left out"));
            series = kept(series, &has_any);
            all.iter_mut().for_each(|of| of.places = kept(std::mem::take(&mut of.places), &has_any));
        }
        let lengths = lengths(&all, series.len());
        let (Some(&shortest), Some(&longest)) = (lengths.iter().min(), lengths.iter().max()) else {
            return Err(wrong(table, "gives no series".into()));
        };
        if longest > LONG && self.window.is_none() {
            remarks.push(format!("the longest series has {longest} steps: --window cuts windows of so many steps from them"));
        }
        let partly: Vec<String> =
            all.iter().filter(|of| of.partly > 0).map(|of| format!("`{}` in {}", of.sensor.name, of.partly)).collect();
        if !partly.is_empty() {
            let advice = "a sensor of its own for what is measured by itself keeps the rest";
            remarks.push(format!("lacking because one of their columns has no value in the whole series: {}; {advice}", some(&partly, 8)));
        }
        let columns = self.columns(table, &rows, &all, is_cut, &mut remarks)?;

        let new = NewFolder::begin(out)?;
        let folder = new.path();
        for of in &all {
            let path = folder.join(format!("{}.npy", of.sensor.name));
            write_atomically(&path, &npy(&of.values, of.channels))?;
        }
        let used = LongTable { sensors: all.iter().map(|of| of.sensor.clone()).collect(), ..self.clone() };
        let text = toml::to_string(&used).map_err(|error| wrong(out, error.to_string()))?;
        write_atomically(
            &folder.join("series.toml"),
            format!("# How the series here were made, for `mm data series --as`.\n{text}").as_bytes(),
        )?;
        write_atomically(&folder.join("samples.csv"), &samples(&rows, &series, &all, &columns).map_err(Error::io(out))?)?;
        let card = rows.label.is_some();
        if card {
            write_atomically(&folder.join("card.toml"), self.card(out, &rows, &series, &all, &columns, lengths).as_bytes())?;
        }
        new.finish()?;
        let absent = |of: Values| (of.places.iter().filter(|place| place.is_none()).count(), of.sensor);
        let sensors = all.into_iter().map(absent).map(|(absent, sensor)| (sensor, absent)).collect();
        Ok(SeriesMade { rows: rows.lines.len(), series: series.len(), steps: [shortest, longest], sensors, card, remarks })
    }

    /// Adds a series to each sensor.
    fn add(&self, table: &Path, rows: &Rows, stretch: &Stretch, all: &mut [Values]) -> Result<()> {
        let time = rows.time.as_deref();
        if let (Some(time), Some(every), [first, .., last]) = (time, self.every, &stretch.rows[..]) {
            let steps = (time[*last] - time[*first]) / every;
            if steps > NOT_MANY.max(MOST_STEPS_A_ROW * stretch.rows.len() as f64) {
                let problem = format!(
                    "`{}` would have {steps:.0} steps of {every} for {} rows, of which the last is in line {}: give a longer step (of dates, in \
                     seconds), or mend the time",
                    stretch.name,
                    stretch.rows.len(),
                    rows.lines[*last]
                );
                return Err(Error::File { path: table.into(), problem });
            }
        }
        let steps = steps_of(&stretch.rows, time, self.every);
        for of in all {
            let mut channels = Vec::with_capacity(of.channels);
            let mut measured = Vec::new();
            for name in &of.sensor.columns {
                // Sensors have columns of the table.
                let column = rows.columns.iter().position(|column| column == name).unwrap_or_default();
                let mut values = means(&steps, &rows.cells[column].values);
                if self.measured {
                    measured.push(values.iter().map(|x| f32::from(!x.is_nan())).collect());
                }
                let empty = values.iter().position(|x| x.is_nan());
                if let Some(step) = empty.filter(|_| self.fill == Fill::None && values.iter().any(|x| !x.is_nan())) {
                    let advice = "--fill last takes the value before it, --fill linear draws a line to the next";
                    return Err(match steps[step].first() {
                        Some(&row) => {
                            parse_error(table, rows.lines[row], column + 1, format!("no value of `{name}` in `{}`: {advice}", stretch.name))
                        }
                        None => {
                            let problem = format!("`{}` has no row in step {} of {}: {advice}", stretch.name, step + 1, steps.len());
                            Error::File { path: table.into(), problem }
                        }
                    });
                }
                fill(&mut values, self.fill);
                channels.push(values);
            }
            let lacking = channels.iter().filter(|values| values[0].is_nan()).count();
            of.partly += usize::from(lacking > 0 && lacking < channels.len());
            of.push(if lacking == 0 { Some([channels, measured].concat()) } else { None }, steps.len());
        }
        Ok(())
    }

    /// The columns of the new table that come from the old one: those that are the same within a series.
    fn columns(&self, table: &Path, rows: &Rows, all: &[Values], is_cut: bool, remarks: &mut Vec<String>) -> Result<Columns> {
        let names = || rows.columns.iter().map(String::as_str);
        let id = ["id", "series", "recording"].into_iter().find(|name| names().all(|other| other != *name)).unwrap_or("sample");
        let mut columns =
            Columns { id, label: self.label.clone().filter(|_| rows.label.is_some()), carried: Vec::new(), part: None, group: None };
        let has_a_use = |name: &String| self.ignore.contains(name) || [&self.time, &self.label].contains(&&Some(name.clone()));
        let is_channel = |name: &String| all.iter().any(|of| of.sensor.columns.contains(name));
        let (mut left, mut empty, mut unused): (Vec<String>, Vec<&str>, Vec<&str>) = Default::default();
        for (column, name) in rows.columns.iter().enumerate().filter(|(_, name)| !has_a_use(name) && !is_channel(name)) {
            let cells = &rows.cells[column];
            let values: Vec<&str> = cells.constant.iter().flatten().map(String::as_str).collect();
            match cells.is_text() {
                Some((line, text)) if ["part", "split"].contains(&name.to_lowercase().as_str()) && text.parse::<Part>().is_ok() => {
                    let problem = format!(
                        "column `{name}` changes within a series, and a series is of one part: give all its rows the same, or leave the column \
                         out with --ignore {name}"
                    );
                    return Err(parse_error(table, *line, column + 1, problem));
                }
                Some((line, text)) => left.push(format!("`{name}` (`{text}` in line {line})")),
                None if cells.is_channel() => unused.push(name),
                None if values.is_empty() => empty.push(name),
                // The name of the series once more.
                None if !is_cut && self.id == [name.as_str()] && self.group.as_ref() != Some(name) => {}
                None if name == id || is_sensor_column(name, all) => left.push(format!("`{name}` (a name that the new table needs)")),
                None => {
                    if values.len() == cells.constant.len() && values.iter().all(|value| value.parse::<Part>().is_ok()) {
                        columns.part = Some(name.clone());
                    }
                    columns.carried.push(column);
                }
            }
        }
        // Series that were cut from one are alike: they stay together.
        columns.group = self.group.clone().or_else(|| self.id.first().filter(|_| is_cut).cloned());
        // A group that is measured is no group, which is told below.
        let group = columns.group.as_ref().filter(|group| !is_channel(group)).map(String::as_str);
        for (what, name) in [("the id", Some(id)), ("the label", self.label.as_deref()), ("the group", group)] {
            if let Some(of) = name.and_then(|name| all.iter().find(|of| of.sensor.own_columns().iter().any(|own| own == name))) {
                let (sensor, channels) = (&of.sensor.name, of.sensor.columns.join(","));
                let problem = format!(
                    "is to have a sensor `{sensor}`, and {what} has the same column in samples.csv, `{}`: give the sensor another name, \
                     --sensor {sensor}_sensor={channels}",
                    name.unwrap_or_default()
                );
                return Err(Error::File { path: table.into(), problem });
            }
        }
        let carried = || columns.carried.iter().map(|&column| &rows.columns[column]);
        if let Some(group) = self.group.as_ref().filter(|group| carried().all(|name| name != *group)) {
            let problem = format!("has no column `{group}` that is the same in all rows of a series, for the group");
            return Err(Error::File { path: table.into(), problem });
        }
        let is_used = |name: &&String| self.id.contains(name) || [&columns.part, &columns.group].contains(&&Some((*name).clone()));
        let others: Vec<&str> = carried().filter(|name| !is_used(name)).map(String::as_str).collect();
        if let Some(first) = others.first() {
            let advice = format!("to use them as a sensor, call them `person.{first}` and so on there");
            remarks.push(format!("the same in all rows of a series, and columns of samples.csv: {}; {advice}", some(&others, 8)));
        }
        if !left.is_empty() {
            remarks.push(format!("left out, as they are neither numbers nor the same in all rows of a series: {}", some(&left, 8)));
        }
        if !unused.is_empty() {
            remarks.push(format!("left out, as no sensor names them: {}", some(&unused, 8)));
        }
        if !empty.is_empty() {
            remarks.push(format!("left out, as they have no value: {}", some(&empty, 8)));
        }
        Ok(columns)
    }

    fn card(&self, out: &Path, rows: &Rows, series: &[Stretch], all: &[Values], columns: &Columns, mut lengths: Vec<usize>) -> String {
        let quoted = |text: &str| toml::Value::String(text.into()).to_string();
        let name = std::path::absolute(out).ok().and_then(|out| Some(out.file_name()?.to_string_lossy().into_owned()));
        let label = self.label.as_deref().unwrap_or_default();
        let mut card = format!("name = {}\nmanifest = \"samples.csv\"\n", quoted(&name.unwrap_or_else(|| "series".into())));
        if columns.id != "id" {
            _ = writeln!(card, "id = {}", quoted(columns.id));
        }
        match has_quantities(rows, series) {
            true => _ = writeln!(card, "task = \"numbers\"\ntargets = [{}]", quoted(label)),
            false => _ = writeln!(card, "label = {}", quoted(label)),
        }
        for (what, column) in [("part", &columns.part), ("group", &columns.group)] {
            column.iter().for_each(|column| _ = writeln!(card, "{what} = {}", quoted(column)));
        }
        if series.iter().any(|stretch| stretch.label.is_none()) {
            _ = writeln!(card, "missing_label = \"drop\"  # some series have none");
        }
        lengths.sort();
        let at = |share: f64| lengths[((lengths.len() - 1) as f64 * share).round() as usize];
        let mut steps =
            format!("steps = {}  # seen: {} to {}, half of them below {}\nlength = \"pad\"\n", at(0.95), at(0.0), at(1.0), at(0.5));
        if let Some(window) = self.window {
            let stride = self.stride.unwrap_or(window);
            _ = write!(
                card,
                "\n[windows]\nlength = {window}\nstride = {stride}\nshort = \"drop\"  # shorter series are left out and counted\n"
            );
            steps = format!("steps = {window}\n");
        }
        for of in all {
            let names = of.sensor.columns.join(", ");
            let measured = if self.measured { ", and of each whether it was measured" } else { "" };
            _ = write!(card, "\n[[modality]]\nname = {}\nkind = \"series\"\n", quoted(&of.sensor.name));
            _ = write!(card, "channels = {}  # {}{measured}\n{steps}time_first = true\n", of.channels, names.replace(['\n', '\r'], " "));
        }
        card
    }
}

/// Columns of the new table that do not say where readings are.
struct Columns {
    /// What the names of the series are called.
    id: &'static str,
    label: Option<String>,
    /// Columns of the old table.
    carried: Vec<usize>,
    part: Option<String>,
    group: Option<String>,
}

impl Values {
    fn new(sensor: LongSensor, settings: &LongTable) -> Self {
        let channels = sensor.columns.len() * (1 + usize::from(settings.measured));
        Self { sensor, channels, values: Vec::new(), places: Vec::new(), partly: 0 }
    }

    fn push(&mut self, channels: Option<Vec<Vec<f32>>>, steps: usize) {
        let begin = self.values.len() / self.channels;
        if let Some(channels) = &channels {
            (0..steps).for_each(|step| self.values.extend(channels.iter().map(|values| values[step])));
        }
        self.places.push(channels.map(|_| (begin, steps)));
    }
}

/// What is to be kept of some things.
fn kept<T>(things: Vec<T>, keep: &[bool]) -> Vec<T> {
    things.into_iter().zip(keep).filter_map(|(thing, keep)| keep.then_some(thing)).collect()
}

/// Steps of each series.
fn lengths(all: &[Values], series: usize) -> Vec<usize> {
    (0..series).filter_map(|k| all.iter().find_map(|of| of.places[k]).map(|(_, steps)| steps)).collect()
}

fn is_sensor_column(name: &str, all: &[Values]) -> bool {
    all.iter().any(|of| name == of.sensor.name || name.strip_prefix(&of.sensor.name).is_some_and(|rest| rest.starts_with('.')))
}

/// Whether labels are quantities rather than classes.
fn has_quantities(rows: &Rows, series: &[Stretch]) -> bool {
    is_quantity(series.iter().filter_map(|stretch| Some(rows.labels[stretch.label?].as_str())))
}

/// `samples.csv`.
fn samples(rows: &Rows, series: &[Stretch], all: &[Values], columns: &Columns) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header = vec![columns.id.to_string()];
    header.extend(columns.label.clone());
    header.extend(columns.carried.iter().map(|&column| rows.columns[column].clone()));
    for of in all {
        header.extend(of.sensor.own_columns());
    }
    writer.write_record(&header)?;
    for (k, stretch) in series.iter().enumerate() {
        let mut record = vec![stretch.name.clone()];
        if columns.label.is_some() {
            record.push(stretch.label.map(|label| rows.labels[label].clone()).unwrap_or_default());
        }
        record.extend(columns.carried.iter().map(|&column| rows.cells[column].constant[stretch.id].clone().unwrap_or_default()));
        for of in all {
            match of.places[k] {
                Some((begin, steps)) => record.extend([format!("{}.npy", of.sensor.name), begin.to_string(), steps.to_string()]),
                None => record.extend([String::new(), String::new(), String::new()]),
            }
        }
        writer.write_record(&record)?;
    }
    writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))
}

/// A file of NumPy, `[time, channels]`.
fn npy(values: &[f32], channels: usize) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {channels}), }}", values.len() / channels);
    // The numbers begin at a multiple of 64 bytes.
    let filled = (10 + header.len() + 1).next_multiple_of(64) - 11;
    header = format!("{header:filled$}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    file
}
