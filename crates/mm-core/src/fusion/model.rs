//! A fusion network as it is deployed.

use super::{FusionNetwork, NetworkConfig, keep_encoded};
use crate::data::{Inputs, Schema};
use crate::error::Result;
use crate::modality::{Presence, Subset};
use crate::model::{Encoded, Model, Output, Visit};
use crate::nn::{Mode, Parameters};

/// A [`FusionNetwork`] with its parameters and what it reads: the deployed model of MMANet and of most baselines.
pub struct FusionModel {
    schema: Schema,
    parameters: Parameters,
    network: FusionNetwork,
    mode: Mode,
}

impl FusionModel {
    /// A network for data of this schema, its variables in `parameters`.
    pub fn new(config: &NetworkConfig, schema: &Schema, parameters: Parameters) -> Result<Self> {
        config.validate()?;
        let network = FusionNetwork::new(config, schema, parameters.builder())?;
        Ok(Self { schema: schema.clone(), parameters, network, mode: Mode::Eval })
    }

    /// From a network of the caller's own, whose variables are in `parameters`.
    pub fn from_network(network: FusionNetwork, schema: Schema, parameters: Parameters) -> Self {
        Self { schema, parameters, network, mode: Mode::Eval }
    }

    /// The network, for training.
    pub fn network(&self) -> &FusionNetwork {
        &self.network
    }

    /// How its layers run in prediction.
    pub fn mode(&self) -> Mode {
        self.mode
    }
}

impl Model for FusionModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        self.network.encoders().encode(inputs, &self.schema.modalities, self.mode)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        self.network.fuse(&keep_encoded(encoded, presence)?, self.mode)
    }

    /// Parts of the trunk's first layer are computed once, and a combination costs an addition and the rest of the trunk.
    fn visit_encoded(&self, encoded: &Encoded, subsets: &[Subset], visit: Visit) -> Result<()> {
        let head = |feature| {
            let prediction = self.network.head().forward(&super::pool(&feature)?)?;
            Ok(Output::with_feature(prediction, feature))
        };
        self.network.visit_combinations(&encoded.tensors, subsets, self.mode, head, visit)
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}
