//! What is deployed where every pixel has a class: a network whose deepest fused map is a distribution.

use crate::model::clamped;
use crate::{Distribution, DmrnetConfig};
use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_core::data::{Inputs, Schema};
use mm_core::dense::{DenseConfig, DenseDecoder, DenseModel, DenseNetwork, DenseSensor, FusedMaps};
use mm_core::model::{Encoded, Output};
use mm_core::nn::{GaussianHeads, GaussianHeadsConfig, Mode, Parameters};
use mm_core::recipe::Setup;
use mm_core::{Error, Model, Presence, Result};
use std::sync::Arc;

/// A network for every pixel that represents the context of each (sample, combination) by a distribution, and predicts from its mean.
///
/// Parameters: those of the [`DenseNetwork`], `mean.*` and `log_var.*`. All are deployed: prediction needs only the mean, but
/// [`DenseDmrnetModel::distribution`] gives the spread of a shipped model as well.
pub struct DenseDmrnetModel {
    model: DenseModel,
    network: ProbabilisticContext,
}

impl DenseDmrnetModel {
    /// Builds the network.
    pub(crate) fn new(config: &DmrnetConfig, setup: &Setup) -> Result<Self> {
        let (schema, parameters) = (setup.schema(), setup.parameters());
        let dense = config.network.dense.clone().unwrap_or_default();
        dense.validate()?;
        let network = dense.build(&DenseSensor::of_schema(schema)?, schema.target.classes(), parameters.builder())?;
        let heads = GaussianHeadsConfig { bias: true, norm: config.head_norm };
        let heads = GaussianHeads::new(context_channels(&dense)?, heads, parameters.builder())?;
        let network = ProbabilisticContext(Arc::new(Parts { network, heads, clamp_log_var: config.clamp_log_var }));
        Ok(Self { model: DenseModel::from_network(Box::new(network.clone()), schema.clone(), parameters), network })
    }

    /// Encoders, fusion, heads and decoder; what it fuses has the mean for its context.
    pub fn network(&self) -> &dyn DenseNetwork {
        self.model.network()
    }

    /// The predicted distribution of each sample's context `[batch, channels, height, width]`, with the modalities that it has.
    ///
    /// The spread says how much noise the decoder was trained to bear there. It is not a confidence.
    pub fn distribution(&self, inputs: &Inputs) -> Result<Distribution> {
        inputs.check_modalities(&self.schema().modalities)?;
        let mode = self.model.mode();
        let encoded = self.network.encode(inputs, inputs.presence(), mode)?;
        let (_, Distribution { mean, log_var }) = self.represent(&encoded, inputs.presence(), mode)?;
        Ok(Distribution { mean: mean.detach(), log_var: log_var.detach() })
    }

    /// The fused maps of a presence, with the context as the network fuses it, and the distribution that it becomes.
    pub(crate) fn represent(&self, encoded: &Encoded, presence: &Presence, mode: Mode) -> Result<(FusedMaps, Distribution)> {
        let Parts { network, heads, clamp_log_var } = &*self.network.0;
        let maps = network.fuse(encoded, presence, mode)?;
        let distribution = clamped(heads.forward(&maps.context, mode)?, *clamp_log_var)?;
        Ok((maps, distribution))
    }
}

impl Model for DenseDmrnetModel {
    fn schema(&self) -> &Schema {
        self.model.schema()
    }

    fn parameters(&self) -> &Parameters {
        self.model.parameters()
    }

    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        self.model.encode(inputs)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        self.model.fuse(encoded, presence)
    }

    fn freeze(&mut self) {
        self.model.freeze();
    }
}

/// Channels of the context that a network hands to its decoder.
fn context_channels(config: &DenseConfig) -> Result<usize> {
    match config {
        DenseConfig::UNet(config) => {
            config.widths.last().copied().ok_or_else(|| Error::config("widths", "names no depth: there are two at least"))
        }
        DenseConfig::EsaNet(config) => Ok(config.decoder.channels[0]),
    }
}

/// A network with the mean in place of its context. Shared by the deployed model and the training, which asks for the distribution.
#[derive(Clone)]
struct ProbabilisticContext(Arc<Parts>);

struct Parts {
    network: Box<dyn DenseNetwork>,
    heads: GaussianHeads,
    clamp_log_var: Option<f64>,
}

impl DenseNetwork for ProbabilisticContext {
    fn stride(&self) -> usize {
        self.0.network.stride()
    }

    fn encode(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Encoded> {
        self.0.network.encode(inputs, presence, mode)
    }

    fn own_maps(&self, encoded: &Encoded) -> Result<Vec<Option<Tensor>>> {
        self.0.network.own_maps(encoded)
    }

    fn fuse_weighted(&self, encoded: &Encoded, presence: &Presence, weights: Option<&Tensor>, mode: Mode) -> Result<FusedMaps> {
        let maps = self.0.network.fuse_weighted(encoded, presence, weights, mode)?;
        let context = match mode.is_train() {
            true => self.0.heads.forward(&maps.context, mode)?.mean,
            false => self.0.heads.predicted_mean(&maps.context)?,
        };
        Ok(FusedMaps { context, ..maps })
    }

    fn decoder(&self) -> &dyn DenseDecoder {
        self.0.network.decoder()
    }

    fn another_decoder(&self, vb: VarBuilder) -> Result<Box<dyn DenseDecoder>> {
        self.0.network.another_decoder(vb)
    }
}
