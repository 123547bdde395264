//! Values over time: CSV files with a column a channel, and arrays of NumPy.

use super::array::channels_first;
use super::{Kind, MOST_NUMBERS, Open, Origin, Raw, open};
use crate::corrupt::{Corruption, Family, SERIES_FAMILIES, corrupt_series};
use crate::data::audio::Length;
use crate::data::check::Look;
use crate::data::number::{comma_advice, has_decimal_comma};
use crate::data::recordings::Recordings;
use crate::data::series_text::{SeriesText, agreed_names, names_of, rises};
use crate::data::{Array, InputKind, InputSpec, SeriesAugment, Values, numpy, utf8};
use crate::error::{Error, Result};
use crate::rng::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const NAME: &str = "series";
pub(super) const OPEN: Open = open::<Series>;

/// Values of some channels over time, `[channels, steps]`.
///
/// What a sensor gave ([`Kind::raw`]) has as many steps as the file, or the part of it that a manifest names; a reading has those of the
/// settings. A value that is not finite makes a reading of no use: models take it for absent.
///
/// ```
/// use mm_core::data::{audio::Length, kinds::{Kind, Raw, Series}};
/// let kind = Series::new(2, 4)?.length(Length::Pad);
/// let array = kind.features(Raw::Array(kind.decode(b"x,y\n1,10\n2,20\n3,30\n", "watch.csv".as_ref())?))?;
/// assert_eq!((array.length, array.values.into_f32()), (Some(3), vec![1.0, 2.0, 3.0, 0.0, 10.0, 20.0, 30.0, 0.0]));
/// # Ok::<(), mm_core::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Settings")]
pub struct Series(Settings, Arc<Recordings>);

impl PartialEq for Series {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    channels: usize,
    steps: usize,
    /// What becomes of shorter ones.
    #[serde(default)]
    length: Length,
    /// Columns of CSV files, by name and in this order; otherwise all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<String>>,
    /// Without `columns`, the names that those of all files have: found by name in a file that has names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names: Option<Vec<String>>,
    /// Of `.npz` archives, where they have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
    /// Arrays of NumPy are `[time, channels]`; otherwise `[channels, time]`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    time_first: bool,
    /// Random changes in training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    augment: Option<SeriesAugment>,
}

impl Series {
    /// Of so many channels, brought to so many steps: shorter ones are padded, of longer ones a part is cut out.
    pub fn new(channels: usize, steps: usize) -> Result<Self> {
        Settings { channels, steps, length: Length::default(), columns: None, names: None, entry: None, time_first: false, augment: None }.try_into()
    }

    /// What becomes of shorter ones.
    pub fn length(self, length: Length) -> Self {
        Self(Settings { length, ..self.0 }, Arc::default())
    }

    /// The columns of CSV files that are channels, by name and in this order, as many as there are channels.
    pub fn columns(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        Settings { columns: Some(columns.into_iter().map(Into::into).collect()), ..self.0 }.try_into()
    }

    /// The entry of `.npz` archives, where they have several.
    pub fn entry(self, entry: impl Into<String>) -> Self {
        Self(Settings { entry: Some(entry.into()), ..self.0 }, Arc::default())
    }

    /// Arrays of NumPy are `[time, channels]`, and not `[channels, time]`.
    pub fn time_first(self) -> Self {
        Self(Settings { time_first: true, ..self.0 }, Arc::default())
    }

    /// Random changes in training.
    pub fn augmented(self, augment: SeriesAugment) -> Result<Self> {
        Settings { augment: Some(augment), ..self.0 }.try_into()
    }

    /// `[channels, time]`, as long as the file is.
    fn numpy(&self, bytes: &[u8], path: &Path) -> Result<Array> {
        self.channels_in_front(numpy::read(bytes, self.0.entry.as_deref()).map_err(Error::numpy(path))?, path)
    }

    /// Channels and steps of an array of NumPy.
    fn sizes(&self, shape: &[usize], path: &Path) -> Result<[usize; 2]> {
        let channels = self.0.channels;
        let found = match shape[..] {
            // One channel needs no axis.
            [time] if channels == 1 => [1, time],
            [time, found] if self.0.time_first => [found, time],
            [found, time] => [found, time],
            _ => [0, 0],
        };
        if found[0] != channels || found[1] == 0 {
            let form = if self.0.time_first { format!("[time, {channels}]") } else { format!("[{channels}, time]") };
            let advice = match shape[..] {
                [other, _] if self.0.time_first && other == channels => "; leave out time_first",
                [_, other] if !self.0.time_first && other == channels => "; with time_first = true it is read by its other axis",
                _ => "",
            };
            return Err(Error::shape(path.display().to_string(), format!("{form}{advice}"), shape));
        }
        Ok(found)
    }

    /// An array of NumPy as `[channels, time]`.
    fn channels_in_front(&self, Array { shape, values, .. }: Array, path: &Path) -> Result<Array> {
        let sizes = self.sizes(&shape, path)?;
        let values = values.to_f64();
        let turned = self.0.time_first && shape.len() == 2;
        Ok(Array::exact(sizes, if turned { channels_first(&values, sizes[0]) } else { values }))
    }

    /// The axis of time of an array of NumPy of this shape.
    fn time_axis(&self, shape: &[usize]) -> usize {
        if self.0.time_first { 0 } else { shape.len().saturating_sub(1) }
    }

    /// Some steps of a `.npy` file, where they lie; `None` of other files.
    fn steps_in_place(&self, file: &mut (impl Read + Seek), part: &Range<u64>, path: &Path) -> Result<Option<Array>> {
        let Some(shape) = shape_of(file, path)? else { return Ok(None) };
        let [_, time] = self.sizes(&shape, path)?;
        let part = within(part, time as u64, path)?;
        rewind(file, path)?;
        let array = numpy::part(file, self.time_axis(&shape), part, path)?;
        self.channels_in_front(array, path).map(Some)
    }

    /// A line a step, a column a channel.
    fn csv(&self, bytes: &[u8], path: &Path) -> Result<Array> {
        let problem = |line: usize, column: usize, problem: String| Error::Parse { path: path.into(), line, column, problem };
        let Some(text) = SeriesText::of(utf8(path, bytes)?) else { return Err(problem(1, 1, "the file is empty".into())) };
        if let Some((line, number)) = text.cut_number() {
            let cut = format!("`{number}` looks like a number with a decimal comma, and is read as two columns: write numbers with a point");
            return Err(problem(line, 1, cut));
        }
        let header = &text.first;
        let learnt = self.0.names.as_ref().filter(|_| text.named);
        let columns: Vec<usize> = match self.0.columns.as_ref().or(learnt) {
            Some(names) if text.named => {
                let place = |name: &String| header.iter().position(|found| found == name);
                let advice = match learnt {
                    Some(names) => format!("; the files of the training have {}: call the columns so", names.join(", ")),
                    None => String::new(),
                };
                let missing = |name: &String| problem(1, 1, format!("there is no column `{name}`; there are: {}{advice}", header.join(", ")));
                names.iter().map(|name| place(name).ok_or_else(|| missing(name))).collect::<Result<_>>()?
            }
            Some(_) => return Err(problem(1, 1, "columns are named, but the file begins with numbers and not with names".into())),
            None if header.len() != self.0.channels => {
                let (expected, found) = (self.0.channels, header.len());
                let (be, s) = if found == 1 { ("is", "") } else { ("are", "s") };
                let advice = match text.named {
                    true => format!("name those that are channels, columns = [..]; there {be}: {}", header.join(", ")),
                    false if found < expected => format!("write channels = {found} if all files are so"),
                    false => format!("write channels = {found}, or take the others out of the file"),
                };
                return Err(problem(1, 1, format!("there {be} {found} column{s} for {expected} channels: {advice}")));
            }
            None => (0..header.len()).collect(),
        };
        // A slip in the first line would pass for names, and its numbers for none.
        if let (None, Some((number, name))) = (&self.0.columns, text.mixed()) {
            let advice = "mend it, or give each column a name and the card columns = [..]";
            return Err(problem(1, 1, format!("the first line holds numbers such as `{number}`, and `{name}`: {advice}")));
        }
        let mut values = Vec::new();
        for (line, cells) in text.rows() {
            if cells.len() != header.len() {
                return Err(problem(line, 1, format!("there are {} columns, and {} in the first line", cells.len(), header.len())));
            }
            for &column in &columns {
                let cell = cells[column];
                let wrong = || {
                    let advice = match has_decimal_comma(cell) {
                        true => comma_advice(cell, false),
                        false => "where there was no value write nan".into(),
                    };
                    problem(line, column + 1, format!("`{cell}` is no number; {advice}"))
                };
                values.push(cell.parse::<f64>().map_err(|_| wrong())?);
            }
        }
        let time = values.len() / columns.len();
        if time == 0 {
            return Err(problem(1, 1, "there are no values below the names".into()));
        }
        Ok(Array::exact([columns.len(), time], channels_first(&values, columns.len())))
    }

    /// Brought to the steps of the settings; of a longer one, the part that starts at share `place` of what is too much.
    fn fitted(&self, raw: Raw, place: f64) -> Result<Array> {
        let Array { shape, values, length } = raw.array(NAME)?;
        let (channels, steps) = (self.0.channels, self.0.steps);
        let time = match shape[..] {
            [found, time] if found == channels && time > 0 && values.len() == channels * time => time,
            _ => return Err(Error::shape(NAME, format!("[{channels}, time]"), shape)),
        };
        if length.is_some() {
            return Ok(Array { shape, values, length });
        }
        let (mut fitted, mut filled) = (Vec::with_capacity(channels * steps), 0);
        for channel in values.to_f64().chunks(time) {
            let mut channel = channel.to_vec();
            filled = self.0.length.fit(&mut channel, steps, place).ok_or_else(|| {
                let expected = format!("[{channels}, {steps}] or longer, because length = \"crop\"; \"pad\" and \"repeat\" fill it up");
                Error::shape(NAME, expected, &shape)
            })?;
            fitted.extend(channel);
        }
        let array = Array::exact([channels, steps], fitted);
        Ok(if self.0.length == Length::Pad { array.with_length(filled) } else { array })
    }
}

/// Some steps of each channel of `time` values.
fn cut_channels(values: &Values, time: usize, part: Range<usize>) -> Vec<f64> {
    match values {
        Values::F32(values) => values.chunks(time).flat_map(|channel| &channel[part.clone()]).map(|&x| x.into()).collect(),
        Values::F64(values) => values.chunks(time).flat_map(|channel| &channel[part.clone()]).copied().collect(),
    }
}

/// A part of so many steps; `u64::MAX` is their end.
fn within(part: &Range<u64>, time: u64, path: &Path) -> Result<Range<u64>> {
    let end = if part.end == u64::MAX { time } else { part.end };
    if part.start >= end || end > time {
        let problem = format!("has {time} steps, and those from {} to {end} were asked for", part.start);
        return Err(Error::File { path: path.into(), problem });
    }
    Ok(part.start..end)
}

/// The shape of a `.npy` file; `None` of any other.
fn shape_of(file: &mut (impl Read + Seek), path: &Path) -> Result<Option<Vec<usize>>> {
    let mut magic = Vec::new();
    file.by_ref().take(6).read_to_end(&mut magic).map_err(Error::io(path))?;
    rewind(file, path)?;
    if !magic.starts_with(b"\x93NUMPY") { Ok(None) } else { numpy::shape(file, path).map(Some) }
}

fn rewind(file: &mut impl Seek, path: &Path) -> Result<()> {
    file.rewind().map_err(Error::io(path))
}

impl TryFrom<Settings> for Series {
    type Error = Error;

    fn try_from(settings: Settings) -> Result<Self> {
        let Settings { channels, steps, columns, names, .. } = &settings;
        if *channels == 0 || *steps == 0 || channels.checked_mul(*steps).is_none_or(|n| n > MOST_NUMBERS) {
            let limit = format!("a reading of at most {MOST_NUMBERS} numbers");
            let problem = format!("channels and steps must be above 0, and {limit}, found {channels} and {steps}");
            return Err(Error::config("series", problem));
        }
        if let Some(augment) = &settings.augment {
            augment.validate(*channels)?;
            if settings.length == Length::Crop && (augment.crop < 1.0 || augment.speed[1] > 1.0) {
                let advice = "write length = \"pad\" or \"repeat\"";
                let problem = format!("crop and speed shorten series, and with length = \"crop\" a shorter one is an error: {advice}");
                return Err(Error::config("series.augment", problem));
            }
        }
        match columns.as_ref().or(names.as_ref()) {
            Some(columns) if columns.len() != *channels => {
                Err(Error::config("series.columns", format!("{} are named for {channels} channels", columns.len())))
            }
            _ => Ok(Self(settings, Arc::default())),
        }
    }
}

impl Kind for Series {
    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> InputSpec {
        InputSpec::new(InputKind::Series, [self.0.channels, self.0.steps])
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["csv", "npy", "npz", "txt"]
    }

    fn decode(&self, bytes: &[u8], path: &Path) -> Result<Array> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if numpy::is_numpy(bytes) || ["npy", "npz"].contains(&ending.as_str()) { self.numpy(bytes, path) } else { self.csv(bytes, path) }
    }

    fn raw(&self, origin: &Origin) -> Result<Raw> {
        let in_place = match origin {
            Origin::File { path, part: Some(part) } => {
                self.steps_in_place(&mut File::open(path).map_err(Error::io(path))?, part, path)?
            }
            Origin::Memory { name, bytes, part: Some(part) } => self.steps_in_place(&mut Cursor::new(bytes), part, name)?,
            _ => None,
        };
        if let Some(steps) = in_place {
            return Ok(Raw::Array(steps));
        }
        let decode = |path: &PathBuf| self.decode(&std::fs::read(path).map_err(Error::io(path))?, path);
        let (whole, path, part) = match origin {
            Origin::File { path, part: None } => return decode(path).map(Raw::Array),
            Origin::Memory { name, bytes, part: None } => return self.decode(bytes, name).map(Raw::Array),
            Origin::File { path, part: Some(part) } => (self.1.of(path, || decode(path))?, path, part),
            Origin::Memory { name, bytes, part: Some(part) } => (Arc::new(self.decode(bytes, name)?), name, part),
            other => return Err(Error::config("kind", format!("{other} stands where a file is expected: series are read from files"))),
        };
        let time = whole.shape[1];
        let part = within(part, time as u64, path)?;
        let (from, to) = (part.start as usize, part.end as usize);
        Ok(Raw::Array(Array::exact([self.0.channels, to - from], cut_channels(&whole.values, time, from..to))))
    }

    /// The changes of the settings; and of a longer series a random part, where shorter ones are an error, because all are as long as they
    /// must be then.
    fn augment(&self, raw: Raw, random: &mut Rng, own: &mut Rng) -> Result<Raw> {
        let place = if self.0.length == Length::Crop { random.random() } else { 0.5 };
        let Some(augment) = self.0.augment.filter(SeriesAugment::changes) else { return Ok(Raw::Array(self.fitted(raw, place)?)) };
        let Array { shape, values, length } = raw.array(NAME)?;
        let (channels, time) = match shape[..] {
            [channels, time] if time > 0 && channels > 0 && values.len() == channels * time => (channels, time),
            _ => return Err(Error::shape(NAME, "[channels, time]", shape)),
        };
        let mut series: Vec<Vec<f64>> = values.to_f64().chunks(time).map(|channel| channel[..length.unwrap_or(time)].to_vec()).collect();
        augment.apply(&mut series, random, own);
        let time = series.first().map_or(0, Vec::len);
        Ok(Raw::Array(self.fitted(Raw::Array(Array::exact([channels, time], series.concat())), place)?))
    }

    fn augments(&self) -> bool {
        self.0.length == Length::Crop || self.0.augment.is_some_and(|augment| augment.changes())
    }

    fn steps(&self, origin: &Origin) -> Result<u64> {
        let (shape, part) = match origin {
            Origin::File { path, part } => (shape_of(&mut File::open(path).map_err(Error::io(path))?, path)?, part),
            Origin::Memory { name, bytes, part } => (shape_of(&mut Cursor::new(bytes), name)?, part),
            _ => (None, &None),
        };
        match (shape, origin) {
            // The header says it; of other files only the content does.
            (Some(shape), Origin::File { path, .. } | Origin::Memory { name: path, .. }) => {
                let [_, time] = self.sizes(&shape, path)?;
                let part = within(part.as_ref().unwrap_or(&(0..u64::MAX)), time as u64, path)?;
                Ok(part.end - part.start)
            }
            (None, Origin::File { path, part }) => {
                let whole = self.1.of(path, || self.decode(&std::fs::read(path).map_err(Error::io(path))?, path))?;
                let part = within(part.as_ref().unwrap_or(&(0..u64::MAX)), whole.shape[1] as u64, path)?;
                Ok(part.end - part.start)
            }
            _ => Ok(self.raw(origin)?.array(NAME)?.shape[1] as u64),
        }
    }

    /// Without `columns`, with the names that the files have: a model finds them by name.
    fn settled(&self, origins: &[&Origin]) -> Result<Option<Arc<dyn Kind>>> {
        if self.0.columns.is_some() {
            return Ok(None);
        }
        let names = agreed_names(origins).map_err(|problem| Error::config("series.columns", problem))?;
        let names = names.filter(|names| names.len() == self.0.channels);
        Ok(names.map(|names| Arc::new(Self(Settings { names: Some(names), ..self.0.clone() }, self.1.clone())) as Arc<dyn Kind>))
    }

    fn families(&self) -> &'static [Family] {
        SERIES_FAMILIES
    }

    fn corrupt(&self, raw: Raw, corruption: Corruption, random: &mut Rng) -> Result<Raw> {
        let Array { shape, values, length } = raw.array(NAME)?;
        let mut values = values.to_f64();
        corrupt_series(&mut values, *shape.last().unwrap_or(&0), corruption, random)?;
        Ok(Raw::Array(Array { shape, values: Values::F64(values), length }))
    }

    fn features(&self, raw: Raw) -> Result<Array> {
        self.fitted(raw, 0.5)
    }

    fn look(&self, origin: &Origin, _picture: bool) -> Result<Look> {
        let raw = self.raw(origin)?;
        let finite = raw.non_finite().is_none();
        let array = raw.array(NAME)?;
        let time = array.shape.last().copied().unwrap_or_default();
        // Where the card names columns, each file may have them in its own order.
        let names = match origin {
            Origin::File { path, .. } if self.0.columns.is_none() => names_of(path),
            _ => None,
        };
        let rising = array.values.to_f64().chunks(time.max(1)).map(rises).collect();
        let look = Look { rising, ..Look::of_series(&self.features(Raw::Array(array))?, time, self.0.steps, names) };
        Ok(if finite { look } else { look.not_finite() })
    }

    fn settings(&self) -> serde_json::Value {
        // A struct of numbers and names always serialises.
        serde_json::to_value(&self.0).unwrap_or_default()
    }
}
