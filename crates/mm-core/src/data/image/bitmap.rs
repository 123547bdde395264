//! Pixels as a file holds them, and what is done to them before they are resized.

use ::image::metadata::Orientation;
use serde::{Deserialize, Serialize};

/// Pixels row by row, the channels of a pixel side by side: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
#[derive(Debug, Clone, PartialEq)]
pub struct Bitmap {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 to 4.
    pub channels: usize,
    /// `height * width * channels` of them.
    pub samples: Samples,
}

/// Numbers of a bitmap, as exact as the file has them.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// 0 to 255.
    U8(Vec<u8>),
    /// 0 to 65,535.
    U16(Vec<u16>),
    /// As they are; colours are expected from 0 to 1.
    F32(Vec<f32>),
}

/// Channels of an image as the model gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageChannels {
    /// One.
    Gray,
    /// Three.
    Rgb,
}

impl ImageChannels {
    /// How many there are.
    pub fn count(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
        }
    }
}

/// What becomes of transparency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alpha {
    /// It is left out: the colours are those that the file has, seen or not. As Pillow's `convert("RGB")`.
    #[default]
    Drop,
    /// The image lies on a white page.
    White,
    /// The image lies on a black page.
    Black,
}

impl Bitmap {
    /// Turned as its file says it is to be seen.
    pub fn oriented(self, orientation: Orientation) -> Self {
        let Self { width, height, channels, samples } = self;
        let (samples, width, height) = match samples {
            Samples::U8(samples) => turned(samples, width, height, channels, orientation, Samples::U8),
            Samples::U16(samples) => turned(samples, width, height, channels, orientation, Samples::U16),
            Samples::F32(samples) => turned(samples, width, height, channels, orientation, Samples::F32),
        };
        Self { width, height, channels, samples }
    }

    /// Without transparency, and grey where that is asked for; a grey image stays one (its three channels would be the same).
    pub fn flattened(self, wanted: ImageChannels, alpha: Alpha) -> Self {
        let channels = if self.channels > 2 && wanted == ImageChannels::Rgb { 3 } else { 1 };
        if channels == self.channels {
            return self;
        }
        let from = self.channels;
        let samples = match self.samples {
            Samples::U8(samples) => Samples::U8(flattened(&samples, from, channels, alpha)),
            Samples::U16(samples) => Samples::U16(flattened(&samples, from, channels, alpha)),
            Samples::F32(samples) => Samples::F32(flattened(&samples, from, channels, alpha)),
        };
        Self { channels, samples, ..self }
    }
}

/// Turned, and made something of; with the new width and height.
pub(in crate::data) fn turned<T: Copy, S>(
    samples: Vec<T>,
    width: usize,
    height: usize,
    channels: usize,
    orientation: Orientation,
    wrap: fn(Vec<T>) -> S,
) -> (S, usize, usize) {
    use Orientation::*;
    if orientation == NoTransforms {
        return (wrap(samples), width, height);
    }
    let across = matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH);
    let (new_width, new_height) = if across { (height, width) } else { (width, height) };
    let mut out = Vec::with_capacity(samples.len());
    for row in 0..new_height {
        for column in 0..new_width {
            let (y, x) = match orientation {
                NoTransforms => (row, column),
                FlipHorizontal => (row, width - 1 - column),
                FlipVertical => (height - 1 - row, column),
                Rotate180 => (height - 1 - row, width - 1 - column),
                Rotate90 => (height - 1 - column, row),
                Rotate270 => (column, width - 1 - row),
                // Over the main diagonal, and over the other one.
                Rotate90FlipH => (column, row),
                Rotate270FlipH => (height - 1 - column, width - 1 - row),
            };
            out.extend_from_slice(&samples[(y * width + x) * channels..][..channels]);
        }
    }
    (wrap(out), new_width, new_height)
}

fn flattened<T: Level>(samples: &[T], from: usize, to: usize, alpha: Alpha) -> Vec<T> {
    let page = match alpha {
        Alpha::Drop => None,
        Alpha::White => Some(T::WHITE),
        Alpha::Black => Some(T::BLACK),
    };
    let seen = |colour: T, opacity: T| page.map_or(colour, |page| T::over(colour, page, opacity));
    match (from, to) {
        (2, 1) => samples.as_chunks::<2>().0.iter().map(|&[grey, a]| seen(grey, a)).collect(),
        (3, 1) => samples.as_chunks::<3>().0.iter().map(|&rgb| T::luma(rgb)).collect(),
        (4, 1) => samples.as_chunks::<4>().0.iter().map(|&[r, g, b, a]| T::luma([r, g, b].map(|c| seen(c, a)))).collect(),
        _ => samples.as_chunks::<4>().0.iter().flat_map(|&[r, g, b, a]| [r, g, b].map(|c| seen(c, a))).collect(),
    }
}

/// Brightness of one channel of a pixel.
trait Level: Copy {
    const BLACK: Self;
    const WHITE: Self;

    /// A colour of this opacity on a page.
    fn over(colour: Self, page: Self, opacity: Self) -> Self;

    /// Grey of a colour: 0.299 red, 0.587 green, 0.114 blue (ITU-R BT.601), as Pillow's `convert("L")`.
    fn luma(rgb: [Self; 3]) -> Self;
}

impl Level for u8 {
    const BLACK: Self = 0;
    const WHITE: Self = 255;

    fn over(colour: u8, page: u8, opacity: u8) -> u8 {
        let (colour, page, opacity) = (u32::from(colour), u32::from(page), u32::from(opacity));
        ((colour * opacity + page * (255 - opacity) + 127) / 255) as u8
    }

    fn luma([r, g, b]: [u8; 3]) -> u8 {
        // The weights in 1/65,536, rounded.
        ((u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471 + 32_768) >> 16) as u8
    }
}

impl Level for u16 {
    const BLACK: Self = 0;
    const WHITE: Self = 65_535;

    fn over(colour: u16, page: u16, opacity: u16) -> u16 {
        let (colour, page, opacity) = (u64::from(colour), u64::from(page), u64::from(opacity));
        ((colour * opacity + page * (65_535 - opacity) + 32_767) / 65_535) as u16
    }

    fn luma([r, g, b]: [u16; 3]) -> u16 {
        ((u64::from(r) * 19_595 + u64::from(g) * 38_470 + u64::from(b) * 7_471 + 32_768) >> 16) as u16
    }
}

impl Level for f32 {
    const BLACK: Self = 0.0;
    const WHITE: Self = 1.0;

    fn over(colour: f32, page: f32, opacity: f32) -> f32 {
        colour * opacity + page * (1.0 - opacity)
    }

    fn luma([r, g, b]: [f32; 3]) -> f32 {
        0.299 * r + 0.587 * g + 0.114 * b
    }
}
