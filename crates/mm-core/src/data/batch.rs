//! Some samples with what is to be predicted: what training sees.

use super::Inputs;
use crate::error::{Error, Result};
use crate::modality::Presence;
use candle_core::{DType, Device, Tensor};

/// What is to be predicted of some samples.
#[derive(Debug, Clone)]
pub struct Targets {
    values: Tensor,
    weights: Option<Tensor>,
    options: LossOptions,
    mixed: Option<Mixed>,
}

/// What shapes a loss besides the weights of samples; a task takes of it what it has a use for.
#[derive(Debug, Clone, Default)]
pub struct LossOptions {
    /// The weight of each class of a pixel, or of each label where it holds: f32 `[classes]`; all the same where there are none. (What has
    /// one class a sample has weights of samples.)
    pub class_weights: Option<Tensor>,
    /// The weight of the Dice loss of label maps beside the cross entropy; 0: none.
    pub dice: f64,
    /// Errors of numbers above so many standard deviations count in proportion, not squared (Huber 1964); 0: all are squared.
    pub huber: f64,
}

/// What else samples are, where each is mixed with another.
#[derive(Debug, Clone)]
struct Mixed {
    /// The targets of the others, `[batch, ..]`.
    values: Tensor,
    /// How much of each sample is its own, f32 `[batch]`.
    own: Tensor,
}

impl Targets {
    /// From what the task's loss reads, `[batch, ..]`: for classes, u32 `[batch]`.
    pub fn new(values: Tensor) -> Self {
        Self { values, weights: None, options: LossOptions::default(), mixed: None }
    }

    /// Gives each sample a weight in the loss: f32 `[batch]`, not negative. Class weights come this way, too.
    pub fn with_weights(self, weights: Tensor) -> Result<Self> {
        if weights.dtype() != DType::F32 || weights.dims() != [self.values.dim(0)?] {
            let expected = format!("f32 [{}]", self.values.dim(0)?);
            return Err(Error::shape("sample weights", expected, (weights.dtype(), weights.dims())));
        }
        Ok(Self { weights: Some(weights), ..self })
    }

    /// Says what else shapes the loss.
    pub fn with_options(self, options: LossOptions) -> Self {
        Self { options, ..self }
    }

    /// What else shapes the loss.
    pub fn options(&self) -> &LossOptions {
        &self.options
    }

    /// What the task's loss reads, `[batch, ..]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// The weight of each sample, f32 `[batch]`; all the same where there are none.
    pub fn weights(&self) -> Option<&Tensor> {
        self.weights.as_ref()
    }

    /// One number a sample (`[batch]`) computed from [`Targets::values`]; of a mixed sample, that of each of its two targets by its share.
    /// Losses are computed through this.
    pub fn per_sample(&self, of: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let own = of(&self.values)?;
        match &self.mixed {
            None => Ok(own),
            Some(Mixed { values, own: share }) => {
                let other = of(values)?;
                Ok((&other + share.mul(&(own - &other)?)?)?)
            }
        }
    }

    /// One number a sample (`[batch]`), each times its sample's weight over the mean weight: their mean is the weighted mean.
    pub fn weighted(&self, per_sample: &Tensor) -> Result<Tensor> {
        match &self.weights {
            None => Ok(per_sample.clone()),
            Some(weights) => {
                let mean = weights.mean_all()?.maximum(f64::from(f32::MIN_POSITIVE))?;
                Ok(per_sample.mul(&weights.broadcast_div(&mean)?)?)
            }
        }
    }

    /// The mean of one number a sample (`[batch]`), weighted by the samples' weights: a scalar.
    pub fn mean(&self, per_sample: &Tensor) -> Result<Tensor> {
        Ok(self.weighted(per_sample)?.mean_all()?)
    }

    /// Each sample so many times in a row: for several predictions of one sample, `[batch * times, ..]`.
    pub fn repeated(&self, times: usize) -> Result<Self> {
        let repeat = |tensor: &Tensor| -> Result<Tensor> {
            let mut dims = tensor.dims().to_vec();
            dims.insert(1, times);
            Ok(tensor.unsqueeze(1)?.broadcast_as(dims)?.flatten(0, 1)?)
        };
        self.map(repeat)
    }

    fn select(&self, positions: &Tensor) -> Result<Self> {
        self.map(|tensor| Ok(tensor.index_select(positions, 0)?))
    }

    fn to_device(&self, device: &Device) -> Result<Self> {
        let class_weights = self.options.class_weights.as_ref().map(|weights| weights.to_device(device)).transpose()?;
        let options = LossOptions { class_weights, ..self.options.clone() };
        Ok(self.map(|tensor| Ok(tensor.to_device(device)?))?.with_options(options))
    }

    /// The same done to each tensor of samples.
    fn map(&self, change: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let mixed = |mixed: &Mixed| Ok::<_, Error>(Mixed { values: change(&mixed.values)?, own: change(&mixed.own)? });
        Ok(Self {
            values: change(&self.values)?,
            weights: self.weights.as_ref().map(&change).transpose()?,
            options: self.options.clone(),
            mixed: self.mixed.as_ref().map(mixed).transpose()?,
        })
    }
}

/// Some samples put together: what a model sees of them, and what it is to say.
#[derive(Debug, Clone)]
pub struct Batch {
    inputs: Inputs,
    targets: Targets,
}

impl Batch {
    /// Puts a batch together from parts of the same number of samples.
    pub fn new(inputs: Inputs, targets: Targets) -> Result<Self> {
        match targets.values.dims().first() == Some(&inputs.len()) {
            true => Ok(Self { inputs, targets }),
            false => Err(Error::shape("targets", format!("[{}, ..]", inputs.len()), targets.values.dims())),
        }
    }

    /// What a model sees.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// What is to be predicted.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Both parts.
    pub fn into_parts(self) -> (Inputs, Targets) {
        (self.inputs, self.targets)
    }

    /// Which modalities each sample has.
    pub fn presence(&self) -> &Presence {
        self.inputs.presence()
    }

    /// The number of each sample in its data set.
    pub fn ids(&self) -> &[u64] {
        self.inputs.ids()
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Where the tensors are.
    pub fn device(&self) -> &Device {
        self.inputs.device()
    }

    /// The samples at these positions, in their order; a position past the end is a typed error.
    pub fn select(&self, positions: &[usize]) -> Result<Self> {
        let inputs = self.inputs.select(positions)?;
        let index =
            Tensor::from_vec(positions.iter().map(|&p| p as u32).collect::<Vec<_>>(), positions.len(), self.targets.values.device())?;
        Ok(Self { inputs, targets: self.targets.select(&index)? })
    }

    /// The same targets with other inputs for the same samples.
    pub fn with_inputs(&self, inputs: Inputs) -> Result<Self> {
        Self::new(inputs, self.targets.clone())
    }

    /// The same samples, each with a weight in the loss: f32 `[batch]`.
    pub fn with_weights(self, weights: Tensor) -> Result<Self> {
        Ok(Self { targets: self.targets.with_weights(weights)?, ..self })
    }

    /// The same samples, with what else shapes the loss.
    pub fn with_options(self, options: LossOptions) -> Self {
        Self { targets: self.targets.with_options(options), ..self }
    }

    /// The same on another device.
    pub fn to_device(self, device: &Device) -> Result<Self> {
        if self.device().same_device(device) {
            return Ok(self);
        }
        Ok(Self { inputs: self.inputs.to_device(device)?, targets: self.targets.to_device(device)? })
    }

    /// Each sample mixed with the one behind it (the last with the first): the share `own` of its readings and of its target stays its own. A
    /// sample that has other sensors than its partner is left as it is.
    pub fn mixed(&self, own: f32) -> Result<Self> {
        let batch = self.len();
        let partner = |i: usize| (i + 1) % batch;
        let has = self.presence().subsets();
        let own: Vec<f32> = (0..batch).map(|i| if has[i] == has[partner(i)] { own } else { 1.0 }).collect();
        let own = Tensor::from_vec(own, batch, self.device())?;
        let partners = Tensor::from_vec((0..batch).map(|i| partner(i) as u32).collect::<Vec<_>>(), batch, self.device())?;
        let mixed = Mixed { values: self.targets.values.index_select(&partners, 0)?, own: own.clone() };
        Ok(Self { inputs: self.inputs.mixed(&partners, &own)?, targets: Targets { mixed: Some(mixed), ..self.targets.clone() } })
    }
}
