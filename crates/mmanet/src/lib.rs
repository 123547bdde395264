#![doc = include_str!("../README.md")]

mod config;
mod dense;
mod margin;
mod method;
mod mining;
mod names;
mod pixel_margin;
mod weak;

pub use config::{MmanetConfig, Ranking, WeakSupervision, Weighting};
pub use dense::DenseMmanet;
pub use margin::margin_aware_distillation;
pub use method::Mmanet;
pub use mining::{MinedCombinations, histogram_distance, per_sample_distance, reference_histogram_distance};
pub use names::published_names;
pub use pixel_margin::{margin_aware_distillation_of_many, pixel_margin_distillation};
pub use weak::weak_combination_loss;

/// The method by name.
pub fn spec() -> mm_core::recipe::MethodSpec {
    mm_core::recipe::MethodSpec::new(
        "mmanet",
        "a full-modality teacher distils into a network for any combination; weak combinations get extra supervision",
        MmanetConfig::default,
    )
}
