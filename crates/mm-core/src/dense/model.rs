//! A network for every pixel as it is deployed.

use super::{DenseConfig, DenseNetwork, DenseSensor};
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
        Self { schema, parameters, network, mode: Mode::Eval }
    }

    /// The network, for training.
    pub fn network(&self) -> &dyn DenseNetwork {
        &*self.network
    }

    /// How its layers run in prediction.
    pub fn mode(&self) -> Mode {
        self.mode
    }
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
        self.network.encode(inputs, inputs.presence(), self.mode)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        Ok(self.network.decode(&self.network.fuse(encoded, presence, self.mode)?, self.mode)?.detach())
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}
