//! Names of the published checkpoints.

use mm_core::Modalities;
use mm_core::weights::NameMap;

/// Names of the published cross-fusion network for patches to those of a [`crate::CrossFusion`] of default settings, for
/// [`mm_core::weights::import`].
///
/// The modalities must be `hsi`, `lidar`, in this order: the trunk reads the concatenation of their spaces. The published files
/// also hold a second classifier, `block_7`, which takes no part in the prediction and is skipped.
pub fn published_names(modalities: &Modalities) -> NameMap {
    let mut map = NameMap::new();
    let mut rename = |published: String, ours: String| map = std::mem::take(&mut map).rename(published, ours);
    for (m, name) in modalities.names().iter().enumerate() {
        for (published, ours) in [("0", "0.conv"), ("1", "0.norm"), ("3", "1.conv"), ("4", "1.norm")] {
            rename(format!("{name}_block_1.{published}."), format!("encoders.{name}.{ours}."));
        }
        for (published, ours) in [("0", "conv"), ("1", "norm")] {
            rename(format!("{name}_block_2.{published}."), format!("fusion.translate_{}.{ours}.", m + 1));
        }
    }
    for (block, layer) in [("block_5", "0"), ("block_6", "1")] {
        for (published, ours) in [("0", "conv"), ("1", "norm")] {
            rename(format!("share_bone.{block}.{published}."), format!("trunk.{layer}.{ours}."));
        }
    }
    map.rename("share_bone.fc.", "head.").skip("share_bone.block_7.")
}
