//! What is deployed: two branches and their fusion.

use crate::ModDistillConfig;
use crate::branch::Branches;
use crate::fusion::Fusion;
use mm_core::data::{Inputs, Schema};
use mm_core::model::{Encoded, Output, Visit};
use mm_core::nn::{Mode, Parameters};
use mm_core::recipe::Setup;
use mm_core::{ModalityError, Model, Presence, Result, Subset};

/// Combinations whose features are held at a time.
const TOGETHER: usize = 64;

/// `A → {own branch, restored branch} → cross translation → trunk → head`.
///
/// Predicts from combinations that hold all available modalities `A` and ignores all other modalities; in robust mode from every
/// combination that holds one of them.
pub struct ModDistillModel {
    schema: Schema,
    available: Subset,
    robust: bool,
    parameters: Parameters,
    branches: Branches,
    fusion: Fusion,
    mode: Mode,
}

impl ModDistillModel {
    /// Builds the network.
    pub(crate) fn new(config: &ModDistillConfig, setup: &Setup) -> Result<Self> {
        let (schema, parameters) = (setup.schema().clone(), setup.parameters());
        let available = config.available_subset(&schema.modalities)?;
        let vb = parameters.builder();
        let branches = Branches::new(&config.network, &schema, available, config.robust, vb.clone())?;
        let fusion = Fusion::new(config, branches.feature_shape(), schema.target.task().outputs(), vb)?;
        Ok(Self { schema, available, robust: config.robust, parameters, branches, fusion, mode: Mode::Eval })
    }

    /// The modalities that the model reads.
    pub fn available(&self) -> Subset {
        self.available
    }

    /// The two branches, for training.
    pub(crate) fn branches(&self) -> &Branches {
        &self.branches
    }

    /// Their fusion, for training.
    pub(crate) fn fusion(&self) -> &Fusion {
        &self.fusion
    }

    /// What each sample has of the available modalities: all of them, or in robust mode at least one.
    pub(crate) fn usable(&self, presence: &Presence) -> Result<Presence> {
        let of_sample = |(i, &has)| self.usable_of(has, Some(i));
        Ok(Presence::new(presence.subsets().iter().enumerate().map(of_sample).collect::<Result<_>>()?))
    }

    fn usable_of(&self, has: Subset, sample: Option<usize>) -> Result<Subset> {
        match has.intersection(self.available) {
            Some(usable) if self.supports(has) => Ok(usable),
            _ => {
                let [has, reads] = [has, self.available].map(|subset| self.schema.modalities.format(subset));
                Err(ModalityError::NotRead { sample, has, reads, all: !self.robust }.into())
            }
        }
    }
}

impl Model for ModDistillModel {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        inputs.check_modalities(&self.schema.modalities)?;
        let (tensors, encoder_passes) = self.branches.encode(inputs, inputs.presence(), self.mode)?;
        Ok(Encoded { tensors, presence: inputs.presence().clone(), encoder_passes })
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        encoded.check(presence)?;
        let pair = self.branches.fuse(&encoded.tensors, &self.usable(presence)?, self.mode)?;
        self.fusion.predict(&pair, self.mode)
    }

    /// Modalities that are not available are ignored, so many combinations share one prediction.
    fn visit_encoded(&self, encoded: &Encoded, subsets: &[Subset], visit: Visit) -> Result<()> {
        let wanted: Vec<Subset> = subsets.iter().map(|&subset| self.usable_of(subset, None)).collect::<Result<_>>()?;
        let mut distinct = wanted.clone();
        distinct.sort();
        distinct.dedup();
        for some in distinct.chunks(TOGETHER) {
            for (pair, subset) in self.branches.combinations(&encoded.tensors, some, self.mode)?.iter().zip(some) {
                let output = self.fusion.predict(pair, self.mode)?;
                let alike = wanted.iter().enumerate().filter(|(_, wanted)| *wanted == subset);
                alike.into_iter().try_for_each(|(i, _)| visit(i, output.clone()))?;
            }
        }
        Ok(())
    }

    fn reads(&self) -> Subset {
        self.available
    }

    /// Combinations that hold all available modalities; in robust mode, at least one of them.
    fn supports(&self, subset: Subset) -> bool {
        match self.robust {
            true => subset.intersection(self.available).is_some(),
            false => self.available.is_subset_of(subset),
        }
    }

    fn freeze(&mut self) {
        self.mode = Mode::Frozen;
        self.parameters.freeze();
    }
}
