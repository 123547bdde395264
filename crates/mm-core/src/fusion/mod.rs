//! From the features of the present modalities to a prediction: what the four methods share.
//!
//! Absent means absent: the feature of a modality that a sample lacks is exactly zero, its input is never read, and its
//! encoder does not run. All combinations of a batch share one run of each encoder.

mod combinations;
mod features;
mod model;
mod network;
mod pointwise_trunk;
mod resnet_trunk;
mod shared_resnet18;
mod sum_trunk;
mod trunk;

pub use combinations::{visit_combination_outputs, visit_combination_sums};
pub use features::{Encoders, encode_present, keep_encoded, keep_present, parts, zero_where_absent};
pub use model::FusionModel;
pub use network::{FusionNetwork, NetworkConfig};
pub use pointwise_trunk::PointwiseTrunk;
pub use resnet_trunk::{ResNetTrunk, ResNetTrunkConfig};
pub use shared_resnet18::shared_resnet18_names;
pub use sum_trunk::SumTrunk;
pub use trunk::{MlpTrunk, Trunk, TrunkConfig, pool};
