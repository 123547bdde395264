#![doc = include_str!("../README.md")]

mod config;
mod dense;
mod dense_model;
mod distribution;
mod hard;
mod method;
mod mining;
mod model;
mod names;
mod rank;

pub use config::{DmrnetConfig, HardLoss, HardSupervision, MiningScore};
pub use dense::DenseDmrnet;
pub use dense_model::DenseDmrnetModel;
pub use distribution::gaussian_kl;
pub use hard::hard_combination_loss;
pub use method::Dmrnet;
pub use mining::MinedCombinations;
pub use mm_core::loss::reparameterize;
pub use mm_core::nn::GaussianFeature as Distribution;
pub use model::DmrnetModel;
pub use names::published_names;
pub use rank::rank_correlation;

/// The method by name.
pub fn spec() -> mm_core::recipe::MethodSpec {
    mm_core::recipe::MethodSpec::new(
        "dmrnet",
        "every combination maps to a distribution; hard combinations get extra supervision",
        DmrnetConfig::default,
    )
}
