//! Names of the published checkpoints.

use crate::method::REGULARIZATION;
use mm_core::Modalities;
use mm_core::fusion::shared_resnet18_names;
use mm_core::weights::NameMap;

/// Names of the published classification checkpoints to those of [`crate::MmanetConfig::face_anti_spoofing`], for
/// [`mm_core::weights::import`]; the same map serves the teacher, a [`mm_core::fusion::FusionNetwork`] of that configuration.
///
/// The modalities must be `rgb`, `depth`, `ir`, in this order: the trunk reads their concatenation.
pub fn published_names(modalities: &Modalities) -> NameMap {
    shared_resnet18_names(modalities)
        .rename("shared_bone.4.", "head.")
        .rename("auxi_bone.4.", format!("{REGULARIZATION}.head."))
        .rename("auxi_bone.", format!("{REGULARIZATION}.trunk."))
}
