//! What is deployed: a [`Model`] encodes what is there once, and predicts from every combination of it.

use crate::corrupt::{Screened, screen_non_finite};
use crate::data::{DataError, Inputs, NonFinite, Schema};
use crate::error::{Error, ModalityError, NonFiniteError, Result};
use crate::modality::{Presence, Subset};
use crate::nn::Parameters;
use candle_core::Tensor;

/// What all combinations of some samples share, as a model's [`Model::encode`] leaves it.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// What the model needs for [`Model::fuse`]; what they mean is the model's affair.
    pub tensors: Vec<Option<Tensor>>,
    /// What was encoded.
    pub presence: Presence,
    /// Runs of one modality's encoder that it took.
    pub encoder_passes: usize,
}

impl Encoded {
    /// Refuses a presence of another number of samples.
    pub fn check(&self, presence: &Presence) -> Result<()> {
        match presence.len() == self.presence.len() {
            true => Ok(()),
            false => Err(ModalityError::PresenceLength { found: presence.len(), expected: self.presence.len() }.into()),
        }
    }
}

/// What a model says of some samples.
#[derive(Debug, Clone)]
pub struct Output {
    /// `[batch, ..]`, as the task reads it: for classes, logits `[batch, classes]`.
    pub prediction: Tensor,
    /// The features that distillation reads, each `[batch, ..]`, the deepest last; a model may have none.
    pub features: Vec<Tensor>,
    /// Coarser predictions of networks that predict at several depths.
    pub side: Vec<Tensor>,
}

impl Output {
    /// A prediction alone.
    pub fn new(prediction: Tensor) -> Self {
        Self { prediction, features: Vec::new(), side: Vec::new() }
    }

    /// A prediction, and the fused feature that it was made from.
    pub fn with_feature(prediction: Tensor, feature: Tensor) -> Self {
        Self { features: vec![feature], ..Self::new(prediction) }
    }

    /// The deepest feature, `[batch, ..]`; an error where the model has none.
    pub fn feature(&self) -> Result<&Tensor> {
        self.features.last().ok_or_else(|| Error::config("teacher", "this model hands out no feature to distil from; use a fusion network"))
    }

    fn map(&self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Self> {
        let each = |tensors: &[Tensor]| tensors.iter().map(&f).collect::<candle_core::Result<Vec<_>>>();
        Ok(Self { prediction: f(&self.prediction)?, features: each(&self.features)?, side: each(&self.side)? })
    }

    /// The same without the graph of how it came about.
    pub fn detach(&self) -> Self {
        let each = |tensors: &[Tensor]| tensors.iter().map(Tensor::detach).collect();
        Self { prediction: self.prediction.detach(), features: each(&self.features), side: each(&self.side) }
    }

    /// `count` samples from `start` on.
    pub fn narrow(&self, start: usize, count: usize) -> Result<Self> {
        self.map(|tensor| tensor.narrow(0, start, count))
    }

    /// The samples in these rows (u32 `[n]`).
    pub fn select(&self, rows: &Tensor) -> Result<Self> {
        self.map(|tensor| tensor.index_select(rows, 0))
    }

    /// Several outputs of one model, one behind the other.
    pub fn cat(outputs: &[Self]) -> Result<Self> {
        let Some(first) = outputs.first() else { return Err(DataError::EmptyBatch.into()) };
        let all = |of: &dyn Fn(&Self) -> &Tensor| Tensor::cat(&outputs.iter().map(of).collect::<Vec<_>>(), 0);
        let each = |of: &dyn Fn(&Self) -> &[Tensor], count: usize| {
            (0..count).map(|k| all(&|output| &of(output)[k])).collect::<candle_core::Result<Vec<_>>>()
        };
        Ok(Self {
            prediction: all(&|output| &output.prediction)?,
            features: each(&|output| &output.features, first.features.len())?,
            side: each(&|output| &output.side, first.side.len())?,
        })
    }

    /// All tensors.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        [&self.prediction].into_iter().chain(&self.features).chain(&self.side)
    }
}

/// How far one sensor of one sample is trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorTrust {
    /// Name of the modality.
    pub modality: String,
    /// Estimated noise level: 1 is clean; what the largest mean is said by the method.
    pub level: f32,
    /// Its weight: 1 is as much as the average of the sample's sensors.
    pub weight: f32,
}

/// Takes the output of a combination, by its position among those asked for.
pub type Visit<'v> = &'v (dyn Fn(usize, Output) -> Result<()> + Sync);

/// A trained network that predicts from whatever modalities are there.
pub trait Model: std::any::Any + Send + Sync {
    /// What it reads and predicts.
    fn schema(&self) -> &Schema;

    /// Everything that is deployed.
    fn parameters(&self) -> &Parameters;

    /// Encodes what is there, once for all combinations. What the inputs say is there is read, be it NaN:
    /// [`Model::predict_screened`] looks first.
    fn encode(&self, inputs: &Inputs) -> Result<Encoded>;

    /// Predicts from what is encoded, each sample with the modalities of `presence`. Where a sample lacks one of them, its row has no
    /// meaning. Nothing of it has a graph for gradients.
    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output>;

    /// Calls `visit` with each combination's output, as if every sample had exactly its modalities, in any order and from several threads.
    /// A model whose combinations share more than encoders overrides it.
    fn visit_encoded(&self, encoded: &Encoded, subsets: &[Subset], visit: Visit) -> Result<()> {
        let batch = encoded.presence.len();
        subsets.iter().enumerate().try_for_each(|(i, &subset)| visit(i, self.fuse(encoded, &Presence::uniform(subset, batch))?))
    }

    /// The modalities that it reads; all others are ignored.
    fn reads(&self) -> Subset {
        self.schema().modalities.full()
    }

    /// Whether it can predict from this combination.
    fn supports(&self, _subset: Subset) -> bool {
        true
    }

    /// How far it trusts the sensors of each sample, where it knows that.
    fn trust(&self, _inputs: &Inputs) -> Result<Option<Vec<Vec<SensorTrust>>>> {
        Ok(None)
    }

    /// Whether [`Model::trust`] says anything.
    fn knows_trust(&self) -> bool {
        false
    }

    /// [`Model::predict`] and [`Model::trust`] of the same samples; a model that finds both in one pass overrides it.
    fn predict_with_trust(&self, inputs: &Inputs) -> Result<(Output, Option<Vec<Vec<SensorTrust>>>)> {
        Ok((self.predict(inputs)?, self.trust(inputs)?))
    }

    /// Says that the parameters will not change any more: what is computed from them alone is then kept, and not checked at each call. They
    /// can be read, but [`Parameters::restore`] refuses from now on.
    fn freeze(&mut self);

    /// Predicts, each sample from what it has.
    fn predict(&self, inputs: &Inputs) -> Result<Output> {
        self.fuse(&self.encode(inputs)?, inputs.presence())
    }

    /// [`Model::predict`] of what [`screen_non_finite`] leaves of the inputs: readings with a NaN or an infinity count as absent, and so no
    /// such value is read. The output is of the samples of [`Screened::inputs`].
    fn predict_screened(&self, inputs: &Inputs) -> Result<(Output, Screened)> {
        let screened = screen_non_finite(inputs, NonFinite::Absent)?;
        Ok((self.predict(&screened.inputs)?, screened))
    }

    /// Encodes once and calls `visit` with each combination's output; how many encoders ran. The memory it takes does not grow with the
    /// number of combinations.
    fn visit_combinations(&self, inputs: &Inputs, subsets: &[Subset], visit: Visit) -> Result<usize> {
        let encoded = self.encode(inputs)?;
        self.visit_encoded(&encoded, subsets, visit)?;
        Ok(encoded.encoder_passes)
    }

    /// The predictions of a few combinations together: `[combinations, batch, ..]`.
    fn predict_combinations(&self, inputs: &Inputs, subsets: &[Subset]) -> Result<Tensor> {
        let found = std::sync::Mutex::new(vec![None; subsets.len()]);
        self.visit_combinations(inputs, subsets, &|i, output| {
            found.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[i] = Some(output.prediction);
            Ok(())
        })?;
        let found: Vec<Tensor> = found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).into_iter().flatten().collect();
        match found.is_empty() {
            true => Err(ModalityError::NoCombination.into()),
            false => Ok(Tensor::stack(&found, 0)?),
        }
    }
}

/// Refuses the prediction of a sample that is NaN or infinite: what follows would call it class 0 or a mistake. The error names the sample
/// and the combination, whose name is made for that alone.
pub fn check_prediction(values: &[f32], sample: usize, combination: impl FnOnce() -> String) -> Result<()> {
    match values.iter().all(|x| x.is_finite()) {
        true => Ok(()),
        false => {
            let values = values[..values.len().min(16)].to_vec();
            Err(NonFiniteError::Prediction { combination: combination(), row: sample, values }.into())
        }
    }
}
