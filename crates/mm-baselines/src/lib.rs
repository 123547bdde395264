#![doc = include_str!("../README.md")]

mod conditional;
mod deep_ensemble;
mod dense;
mod dense_ensemble;
mod ensemble;
mod fusion;
mod imputed;
mod model;
mod modulation;
mod nearest;
mod regression;
mod unimodal;

pub use deep_ensemble::{DeepEnsemble, DeepEnsembleConfig, DeepEnsembleModel};
pub use dense::{DenseBaseline, DenseFusion};
pub use dense_ensemble::{DenseDeepEnsemble, DenseDeepEnsembleModel};
pub use ensemble::{Combine, Ensemble, EnsembleConfig, EnsembleModel};
pub use fusion::{DistillationConfig, Fusion, FusionConfig, Imputation};
pub use imputed::{Imputed, ImputedModel};
pub use model::BaselineModel;
pub use modulation::{GradientModulation, ModulationConfig, paces, with_gradient_times};
pub use nearest::NearestConfig;
pub use regression::RegressionConfig;
pub use unimodal::{UnimodalConfig, UnimodalLosses};

use mm_core::recipe::MethodSpec;

/// The baselines by name.
pub fn specs() -> [MethodSpec; 11] {
    [
        MethodSpec::new("full-only", "no sensor dropped in training: samples as they are", FusionConfig::full_only).without(&[
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
        MethodSpec::new(
            "deep-ensemble",
            "several networks trained with modality dropout, their predictions averaged",
            DeepEnsembleConfig::default,
        ),
        MethodSpec::new(
            "gradient-modulation",
            "full-only training in which the encoder of the sensor that is ahead of the others learns more slowly (OGM)",
            ModulationConfig::default,
        ),
        MethodSpec::new("unimodal-losses", "full-only training with a loss for each sensor alone besides", UnimodalConfig::default),
        MethodSpec::new(
            "knn-imputation",
            "full-only training, an absent sensor's feature from the nearest training samples",
            NearestConfig::default,
        ),
        MethodSpec::new(
            "regression-imputation",
            "full-only training, an absent sensor's feature by regression from the others",
            RegressionConfig::default,
        ),
    ]
}
