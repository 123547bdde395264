//! The network for colour and depth (Seichter et al. 2021, ESANet) with masks for absent sensors (MMANet, DMRNet), for any sensors.

use super::sensors::{EncodedMaps, check_weights, encoded, keep, size_of_inputs, sum_of, values_of, weighted};
use super::{
    BackboneConfig, ContextConfig, Decoder, DecoderConfig, DenseDecoder, DenseEncoder, DenseNetwork, DenseSensor, FusedMaps, LEVELS,
    PyramidPooling, Skips, pad_to_multiple,
};
use crate::data::Inputs;
use crate::error::{Error, Result};
use crate::modality::Presence;
use crate::model::Encoded;
use crate::nn::{Mode, SqueezeExcite, gather_rows, scatter_rows, squeeze_excite};
use candle_core::{DType, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// Hidden units of the gates: one for so many channels.
const REDUCTION: usize = 16;
/// Height and width of the deepest map are the input's over this.
const STRIDE: usize = 1 << LEVELS;

/// Settings of an [`EsaNet`]; the defaults are the published network with ResNet-34 encoders.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EsaNetConfig {
    /// The encoder of every sensor.
    pub encoder: BackboneConfig,
    /// The sensor whose encoder carries the fused maps on; by default the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// Pyramid pooling of the deepest fused map.
    pub context: ContextConfig,
    /// The decoder.
    pub decoder: DecoderConfig,
}

impl EsaNetConfig {
    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.context.validate()?;
        self.decoder.validate()
    }
}

/// An encoder a sensor whose maps are fused at five depths by squeeze-and-excitation gates, pyramid pooling, and a decoder with skips.
///
/// At depth k the fused map is `Σ_m gate_km(map_km)` over the sensors that a sample has. One sensor, the carrier, goes on from the fused
/// map; every other one goes on from its own map, so what it gives depends on no combination and is computed once. Which layers run:
///
/// | layers | run for | run when |
/// |---|---|---|
/// | encoders of the other sensors, all five depths, and their gates | samples that have the sensor | once, in `encode` |
/// | stem of the carrier and its gate | samples that have the carrier | once, in `encode` |
/// | stages 1 to 4 of the carrier and their gates | samples that have the carrier | for each combination with the carrier |
/// | skips, context, decoder | all samples | for each combination |
///
/// For samples without the carrier its stages would only compute what the mask takes away at the next fusion: they do not run.
///
/// Parameters are named as published for the sensors `rgb` and `depth`: `encoder_<sensor>.*` ([`DenseEncoder`]),
/// `se_layer<depth>.se_<sensor>.fc.{0, 2}.*`, `skip_layer<1..3>.*` ([`Skips`]), `context_module.*` ([`PyramidPooling`]), `decoder.*`
/// ([`Decoder`]). The regularization network is published as a decoder called `auxi_decoder`.
pub struct EsaNet {
    config: EsaNetConfig,
    sensors: Vec<DenseSensor>,
    classes: usize,
    carrier: usize,
    encoders: Vec<DenseEncoder>,
    /// By depth, then by sensor.
    gates: Vec<Vec<SqueezeExcite>>,
    skips: Skips,
    context: PyramidPooling,
    decoder: Decoder,
    dtype: DType,
}

impl EsaNet {
    /// Builds the network for these sensors, in the order of the modalities.
    pub fn new(config: &EsaNetConfig, sensors: &[DenseSensor], classes: usize, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        DenseSensor::check(sensors, classes)?;
        let carrier = match &config.carrier {
            None => 0,
            Some(name) => sensors.iter().position(|sensor| sensor.name == *name).ok_or_else(|| {
                let names: Vec<&str> = sensors.iter().map(|sensor| sensor.name.as_str()).collect();
                Error::config("carrier", format!("no sensor is called `{name}`; there are: {}", names.join(", ")))
            })?,
        };
        let channels = config.encoder.channels();
        let encoder = |sensor: &DenseSensor| DenseEncoder::new(&config.encoder, sensor.channels, vb.pp(format!("encoder_{}", sensor.name)));
        let gates = |(level, &channels): (usize, &usize)| {
            let vb = vb.pp(format!("se_layer{level}"));
            let gate = |sensor: &DenseSensor| squeeze_excite(channels, REDUCTION, vb.pp(format!("se_{}", sensor.name)));
            sensors.iter().map(gate).collect::<candle_core::Result<Vec<_>>>()
        };
        let [_, first, second, third, deepest] = channels;
        Ok(Self {
            encoders: sensors.iter().map(encoder).collect::<Result<_>>()?,
            gates: channels.iter().enumerate().map(gates).collect::<candle_core::Result<_>>()?,
            skips: Skips::new([first, second, third], &config.decoder, "", vb.clone())?,
            context: PyramidPooling::new(&config.context, deepest, config.decoder.channels[0], vb.pp("context_module"))?,
            decoder: Decoder::new(&config.decoder, classes, vb.pp("decoder"))?,
            config: config.clone(),
            sensors: sensors.to_vec(),
            classes,
            carrier,
            dtype: vb.dtype(),
        })
    }

    fn gated(&self, level: usize, sensor: usize, map: &Tensor, rows: &[u32], batch: usize, mode: Mode) -> Result<Tensor> {
        let gated = mode.result(self.gates[level][sensor].forward(map)?);
        Ok(scatter_rows(&gated, rows, batch)?)
    }
}

impl DenseNetwork for EsaNet {
    fn stride(&self) -> usize {
        STRIDE
    }

    fn encode(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Encoded> {
        let size = size_of_inputs(inputs, &self.sensors)?;
        let (mut tensors, mut passes) = (vec![None; self.sensors.len() * LEVELS], 0);
        for (m, encoder) in self.encoders.iter().enumerate() {
            let rows = presence.rows_with(m);
            let Some(values) = values_of(inputs, m, &rows, self.dtype)? else { continue };
            passes += 1;
            let mut map = pad_to_multiple(&values, STRIDE)?;
            // What the carrier does behind its stem depends on the combination.
            for level in 0..if m == self.carrier { 1 } else { LEVELS } {
                map = encoder.level(level, &map, mode)?;
                tensors[m * LEVELS + level] = Some(self.gated(level, m, &map, &rows, inputs.len(), mode)?);
            }
        }
        encoded(tensors, size, presence, passes)
    }

    /// Of the carrier that of its stem.
    fn own_maps(&self, encoded: &Encoded) -> Result<Vec<Option<Tensor>>> {
        let EncodedMaps { maps, .. } = EncodedMaps::of(encoded, self.sensors.len(), LEVELS)?;
        Ok((0..self.sensors.len()).map(|m| maps[m * LEVELS + if m == self.carrier { 0 } else { LEVELS - 1 }].clone()).collect())
    }

    fn fuse_weighted(&self, encoded: &Encoded, presence: &Presence, weights: Option<&Tensor>, mode: Mode) -> Result<FusedMaps> {
        encoded.check(presence)?;
        check_weights(weights, presence.len(), self.sensors.len())?;
        let EncodedMaps { maps, size, like } = EncodedMaps::of(encoded, self.sensors.len(), LEVELS)?;
        let both = presence.subsets().iter().zip(encoded.presence.subsets());
        let carried: Vec<u32> =
            (0u32..).zip(both).filter(|(_, (a, b))| a.contains(self.carrier) && b.contains(self.carrier)).map(|(i, _)| i).collect();
        let (height, width) = (size.0.next_multiple_of(STRIDE), size.1.next_multiple_of(STRIDE));
        let mut fused: Option<Tensor> = None;
        let mut skips = Vec::new();
        for (level, channels) in self.config.encoder.channels().into_iter().enumerate() {
            let part = |m: usize| {
                let map = match &fused {
                    Some(_) if m == self.carrier && carried.is_empty() => None,
                    Some(before) if m == self.carrier => {
                        let map = self.encoders[m].level(level, &gather_rows(before, &carried)?, mode)?;
                        Some(self.gated(level, m, &map, &carried, presence.len(), mode)?)
                    }
                    _ => keep(maps[m * LEVELS + level].as_ref(), m, presence, &encoded.presence)?,
                };
                weighted(map, m, weights)
            };
            let parts = (0..self.sensors.len()).map(part).collect::<Result<Vec<_>>>()?;
            let shape = [presence.len(), channels, height >> (level + 1), width >> (level + 1)];
            let sum = sum_of(parts, shape, like, mode)?;
            if (1..=3).contains(&level) {
                skips.push(self.skips.forward(level - 1, &sum, mode)?);
            }
            fused = Some(sum);
        }
        // There are five levels.
        let deepest = fused.ok_or(crate::error::ModalityError::NothingInBatch)?;
        Ok(FusedMaps { skips, context: self.context.forward(&deepest, mode)?, size })
    }

    fn decoder(&self) -> &dyn DenseDecoder {
        &self.decoder
    }

    fn another_decoder(&self, vb: VarBuilder) -> Result<Box<dyn DenseDecoder>> {
        Ok(Box::new(Decoder::new(&self.config.decoder, self.classes, vb)?))
    }
}
