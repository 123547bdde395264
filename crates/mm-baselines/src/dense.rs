//! One network that predicts every pixel from all combinations: full-only training, modality dropout, mean imputation, logit distillation.

use crate::fusion::usable;
use crate::model::choose;
use crate::{FusionConfig, Imputation};
use candle_core::{DType, Tensor};
use mm_core::data::{Batch, Inputs, Schema};
use mm_core::dense::DenseModel;
use mm_core::model::{Encoded, Output};
use mm_core::nn::{Mode, Parameters};
use mm_core::recipe::{Recipe, Setup};
use mm_core::teacher::{CachedTeacher, Teacher};
use mm_core::train::{Losses, Method, Step};
use mm_core::{Error, ModalityError, Model, Presence, Result, Subset};

/// A network for every pixel that reads the modalities it was trained on, with zeros or the maps of the training mean in place of what is
/// absent.
pub struct DenseBaseline {
    model: DenseModel,
    /// The modalities that training knows.
    reads: Subset,
    imputation: Imputation,
}

impl DenseBaseline {
    pub(crate) fn new(config: &FusionConfig, setup: &Setup) -> Result<Self> {
        let schema = setup.schema();
        config.missing.check(&schema.modalities)?;
        let reads = config.missing.fixed(&schema.modalities)?.unwrap_or(schema.modalities.full());
        let dense = config.network.dense.clone().unwrap_or_default();
        let model = DenseModel::new(&dense, schema, schema.target.classes(), setup.parameters())?;
        Ok(Self { model, reads, imputation: config.imputation })
    }

    /// The model without what it does about absent sensors.
    pub fn network(&self) -> &DenseModel {
        &self.model
    }

    fn read_all(&self, presence: &Presence) -> Result<Presence> {
        let read = |&subset: &Subset| -> Result<Subset> {
            subset.intersection(self.reads).ok_or_else(|| {
                let [has, reads] = [subset, self.reads].map(|subset| self.schema().modalities.format(subset));
                ModalityError::NotRead { sample: None, has, reads, all: false }.into()
            })
        };
        Ok(Presence::new(presence.subsets().iter().map(read).collect::<Result<_>>()?))
    }

    /// What the encoders make of inputs of zeros, which are the training mean after standardisation: of one sample.
    fn of_mean(&self, inputs: &Inputs) -> Result<Encoded> {
        let schema = self.schema();
        let sizes = schema.inputs.iter().enumerate().map(|(m, input)| {
            // The size of what is there: sensors of one batch have one size, which may be another than the schema's.
            let given = inputs.readings().iter().flatten().next().map(|reading| reading.values.dims()[2..].to_vec());
            let size = inputs.at(m).map(|reading| reading.values.dims()[2..].to_vec()).or(given).unwrap_or(input.shape[1..].to_vec());
            let dims: Vec<usize> = [1, input.shape[0]].into_iter().chain(size).collect();
            Ok(Some(Tensor::zeros(dims, DType::F32, inputs.device())?))
        });
        let full = Presence::uniform(schema.modalities.full(), 1);
        let zeros = Inputs::new(&schema.modalities, sizes.collect::<Result<Vec<_>>>()?, full, vec![0])?;
        self.model.encode(&zeros)
    }
}

impl Model for DenseBaseline {
    fn schema(&self) -> &Schema {
        self.model.schema()
    }

    fn parameters(&self) -> &Parameters {
        self.model.parameters()
    }

    /// With mean imputation, what the encoders make of the mean comes behind that of the samples.
    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        let mut encoded = self.model.encode(&inputs.with_presence(self.read_all(inputs.presence())?)?)?;
        if self.imputation == Imputation::Mean {
            let mean = self.of_mean(inputs)?;
            encoded.encoder_passes += mean.encoder_passes;
            encoded.tensors.extend(mean.tensors);
        }
        Ok(encoded)
    }

    fn fuse(&self, encoded: &Encoded, presence: &Presence) -> Result<Output> {
        let presence = &self.read_all(presence)?;
        encoded.check(presence)?;
        if self.imputation == Imputation::ZeroFeature {
            return self.model.fuse(encoded, presence);
        }
        let (own, means) = encoded.tensors.split_at(encoded.tensors.len() / 2);
        // Sensor by sensor as many maps, and then the size of the inputs.
        let maps = own.len().saturating_sub(1) / self.schema().modalities.len().max(1);
        let chosen = own.iter().zip(means).enumerate().map(|(i, (own, mean))| match mean {
            Some(mean) if i + 1 < means.len() => choose(own.as_ref(), mean, presence, i / maps.max(1)).map(Some),
            _ => Ok(own.clone()),
        });
        let full = Presence::uniform(self.schema().modalities.full(), presence.len());
        let chosen = Encoded { tensors: chosen.collect::<Result<_>>()?, presence: full.clone(), encoder_passes: encoded.encoder_passes };
        self.model.fuse(&chosen, &full)
    }

    fn reads(&self) -> Subset {
        self.reads
    }

    fn supports(&self, subset: Subset) -> bool {
        subset.intersection(self.reads).is_some()
    }

    fn freeze(&mut self) {
        self.model.freeze();
    }
}

/// A network for every pixel trained with the task's loss at all its scales.
pub struct DenseFusion {
    config: FusionConfig,
    model: DenseBaseline,
    teacher: Option<CachedTeacher>,
}

impl DenseFusion {
    /// A network to be trained.
    pub fn new(config: FusionConfig, setup: &Setup, teacher: Option<Box<dyn Teacher>>) -> Result<Self> {
        let teacher = match &config.distillation {
            Some(distillation) => Some(CachedTeacher::with_budget(FusionConfig::need(teacher)?, distillation.teacher_cache_mib)),
            None => None,
        };
        Ok(Self { model: DenseBaseline::new(&config, setup)?, config, teacher })
    }
}

impl Method for DenseFusion {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let Some(batch) = usable(batch, &self.model)? else { return Ok(Losses::default()) };
        let (schema, inputs) = (self.model.schema(), batch.inputs());
        let drawn = self.config.missing.draw_batch(batch.presence(), &batch, schema, &step.draws("missing"))?;
        let output = self.model.network().network().forward(inputs, &drawn, Mode::Train)?;
        let task = schema.target.task();
        let losses = Losses::new("task", task.loss_of_scales(&output.prediction, &output.side, batch.targets())?);
        let Some(distillation) = &self.config.distillation else { return Ok(losses) };
        let teacher = self.teacher.as_ref().ok_or_else(|| Error::config("distillation", "needs a teacher"))?;
        let taught = teacher.teach(inputs)?.prediction;
        Ok(losses.with("distillation", distillation.weight, task.distillation(&output.prediction, &taught, distillation.temperature)?))
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.config.check_samples(&self.model.schema().modalities, train, validation)
    }
}
