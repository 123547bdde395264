//! The method where every pixel has a class: the task at all scales, the adaptation on some pixels of three features, and the reconstruction.

use crate::adaptation::{KERNEL_MUL, KERNEL_NUM, warm_up};
use crate::balance::Uncertainties;
use crate::teaching::{Complete, Counts, FEW, finite_rows};
use crate::{
    Adaptation, Balance, DenseCompletionModel, DenseTranslated, DenseTranslationModel, ModDistillConfig, TranslatedMaps, TranslationConfig,
    maximum_mean_discrepancy, reconstruction_of_maps,
};
use candle_core::Tensor;
use mm_core::data::{Batch, Inputs};
use mm_core::model::Output;
use mm_core::nn::{Mode, Parameters};
use mm_core::recipe::{Recipe, Setup};
use mm_core::task::Task;
use mm_core::teacher::{CachedTeacher, Teacher};
use mm_core::train::{HeldOut, Losses, Method, Step};
use mm_core::{Error, Model, Presence, Result, Subset, rng};
use rand::RngExt;

/// The model of either mode.
pub(crate) enum DenseStudent {
    /// All available sensors are there.
    Translation(DenseTranslationModel),
    /// Any of them may be missing.
    Completion(DenseCompletionModel),
}

impl DenseStudent {
    /// The configured network; what only training needs is made in `training`, or not at all.
    pub fn new(config: &ModDistillConfig, setup: &Setup, training: Option<&Parameters>) -> Result<Self> {
        check_options(config)?;
        let (schema, parameters) = (setup.schema(), setup.parameters());
        let dense = config.network.dense.clone().unwrap_or_default();
        let available = config.available_subset(&schema.modalities)?;
        Ok(match config.robust {
            true => Self::Completion(DenseCompletionModel::new(config, &dense, schema, parameters, training)?),
            false => {
                let classes = schema.target.classes();
                Self::Translation(DenseTranslationModel::new(&dense, schema, available, classes, parameters, training)?)
            }
        })
    }

    /// As a model.
    pub fn into_model(self) -> Box<dyn Model> {
        match self {
            Self::Translation(model) => Box::new(model),
            Self::Completion(model) => Box::new(model),
        }
    }

    fn as_model(&self) -> &dyn Model {
        match self {
            Self::Translation(model) => model,
            Self::Completion(model) => model,
        }
    }
}

/// Refuses options that say nothing where every pixel has a class.
fn check_options(config: &ModDistillConfig) -> Result<()> {
    let default = TranslationConfig::default();
    let refused = [
        (
            "adaptation",
            config.adaptation == Adaptation::Joint,
            "`joint` pairs a feature with a prediction, and maps of features are coarser",
        ),
        ("two_stage", config.two_stage, "the branches are trained in one stage only"),
        ("no_ctn", config.no_ctn, "the maps are always cross-translated"),
        ("translation", config.translation != default, "maps are translated in the published form"),
    ];
    match refused.into_iter().find(|(_, set, _)| *set) {
        Some((field, _, why)) => Err(Error::config(field, format!("has no form where every pixel has a class ({why}): leave it out"))),
        None => Ok(()),
    }
}

/// One-stage modality distillation where every pixel has a class.
///
/// The adaptation takes from the teacher its features (two skips and the context) and its prediction: at most `mmd_pixels` pixels of each
/// feature, drawn for each step, and the softened prediction at full scale, or at all scales where the teacher hands out side outputs. Each
/// restored branch is aligned with the same teacher; their mean counts.
pub struct DenseModDistill {
    config: ModDistillConfig,
    model: DenseStudent,
    /// What the restored branches predict with, and `balance.*`.
    training: Parameters,
    teacher: Box<dyn Teacher>,
    teacher_sees: Subset,
    uncertainties: Option<Uncertainties>,
    /// Of this epoch.
    counts: Counts,
}

impl DenseModDistill {
    /// A model to be trained with the help of `teacher`, which was trained on what [`ModDistillConfig::teacher`] says.
    pub fn new(config: ModDistillConfig, setup: &Setup, teacher: impl Teacher + 'static) -> Result<Self> {
        config.validate()?;
        let training = setup.parameters();
        let predicts_alone = !config.no_ja && config.lambda_ja > 0.0 || config.lambda_r > 0.0;
        let model = DenseStudent::new(&config, setup, predicts_alone.then_some(&training))?;
        let teacher_sees = config.teacher_subset(&setup.schema().modalities)?;
        let teacher: Box<dyn Teacher> = match config.cache_teacher {
            true => Box::new(CachedTeacher::with_budget(Box::new(teacher), config.teacher_cache_mib)),
            false => Box::new(teacher),
        };
        let uncertainties = match config.balance {
            Balance::Fixed => None,
            Balance::Uncertainty => Some(Uncertainties::new(training.builder().pp("balance"))?),
        };
        Ok(Self { config, model, training, teacher, teacher_sees, uncertainties, counts: Counts::default() })
    }

    fn forward(&self, batch: &Batch, step: &Step) -> Result<DenseTranslated> {
        let inputs = batch.inputs();
        match &self.model {
            DenseStudent::Translation(model) => {
                let rows: Vec<u32> = (0..batch.len() as u32).collect();
                let available = model.available_maps(inputs, &rows)?;
                model.network().forward(&available.ok_or(mm_core::ModalityError::NothingInBatch)?, Mode::Train)
            }
            DenseStudent::Completion(model) => {
                let drawn =
                    self.config.missing.draw_batch(&model.usable(batch.presence())?, batch, model.schema(), &step.draws("missing"))?;
                model.forward(inputs, &drawn, Mode::Train)
            }
        }
    }

    /// The joint adaptation on the complete samples, `None` if there is nothing to align with.
    fn adaptation(
        &mut self,
        task: &dyn Task,
        inputs: &Inputs,
        complete: &Complete,
        restored: &[Output],
        step: &Step,
    ) -> Result<Option<Tensor>> {
        self.counts.thin_batches += usize::from(complete.rows.len() < FEW);
        if complete.is_empty() || restored.is_empty() {
            return Ok(None);
        }
        let taught = self.teacher.teach(&complete.inputs(inputs, self.teacher_sees)?)?.detach();
        let finite = finite_rows(&taught)?;
        self.counts.not_finite += finite.batch - finite.rows.len();
        if finite.is_empty() {
            return Ok(None);
        }
        let taught = select(&taught, &finite)?;
        mean_of(restored.iter().map(|branch| {
            let branch = select(&select(branch, complete)?, &finite)?;
            self.align(task, &branch, &taught, step)
        }))
    }

    /// `alpha Σ_features MMD² + beta T² Σ_scales KL`.
    fn align(&self, task: &dyn Task, restored: &Output, taught: &Output, step: &Step) -> Result<Tensor> {
        let config = &self.config;
        if restored.features.len() != taught.features.len() {
            let expected = format!("{} maps, as the student's; give both the same `network`", restored.features.len());
            return Err(Error::shape("teacher's features", expected, taught.features.len()));
        }
        if restored.prediction.dims() != taught.prediction.dims() {
            let expected = format!("{:?}, as the student's", restored.prediction.dims());
            return Err(Error::shape("teacher's prediction", expected, taught.prediction.dims()));
        }
        let mut term = (task.distillation(&restored.prediction, &taught.prediction, config.temperature)? * config.beta)?;
        // A model hands out side outputs in training only: a teacher mostly has none.
        for (student, teacher) in restored.side.iter().zip(&taught.side) {
            term = (term + (task.distillation(student, teacher, config.temperature)? * config.beta)?)?;
        }
        for (i, (r, p)) in restored.features.iter().zip(&taught.features).enumerate() {
            if r.dims() != p.dims() {
                let expected = format!("{:?}, as the teacher's; give both the same `network`", p.dims());
                return Err(Error::shape("restored feature", expected, r.dims()));
            }
            let (batch, _, height, width) = r.dims4()?;
            let indices = [step.epoch as u64, step.step as u64, i as u64];
            let chosen = some_of(batch * height * width, config.mmd_pixels, &mut rng::stream(step.seed, "mmd pixels", &indices));
            let chosen = Tensor::from_slice(&chosen, chosen.len(), r.device())?;
            let rows = |map: &Tensor| map.permute((0, 2, 3, 1))?.flatten(0, 2)?.index_select(&chosen, 0);
            let discrepancy = maximum_mean_discrepancy(&rows(r)?, &rows(p)?, KERNEL_MUL, KERNEL_NUM)?;
            term = (term + (discrepancy * config.alpha)?)?;
        }
        Ok(term)
    }
}

/// `count` different numbers below `all` in ascending order, or all of them.
fn some_of(all: usize, count: usize, random: &mut rng::Rng) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..all as u32).collect();
    for i in 0..count.min(all) {
        numbers.swap(i, random.random_range(i..all));
    }
    numbers.truncate(count);
    numbers.sort_unstable();
    numbers
}

/// The mean of some scalars, if there are any.
fn mean_of(terms: impl ExactSizeIterator<Item = Result<Tensor>>) -> Result<Option<Tensor>> {
    let count = terms.len() as f64;
    let sum = terms.reduce(|sum, term| Ok((sum? + term?)?)).transpose()?;
    Ok(sum.map(|sum| sum * (1.0 / count)).transpose()?)
}

fn select(output: &Output, rows: &Complete) -> Result<Output> {
    let each = |tensors: &[Tensor]| tensors.iter().map(|tensor| rows.of(tensor)).collect::<Result<Vec<_>>>();
    Ok(Output { prediction: rows.of(&output.prediction)?, features: each(&output.features)?, side: each(&output.side)? })
}

impl Method for DenseModDistill {
    /// `CE(z, y) + lambda_ja λ(p) L_JA + lambda_rec L_rec + lambda_r CE(z_r, y)`, cross entropies at all scales.
    ///
    /// Samples that lack something that the teacher sees have only cross entropies.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let task = self.model.as_model().schema().target.clone();
        let task = task.task();
        let DenseTranslated { fused, restored, translated } = self.forward(batch, step)?;
        let complete = Complete::new(batch.presence(), self.teacher_sees);
        let mut terms = vec![("task", 1.0, task.loss_of_scales(&fused.prediction, &fused.side, batch.targets())?)];
        if self.config.lambda_rec > 0.0 && !complete.is_empty() {
            let each = |tensors: &[Tensor]| tensors.iter().map(|tensor| complete.of(tensor)).collect::<Result<Vec<_>>>();
            let of = |depth: &TranslatedMaps| Ok(TranslatedMaps { maps: each(&depth.maps)?, joints: each(&depth.joints)? });
            let depths = translated.iter().map(of).collect::<Result<Vec<_>>>()?;
            terms.push(("rec", self.config.lambda_rec, reconstruction_of_maps(&depths)?));
        }
        if !self.config.no_ja
            && self.config.lambda_ja > 0.0
            && let Some(ja) = self.adaptation(task, batch.inputs(), &complete, &restored, step)?
        {
            terms.push(("ja", self.config.lambda_ja * warm_up(step.progress(), self.config.warm_up), ja));
        }
        if self.config.lambda_r > 0.0 {
            let loss = |output: &Output| task.loss_of_scales(&output.prediction, &output.side, batch.targets());
            if let Some(mean) = mean_of(restored.iter().map(loss))? {
                terms.push(("restored_task", self.config.lambda_r, mean));
            }
        }
        match &self.uncertainties {
            Some(uncertainties) => uncertainties.balance(terms),
            None => Ok(terms.into_iter().fold(Losses::default(), |losses, (name, weight, value)| losses.with(name, weight, value))),
        }
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.config.check_samples(&self.model.as_model().schema().modalities, train, validation)
    }

    fn end_of_epoch(&mut self, epoch: usize, _held_out: &HeldOut) -> Result<Vec<String>> {
        // The samples are the same in every epoch: once is enough.
        let remarks = if epoch == 0 { self.counts.remarks() } else { Vec::new() };
        self.counts = Counts::default();
        Ok(remarks)
    }

    fn model(&self) -> &dyn Model {
        self.model.as_model()
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        self.model.into_model()
    }

    fn training_parameters(&self) -> Option<&Parameters> {
        Some(&self.training)
    }

    fn state(&self) -> serde_json::Value {
        // A struct of numbers always serialises.
        serde_json::to_value(self.counts).unwrap_or_default()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        self.counts = serde_json::from_value(state.clone()).map_err(Error::state("counts"))?;
        Ok(())
    }
}
