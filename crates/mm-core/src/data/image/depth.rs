//! Depth maps: 0 is no reading, and no reading is mixed into one.

use super::resize::resized;
use super::{Bitmap, Fit, ImageError, Samples};
use fast_image_resize::pixels::F32x2;

/// How the numbers of a file become metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metres {
    /// Metres of 1 in the file.
    pub scale: f64,
    /// What is nearer is no reading.
    pub min: f64,
    /// What is farther is no reading.
    pub max: f64,
    /// Bits by which each 16-bit number was rotated to the left: 3 in SUN RGB-D.
    pub rotated_bits: u32,
}

/// Depth in metres of each pixel, row by row; 0 where there is no reading: where the file has 0, a negative number, NaN or infinity,
/// and out of range.
pub fn to_metres(bitmap: &Bitmap, metres: &Metres) -> Result<Vec<f32>, ImageError> {
    if bitmap.channels != 1 {
        return Err(ImageError::NotDepth { channels: bitmap.channels });
    }
    let reading = |number: f32| {
        // In f64, so that a reading at the limit is not rounded past it.
        let depth = f64::from(number) * metres.scale;
        // False for NaN.
        let is_reading = depth > 0.0 && (depth as f32).is_finite() && depth >= metres.min && depth <= metres.max;
        if is_reading { depth as f32 } else { 0.0 }
    };
    Ok(match &bitmap.samples {
        Samples::U8(samples) => samples.iter().map(|&x| reading(f32::from(x))).collect(),
        Samples::U16(samples) => samples.iter().map(|&x| reading(f32::from(x.rotate_right(metres.rotated_bits)))).collect(),
        Samples::F32(samples) => samples.iter().map(|&x| reading(x)).collect(),
    })
}

/// Resizes a depth map `from` = `[height, width]` to `[1, height, width]`, each pixel the mean of the readings that the antialiased
/// bilinear filter covers, weighted as there; 0 where it covers none, and in the bars of [`Fit::Pad`].
///
/// With `valid` a second channel says where there is a reading: 1, else 0.
pub fn resize_depth(depth: &[f32], from: [usize; 2], to: [usize; 2], fit: Fit, valid: bool) -> Result<Vec<f32>, ImageError> {
    let ([from_height, from_width], [height, width]) = (from, to);
    let placement = fit.place([from_width, from_height], [width, height]);
    // Of each pixel its depth, 0 without a reading, and whether there is one: the filter's sum of the first over that of the second is
    // the weighted mean of the readings.
    let pairs: Vec<f32> = depth.iter().flat_map(|&x| [x, if x > 0.0 { 1.0 } else { 0.0 }]).collect();
    let bitmap = Bitmap { width: from_width, height: from_height, channels: 2, samples: Samples::F32(Vec::new()) };
    let pairs = resized::<F32x2, _>(&bitmap, &pairs, &placement)?;
    let mut planes = vec![0.0; if valid { 2 } else { 1 } * height * width];
    let (readings, marks) = planes.split_at_mut(height * width);
    let [left, top, part_width, _] = placement.target;
    for (row, pairs) in pairs.chunks_exact(part_width * 2).enumerate() {
        for (column, &[sum, weight]) in pairs.as_chunks::<2>().0.iter().enumerate() {
            let at = (top + row) * width + left + column;
            if weight > 0.0 {
                readings[at] = sum / weight;
                marks.get_mut(at).into_iter().for_each(|mark| *mark = 1.0);
            }
        }
    }
    Ok(planes)
}
