#![doc = include_str!("../README.md")]

mod ensemble;
mod fusion;
mod imputation;

pub use ensemble::{Combine, Ensemble};
pub use fusion::{DistillationConfig, Fusion, FusionConfig, Imputation};
