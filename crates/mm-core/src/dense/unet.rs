//! A plain network in the manner of a U-Net (Ronneberger et al. 2015), small enough for a CPU.

use super::sensors::{EncodedMaps, check_weights, encoded, keep, size_of_inputs, sum_of, values_of, weighted};
use super::{DenseDecoder, DenseNetwork, DenseSensor, FusedMaps, crop, pad_to_multiple};
use crate::data::Inputs;
use crate::error::{Error, ModalityError, Result};
use crate::modality::Presence;
use crate::model::{Encoded, Output};
use crate::nn::{
    Conv2d, Conv2dConfig, ConvNorm, Mode, Residual, SqueezeExcite, check_widths, conv_chain, conv_norm, conv2d, max_pool2d, scatter_rows,
    squeeze_excite, upsample_nearest2d,
};
use crate::parallel;
use candle_core::{DType, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

/// Hidden units of the gates: one for so many channels.
const REDUCTION: usize = 8;
/// Depths that a network can have.
const DEEPEST: usize = 8;

/// Settings of a [`UNet`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UNetConfig {
    /// Channels at each depth; the first is the size of the image, every further one half of the one before.
    pub widths: Vec<usize>,
    /// How the sensors meet at each depth.
    pub fusion: UNetFusion,
    /// Whether every depth of the decoder predicts in training, at 1/2, 1/4, ... of the image.
    pub side_outputs: bool,
}

impl Default for UNetConfig {
    fn default() -> Self {
        Self { widths: vec![16, 32, 64, 128], fusion: UNetFusion::Mean, side_outputs: false }
    }
}

/// How the maps of the sensors that a sample has become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UNetFusion {
    /// Their mean.
    Mean,
    /// The sum of what a squeeze-and-excitation gate a sensor lets through.
    SqueezeExcite,
}

impl UNetConfig {
    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<()> {
        check_widths("widths", &self.widths)?;
        match self.widths.len() {
            2..=DEEPEST => Ok(()),
            found => Err(Error::config("widths", format!("2 to {DEEPEST} depths are possible, found {found}"))),
        }
    }
}

/// Two 3x3 convolutions with batch normalisation and ReLU; parameters `conv1`, `bn1`, `conv2`, `bn2`.
struct Double([ConvNorm; 2]);

impl Double {
    fn new(from: usize, to: usize, vb: VarBuilder) -> Result<Self> {
        let unit =
            |i: usize, from| conv_norm((from, to), (3, 3), Conv2dConfig::square(1, 1), vb.pp(format!("conv{i}")), vb.pp(format!("bn{i}")));
        Ok(Self([unit(1, from)?, unit(2, to)?]))
    }

    fn forward(&self, map: &Tensor, mode: Mode) -> Result<Tensor> {
        let [first, second] = &self.0;
        Ok(mode.result(conv_chain(&[(first, true), (second, true)], Residual::Nothing, None, map, mode)?))
    }
}

/// One small encoder a sensor, whose maps are fused at every depth; one decoder of the fused maps.
///
/// No encoder depends on another sensor: each runs once, on the samples that have its sensor, and a combination costs a mean a depth and the
/// decoder. Parameters: `encoders.<sensor>.<depth>.{conv1, bn1, conv2, bn2}.*`, `gates.<depth>.<sensor>.fc.{0, 2}.*` where there are gates,
/// `decoder.*`.
pub struct UNet {
    config: UNetConfig,
    sensors: Vec<DenseSensor>,
    classes: usize,
    /// By sensor, then by depth.
    encoders: Vec<Vec<Double>>,
    /// By depth, then by sensor; none for a mean.
    gates: Vec<Vec<SqueezeExcite>>,
    decoder: UNetDecoder,
    dtype: DType,
}

impl UNet {
    /// Builds the network for these sensors, in the order of the modalities.
    pub fn new(config: &UNetConfig, sensors: &[DenseSensor], classes: usize, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        DenseSensor::check(sensors, classes)?;
        let encoder = |sensor: &DenseSensor| {
            let vb = vb.pp("encoders").pp(&sensor.name);
            let from = [sensor.channels].into_iter().chain(config.widths.iter().copied());
            from.zip(&config.widths).enumerate().map(|(level, (from, &to))| Double::new(from, to, vb.pp(level))).collect::<Result<Vec<_>>>()
        };
        let gates = |(level, &width): (usize, &usize)| {
            let vb = vb.pp("gates").pp(level);
            sensors.iter().map(|sensor| squeeze_excite(width, REDUCTION, vb.pp(&sensor.name))).collect::<candle_core::Result<Vec<_>>>()
        };
        let gates = match config.fusion {
            UNetFusion::Mean => Vec::new(),
            UNetFusion::SqueezeExcite => config.widths.iter().enumerate().map(gates).collect::<candle_core::Result<_>>()?,
        };
        Ok(Self {
            encoders: sensors.iter().map(encoder).collect::<Result<_>>()?,
            gates,
            decoder: UNetDecoder::new(config, classes, vb.pp("decoder"))?,
            config: config.clone(),
            sensors: sensors.to_vec(),
            classes,
            dtype: vb.dtype(),
        })
    }

    fn levels(&self) -> usize {
        self.config.widths.len()
    }
}

impl DenseNetwork for UNet {
    fn stride(&self) -> usize {
        1 << (self.levels() - 1)
    }

    fn encode(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Encoded> {
        let size = size_of_inputs(inputs, &self.sensors)?;
        let (mut tensors, mut passes) = (vec![None; self.sensors.len() * self.levels()], 0);
        for (m, encoder) in self.encoders.iter().enumerate() {
            let rows = presence.rows_with(m);
            // The maps of each depth, of some of the rows.
            let run = |rows: &[u32]| -> Result<Vec<Tensor>> {
                let Some(values) = values_of(inputs, m, rows, self.dtype)? else { return Ok(Vec::new()) };
                let mut map = pad_to_multiple(&values, self.stride())?;
                let mut maps = Vec::with_capacity(self.levels());
                for (level, layers) in encoder.iter().enumerate() {
                    if level > 0 {
                        map = max_pool2d(&map, 2, 2, 0)?;
                    }
                    map = layers.forward(&map, mode)?;
                    maps.push(match self.gates.get(level) {
                        Some(gates) => mode.result(gates[m].forward(&map)?),
                        None => map.clone(),
                    });
                }
                Ok(maps)
            };
            let maps = match parallel::share(rows.len()) {
                Some(share) => share.gather_all(share.run(|| run(&rows[share.own()]))?)?,
                None => run(&rows)?,
            };
            passes += usize::from(!maps.is_empty());
            for (level, map) in maps.iter().enumerate() {
                tensors[m * self.levels() + level] = Some(scatter_rows(map, &rows, inputs.len())?);
            }
        }
        encoded(tensors, size, presence, passes)
    }

    fn own_maps(&self, encoded: &Encoded) -> Result<Vec<Option<Tensor>>> {
        let levels = self.levels();
        let EncodedMaps { maps, .. } = EncodedMaps::of(encoded, self.sensors.len(), levels)?;
        Ok((0..self.sensors.len()).map(|m| maps[m * levels + levels - 1].clone()).collect())
    }

    fn fuse_weighted(&self, encoded: &Encoded, presence: &Presence, weights: Option<&Tensor>, mode: Mode) -> Result<FusedMaps> {
        encoded.check(presence)?;
        check_weights(weights, presence.len(), self.sensors.len())?;
        let EncodedMaps { maps, size, like } = EncodedMaps::of(encoded, self.sensors.len(), self.levels())?;
        let (height, width) = (size.0.next_multiple_of(self.stride()), size.1.next_multiple_of(self.stride()));
        let counts: Vec<usize> = presence.subsets().iter().map(|subset| subset.len()).collect();
        // The share of a sensor in the mean, sample by sample.
        let shares = match self.config.fusion == UNetFusion::Mean && counts.iter().any(|&count| count > 1) {
            true => {
                let shares = counts.iter().map(|&count| 1.0 / count as f64).collect();
                Some(Tensor::from_vec(shares, (counts.len(), 1, 1, 1), like.device())?.to_dtype(like.dtype())?)
            }
            false => None,
        };
        // All samples alike, as in evaluation: one number.
        let same = counts.iter().all(|count| *count == counts[0]);
        let fused = |(level, &channels): (usize, &usize)| -> Result<Tensor> {
            let part = |m: usize| {
                let map = keep(maps[m * self.levels() + level].as_ref(), m, presence, &encoded.presence)?;
                weighted(map, m, weights)
            };
            let parts = (0..self.sensors.len()).map(part).collect::<Result<Vec<_>>>()?;
            let sum = sum_of(parts, [presence.len(), channels, height >> level, width >> level], like, mode)?;
            Ok(match &shares {
                None => sum,
                Some(_) if same => (sum * (1.0 / counts[0] as f64))?,
                Some(shares) => sum.broadcast_mul(shares)?,
            })
        };
        let mut skips = self.config.widths.iter().enumerate().map(fused).collect::<Result<Vec<_>>>()?;
        // There are two depths at least.
        let context = skips.pop().ok_or(ModalityError::NothingInBatch)?;
        Ok(FusedMaps { skips, context, size })
    }

    fn decoder(&self) -> &dyn DenseDecoder {
        &self.decoder
    }

    fn another_decoder(&self, vb: VarBuilder) -> Result<Box<dyn DenseDecoder>> {
        Ok(Box::new(UNetDecoder::new(&self.config, self.classes, vb)?))
    }
}

/// At each depth: the deeper map by nearest neighbour, the skip beside it, two convolutions; parameters `<depth>.*`, `side.<depth>.*` of
/// coarser predictions, and `head.*`.
struct UNetDecoder {
    /// By depth, the finest first.
    layers: Vec<Double>,
    /// By depth from 1 on.
    side: Vec<Conv2d>,
    head: Conv2d,
}

impl UNetDecoder {
    fn new(config: &UNetConfig, classes: usize, vb: VarBuilder) -> Result<Self> {
        let pointwise = |from: usize, vb: VarBuilder| conv2d(from, classes, (1, 1), Conv2dConfig::default(), vb);
        let pairs = config.widths.windows(2).enumerate();
        let layers = pairs.map(|(level, pair)| Double::new(pair[0] + pair[1], pair[0], vb.pp(level))).collect::<Result<_>>()?;
        let deeper = config.widths.iter().enumerate().skip(1).filter(|_| config.side_outputs);
        let side = deeper.map(|(level, &width)| pointwise(width, vb.pp("side").pp(level))).collect::<candle_core::Result<_>>()?;
        Ok(Self { layers, side, head: pointwise(config.widths[0], vb.pp("head"))? })
    }
}

impl DenseDecoder for UNetDecoder {
    /// Coarser predictions, where configured, are at 1/2, 1/4, ... of the image.
    fn decode(&self, maps: &FusedMaps, mode: Mode) -> Result<Output> {
        if maps.skips.len() != self.layers.len() {
            return Err(Error::shape("skips", format!("{} maps", self.layers.len()), maps.skips.len()));
        }
        let (prediction, side) = match parallel::share(maps.context.dim(0)?).filter(|_| mode.is_train()) {
            Some(share) => {
                let skips = maps.skips.iter().map(|skip| share.take(skip)).collect::<Result<_>>()?;
                let own = FusedMaps { skips, context: share.take(&maps.context)?, size: maps.size };
                let (prediction, side) = share.run(|| self.predictions(&own, mode))?;
                (share.gather(&prediction)?, share.gather_all(side)?)
            }
            None => self.predictions(maps, mode)?,
        };
        Ok(Output { prediction, features: maps.distilled(), side })
    }
}

impl UNetDecoder {
    /// The prediction, and coarser ones in training.
    fn predictions(&self, maps: &FusedMaps, mode: Mode) -> Result<(Tensor, Vec<Tensor>)> {
        let (mut x, mut side) = (maps.context.clone(), Vec::new());
        for (level, (layers, skip)) in self.layers.iter().zip(&maps.skips).enumerate().rev() {
            if let Some(head) = self.side.get(level).filter(|_| mode.is_train()) {
                let (factor, (height, width)) = (2 << level, maps.size);
                side.insert(0, crop(&head.forward(&x)?, (height.div_ceil(factor), width.div_ceil(factor)))?);
            }
            let (_, _, height, width) = skip.dims4()?;
            x = layers.forward(&Tensor::cat(&[&upsample_nearest2d(&x, (height, width))?, skip], 1)?, mode)?;
        }
        let prediction = crop(&self.head.forward(&x)?, maps.size)?;
        Ok((mode.result(prediction), side))
    }
}
