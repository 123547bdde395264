//! Images: PNG (8 and 16 bit) and JPEG, resized to one size.

use super::{Kind, Open, open};
use crate::data::{Array, InputSpec};
use crate::error::{Error, Result};
use ::image::{DynamicImage, ImageReader, Limits};
use fast_image_resize::images::Image as Pixels;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};
use std::io::Cursor;
use std::path::Path;

pub(super) const NAME: &str = "image";
pub(super) const OPEN: Open = open::<Image>;

/// Larger images are refused: a file of a few bytes may claim any size.
const LARGEST_SIDE: u32 = 16_384;
/// Memory that decoding one file may take.
const DECODED_BYTES: u64 = 1 << 29;

/// Channels of an image as the model gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageChannels {
    /// One.
    Gray,
    /// Three.
    Rgb,
}

/// An image of one size, values from 0 (black) to 1 (white); what is larger or smaller is resized, and what has another ratio of sides is
/// stretched. Transparency is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    channels: ImageChannels,
    /// Height and width.
    size: [usize; 2],
}

impl Image {
    /// Red, green and blue, `size` pixels high and wide.
    pub fn rgb(size: usize) -> Self {
        Self { channels: ImageChannels::Rgb, size: [size; 2] }
    }

    /// One channel, `size` pixels high and wide.
    pub fn gray(size: usize) -> Self {
        Self { channels: ImageChannels::Gray, size: [size; 2] }
    }

    /// Height and width.
    pub fn sized(self, height: usize, width: usize) -> Self {
        Self { size: [height, width], ..self }
    }

    fn count(&self) -> usize {
        match self.channels {
            ImageChannels::Gray => 1,
            ImageChannels::Rgb => 3,
        }
    }
}

impl Kind for Image {
    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> InputSpec {
        InputSpec::image([self.count(), self.size[0], self.size[1]])
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["png", "jpg", "jpeg"]
    }

    fn decode(&self, bytes: &[u8], path: &Path) -> Result<Array> {
        let wrong = |problem: String| Error::File { path: path.into(), problem };
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(LARGEST_SIDE);
        limits.max_image_height = Some(LARGEST_SIDE);
        limits.max_alloc = Some(DECODED_BYTES);
        reader.limits(limits);
        let image = reader.decode().map_err(|e| wrong(format!("is no image that can be read (PNG or JPEG): {e}")))?;
        let [height, width] = self.size;
        let pixels = resized(image, self.channels, height as u32, width as u32).map_err(|e| wrong(format!("cannot be resized: {e}")))?;
        // From pixels of channels to channels of pixels.
        let (channels, plane) = (self.count(), height * width);
        let mut values = vec![0.0; channels * plane];
        for (place, pixel) in pixels.chunks_exact(channels).enumerate() {
            pixel.iter().enumerate().for_each(|(channel, value)| values[channel * plane + place] = *value);
        }
        Ok(Array::new([channels, height, width], values))
    }

    fn settings(&self) -> serde_json::Value {
        // A struct of numbers and names always serialises.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Pixels from 0 to 1, as Pillow's antialiased bilinear filter makes them: row by row, channel by channel in each.
fn resized(image: DynamicImage, channels: ImageChannels, height: u32, width: u32) -> std::result::Result<Vec<f32>, String> {
    let (from_width, from_height) = (image.width(), image.height());
    let (pixel_type, numbers) = match channels {
        ImageChannels::Rgb => (PixelType::F32x3, image.into_rgb32f().into_raw()),
        // The mean weighted as eyes do, of 16 bits where there are so many.
        ImageChannels::Gray => (PixelType::F32, gray(image)),
    };
    if (from_width, from_height) == (width, height) {
        return Ok(numbers);
    }
    let bytes = bytemuck::cast_slice(&numbers).to_vec();
    let source = Pixels::from_vec_u8(from_width, from_height, bytes, pixel_type).map_err(|e| e.to_string())?;
    let mut target = Pixels::new(width, height, pixel_type);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
    Resizer::new().resize(&source, &mut target, &options).map_err(|e| e.to_string())?;
    Ok(bytemuck::pod_collect_to_vec(target.buffer()))
}

fn gray(image: DynamicImage) -> Vec<f32> {
    match image {
        DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_) | DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgba16(_) => {
            image.into_luma16().into_raw().into_iter().map(|x| f32::from(x) / 65_535.0).collect()
        }
        _ => image.into_luma8().into_raw().into_iter().map(|x| f32::from(x) / 255.0).collect(),
    }
}
