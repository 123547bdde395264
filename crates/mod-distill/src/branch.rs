//! The two branches that read the available modalities: the own and the restored one.

use crate::completion::Completion;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_core::data::{Batch, Schema};
use mm_core::encoder::Encoder;
use mm_core::fusion::{NetworkConfig, Trunk, map_combination_sums};
use mm_core::nn::{Mode, scatter_rows};
use mm_core::{Presence, Result, Subset};

/// One encoder for each available modality, by name: `<modality>.*`. Inputs of other modalities are never read.
pub(crate) struct AvailableEncoders {
    /// With the position of the modality in the schema.
    encoders: Vec<(usize, Box<dyn Encoder>)>,
    modalities: usize,
}

impl AvailableEncoders {
    /// Builds the configured encoders of `available`.
    pub fn new(config: &NetworkConfig, schema: &Schema, available: Subset, vb: VarBuilder) -> Result<Self> {
        let names = schema.modalities.names();
        let build = |m: usize| Ok((m, config.build_encoder(schema, m, vb.pp(&names[m]))?));
        Ok(Self { encoders: available.indices().map(build).collect::<Result<_>>()?, modalities: names.len() })
    }

    /// Shape of one sample's feature, by available modality.
    pub fn feature_shapes(&self) -> Vec<&[usize]> {
        self.encoders.iter().map(|(_, e)| e.feature_shape()).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.encoders.len()
    }

    /// One feature `[batch, ..]` for each available modality, `None` where no sample has it; rows of samples that lack it are 0.
    pub fn forward(&self, batch: &Batch, presence: &Presence, mode: Mode) -> Result<Vec<Option<Tensor>>> {
        let encode_one = |(m, encoder): &(usize, Box<dyn Encoder>)| -> Result<Option<Tensor>> {
            let rows = presence.rows_with(*m);
            let Some(input) = batch.inputs.get(*m).and_then(Option::as_ref).filter(|_| !rows.is_empty()) else { return Ok(None) };
            let present = match rows.len() == batch.len() {
                true => input.clone(),
                false => input.index_select(&Tensor::from_slice(&rows, rows.len(), input.device())?, 0)?,
            };
            Ok(Some(scatter_rows(&encoder.forward(&present, mode)?, &rows, batch.len())?))
        };
        self.encoders.iter().map(encode_one).collect()
    }

    /// One tensor an available modality in the order of the schema, `None` elsewhere.
    pub fn by_modality(&self, tensors: Vec<Option<Tensor>>) -> Vec<Option<Tensor>> {
        let mut all = vec![None; self.modalities];
        for ((m, _), tensor) in self.encoders.iter().zip(tensors) {
            all[*m] = tensor;
        }
        all
    }
}

/// The shares of available features in the first layer of a trunk; a modality that no sample has counts as zero.
fn parts(trunk: &dyn Trunk, features: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
    let part = |(i, f): (usize, &Option<Tensor>)| f.as_ref().map(|f| trunk.part(i, &f.detach())).transpose();
    let parts: Vec<Option<Tensor>> = features.iter().enumerate().map(part).collect::<Result<_>>()?;
    // Its combinations have no valid row in this batch.
    let zero = parts.iter().flatten().next().map(Tensor::zeros_like).transpose()?;
    Ok(parts.into_iter().map(|p| p.or_else(|| zero.clone())).collect())
}

/// Encoders and trunk, as a fusion network of the available modalities has them: `encoders.*`, `trunk.*`.
pub(crate) struct Branch {
    encoders: AvailableEncoders,
    trunk: Box<dyn Trunk>,
}

impl Branch {
    /// Builds both.
    pub fn new(config: &NetworkConfig, schema: &Schema, available: Subset, vb: VarBuilder) -> Result<Self> {
        let encoders = AvailableEncoders::new(config, schema, available, vb.pp("encoders"))?;
        let names: Vec<String> = available.indices().map(|m| schema.modalities.names()[m].clone()).collect();
        let trunk = config.trunk.build(&names, &encoders.feature_shapes(), vb.pp("trunk"))?;
        Ok(Self { encoders, trunk })
    }

    /// Its encoders.
    pub fn encoders(&self) -> &AvailableEncoders {
        &self.encoders
    }

    /// Shape of one sample's feature.
    pub fn feature_shape(&self) -> &[usize] {
        self.trunk.feature_shape()
    }

    /// The feature `[batch, ..]` of each combination, from what [`AvailableEncoders::forward`] gave.
    fn combinations(&self, features: &[Option<Tensor>], subsets: &[Subset]) -> Result<Vec<Tensor>> {
        let parts = self.encoders.by_modality(parts(&*self.trunk, features)?);
        map_combination_sums(&parts, subsets, |sum| Ok(self.trunk.finish(&sum.detach(), Mode::Eval)?.detach()))
    }
}

/// Where the restored feature comes from.
pub(crate) enum Restored {
    /// A branch of its own on the same inputs: the published form.
    Branch(Branch),
    /// Completion of the own encoders' features: robust mode.
    Completion(Completion),
}

/// Own and restored feature of each sample, `[batch, ..]` of one shape.
pub(crate) struct Pair {
    pub own: Tensor,
    pub restored: Tensor,
}

/// Both branches: `own.*`, `restored.*`.
pub(crate) struct Branches {
    own: Branch,
    restored: Restored,
}

impl Branches {
    /// Builds both branches; the restored one completes features in robust mode.
    pub fn new(config: &NetworkConfig, schema: &Schema, available: Subset, robust: bool, vb: VarBuilder) -> Result<Self> {
        let own = Branch::new(config, schema, available, vb.pp("own"))?;
        let restored = match robust {
            false => Restored::Branch(Branch::new(config, schema, available, vb.pp("restored"))?),
            true => Restored::Completion(Completion::new(config, schema, own.encoders(), vb.pp("restored"))?),
        };
        Ok(Self { own, restored })
    }

    /// Shape of one sample's feature, the same for both.
    pub fn feature_shape(&self) -> &[usize] {
        self.own.feature_shape()
    }

    /// Encoder runs of one prediction.
    pub fn encoder_passes(&self) -> usize {
        self.own.encoders.len()
            + match &self.restored {
                Restored::Branch(branch) => branch.encoders.len(),
                Restored::Completion(_) => 0,
            }
    }

    /// The restored feature alone.
    pub fn restored(&self, batch: &Batch, presence: &Presence, mode: Mode) -> Result<Tensor> {
        match &self.restored {
            Restored::Branch(branch) => branch.trunk.forward(&branch.encoders.forward(batch, presence, mode)?, mode),
            Restored::Completion(_) => Ok(self.forward(batch, presence, mode, mode)?.restored),
        }
    }

    /// Both features of each sample from the modalities of `presence`, which is within the available ones.
    pub fn forward(&self, batch: &Batch, presence: &Presence, mode: Mode, restored_mode: Mode) -> Result<Pair> {
        let features = self.own.encoders.forward(batch, presence, mode)?;
        let own = self.own.trunk.forward(&features, mode)?;
        let restored = match &self.restored {
            Restored::Branch(_) => self.restored(batch, presence, restored_mode)?,
            Restored::Completion(completion) => completion.forward(&self.own.encoders.by_modality(features), presence, mode)?,
        };
        Ok(Pair { own, restored })
    }

    /// Both features for every combination of `subsets`, each within the available modalities: one run of each encoder.
    pub fn combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Vec<Pair>> {
        let features = self.own.encoders.forward(batch, &batch.presence, Mode::Eval)?;
        let own = self.own.combinations(&features, subsets)?;
        let restored = match &self.restored {
            Restored::Branch(branch) => branch.combinations(&branch.encoders.forward(batch, &batch.presence, Mode::Eval)?, subsets)?,
            Restored::Completion(completion) => {
                let features = self.own.encoders.by_modality(features);
                let complete = |subset: &Subset| Ok(completion.predict(&features, *subset)?.detach());
                subsets.iter().map(complete).collect::<Result<_>>()?
            }
        };
        Ok(own.into_iter().zip(restored).map(|(own, restored)| Pair { own, restored }).collect())
    }
}
