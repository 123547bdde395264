//! From any size to the model's, as Pillow's antialiased bilinear filter does.

use super::{Bitmap, ImageError, Samples};
use bytemuck::Pod;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{F32, F32x3, InnerPixel, U8, U8x3, U16, U16x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What is done with an image whose ratio of sides is not the model's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// It is stretched.
    #[default]
    Stretch,
    /// Its middle is taken, as large as it can be: what stands over is cut off. Pillow's `ImageOps.fit`.
    Crop,
    /// All of it is shown, with bars at two sides (a letterbox). Pillow's `ImageOps.pad`.
    Pad,
}

/// Which part of an image is shown where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placement {
    /// Left, top, width and height of what is taken, in pixels of the image.
    pub source: [f64; 4],
    /// Left, top, width and height of where it goes, in pixels of the result.
    pub target: [usize; 4],
}

impl Fit {
    /// From a width and height to a width and height; none of them is 0.
    pub(super) fn place(self, from: [usize; 2], to: [usize; 2]) -> Placement {
        let ([width, height], [new_width, new_height]) = (from.map(|side| side as f64), to.map(|side| side as f64));
        let whole = Placement { source: [0.0, 0.0, width, height], target: [0, 0, to[0], to[1]] };
        match self {
            Self::Stretch => whole,
            Self::Crop => {
                let factor = (new_width / width).max(new_height / height);
                let (part_width, part_height) = ((new_width / factor).min(width), (new_height / factor).min(height));
                Placement { source: [(width - part_width) / 2.0, (height - part_height) / 2.0, part_width, part_height], ..whole }
            }
            Self::Pad => {
                let factor = (new_width / width).min(new_height / height);
                // Rounded as Pillow does, to even ones.
                let side = |side: f64, most: usize| ((side * factor).round_ties_even() as usize).clamp(1, most);
                let (part_width, part_height) = (side(width, to[0]), side(height, to[1]));
                let bar = |whole: usize, part: usize| ((whole - part) as f64 / 2.0).round_ties_even() as usize;
                Placement { target: [bar(to[0], part_width), bar(to[1], part_height), part_width, part_height], ..whole }
            }
        }
    }
}

/// `[channels, size[0], size[1]]` from 0 (black) to 1 (white), the bars of [`Fit::Pad`] at `padding`; a grey bitmap (which must have 1
/// or 3 channels) fills as many channels as are asked for. Whole numbers are resized as such, which is faster and what Pillow does.
pub fn resize(bitmap: &Bitmap, channels: usize, size: [usize; 2], fit: Fit, padding: f32) -> Result<Vec<f32>, ImageError> {
    let [height, width] = size;
    let placement = fit.place([bitmap.width, bitmap.height], [width, height]);
    let mut planes = vec![padding; channels * height * width];
    let colour = bitmap.channels == 3;
    match &bitmap.samples {
        Samples::U8(samples) => {
            let resize = if colour { resized::<U8x3, _> } else { resized::<U8, _> };
            let resized = resize(bitmap, samples, &placement)?;
            to_planes(&resized, bitmap.channels, &mut planes, channels, size, &placement, |x| f32::from(x) / 255.0);
        }
        Samples::U16(samples) => {
            let resize = if colour { resized::<U16x3, _> } else { resized::<U16, _> };
            let resized = resize(bitmap, samples, &placement)?;
            to_planes(&resized, bitmap.channels, &mut planes, channels, size, &placement, |x| f32::from(x) / 65_535.0);
        }
        Samples::F32(samples) => {
            let resize = if colour { resized::<F32x3, _> } else { resized::<F32, _> };
            let resized = resize(bitmap, samples, &placement)?;
            to_planes(&resized, bitmap.channels, &mut planes, channels, size, &placement, |x| x);
        }
    }
    Ok(planes)
}

/// A plane of any numbers in another size (`[height, width]` each), stretched.
pub fn resize_plane(plane: &[f64], from: [usize; 2], to: [usize; 2]) -> Result<Vec<f64>, ImageError> {
    // Distances from one of them keep digits that the numbers themselves would lose.
    let zero = plane.iter().copied().find(|x| x.is_finite()).unwrap_or(0.0);
    let distances: Vec<f32> = plane.iter().map(|x| (x - zero) as f32).collect();
    let bitmap = Bitmap { width: from[1], height: from[0], channels: 1, samples: Samples::F32(distances) };
    Ok(resize(&bitmap, 1, to, Fit::Stretch, 0.0)?.into_iter().map(|x| zero + f64::from(x)).collect())
}

/// The part that a placement takes, at the size that it has there; pixels `P` of channels. Width first, then height, as Pillow: the
/// rounding in between decides one grey level in ten pixels.
///
/// By the type of a pixel: to ask for it by name would compile the resizing of all twelve types that there are.
pub(super) fn resized<'s, P: PixelTrait + InnerPixel<Component = T>, T: Pod>(
    bitmap: &Bitmap,
    samples: &'s [T],
    placement: &Placement,
) -> Result<Cow<'s, [T]>, ImageError> {
    let ([left, top, part_width, part_height], [_, _, width, height]) = (placement.source, placement.target);
    let (wide, high) = (bitmap.width as f64, bitmap.height as f64);
    let mut narrow = Cow::Borrowed(samples);
    if (part_width, width) != (wide, bitmap.width) {
        let sizes = [bitmap.width, bitmap.height, width, bitmap.height];
        narrow = Cow::Owned(part_resized::<P, T>(samples, sizes, [left, 0.0, part_width, high])?);
    }
    if (part_height, height) == (high, bitmap.height) {
        return Ok(narrow);
    }
    let sizes = [width, bitmap.height, width, height];
    Ok(Cow::Owned(part_resized::<P, T>(&narrow, sizes, [0.0, top, width as f64, part_height])?))
}

/// Widths and heights before and after, and the part: left, top, width, height.
fn part_resized<P, T>(samples: &[T], sizes: [usize; 4], part: [f64; 4]) -> Result<Vec<T>, ImageError>
where
    P: PixelTrait + InnerPixel<Component = T>,
    T: Pod,
{
    let ([width, height, new_width, new_height], [left, top, part_width, part_height]) = (sizes.map(|side| side as u32), part);
    let source = TypedImageRef::<P>::from_buffer(width, height, bytemuck::cast_slice(samples));
    let source = source.map_err(|_| ImageError::Resize(fast_image_resize::ImageError::UnsupportedPixelType.into()))?;
    let mut target = TypedImage::<P>::new(new_width, new_height);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
    Resizer::new().resize_typed(&source, &mut target, &options.crop(left, top, part_width, part_height))?;
    Ok(P::components(target.pixels()).to_vec())
}

/// From pixels of channels to channels of pixels, to where the placement says.
fn to_planes<T: Copy>(
    pixels: &[T],
    from: usize,
    planes: &mut [f32],
    channels: usize,
    [height, width]: [usize; 2],
    placement: &Placement,
    number: impl Fn(T) -> f32,
) {
    let [left, top, part_width, _] = placement.target;
    for channel in 0..channels {
        let plane = &mut planes[channel * height * width..][..height * width];
        for (row, pixels) in pixels.chunks_exact(part_width * from).enumerate() {
            let targets = &mut plane[(top + row) * width + left..][..part_width];
            let values = pixels.iter().skip(channel.min(from - 1)).step_by(from);
            targets.iter_mut().zip(values).for_each(|(target, &value)| *target = number(value));
        }
    }
}
