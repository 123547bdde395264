//! The two branches that read the available modalities: the own and the restored one.

use crate::available::AvailableEncoders;
use crate::completion::Completion;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use mm_core::data::{Inputs, Schema};
use mm_core::fusion::{NetworkConfig, Trunk, keep_present, parts, visit_combination_outputs};
use mm_core::model::Output;
use mm_core::nn::Mode;
use mm_core::{Presence, Result, Subset};
use std::sync::{Mutex, PoisonError};

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

    /// The feature `[batch, ..]` from features of all modalities, zero or `None` where absent.
    fn fuse(&self, features: &[Option<Tensor>], mode: Mode) -> Result<Tensor> {
        self.trunk.forward(&self.encoders.of_available(features), mode)
    }

    /// The feature `[batch, ..]` of each combination, from features of all modalities.
    fn combinations(&self, features: &[Option<Tensor>], subsets: &[Subset], mode: Mode) -> Result<Vec<Tensor>> {
        let parts = self.encoders.by_modality(parts(&*self.trunk, &self.encoders.of_available(features))?);
        let found = Mutex::new(vec![None; subsets.len()]);
        let feature = |sum: &Tensor| Ok(Output::new(self.trunk.finish(&sum.detach(), mode)?.detach()));
        visit_combination_outputs(&parts, subsets, feature, &|i, output| {
            found.lock().unwrap_or_else(PoisonError::into_inner)[i] = Some(output.prediction);
            Ok(())
        })?;
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect())
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

    /// The features of all modalities for each branch, own before restored, and how many encoders ran; what [`Branches::fuse`] reads.
    pub fn encode(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<(Vec<Option<Tensor>>, usize)> {
        let mut features = self.own.encoders.by_modality(self.own.encoders.forward(inputs, presence, mode)?);
        if let Restored::Branch(branch) = &self.restored {
            features.extend(branch.encoders.by_modality(branch.encoders.forward(inputs, presence, mode)?));
        }
        let passes = features.iter().flatten().count();
        Ok((features, passes))
    }

    /// Both features of each sample from the modalities of `presence`, which is within the available ones and what is encoded.
    pub fn fuse(&self, encoded: &[Option<Tensor>], presence: &Presence, mode: Mode) -> Result<Pair> {
        let encoded = keep_present_twice(encoded, self.own.encoders.modalities(), presence)?;
        let (features, others) = encoded.split_at(self.own.encoders.modalities());
        let own = self.own.fuse(features, mode)?;
        let restored = match &self.restored {
            Restored::Branch(branch) => branch.fuse(others, mode)?,
            Restored::Completion(completion) => completion.forward(features, presence, mode)?,
        };
        Ok(Pair { own, restored })
    }

    /// The restored feature alone.
    pub fn restored(&self, inputs: &Inputs, presence: &Presence, mode: Mode) -> Result<Tensor> {
        match &self.restored {
            Restored::Branch(branch) => branch.trunk.forward(&branch.encoders.forward(inputs, presence, mode)?, mode),
            Restored::Completion(_) => Ok(self.forward(inputs, presence, mode, mode)?.restored),
        }
    }

    /// Both features of each sample from the modalities of `presence`, which is within the available ones.
    pub fn forward(&self, inputs: &Inputs, presence: &Presence, mode: Mode, restored_mode: Mode) -> Result<Pair> {
        let features = self.own.encoders.forward(inputs, presence, mode)?;
        let own = self.own.trunk.forward(&features, mode)?;
        let restored = match &self.restored {
            Restored::Branch(_) => self.restored(inputs, presence, restored_mode)?,
            Restored::Completion(completion) => completion.forward(&self.own.encoders.by_modality(features), presence, mode)?,
        };
        Ok(Pair { own, restored })
    }

    /// Both features for every combination of `subsets`, each within the available modalities, from what [`Branches::encode`] gave.
    pub fn combinations(&self, encoded: &[Option<Tensor>], subsets: &[Subset], mode: Mode) -> Result<Vec<Pair>> {
        let (features, others) = encoded.split_at(self.own.encoders.modalities());
        let own = self.own.combinations(features, subsets, mode)?;
        let restored = match &self.restored {
            Restored::Branch(branch) => branch.combinations(others, subsets, mode)?,
            Restored::Completion(completion) => {
                let complete = |subset: &Subset| Ok(completion.predict(features, *subset, mode)?.detach());
                subsets.iter().map(complete).collect::<Result<_>>()?
            }
        };
        Ok(own.into_iter().zip(restored).map(|(own, restored)| Pair { own, restored }).collect())
    }
}

/// What `presence` keeps of the features of one or two branches.
fn keep_present_twice(encoded: &[Option<Tensor>], modalities: usize, presence: &Presence) -> Result<Vec<Option<Tensor>>> {
    let kept = encoded.chunks(modalities).map(|features| keep_present(features, &[presence]));
    Ok(kept.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}
