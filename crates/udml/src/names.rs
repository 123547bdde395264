//! Names of the published checkpoints.

use mm_core::Modalities;
use mm_core::weights::NameMap;

/// Names of the published audio-visual checkpoints to those of [`crate::UdmlConfig::audio_visual`], for
/// [`mm_core::weights::import`].
///
/// The modalities must be `audio`, `visual`, in this order: the head reads the concatenation of their features. The published
/// files keep the dependence beside the weights (`audio_depend`, `visual_depend`): it is `dependence.running_mean` here, `[2]`.
pub fn published_names(modalities: &Modalities) -> NameMap {
    let mut map = NameMap::new();
    for name in modalities.names() {
        for (published, ours) in [("mu_dul_backbone", "mean"), ("logvar_dul_backbone", "log_var")] {
            for (layer, part) in [("0", "linear"), ("1", "norm")] {
                map = map.rename(format!("{name}_net.{published}.{layer}."), format!("features.{name}.{ours}.{part}."));
            }
        }
        map = map.rename(format!("{name}_net."), format!("encoders.{name}."));
        for (published, ours) in [("0", "0"), ("2", "1")] {
            map = map.rename(format!("{name}_variance_estimator.{published}."), format!("estimators.{name}.{ours}."));
        }
    }
    map.rename("fusion_module.fc_out.", "head.")
}
