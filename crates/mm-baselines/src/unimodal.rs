//! Unimodal losses: besides the loss of the fused answer, each sensor's feature is to tell the target alone, by a head of its own that is
//! not deployed.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_core::data::{Batch, Schema, Targets};
use mm_core::fusion::{FusionModel, FusionNetwork, NetworkConfig, pool};
use mm_core::missing::MissingPattern;
use mm_core::nn::{Linear, Mode, Parameters, gather_rows, linear};
use mm_core::recipe::{Recipe, RecipeCost, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, Modalities, Model, Presence, Result};
use serde::{Deserialize, Serialize};

/// Settings of [`UnimodalLosses`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnimodalConfig {
    /// The network.
    pub network: NetworkConfig,
    /// How sensors go missing in training.
    pub missing: MissingPattern,
    /// Weight of the mean of the sensors' own losses.
    pub weight: f64,
}

impl Default for UnimodalConfig {
    fn default() -> Self {
        Self { network: NetworkConfig::default(), missing: MissingPattern::Natural, weight: 1.0 }
    }
}

impl Recipe for UnimodalConfig {
    const FAMILY: &'static str = "unimodal-losses";
    type Model = FusionModel;
    type Method = UnimodalLosses;

    fn model(&self, setup: &Setup) -> Result<FusionModel> {
        self.missing.check(&setup.schema().modalities)?;
        FusionModel::new(&self.network, setup.schema(), setup.parameters())
    }

    fn method(&self, setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<UnimodalLosses> {
        Recipe::validate(self)?;
        let (model, training) = (self.model(setup)?, setup.parameters());
        let heads = UnimodalHeads::new(model.network(), setup.schema(), training.builder().pp("unimodal"))?;
        Ok(UnimodalLosses { model, training, heads, config: self.clone() })
    }

    fn network(&self) -> &NetworkConfig {
        &self.network
    }

    fn network_mut(&mut self) -> &mut NetworkConfig {
        &mut self.network
    }

    fn validate(&self) -> Result<()> {
        self.network.validate()?;
        check_weight("options.weight", self.weight)
    }

    fn check_samples(&self, modalities: &Modalities, train: &Presence, _validation: &Presence) -> Result<()> {
        self.missing.check_samples(train, modalities)
    }

    fn cost(&self, modalities: &Modalities) -> Result<RecipeCost> {
        Ok(RecipeCost { step: 1.2, ..RecipeCost::of_one_network(modalities) })
    }
}

/// A weight of losses is a number from 0 on.
pub(crate) fn check_weight(place: &str, weight: f64) -> Result<()> {
    match weight >= 0.0 && weight.is_finite() {
        true => Ok(()),
        false => Err(Error::config(place, format!("is {weight}; it is a number from 0 on"))),
    }
}

/// A head for each sensor of a network, in the order of the modalities: `<modality>.{weight, bias}`.
pub(crate) struct UnimodalHeads(Vec<Linear>);

impl UnimodalHeads {
    pub(crate) fn new(network: &FusionNetwork, schema: &Schema, builder: VarBuilder) -> Result<Self> {
        let outputs = schema.target.task().outputs();
        let sensors = schema.modalities.names().iter().zip(network.encoders().feature_shapes());
        // Of maps, the mean over positions: one number a channel.
        let heads = sensors.map(|(name, shape)| linear(shape[0], outputs, builder.pp(name)));
        Ok(Self(heads.collect::<candle_core::Result<_>>()?))
    }

    /// The mean over the sensors of their own losses, each over the samples that have the sensor; none where no sample has one.
    pub(crate) fn loss(
        &self,
        features: &[Option<Tensor>],
        present: &Presence,
        schema: &Schema,
        targets: &Targets,
    ) -> Result<Option<Tensor>> {
        let task = schema.target.task();
        let mut own: Vec<Tensor> = Vec::with_capacity(features.len());
        for (m, feature) in features.iter().enumerate() {
            let (Some(feature), rows) = (feature, present.rows_with(m)) else { continue };
            let prediction = self.0[m].forward(&pool(feature)?)?;
            let losses = targets.weighted(&task.loss_per_sample(&prediction, targets)?)?;
            own.push(gather_rows(&losses, &rows)?.mean_all()?);
        }
        match own.is_empty() {
            true => Ok(None),
            false => Ok(Some(Tensor::stack(&own, 0)?.mean_all()?)),
        }
    }
}

/// A fusion network, and a head for each sensor while it is trained.
pub struct UnimodalLosses {
    config: UnimodalConfig,
    model: FusionModel,
    /// The heads' variables: `unimodal.<modality>.{weight, bias}`.
    training: Parameters,
    heads: UnimodalHeads,
}

impl Method for UnimodalLosses {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    fn training_parameters(&self) -> Option<&Parameters> {
        Some(&self.training)
    }

    /// The loss of the fused answer, and `weight` times the mean over the sensors of theirs, each over the samples that have the sensor.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let (schema, network) = (self.model.schema(), self.model.network());
        let (task, targets) = (schema.target.task(), batch.targets());
        let drawn = self.config.missing.draw_batch(batch.presence(), batch, schema, &step.draws("missing"))?;
        let features = network.encode(batch.inputs(), &drawn, Mode::Train)?;
        let unimodal = self.heads.loss(&features, &drawn, schema, targets)?;
        let prediction = network.fuse(&features, Mode::Train)?.prediction;
        let losses = Losses::new("task", task.loss(&prediction, targets)?);
        match unimodal {
            None => Ok(losses),
            Some(unimodal) => Ok(losses.with("unimodal", self.config.weight, unimodal)),
        }
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.config.check_samples(&self.model.schema().modalities, train, validation)
    }
}
