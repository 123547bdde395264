//! Deep ensemble: several networks that differ in their first weights and in what their samples lack in training; their predictions are averaged.
//!
//! B. Lakshminarayanan, A. Pritzel, C. Blundell: Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles, NeurIPS 2017.

use crate::dense_ensemble::{DenseDeepEnsemble, DenseDeepEnsembleModel};
use crate::unimodal::{UnimodalHeads, check_weight};
use candle_core::Tensor;
use mm_core::data::{Batch, Inputs, Schema};
use mm_core::fusion::{FusionNetwork, NetworkConfig, keep_present};
use mm_core::missing::MissingPattern;
use mm_core::model::{Encoded, Output};
use mm_core::nn::{Mode, Parameters};
use mm_core::recipe::{Recipe, RecipeCost, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, Modalities, Model, Presence, Result};
use serde::{Deserialize, Serialize};

/// More networks than anyone needs.
const MOST_MEMBERS: usize = 100;

/// Settings of [`DeepEnsemble`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeepEnsembleConfig {
    /// The network of each member.
    pub network: NetworkConfig,
    /// How sensors go missing in training, for each member by draws of its own.
    pub missing: MissingPattern,
    /// How many networks there are.
    pub members: usize,
    /// Weight of the mean of the sensors' own losses in each member, as [`UnimodalConfig::weight`](crate::UnimodalConfig::weight); 0 for none, and only 0
    /// where every pixel has a class.
    #[serde(skip_serializing_if = "is_zero")]
    pub unimodal_weight: f64,
}

/// Plans from before this setting keep their cells.
fn is_zero(weight: &f64) -> bool {
    *weight == 0.0
}

impl Default for DeepEnsembleConfig {
    fn default() -> Self {
        Self { network: NetworkConfig::default(), missing: MissingPattern::Uniform, members: 5, unimodal_weight: 0.0 }
    }
}

impl Recipe for DeepEnsembleConfig {
    const FAMILY: &'static str = "deep-ensemble";
    type Model = DeepEnsembleModel;
    type Method = DeepEnsemble;

    fn model(&self, setup: &Setup) -> Result<DeepEnsembleModel> {
        Recipe::validate(self)?;
        let (schema, parameters) = (setup.schema(), setup.parameters());
        self.missing.check(&schema.modalities)?;
        let member = |k: usize| FusionNetwork::new(&self.network, schema, parameters.builder().pp("members").pp(k));
        let members = (0..self.members).map(member).collect::<Result<_>>()?;
        Ok(DeepEnsembleModel { schema: schema.clone(), parameters, members, mode: Mode::Eval })
    }

    fn method(&self, setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<DeepEnsemble> {
        let (model, training) = (self.model(setup)?, setup.parameters());
        let heads_of = |(k, member): (usize, &FusionNetwork)| {
            UnimodalHeads::new(member, setup.schema(), training.builder().pp("members").pp(k).pp("unimodal"))
        };
        let heads = match self.unimodal_weight > 0.0 {
            true => model.members.iter().enumerate().map(heads_of).collect::<Result<_>>()?,
            false => Vec::new(),
        };
        Ok(DeepEnsemble { model, training, heads, config: self.clone() })
    }

    fn dense_model(&self, setup: &Setup) -> Result<Box<dyn Model>> {
        Recipe::validate(self)?;
        Ok(Box::new(DenseDeepEnsembleModel::new(self, setup)?))
    }

    fn dense_method(&self, setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<Box<dyn Method>> {
        Recipe::validate(self)?;
        Ok(Box::new(DenseDeepEnsemble::new(self, setup)?))
    }

    fn network(&self) -> &NetworkConfig {
        &self.network
    }

    fn network_mut(&mut self) -> &mut NetworkConfig {
        &mut self.network
    }

    fn validate(&self) -> Result<()> {
        self.network.validate()?;
        check_weight("options.unimodal_weight", self.unimodal_weight)?;
        match (1..=MOST_MEMBERS).contains(&self.members) {
            true => Ok(()),
            false => Err(Error::config("options.members", format!("is {}; from 1 to {MOST_MEMBERS} are possible", self.members))),
        }
    }

    fn check_samples(&self, modalities: &Modalities, train: &Presence, _validation: &Presence) -> Result<()> {
        self.missing.check_samples(train, modalities)
    }

    fn cost(&self, modalities: &Modalities) -> Result<RecipeCost> {
        Ok(RecipeCost { networks: vec![modalities.full(); self.members], ..RecipeCost::of_one_network(modalities) })
    }
}

/// Networks whose predictions are averaged: of classes their logits.
pub struct DeepEnsembleModel {
    schema: Schema,
    /// Those of member `k` begin with `members.k.`.
    parameters: Parameters,
    members: Vec<FusionNetwork>,
    mode: Mode,
}

impl Model for DeepEnsembleModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The features of the first member come first.
    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        let mut all = Encoded { tensors: Vec::new(), presence: inputs.presence().clone(), encoder_passes: 0 };
        for member in &self.members {
            let encoded = member.encoders().encode(inputs, &self.schema.modalities, self.mode)?;
            all.encoder_passes += encoded.encoder_passes;
            all.tensors.extend(encoded.tensors);
        }
        Ok(all)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        encoded.check(presence)?;
        let features = encoded.tensors.chunks_exact(self.schema.modalities.len());
        let predict = |(member, features): (&FusionNetwork, &[Option<Tensor>])| -> Result<Tensor> {
            Ok(member.fuse(&keep_present(features, &[presence])?, self.mode)?.prediction)
        };
        let predictions = self.members.iter().zip(features).map(predict).collect::<Result<Vec<_>>>()?;
        Ok(Output::new(Tensor::stack(&predictions, 0)?.mean(0)?.detach()))
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}

/// Trains the members side by side, each on losses of its own.
pub struct DeepEnsemble {
    config: DeepEnsembleConfig,
    model: DeepEnsembleModel,
    /// The heads' variables: `members.<k>.unimodal.<modality>.{weight, bias}`.
    training: Parameters,
    /// Of each member, where the sensors have losses of their own.
    heads: Vec<UnimodalHeads>,
}

impl Method for DeepEnsemble {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    fn training_parameters(&self) -> Option<&Parameters> {
        (!self.heads.is_empty()).then_some(&self.training)
    }

    /// The sum of the members' losses, so that each has the gradient that it has alone.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let (schema, targets) = (&self.model.schema, batch.targets());
        let (mut own, mut unimodal) = (Vec::new(), Vec::new());
        for (k, member) in self.model.members.iter().enumerate() {
            let drawn = self.config.missing.draw_batch(batch.presence(), batch, schema, &step.draws(&format!("missing-{k}")))?;
            let features = member.encode(batch.inputs(), &drawn, Mode::Train)?;
            if let Some(heads) = self.heads.get(k) {
                unimodal.extend(heads.loss(&features, &drawn, schema, targets)?);
            }
            own.push(schema.target.task().loss(&member.fuse(&features, Mode::Train)?.prediction, targets)?);
        }
        let losses = Losses::new("task", Tensor::stack(&own, 0)?.sum_all()?);
        match unimodal.is_empty() {
            true => Ok(losses),
            false => Ok(losses.with("unimodal", self.config.unimodal_weight, Tensor::stack(&unimodal, 0)?.sum_all()?)),
        }
    }

    fn check_samples(&self, train: &Presence, _validation: &Presence) -> Result<()> {
        self.config.missing.check_samples(train, &self.model.schema.modalities)
    }
}
