//! A random change of how an image looks: brightness, contrast, a part that is erased. The geometry stays.

use crate::error::{Error, Result};
use crate::rng::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Which changes training images get; by default none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppearanceConfig {
    /// All values are multiplied by a factor of 1 minus to 1 plus this.
    pub brightness: f64,
    /// Distances from the image's mean are multiplied by a factor of 1 minus to 1 plus this.
    pub contrast: f64,
    /// Probability that a rectangle of 2 to 33 % of the image, with sides of a ratio of 0.3 to 3.3, becomes the image's mean colour (random
    /// erasing, Zhong et al. 2020).
    pub erase: f64,
}

const ERASED_AREA: [f64; 2] = [0.02, 0.33];
const ERASED_ASPECT: [f64; 2] = [0.3, 3.3];

impl AppearanceConfig {
    /// Whether no image is ever changed.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [("brightness", self.brightness), ("contrast", self.contrast), ("erase", self.erase)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::config(format!("appearance.{field}"), format!("must lie between 0 and 1, found {value}")));
            }
        }
        Ok(())
    }
}

/// A change, drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Appearance {
    /// Factor of all values.
    pub brightness: f32,
    /// Factor of the distances from the mean.
    pub contrast: f32,
    /// Top, left, height and width of the part that is erased, in parts of the image's.
    pub erased: Option<[f64; 4]>,
}

impl Appearance {
    /// Draws a change; each draw is made whether it is used or not, so that none moves another.
    pub fn draw(config: &AppearanceConfig, random: &mut Rng) -> Self {
        let mut uniform = || random.random::<f64>();
        let mut factor = |most: f64| (1.0 + most * (2.0 * uniform() - 1.0)) as f32;
        let (brightness, contrast) = (factor(config.brightness), factor(config.contrast));
        let erases = uniform() < config.erase;
        let within = |[least, most]: [f64; 2], u: f64| least + (most - least) * u;
        let (area, aspect) = (within(ERASED_AREA, uniform()), within(ERASED_ASPECT.map(f64::ln), uniform()).exp());
        let (height, width) = ((area / aspect).sqrt().min(1.0), (area * aspect).sqrt().min(1.0));
        let (top, left) = ((1.0 - height) * uniform(), (1.0 - width) * uniform());
        Self { brightness, contrast, erased: erases.then_some([top, left, height, width]) }
    }

    /// Changes `[channels, height, width]` with values from 0 to 1, which stay so.
    pub fn apply(&self, image: &mut [f32], height: usize, width: usize) {
        if image.is_empty() {
            return;
        }
        let mean = |values: &[f32]| (values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len() as f64) as f32;
        if (self.brightness, self.contrast) != (1.0, 1.0) {
            let centre = mean(image);
            image.iter_mut().for_each(|x| *x = (((*x - centre) * self.contrast + centre) * self.brightness).clamp(0.0, 1.0));
        }
        let Some([top, left, part_height, part_width]) = self.erased else { return };
        let pixels = |from: f64, part: f64, side: usize| {
            let edge = |at: f64| ((at * side as f64).round() as usize).min(side);
            edge(from)..edge(from + part)
        };
        let (rows, columns) = (pixels(top, part_height, height), pixels(left, part_width, width));
        for plane in image.chunks_exact_mut(height * width) {
            let colour = mean(plane);
            rows.clone().for_each(|row| plane[row * width..][columns.clone()].fill(colour));
        }
    }
}
