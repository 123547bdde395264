//! Names of the published checkpoints.

use mm_core::Modalities;
use mm_core::fusion::shared_resnet18_names;
use mm_core::weights::NameMap;

/// Names of the published face anti-spoofing checkpoints to those of [`crate::DmrnetConfig::face_anti_spoofing`], for
/// [`mm_core::weights::import`].
///
/// The modalities must be `rgb`, `ir`, `depth`, in this order: the trunk reads their concatenation. By their names the second
/// slot of the published data loader holds infrared and the third depth; what it fed there was depth, then infrared.
pub fn published_names(modalities: &Modalities) -> NameMap {
    let heads = [("mu_dul_backbone", "mean"), ("logvar_dul_backbone", "log_var")];
    let map = shared_resnet18_names(modalities).rename("head.0.", "head.");
    heads.into_iter().fold(map, |map, (published, ours)| {
        map.rename(format!("{published}.0."), format!("{ours}.linear.")).rename(format!("{published}.1."), format!("{ours}.norm."))
    })
}
