//! PNG files of a data set: what they claim, and writing what had to be converted.

use super::error::{Error, Result};
use std::path::Path;

/// Pixels of a map whose numbers are looked at.
const LARGEST_PIXELS: u64 = 1 << 26;

/// Height and width.
pub(super) fn size(path: &Path) -> Result<[usize; 2]> {
    let info = reader(path)?;
    let info = info.info();
    Ok([info.height as usize, info.width as usize])
}

/// The largest number of a grey map of 8 bits.
pub(super) fn largest(path: &Path) -> Result<u8> {
    let mut reader = reader(path)?;
    let info = reader.info();
    if (info.color_type, info.bit_depth) != (png::ColorType::Grayscale, png::BitDepth::Eight) {
        let problem = format!(
            "is a PNG file of {:?} with {:?} bits, and a map of one number a pixel in 8 bits is expected",
            info.color_type, info.bit_depth
        );
        return Err(Error::content(path, problem));
    }
    if u64::from(info.height) * u64::from(info.width) > LARGEST_PIXELS {
        return Err(Error::content(path, format!("claims {} x {} pixels", info.width, info.height)));
    }
    let mut pixels = vec![0; reader.output_buffer_size().unwrap_or_default()];
    reader.next_frame(&mut pixels).map_err(|error| Error::content(path, format!("is a damaged PNG file: {error}")))?;
    Ok(pixels.into_iter().max().unwrap_or_default())
}

fn reader(path: &Path) -> Result<png::Reader<std::io::BufReader<std::fs::File>>> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let mut decoder = png::Decoder::new(std::io::BufReader::new(file));
    decoder.set_transformations(png::Transformations::IDENTITY);
    decoder.read_info().map_err(|error| Error::content(path, format!("is no PNG file that can be read: {error}")))
}

/// What a converted image holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pixels<'p> {
    /// Red, green, blue of each pixel.
    Rgb(&'p [u8]),
    /// One number a pixel.
    Grey(&'p [u8]),
    /// One number of 16 bits a pixel.
    Wide(&'p [u16]),
}

/// The bytes of a PNG file; `name` is for messages.
pub(super) fn encode(name: &str, [height, width]: [usize; 2], pixels: Pixels) -> Result<Vec<u8>> {
    let (colour, bits, bytes) = match pixels {
        Pixels::Rgb(bytes) => (png::ColorType::Rgb, png::BitDepth::Eight, bytes.to_vec()),
        Pixels::Grey(bytes) => (png::ColorType::Grayscale, png::BitDepth::Eight, bytes.to_vec()),
        Pixels::Wide(numbers) => {
            (png::ColorType::Grayscale, png::BitDepth::Sixteen, numbers.iter().flat_map(|number| number.to_be_bytes()).collect())
        }
    };
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(bits);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&bytes));
    written.map_err(|error| Error::content(name, format!("cannot be written as PNG: {error}")))?;
    Ok(file)
}
