#![doc = include_str!("../README.md")]

mod adaptation;
mod balance;
mod branch;
mod builder;
mod completion;
mod config;
mod conv_translation;
mod cross_fusion;
mod discrepancy;
mod fusion;
mod method;
mod names;
mod teaching;
mod translation;

pub use adaptation::{joint_adaptation, warm_up};
pub use builder::ModDistillBuilder;
pub use config::{Adaptation, Balance, ModDistillConfig, TeacherView};
pub use conv_translation::ConvTranslation;
pub use cross_fusion::{CrossFusion, CrossFusionConfig};
pub use discrepancy::{joint_mmd, maximum_mean_discrepancy};
pub use method::ModDistill;
pub use names::published_names;
pub use translation::{CrossTranslation, Translated, TranslatedAll, TranslationConfig, reconstruction};
