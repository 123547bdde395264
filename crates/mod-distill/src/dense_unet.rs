//! Cross translation on the plain network for every pixel: the idea of the published network at the depths of a U-Net.

use crate::dense::MapTranslation;
use crate::{DenseTranslated, TranslatedMaps};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_core::data::Inputs;
use mm_core::dense::{DenseConfig, DenseDecoder, DenseNetwork, DenseSensor, FusedMaps, UNetConfig};
use mm_core::model::Encoded;
use mm_core::nn::Mode;
use mm_core::{Error, Modalities, ModalityError, Presence, Result, Subset};

/// Behind the encoders: cross translation of several maps at each depth, the network's decoder of the fused maps, and in training one of each
/// restored branch's own maps.
///
/// Parameters: `cross_layer<depth>.*`; of training only `restored_decoders.<branch>.*`.
pub(crate) struct TranslatedDecoding {
    /// By depth.
    translations: Vec<MapTranslation>,
    restored: Vec<Box<dyn DenseDecoder>>,
}

impl TranslatedDecoding {
    /// For maps of these channels by depth: the own one, and one of each branch.
    pub fn new(
        network: &dyn DenseNetwork,
        widths: &[usize],
        branches: &[&str],
        vb: VarBuilder,
        training: Option<VarBuilder>,
    ) -> Result<Self> {
        let translation =
            |(depth, &width): (usize, &usize)| MapTranslation::new(width, 1 + branches.len(), vb.pp(format!("cross_layer{depth}")));
        let decoders = training.iter().flat_map(|training| branches.iter().map(|branch| training.pp("restored_decoders").pp(branch)));
        Ok(Self {
            translations: widths.iter().enumerate().map(translation).collect::<Result<_>>()?,
            restored: decoders.map(|vb| network.another_decoder(vb)).collect::<Result<_>>()?,
        })
    }

    /// From the maps of each depth, the own one first. The first depth is not reconstructed, as in the published network.
    pub fn forward(&self, network: &dyn DenseNetwork, depths: &[Vec<Tensor>], size: (usize, usize), mode: Mode) -> Result<DenseTranslated> {
        let (mut fused, mut translated) = (Vec::new(), Vec::new());
        for (depth, (maps, translation)) in depths.iter().zip(&self.translations).enumerate() {
            let (map, joints) = translation.forward(maps, mode)?;
            fused.push(map);
            if depth > 0 && mode.is_train() {
                translated.push(TranslatedMaps { maps: maps.clone(), joints });
            }
        }
        let pyramid = |mut maps: Vec<Tensor>| -> Result<FusedMaps> {
            let context = maps.pop().ok_or(ModalityError::NothingInBatch)?;
            Ok(FusedMaps { skips: maps, context, size })
        };
        let alone = self.restored.iter().enumerate().filter(|_| mode.is_train());
        let alone = alone.map(|(branch, decoder)| {
            let own = depths.iter().filter_map(|maps| maps.get(1 + branch).cloned()).collect();
            decoder.decode(&pyramid(own)?, mode)
        });
        Ok(DenseTranslated { restored: alone.collect::<Result<_>>()?, fused: network.decode(&pyramid(fused)?, mode)?, translated })
    }
}

/// The maps of one sensor by depth.
type SensorMaps<'a> = &'a [Option<Tensor>];

/// What a network's `encode` gives: the maps of each sensor by depth, and height and width of the inputs.
pub(crate) fn maps_by_sensor(tensors: &[Option<Tensor>], depths: usize) -> Result<(Vec<SensorMaps<'_>>, (usize, usize))> {
    let refused = || Error::shape("encoded", format!("{depths} maps of each sensor, and their size"), tensors.len());
    let (size, maps) = tensors.split_last().ok_or_else(refused)?;
    match size.as_ref().map(Tensor::to_vec1::<u32>).transpose()?.as_deref() {
        Some(&[height, width]) if maps.len() % depths == 0 => Ok((maps.chunks(depths).collect(), (height as usize, width as usize))),
        _ => Err(refused()),
    }
}

/// The network that is trained with privileged sensors and deployed without them, on the plain network: an own encoder and one restored encoder
/// a privileged sensor read the available sensors' maps, and at every depth the maps of all are cross-translated. Ours, not in the paper.
///
/// In the published network the own encoder goes on from the fused map; here, as in the plain network, no encoder depends on another.
///
/// Parameters: those of a [`mm_core::dense::UNet`], whose first sensor has the names of the available ones joined by `_`, and
/// `cross_layer<depth>.*`; of training only `restored_decoders.<sensor>.*`.
pub struct UNetTranslation {
    modalities: Modalities,
    network: Box<dyn DenseNetwork>,
    depths: usize,
    decoding: TranslatedDecoding,
}

impl UNetTranslation {
    /// Builds the network for these available sensors and the names of the privileged ones; with `training`, what the restored branches need
    /// for predictions of their own.
    pub fn new(
        config: &UNetConfig,
        available: &[DenseSensor],
        privileged: &[&str],
        classes: usize,
        vb: VarBuilder,
        training: Option<VarBuilder>,
    ) -> Result<Self> {
        if available.is_empty() || privileged.is_empty() {
            let problem =
                format!("{} available and {} privileged sensors: one at least of each is needed", available.len(), privileged.len());
            return Err(Error::config("available", problem));
        }
        let own = available.iter().map(|sensor| sensor.name.as_str()).collect::<Vec<_>>().join("_");
        let channels = available.iter().map(|sensor| sensor.channels).sum();
        let names = [own.as_str()].into_iter().chain(privileged.iter().copied());
        let sensors: Vec<DenseSensor> = names.map(|name| DenseSensor { name: name.into(), channels }).collect();
        let modalities = Modalities::new(sensors.iter().map(|sensor| sensor.name.as_str()))?;
        let network = DenseConfig::UNet(config.clone()).build(&sensors, classes, vb.clone())?;
        let decoding = TranslatedDecoding::new(&*network, &config.widths, privileged, vb, training)?;
        Ok(Self { modalities, network, depths: config.widths.len(), decoding })
    }

    /// How many encoders run in a pass.
    pub fn encoders(&self) -> usize {
        self.modalities.len()
    }

    /// Predicts from the available sensors' maps, `[batch, channels, height, width]`, one behind the other in the channels.
    pub fn forward(&self, available: &Tensor, mode: Mode) -> Result<DenseTranslated> {
        let batch = available.dim(0)?;
        let presence = Presence::uniform(Subset::full(self.encoders()), batch);
        let readings = vec![Some(available.clone()); self.encoders()];
        let inputs = Inputs::new(&self.modalities, readings, presence.clone(), (0..batch as u64).collect())?;
        let Encoded { tensors, .. } = self.network.encode(&inputs, &presence, mode)?;
        let (sensors, size) = maps_by_sensor(&tensors, self.depths)?;
        let depths: Vec<Vec<Tensor>> =
            (0..self.depths).map(|depth| sensors.iter().filter_map(|maps| maps[depth].clone()).collect()).collect();
        self.decoding.forward(&*self.network, &depths, size, mode)
    }
}
