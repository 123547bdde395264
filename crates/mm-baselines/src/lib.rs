#![doc = include_str!("../README.md")]

mod dense;
mod ensemble;
mod fusion;
mod model;

pub use dense::{DenseBaseline, DenseFusion};
pub use ensemble::{Combine, Ensemble, EnsembleConfig, EnsembleModel};
pub use fusion::{DistillationConfig, Fusion, FusionConfig, Imputation};
pub use model::BaselineModel;

use mm_core::recipe::MethodSpec;

/// The baselines by name.
pub fn specs() -> [MethodSpec; 6] {
    [
        MethodSpec::new("full-only", "trained on complete samples only", FusionConfig::full_only).without(&[
            "combinations",
            "distillation",
            "imputation",
        ]),
        MethodSpec::new("modality-dropout", "trained with random combinations", FusionConfig::modality_dropout).without(&[
            "combinations",
            "distillation",
            "imputation",
        ]),
        MethodSpec::new(
            "mean-imputation",
            "full-only training, the training mean in place of absent sensors",
            FusionConfig::mean_imputation,
        )
        .without(&["combinations", "distillation", "imputation"]),
        MethodSpec::new("per-combination", "one network for each combination: an upper reference", EnsembleConfig::per_combination)
            .without(&["combine", "distillation", "missing"]),
        MethodSpec::new("late-fusion", "mean of unimodal predictions", EnsembleConfig::late_fusion).without(&[
            "combine",
            "combinations",
            "distillation",
            "missing",
        ]),
        MethodSpec::new(
            "logit-distillation",
            "modality dropout with the softened predictions of a full-modality teacher",
            FusionConfig::logit_distillation,
        )
        .without(&["combinations", "imputation"]),
    ]
}
