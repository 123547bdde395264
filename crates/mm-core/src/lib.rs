#![doc = include_str!("../README.md")]

pub mod corrupt;
pub mod data;
pub mod dense;
pub mod device;
pub mod encoder;
pub mod error;
pub mod eval;
pub mod fusion;
pub mod loss;
pub mod missing;
pub mod modality;
mod modality_error;
pub mod model;
pub mod nn;
mod non_finite_error;
pub mod optim;
pub mod parallel;
pub mod pipeline;
pub mod recipe;
pub mod rng;
pub mod statistics;
pub mod task;
pub mod teacher;
pub mod text;
pub mod train;
pub mod weights;

pub use data::DataError;
pub use device::{DeviceError, DeviceName};
pub use error::{Error, ModalityError, NonFiniteError, Result};
pub use modality::{Modalities, Presence, Subset};
pub use model::Model;
pub use parallel::ParallelError;
pub use pipeline::Pipeline;
pub use statistics::StatisticsError;

/// Raised by every change after which a training or an evaluation gives other numbers, beyond rounding. Benches keep results under it, so
/// that machines and rebuilt programs share them.
pub const NUMBERS: u32 = 3;
