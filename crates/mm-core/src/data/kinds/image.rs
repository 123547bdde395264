//! Images: PNG, JPEG, TIFF, WebP and BMP, and single ones of an IDX file, brought to one size.

use super::{Kind, Open, Origin, Raw, Standardization, raw_of_whole_file};
use crate::corrupt::{Corruption, Family, IMAGE_FAMILIES, corrupt_image};
use crate::data::check::Look;
use crate::data::image::{Appearance, Bitmap, Format, ImageError, LARGEST_PIXELS, LARGEST_SIDE, decode, idx_image, resize};
use crate::data::{Array, InputSpec, Values};
use crate::error::{Error, Result};
use crate::rng::Rng;
use serde::{Deserialize, Serialize};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

pub use crate::data::image::{Alpha, AppearanceConfig, Fit, ImageChannels};

pub(super) const NAME: &str = "image";
pub(super) const OPEN: Open = |settings| {
    let kind = Image::deserialize(settings)?;
    kind.validate().map_err(serde::de::Error::custom)?;
    Ok(Arc::new(kind))
};

/// An image of one size, values from 0 (black) to 1 (white), `[channels, height, width]`.
///
/// A grey file of a model that takes colours has three equal channels; a coloured file of one that takes grey becomes
/// 0.299 red + 0.587 green + 0.114 blue. Files are turned as their EXIF orientation says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    channels: ImageChannels,
    /// Height and width.
    size: [usize; 2],
    #[serde(default)]
    fit: Fit,
    #[serde(default)]
    padding: f32,
    #[serde(default)]
    alpha: Alpha,
    #[serde(default)]
    normalize: Normalize,
    #[serde(default)]
    appearance: AppearanceConfig,
}

/// What images are standardized by, channel by channel.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Mean and deviation of the training part.
    #[default]
    Fitted,
    /// Those of ImageNet, which published weights expect: mean 0.485, 0.456, 0.406, deviation 0.229, 0.224, 0.225.
    Imagenet,
    /// These.
    Given {
        /// One for each channel, of values from 0 to 1.
        mean: Vec<f64>,
        /// One for each channel, above 0.
        std: Vec<f64>,
    },
}

impl Image {
    /// Red, green and blue, `size` pixels high and wide.
    pub fn rgb(size: usize) -> Self {
        Self::new(ImageChannels::Rgb, size)
    }

    /// One channel, `size` pixels high and wide.
    pub fn gray(size: usize) -> Self {
        Self::new(ImageChannels::Gray, size)
    }

    fn new(channels: ImageChannels, size: usize) -> Self {
        let (fit, alpha, normalize, appearance) = Default::default();
        Self { channels, size: [size; 2], fit, padding: 0.0, alpha, normalize, appearance }
    }

    /// Height and width.
    pub fn sized(self, height: usize, width: usize) -> Self {
        Self { size: [height, width], ..self }
    }

    /// What is done with an image of another ratio of sides; by default it is stretched.
    pub fn fit(self, fit: Fit) -> Self {
        Self { fit, ..self }
    }

    /// Value of the bars of [`Fit::Pad`], by default 0 (black).
    pub fn padding(self, padding: f32) -> Self {
        Self { padding, ..self }
    }

    /// What becomes of transparency; by default it is dropped.
    pub fn alpha(self, alpha: Alpha) -> Self {
        Self { alpha, ..self }
    }

    /// What it is standardized by; by default what the training part says.
    pub fn normalize(self, normalize: Normalize) -> Self {
        Self { normalize, ..self }
    }

    /// Random changes in training; by default none.
    pub fn appearance(self, appearance: AppearanceConfig) -> Self {
        Self { appearance, ..self }
    }

    /// An image as a model gets it, but for its standardization.
    fn sized_alike(&self, bitmap: Bitmap, path: &Path) -> Result<Array> {
        let bitmap = bitmap.flattened(self.channels, self.alpha);
        let (channels, [height, width]) = (self.channels.count(), self.size);
        let planes = resize(&bitmap, channels, self.size, self.fit, self.padding).map_err(Error::image(path))?;
        Ok(Array::new([channels, height, width], planes))
    }

    pub(super) fn validate(&self) -> Result<()> {
        check_size("image.size", self.size)?;
        if !self.padding.is_finite() {
            return Err(Error::config("image.padding", format!("must be a number, found {}", self.padding)));
        }
        if let Standardization::Given { mean, std } = self.standardization() {
            let channels = self.channels.count();
            if mean.len() != channels || std.len() != channels {
                let problem = format!("{} means and {} deviations for {channels} channels", mean.len(), std.len());
                return Err(Error::config("image.normalize", problem));
            }
            if !mean.iter().all(|x| x.is_finite()) || !std.iter().all(|x| x.is_finite() && *x > 0.0) {
                return Err(Error::config("image.normalize", format!("must be numbers, deviations above 0, found {mean:?} and {std:?}")));
            }
        }
        self.appearance.validate()
    }
}

/// Refuses a size that no image can be brought to.
pub(super) fn check_size(field: &str, size: [usize; 2]) -> Result<()> {
    let sides = 1..=LARGEST_SIDE as usize;
    match size.iter().all(|side| sides.contains(side)) && size[0] * size[1] <= LARGEST_PIXELS as usize {
        true => Ok(()),
        false => Err(Error::config(field, format!("must be [height, width], each from 1 to {LARGEST_SIDE}, found {size:?}"))),
    }
}

/// Looks at a file that holds an image, which `check` may refuse; `None` where a reading is no whole file.
pub(super) fn look(
    origin: &Origin,
    picture: bool,
    size: [usize; 2],
    check: impl Fn(&Bitmap) -> std::result::Result<(), ImageError>,
) -> Option<Result<Look>> {
    let Origin::File { path, part: None } = origin else { return None };
    let look = || {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let (format, bitmap) = (Format::of(&bytes), decode(&bytes).map_err(Error::image(path))?);
        check(&bitmap).map_err(Error::image(path))?;
        Ok(Look::of_bitmap(&bitmap, format, size, picture).map_err(Error::image(path))?.with_ending(path, format))
    };
    Some(look())
}

impl Kind for Image {
    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> InputSpec {
        InputSpec::image([self.channels.count(), self.size[0], self.size[1]])
    }

    fn extensions(&self) -> &'static [&'static str] {
        &Format::ENDINGS
    }

    fn decode(&self, bytes: &[u8], path: &Path) -> Result<Array> {
        self.validate()?;
        self.sized_alike(decode(bytes).map_err(Error::image(path))?, path)
    }

    fn raw(&self, origin: &Origin) -> Result<Raw> {
        let (bitmap, path) = match origin {
            Origin::File { path, part: Some(part) } => {
                let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
                (idx_image(&mut file, part, path)?, path)
            }
            Origin::Memory { name, bytes, part: Some(part) } => (idx_image(&mut Cursor::new(bytes), part, name)?, name),
            whole => return raw_of_whole_file(self, whole),
        };
        Ok(Raw::Array(self.sized_alike(bitmap, path)?))
    }

    fn settings(&self) -> serde_json::Value {
        // A struct of numbers and names always serialises.
        serde_json::to_value(self).unwrap_or_default()
    }

    fn augments(&self) -> bool {
        !self.appearance.is_off()
    }

    fn augment(&self, raw: Raw, random: &mut Rng, _own: &mut Rng) -> Result<Raw> {
        let Raw::Array(mut array) = raw else { return Ok(raw) };
        // The frames of a video as well.
        if let (Values::F32(values), &[_, .., height, width]) = (&mut array.values, array.shape.as_slice()) {
            Appearance::draw(&self.appearance, random).apply(values, height, width);
        }
        Ok(Raw::Array(array))
    }

    fn families(&self) -> &'static [Family] {
        IMAGE_FAMILIES
    }

    fn corrupt(&self, raw: Raw, corruption: Corruption, random: &mut Rng) -> Result<Raw> {
        raw.change_planes(NAME, |values, height, width| corrupt_image(values, height, width, corruption, random))
    }

    fn look(&self, origin: &Origin, picture: bool) -> Result<Look> {
        look(origin, picture, self.size, |_| Ok(())).unwrap_or_else(|| Ok(Look::of_array(&self.features(self.raw(origin)?)?)))
    }

    fn standardization(&self) -> Standardization {
        match &self.normalize {
            Normalize::Fitted => Standardization::Fitted,
            Normalize::Imagenet => Standardization::Given { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] },
            Normalize::Given { mean, std } => Standardization::Given { mean: mean.clone(), std: std.clone() },
        }
    }
}
