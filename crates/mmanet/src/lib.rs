#![doc = include_str!("../README.md")]

mod config;
mod margin;
mod method;
mod mining;
mod names;
mod weak;

pub use config::{MmanetConfig, Ranking, WeakSupervision, Weighting};
pub use margin::margin_aware_distillation;
pub use method::{Mmanet, MmanetBuilder};
pub use mining::{MinedCombinations, histogram_distance, per_sample_distance, reference_histogram_distance};
pub use names::published_names;
pub use weak::weak_combination_loss;
