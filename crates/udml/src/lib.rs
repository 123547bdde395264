#![doc = include_str!("../README.md")]

mod config;
mod dependence;
mod estimator;
mod head;
mod method;
mod names;
mod noise;
mod output;
mod weights;

pub use config::{DependenceForm, EstimatorInput, LevelLoss, Prior, UdmlConfig, WeightForm};
pub use dependence::{leave_one_out_dependence, lone_modality_dependence};
pub use estimator::{log_noise_level_loss, noise_level_loss};
pub use head::{ConcatHead, fused_logits, unimodal_logits};
pub use method::{Udml, UdmlBuilder};
pub use mm_core::loss::{gaussian_kl, reparameterize};
pub use mm_core::nn::GaussianFeature;
pub use names::published_names;
pub use noise::{CLEAN_LEVEL, NoiseConfig, NoiseFamily, NoisyBatch, inject_noise};
pub use output::{SensorTrust, UdmlOutput};
pub use weights::{soften, static_weights, udml_weights};
