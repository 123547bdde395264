#![doc = include_str!("../README.md")]

mod adaptation;
mod available;
mod balance;
mod branch;
mod completion;
mod config;
mod conv_translation;
mod cross_fusion;
mod dense;
mod dense_completion;
mod dense_method;
mod dense_model;
mod dense_unet;
mod discrepancy;
mod fusion;
mod method;
mod model;
mod names;
mod teaching;
mod translation;

pub use adaptation::{joint_adaptation, warm_up};
pub use config::{Adaptation, Balance, ModDistillConfig, TeacherView};
pub use conv_translation::ConvTranslation;
pub use cross_fusion::{CrossFusion, CrossFusionConfig};
pub use dense::{DenseTranslated, DenseTranslation, DenseTranslationConfig, TranslatedMaps, reconstruction_of_maps};
pub use dense_completion::DenseCompletionModel;
pub use dense_method::DenseModDistill;
pub use dense_model::{DenseTranslationModel, TranslationNetwork};
pub use dense_unet::UNetTranslation;
pub use discrepancy::{joint_mmd, maximum_mean_discrepancy};
pub use method::ModDistill;
pub use model::ModDistillModel;
pub use names::published_names;
pub use translation::{CrossTranslation, Translated, TranslatedAll, TranslationConfig, reconstruction};

/// The method by name.
pub fn spec() -> mm_core::recipe::MethodSpec {
    mm_core::recipe::MethodSpec::new(
        "mod-distill",
        "privileged sensors at training time, restored from the available ones at prediction",
        ModDistillConfig::default,
    )
}
