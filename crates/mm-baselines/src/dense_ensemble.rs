//! A deep ensemble that predicts every pixel.

use crate::DeepEnsembleConfig;
use candle_core::Tensor;
use mm_core::data::{Batch, Inputs, Schema};
use mm_core::dense::{DenseNetwork, DenseSensor};
use mm_core::model::{Encoded, Output};
use mm_core::nn::{Mode, Parameters};
use mm_core::recipe::Setup;
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, Model, Presence, Result};

/// Networks for every pixel whose logits are averaged.
pub struct DenseDeepEnsembleModel {
    schema: Schema,
    /// Those of member `k` begin with `members.k.`.
    parameters: Parameters,
    members: Vec<Box<dyn DenseNetwork>>,
    mode: Mode,
}

impl DenseDeepEnsembleModel {
    pub(crate) fn new(config: &DeepEnsembleConfig, setup: &Setup) -> Result<Self> {
        let (schema, parameters) = (setup.schema(), setup.parameters());
        config.missing.check(&schema.modalities)?;
        let dense = config.network.dense.clone().unwrap_or_default();
        dense.validate()?;
        let sensors = DenseSensor::of_schema(schema)?;
        let member = |k: usize| dense.build(&sensors, schema.target.classes(), parameters.builder().pp("members").pp(k));
        let members = (0..config.members).map(member).collect::<Result<_>>()?;
        Ok(Self { schema: schema.clone(), parameters, members, mode: Mode::Eval })
    }
}

impl Model for DenseDeepEnsembleModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What the first member encodes comes first.
    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        inputs.check_modalities(&self.schema.modalities)?;
        let mut all = Encoded { tensors: Vec::new(), presence: inputs.presence().clone(), encoder_passes: 0 };
        for member in &self.members {
            let encoded = member.encode(inputs, inputs.presence(), self.mode)?;
            all.encoder_passes += encoded.encoder_passes;
            all.tensors.extend(encoded.tensors);
        }
        Ok(all)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        encoded.check(presence)?;
        let each = encoded.tensors.len() / self.members.len().max(1);
        let mut sum: Option<Tensor> = None;
        for (member, tensors) in self.members.iter().zip(encoded.tensors.chunks_exact(each.max(1))) {
            let of_member = Encoded { tensors: tensors.to_vec(), ..encoded.clone() };
            let maps = member.fuse(&of_member, presence, self.mode)?;
            let prediction = member.decode(&maps, self.mode)?.prediction.detach();
            sum = Some(match sum {
                Some(sum) => (sum + prediction)?,
                None => prediction,
            });
        }
        let sum = sum.ok_or_else(|| Error::config("options.members", "is 0: there is no network"))?;
        Ok(Output::new((sum / self.members.len() as f64)?))
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}

/// Trains the members side by side, each on losses of its own at all its scales.
pub struct DenseDeepEnsemble {
    config: DeepEnsembleConfig,
    model: DenseDeepEnsembleModel,
}

impl DenseDeepEnsemble {
    pub(crate) fn new(config: &DeepEnsembleConfig, setup: &Setup) -> Result<Self> {
        if config.unimodal_weight > 0.0 {
            return Err(Error::config(
                "options.unimodal_weight",
                "is about a target of a sample, and here every pixel has a class: leave it out",
            ));
        }
        Ok(Self { config: config.clone(), model: DenseDeepEnsembleModel::new(config, setup)? })
    }
}

impl Method for DenseDeepEnsemble {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    /// The sum of the members' losses, so that each has the gradient that it has alone.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let (schema, targets) = (&self.model.schema, batch.targets());
        let task = schema.target.task();
        let own = self.model.members.iter().enumerate().map(|(k, member)| {
            let drawn = self.config.missing.draw_batch(batch.presence(), batch, schema, &step.draws(&format!("missing-{k}")))?;
            let output = member.forward(batch.inputs(), &drawn, Mode::Train)?;
            task.loss_of_scales(&output.prediction, &output.side, targets)
        });
        Ok(Losses::new("task", Tensor::stack(&own.collect::<Result<Vec<_>>>()?, 0)?.sum_all()?))
    }

    fn check_samples(&self, train: &Presence, _validation: &Presence) -> Result<()> {
        self.config.missing.check_samples(train, &self.model.schema.modalities)
    }
}
