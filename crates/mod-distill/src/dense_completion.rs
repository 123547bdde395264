//! The robust mode where every pixel has a class: what is missing is restored at every depth from the mean of what is there.

use crate::dense_unet::{TranslatedDecoding, maps_by_sensor};
use crate::{DenseTranslated, ModDistillConfig};
use candle_core::Tensor;
use mm_core::data::{Inputs, Schema};
use mm_core::dense::{DenseConfig, DenseNetwork, DenseSensor};
use mm_core::fusion::keep_present;
use mm_core::model::{Encoded, Output};
use mm_core::nn::{Conv2dConfig, ConvNorm, Mode, Parameters, conv_norm, gather_rows, scatter_rows};
use mm_core::{Error, Modalities, ModalityError, Model, Presence, Result, Subset};

/// A plain network for every pixel that predicts from every combination of its sensors. Ours, not in the paper.
///
/// At every depth the own map is the mean of the maps of the sensors that a sample has; the restored map is the mean over all sensors, where
/// `ReLU(BatchNorm(Conv 1x1(own map)))` stands for each that is missing. Both are cross-translated, and the network's decoder predicts from the
/// fused maps.
///
/// Parameters: those of a [`mm_core::dense::UNet`] of the available sensors, `restorers.<depth>.<sensor>.*`, `cross_layer<depth>.*`; of
/// training only `restored_decoders.restored.*`.
pub struct DenseCompletionModel {
    schema: Schema,
    available: Subset,
    /// The available sensors alone, as the network knows them.
    read: Modalities,
    parameters: Parameters,
    network: Box<dyn DenseNetwork>,
    /// By depth, then by sensor of the schema.
    restorers: Vec<Vec<ConvNorm>>,
    decoding: TranslatedDecoding,
    mode: Mode,
}

impl DenseCompletionModel {
    pub(crate) fn new(
        config: &ModDistillConfig,
        dense: &DenseConfig,
        schema: &Schema,
        parameters: Parameters,
        training: Option<&Parameters>,
    ) -> Result<Self> {
        let DenseConfig::UNet(unet) = dense else {
            let problem = "needs encoders of which none depends on another sensor: use the dense network `unet`, or name what is there at \
                           prediction (`available`) and leave `robust` out";
            return Err(Error::config("robust", problem));
        };
        let available = config.available_subset(&schema.modalities)?;
        let sensors: Vec<DenseSensor> =
            DenseSensor::of_schema(schema)?.into_iter().enumerate().filter(|(m, _)| available.contains(*m)).map(|(_, s)| s).collect();
        let (vb, training) = (parameters.builder(), training.map(Parameters::builder));
        let network = dense.build(&sensors, schema.target.classes(), vb.clone())?;
        let restorers = unet.widths.iter().enumerate().map(|(depth, &width)| {
            let vb = vb.pp("restorers").pp(depth);
            let names = schema.modalities.names().iter();
            let restorer = |name: &String| {
                let vb = vb.pp(name);
                conv_norm((width, width), (1, 1), Conv2dConfig::default(), vb.pp("conv"), vb.pp("bn"))
            };
            names.map(restorer).collect::<candle_core::Result<Vec<_>>>()
        });
        Ok(Self {
            read: Modalities::new(sensors.iter().map(|sensor| sensor.name.as_str()))?,
            restorers: restorers.collect::<candle_core::Result<_>>()?,
            decoding: TranslatedDecoding::new(&*network, &unet.widths, &["restored"], vb.clone(), training)?,
            schema: schema.clone(),
            available,
            parameters,
            network,
            mode: Mode::Eval,
        })
    }

    /// What each sample has of the available sensors.
    pub(crate) fn usable(&self, presence: &Presence) -> Result<Presence> {
        let usable = |(sample, &has): (usize, &Subset)| {
            has.intersection(self.available).ok_or_else(|| {
                let [has, reads] = [has, self.available].map(|subset| self.schema.modalities.format(subset));
                ModalityError::NotRead { sample: Some(sample), has, reads, all: false }.into()
            })
        };
        Ok(Presence::new(presence.subsets().iter().enumerate().map(usable).collect::<Result<_>>()?))
    }

    /// A pass of the whole network for one presence, within the available sensors.
    pub(crate) fn forward(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<DenseTranslated> {
        self.translate(&self.encode_usable(inputs, presence, mode)?, presence, mode)
    }

    /// The maps of the available sensors of `presence`.
    fn encode_usable(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Encoded> {
        let own = |subset: &Subset| {
            Subset::from_indices(self.available.indices().enumerate().filter(|(_, m)| subset.contains(*m)).map(|(own, _)| own))
        };
        let own = Presence::new(presence.subsets().iter().map(own).collect::<Result<_>>()?);
        let readings = self.available.indices().map(|m| inputs.at(m).cloned()).collect::<Vec<_>>();
        let read = Inputs::new(&self.read, readings, own.clone(), inputs.ids().to_vec())?;
        let encoded = self.network.encode(&read, &own, mode)?;
        Ok(Encoded { presence: presence.clone(), ..encoded })
    }

    fn translate(&self, encoded: &Encoded, presence: &Presence, mode: Mode) -> Result<DenseTranslated> {
        let batch = presence.len();
        let (sensors, size) = maps_by_sensor(&encoded.tensors, self.restorers.len())?;
        let missing: Vec<Vec<u32>> = (0..self.schema.modalities.len())
            .map(|m| (0u32..).zip(presence.subsets()).filter(|(_, has)| !has.contains(m)).map(|(row, _)| row).collect())
            .collect();
        let mut depths = Vec::new();
        for (depth, restorers) in self.restorers.iter().enumerate() {
            let mut maps = vec![None; self.schema.modalities.len()];
            self.available.indices().zip(&sensors).for_each(|(m, sensor)| maps[m] = sensor[depth].clone());
            let kept = keep_present(&maps, &[presence])?;
            let sum = kept.into_iter().flatten().map(Ok).reduce(|sum, map| sum? + map?);
            let sum = sum.ok_or(ModalityError::NothingInBatch)??;
            let shares: Vec<f32> = presence.subsets().iter().map(|has| 1.0 / has.len() as f32).collect();
            let own = sum.broadcast_mul(&Tensor::from_vec(shares, (batch, 1, 1, 1), sum.device())?)?;
            let mut completed = sum;
            for (restorer, rows) in restorers.iter().zip(&missing).filter(|(_, rows)| !rows.is_empty()) {
                let restored = restorer.forward_relu(&gather_rows(&own, rows)?, mode)?;
                completed = (completed + scatter_rows(&restored, rows, batch)?)?;
            }
            depths.push(vec![own, (completed * (1.0 / missing.len() as f64))?]);
        }
        self.decoding.forward(&*self.network, &depths, size, mode)
    }
}

impl Model for DenseCompletionModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        inputs.check_modalities(&self.schema.modalities)?;
        self.encode_usable(inputs, &self.usable(inputs.presence())?, self.mode)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        encoded.check(presence)?;
        Ok(self.translate(encoded, &self.usable(presence)?, self.mode)?.fused.detach())
    }

    fn reads(&self) -> Subset {
        self.available
    }

    fn supports(&self, subset: Subset) -> bool {
        subset.intersection(self.available).is_some()
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}
