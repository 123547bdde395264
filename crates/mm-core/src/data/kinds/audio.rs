//! Sounds: WAV, FLAC, MP3 and Ogg Vorbis, whole files or parts of long ones, as waveforms or spectrograms of one length.

use super::{Kind, Open, Origin, Raw, open, shortened};
use crate::corrupt::{Corruption, Family};
use crate::data::audio::{self, AudioError, AudioReading, AudioSettings, FrontEnd, Length, SOUND_FAMILIES, Wave};
use crate::data::check::Look;
use crate::data::{Array, InputKind, InputSpec};
use crate::error::{Error, Result};
use crate::rng::Rng;
use serde::Deserialize;
use std::path::Path;

pub(super) const NAME: &str = "audio";
pub(super) const OPEN: Open = open::<Audio>;

/// Sounds of one rate and one length; [`crate::data::audio`] has the parts.
///
/// What a sensor gave ([`Kind::raw`]) is its samples, `[channels, samples]`, as many as there are. A reading is as the settings say.
#[derive(Clone, Deserialize)]
#[serde(try_from = "AudioSettings")]
pub struct Audio(FrontEnd);

impl Audio {
    /// With settings; refuses what cannot work.
    pub fn new(settings: AudioSettings) -> Result<Self> {
        Ok(Self(FrontEnd::new(settings)?))
    }

    fn array(&self, reading: AudioReading) -> Array {
        let array = Array::new(self.0.shape(), reading.values);
        match self.0.settings().length {
            Length::Pad => array.with_length(reading.filled),
            Length::Crop | Length::Repeat => array,
        }
    }
}

impl TryFrom<AudioSettings> for Audio {
    type Error = Error;
    fn try_from(settings: AudioSettings) -> Result<Self> {
        Self::new(settings)
    }
}

impl Kind for Audio {
    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> InputSpec {
        let shape = self.0.shape();
        InputSpec::new(if shape.len() == 3 { InputKind::Spectrogram } else { InputKind::Series }, shape)
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["wav", "flac", "mp3", "ogg"]
    }

    fn decode(&self, bytes: &[u8], path: &Path) -> Result<Array> {
        Ok(array(self.0.decode(bytes, path, None)?))
    }

    fn settings(&self) -> serde_json::Value {
        // A struct of numbers and names always serialises.
        serde_json::to_value(self.0.settings()).unwrap_or_default()
    }

    fn raw(&self, origin: &Origin) -> Result<Raw> {
        match origin {
            Origin::File { path, part } => Ok(Raw::Array(array(self.0.read(path, part.clone())?))),
            Origin::Memory { name, bytes, part } => Ok(Raw::Array(array(self.0.decode(bytes, name, part.clone())?))),
            other => Err(Error::config("kind", format!("{other} stands where a file is expected: sounds are read from files"))),
        }
    }

    /// An augmented sound is a reading already: masks are laid over its spectrogram.
    fn augment(&self, raw: Raw, random: &mut Rng, _own: &mut Rng) -> Result<Raw> {
        Ok(Raw::Array(self.array(self.0.augmented(wave(raw)?, random)?)))
    }

    fn augments(&self) -> bool {
        self.0.augments()
    }

    fn families(&self) -> &'static [Family] {
        SOUND_FAMILIES
    }

    fn corrupt(&self, raw: Raw, corruption: Corruption, random: &mut Rng) -> Result<Raw> {
        let mut wave = wave(raw)?;
        self.0.corrupt(&mut wave, corruption, random)?;
        Ok(Raw::Array(array(wave)))
    }

    fn look(&self, origin: &Origin, picture: bool) -> Result<Look> {
        let Origin::File { path, part } = origin else { return Ok(Look::of_array(&self.features(self.raw(origin)?)?)) };
        let (sound, settings) = (audio::read(path, part.clone())?, self.0.settings());
        match (settings.channels, sound.channels.len()) {
            (expected, found) if expected > 1 && expected != found => {
                Err(AudioError::Channels { path: path.clone(), expected, found }.into())
            }
            _ => {
                self.0.check_length(sound.channels[0].len(), sound.rate)?;
                let look = Look::of_sound(&sound, settings.seconds, settings.rate, picture);
                Ok(if settings.channels == 1 { look.averaged(&sound) } else { look })
            }
        }
    }

    fn features(&self, raw: Raw) -> Result<Array> {
        match raw {
            // A reading: samples have two dimensions and no length.
            Raw::Array(array) if array.shape.len() == 3 || array.length.is_some() => Ok(array),
            raw => Ok(self.array(self.0.reading(wave(raw)?)?)),
        }
    }
}

/// Samples by channel as one array.
fn array(wave: Wave) -> Array {
    let shape = [wave.len(), wave.first().map_or(0, Vec::len)];
    Array::new(shape, wave.concat())
}

fn wave(raw: Raw) -> Result<Wave> {
    match raw {
        Raw::Array(Array { shape, values, .. }) => match shape[..] {
            [channels, samples] if channels * samples == values.len() && samples > 0 => {
                Ok(values.into_f32().chunks_exact(samples).map(<[f32]>::to_vec).collect())
            }
            _ => Err(Error::shape("sound", "[channels, samples]", shape)),
        },
        Raw::Text(text) => Err(Error::config("kind", format!("kind `{NAME}` reads sounds, and was given the text `{}`", shortened(&text)))),
    }
}
