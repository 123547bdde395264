//! Bytes of a PNG, JPEG, TIFF, WebP or BMP file in, pixels out. Memory is bounded whatever the file claims.

use super::{Bitmap, Format, ImageError, Samples, jpeg, tiff};
use crate::data::begins::begins_as;
use crate::data::unpacking::most_bytes;
use ::image::codecs::bmp::BmpDecoder;
use ::image::codecs::jpeg::JpegDecoder;
use ::image::codecs::png::PngDecoder;
use ::image::codecs::webp::WebPDecoder;
use ::image::error::LimitErrorKind;
use ::image::metadata::Orientation;
use ::image::{ColorType, ImageDecoder, Limits};
use std::io::Cursor;

/// Pixels of an image that is still read: 8,192 x 8,192, say. A file of a few bytes may claim any size.
pub const LARGEST_PIXELS: u64 = 1 << 26;
/// Longest side of an image that is still read.
pub const LARGEST_SIDE: u32 = 16_384;
/// Memory that the pixels of one file may take.
pub const LARGEST_BYTES: u64 = 1 << 29;
/// What besides image data a PNG may unpack: profiles, texts.
const PNG_EXTRAS: u64 = 1 << 26;

/// Decodes a file and turns it as its EXIF orientation says: 8 and 16 bit PNG (palettes are resolved), 8 bit JPEG (CMYK becomes RGB),
/// 8, 16 and 32 bit and floating point TIFF, WebP, BMP. Of an animation or a file of several pages this is the first image.
pub fn decode(bytes: &[u8]) -> Result<Bitmap, ImageError> {
    let format = Format::of(bytes).ok_or_else(|| ImageError::Format { found: begins_as(&bytes[..bytes.len().min(64)]) })?;
    let cursor = Cursor::new(bytes);
    match format {
        Format::Png => {
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(most_bytes(PNG_EXTRAS));
            let decoder = PngDecoder::with_limits(cursor, limits).map_err(|e| problem(format, e, (0, 0)))?;
            read(decoder, format)
        }
        Format::Jpeg if jpeg::is_cut_off(bytes) => {
            let problem = "it has no end marker, as files that were cut off: copy or download it again, or save it anew if it is whole";
            Err(ImageError::Damaged { format, problem: problem.into() })
        }
        Format::Jpeg => read(JpegDecoder::new(cursor).map_err(|e| problem(format, e, (0, 0)))?, format),
        Format::Tiff => tiff::decode(bytes),
        Format::WebP => read(WebPDecoder::new(cursor).map_err(|e| problem(format, e, (0, 0)))?, format),
        Format::Bmp => read(BmpDecoder::new(cursor).map_err(|e| problem(format, e, (0, 0)))?, format),
    }
}

/// Refuses an image that is too large to be decoded.
pub(super) fn check_size(width: u32, height: u32, bytes_per_pixel: u64) -> Result<(), ImageError> {
    let pixels = u64::from(width) * u64::from(height);
    match width.max(height) > LARGEST_SIDE || pixels > LARGEST_PIXELS || pixels * bytes_per_pixel > most_bytes(LARGEST_BYTES) {
        true => Err(too_large(width, height)),
        false => Ok(()),
    }
}

fn too_large(width: u32, height: u32) -> ImageError {
    ImageError::TooLarge { width, height, most_bytes: most_bytes(LARGEST_BYTES) }
}

fn read(mut decoder: impl ImageDecoder, format: Format) -> Result<Bitmap, ImageError> {
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    check_size(width, height, u64::from(color.bytes_per_pixel()))?;
    if width == 0 || height == 0 {
        return Err(ImageError::Damaged { format, problem: "it has no pixels".into() });
    }
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(LARGEST_BYTES);
    decoder.set_limits(limits).map_err(|e| problem(format, e, (width, height)))?;
    // An orientation that cannot be read is none: the pixels are there all the same.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let channels = usize::from(color.channel_count());
    let count = width as usize * height as usize * channels;
    let samples = match color {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {
            let mut samples = vec![0; count];
            decoder.read_image(&mut samples).map_err(|e| problem(format, e, (width, height)))?;
            Samples::U8(samples)
        }
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            let mut samples = vec![0u16; count];
            decoder.read_image(bytemuck::cast_slice_mut(&mut samples)).map_err(|e| problem(format, e, (width, height)))?;
            Samples::U16(samples)
        }
        other => return Err(ImageError::Unsupported { format, what: format!("{other:?}") }),
    };
    let bitmap = Bitmap { width: width as usize, height: height as usize, channels, samples };
    Ok(bitmap.oriented(orientation))
}

fn problem(format: Format, error: ::image::ImageError, (width, height): (u32, u32)) -> ImageError {
    match error {
        ::image::ImageError::Limits(limit) if limit.kind() == LimitErrorKind::DimensionError => too_large(width, height),
        ::image::ImageError::Unsupported(what) => ImageError::Unsupported { format, what: what.to_string() },
        error => ImageError::Damaged { format, problem: error.to_string() },
    }
}
