//! Depth maps: PNG and TIFF, in metres, with pixels that have no reading.

use super::image::{check_size, look};
use super::{Kind, Open, Origin, Raw};
use crate::corrupt::{Corruption, DEPTH_FAMILIES, Family, corrupt_depth};
use crate::data::check::{Flaw, Look};
use crate::data::image::{Bitmap, Fit, ImageError, Metres, decode, resize_depth, to_metres};
use crate::data::{Array, InputSpec};
use crate::error::{Error, Result};
use crate::rng::Rng;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

pub(super) const NAME: &str = "depth";
pub(super) const OPEN: Open = |settings| {
    let kind = Depth::deserialize(settings)?;
    kind.validate().map_err(serde::de::Error::custom)?;
    Ok(Arc::new(kind))
};

/// A depth map of one size in metres, `[1, height, width]`, 0 where there is no reading; with [`Depth::with_valid`] a second channel says
/// where there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Depth {
    /// Height and width.
    size: [usize; 2],
    #[serde(default = "millimetre")]
    scale: f64,
    #[serde(default)]
    min: f64,
    #[serde(default)]
    max: Option<f64>,
    #[serde(default)]
    rotated_bits: u32,
    #[serde(default)]
    fit: Fit,
    #[serde(default)]
    valid: bool,
}

fn millimetre() -> f64 {
    0.001
}

impl Depth {
    /// From files in millimetres, `size` pixels high and wide.
    pub fn new(size: usize) -> Self {
        Self { size: [size; 2], scale: millimetre(), min: 0.0, max: None, rotated_bits: 0, fit: Fit::default(), valid: false }
    }

    /// Height and width.
    pub fn sized(self, height: usize, width: usize) -> Self {
        Self { size: [height, width], ..self }
    }

    /// Metres of 1 in the file: by default 0.001; 0.0001 in YCB-Video, 1 where floating point numbers are metres.
    pub fn scale(self, scale: f64) -> Self {
        Self { scale, ..self }
    }

    /// What is nearer or farther than so many metres is no reading; by default all is one.
    pub fn range(self, min: f64, max: f64) -> Self {
        Self { min, max: Some(max), ..self }
    }

    /// Bits by which each 16-bit number was rotated to the left: 3 in SUN RGB-D, by default 0.
    pub fn rotated_bits(self, rotated_bits: u32) -> Self {
        Self { rotated_bits, ..self }
    }

    /// What is done with a map of another ratio of sides; by default it is stretched.
    pub fn fit(self, fit: Fit) -> Self {
        Self { fit, ..self }
    }

    /// A second channel: 1 where there is a reading, else 0.
    pub fn with_valid(self) -> Self {
        Self { valid: true, ..self }
    }

    fn channels(&self) -> usize {
        if self.valid { 2 } else { 1 }
    }

    fn validate(&self) -> Result<()> {
        check_size("depth.size", self.size)?;
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Err(Error::config("depth.scale", format!("must be above 0 (metres of 1 in the file), found {}", self.scale)));
        }
        let max = self.max.unwrap_or(f64::INFINITY);
        if !(self.min >= 0.0 && self.min < max) {
            return Err(Error::config("depth.max", format!("must be above `min`, and that at least 0 metres, found {} and {max}", self.min)));
        }
        if self.rotated_bits > 15 {
            return Err(Error::config("depth.rotated_bits", format!("must be 0 to 15 of 16 bits, found {}", self.rotated_bits)));
        }
        Ok(())
    }
}

impl Kind for Depth {
    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> InputSpec {
        InputSpec::image([self.channels(), self.size[0], self.size[1]])
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["png", "tif", "tiff"]
    }

    fn decode(&self, bytes: &[u8], path: &Path) -> Result<Array> {
        self.validate()?;
        let bitmap = decode(bytes).map_err(Error::image(path))?;
        let max = self.max.unwrap_or(f64::INFINITY);
        let metres = Metres { scale: self.scale, min: self.min, max, rotated_bits: self.rotated_bits };
        let depth = to_metres(&bitmap, &metres).map_err(Error::image(path))?;
        let planes = resize_depth(&depth, [bitmap.height, bitmap.width], self.size, self.fit, self.valid).map_err(Error::image(path))?;
        Ok(Array::new([self.channels(), self.size[0], self.size[1]], planes))
    }

    fn families(&self) -> &'static [Family] {
        DEPTH_FAMILIES
    }

    fn corrupt(&self, raw: Raw, corruption: Corruption, random: &mut Rng) -> Result<Raw> {
        raw.change_planes(NAME, |values, height, width| corrupt_depth(values, height, width, corruption, random))
    }

    fn look(&self, origin: &Origin, picture: bool) -> Result<Look> {
        let one_channel = |bitmap: &Bitmap| match bitmap.channels {
            1 => Ok(()),
            channels => Err(ImageError::NotDepth { channels }),
        };
        // What is not finite is no reading of its pixel.
        let seen = look(origin, picture, self.size, one_channel).map(|seen| {
            seen.map(|mut look| {
                look.flaws.retain(|flaw| *flaw != Flaw::NonFinite);
                look
            })
        });
        seen.unwrap_or_else(|| Ok(Look::of_array(&self.features(self.raw(origin)?)?)))
    }

    fn settings(&self) -> serde_json::Value {
        // A struct of numbers and names always serialises.
        serde_json::to_value(self).unwrap_or_default()
    }
}
