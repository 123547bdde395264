//! A network for every pixel as it is deployed.

use super::{DenseConfig, DenseNetwork, DenseSensor, mirrored};
use crate::data::{Inputs, Schema};
use crate::error::Result;
use crate::modality::Presence;
use crate::model::{Encoded, Model, Output};
use crate::nn::{Mode, Parameters};

/// A [`DenseNetwork`] with its parameters and what it reads.
pub struct DenseModel {
    schema: Schema,
    parameters: Parameters,
    network: Box<dyn DenseNetwork>,
    mode: Mode,
    flips: bool,
}

impl DenseModel {
    /// A network for data of this schema and so many classes a pixel, its variables in `parameters`.
    pub fn new(config: &DenseConfig, schema: &Schema, classes: usize, parameters: Parameters) -> Result<Self> {
        config.validate()?;
        let network = config.build(&DenseSensor::of_schema(schema)?, classes, parameters.builder())?;
        Ok(Self::from_network(network, schema.clone(), parameters))
    }

    /// From a network of the caller's own, whose variables are in `parameters`.
    pub fn from_network(network: Box<dyn DenseNetwork>, schema: Schema, parameters: Parameters) -> Self {
        Self { schema, parameters, network, mode: Mode::Eval, flips: false }
    }

    /// Predicts from the mirrored inputs, too, and takes the mean of both scores: twice the work.
    pub fn with_flips(self, flips: bool) -> Self {
        Self { flips, ..self }
    }

    /// The network, for training.
    pub fn network(&self) -> &dyn DenseNetwork {
        &*self.network
    }

    /// How its layers run in prediction.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    fn predict_maps(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        self.network.decode(&self.network.fuse(encoded, presence, self.mode)?, self.mode)
    }
}

/// The inputs with left and right exchanged.
fn mirrored_inputs(inputs: &Inputs) -> Result<Inputs> {
    let mut result = inputs.clone();
    for (m, reading) in inputs.readings().iter().enumerate() {
        if let Some(reading) = reading {
            result = result.with_values(m, mirrored(&reading.values)?)?;
        }
    }
    Ok(result)
}

impl Model for DenseModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        inputs.check_modalities(&self.schema.modalities)?;
        let mut encoded = self.network.encode(inputs, inputs.presence(), self.mode)?;
        if self.flips {
            let other = self.network.encode(&mirrored_inputs(inputs)?, inputs.presence(), self.mode)?;
            encoded.tensors.extend(other.tensors);
            encoded.encoder_passes += other.encoder_passes;
        }
        Ok(encoded)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        if !self.flips {
            return Ok(self.predict_maps(encoded, presence)?.detach());
        }
        let (straight, other) = encoded.tensors.split_at(encoded.tensors.len() / 2);
        let half = |tensors: &[Option<candle_core::Tensor>]| Encoded { tensors: tensors.to_vec(), ..encoded.clone() };
        let output = self.predict_maps(&half(straight), presence)?;
        let flipped = mirrored(&self.predict_maps(&half(other), presence)?.prediction)?;
        let prediction = ((&output.prediction + flipped)? * 0.5)?;
        Ok(Output { prediction, ..output }.detach())
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}
