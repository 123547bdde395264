//! Networks that predict every pixel from several sensors of which some may be missing: segmentation.
//!
//! A [`DenseNetwork`] works in three steps. [`DenseNetwork::encode`] does what no combination of sensors changes, once;
//! [`DenseNetwork::fuse`] makes one pyramid of maps of the sensors of a combination; [`DenseNetwork::decode`] makes class scores a pixel of
//! it. Between the last two a method can change or read the maps. There are two networks, see [`DenseConfig`]; [`DenseModel`] is either as
//! it is deployed.
//!
//! All sensors of a batch are maps `[batch, channels, height, width]` of one height and width, each with any number of channels. Sizes that
//! are no multiple of the network's stride are padded, and what is predicted is cropped back. What an absent sensor holds is never read.

mod backbone;
mod context;
mod decoder;
mod esanet;
mod flip;
mod model;
mod sensors;
mod size;
mod unet;
mod upsample;
mod window;

pub use backbone::{BackboneConfig, DenseBlock, DenseEncoder, LEVELS};
pub use context::{ContextConfig, PyramidPooling};
pub use decoder::{Decoder, DecoderConfig, Skips};
pub use esanet::{EsaNet, EsaNetConfig};
pub use flip::{Flipped, mirrored};
pub use model::DenseModel;
pub use sensors::DenseSensor;
pub use size::{crop, pad_to_multiple};
pub use unet::{UNet, UNetConfig, UNetFusion};
pub use upsample::LearnedUpsample;
pub use window::{Window, sliding_window, windows};

use crate::data::Inputs;
use crate::error::Result;
use crate::modality::Presence;
use crate::model::{Encoded, Output};
use crate::nn::Mode;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// Maps of the fused sensors, from which a decoder predicts.
#[derive(Debug, Clone)]
pub struct FusedMaps {
    /// The maps that the decoder adds on its way up, `[batch, channels, ..]`, the finest first.
    pub skips: Vec<Tensor>,
    /// The deepest map, from which the decoder starts.
    pub context: Tensor,
    /// Height and width of the inputs before they were padded.
    pub size: (usize, usize),
}

impl FusedMaps {
    /// What distillation reads: the two deepest skips and the context, the deepest last.
    pub fn distilled(&self) -> Vec<Tensor> {
        let deepest = self.skips.len().saturating_sub(2);
        self.skips[deepest..].iter().chain([&self.context]).cloned().collect()
    }

    /// The same maps without the graph of how they came about.
    pub fn detach(&self) -> Self {
        Self { skips: self.skips.iter().map(Tensor::detach).collect(), context: self.context.detach(), size: self.size }
    }
}

/// From fused maps to class scores of every pixel.
pub trait DenseDecoder: Send + Sync {
    /// `prediction` is `[batch, classes, height, width]` of the size of the inputs. In training `side` holds coarser predictions, the finest
    /// first, each a whole number of times smaller (rounded up); otherwise they are not computed. `features` is [`FusedMaps::distilled`].
    fn decode(&self, maps: &FusedMaps, mode: Mode) -> Result<Output>;
}

/// A network that predicts every pixel.
pub trait DenseNetwork: Send + Sync {
    /// What height and width are padded to a multiple of.
    fn stride(&self) -> usize;

    /// What the sensors of `presence` (within what the inputs have) give before they meet, for [`DenseNetwork::fuse`].
    ///
    /// An encoder runs on the samples that have its sensor, and not at all where none has. `tensors` are, sensor by sensor in the order of the
    /// modalities, its maps from the finest to the deepest, which are zero for samples without the sensor; the last tensor is the height and
    /// width of the inputs.
    fn encode(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Encoded>;

    /// Of each sensor the deepest map that no other sensor has a part in, `[batch, channels, ..]`; `None` where no sample has the sensor.
    fn own_maps(&self, encoded: &Encoded) -> Result<Vec<Option<Tensor>>>;

    /// Fuses the sensors of `presence`, sample by sample. Where a sample lacks one of them, its row has no meaning.
    fn fuse(&self, encoded: &Encoded, presence: &Presence, mode: Mode) -> Result<FusedMaps> {
        self.fuse_weighted(encoded, presence, None, mode)
    }

    /// As [`DenseNetwork::fuse`], with the maps of each sensor times its weight before they meet: `weights` is `[batch, sensors]`.
    fn fuse_weighted(&self, encoded: &Encoded, presence: &Presence, weights: Option<&Tensor>, mode: Mode) -> Result<FusedMaps>;

    /// Its own decoder.
    fn decoder(&self) -> &dyn DenseDecoder;

    /// A further decoder of the same shape with parameters of its own, for the same fused maps: a regularization network.
    fn another_decoder(&self, vb: VarBuilder) -> Result<Box<dyn DenseDecoder>>;

    /// Predicts from fused maps.
    fn decode(&self, maps: &FusedMaps, mode: Mode) -> Result<Output> {
        self.decoder().decode(maps, mode)
    }

    /// All three steps, for one presence.
    fn forward(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Output> {
        self.decode(&self.fuse(&self.encode(inputs, presence, mode)?, presence, mode)?, mode)
    }
}

/// A network as written in a configuration.
///
/// ```
/// use mm_core::dense::DenseConfig;
/// let config: DenseConfig = serde_json::from_str(r#"{"kind": "unet", "widths": [8, 16, 32]}"#)?;
/// config.validate()?;
/// assert!(serde_json::from_str::<DenseConfig>(r#"{"kind": "unet", "width": 8}"#).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DenseConfig {
    /// A small encoder a sensor, fusion at every depth, one decoder: trains on a CPU.
    #[serde(rename = "unet")]
    UNet(UNetConfig),
    /// The published network for colour and depth, for any sensors.
    #[serde(rename = "esanet")]
    EsaNet(EsaNetConfig),
}

impl Default for DenseConfig {
    fn default() -> Self {
        Self::UNet(UNetConfig::default())
    }
}

impl DenseConfig {
    /// Refuses settings that cannot work; the error names the field.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::UNet(config) => config.validate(),
            Self::EsaNet(config) => config.validate(),
        }
    }

    /// Builds the network for these sensors, in the order of the modalities, and so many classes.
    pub fn build(&self, sensors: &[DenseSensor], classes: usize, vb: VarBuilder) -> Result<Box<dyn DenseNetwork>> {
        Ok(match self {
            Self::UNet(config) => Box::new(UNet::new(config, sensors, classes, vb)?),
            Self::EsaNet(config) => Box::new(EsaNet::new(config, sensors, classes, vb)?),
        })
    }
}
