#![doc = include_str!("../README.md")]
#![warn(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

pub mod attention;
pub mod avg_pool;
pub mod batch_norm;
pub mod batch_norm_parts;
pub mod conv;
mod crew;
pub mod dense;
pub mod error;
pub mod gelu;
mod in_place;
pub mod layer_norm;
mod layout;
mod math;
pub mod max_pool;
mod microkernel;
pub mod optimizer;
pub mod pixel_loss;
mod product;
pub mod resize;
mod scratch;
mod short_planes;
pub mod simd;
mod sums;
mod threads;
mod unspecified;
mod window;

pub use error::{Error, Result};
pub use scratch::release_scratch;
pub use unspecified::unspecified;
pub use window::Pool2dShape;
