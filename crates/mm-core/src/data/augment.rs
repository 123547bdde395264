//! Random geometric transforms of training images, the same for all sensors of a sample.

use super::{Array, InputKind, Sample, SampleKey, Schema, Transform, Values};
use crate::error::{Error, Result};
use crate::rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Which transforms training images get; by default none.
///
/// A sample's transform is defined in coordinates relative to the image, so sensors of different resolution that see the same
/// scene still do so afterwards (a rotation turns pixels, so it asks for one aspect ratio). Every image keeps its size: a crop is resized to it. What comes in from outside the image is
/// 0, to standardized data the mean. Vectors stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Largest angle of a rotation about the centre, in degrees; it is uniform from minus to plus this.
    pub rotation: f64,
    /// Least and largest share of the image's area that a crop keeps; `[1, 1]`: no crop.
    pub crop_area: [f64; 2],
    /// Least and largest ratio of a crop's width to its height, where the whole image has 1; log-uniform.
    pub crop_aspect: [f64; 2],
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self { flip: 0.0, rotation: 0.0, crop_area: [1.0; 2], crop_aspect: [1.0; 2] }
    }
}

impl AugmentConfig {
    /// Whether no image is ever changed.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        let at = |field: &str| format!("train.augment.{field}");
        if !(0.0..=1.0).contains(&self.flip) {
            return Err(Error::config(at("flip"), format!("must lie between 0 and 1, found {}", self.flip)));
        }
        if !(0.0..=180.0).contains(&self.rotation) {
            return Err(Error::config(at("rotation"), format!("must be 0 to 180 degrees, found {}", self.rotation)));
        }
        let [least, most] = self.crop_area;
        if !(least > 0.0 && least <= most && most <= 1.0) {
            let problem = format!("must be [least, largest] with 0 < least <= largest <= 1, found {:?}", self.crop_area);
            return Err(Error::config(at("crop_area"), problem));
        }
        let [least, most] = self.crop_aspect;
        if !(least > 0.0 && least <= most && most.is_finite()) {
            let problem = format!("must be [least, largest] with 0 < least <= largest, found {:?}", self.crop_aspect);
            return Err(Error::config(at("crop_aspect"), problem));
        }
        Ok(())
    }

    /// The transform of one sample in one epoch; each draw is made whether it is used or not, so that none shifts another.
    pub fn draw(&self, seed: u64, epoch: u64, row: u64) -> ImageTransform {
        let mut random = rng::stream(seed, "augment", &[epoch, row]);
        let mut uniform = || random.random::<f64>();
        let flip = uniform() < self.flip;
        let degrees = self.rotation * (2.0 * uniform() - 1.0);
        let within = |[least, most]: [f64; 2], u: f64| least + (most - least) * u;
        let area = within(self.crop_area, uniform());
        let aspect = within(self.crop_aspect.map(f64::ln), uniform()).exp();
        // A window that would be larger than the image ends at its border.
        let (height, width) = ((area / aspect).sqrt().min(1.0), (area * aspect).sqrt().min(1.0));
        let (top, left) = ((1.0 - height) * uniform(), (1.0 - width) * uniform());
        ImageTransform { flip, degrees, top, left, height, width }
    }
}

/// A rotation about the centre, then a window, then perhaps a flip; in parts of the image's height and width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageTransform {
    /// Whether left and right change places.
    pub flip: bool,
    /// Angle of the rotation, counter-clockwise as the image is seen.
    pub degrees: f64,
    /// Upper edge of the window.
    pub top: f64,
    /// Left edge of the window.
    pub left: f64,
    /// Height of the window.
    pub height: f64,
    /// Width of the window.
    pub width: f64,
}

impl ImageTransform {
    /// Changes nothing.
    pub const IDENTITY: Self = Self { flip: false, degrees: 0.0, top: 0.0, left: 0.0, height: 1.0, width: 1.0 };

    /// Transforms `[channels, height, width]` row-major, bilinear, zeros outside; the result has the same shape.
    fn apply(&self, image: &[f32], height: usize, width: usize, output: &mut [f32]) {
        let (h, w) = (height as f64, width as f64);
        let (sin, cos) = self.degrees.to_radians().sin_cos();
        let plane = height * width;
        for (place, (i, j)) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))).enumerate() {
            // Centre of the pixel in the window, then in the rotated image, then in the source; from its centre, in pixels.
            let (v, u) = ((i as f64 + 0.5) / h, (j as f64 + 0.5) / w);
            let u = if self.flip { 1.0 - u } else { u };
            let (y, x) = ((self.top + self.height * v - 0.5) * h, (self.left + self.width * u - 0.5) * w);
            let (x, y) = (x * cos - y * sin, x * sin + y * cos);
            let taps = taps(y + h / 2.0 - 0.5, x + w / 2.0 - 0.5, height, width);
            for (source, target) in image.chunks_exact(plane).zip(output.chunks_exact_mut(plane)) {
                target[place] = taps.iter().map(|&(at, weight)| source[at] * weight).sum();
            }
        }
    }
}

/// The four pixels around a point and their weights; what lies outside has weight 0.
fn taps(y: f64, x: f64, height: usize, width: usize) -> [(usize, f32); 4] {
    // Rounding must not mix a neighbour into a point that is a pixel's centre.
    let snap = |at: f64| if (at - at.round()).abs() < 1e-9 { at.round() } else { at };
    let (y, x) = (snap(y), snap(x));
    let (down, right) = (y - y.floor(), x - x.floor());
    let corners = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)];
    corners.map(|(dy, dx)| {
        let (row, column) = (y.floor() + dy, x.floor() + dx);
        let weight = (if dy == 0.0 { 1.0 - down } else { down }) * (if dx == 0.0 { 1.0 - right } else { right });
        let inside = row >= 0.0 && row < height as f64 && column >= 0.0 && column < width as f64;
        if inside { (row as usize * width + column as usize, weight as f32) } else { (0, 0.0) }
    })
}

/// Transforms every image of a sample alike; vectors stay as they are.
impl Transform for AugmentConfig {
    fn apply(&self, sample: &mut Sample, schema: &Schema, key: SampleKey) -> Result<()> {
        self.draw(key.seed, key.epoch, key.id).transform(sample, schema);
        Ok(())
    }
}

impl ImageTransform {
    /// Transforms every image `[channels, height, width]` of a sample, and every frame of a film `[channels, frames, height, width]` alike.
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
                self.apply(&image, height, width, &mut output);
            }
            *values = Values::F32(output);
        }
    }
}
