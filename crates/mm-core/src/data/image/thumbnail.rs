//! Small pictures of readings for a report, as bytes of a PNG file.

use super::{Alpha, Bitmap, Fit, Format, ImageChannels, ImageError, resize, resize_depth};
use ::image::codecs::png::PngEncoder;
use ::image::{ExtendedColorType, ImageEncoder};

/// An image, neither wider nor higher than `side` pixels and never enlarged; grey if it is so. Transparency becomes white.
pub fn thumbnail(bitmap: &Bitmap, side: usize) -> Result<Vec<u8>, ImageError> {
    let bitmap = bitmap.clone().flattened(ImageChannels::Rgb, Alpha::White);
    let size = smaller([bitmap.height, bitmap.width], side);
    let planes = resize(&bitmap, bitmap.channels, size, Fit::Stretch, 0.0)?;
    let plane = size[0] * size[1];
    let pixels: Vec<u8> = (0..plane).flat_map(|at| planes[at..].iter().step_by(plane)).map(|&x| level(x)).collect();
    png(&pixels, size, bitmap.channels)
}

/// A depth map `[height, width]` in metres: the nearest reading white, the farthest dark grey, no reading black.
pub fn depth_thumbnail(depth: &[f32], size: [usize; 2], side: usize) -> Result<Vec<u8>, ImageError> {
    const FARTHEST: f32 = 0.2;
    let small = smaller(size, side);
    let depth = resize_depth(depth, size, small, Fit::Stretch, false)?;
    let readings = || depth.iter().filter(|x| **x > 0.0);
    let (near, far) = (readings().fold(f32::INFINITY, |a, &b| a.min(b)), readings().fold(0f32, |a, &b| a.max(b)));
    let brightness = |x: f32| match x > 0.0 {
        true if far > near => 1.0 - (1.0 - FARTHEST) * (x - near) / (far - near),
        true => 1.0,
        false => 0.0,
    };
    let pixels: Vec<u8> = depth.iter().map(|&x| level(brightness(x))).collect();
    png(&pixels, small, 1)
}

/// Height and width with no side longer than `side`, in the same ratio.
pub fn smaller([height, width]: [usize; 2], side: usize) -> [usize; 2] {
    let factor = (side.max(1) as f64 / height.max(width) as f64).min(1.0);
    [height, width].map(|side| ((side as f64 * factor).round() as usize).max(1))
}

/// NaN is black.
fn level(x: f32) -> u8 {
    (x * 255.0).round() as u8
}

/// Pixels row by row, of one or three channels, as a PNG file.
pub(in crate::data) fn png(pixels: &[u8], [height, width]: [usize; 2], channels: usize) -> Result<Vec<u8>, ImageError> {
    let color = if channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut bytes = Vec::new();
    let written = PngEncoder::new(&mut bytes).write_image(pixels, width as u32, height as u32, color);
    written.map_err(|error| ImageError::Damaged { format: Format::Png, problem: error.to_string() })?;
    Ok(bytes)
}

/// Values from 0 to 1, row by row, as colours from black over violet and orange to light yellow.
pub(in crate::data) fn colored(values: &[f32], size: [usize; 2]) -> Result<Vec<u8>, ImageError> {
    const RAMP: [[f32; 3]; 4] = [[0.0, 0.0, 0.0], [110.0, 20.0, 110.0], [240.0, 110.0, 40.0], [255.0, 250.0, 190.0]];
    let color = |x: f32| {
        let at = x.clamp(0.0, 1.0) * (RAMP.len() - 1) as f32;
        let low = (at as usize).min(RAMP.len() - 2);
        let share = at - low as f32;
        std::array::from_fn::<u8, 3, _>(|c| (RAMP[low][c] + (RAMP[low + 1][c] - RAMP[low][c]) * share).round() as u8)
    };
    let pixels: Vec<u8> = values.iter().flat_map(|&x| color(x)).collect();
    png(&pixels, size, 3)
}
