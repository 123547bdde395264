//! What a segmentation looks like, as bytes of PNG files: what a sensor saw, label maps over it, and where they are wrong.

use super::image::{Bitmap, Fit, Samples, png, resize, thumbnail};
use super::{Array, PixelLabels, VOID_COLOUR, class_colour};
use crate::error::{Error, Result};

/// The colour of pixels that are predicted right.
pub const RIGHT: [u8; 3] = [150, 190, 220];
/// The colour of pixels that are predicted wrong.
pub const WRONG: [u8; 3] = [213, 94, 0];

/// Share of the readings of a channel that are darker than its darkest grey, and of those that are brighter than white.
const CLIPPED: f64 = 0.02;
/// Grey of the darkest reading: what is no reading is black.
const DARKEST: f32 = 32.0;

/// What an image-like sensor saw, `[channels, height, width]`, neither wider nor higher than `side`; `None` where a reading has another form.
///
/// Three channels from 0 to 1 are red, green and blue. Other numbers become brightness, each channel between its 2nd and 98th percentile: of
/// one or two channels (depth and its mask) the first as grey, of more the first three as colours. 0 is no reading, and black.
pub fn sensor_picture(reading: &Array, side: usize) -> Result<Option<Vec<u8>>> {
    visible(reading).map(|bitmap| thumbnail(&bitmap, side).map_err(Error::image("picture"))).transpose()
}

/// The colours of the classes over what an image-like sensor saw, half and half, in the size of the map; `None` where the reading is no image.
pub fn overlay(reading: &Array, labels: &PixelLabels) -> Result<Option<Vec<u8>>> {
    let Some(bitmap) = visible(reading) else { return Ok(None) };
    let size = [labels.height(), labels.width()];
    let planes = resize(&bitmap, 3, size, Fit::Stretch, 0.0).map_err(Error::image("overlay"))?;
    let plane = labels.labels().len();
    let mixed = labels.labels().iter().enumerate().flat_map(|(at, &label)| {
        let colour = colour_of(label);
        (0..3).map(|c| (0.5 * 255.0 * planes[c * plane + at] + 0.5 * f32::from(colour[c])).round() as u8).collect::<Vec<_>>()
    });
    png(&mixed.collect::<Vec<u8>>(), size, 3).map_err(Error::image("overlay")).map(Some)
}

/// Where a prediction is [`RIGHT`], where [`WRONG`], and where nothing is known (void, black).
pub fn error_picture(prediction: &PixelLabels, truth: &PixelLabels) -> Result<Vec<u8>> {
    let size = [truth.height(), truth.width()];
    if [prediction.height(), prediction.width()] != size {
        return Err(Error::shape("prediction", format!("{size:?}"), [prediction.height(), prediction.width()]));
    }
    let number = |at: usize, actual: u16| match actual {
        0 => 0,
        _ if prediction.labels()[at] == actual => 1,
        _ => 2,
    };
    truth.indexed_png([VOID_COLOUR, RIGHT, WRONG].concat(), number)
}

fn colour_of(label: u16) -> [u8; 3] {
    usize::from(label).checked_sub(1).map_or(VOID_COLOUR, class_colour)
}

/// A reading as people can look at it.
fn visible(reading: &Array) -> Option<Bitmap> {
    let &[channels, height, width] = reading.shape.as_slice() else { return None };
    let (plane, values) = (height * width, reading.values.clone().into_f32());
    if plane == 0 || channels == 0 || values.len() != channels * plane {
        return None;
    }
    let is_rgb = channels == 3 && values.iter().all(|x| (0.0..=1.0).contains(x));
    let shown = if channels < 3 { 1 } else { 3 };
    let levels = |values: &[f32]| if is_rgb { values.iter().map(|x| (x * 255.0).round() as u8).collect() } else { stretched(values) };
    let planes: Vec<Vec<u8>> = values.chunks_exact(plane).take(shown).map(levels).collect();
    let samples = (0..plane).flat_map(|at| planes.iter().map(move |plane| plane[at])).collect();
    Some(Bitmap { width, height, channels: shown, samples: Samples::U8(samples) })
}

/// Brightness between the percentiles of what is a reading.
fn stretched(values: &[f32]) -> Vec<u8> {
    let is_reading = |x: f32| x != 0.0 && x.is_finite();
    let mut readings: Vec<f32> = values.iter().copied().filter(|&x| is_reading(x)).collect();
    readings.sort_unstable_by(f32::total_cmp);
    let Some(last) = readings.len().checked_sub(1) else { return vec![0; values.len()] };
    let at = |share: f64| readings[(share * last as f64).round() as usize];
    let (low, high) = (at(CLIPPED), at(1.0 - CLIPPED));
    let level = |&x: &f32| match is_reading(x) {
        true if high > low => (DARKEST + (255.0 - DARKEST) * ((x - low) / (high - low)).clamp(0.0, 1.0)).round() as u8,
        true => 255,
        false => 0,
    };
    values.iter().map(level).collect()
}
