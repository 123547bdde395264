//! TIFF files, by the crate `tiff` itself: `image` reads no grey of floating point numbers, which is what depth comes in.

use super::decode::{LARGEST_BYTES, check_size};
use super::{Bitmap, Format, ImageError, Samples};
use crate::data::unpacking::most_bytes;
use ::image::metadata::Orientation;
use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::tags::Tag;
use ::tiff::{ColorType, TiffError};
use std::io::Cursor;

/// Decodes the first image of a file: grey, RGB, either with alpha, or CMYK; without compression, or with LZW, Deflate or PackBits.
pub(super) fn decode(bytes: &[u8]) -> Result<Bitmap, ImageError> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = most_bytes(LARGEST_BYTES) as usize;
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(problem)?.with_limits(limits);
    let (width, height) = decoder.dimensions().map_err(problem)?;
    let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).ok().flatten().unwrap_or_default();
    // Alpha that is multiplied into the colours already, or not. The crate leaves other bands out without a word.
    if !matches!(extra.as_slice(), [] | [1 | 2]) {
        return Err(ImageError::Bands { bands: decoder.get_tag_unsigned(Tag::SamplesPerPixel).map_err(problem)? });
    }
    let color = decoder.colortype().map_err(problem)?;
    let channels = match color {
        ColorType::Gray(_) => 1,
        ColorType::GrayA(_) => 2,
        ColorType::Multiband { num_samples: 2, .. } if !extra.is_empty() => 2,
        ColorType::Multiband { num_samples, .. } => return Err(ImageError::Bands { bands: num_samples.into() }),
        ColorType::RGB(_) => 3,
        ColorType::RGBA(_) | ColorType::CMYK(_) => 4,
        other => return Err(unsupported(format!("{other:?}"))),
    };
    if width == 0 || height == 0 {
        return Err(damaged("it has no pixels".into()));
    }
    check_size(width, height, channels * u64::from(color.bit_depth()).div_ceil(8))?;
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut result).map_err(problem)?;
    let (width, height, channels) = (width as usize, height as usize, channels as usize);
    let mut samples = samples(result, color.bit_depth(), width * channels / layout.planes.max(1))?;
    if layout.planes > 1 {
        samples = interleaved(samples, channels);
    }
    let found = match &samples {
        Samples::U8(samples) => samples.len(),
        Samples::U16(samples) => samples.len(),
        Samples::F32(samples) => samples.len(),
    };
    if found != width * height * channels {
        return Err(damaged(format!("{found} numbers for {width} x {height} pixels of {channels} channels")));
    }
    let bitmap = Bitmap { width, height, channels, samples };
    let bitmap = if matches!(color, ColorType::CMYK(_)) { without_ink(bitmap) } else { bitmap };
    Ok(bitmap.oriented(orientation.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)))
}

/// Whole numbers of up to 16 bits as they are, floating point numbers as f32. Whole ones of 32 bits say nowhere where white is.
fn samples(result: DecodingResult, bits: u8, row: usize) -> Result<Samples, ImageError> {
    Ok(match result {
        DecodingResult::U8(samples) if bits == 8 => Samples::U8(samples),
        DecodingResult::U8(packed) if bits < 8 => Samples::U8(unpacked(&packed, bits, row)?),
        DecodingResult::U16(samples) if bits == 16 => Samples::U16(samples),
        DecodingResult::F16(samples) => Samples::F32(samples.into_iter().map(|x| x.to_f32()).collect()),
        DecodingResult::F32(samples) => Samples::F32(samples),
        DecodingResult::F64(samples) => Samples::F32(samples.into_iter().map(|x| x as f32).collect()),
        // Elevations and depths come with a sign. A negative one is no reading, and no colour.
        DecodingResult::I16(samples) => Samples::U16(samples.into_iter().map(|x| x.max(0) as u16).collect()),
        _ => return Err(unsupported(format!("{bits} bits"))),
    })
}

/// One number a byte, from 0 to 255, of rows that begin with a byte each.
fn unpacked(packed: &[u8], bits: u8, row: usize) -> Result<Vec<u8>, ImageError> {
    if ![1, 2, 4].contains(&bits) {
        return Err(unsupported(format!("{bits} bits")));
    }
    let (highest, a_byte) = (u8::MAX >> (8 - bits), 8 / usize::from(bits));
    let rows = packed.chunks(row.div_ceil(a_byte).max(1));
    let level = |packed: &[u8], at: usize| {
        let shift = 8 - bits * (at % a_byte + 1) as u8;
        packed.get(at / a_byte).map(|byte| (byte >> shift & highest) * (255 / highest))
    };
    Ok(rows.flat_map(|packed| (0..row).filter_map(move |at| level(packed, at))).collect())
}

/// From one plane a channel to pixels of channels.
fn interleaved(samples: Samples, channels: usize) -> Samples {
    fn mixed<T: Copy>(planes: Vec<T>, channels: usize) -> Vec<T> {
        let plane = planes.len() / channels;
        (0..plane).flat_map(|at| (0..channels).map(move |channel| channel * plane + at)).map(|at| planes[at]).collect()
    }
    match samples {
        Samples::U8(planes) => Samples::U8(mixed(planes, channels)),
        Samples::U16(planes) => Samples::U16(mixed(planes, channels)),
        Samples::F32(planes) => Samples::F32(mixed(planes, channels)),
    }
}

/// RGB of cyan, magenta, yellow and black: what neither ink takes away. No colour profile is asked.
fn without_ink(bitmap: Bitmap) -> Bitmap {
    fn light<T: Copy>(inks: &[T], left: impl Fn(T, T) -> T) -> Vec<T> {
        inks.as_chunks::<4>().0.iter().flat_map(|&[c, m, y, k]| [left(c, k), left(m, k), left(y, k)]).collect()
    }
    let samples = match bitmap.samples {
        Samples::U8(inks) => Samples::U8(light(&inks, |ink, black| ((255 - u32::from(ink)) * (255 - u32::from(black)) / 255) as u8)),
        Samples::U16(inks) => {
            Samples::U16(light(&inks, |ink, black| ((65_535 - u64::from(ink)) * (65_535 - u64::from(black)) / 65_535) as u16))
        }
        Samples::F32(inks) => Samples::F32(light(&inks, |ink, black| (1.0 - ink) * (1.0 - black))),
    };
    Bitmap { channels: 3, samples, ..bitmap }
}

fn problem(error: TiffError) -> ImageError {
    match error {
        TiffError::UnsupportedError(what) => unsupported(what.to_string()),
        error => damaged(error.to_string()),
    }
}

fn unsupported(what: String) -> ImageError {
    ImageError::Unsupported { format: Format::Tiff, what }
}

fn damaged(problem: String) -> ImageError {
    ImageError::Damaged { format: Format::Tiff, problem }
}
