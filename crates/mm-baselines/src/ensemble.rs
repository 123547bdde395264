//! Several networks, each for a fixed combination: late fusion, and one model per combination.

use candle_core::{Device, Tensor, Var};
use candle_nn::Init;
use candle_nn::ops::softmax;
use mm_core::data::{Batch, Schema};
use mm_core::fusion::{FusionNetwork, NetworkConfig};
use mm_core::loss::cross_entropy;
use mm_core::nn::{Mode, Parameters};
use mm_core::predict::{Predictions, Predictor};
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, Modalities, Presence, Result, Subset};

/// How the members of an [`Ensemble`] predict together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// Mean of the probabilities of the members whose modalities are present.
    Average,
    /// Only the member of exactly the present combination.
    Exact,
}

struct Member {
    subset: Subset,
    network: FusionNetwork,
    /// How many batches it was trained on, a number. Stored with the weights: a member that never met two samples of a batch with all its
    /// modalities must not predict.
    batches: Var,
}

impl Member {
    fn batches(&self) -> Result<f32> {
        Ok(self.batches.to_scalar()?)
    }
}

/// Networks that never see each other, trained side by side: the sum of their losses has the gradient of each alone.
///
/// Parameters of the member for `rgb+depth` live under `rgb+depth.`. A member is trained on the samples that have all its modalities; one
/// that never met two of them in a batch supports nothing.
pub struct Ensemble {
    modalities: Modalities,
    parameters: Parameters,
    members: Vec<Member>,
    combine: Combine,
}

impl Ensemble {
    /// One network for each single modality, averaged.
    pub fn late_fusion(network: &NetworkConfig, schema: &Schema, seed: u64, device: &Device) -> Result<Self> {
        let singles: Vec<Subset> = (0..schema.modalities.len()).map(Subset::single).collect();
        Self::new(network, schema, &singles, Combine::Average, seed, device)
    }

    /// One network for each of `subsets`, used for exactly that combination.
    pub fn per_combination(network: &NetworkConfig, schema: &Schema, subsets: &[Subset], seed: u64, device: &Device) -> Result<Self> {
        Self::new(network, schema, subsets, Combine::Exact, seed, device)
    }

    /// Refuses training samples of which no two have all modalities of any one of `subsets`.
    pub fn check_training(modalities: &Modalities, subsets: &[Subset], train: &Presence) -> Result<()> {
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

    fn new(config: &NetworkConfig, schema: &Schema, subsets: &[Subset], combine: Combine, seed: u64, device: &Device) -> Result<Self> {
        if subsets.is_empty() {
            return Err(Error::config("combinations", "an ensemble needs at least one combination"));
        }
        let parameters = Parameters::new(seed, device);
        let member = |&subset: &Subset| {
            let schema_of = restrict_schema(schema, subset)?;
            let mut config = config.clone();
            config.encoders.retain(|name, _| schema_of.modalities.names().contains(name));
            let vb = parameters.builder().pp(schema.modalities.format(subset));
            // Named as such counts are in PyTorch: nothing that is learnt.
            let batches = Var::from_tensor(&vb.get_with_hints((), "num_batches_tracked", Init::Const(0.0))?)?;
            Ok(Member { subset, network: FusionNetwork::new(&config, &schema_of, vb)?, batches })
        };
        let members = subsets.iter().map(member).collect::<Result<_>>()?;
        Ok(Self { modalities: schema.modalities.clone(), members, parameters, combine })
    }

    /// Log-probabilities of one member, `[batch, classes]`.
    fn probabilities(member: &Member, batch: &Batch) -> Result<Tensor> {
        if member.subset.indices().any(|m| batch.inputs.get(m).is_none_or(Option::is_none)) {
            // No sample has all its modalities: no row of the result has a meaning.
            let classes = member.network.head().weight().dim(0)?;
            return Ok(Tensor::full(1.0 / classes as f32, (batch.len(), classes), batch.device())?);
        }
        let presence = Presence::uniform(Subset::full(member.subset.len()), batch.len());
        let restricted = restrict_batch(batch, member.subset)?;
        Ok(softmax(&member.network.forward(&restricted, &presence, Mode::Eval)?.logits.detach(), 1)?)
    }

    fn untrained(&self, subset: Subset) -> Error {
        Error::Modality(format!("no member was trained for the combination {}", self.modalities.format(subset)))
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
}

fn restrict_schema(schema: &Schema, subset: Subset) -> Result<Schema> {
    let names: Vec<String> = subset.indices().filter_map(|m| schema.modalities.names().get(m).cloned()).collect();
    let inputs = subset.indices().filter_map(|m| schema.inputs.get(m).cloned()).collect();
    Schema::new(Modalities::new(names)?, inputs, schema.target.clone())
}

/// Only the modalities of `subset`; the caller makes sure that every row has them or does not use the others.
fn restrict_batch(batch: &Batch, subset: Subset) -> Result<Batch> {
    let inputs: Vec<Option<Tensor>> = subset.indices().map(|m| batch.inputs.get(m).cloned().flatten()).collect();
    if inputs.iter().any(Option::is_none) {
        return Err(Error::Modality("no sample of the batch has a modality that this member needs".into()));
    }
    let mut restricted = batch.clone();
    (restricted.inputs, restricted.presence) = (inputs, Presence::uniform(Subset::full(subset.len()), batch.len()));
    Ok(restricted)
}

/// The samples that have every modality of `subset`, reduced to those modalities; `None` if they are fewer than two.
fn complete_samples(batch: &Batch, subset: Subset) -> Result<Option<Batch>> {
    let complete: Vec<usize> = (0..batch.len()).filter(|&i| subset.is_subset_of(batch.presence.subsets()[i])).collect();
    match complete.len() {
        // Batch statistics need two samples.
        0 | 1 => Ok(None),
        n if n == batch.len() => restrict_batch(batch, subset).map(Some),
        _ => restrict_batch(batch, subset)?.select(&complete).map(Some),
    }
}

impl Predictor for Ensemble {
    /// Each sample by its own combination, whose members must exist.
    fn predict(&self, batch: &Batch) -> Result<Tensor> {
        let mut distinct: Vec<Subset> = batch.presence.subsets().to_vec();
        distinct.sort();
        distinct.dedup();
        if let Some(unsupported) = distinct.iter().find(|s| !self.supports(**s)) {
            return Err(self.untrained(*unsupported));
        }
        let predictions = self.predict_combinations(batch, &distinct)?.logits;
        let rows = batch.presence.subsets().iter().enumerate().map(|(i, subset)| {
            let position = distinct.iter().position(|s| s == subset).unwrap_or_default();
            predictions.get(position)?.narrow(0, i, 1)
        });
        Ok(Tensor::cat(&rows.collect::<candle_core::Result<Vec<_>>>()?, 0)?)
    }

    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        let mut cache: Vec<Option<Tensor>> = vec![None; self.members.len()];
        let mut encoder_passes = 0;
        let mut logits = Vec::with_capacity(subsets.len());
        for &subset in subsets {
            let speakers = self.speakers(subset);
            let mut sum: Option<Tensor> = None;
            for &i in &speakers {
                let member = &self.members[i];
                if cache[i].is_none() {
                    cache[i] = Some(Self::probabilities(member, batch)?);
                    encoder_passes += member.subset.len();
                }
                if let Some(p) = &cache[i] {
                    sum = Some(match sum {
                        Some(sum) => (sum + p)?,
                        None => p.clone(),
                    });
                }
            }
            let sum = sum.ok_or_else(|| self.untrained(subset))?;
            // Log-probabilities are logits of the averaged distribution.
            logits.push(((sum / speakers.len() as f64)? + 1e-12)?.log()?);
        }
        Ok(Predictions { logits: Tensor::stack(&logits, 0)?, encoder_passes })
    }

    fn supports(&self, subset: Subset) -> bool {
        !self.speakers(subset).is_empty()
    }
}

impl Method for Ensemble {
    fn loss(&mut self, batch: &Batch, _: &Step) -> Result<Losses> {
        let mut total: Option<Tensor> = None;
        for member in &self.members {
            let Some(complete) = complete_samples(batch, member.subset)? else { continue };
            let logits = member.network.forward(&complete, &complete.presence, Mode::Train)?.logits;
            let loss = cross_entropy(&logits, &complete.labels)?;
            member.batches.set(&(member.batches.as_detached_tensor() + 1.0)?)?;
            total = Some(match total {
                Some(total) => (total + loss)?,
                None => loss,
            });
        }
        Ok(total.map(|total| Losses::new("task", total)).unwrap_or_default())
    }

    fn check_samples(&self, train: &Presence, _validation: &Presence) -> Result<()> {
        let subsets: Vec<Subset> = self.members.iter().map(|member| member.subset).collect();
        Self::check_training(&self.modalities, &subsets, train)
    }

    fn remarks(&self) -> Vec<String> {
        let batches: Vec<f32> = self.members.iter().map(|member| member.batches().unwrap_or_default()).collect();
        let most = batches.iter().copied().fold(0.0, f32::max);
        let remark = |(member, batches): (&Member, f32)| {
            let name = self.modalities.format(member.subset);
            match batches {
                0.0 => {
                    Some(format!("the network for {name} was never trained and does not predict: no batch had two samples with all of it"))
                }
                _ if batches < most => Some(format!("the network for {name} was trained on {batches} batches, others on up to {most}")),
                _ => None,
            }
        };
        self.members.iter().zip(batches).filter_map(remark).collect()
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
