//! Many grey images in one IDX file, the format of MNIST.

use super::decode::check_size;
use super::{Bitmap, ImageError, Samples};
use crate::error::{Error, Result};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// Two zeros, the type u8, three dimensions.
const MAGIC: [u8; 4] = [0, 0, 8, 3];
/// Bytes of the magic number and the dimensions.
const HEADER: u64 = 16;

/// Reads one image of an IDX file, `part.start` counted from 0, and nothing else of it; `path` is for messages.
///
/// The file holds `[images, rows, columns]` of u8, as `train-images-idx3-ubyte` of MNIST does, not compressed. An open end of `part` is
/// [`u64::MAX`].
pub fn idx_image(file: &mut (impl Read + Seek), part: &Range<u64>, path: &Path) -> Result<Bitmap> {
    let refused = Error::image(path);
    let mut header = Vec::new();
    file.take(HEADER).read_to_end(&mut header).map_err(Error::io(path))?;
    let dimensions = match header.split_at_checked(MAGIC.len()) {
        Some((magic, dimensions)) if magic == MAGIC && header.len() as u64 == HEADER => dimensions,
        _ => return Err(refused(ImageError::NotStacked { gzip: header.starts_with(&[0x1f, 0x8b]) })),
    };
    let [count, height, width] = [0, 4, 8].map(|at| dimensions[at..at + 4].iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte)));
    check_size(width, height, 1).map_err(Error::image(path))?;
    let one = part.end == u64::MAX || part.start.checked_add(1) == Some(part.end);
    if part.start >= u64::from(count) || !one {
        return Err(refused(ImageError::Place { start: part.start, end: part.end, count }));
    }
    let pixels = u64::from(height) * u64::from(width);
    file.seek(SeekFrom::Start(HEADER + part.start * pixels)).map_err(Error::io(path))?;
    let mut samples = Vec::new();
    file.take(pixels).read_to_end(&mut samples).map_err(Error::io(path))?;
    if pixels == 0 || samples.len() as u64 != pixels {
        return Err(refused(ImageError::CutOff { image: part.start, count }));
    }
    Ok(Bitmap { width: width as usize, height: height as usize, channels: 1, samples: Samples::U8(samples) })
}
