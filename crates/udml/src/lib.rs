#![doc = include_str!("../README.md")]

mod config;
mod dense;
mod dependence;
mod estimator;
mod head;
mod method;
mod model;
mod names;
mod noise;
mod output;
mod weights;

pub use config::{DependenceForm, EstimatorInput, LevelLoss, Prior, UdmlConfig, WeightForm};
pub use dense::{DenseUdml, DenseUdmlModel};
pub use dependence::{leave_one_out_dependence, lone_modality_dependence};
pub use estimator::{log_noise_level_loss, noise_level_loss};
pub use head::{ConcatHead, fused_logits, unimodal_logits};
pub use method::Udml;
pub use mm_core::loss::{gaussian_kl, reparameterize};
pub use mm_core::model::SensorTrust;
pub use mm_core::nn::GaussianFeature;
pub use model::UdmlModel;
pub use names::published_names;
pub use noise::{CLEAN_LEVEL, NoiseConfig, NoiseFamily, NoisyInputs, inject_noise};
pub use output::UdmlOutput;
pub use weights::{soften, static_weights, udml_weights};

/// The method by name, and the same network with static weights under the same noise.
pub fn specs() -> [mm_core::recipe::MethodSpec; 2] {
    use mm_core::recipe::MethodSpec;
    [
        MethodSpec::new(
            "static-fusion-noise",
            "static fusion trained with the same noise as `udml`: its fair baseline",
            UdmlConfig::static_fusion,
        ),
        MethodSpec::new("udml", "learns each sensor's noise level and moves trust to the cleaner sensors", UdmlConfig::default),
    ]
}
