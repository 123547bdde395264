//! A network trained on what samples have, and what puts a feature in the place of each absent one from those that are there.

use crate::{NearestConfig, RegressionConfig};
use candle_core::Tensor;
use mm_core::data::{Batch, Inputs, Schema};
use mm_core::fusion::{FusionModel, NetworkConfig, TrunkConfig, keep_encoded, pool};
use mm_core::missing::MissingPattern;
use mm_core::model::{Encoded, Output};
use mm_core::nn::{Mode, Parameters};
use mm_core::recipe::{Recipe, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::{HeldOut, Losses, Method, Step};
use mm_core::{Error, Modalities, Model, Presence, Result, Subset};
use std::ops::Range;

/// Features of some samples on the CPU.
pub(crate) struct Features {
    /// `[samples, width]`, all sensors side by side; zero where absent.
    pub values: Vec<f32>,
    /// What each sample has.
    pub presence: Vec<Subset>,
    /// The samples' numbers.
    pub ids: Vec<u64>,
}

/// Where the features of each sensor are in a row of [`Features`].
#[derive(Debug, Clone)]
pub(crate) struct Widths(Vec<usize>);

impl Widths {
    #[cfg(test)]
    pub fn new(widths: &[usize]) -> Self {
        Self(widths.to_vec())
    }

    /// Numbers of a row.
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// How many sensors there are.
    pub fn sensors(&self) -> usize {
        self.0.len()
    }

    /// Those of a sensor.
    pub fn of(&self, sensor: usize) -> Range<usize> {
        let start = self.0[..sensor].iter().sum();
        start..start + self.0[sensor]
    }

    /// Those of the sensors in a combination.
    pub fn of_all(&self, subset: Subset) -> Vec<usize> {
        subset.indices().filter(|&m| m < self.sensors()).flat_map(|m| self.of(m)).collect()
    }
}

/// What fills features that are absent.
pub(crate) trait Imputer: Send + Sync {
    /// Takes up the features of the training samples.
    fn fit(&self, features: &Features) -> Result<()>;

    /// Fills what samples lack by `presence` in `values`, `[samples, width]`; before it was fitted, with zeros.
    fn fill(&self, values: &mut [f32], presence: &[Subset]) -> Result<()>;
}

/// Settings that make an imputer.
pub(crate) trait Imputing: Recipe {
    fn missing(&self) -> &MissingPattern;
    fn imputer(&self, widths: Widths, parameters: &Parameters) -> Result<Box<dyn Imputer>>;
}

/// A network whose absent features are filled from those that are there.
pub struct ImputedModel {
    model: FusionModel,
    widths: Widths,
    imputer: Box<dyn Imputer>,
}

impl ImputedModel {
    pub(crate) fn new(config: &impl Imputing, setup: &Setup) -> Result<Self> {
        let schema = setup.schema();
        config.missing().check(&schema.modalities)?;
        if matches!(config.network().trunk, TrunkConfig::Pointwise { .. } | TrunkConfig::ResNet(_)) {
            let problem = "features that are imputed are vectors, and this trunk reads maps: use { kind = \"mlp\", .. } or \"sum\"";
            return Err(Error::config("network.trunk", problem));
        }
        let parameters = setup.parameters();
        let model = FusionModel::new(config.network(), schema, parameters.clone())?;
        // Of maps, the mean over positions.
        let widths = Widths(model.network().encoders().feature_shapes().iter().map(|shape| shape[0]).collect());
        let imputer = config.imputer(widths.clone(), &parameters)?;
        // What it holds is computed, not trained.
        parameters.set_learning_rate_factor("imputer.", 0.0);
        Ok(Self { model, widths, imputer })
    }

    /// The network's features side by side.
    fn features(&self, tensors: &[Option<Tensor>], samples: usize) -> Result<Vec<f32>> {
        let width = self.widths.total();
        let mut values = vec![0.0; samples * width];
        for (m, tensor) in tensors.iter().enumerate() {
            let Some(tensor) = tensor else { continue };
            let range = self.widths.of(m);
            let feature = pool(tensor)?.flatten_all()?.to_vec1::<f32>()?;
            for (row, feature) in values.chunks_exact_mut(width).zip(feature.chunks_exact(range.len())) {
                row[range.clone()].copy_from_slice(feature);
            }
        }
        Ok(values)
    }

    /// Fits the imputer to the features of samples.
    fn fit(&self, training: &HeldOut) -> Result<()> {
        let mut all = Features { values: Vec::new(), presence: Vec::new(), ids: Vec::new() };
        for batch in training.batches() {
            let batch = batch?;
            let encoded = self.model.encode(batch.inputs())?;
            all.values.extend(self.features(&encoded.tensors, batch.len())?);
            all.presence.extend(batch.presence().subsets());
            all.ids.extend(batch.ids());
        }
        self.imputer.fit(&all)
    }
}

impl Model for ImputedModel {
    fn schema(&self) -> &Schema {
        self.model.schema()
    }

    fn parameters(&self) -> &Parameters {
        self.model.parameters()
    }

    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        self.model.encode(inputs)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        let kept = keep_encoded(encoded, presence)?;
        if presence.subsets().iter().all(|&subset| subset == self.schema().modalities.full()) {
            return self.model.network().fuse(&kept, self.model.mode());
        }
        let samples = presence.len();
        let mut values = self.features(&kept, samples)?;
        self.imputer.fill(&mut values, presence.subsets())?;
        let all = Tensor::from_vec(values, (samples, self.widths.total()), self.parameters().device())?;
        let of_sensor = |m: usize| {
            let range = self.widths.of(m);
            Ok(Some(all.narrow(1, range.start, range.len())?.contiguous()?))
        };
        let filled = (0..self.widths.sensors()).map(of_sensor).collect::<Result<Vec<_>>>()?;
        Ok(self.model.network().fuse(&filled, self.model.mode())?.detach())
    }

    fn freeze(&mut self) {
        self.model.freeze();
    }
}

/// Trains a network on what samples have and then fits what fills absent features.
pub struct Imputed {
    missing: MissingPattern,
    model: ImputedModel,
}

impl Imputed {
    pub(crate) fn new(config: &impl Imputing, setup: &Setup) -> Result<Self> {
        Ok(Self { missing: config.missing().clone(), model: ImputedModel::new(config, setup)? })
    }
}

impl Method for Imputed {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let (schema, network) = (self.model.schema(), self.model.model.network());
        let drawn = self.missing.draw_batch(batch.presence(), batch, schema, &step.draws("missing"))?;
        let output = network.forward(batch.inputs(), &drawn, Mode::Train)?;
        Ok(Losses::new("task", schema.target.task().loss(&output.prediction, batch.targets())?))
    }

    fn after_training(&mut self, training: &HeldOut) -> Result<()> {
        self.model.fit(training)
    }

    fn check_samples(&self, train: &Presence, _validation: &Presence) -> Result<()> {
        self.missing.check_samples(train, &self.model.schema().modalities)
    }
}

/// The parts of a [`Recipe`] that both imputations share.
macro_rules! recipe {
    ($config:ty, $family:literal) => {
        impl Recipe for $config {
            const FAMILY: &'static str = $family;
            type Model = ImputedModel;
            type Method = Imputed;

            fn model(&self, setup: &Setup) -> Result<ImputedModel> {
                self.check()?;
                ImputedModel::new(self, setup)
            }

            fn method(&self, setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<Imputed> {
                self.check()?;
                Imputed::new(self, setup)
            }

            fn network(&self) -> &NetworkConfig {
                &self.network
            }

            fn network_mut(&mut self) -> &mut NetworkConfig {
                &mut self.network
            }

            fn validate(&self) -> Result<()> {
                self.network.validate()?;
                self.check()
            }

            fn check_samples(&self, modalities: &Modalities, train: &Presence, _validation: &Presence) -> Result<()> {
                self.missing.check_samples(train, modalities)
            }
        }
    };
}

recipe!(NearestConfig, "knn-imputation");
recipe!(RegressionConfig, "regression-imputation");
