//! The encoders of the modalities that are available at inference.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_core::data::{Inputs, Schema};
use mm_core::encoder::Encoder;
use mm_core::fusion::{NetworkConfig, encode_present};
use mm_core::nn::Mode;
use mm_core::{Presence, Result, Subset};

/// One encoder for each available modality, by name: `<modality>.*`. Inputs of other modalities are never read.
pub(crate) struct AvailableEncoders {
    /// With the position of the modality in the schema.
    encoders: Vec<(usize, Box<dyn Encoder>)>,
    modalities: usize,
}

impl AvailableEncoders {
    /// Builds the configured encoders of `available`.
    pub fn new(config: &NetworkConfig, schema: &Schema, available: Subset, vb: VarBuilder) -> Result<Self> {
        let names = schema.modalities.names();
        let build = |m: usize| Ok((m, config.build_encoder(schema, m, vb.pp(&names[m]))?));
        Ok(Self { encoders: available.indices().map(build).collect::<Result<_>>()?, modalities: names.len() })
    }

    /// How many modalities the schema has.
    pub fn modalities(&self) -> usize {
        self.modalities
    }

    /// Shape of one sample's feature, by available modality.
    pub fn feature_shapes(&self) -> Vec<&[usize]> {
        self.encoders.iter().map(|(_, e)| e.feature_shape()).collect()
    }

    /// One feature `[batch, ..]` for each available modality, `None` where no sample has it; rows of samples that lack it are 0.
    pub fn forward(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Vec<Option<Tensor>>> {
        self.encoders.iter().map(|(m, encoder)| encode_present(&**encoder, *m, inputs, presence, mode)).collect()
    }

    /// The features of the available modalities among those of all.
    pub fn of_available(&self, features: &[Option<Tensor>]) -> Vec<Option<Tensor>> {
        self.encoders.iter().map(|(m, _)| features.get(*m).cloned().flatten()).collect()
    }

    /// One tensor an available modality in the order of the schema, `None` elsewhere.
    pub fn by_modality(&self, tensors: Vec<Option<Tensor>>) -> Vec<Option<Tensor>> {
        let mut all = vec![None; self.modalities];
        for ((m, _), tensor) in self.encoders.iter().zip(tensors) {
            all[*m] = tensor;
        }
        all
    }
}
