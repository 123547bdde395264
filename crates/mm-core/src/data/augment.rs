//! Random geometric changes of training images, the same for all sensors of a sample.

use super::image::{Geometry, Interpolation};
use super::{Array, InputKind, InputSpec, Sample, SampleKey, Schema, TargetValue, Transform, Values};
use crate::error::{Error, Result};
use crate::rng;
use serde::{Deserialize, Serialize};

/// Which geometric changes training images get; by default none.
///
/// A sample's change is defined in coordinates relative to the image, so sensors of different resolution that see the same
/// scene still do so afterwards (a rotation turns pixels, so it asks for one aspect ratio). Every image keeps its size: a crop is resized to it. What comes in from outside the image is
/// 0, to standardized data the mean. Vectors stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Probability of a vertical flip: for images without an above and below, as those of satellites and microscopes.
    pub flip_vertical: f64,
    /// Whether images are turned by 0, 90, 180 or 270 degrees, each as likely; they must be square.
    pub quarter_turns: bool,
    /// Largest angle of a rotation about the centre, in degrees; it is uniform from minus to plus this.
    pub rotation: f64,
    /// Least and largest share of the image's area that a crop keeps; `[1, 1]`: no crop.
    pub crop_area: [f64; 2],
    /// Least and largest ratio of a crop's width to its height, where the whole image has 1; log-uniform.
    pub crop_aspect: [f64; 2],
    /// Least and largest factor by which things become larger, about the centre; log-uniform.
    pub zoom: [f64; 2],
    /// How far things move at most, down or up and right or left, as a part of the image's height and width: a random crop of the
    /// image with borders of that width around it. 0.125 is a border of 4 pixels at 32.
    pub shift: f64,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self::OFF
    }
}

impl AugmentConfig {
    /// Changes nothing.
    pub const OFF: Self = Self {
        flip: 0.0,
        flip_vertical: 0.0,
        quarter_turns: false,
        rotation: 0.0,
        crop_area: [1.0; 2],
        crop_aspect: [1.0; 2],
        zoom: [1.0; 2],
        shift: 0.0,
    };

    /// Whether no image is ever changed.
    pub fn is_off(&self) -> bool {
        *self == Self::OFF
    }

    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        let at = |field: &str| format!("train.augment.{field}");
        for (field, share) in [("flip", self.flip), ("flip_vertical", self.flip_vertical), ("shift", self.shift)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::config(at(field), format!("must lie between 0 and 1, found {share}")));
            }
        }
        if !(0.0..=180.0).contains(&self.rotation) {
            return Err(Error::config(at("rotation"), format!("must be 0 to 180 degrees, found {}", self.rotation)));
        }
        let [least, most] = self.crop_area;
        if !(least > 0.0 && least <= most && most <= 1.0) {
            let problem = format!("must be [least, largest] with 0 < least <= largest <= 1, found {:?}", self.crop_area);
            return Err(Error::config(at("crop_area"), problem));
        }
        for (field, range) in [("crop_aspect", self.crop_aspect), ("zoom", self.zoom)] {
            let [least, most] = range;
            if !(least > 0.0 && least <= most && most.is_finite()) {
                let problem = format!("must be [least, largest] with 0 < least <= largest, found {range:?}");
                return Err(Error::config(at(field), problem));
            }
        }
        Ok(())
    }

    /// Refuses what the images of a data set do not allow.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        if self.is_off() {
            return Ok(());
        }
        let at = |field: &str, problem: String| Err(Error::config(format!("train.augment{field}"), problem));
        let mut images = schema
            .inputs
            .iter()
            .zip(schema.modalities.names())
            .filter(|(input, _)| matches!(input.kind, InputKind::Image | InputKind::Video));
        let Some(first) = images.next() else { return at("", "transforms images, and no modality of this data set is one".into()) };
        let oblong = |(input, _): &(&InputSpec, _)| !matches!(input.shape.as_slice(), [.., height, width] if height == width);
        match std::iter::once(first).chain(images).find(oblong) {
            Some((input, name)) if self.quarter_turns => at(
                ".quarter_turns",
                format!("turns images by 90 degrees, for which they must be square, and `{name}` is {:?}", input.shape),
            ),
            _ => Ok(()),
        }
    }

    /// The change of one sample in one epoch.
    pub fn draw(&self, seed: u64, epoch: u64, row: u64) -> Geometry {
        Geometry::draw(self, &mut rng::stream(seed, "augment", &[epoch, row]))
    }
}

/// Changes every image of a sample alike, and the labels of its pixels; vectors stay as they are.
impl Transform for AugmentConfig {
    fn apply(&self, sample: &mut Sample, schema: &Schema, key: SampleKey) -> Result<()> {
        self.draw(key.seed, key.epoch, key.id).transform(sample, schema);
        Ok(())
    }
}

impl Geometry {
    /// Changes every image `[channels, height, width]` of a sample, and every frame of a film `[channels, frames, height, width]` alike.
    /// Nothing else: a spectrogram has the form of an image, and is none.
    pub fn transform(&self, sample: &mut Sample, schema: &Schema) {
        if *self == Self::IDENTITY {
            return;
        }
        let images = schema.inputs.iter().map(|input| matches!(input.kind, InputKind::Image | InputKind::Video));
        let readings = sample.readings.iter_mut().zip(images).filter(|(_, image)| *image);
        for reading in readings.filter_map(|(reading, _)| reading.as_mut()) {
            let Array { shape, values, .. } = reading;
            let &[_, .., height, width] = shape.as_slice() else { continue };
            let image = std::mem::replace(values, Values::F32(Vec::new())).into_f32();
            let mut output = vec![0.0; image.len()];
            if height * width > 0 {
                self.apply(&image, height, width, Interpolation::Bilinear, &mut output);
            }
            *values = Values::F32(output);
        }
        if let TargetValue::Pixels(labels) = &sample.target {
            sample.target = TargetValue::Pixels(labels.changed(self));
        }
    }
}
