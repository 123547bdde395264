//! Arrays of NumPy as they are: stacks of any channels, such as those of radar or of a satellite.

use super::image::check_size;
use super::{Kind, Open, Origin, Raw, open, raw_of_whole_file};
use crate::corrupt::{Corruption, Family, IMAGE_FAMILIES, corrupt_channels};
use crate::data::image::resize_plane;
use crate::data::{Array, InputKind, InputSpec, Values, numpy};
use crate::error::{Error, Result};
use crate::rng::Rng;
use serde::{Deserialize, Serialize};
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

pub(super) const NAME: &str = "array";
pub(super) const OPEN: Open = open::<Numpy>;

/// An array of one shape from a `.npy` file, or from an entry of a `.npz` archive: `[features]`, `[channels, time]`,
/// `[channels, height, width]` or `[channels, frames, height, width]`. A manifest may name an entry of the first axis of a `.npy` file that holds
/// many samples: `<sensor>.start`, from 0, of length 1; its numbers may have any shape of the same size.
///
/// ```
/// use mm_core::data::{InputKind, kinds::{Kind, Numpy}};
/// let radar = Numpy::new([2, 64, 64])?;
/// assert_eq!(radar.input().kind, InputKind::Image);
/// # Ok::<(), mm_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Settings")]
pub struct Numpy(Settings);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    shape: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
    /// The channels are the last axis of the files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    channels_last: bool,
    /// Height and width that maps are brought to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<[usize; 2]>,
}

impl Numpy {
    /// Of a shape.
    pub fn new(shape: impl Into<Vec<usize>>) -> Result<Self> {
        Settings { shape: shape.into(), entry: None, channels_last: false, size: None }.try_into()
    }

    /// The entry of `.npz` archives, where they have several.
    pub fn entry(self, entry: impl Into<String>) -> Self {
        Self(Settings { entry: Some(entry.into()), ..self.0 })
    }

    /// The channels are the last axis of the files; [`Numpy::new`] has them first in any case.
    pub fn channels_last(self) -> Self {
        Self(Settings { channels_last: true, ..self.0 })
    }

    /// Maps `[channels, height, width]` are brought to this height and width, each channel by itself; otherwise they keep that of `shape`.
    pub fn sized(self, height: usize, width: usize) -> Result<Self> {
        Settings { size: Some([height, width]), ..self.0 }.try_into()
    }

    /// The shape that the files have.
    fn shape_of_files(&self) -> Vec<usize> {
        let mut shape = self.0.shape.clone();
        if self.0.channels_last {
            shape.rotate_left(1);
        }
        shape
    }

    /// What a file holds, as a model gets it; `path` is for messages.
    fn in_form(&self, array: Array, path: &Path) -> Result<Array> {
        let array = self.channels_in_front(array);
        match (self.0.size, array.shape.as_slice()) {
            (Some(size), &[channels, height, width]) if size != [height, width] => {
                let values = array.values.to_f64();
                let planes = values.chunks(height * width).map(|plane| resize_plane(plane, [height, width], size));
                let planes = planes.collect::<std::result::Result<Vec<_>, _>>().map_err(Error::image(path))?;
                Ok(Array::exact([channels, size[0], size[1]], planes.concat()))
            }
            _ => Ok(array),
        }
    }

    fn channels_in_front(&self, array: Array) -> Array {
        let values = match (self.0.channels_last, array.values) {
            (true, Values::F32(values)) => Values::F32(channels_first(&values, self.0.shape[0])),
            (true, Values::F64(values)) => Values::F64(channels_first(&values, self.0.shape[0])),
            (false, values) => values,
        };
        Array { shape: self.0.shape.clone(), values, length: None }
    }
}

impl TryFrom<Settings> for Numpy {
    type Error = Error;

    fn try_from(settings: Settings) -> Result<Self> {
        if let Some(size) = settings.size {
            check_size("array.size", size)?;
            if settings.shape.len() != 3 {
                return Err(Error::config("array.size", format!("is that of maps [channels, height, width]; shape is {:?}", settings.shape)));
            }
        }
        let elements = settings.shape.iter().try_fold(1usize, |n, &side| n.checked_mul(side));
        match ((1..=4).contains(&settings.shape.len()), elements) {
            (true, Some(1..)) => Ok(Self(settings)),
            _ => {
                let forms = "[features], [channels, time], [channels, height, width] or [channels, frames, height, width]";
                Err(Error::config("array.shape", format!("must be {forms}, found {:?}", settings.shape)))
            }
        }
    }
}

impl Kind for Numpy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> InputSpec {
        let kind = match self.0.shape.len() {
            1 => InputKind::Vector,
            2 => InputKind::Series,
            3 => InputKind::Image,
            _ => InputKind::Video,
        };
        match (self.0.size, self.0.shape.as_slice()) {
            (Some([height, width]), &[channels, ..]) => InputSpec::new(kind, [channels, height, width]),
            _ => InputSpec::new(kind, self.0.shape.clone()),
        }
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npy", "npz"]
    }

    fn decode(&self, bytes: &[u8], path: &Path) -> Result<Array> {
        let read = numpy::read(bytes, self.0.entry.as_deref()).map_err(Error::numpy(path))?;
        let expected = self.shape_of_files();
        if read.shape != expected {
            let mut turned = read.shape.clone();
            if let Some(last) = turned.pop() {
                turned.insert(0, last);
            }
            let advice = if !self.0.channels_last && turned == self.0.shape { "; with channels_last = true the last axis is the channels" } else { "" };
            return Err(Error::shape(path.display().to_string(), format!("{expected:?}{advice}"), read.shape));
        }
        self.in_form(read, path)
    }

    fn raw(&self, origin: &Origin) -> Result<Raw> {
        let (row, path) = match origin {
            Origin::File { path, part: Some(part) } => {
                let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
                (numpy::row(&mut file, one(part, path)?, path)?, path)
            }
            Origin::Memory { name, bytes, part: Some(part) } => (numpy::row(&mut Cursor::new(bytes), one(part, name)?, name)?, name),
            whole => return raw_of_whole_file(self, whole),
        };
        let expected = self.shape_of_files();
        if row.shape.iter().product::<usize>() != expected.iter().product::<usize>() {
            return Err(Error::shape(format!("an entry of {}", path.display()), format!("{expected:?}"), row.shape));
        }
        Ok(Raw::Array(self.in_form(row, path)?))
    }

    /// Maps have those of images.
    fn families(&self) -> &'static [Family] {
        if self.0.shape.len() == 3 { IMAGE_FAMILIES } else { &[] }
    }

    fn corrupt(&self, raw: Raw, corruption: Corruption, random: &mut Rng) -> Result<Raw> {
        let Array { shape, values, length } = raw.array(NAME)?;
        let &[_, height, width] = shape.as_slice() else { return Err(corruption.unknown_to(NAME, self.families())) };
        let mut stack = values.to_f64();
        corrupt_channels(&mut stack, height, width, corruption, random)?;
        Ok(Raw::Array(Array { shape, values: Values::F64(stack), length }))
    }

    fn settings(&self) -> serde_json::Value {
        // A struct of numbers and names always serialises.
        serde_json::to_value(&self.0).unwrap_or_default()
    }
}

/// From the channels as the last axis to the first.
pub(super) fn channels_first<T: Copy>(values: &[T], channels: usize) -> Vec<T> {
    (0..channels).flat_map(|channel| values.iter().skip(channel).step_by(channels.max(1)).copied()).collect()
}

/// The one entry that a part names.
fn one(part: &Range<u64>, path: &Path) -> Result<u64> {
    match part.end == u64::MAX || part.start.checked_add(1) == Some(part.end) {
        true => Ok(part.start),
        false => {
            let problem = format!("a reading is one entry of its first axis, and those from {} to {} were asked for: length is 1", part.start, part.end);
            Err(Error::File { path: path.into(), problem })
        }
    }
}
