//! A ResNet-18 cut in the middle: its first half once a sensor, its second half shared.
//!
//! The network of several published methods for face anti-spoofing with three cameras at 112x112; any number of sensors here.

use super::{NetworkConfig, ResNetTrunkConfig, TrunkConfig};
use crate::encoder::{EncoderConfig, ResNetConfig, Stem};
use crate::modality::Modalities;
use crate::weights::NameMap;

impl NetworkConfig {
    /// An encoder of 3x3 stem, two stages and a squeeze-and-excitation gate a sensor, and the last two stages as trunk.
    ///
    /// As published, training encodes what it then drops (`encode_dropped`).
    pub fn shared_resnet18() -> Self {
        let encoder = ResNetConfig { stem: Stem::Medium, stages: 2, squeeze_excite: true, ..ResNetConfig::default() };
        Self {
            encoder: Some(EncoderConfig::resnet(encoder)),
            trunk: TrunkConfig::ResNet(ResNetTrunkConfig::default()),
            encode_dropped: true,
            ..Self::default()
        }
    }
}

/// Published names of encoders and trunk (`special_bone_<modality>.*`, `shared_bone.0`, `shared_bone.1`) to ours.
///
/// The modalities must have the published names, such as `rgb`, `depth` and `ir`.
pub fn shared_resnet18_names(modalities: &Modalities) -> NameMap {
    let parts = [("0", "conv1"), ("1", "bn1"), ("4", "layer1"), ("5", "layer2"), ("6", "se")];
    let mut map = NameMap::new();
    for name in modalities.names() {
        for (published, ours) in parts {
            map = map.rename(format!("special_bone_{name}.{published}."), format!("encoders.{name}.{ours}."));
        }
    }
    map.rename("shared_bone.0.", "trunk.0.").rename("shared_bone.1.", "trunk.1.")
}
