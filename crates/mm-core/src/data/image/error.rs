//! What can be wrong with a file of an image, and with what is asked of it.

use super::decode::{LARGEST_PIXELS, LARGEST_SIDE};

/// Why a file is no image that can be used. [`crate::Error::Image`] says which file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ImageError {
    /// The first bytes are those of no format that is read.
    #[error("is no image that can be read: it is {}", found.unwrap_or("none of PNG, JPEG, TIFF, WebP and BMP, by how it begins"))]
    Format {
        /// What it is instead, where that can be told.
        found: Option<&'static str>,
    },
    /// More pixels than one image may have; nothing was decoded.
    #[error(
        "claims {width} x {height} pixels, but one image may have at most {} million, {} a side and {} MB: make it smaller",
        LARGEST_PIXELS / 1_000_000,
        LARGEST_SIDE,
        most_bytes >> 20
    )]
    TooLarge {
        /// Width that the file claims.
        width: u32,
        /// Height that the file claims.
        height: u32,
        /// What its pixels may take.
        most_bytes: u64,
    },
    /// A form of the format that is not read.
    #[error("is a {format} file of a form that is not read ({what}); save it as PNG or as TIFF with 1, 3 or 4 channels")]
    Unsupported {
        /// The format.
        format: Format,
        /// What of it is not read.
        what: String,
    },
    /// A TIFF file of more bands than colours and transparency.
    #[error(
        "is a TIFF file of {bands} bands, and only grey or colours are read, with one band that the file calls transparency (ExtraSamples 1 \
         or 2): save RGB as one file and each further band as a grey one, a sensor each, or all bands as one .npy file (kind = \"array\")"
    )]
    Bands {
        /// How many there are.
        bands: usize,
    },
    /// Bytes that contradict the format.
    #[error("is a damaged {format} file: {problem}")]
    Damaged {
        /// The format.
        format: Format,
        /// What the decoder says.
        problem: String,
    },
    /// One image of a file was asked for that does not hold several.
    #[error(
        "does not hold several images: a start belongs to IDX files of u8 with three dimensions, as MNIST has them{}",
        if *.gzip { "; this one is compressed, unpack it with gunzip" } else { "" }
    )]
    NotStacked {
        /// Whether it is compressed.
        gzip: bool,
    },
    /// An IDX file does not have the image that was asked for.
    #[error("holds images 0 to {}, each of length 1; asked for was {start} to {end}", i64::from(*.count) - 1)]
    Place {
        /// First image asked for.
        start: u64,
        /// One behind the last.
        end: u64,
        /// How many there are.
        count: u32,
    },
    /// An IDX file that ends too early.
    #[error("ends before or in image {image} of the {count} that it claims")]
    CutOff {
        /// The image asked for.
        image: u64,
        /// How many it claims.
        count: u32,
    },
    /// The resizing failed.
    #[error("cannot be resized: {0}")]
    Resize(#[from] fast_image_resize::ResizeError),
    /// A depth map with colours.
    #[error("has {channels} channels, but a depth map has one: is it the picture instead of the depth?")]
    NotDepth {
        /// How many there are.
        channels: usize,
    },
}

/// A format of image files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// Tagged Image File Format.
    Tiff,
    /// WebP.
    WebP,
    /// A bitmap of Windows.
    Bmp,
}

impl Format {
    /// Endings of the files of all formats.
    pub const ENDINGS: [&str; 7] = ["png", "jpg", "jpeg", "tif", "tiff", "webp", "bmp"];

    /// Endings of its files.
    pub(crate) fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Png => &["png"],
            Self::Jpeg => &["jpg", "jpeg"],
            Self::Tiff => &["tif", "tiff"],
            Self::WebP => &["webp"],
            Self::Bmp => &["bmp"],
        }
    }

    /// What the first bytes say.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            // Little and big endian; 43 instead of 42 is BigTIFF.
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Self::Tiff),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [b'B', b'M', ..] => Some(Self::Bmp),
            _ => None,
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Tiff => "TIFF",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
        })
    }
}
