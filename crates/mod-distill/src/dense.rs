//! The published network for segmentation: cross translation at five depths, and a decoder each for the fused and the restored maps.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_core::dense::{
    BackboneConfig, ContextConfig, Decoder, DecoderConfig, DenseDecoder, DenseEncoder, DenseSensor, EsaNetConfig, FusedMaps, LEVELS,
    PyramidPooling, Skips, pad_to_multiple,
};
use mm_core::model::Output;
use mm_core::nn::{Conv2d, Conv2dConfig, Mode, conv2d};
use mm_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Settings of a [`DenseTranslation`]; the defaults are the published network.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DenseTranslationConfig {
    /// Every encoder.
    pub encoder: BackboneConfig,
    /// Pyramid pooling of the deepest maps.
    pub context: ContextConfig,
    /// Every decoder.
    pub decoder: DecoderConfig,
}

impl DenseTranslationConfig {
    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.context.validate()?;
        self.decoder.validate()
    }
}

impl From<&EsaNetConfig> for DenseTranslationConfig {
    /// The same parts; the available stream is the one that carries on, whatever the network's carrier.
    fn from(config: &EsaNetConfig) -> Self {
        Self { encoder: config.encoder, context: config.context.clone(), decoder: config.decoder }
    }
}

/// What a pass in training gives.
#[derive(Debug, Clone)]
pub struct DenseTranslated {
    /// The prediction from the fused maps, which is what is deployed.
    pub fused: Output,
    /// By privileged sensor, the prediction of its restored branch alone; none in prediction, and where the network has no decoders for it. Its features are those of a teacher's output:
    /// two skips and the context, the deepest last.
    pub restored: Vec<Output>,
    /// What each depth behind the stem translated, for [`reconstruction_of_maps`]; none in prediction.
    pub translated: Vec<TranslatedMaps>,
}

/// The maps of one depth, the available one first, and each in the space of all: its joint.
#[derive(Debug, Clone)]
pub struct TranslatedMaps {
    /// `[batch, C, height, width]` each.
    pub maps: Vec<Tensor>,
    /// `[batch, M ⌈C/M⌉, height, width]` each.
    pub joints: Vec<Tensor>,
}

/// `Σ_depths Σ_m mean((joint_m - map_m)²)`, a scalar; the maps have no gradient. Channels of a joint beyond those of its map are left out.
pub fn reconstruction_of_maps(depths: &[TranslatedMaps]) -> Result<Tensor> {
    let term =
        |(joint, map): (&Tensor, &Tensor)| -> Result<Tensor> { Ok((joint.narrow(1, 0, map.dim(1)?)? - map.detach())?.sqr()?.mean_all()?) };
    let pairs = depths.iter().flat_map(|depth| depth.joints.iter().zip(&depth.maps));
    let sum = pairs.map(term).reduce(|sum, term| Ok((sum? + term?)?));
    sum.unwrap_or_else(|| Err(Error::config("lambda_rec", "nothing was translated: maps are reconstructed in training only")))
}

/// `M` translators `T_k: ReLU(Conv 1x1, C → ⌈C/M⌉)`, each applied to all `M` maps, and `ReLU(Conv 1x1 → C)` of the mean of the joints.
pub(crate) struct MapTranslation {
    translators: Vec<Conv2d>,
    fuse: Conv2d,
}

impl MapTranslation {
    /// Parameters as published for two maps: `transfer_m1.0.*`, `transfer_m2.0.*`, ... and `transfer_m1_m2.0.*` of all.
    pub fn new(channels: usize, maps: usize, vb: VarBuilder) -> Result<Self> {
        let (width, config) = (channels.div_ceil(maps), Conv2dConfig::default());
        let names: Vec<String> = (1..=maps).map(|k| format!("m{k}")).collect();
        let translator = |name: &String| conv2d(channels, width, (1, 1), config, vb.pp(format!("transfer_{name}")).pp(0));
        let translators = names.iter().map(translator).collect::<candle_core::Result<_>>()?;
        let fuse = conv2d(width * maps, channels, (1, 1), config, vb.pp(format!("transfer_{}", names.join("_"))).pp(0))?;
        Ok(Self { translators, fuse })
    }

    /// The fused map, and the joint of each.
    pub fn forward(&self, maps: &[Tensor], mode: Mode) -> Result<(Tensor, Vec<Tensor>)> {
        let batch = maps[0].dim(0)?;
        // All maps go through a translator in one convolution.
        let together = Tensor::cat(maps, 0)?;
        let spaces = self.translators.iter().map(|t| t.forward_relu(&together)).collect::<candle_core::Result<Vec<_>>>()?;
        let joint = Tensor::cat(&spaces, 1)?;
        let joints = (0..maps.len()).map(|m| joint.narrow(0, m * batch, batch)).collect::<candle_core::Result<Vec<_>>>()?;
        let mut sum = joints[0].clone();
        for joint in &joints[1..] {
            sum = (sum + joint)?;
        }
        let fused = self.fuse.forward_relu(&(sum * (1.0 / maps.len() as f64))?)?;
        Ok((mode.result(fused), joints))
    }
}

/// From the maps of stages 1 to 4 to what a decoder reads.
struct Bridge {
    skips: Skips,
    context: PyramidPooling,
}

impl Bridge {
    fn new(config: &DenseTranslationConfig, suffix: &str, vb: &VarBuilder) -> Result<Self> {
        let [_, first, second, third, deepest] = config.encoder.channels();
        Ok(Self {
            skips: Skips::new([first, second, third], &config.decoder, suffix, vb.clone())?,
            context: PyramidPooling::new(&config.context, deepest, config.decoder.channels[0], vb.pp(format!("context_module{suffix}")))?,
        })
    }

    fn forward(&self, stages: &[Tensor; 4], size: (usize, usize), mode: Mode) -> Result<FusedMaps> {
        let [skips @ .., deepest] = stages;
        let skips = skips.iter().enumerate().map(|(i, map)| self.skips.forward(i, map, mode)).collect::<Result<_>>()?;
        Ok(FusedMaps { skips, context: self.context.forward(deepest, mode)?, size })
    }
}

/// The restored branch of one privileged sensor.
struct Restored {
    encoder: DenseEncoder,
    /// For its own prediction, in training only.
    alone: Option<(Bridge, Decoder)>,
}

/// The network that is trained with privileged sensors and deployed without them.
///
/// The available sensors' maps, one behind the other in the channels, go into an encoder of their own and into one restored encoder a
/// privileged sensor, which learns to give what an encoder of that sensor would. At five depths the maps of all are cross-translated; the
/// available stream goes on from the fused map, the restored ones from their own. A decoder predicts from the fused maps, and in training one a
/// privileged sensor from the restored maps alone; prediction leaves out skips, context and decoder of the latter.
///
/// Parameters as published, where `rgb` is available and `depth` privileged: `encoder_rgb.*`, `encoder_depth.*`, `cross_layer<depth>.*`, of the
/// fused maps `skip_layer<stage>_rgb_hall.*`, `context_module_rgb_hall.*`, `decoder_rgb_hall.*`, of the restored ones the same without
/// `_rgb_hall`. Otherwise the sensors' names stand there: several available ones are joined by `_`, and of the second and further privileged ones
/// `_<sensor>` stands where the first has nothing.
pub struct DenseTranslation {
    channels: usize,
    encoder: DenseEncoder,
    restored: Vec<Restored>,
    translations: Vec<MapTranslation>,
    bridge: Bridge,
    decoder: Decoder,
}

impl DenseTranslation {
    /// Builds the network for these available sensors and the names of the privileged ones; with `training`, which may be the same as `vb`,
    /// what the restored branches need for predictions of their own.
    pub fn new(
        config: &DenseTranslationConfig,
        available: &[DenseSensor],
        privileged: &[&str],
        classes: usize,
        vb: VarBuilder,
        training: Option<VarBuilder>,
    ) -> Result<Self> {
        config.validate()?;
        if available.is_empty() || privileged.is_empty() {
            let problem =
                format!("{} available and {} privileged sensors: one at least of each is needed", available.len(), privileged.len());
            return Err(Error::config("available", problem));
        }
        if let Some(both) = available.iter().find(|sensor| privileged.contains(&sensor.name.as_str())) {
            return Err(Error::config("available", format!("`{}` is available and privileged: it can be one of them", both.name)));
        }
        let name = available.iter().map(|sensor| sensor.name.as_str()).collect::<Vec<_>>().join("_");
        let channels = available.iter().map(|sensor| sensor.channels).sum();
        let decoder = |suffix: &str, vb: &VarBuilder| Decoder::new(&config.decoder, classes, vb.pp(format!("decoder{suffix}")));
        let restored = |(i, sensor): (usize, &&str)| -> Result<Restored> {
            let suffix = if i == 0 { String::new() } else { format!("_{sensor}") };
            Ok(Restored {
                encoder: DenseEncoder::new(&config.encoder, channels, vb.pp(format!("encoder_{sensor}")))?,
                alone: match &training {
                    Some(training) => Some((Bridge::new(config, &suffix, training)?, decoder(&suffix, training)?)),
                    None => None,
                },
            })
        };
        let hall = format!("_{name}_hall");
        let levels = config.encoder.channels().into_iter().enumerate();
        Ok(Self {
            channels,
            encoder: DenseEncoder::new(&config.encoder, channels, vb.pp(format!("encoder_{name}")))?,
            restored: privileged.iter().enumerate().map(restored).collect::<Result<_>>()?,
            translations: levels
                .map(|(level, channels)| MapTranslation::new(channels, 1 + privileged.len(), vb.pp(format!("cross_layer{level}"))))
                .collect::<Result<_>>()?,
            bridge: Bridge::new(config, &hall, &vb)?,
            decoder: decoder(&hall, &vb)?,
        })
    }

    /// How many encoders run in a pass.
    pub fn encoders(&self) -> usize {
        1 + self.restored.len()
    }

    /// Predicts from the available sensors' maps, `[batch, channels, height, width]`, one behind the other in the channels.
    pub fn forward(&self, available: &Tensor, mode: Mode) -> Result<DenseTranslated> {
        let (_, channels, height, width) = available.dims4()?;
        if channels != self.channels {
            let expected = format!("[batch, {}, height, width], all available sensors", self.channels);
            return Err(Error::shape("available", expected, available.dims()));
        }
        let (padded, size) = (pad_to_multiple(available, 1 << LEVELS)?, (height, width));
        // The available stream first, which goes on from the fused map.
        let mut maps: Vec<Tensor> = vec![padded; 1 + self.restored.len()];
        let encoders: Vec<&DenseEncoder> = [&self.encoder].into_iter().chain(self.restored.iter().map(|branch| &branch.encoder)).collect();
        let (mut fused_maps, mut own_maps, mut translated) = (Vec::new(), vec![Vec::new(); self.restored.len()], Vec::new());
        for (level, translation) in self.translations.iter().enumerate() {
            let step = |(encoder, map): (&&DenseEncoder, &Tensor)| encoder.level(level, map, mode);
            maps = encoders.iter().zip(&maps).map(step).collect::<Result<_>>()?;
            let (fused, joints) = translation.forward(&maps, mode)?;
            if level > 0 {
                fused_maps.push(fused.clone());
                if mode.is_train() {
                    own_maps.iter_mut().zip(&maps[1..]).for_each(|(own, map)| own.push(map.clone()));
                    translated.push(TranslatedMaps { maps: maps.clone(), joints });
                }
            }
            maps[0] = fused;
        }
        let predict = |maps: Vec<Tensor>, bridge: &Bridge, decoder: &Decoder| {
            let stages = <[Tensor; 4]>::try_from(maps).map_err(|maps| Error::shape("maps", "of four stages", maps.len()))?;
            decoder.decode(&bridge.forward(&stages, size, mode)?, mode)
        };
        let alone = self.restored.iter().zip(own_maps).filter(|_| mode.is_train());
        let alone = alone.filter_map(|(branch, own)| branch.alone.as_ref().map(|(bridge, decoder)| predict(own, bridge, decoder)));
        let restored = alone.collect::<Result<_>>()?;
        Ok(DenseTranslated { fused: predict(fused_maps, &self.bridge, &self.decoder)?, restored, translated })
    }
}
