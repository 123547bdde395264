//! The method as a whole: two branches, their fusion, the teacher, and when each acts.

use crate::adaptation::warm_up;
use crate::branch::{Branches, Pair};
use crate::fusion::Fusion;
use crate::teaching::{Complete, Teaching};
use crate::{ModDistillBuilder, ModDistillConfig, reconstruction};
use candle_core::Tensor;
use mm_core::data::{Batch, Schema};
use mm_core::loss::cross_entropy;
use mm_core::nn::{Mode, Parameters};
use mm_core::predict::{Predictions, Predictor};
use mm_core::train::{HeldOut, Losses, Method, Step};
use mm_core::{Error, Presence, Result, Subset};

/// The head of the restored branch, which only training has.
pub(crate) const RESTORED_HEAD: &str = "restored_head";
/// The uncertainties of the terms, which only training has.
pub(crate) const BALANCE: &str = "balance";

/// One-stage modality distillation: `A → {own branch, restored branch} → cross translation → trunk → head`.
///
/// Predicts from combinations that hold all available modalities `A` and ignores all other modalities; in robust mode from every
/// combination that holds one of them.
pub struct ModDistill {
    pub(crate) config: ModDistillConfig,
    pub(crate) schema: Schema,
    pub(crate) available: Subset,
    pub(crate) parameters: Parameters,
    pub(crate) branches: Branches,
    pub(crate) fusion: Fusion,
    pub(crate) teaching: Option<Teaching>,
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
    /// A builder for data of this schema.
    pub fn builder(schema: Schema) -> ModDistillBuilder {
        ModDistillBuilder::new(schema)
    }

    /// The modalities that the deployed model reads.
    pub fn available(&self) -> Subset {
        self.available
    }

    /// What each sample has of the available modalities: all of them, or in robust mode at least one.
    fn usable(&self, presence: &Presence) -> Result<Presence> {
        let usable = |(sample, has): (usize, &Subset)| match has.intersection(self.available) {
            Some(usable) if self.supports(*has) => Ok(usable),
            _ => Err(Error::Modality(format!(
                "sample {sample} of the batch has {}, but this model reads {}{}",
                self.schema.modalities.format(*has),
                self.schema.modalities.format(self.available),
                if self.config.robust { " (at least one of them)" } else { "; leave the sample out, or set `robust`" }
            ))),
        };
        Ok(Presence::new(presence.subsets().iter().enumerate().map(usable).collect::<Result<_>>()?))
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
        let fused = self.fusion.forward(&pair.restored, &pair.own, Mode::Train)?;
        terms.push(("task", 1.0, cross_entropy(&fused.logits, &batch.labels)?));
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

impl Predictor for ModDistill {
    fn predict(&self, batch: &Batch) -> Result<Tensor> {
        let pair = self.branches.forward(batch, &self.usable(&batch.presence)?, Mode::Eval, Mode::Eval)?;
        self.fusion.predict(&pair)
    }

    /// Modalities that are not available are ignored, so many combinations share one prediction.
    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        let usable = |&subset: &Subset| match subset.intersection(self.available) {
            Some(usable) if self.supports(subset) => Ok(usable),
            _ => Err(Error::Modality(format!(
                "this model reads {}, which is not all in {}",
                self.schema.modalities.format(self.available),
                self.schema.modalities.format(subset)
            ))),
        };
        let wanted: Vec<Subset> = subsets.iter().map(usable).collect::<Result<_>>()?;
        let mut distinct = wanted.clone();
        distinct.sort();
        distinct.dedup();
        let pairs = self.branches.combinations(batch, &distinct)?;
        let logits: Vec<Tensor> = pairs.iter().map(|pair| self.fusion.predict(pair)).collect::<Result<_>>()?;
        let each: Vec<&Tensor> = wanted.iter().filter_map(|s| distinct.binary_search(s).ok().and_then(|i| logits.get(i))).collect();
        if each.is_empty() {
            return Err(Error::Modality("no combination was asked for".into()));
        }
        Ok(Predictions { logits: Tensor::stack(&each, 0)?, encoder_passes: self.branches.encoder_passes() })
    }

    /// Combinations that hold all available modalities; in robust mode, at least one of them.
    fn supports(&self, subset: Subset) -> bool {
        self.config.can_use(subset, self.available)
    }
}

impl Method for ModDistill {
    /// `CE(z, y) + lambda_ja λ(p) L_JA + lambda_rec L_rec + lambda_r CE(z_r, y)`, all in one step.
    ///
    /// Samples that lack something that the teacher sees have only cross entropies.
    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let Some(teacher_sees) = self.teaching.as_ref().map(|t| t.teacher_sees) else {
            return Err(Error::config("teacher", "this model was built for prediction: build it with a teacher to train it"));
        };
        let stage = self.stage(step);
        let mut presence = self.usable(&batch.presence)?;
        if self.config.robust {
            presence = self.config.missing.draw(&presence, &self.schema.modalities, &mut step.rng("missing"))?;
        }
        let complete = Complete::new(&batch.presence, teacher_sees);
        let mut terms = Terms::new();
        let restored = match stage {
            Stage::Transfer => self.branches.restored(batch, &presence, Mode::Train)?,
            Stage::Joint => {
                let pair = self.branches.forward(batch, &presence, Mode::Train, Mode::Train)?;
                self.fusion_terms(batch, &pair, &complete, &mut terms)?;
                pair.restored
            }
            Stage::Fusion => {
                let mut pair = self.branches.forward(batch, &presence, Mode::Train, Mode::Eval)?;
                pair.restored = pair.restored.detach();
                self.fusion_terms(batch, &pair, &complete, &mut terms)?;
                pair.restored
            }
        };
        let (adapts, config) = (self.adapts(), &self.config);
        let Some(teaching) = &mut self.teaching else { return Ok(Losses::default()) };
        if stage != Stage::Fusion && (adapts || config.lambda_r > 0.0) {
            let restored = teaching.restored(&restored)?;
            if adapts && let Some(ja) = teaching.adaptation(config, batch, &complete, &restored)? {
                terms.push(("ja", config.lambda_ja * warm_up(step.progress(), config.warm_up), ja));
            }
            // Where transfer alone finds nothing to align with, the term stands in with its weight, which may be 0.
            if config.lambda_r > 0.0 || terms.is_empty() {
                terms.push(("restored_task", config.lambda_r, cross_entropy(&restored.logits, &batch.labels)?));
            }
        }
        match &teaching.uncertainties {
            Some(uncertainties) => uncertainties.balance(terms),
            None => Ok(terms.into_iter().fold(Losses::default(), |losses, (name, weight, value)| losses.with(name, weight, value))),
        }
    }

    fn check_samples(&self, train: &Presence, _validation: &Presence) -> Result<()> {
        self.config.check_samples(&self.schema.modalities, train)
    }

    fn end_of_epoch(&mut self, epoch: usize, _held_out: &HeldOut) -> Result<Vec<String>> {
        let Some(teaching) = &mut self.teaching else { return Ok(Vec::new()) };
        // The samples are the same in every epoch: once is enough.
        let remarks = if epoch == 0 { teaching.remarks() } else { Vec::new() };
        teaching.counts = Default::default();
        Ok(remarks)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn is_deployed(&self, name: &str) -> bool {
        ![RESTORED_HEAD, BALANCE].iter().any(|only_training| name.starts_with(only_training))
    }
}
