//! What is deployed: the network with its distribution heads.

use crate::{Distribution, DmrnetConfig};
use candle_core::Tensor;
use mm_core::data::{Inputs, Schema};
use mm_core::fusion::{FusionNetwork, keep_encoded, pool};
use mm_core::model::{Encoded, Output, Visit};
use mm_core::nn::{GaussianHeads, GaussianHeadsConfig, Mode, Parameters};
use mm_core::recipe::Setup;
use mm_core::{Model, Presence, Result, Subset};

/// A network that represents each (sample, combination) by a distribution, and predicts from its mean.
///
/// Parameters: `encoders.<modality>.*`, `trunk.*`, `mean.*`, `log_var.*`, `head.{weight, bias}`. All are deployed: prediction
/// needs only the mean, but [`DmrnetModel::distribution`] gives the spread of a shipped model as well.
pub struct DmrnetModel {
    schema: Schema,
    parameters: Parameters,
    network: FusionNetwork,
    heads: GaussianHeads,
    clamp_log_var: Option<f64>,
    mode: Mode,
}

impl DmrnetModel {
    /// Builds the network.
    pub(crate) fn new(config: &DmrnetConfig, setup: &Setup) -> Result<Self> {
        let (schema, parameters) = (setup.schema().clone(), setup.parameters());
        let network = FusionNetwork::new(&config.network, &schema, parameters.builder())?;
        let heads = GaussianHeadsConfig { bias: true, norm: config.head_norm };
        let heads = GaussianHeads::new(network.trunk().feature_shape()[0], heads, parameters.builder())?;
        Ok(Self { schema, parameters, network, heads, clamp_log_var: config.clamp_log_var, mode: Mode::Eval })
    }

    /// Encoders, trunk and head; the distribution heads lie between trunk and head.
    pub fn network(&self) -> &FusionNetwork {
        &self.network
    }

    /// The predicted distribution of each sample's representation, with the modalities that it has.
    ///
    /// The spread says how much noise the classifier was trained to bear there. It is not a confidence: where the evidence is
    /// strong, the KL term is free to let it grow.
    pub fn distribution(&self, inputs: &Inputs) -> Result<Distribution> {
        let Distribution { mean, log_var } = self.represent(inputs, inputs.presence(), self.mode)?;
        Ok(Distribution { mean: mean.detach(), log_var: log_var.detach() })
    }

    pub(crate) fn represent(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Distribution> {
        let features = self.network.encode(inputs, presence, mode)?;
        clamped(self.heads.forward(&self.network.trunk().forward(&features, mode)?, mode)?, self.clamp_log_var)
    }

    /// The prediction from a representation; pooling comes after sampling.
    pub(crate) fn classify(&self, representation: &Tensor) -> Result<Tensor> {
        Ok(self.network.head().forward(&pool(representation)?)?)
    }

    /// From the mean of the representation; nothing is sampled.
    fn output(&self, fused: &Tensor) -> Result<Output> {
        let mean = self.heads.predicted_mean(fused)?;
        Ok(Output::with_feature(self.classify(&mean)?, mean).detach())
    }
}

impl Model for DmrnetModel {
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
        self.output(&self.network.trunk().forward(&keep_encoded(encoded, presence)?, self.mode)?)
    }

    fn visit_encoded(&self, encoded: &Encoded, subsets: &[Subset], visit: Visit) -> Result<()> {
        self.network.visit_combinations(&encoded.tensors, subsets, self.mode, |fused| self.output(&fused), visit)
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}

/// The distribution with its log-variance within ± the limit.
pub(crate) fn clamped(Distribution { mean, log_var }: Distribution, limit: Option<f64>) -> Result<Distribution> {
    let log_var = match limit {
        Some(limit) => log_var.clamp(-limit as f32, limit as f32)?,
        None => log_var,
    };
    Ok(Distribution { mean, log_var })
}
