#![doc = include_str!("../README.md")]

mod config;
mod distribution;
mod hard;
mod method;
mod mining;
mod names;
mod rank;

pub use config::{DmrnetConfig, HardLoss, HardSupervision, MiningScore};
pub use distribution::gaussian_kl;
pub use hard::hard_combination_loss;
pub use method::{Dmrnet, DmrnetBuilder};
pub use mining::MinedCombinations;
pub use mm_core::loss::reparameterize;
pub use mm_core::nn::GaussianFeature as Distribution;
pub use names::published_names;
pub use rank::rank_correlation;
