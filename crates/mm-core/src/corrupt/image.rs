//! How cameras degrade: families of corruption of images `[channels, height, width]` with values from 0 to 1, before they are
//! standardized.

use super::field::{clouds, shift_of, shifted};
use super::{Corruption, Family};
use crate::error::Result;
use crate::rng::{Rng, standard_normal};
use ::image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use ::image::{ExtendedColorType, ImageDecoder};
use rand::RngExt;
use std::f32::consts::PI;

/// The families of images.
pub const IMAGE_FAMILIES: &[Family] = &[
    Family::GaussianNoise,
    Family::ImpulseNoise,
    Family::GaussianBlur,
    Family::MotionBlur,
    Family::Darkness,
    Family::Jpeg,
    Family::Occlusion,
    Family::Fog,
    Family::Cloud,
    Family::Misalignment,
];

/// Value of fog.
const HAZE: f32 = 0.8;

/// Corrupts an image in place; its values stay from 0 to 1. The draws do not depend on the severity: a higher one hits the same places
/// and more, or the same way and harder. A family of other sensors is refused.
pub fn corrupt_image(image: &mut [f32], height: usize, width: usize, corruption: Corruption, random: &mut Rng) -> Result<()> {
    let plane = height * width;
    if plane == 0 || image.is_empty() {
        return Ok(());
    }
    let (strength, shorter) = (corruption.strength(), height.min(width) as f32);
    match corruption.family {
        Family::GaussianNoise => {
            let noise = standard_normal(random, image.len());
            image.iter_mut().zip(noise).for_each(|(x, z)| *x = (*x + strength * z).clamp(0.0, 1.0));
        }
        Family::ImpulseNoise => {
            for at in 0..plane {
                // Both draws in any case, so that severities hit nested sets of pixels.
                let (hit, white) = (random.random::<f32>(), random.random::<bool>());
                if hit < strength {
                    image.iter_mut().skip(at).step_by(plane).for_each(|x| *x = if white { 1.0 } else { 0.0 });
                }
            }
        }
        Family::GaussianBlur => {
            blur(image, height, width, strength * shorter);
            image.iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
        }
        Family::MotionBlur => {
            let angle = PI * random.random::<f32>();
            smear(image, height, width, strength * shorter, angle);
        }
        Family::Darkness => image.iter_mut().for_each(|x| *x *= strength),
        Family::Jpeg => compress(image, height, width, strength as u8),
        Family::Occlusion => {
            let [rows, columns] = square(height, width, strength, [random.random(), random.random()]);
            for plane in image.chunks_exact_mut(plane) {
                rows.clone().for_each(|row| plane[row * width..][columns.clone()].fill(0.0));
            }
        }
        Family::Fog => image.iter_mut().for_each(|x| *x += strength * (HAZE - *x)),
        Family::Cloud => {
            let opacity = clouds(height, width, strength, random);
            for plane in image.chunks_exact_mut(plane) {
                plane.iter_mut().zip(&opacity).for_each(|(x, opacity)| *x += opacity * (1.0 - *x));
            }
        }
        Family::Misalignment => {
            let by = shift_of(strength, random);
            image.chunks_exact_mut(plane).for_each(|plane| shifted(plane, height, width, by, None));
        }
        _ => return Err(corruption.unknown_to("image", IMAGE_FAMILIES)),
    }
    Ok(())
}

/// Rows and columns of a square of a share of the area, at a place from [0, 0] (upper left) to [1, 1]; a rectangle where the image is
/// too narrow for it.
pub(super) fn square(height: usize, width: usize, share: f32, place: [f32; 2]) -> [std::ops::Range<usize>; 2] {
    let area = f64::from(share) * (height * width) as f64;
    let rows = (area.sqrt().round() as usize).clamp(1, height);
    let columns = ((area / rows as f64).round() as usize).clamp(1, width);
    // So that a narrow image loses the area all the same.
    let rows = ((area / columns as f64).round() as usize).clamp(1, height);
    let range = |part: usize, side: usize, place: f32| {
        let from = ((side - part) as f32 * place).round() as usize;
        from..from + part
    };
    [range(rows, height, place[0]), range(columns, width, place[1])]
}

/// Corrupts a stack of channels `[channels, height, width]` in any unit, in place, as [`corrupt_image`] does: black and white of a channel
/// are its smallest and largest finite value. A channel of one value stays as it is.
pub fn corrupt_channels(stack: &mut [f64], height: usize, width: usize, corruption: Corruption, random: &mut Rng) -> Result<()> {
    let plane = (height * width).max(1);
    let ends: Vec<[f64; 2]> = stack.chunks(plane).map(black_and_white).collect();
    let of_channels = || ends.iter().flat_map(|ends| std::iter::repeat_n(*ends, plane));
    let level = |(x, [black, white]): (&f64, [f64; 2])| if white > black { ((x - black) / (white - black)) as f32 } else { 0.0 };
    let mut image: Vec<f32> = stack.iter().zip(of_channels()).map(level).collect();
    corrupt_image(&mut image, height, width, corruption, random)?;
    for ((x, level), [black, white]) in stack.iter_mut().zip(image).zip(of_channels()) {
        if white > black {
            *x = black + f64::from(level) * (white - black);
        }
    }
    Ok(())
}

/// The smallest and the largest finite value; both 0 where there is none.
fn black_and_white(channel: &[f64]) -> [f64; 2] {
    let finite = || channel.iter().copied().filter(|x| x.is_finite());
    [finite().reduce(f64::min).unwrap_or(0.0), finite().reduce(f64::max).unwrap_or(0.0)]
}

/// Gaussian blur with this deviation in pixels, edges repeated.
pub(super) fn blur(image: &mut [f32], height: usize, width: usize, sigma: f32) {
    let reach = (3.0 * sigma).ceil() as isize;
    let weights: Vec<f32> = (-reach..=reach).map(|at| (-0.5 * (at as f32 / sigma).powi(2)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    let mut lines = vec![0.0; height * width];
    let inside = |at: isize, side: usize| at.clamp(0, side as isize - 1) as usize;
    for plane in image.chunks_exact_mut(height * width) {
        lines.fill(0.0);
        for (tap, weight) in (-reach..).zip(&weights) {
            for row in 0..height {
                let from = &plane[inside(row as isize + tap, height) * width..][..width];
                lines[row * width..][..width].iter_mut().zip(from).for_each(|(to, x)| *to += weight * x);
            }
        }
        for (line, out) in lines.chunks_exact(width).zip(plane.chunks_exact_mut(width)) {
            for (column, out) in out.iter_mut().enumerate() {
                let taps = (-reach..).zip(&weights).map(|(tap, weight)| weight * line[inside(column as isize + tap, width)]);
                *out = taps.sum::<f32>() / (sum * sum);
            }
        }
    }
}

/// The mean along a line of this length in pixels through each pixel, edges repeated.
fn smear(image: &mut [f32], height: usize, width: usize, length: f32, angle: f32) {
    let steps = length.ceil().max(1.0) as usize;
    let (dy, dx) = angle.sin_cos();
    let offsets: Vec<(f32, f32)> = (0..=steps).map(|i| length * (i as f32 / steps as f32 - 0.5)).map(|t| (t * dy, t * dx)).collect();
    let mut out = vec![0.0; height * width];
    for plane in image.chunks_exact_mut(height * width) {
        let at = |y: f32, x: f32| {
            let (y, x) = (y.clamp(0.0, (height - 1) as f32), x.clamp(0.0, (width - 1) as f32));
            let (row, column) = (y as usize, x as usize);
            let (down, right) = (y - row as f32, x - column as f32);
            let (below, beside) = ((row + 1).min(height - 1), (column + 1).min(width - 1));
            let line = |row: usize| plane[row * width + column] * (1.0 - right) + plane[row * width + beside] * right;
            line(row) * (1.0 - down) + line(below) * down
        };
        for (place, out) in out.iter_mut().enumerate() {
            let (row, column) = ((place / width) as f32, (place % width) as f32);
            *out = offsets.iter().map(|(dy, dx)| at(row + dy, column + dx)).sum::<f32>() / offsets.len() as f32;
        }
        plane.copy_from_slice(&out);
    }
}

/// Through JPEG and back: three channels as colours, others one by one. What JPEG cannot hold, sides above 65,535, stays as it is.
fn compress(image: &mut [f32], height: usize, width: usize, quality: u8) {
    let plane = height * width;
    let channels = if image.len() == 3 * plane { 3 } else { 1 };
    let color = if channels == 3 { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
    for planes in image.chunks_exact_mut(channels * plane) {
        let level = |x: &f32| (x * 255.0).round() as u8;
        let pixels: Vec<u8> = (0..plane).flat_map(|at| planes[at..].iter().step_by(plane)).map(level).collect();
        let mut bytes = Vec::new();
        let written = JpegEncoder::new_with_quality(&mut bytes, quality).encode(&pixels, width as u32, height as u32, color);
        let mut decoded = vec![0; pixels.len()];
        let read = written.and_then(|()| JpegDecoder::new(std::io::Cursor::new(&bytes))).and_then(|jpeg| jpeg.read_image(&mut decoded));
        if read.is_ok() {
            let pixels = decoded.chunks_exact(channels).enumerate();
            pixels.for_each(|(at, pixel)| {
                planes[at..].iter_mut().step_by(plane).zip(pixel).for_each(|(x, &level)| *x = f32::from(level) / 255.0)
            });
        }
    }
}
