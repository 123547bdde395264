//! Sentences: as counts of hashed words, or as token ids for a pretrained encoder.

use super::{Kind, Open, Origin, Raw, Standardization, Written, open};
use crate::corrupt::{Corruption, Family};
use crate::data::check::Look;
use crate::data::{Array, InputKind, InputSpec, utf8};
use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::text::{HashedText, TEXT_FAMILIES, Tokenizer, corrupt, drop_words};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const NAME: &str = "text";
pub(super) const OPEN: Open = open::<Text>;

/// Bytes of a file with one text.
const LARGEST_FILE: u64 = 1 << 24;

/// A text, from a table or a file in UTF-8 of its own.
///
/// ```
/// use mm_core::data::kinds::{Kind, Origin, Text};
/// let kind = Text::hashed(256);
/// let array = kind.features(kind.raw(&Origin::Text("The camera went dark.".into()))?)?;
/// assert_eq!(array.shape, [256]);
/// # Ok::<(), mm_core::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Settings")]
pub struct Text {
    features: Features,
    drop_words: f32,
}

#[derive(Debug, Clone)]
enum Features {
    Hashed(HashedText),
    Tokens(Arc<Tokenizer>),
}

/// As it is written in a card or plan, and in a saved model.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    features: FeaturesName,
    /// Share of words that are left out in training.
    #[serde(skip_serializing_if = "is_zero")]
    drop_words: f32,
    /// Of hashed counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    dimension: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pieces: Option<[usize; 2]>,
    /// Of token ids: the file, or what was in it. A saved model has the latter, so that it needs no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenizer: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenizer_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FeaturesName {
    #[default]
    Hashed,
    Tokens,
}

fn is_zero(rate: &f32) -> bool {
    *rate == 0.0
}

impl Text {
    /// A vector of so many hashed counts; see [`HashedText`].
    pub fn hashed(dimension: usize) -> Self {
        Self { features: Features::Hashed(HashedText { dimension, ..HashedText::default() }), drop_words: 0.0 }
    }

    /// Token ids by the `tokenizer.json` of a checkpoint, `length` a text; see [`Tokenizer`].
    pub fn tokens(tokenizer: impl AsRef<Path>, length: usize) -> Result<Self> {
        Ok(Self { features: Features::Tokens(Arc::new(Tokenizer::open(tokenizer.as_ref(), length)?)), drop_words: 0.0 })
    }

    /// Leaves out this share of the words of each text in training; at least 0 and below 1.
    pub fn with_drop_words(self, rate: f32) -> Result<Self> {
        match (0.0..1.0).contains(&rate) {
            true => Ok(Self { drop_words: rate, ..self }),
            false => Err(Error::config("drop_words", format!("must be at least 0 and below 1, found {rate}"))),
        }
    }
}

impl TryFrom<Settings> for Text {
    type Error = Error;

    fn try_from(settings: Settings) -> Result<Self> {
        let Settings { features, drop_words, dimension, pieces, tokenizer, tokenizer_json, length } = settings;
        let misplaced = |field: &str, features: &str| Err(Error::config(field, format!("is a setting of features = \"{features}\"")));
        let features = match features {
            FeaturesName::Hashed if tokenizer.is_some() || tokenizer_json.is_some() => return misplaced("tokenizer", "tokens"),
            FeaturesName::Hashed if length.is_some() => return misplaced("length", "tokens"),
            FeaturesName::Tokens if dimension.is_some() => return misplaced("dimension", "hashed"),
            FeaturesName::Tokens if pieces.is_some() => return misplaced("pieces", "hashed"),
            FeaturesName::Hashed => {
                let default = HashedText::default();
                let hashed = HashedText { dimension: dimension.unwrap_or(default.dimension), pieces: pieces.unwrap_or(default.pieces) };
                hashed.validate()?;
                Features::Hashed(hashed)
            }
            FeaturesName::Tokens => {
                let Some(length) = length else { return Err(Error::config("length", "say how many tokens a text has, such as 64")) };
                let opened = match (tokenizer, tokenizer_json) {
                    (_, Some(json)) => Tokenizer::from_bytes(json.into_bytes(), length, Path::new("tokenizer.json"))?,
                    (Some(path), None) => Tokenizer::open(&path, length)?,
                    (None, None) => return Err(Error::config("tokenizer", "name the `tokenizer.json` of a checkpoint")),
                };
                Features::Tokens(Arc::new(opened))
            }
        };
        Self { features, drop_words: 0.0 }.with_drop_words(drop_words)
    }
}

impl Kind for Text {
    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> InputSpec {
        match &self.features {
            Features::Hashed(hashed) => InputSpec::vector(hashed.dimension),
            Features::Tokens(tokenizer) => InputSpec::new(InputKind::Tokens, [tokenizer.length()]),
        }
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["txt"]
    }

    fn written(&self) -> Written {
        Written::Text
    }

    fn decode(&self, bytes: &[u8], path: &Path) -> Result<Array> {
        self.features(Raw::Text(utf8(path, bytes)?.into()))
    }

    fn raw(&self, origin: &Origin) -> Result<Raw> {
        let path = match origin {
            Origin::Text(text) => return Ok(Raw::Text(text.clone())),
            Origin::File { path, part: None } => path,
            Origin::Memory { name, bytes, part: None } => return Ok(Raw::Text(utf8(name, bytes)?.into())),
            Origin::Numbers(_) => return Err(Error::config("kind", format!("{origin} stand where a text is expected"))),
            Origin::File { path, part: Some(_) } | Origin::Memory { name: path, part: Some(_), .. } => {
                let problem = "a text is a whole file: leave out start and length".into();
                return Err(Error::File { path: path.clone(), problem });
            }
        };
        let bytes = std::fs::metadata(path).map_err(Error::io(path))?.len();
        if bytes > LARGEST_FILE {
            let problem = format!("has {bytes} bytes, and one text at most {LARGEST_FILE}; split it");
            return Err(Error::File { path: path.clone(), problem });
        }
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Ok(Raw::Text(utf8(path, &bytes)?.into()))
    }

    fn features(&self, raw: Raw) -> Result<Array> {
        let text = match raw {
            Raw::Text(text) => text,
            Raw::Array(array) => return Ok(array),
        };
        match &self.features {
            Features::Hashed(hashed) => Ok(Array::new([hashed.dimension], hashed.vector(&text))),
            Features::Tokens(tokenizer) => {
                let tokens = tokenizer.encode(&text)?;
                Ok(Array::new([tokenizer.length()], tokens.values).with_length(tokens.length))
            }
        }
    }

    fn look(&self, origin: &Origin, _picture: bool) -> Result<Look> {
        Ok(match self.raw(origin)? {
            Raw::Text(text) => Look::of_text(&text),
            Raw::Array(array) => Look::of_array(&array),
        })
    }

    fn augments(&self) -> bool {
        self.drop_words > 0.0
    }

    fn augment(&self, raw: Raw, random: &mut Rng, _own: &mut Rng) -> Result<Raw> {
        Ok(match raw {
            Raw::Text(text) => Raw::Text(drop_words(&text, self.drop_words, random)),
            array => array,
        })
    }

    fn families(&self) -> &'static [Family] {
        TEXT_FAMILIES
    }

    fn corrupt(&self, raw: Raw, corruption: Corruption, random: &mut Rng) -> Result<Raw> {
        match raw {
            Raw::Text(text) => Ok(Raw::Text(corrupt(&text, corruption, random)?)),
            Raw::Array(_) => Err(Error::config("kind", format!("kind `{NAME}` reads texts, and was given numbers"))),
        }
    }

    fn standardization(&self) -> Standardization {
        match self.features {
            Features::Hashed(_) => Standardization::Fitted,
            Features::Tokens(_) => Standardization::None,
        }
    }

    fn settings(&self) -> serde_json::Value {
        let settings = match &self.features {
            Features::Hashed(HashedText { dimension, pieces }) => {
                Settings { dimension: Some(*dimension), pieces: Some(*pieces), ..Settings::default() }
            }
            Features::Tokens(tokenizer) => Settings {
                features: FeaturesName::Tokens,
                // The library takes no file that is not UTF-8.
                tokenizer_json: Some(String::from_utf8_lossy(tokenizer.json()).into_owned()),
                length: Some(tokenizer.length()),
                ..Settings::default()
            },
        };
        // A struct of numbers and texts always serialises.
        serde_json::to_value(Settings { drop_words: self.drop_words, ..settings }).unwrap_or_default()
    }
}
