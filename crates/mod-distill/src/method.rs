//! The method as a whole: the model, the teacher, and when each term acts.

use crate::adaptation::warm_up;
use crate::balance::Uncertainties;
use crate::branch::Pair;
use crate::teaching::{Complete, Counts, Teaching};
use crate::{Balance, ModDistillConfig, ModDistillModel, reconstruction};
use candle_core::Tensor;
use mm_core::data::Batch;
use mm_core::nn::{Mode, Parameters, linear};
use mm_core::recipe::{Recipe, Setup};
use mm_core::teacher::{CachedTeacher, Teacher};
use mm_core::train::{HeldOut, Losses, Method, Step};
use mm_core::{Error, Model, Presence, Result};

/// One-stage modality distillation: a model of what is available, taught by one that saw more.
pub struct ModDistill {
    config: ModDistillConfig,
    model: ModDistillModel,
    /// `restored_head.*`, `balance.*`.
    training: Parameters,
    teaching: Teaching,
}

/// Which part of the training a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// All terms at once.
    Joint,
    /// Ablation `two_stage`, first half: joint adaptation alone.
    Transfer,
    /// Ablation `two_stage`, second half: the task, with the restored branch frozen.
    Fusion,
}

/// Terms of the loss: name, weight and value.
type Terms = Vec<(&'static str, f64, Tensor)>;

impl ModDistill {
    /// A model to be trained with the help of `teacher`, which was trained on what [`ModDistillConfig::teacher`] says.
    pub fn new(config: ModDistillConfig, setup: &Setup, teacher: impl Teacher + 'static) -> Result<Self> {
        config.validate()?;
        let model = ModDistillModel::new(&config, setup)?;
        let teacher_sees = config.teacher_subset(&setup.schema().modalities)?;
        let teacher: Box<dyn Teacher> = match config.cache_teacher {
            true => Box::new(CachedTeacher::with_budget(Box::new(teacher), config.teacher_cache_mib)),
            false => Box::new(teacher),
        };
        let training = setup.parameters();
        let vb = training.builder();
        let head = linear(model.branches().feature_shape()[0], setup.schema().target.task().outputs(), vb.pp("restored_head"))?;
        let uncertainties = match config.balance {
            Balance::Fixed => None,
            Balance::Uncertainty => Some(Uncertainties::new(vb.pp("balance"))?),
        };
        let teaching = Teaching { teacher, teacher_sees, head, uncertainties, counts: Counts::default() };
        Ok(Self { config, model, training, teaching })
    }

    /// The deployed model.
    pub fn deployed(&self) -> &ModDistillModel {
        &self.model
    }

    fn stage(&self, step: &Step) -> Stage {
        match self.config.two_stage {
            false => Stage::Joint,
            true if step.epoch < step.epochs.div_ceil(2) => Stage::Transfer,
            true => Stage::Fusion,
        }
    }

    /// The terms behind the fusion: `CE(z, y)`, and the reconstruction on the complete samples.
    fn fusion_terms(&self, batch: &Batch, pair: &Pair, complete: &Complete, terms: &mut Terms) -> Result<()> {
        let fused = self.model.fusion().forward(&pair.restored, &pair.own, Mode::Train)?;
        terms.push(("task", 1.0, self.model.schema().target.task().loss(&fused.output.prediction, batch.targets())?));
        if let Some(mut translated) = fused.translated.filter(|_| self.config.lambda_rec > 0.0 && !complete.is_empty()) {
            translated.joint_restored = complete.of(&translated.joint_restored)?;
            translated.joint_available = complete.of(&translated.joint_available)?;
            let rec = reconstruction(&translated, &complete.of(&pair.restored)?, &complete.of(&pair.own)?)?;
            terms.push(("rec", self.config.lambda_rec, rec));
        }
        Ok(())
    }

    /// Whether the restored branch is aligned with the teacher.
    fn adapts(&self) -> bool {
        !self.config.no_ja && self.config.lambda_ja > 0.0
    }
}

impl Method for ModDistill {
    /// `CE(z, y) + lambda_ja λ(p) L_JA + lambda_rec L_rec + lambda_r CE(z_r, y)`, all in one step.
    ///
    /// Samples that lack something that the teacher sees have only cross entropies.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let stage = self.stage(step);
        let (inputs, branches) = (batch.inputs(), self.model.branches());
        let mut presence = self.model.usable(batch.presence())?;
        if self.config.robust {
            presence = self.config.missing.draw_batch(&presence, batch, self.model.schema(), &step.draws("missing"))?;
        }
        let complete = Complete::new(batch.presence(), self.teaching.teacher_sees);
        let mut terms = Terms::new();
        let restored = match stage {
            Stage::Transfer => branches.restored(inputs, &presence, Mode::Train)?,
            Stage::Joint => {
                let pair = branches.forward(inputs, &presence, Mode::Train, Mode::Train)?;
                self.fusion_terms(batch, &pair, &complete, &mut terms)?;
                pair.restored
            }
            Stage::Fusion => {
                let mut pair = branches.forward(inputs, &presence, Mode::Train, Mode::Eval)?;
                pair.restored = pair.restored.detach();
                self.fusion_terms(batch, &pair, &complete, &mut terms)?;
                pair.restored
            }
        };
        let (adapts, config, teaching) = (self.adapts(), &self.config, &mut self.teaching);
        let task = self.model.schema().target.task();
        if stage != Stage::Fusion && (adapts || config.lambda_r > 0.0) {
            let restored = teaching.restored(&restored)?;
            if adapts && let Some(ja) = teaching.adaptation(config, task, inputs, &complete, &restored)? {
                terms.push(("ja", config.lambda_ja * warm_up(step.progress(), config.warm_up), ja));
            }
            // Where transfer alone finds nothing to align with, the term stands in with its weight, which may be 0.
            if config.lambda_r > 0.0 || terms.is_empty() {
                terms.push(("restored_task", config.lambda_r, task.loss(&restored.prediction, batch.targets())?));
            }
        }
        match &teaching.uncertainties {
            Some(uncertainties) => uncertainties.balance(terms),
            None => Ok(terms.into_iter().fold(Losses::default(), |losses, (name, weight, value)| losses.with(name, weight, value))),
        }
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        self.config.check_samples(&self.model.schema().modalities, train, validation)
    }

    fn end_of_epoch(&mut self, epoch: usize, _held_out: &HeldOut) -> Result<Vec<String>> {
        // The samples are the same in every epoch: once is enough.
        let remarks = if epoch == 0 { self.teaching.remarks() } else { Vec::new() };
        self.teaching.counts = Counts::default();
        Ok(remarks)
    }

    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    fn training_parameters(&self) -> Option<&Parameters> {
        Some(&self.training)
    }

    fn state(&self) -> serde_json::Value {
        // A struct of numbers always serialises.
        serde_json::to_value(self.teaching.counts).unwrap_or_default()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        self.teaching.counts = serde_json::from_value(state.clone()).map_err(Error::state("counts"))?;
        Ok(())
    }
}
