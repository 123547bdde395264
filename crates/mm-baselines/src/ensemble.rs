//! Several networks, each for a fixed combination: late fusion, and one model per combination.

use candle_core::{Tensor, Var};
use candle_nn::{Init, VarBuilder};
use mm_core::data::{Batch, Inputs, Schema};
use mm_core::dense::{DenseNetwork, DenseSensor};
use mm_core::fusion::{FusionNetwork, NetworkConfig};
use mm_core::model::{Encoded, Output};
use mm_core::nn::{Mode, Parameters};
use mm_core::recipe::{Recipe, RecipeCost, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, Modalities, ModalityError, Model, Presence, Result, Subset};
use serde::{Deserialize, Serialize};

/// More networks than memory holds: ten sensors have 1023 combinations.
const MOST_NETWORKS: usize = 1024;

/// How the members of an [`Ensemble`] predict together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Mean of the probabilities of the members whose modalities are present.
    Average,
    /// Only the member of exactly the present combination.
    Exact,
}

/// Settings of an [`Ensemble`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleConfig {
    /// The network of each member.
    #[serde(default)]
    pub network: NetworkConfig,
    /// How the members predict together.
    pub combine: Combine,
    /// The combination of each member, such as `["rgb", "rgb+depth"]`. By default, those that are averaged have one modality each, and
    /// those that are not are one for each combination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combinations: Option<Vec<String>>,
}

impl EnsembleConfig {
    /// One network for each single modality, averaged.
    pub fn late_fusion() -> Self {
        Self { network: NetworkConfig::default(), combine: Combine::Average, combinations: None }
    }

    /// One network for each combination, used for exactly that.
    pub fn per_combination() -> Self {
        Self { combine: Combine::Exact, ..Self::late_fusion() }
    }

    /// The combination of each member.
    pub fn members(&self, modalities: &Modalities) -> Result<Vec<Subset>> {
        let count = modalities.len();
        let wanted = match (&self.combinations, self.combine) {
            (Some(names), _) => names.len(),
            (None, Combine::Average) => count,
            (None, Combine::Exact) => (1 << count) - 1,
        };
        if wanted > MOST_NETWORKS {
            return Err(Error::config(
                "options.combinations",
                format!(
                    "this trains a network for each of {wanted} combinations of {count} sensors, at most {MOST_NETWORKS} are possible; \
                     name those it is to train: options = {{ combinations = [\"{}\", \"full\"] }}",
                    modalities.names().join("\", \"")
                ),
            ));
        }
        match (&self.combinations, self.combine) {
            (Some(names), _) => modalities.parse_distinct(names).map_err(|error| match error {
                Error::Modality(problem) => Error::config("options.combinations", problem.to_string()),
                other => other,
            }),
            (None, Combine::Average) => Ok((0..count).map(Subset::single).collect()),
            (None, Combine::Exact) => Ok(Subset::all_non_empty(count).collect()),
        }
    }
}

impl Recipe for EnsembleConfig {
    const FAMILY: &'static str = "ensemble";
    type Model = EnsembleModel;
    type Method = Ensemble;

    fn model(&self, setup: &Setup) -> Result<EnsembleModel> {
        EnsembleModel::new(self, setup)
    }

    fn method(&self, setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<Ensemble> {
        Ensemble::new(self, setup)
    }

    fn dense_model(&self, setup: &Setup) -> Result<Box<dyn Model>> {
        Ok(Box::new(EnsembleModel::new(self, setup)?))
    }

    fn dense_method(&self, setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<Box<dyn Method>> {
        Ok(Box::new(Ensemble::new(self, setup)?))
    }

    fn network(&self) -> &NetworkConfig {
        &self.network
    }

    fn network_mut(&mut self) -> &mut NetworkConfig {
        &mut self.network
    }

    fn check_samples(&self, modalities: &Modalities, train: &Presence, _validation: &Presence) -> Result<()> {
        check_training(modalities, &self.members(modalities)?, train)
    }

    fn cost(&self, modalities: &Modalities) -> Result<RecipeCost> {
        Ok(RecipeCost { networks: self.members(modalities)?, ..RecipeCost::of_one_network(modalities) })
    }
}

/// Refuses training samples of which no two have all modalities of any one of `subsets`.
fn check_training(modalities: &Modalities, subsets: &[Subset], train: &Presence) -> Result<()> {
    let samples = |subset: &Subset| train.subsets().iter().filter(|has| subset.is_subset_of(**has)).count();
    match subsets.iter().any(|subset| samples(subset) >= 2) {
        true => Ok(()),
        false => {
            let names: Vec<String> = subsets.iter().take(8).map(|&subset| modalities.format(subset)).collect();
            let (count, names) = (train.len(), names.join(", "));
            let problem = format!("no two of {count} training samples have all of one of {names}: there is nothing to train on");
            Err(Error::config("combinations", problem))
        }
    }
}

/// The network of a member.
enum Network {
    /// One class a sample.
    Fusion(FusionNetwork),
    /// A class for every pixel.
    Dense(Box<dyn DenseNetwork>),
}

impl Network {
    fn new(config: &NetworkConfig, schema: &Schema, vb: VarBuilder) -> Result<Self> {
        if !schema.target.is_dense() {
            return Ok(Self::Fusion(FusionNetwork::new(config, schema, vb)?));
        }
        let dense = config.dense.clone().unwrap_or_default();
        Ok(Self::Dense(dense.build(&DenseSensor::of_schema(schema)?, schema.target.classes(), vb)?))
    }

    fn forward(&self, inputs: &Inputs, mode: Mode) -> Result<Output> {
        match self {
            Self::Fusion(network) => network.forward(inputs, inputs.presence(), mode),
            Self::Dense(network) => network.forward(inputs, inputs.presence(), mode),
        }
    }
}

struct Member {
    subset: Subset,
    schema: Schema,
    network: Network,
    /// How many batches it was trained on, a number. Stored with the weights: a member that never met two samples of a batch with all its
    /// modalities must not predict.
    batches: Var,
}

impl Member {
    fn batches(&self) -> Result<f32> {
        Ok(self.batches.to_scalar()?)
    }

    /// The samples that have every modality of the member, reduced to those modalities; `None` if they are fewer than two.
    fn complete_samples(&self, batch: &Batch) -> Result<Option<Batch>> {
        let has = batch.presence().subsets();
        let complete: Vec<usize> = (0..batch.len()).filter(|&i| self.subset.is_subset_of(has[i])).collect();
        let selected = match complete.len() {
            // Batch statistics need two samples.
            0 | 1 => return Ok(None),
            n if n == batch.len() => batch.clone(),
            _ => batch.select(&complete)?,
        };
        Ok(Some(selected.with_inputs(self.restricted(selected.inputs())?)?))
    }

    /// Only its modalities; the caller makes sure that every row has them or does not use the others.
    fn restricted(&self, inputs: &Inputs) -> Result<Inputs> {
        let modalities = &self.schema.modalities;
        inputs.restricted(modalities, Presence::uniform(modalities.full(), inputs.len()))
    }

    /// What is averaged ([`Task::expectation`](mm_core::task::Task::expectation)), `[batch, outputs, ..]`; rows of samples that lack one of its modalities have no meaning. `None` if that is all.
    fn expectation(&self, inputs: &Inputs, mode: Mode) -> Result<Option<Tensor>> {
        if self.subset.indices().any(|m| inputs.at(m).is_none()) {
            return Ok(None);
        }
        let restricted = self.restricted(inputs)?;
        let output = self.network.forward(&restricted, mode)?;
        self.schema.target.task().expectation(&output.prediction.detach()).map(Some)
    }
}

/// Networks for fixed combinations that predict together.
///
/// Parameters of the member for `rgb+depth` live under `rgb+depth.`. One that never met two samples in a batch supports nothing.
pub struct EnsembleModel {
    schema: Schema,
    parameters: Parameters,
    members: Vec<Member>,
    combine: Combine,
    mode: Mode,
}

impl EnsembleModel {
    fn new(config: &EnsembleConfig, setup: &Setup) -> Result<Self> {
        let (schema, parameters) = (setup.schema(), setup.parameters());
        let subsets = config.members(&schema.modalities)?;
        let member = |&subset: &Subset| {
            let schema_of = restrict_schema(schema, subset)?;
            let mut network = config.network.clone();
            network.encoders.retain(|name, _| schema_of.modalities.names().contains(name));
            let vb = parameters.builder().pp(schema.modalities.format(subset));
            // Named as such counts are in PyTorch: nothing that is learnt. A tensor of the store is its variable.
            vb.get_with_hints((), BATCHES, Init::Const(0.0))?;
            let path = format!("{}.{BATCHES}", schema.modalities.format(subset));
            let batches = parameters.variable(&path).ok_or(candle_core::Error::CannotFindTensor { path })?;
            let network = Network::new(&network, &schema_of, vb)?;
            Ok(Member { subset, schema: schema_of, network, batches })
        };
        let members = subsets.iter().map(member).collect::<Result<_>>()?;
        Ok(Self { schema: schema.clone(), parameters, members, combine: config.combine, mode: Mode::Eval })
    }

    fn untrained(&self, subset: Subset) -> Error {
        ModalityError::NoMember { combination: self.schema.modalities.format(subset) }.into()
    }

    /// For each combination, the trained members that speak for it.
    fn speakers(&self, subset: Subset) -> Vec<usize> {
        let fits = |member: &Member| match self.combine {
            Combine::Average => member.subset.is_subset_of(subset),
            Combine::Exact => member.subset == subset,
        };
        let speaks = |member: &Member| fits(member) && member.batches().is_ok_and(|batches| batches > 0.0);
        (0..self.members.len()).filter(|&i| speaks(&self.members[i])).collect()
    }

    /// The averaged prediction of a combination: `[batch, outputs, ..]`.
    fn averaged(&self, encoded: &Encoded, subset: Subset) -> Result<Tensor> {
        let speakers = self.speakers(subset);
        if speakers.is_empty() {
            return Err(self.untrained(subset));
        }
        let mut sum: Option<Tensor> = None;
        for expectation in speakers.iter().filter_map(|&i| encoded.tensors.get(i).and_then(Option::as_ref)) {
            sum = Some(match sum {
                Some(sum) => (sum + expectation)?,
                None => expectation.clone(),
            });
        }
        match sum {
            Some(sum) => self.schema.target.task().of_expectation(&(sum / speakers.len() as f64)?),
            // No sample has all that the members read: no row of the result has a meaning.
            None => {
                let shape = (encoded.presence.len(), self.schema.target.task().outputs());
                Ok(Tensor::zeros(shape, candle_core::DType::F32, self.parameters.device())?)
            }
        }
    }
}

/// Name of the count of batches of a member.
const BATCHES: &str = "num_batches_tracked";

impl Model for EnsembleModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What each member predicts that is trained and whose modalities some sample has.
    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        inputs.check_modalities(&self.schema.modalities)?;
        let mut encoder_passes = 0;
        let predicted = self.members.iter().map(|member| {
            // What no sample has completely is asked by nobody.
            let wanted = inputs.presence().subsets().iter().any(|has| member.subset.is_subset_of(*has));
            if !wanted || member.batches()? == 0.0 {
                return Ok(None);
            }
            let expectation = member.expectation(inputs, self.mode)?;
            encoder_passes += expectation.as_ref().map_or(0, |_| member.subset.len());
            Ok(expectation)
        });
        let tensors = predicted.collect::<Result<_>>()?;
        Ok(Encoded { tensors, presence: inputs.presence().clone(), encoder_passes })
    }

    /// Each sample by its own combination, whose members must exist.
    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        encoded.check(presence)?;
        let mut distinct: Vec<Subset> = presence.subsets().to_vec();
        distinct.sort();
        distinct.dedup();
        let predictions = distinct.iter().map(|&subset| self.averaged(encoded, subset)).collect::<Result<Vec<_>>>()?;
        if let [only] = predictions.as_slice() {
            return Ok(Output::new(only.clone()));
        }
        let rows = presence.subsets().iter().enumerate().map(|(i, subset)| {
            let position = distinct.iter().position(|s| s == subset).unwrap_or_default();
            predictions[position].narrow(0, i, 1)
        });
        Ok(Output::new(Tensor::cat(&rows.collect::<candle_core::Result<Vec<_>>>()?, 0)?))
    }

    fn supports(&self, subset: Subset) -> bool {
        !self.speakers(subset).is_empty()
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}

fn restrict_schema(schema: &Schema, subset: Subset) -> Result<Schema> {
    let names: Vec<String> = subset.indices().filter_map(|m| schema.modalities.names().get(m).cloned()).collect();
    let inputs = subset.indices().filter_map(|m| schema.inputs.get(m).cloned()).collect();
    Schema::new(Modalities::new(names)?, inputs, schema.target.clone())
}

/// Networks that never see each other, trained side by side: the sum of their losses has the gradient of each alone.
///
/// A member is trained on the samples that have all its modalities.
pub struct Ensemble {
    model: EnsembleModel,
}

impl Ensemble {
    /// An ensemble to be trained.
    pub fn new(config: &EnsembleConfig, setup: &Setup) -> Result<Self> {
        Ok(Self { model: EnsembleModel::new(config, setup)? })
    }
}

impl Method for Ensemble {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    fn loss(&mut self, batch: &Batch, _: &Step) -> Result<Losses> {
        let mut total: Option<Tensor> = None;
        let task = self.model.schema.target.task();
        for member in &self.model.members {
            let Some(complete) = member.complete_samples(batch)? else { continue };
            let output = member.network.forward(complete.inputs(), Mode::Train)?;
            let loss = task.loss_of_scales(&output.prediction, &output.side, complete.targets())?;
            member.batches.set(&(member.batches.as_detached_tensor() + 1.0)?)?;
            total = Some(match total {
                Some(total) => (total + loss)?,
                None => loss,
            });
        }
        Ok(total.map(|total| Losses::new("task", total)).unwrap_or_default())
    }

    fn check_samples(&self, train: &Presence, _validation: &Presence) -> Result<()> {
        let subsets: Vec<Subset> = self.model.members.iter().map(|member| member.subset).collect();
        check_training(&self.model.schema.modalities, &subsets, train)
    }

    fn remarks(&self) -> Vec<String> {
        let members = &self.model.members;
        let batches: Vec<f32> = members.iter().map(|member| member.batches().unwrap_or_default()).collect();
        let most = batches.iter().copied().fold(0.0, f32::max);
        let remark = |(member, batches): (&Member, f32)| {
            let name = self.model.schema.modalities.format(member.subset);
            match batches {
                0.0 => {
                    Some(format!("the network for {name} was never trained and does not predict: no batch had two samples with all of it"))
                }
                _ if batches < most => Some(format!("the network for {name} was trained on {batches} batches, others on up to {most}")),
                _ => None,
            }
        };
        members.iter().zip(batches).filter_map(remark).collect()
    }
}
