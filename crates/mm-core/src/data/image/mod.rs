//! Images and depth maps: decoding, resizing, random changes, likeness. Plain functions on plain data; the kinds in [`super::kinds`] put
//! them together.

mod appearance;
mod bitmap;
mod decode;
mod depth;
mod error;
mod geometry;
mod hash;
mod idx;
mod jpeg;
mod resize;
mod thumbnail;
mod tiff;

pub use appearance::{Appearance, AppearanceConfig};
pub(super) use bitmap::turned;
pub use bitmap::{Alpha, Bitmap, ImageChannels, Samples};
pub use decode::{LARGEST_BYTES, LARGEST_PIXELS, LARGEST_SIDE, decode};
pub use depth::{Metres, resize_depth, to_metres};
pub use error::{Format, ImageError};
pub use geometry::{Geometry, Interpolation};
pub use hash::{difference_hash, hamming_distance};
pub use idx::idx_image;
pub(super) use resize::resize_plane;
pub use resize::{Fit, resize};
pub(super) use thumbnail::{colored, png};
pub use thumbnail::{depth_thumbnail, smaller, thumbnail};
