//! What the readings of a sensor are, and how a file becomes one.

use super::audio::AudioError;
use super::check::Look;
use super::{Array, InputSpec, Values, nearest};
use crate::corrupt::{Corruption, Family};
use crate::error::{Error, Result};
use crate::rng::Rng;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A kind of reading: what a model gets of it, and how it is read.
///
/// A reading takes three steps: [`Kind::raw`] reads what the sensor gave, [`Kind::augment`] or [`Kind::corrupt`] may change that, and
/// [`Kind::features`] makes of it what a model gets. A kind whose files hold that already is [`Kind::decode`] alone.
pub trait Kind: Send + Sync {
    /// Its name in a saved model.
    fn name(&self) -> &'static str;

    /// Form of one reading.
    fn input(&self) -> InputSpec;

    /// Endings of the files that hold one, lower case and without a point; a kind that is read from no files has none.
    fn extensions(&self) -> &'static [&'static str];

    /// Decodes the bytes of a file; `path` is for messages.
    fn decode(&self, bytes: &[u8], path: &Path) -> Result<Array>;

    /// Its settings, as a saved model holds them.
    fn settings(&self) -> serde_json::Value;

    /// Reads what the sensor gave. Unless a kind says otherwise that is a whole file, decoded.
    fn raw(&self, origin: &Origin) -> Result<Raw> {
        raw_of_whole_file(self, origin)
    }

    /// What the cell of a table holds that names a reading.
    fn written(&self) -> Written {
        Written::File
    }

    /// How many numbers a reading is, where they may stand in a table, a column each.
    fn takes_numbers(&self) -> Option<usize> {
        None
    }

    /// Makes what a model gets of what the sensor gave.
    fn features(&self, raw: Raw) -> Result<Array> {
        match raw {
            Raw::Array(array) => Ok(array),
            Raw::Text(_) => Err(Error::config("kind", format!("kind `{}` reads numbers, and was given a text", self.name()))),
        }
    }

    /// How many steps a recording has, for a kind that windows can be cut from ([`super::Windows`]).
    fn steps(&self, origin: &Origin) -> Result<u64> {
        let problem = format!("windows are cut from series, and {origin} is of kind `{}`: leave out [windows], or the sensor", self.name());
        Err(Error::config("windows", problem))
    }

    /// Whether [`Kind::augment`] changes anything.
    fn augments(&self) -> bool {
        false
    }

    /// A random change in training, before [`Kind::features`]. Draws of `random` are the sample's, and those of all sensors of one device
    /// (`device` in a card); those of `own` are this sensor's alone, for noise.
    fn augment(&self, raw: Raw, _random: &mut Rng, _own: &mut Rng) -> Result<Raw> {
        Ok(raw)
    }

    /// The families of corruption that it has, besides those of all sensors.
    fn families(&self) -> &'static [Family] {
        &[]
    }

    /// What a sensor would have given that is degraded in one of [`Kind::families`], before [`Kind::features`]. The draws are the reading's
    /// own and do not depend on the severity.
    fn corrupt(&self, _raw: Raw, corruption: Corruption, _random: &mut Rng) -> Result<Raw> {
        Err(corruption.unknown_to(self.name(), self.families()))
    }

    /// The kind as the files of a data set together say it, such as with the names of their columns; `None` where they say nothing more, an
    /// error where they contradict each other.
    fn settled(&self, _origins: &[&Origin]) -> Result<Option<Arc<dyn Kind>>> {
        Ok(None)
    }

    /// What the statistics of its readings are.
    fn standardization(&self) -> Standardization {
        Standardization::Fitted
    }

    /// Looks at a reading as a check of the data does; with a picture of it, if that is asked for.
    fn look(&self, origin: &Origin, _picture: bool) -> Result<Look> {
        let raw = self.raw(origin)?;
        // Perhaps where a model would not get it; the reading is refused all the same.
        let finite = raw.non_finite().is_none();
        let look = Look::of_array(&self.features(raw)?);
        Ok(if finite { look } else { look.not_finite() })
    }

    /// Reads a file as a model gets it.
    fn read(&self, path: &Path) -> Result<Array> {
        let origin = Origin::file(path);
        self.raw(&origin).and_then(|raw| self.features(raw)).map_err(|error| origin.blame(error))
    }
}

/// [`Kind::raw`] unless a kind says otherwise: a whole file, decoded, or numbers where the kind takes them.
fn raw_of_whole_file(kind: &(impl Kind + ?Sized), origin: &Origin) -> Result<Raw> {
    let path = match origin {
        Origin::File { path, part: None } => path,
        Origin::Memory { name, bytes, part: None } => return Ok(Raw::Array(kind.decode(bytes, name)?)),
        Origin::File { path, part: Some(_) } | Origin::Memory { name: path, part: Some(_), .. } => {
            let problem = format!("a reading of kind `{}` is a whole file: leave out start and length", kind.name());
            return Err(Error::File { path: path.clone(), problem });
        }
        Origin::Numbers(values) => {
            let shape = kind.input().shape;
            return match kind.takes_numbers() {
                Some(count) if count == values.len() => Ok(Raw::Array(Array::exact(shape, values.clone()))),
                _ => Err(Error::shape(format!("a reading of kind `{}`", kind.name()), format!("{shape:?}"), [values.len()])),
            };
        }
        Origin::Text(text) => {
            let problem = format!("`{}` stands where a file is expected: kind `{}` is read from files", shortened(text), kind.name());
            return Err(Error::config("kind", problem));
        }
    };
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    Ok(Raw::Array(kind.decode(&bytes, path)?))
}

/// Where a reading is.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// Which part of it, where it holds several readings one after another: in samples of a sound or images of an IDX file, from 0.
        /// An end of `u64::MAX` is none: of a sound or series all that follows, of images one.
        part: Option<Range<u64>>,
    },
    /// In a file whose content is in memory, as that of a built-in data set is.
    Memory {
        /// Its name, for messages.
        name: PathBuf,
        /// Its content.
        bytes: Bytes,
        /// Which part of it.
        part: Option<Range<u64>>,
    },
    /// In the table of samples itself: a sentence.
    Text(String),
    /// In the table of samples itself: numbers.
    Numbers(Vec<f64>),
}

/// What the cell of a table holds that names a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The path of a file.
    File,
    /// The path of a folder, which holds one reading.
    Folder,
    /// The reading itself, as a text.
    Text,
}

impl Origin {
    /// A whole file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File { path: path.into(), part: None }
    }

    /// An error of the reading that is here, with the place where the error names none.
    pub(crate) fn blame(&self, error: Error) -> Error {
        let says = |path: &Path| error.to_string().contains(&*path.to_string_lossy());
        match (&error, self) {
            (_, Self::File { path, .. } | Self::Memory { name: path, .. }) if says(path) => error,
            (Error::Shape { .. } | Error::Text(_) | Error::Audio(AudioError::Short { .. }), _) => {
                Error::Reading { reading: self.to_string(), problem: Box::new(error) }
            }
            _ => error,
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::File { path, part: None } | Self::Memory { name: path, part: None, .. } => write!(f, "{}", path.display()),
            Self::File { path, part: Some(part) } | Self::Memory { name: path, part: Some(part), .. } => {
                let end = if part.end == u64::MAX { String::new() } else { format!(" to {}", part.end) };
                write!(f, "{} from {}{end}", path.display(), part.start)
            }
            Self::Text(text) => write!(f, "`{}`", shortened(text)),
            Self::Numbers(values) => write!(f, "{} numbers", values.len()),
        }
    }
}

/// What a sensor gave: numbers (pixels, a wave) or a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// Numbers.
    Array(Array),
    /// A text.
    Text(String),
}

impl Raw {
    /// The first number that is NaN or infinite, and its position.
    pub(in crate::data) fn non_finite(&self) -> Option<(usize, f64)> {
        fn first(values: &[impl Copy + Into<f64>]) -> Option<(usize, f64)> {
            values.iter().map(|&x| x.into()).enumerate().find(|(_, x): &(usize, f64)| !x.is_finite())
        }
        match self {
            Self::Array(Array { values: Values::F32(values), .. }) => first(values),
            Self::Array(Array { values: Values::F64(values), .. }) => first(values),
            Self::Text(_) => None,
        }
    }

    /// Numbers of a shape, where a kind reads such.
    fn array(self, kind: &str) -> Result<Array> {
        match self {
            Self::Array(array) => Ok(array),
            Self::Text(text) => {
                Err(Error::config("kind", format!("kind `{kind}` reads numbers, and was given the text `{}`", shortened(&text))))
            }
        }
    }

    /// Changes planes `[.., height, width]` of f32 numbers in place.
    fn change_planes(self, kind: &str, change: impl FnOnce(&mut [f32], usize, usize) -> Result<()>) -> Result<Self> {
        let Array { shape, values, length } = self.array(kind)?;
        let &[.., height, width] = shape.as_slice() else { return Err(Error::shape(kind, "[channels, height, width]", shape)) };
        let mut values = values.into_f32();
        change(&mut values, height, width)?;
        Ok(Self::Array(Array { shape, values: Values::F32(values), length }))
    }
}

/// How the readings of a kind come to mean 0 and deviation 1.
#[derive(Debug, Clone, PartialEq)]
pub enum Standardization {
    /// By the statistics of the training part.
    Fitted,
    /// By given ones, one each for every channel: those that a pretrained network was trained with.
    Given {
        /// Means.
        mean: Vec<f64>,
        /// Standard deviations, above 0.
        std: Vec<f64>,
    },
    /// Not at all: numbers that stand for names, such as words of a vocabulary.
    None,
}

/// Numbers of a reading whose settings say how large it is, at most: half a gigabyte. More is a slip.
const MOST_NUMBERS: usize = 1 << 27;

/// The beginning of a text, for a message.
fn shortened(text: &str) -> String {
    let end = text.char_indices().nth(40).map_or(text.len(), |(at, _)| at);
    if end < text.len() { format!("{}...", &text[..end]) } else { text.into() }
}

/// A kind as a saved model holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedKind {
    /// [`Kind::name`].
    pub kind: String,
    /// [`Kind::settings`].
    pub settings: serde_json::Value,
}

impl SavedKind {
    /// Of a kind.
    pub fn of(kind: &dyn Kind) -> Self {
        Self { kind: kind.name().into(), settings: kind.settings() }
    }

    /// What to say of a kind that nobody knows.
    pub(super) fn unknown(kind: &str) -> String {
        let names = || KINDS.iter().map(|(name, _)| *name);
        let also = ALSO_CALLED.iter().find(|(_, also)| also.contains(&kind.to_lowercase().as_str())).map(|(name, _)| *name);
        let near = also.or_else(|| nearest(kind, names())).map_or(".".into(), |near| format!("; did you mean `{near}`?"));
        format!("no kind of reading is called `{kind}`{near} There are: {}", names().collect::<Vec<_>>().join(", "))
    }

    /// The kind, if this program knows it; a program that does not still takes readings as arrays.
    pub fn open(&self) -> Result<Option<Arc<dyn Kind>>> {
        let known = KINDS.iter().find(|(name, _)| *name == self.kind);
        let opened = known.map(|(_, open)| open(&self.settings)).transpose();
        opened.map_err(|e| Error::config(format!("kind.{}", self.kind), e.to_string()))
    }
}

/// What else people call a kind.
const ALSO_CALLED: [(&str, &[&str]); 6] = [
    ("audio", &["sound", "sounds", "speech", "microphone", "wav", "flac", "mp3", "ogg"]),
    ("image", &["photo", "picture", "camera", "rgb", "png", "jpg", "jpeg"]),
    ("series", &["time_series", "timeseries", "signal", "csv"]),
    ("text", &["sentence", "sentences", "note", "words", "txt"]),
    ("vector", &["numbers", "number", "features", "tabular", "table"]),
    ("video", &["film", "movie", "frames", "mp4"]),
];

/// How a kind is made from its settings.
type Open = fn(&serde_json::Value) -> serde_json::Result<Arc<dyn Kind>>;

/// Of settings that are a struct.
fn open<K: Kind + serde::de::DeserializeOwned + 'static>(settings: &serde_json::Value) -> serde_json::Result<Arc<dyn Kind>> {
    Ok(Arc::new(K::deserialize(settings)?))
}

/// Each kind is a file that says its `NAME` and how it is opened (`OPEN`); a new one is its file and its name here.
macro_rules! kinds {
    ($($file:ident),*) => {
        $(mod $file;
        pub use $file::*;)*

        /// The kinds that every program knows: saved and loaded by name.
        const KINDS: &[(&str, Open)] = &[$(($file::NAME, $file::OPEN)),*];
    };
}

kinds!(array, audio, depth, image, series, text, vector, video);
