//! The network of cross translation for every pixel as it is deployed.

use crate::dense_unet::UNetTranslation;
use crate::{DenseTranslated, DenseTranslation};
use candle_core::Tensor;
use mm_core::data::{Inputs, Schema};
use mm_core::dense::{DenseConfig, DenseSensor};
use mm_core::model::{Encoded, Output};
use mm_core::nn::{Mode, Parameters, gather_rows, scatter_rows};
use mm_core::{Error, Modalities, ModalityError, Model, Presence, Result, Subset};

/// Either network of cross translation.
pub enum TranslationNetwork {
    /// The published one.
    EsaNet(Box<DenseTranslation>),
    /// The same idea on the plain network.
    UNet(Box<UNetTranslation>),
}

impl TranslationNetwork {
    /// How many encoders run in a pass.
    pub fn encoders(&self) -> usize {
        match self {
            Self::EsaNet(network) => network.encoders(),
            Self::UNet(network) => network.encoders(),
        }
    }

    /// Predicts from the available sensors' maps, `[batch, channels, height, width]`, one behind the other in the channels.
    pub fn forward(&self, available: &Tensor, mode: Mode) -> Result<DenseTranslated> {
        match self {
            Self::EsaNet(network) => network.forward(available, mode),
            Self::UNet(network) => network.forward(available, mode),
        }
    }
}

/// A [`TranslationNetwork`] with its parameters and what it reads.
///
/// Predicts from combinations that hold all available sensors, and ignores the others: every combination has the same prediction.
pub struct DenseTranslationModel {
    schema: Schema,
    available: Subset,
    parameters: Parameters,
    network: TranslationNetwork,
    mode: Mode,
}

impl DenseTranslationModel {
    /// A network for data of this schema, of which the sensors outside `available` are privileged, and so many classes a pixel; what only
    /// training needs is made in `training`, or not at all.
    pub fn new(
        config: &DenseConfig,
        schema: &Schema,
        available: Subset,
        classes: usize,
        parameters: Parameters,
        training: Option<&Parameters>,
    ) -> Result<Self> {
        let sensors = DenseSensor::of_schema(schema)?;
        if !available.is_subset_of(schema.modalities.full()) {
            let position = available.indices().last().unwrap_or_default();
            return Err(ModalityError::Position { position, modalities: sensors.len() }.into());
        }
        let (read, privileged): (Vec<_>, Vec<_>) = sensors.into_iter().enumerate().partition(|(m, _)| available.contains(*m));
        let read: Vec<DenseSensor> = read.into_iter().map(|(_, sensor)| sensor).collect();
        let privileged: Vec<&str> = privileged.iter().map(|(_, sensor)| sensor.name.as_str()).collect();
        let (vb, training) = (parameters.builder(), training.map(Parameters::builder));
        let network = match config {
            DenseConfig::EsaNet(config) => {
                let network = DenseTranslation::new(&config.into(), &read, &privileged, classes, vb, training)?;
                TranslationNetwork::EsaNet(Box::new(network))
            }
            DenseConfig::UNet(config) => {
                let network = UNetTranslation::new(config, &read, &privileged, classes, vb, training)?;
                TranslationNetwork::UNet(Box::new(network))
            }
        };
        Ok(Self { schema: schema.clone(), available, parameters, network, mode: Mode::Eval })
    }

    /// The network, for training.
    pub fn network(&self) -> &TranslationNetwork {
        &self.network
    }

    /// The maps of the available sensors of the samples in `rows`, one behind the other in the channels; `None` where there are no rows.
    pub fn available_maps(&self, inputs: &Inputs, rows: &[u32]) -> Result<Option<Tensor>> {
        if rows.is_empty() {
            return Ok(None);
        }
        let maps = |m: usize| -> Result<Tensor> {
            let reading = inputs.at(m).ok_or(ModalityError::AbsentInBatch { position: m })?;
            Ok(gather_rows(&reading.values, rows)?)
        };
        let maps = self.available.indices().map(maps).collect::<Result<Vec<_>>>()?;
        if let Some(other) = maps.iter().find(|map| map.dims().get(2..) != maps[0].dims().get(2..)) {
            return Err(Error::shape("available", format!("{:?}: all sensors of a batch have one size", maps[0].dims()), other.dims()));
        }
        Ok(Some(Tensor::cat(&maps, 1)?))
    }

    /// Rows of the samples that have all available sensors.
    pub fn usable_rows(&self, presence: &Presence) -> Vec<u32> {
        (0u32..).zip(presence.subsets()).filter(|(_, has)| self.available.is_subset_of(**has)).map(|(row, _)| row).collect()
    }

    fn not_read(&self, has: Subset, sample: usize, modalities: &Modalities) -> Error {
        let [has, reads] = [has, self.available].map(|subset| modalities.format(subset));
        ModalityError::NotRead { sample: Some(sample), has, reads, all: true }.into()
    }
}

impl Model for DenseTranslationModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The whole prediction: it depends on no combination.
    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        inputs.check_modalities(&self.schema.modalities)?;
        let rows = self.usable_rows(inputs.presence());
        let Some(available) = self.available_maps(inputs, &rows)? else {
            let has = *inputs.presence().subsets().first().ok_or(ModalityError::NothingInBatch)?;
            return Err(self.not_read(has, 0, &self.schema.modalities));
        };
        let Output { prediction, features, .. } = self.network.forward(&available, self.mode)?.fused;
        let placed = |tensor: &Tensor| Ok(Some(scatter_rows(&tensor.detach(), &rows, inputs.len())?));
        let tensors = [&prediction].into_iter().chain(&features).map(placed).collect::<Result<_>>()?;
        Ok(Encoded { tensors, presence: inputs.presence().clone(), encoder_passes: self.network.encoders() })
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        encoded.check(presence)?;
        let lacks = |(_, has): &(usize, &Subset)| !self.available.is_subset_of(**has);
        if let Some((sample, &has)) = presence.subsets().iter().enumerate().find(lacks) {
            return Err(self.not_read(has, sample, &self.schema.modalities));
        }
        let tensors: Vec<Tensor> = encoded.tensors.iter().flatten().cloned().collect();
        match tensors.split_first() {
            Some((prediction, features)) => Ok(Output { features: features.to_vec(), ..Output::new(prediction.clone()) }),
            None => Err(Error::shape("encoded", "a prediction and its features", encoded.tensors.len())),
        }
    }

    fn reads(&self) -> Subset {
        self.available
    }

    fn supports(&self, subset: Subset) -> bool {
        self.available.is_subset_of(subset)
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}
