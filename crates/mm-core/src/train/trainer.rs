//! The training loop, to be read from top to bottom.

use super::checkpoint::{Checkpoint, State, latest};
use super::{CheckpointConfig, HeldOut, Losses, Method, Progress, Selection, Step, TrainConfig};
use crate::data::{Batch, Dataset, InputKind, augment, epoch_batches};
use crate::error::{Error, Result};
use crate::eval::{default_combinations, evaluate_combinations};
use crate::modality::Presence;
use crate::optim::{Optimizer, Schedule, clip_gradient_norm};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

/// Samples per batch where no gradient is needed.
const EVALUATION_BATCH: usize = 512;

/// One epoch of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochLog {
    /// From 0.
    pub epoch: usize,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Mean over the steps of each named term.
    pub losses: BTreeMap<String, f64>,
    /// Mean validation accuracy over combinations, where it was measured.
    pub validation_accuracy: Option<f64>,
}

/// What a training run leaves besides the trained method.
#[derive(Debug, Clone)]
pub struct TrainOutcome {
    /// One entry an epoch.
    pub history: Vec<EpochLog>,
    /// Optimizer steps.
    pub steps: u64,
    /// Wall clock of this process, in seconds.
    pub seconds: f64,
    /// Epoch whose weights the method now has.
    pub selected_epoch: usize,
    /// Remarks of the method and of the loop.
    pub notes: Vec<String>,
}

/// Trains `method` on the rows `train` of a data set; `validation` rows serve mining and model selection.
///
/// With a checkpoint folder the run is saved as it goes, and taken up where the newest checkpoint left it; a resumed run
/// equals an uninterrupted one bit for bit.
pub fn fit(
    method: &mut dyn Method,
    dataset: &dyn Dataset,
    train: &[usize],
    validation: &[usize],
    config: &TrainConfig,
    checkpoints: Option<&CheckpointConfig>,
    progress: &Progress,
) -> Result<TrainOutcome> {
    config.validate()?;
    let started = Instant::now();
    let device = method.parameters().device().clone();
    let batches_per_epoch = epoch_batches(train, config.batch_size, train.len() >= config.batch_size, config.seed, 0).len();
    if batches_per_epoch == 0 || train.len() < 2 {
        return Err(Error::Data(format!("{} training samples are too few", train.len())));
    }
    if validation.is_empty() && config.validates_after(0) {
        return Err(Error::config("train.select", "model selection and early stopping need validation samples, and there are none"));
    }
    if !config.augment.is_off() && dataset.schema().inputs.iter().all(|input| input.kind != InputKind::Image) {
        return Err(Error::config("train.augment", "transforms images, and no modality of this data set is one"));
    }
    let presence = |rows: &[usize]| Presence::new(rows.iter().map(|&row| dataset.presence(row)).collect());
    method.check_samples(&presence(train), &presence(validation))?;
    let schedule = Schedule::new(config.schedule.clone(), config.learning_rate, config.epochs, batches_per_epoch)?;
    let clip_norm = config.clip_norm.or_else(|| method.clip_norm()).filter(|norm| *norm > 0.0);
    let combinations = default_combinations(dataset.schema().modalities.len(), config.seed);
    let held_out = HeldOut { dataset, rows: validation, batch_size: EVALUATION_BATCH, device: &device };

    let mut run = Run::start(method, config, checkpoints)?;
    let mut last_save = Instant::now();
    while run.epochs_done < config.epochs && !run.out_of_patience(config) {
        let epoch = run.epochs_done;
        let mut means = Means::default();
        let mut learning_rate = 0.0;
        // The last, smaller batch is dropped where there is a whole one.
        let batches = epoch_batches(train, config.batch_size, train.len() >= config.batch_size, config.seed, epoch as u64);
        for (i, rows) in batches.iter().enumerate() {
            let step = Step { seed: config.seed, epoch, epochs: config.epochs, step: i, steps: batches.len() };
            let mut batch = dataset.batch(rows, &device)?;
            if !config.augment.is_off() {
                batch = augment(&batch, &config.augment, config.seed, epoch as u64)?;
            }
            let losses = method.loss(&batch, &step)?;
            if losses.is_empty() {
                run.skipped_steps += 1;
                continue;
            }
            let total = losses.total()?;
            means.add(&losses, &total, &step, &batch)?;
            let mut gradients = total.backward()?;
            if let Some(norm) = clip_norm {
                clip_gradient_norm(method.parameters(), &mut gradients, norm)?;
            }
            learning_rate = schedule.rate(epoch * batches.len() + i);
            run.optimizer.step(method.parameters(), &gradients, learning_rate)?;
        }
        for note in method.end_of_epoch(epoch, &held_out)? {
            tracing::info!(epoch, "{note}");
            run.notes.push(note);
        }
        let mut validation_accuracy = None;
        // An ensemble whose members have not had a usable batch yet supports nothing.
        if config.validates_after(epoch) && combinations.iter().any(|subset| method.supports(*subset)) {
            let evaluation = evaluate_combinations(&*method, dataset, validation, &combinations, EVALUATION_BATCH, &device)?;
            if evaluation.combinations.is_empty() {
                return Err(Error::Data("no validation sample has a combination that the model can predict from".into()));
            }
            validation_accuracy = Some(evaluation.mean_accuracy());
            run.take_score(method, epoch, evaluation.mean_accuracy(), config)?;
        }
        let log = EpochLog { epoch, learning_rate, losses: means.finish(), validation_accuracy };
        tracing::info!(epoch, learning_rate, losses = ?log.losses, validation_accuracy, "epoch done");
        progress.set(epoch + 1, log.losses.get("total").map(|l| format!("loss {l:.4}")).unwrap_or_default());
        run.history.push(log);
        run.epochs_done = epoch + 1;
        if let Some(checkpoints) = checkpoints
            && last_save.elapsed().as_secs_f64() >= checkpoints.every_seconds
        {
            run.checkpoint(method, checkpoints)?.save(&checkpoints.folder)?;
            last_save = Instant::now();
        }
    }
    progress.finish();
    run.finish(method, config, started.elapsed().as_secs_f64())
}

/// The state of a run between two epochs.
struct Run {
    optimizer: Optimizer,
    epochs_done: usize,
    best: Option<(usize, f64)>,
    best_values: Option<BTreeMap<String, Tensor>>,
    validations_since_best: usize,
    skipped_steps: u64,
    history: Vec<EpochLog>,
    notes: Vec<String>,
}

impl Run {
    /// A fresh run, or the one of the newest checkpoint.
    fn start(method: &mut dyn Method, config: &TrainConfig, checkpoints: Option<&CheckpointConfig>) -> Result<Self> {
        let mut run = Self {
            optimizer: Optimizer::new(config.optimizer.clone())?,
            epochs_done: 0,
            best: None,
            best_values: None,
            validations_since_best: 0,
            skipped_steps: 0,
            history: Vec::new(),
            notes: Vec::new(),
        };
        let Some(checkpoints) = checkpoints else { return Ok(run) };
        let Some(path) = latest(&checkpoints.folder)? else { return Ok(run) };
        let saved = Checkpoint::load(&path, &checkpoints.fingerprint, method.parameters().device())?;
        method.parameters().restore(&saved.model, &path.join("model.safetensors"))?;
        let optimizer_path = path.join("optimizer.safetensors");
        run.optimizer.restore(method.parameters(), saved.optimizer, saved.state.optimizer_steps, &optimizer_path)?;
        method.restore(&saved.state.method)?;
        tracing::info!(epochs_done = saved.state.epochs_done, checkpoint = %path.display(), "resumed");
        run.epochs_done = saved.state.epochs_done;
        run.best = saved.state.best;
        run.best_values = saved.best;
        run.validations_since_best = saved.state.validations_since_best;
        run.skipped_steps = saved.state.skipped_steps;
        run.history = saved.state.history;
        run.notes = saved.state.notes;
        Ok(run)
    }

    fn out_of_patience(&self, config: &TrainConfig) -> bool {
        config.patience.is_some_and(|patience| self.validations_since_best >= patience)
    }

    fn take_score(&mut self, method: &dyn Method, epoch: usize, score: f64, config: &TrainConfig) -> Result<()> {
        if self.best.is_some_and(|(_, best)| score <= best) {
            self.validations_since_best += 1;
            return Ok(());
        }
        self.best = Some((epoch, score));
        self.validations_since_best = 0;
        if config.select == Selection::BestValidation {
            self.best_values = Some(method.parameters().snapshot()?);
        }
        Ok(())
    }

    fn checkpoint(&self, method: &dyn Method, checkpoints: &CheckpointConfig) -> Result<Checkpoint> {
        let state = State {
            fingerprint: checkpoints.fingerprint.clone(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            epochs_done: self.epochs_done,
            optimizer_steps: self.optimizer.steps(),
            best: self.best,
            validations_since_best: self.validations_since_best,
            skipped_steps: self.skipped_steps,
            history: self.history.clone(),
            notes: self.notes.clone(),
            method: method.state(),
        };
        let model = method.parameters().variables().into_iter().map(|(n, v)| (n, v.as_tensor().clone())).collect();
        Ok(Checkpoint { model, optimizer: self.optimizer.state(), best: self.best_values.clone(), state })
    }

    fn finish(mut self, method: &dyn Method, config: &TrainConfig, seconds: f64) -> Result<TrainOutcome> {
        let mut selected_epoch = self.epochs_done.saturating_sub(1);
        if let (Selection::BestValidation, Some((epoch, score)), Some(values)) = (config.select, self.best, &self.best_values) {
            method.parameters().restore(values, "the best epoch's weights".as_ref())?;
            selected_epoch = epoch;
            self.notes.push(format!("selected epoch {epoch} by mean validation accuracy {score:.4}"));
        }
        if self.epochs_done < config.epochs {
            self.notes.push(format!("stopped early after {} of {} epochs", self.epochs_done, config.epochs));
        }
        let steps = self.optimizer.steps();
        if steps == 0 {
            return Err(Error::Data("no batch of the whole training held samples that the method can learn from".into()));
        }
        if self.skipped_steps > 0 {
            self.notes.push(format!(
                "{} of {} steps were skipped: their batches held no samples that the method can learn from",
                self.skipped_steps,
                steps + self.skipped_steps
            ));
        }
        for note in method.remarks() {
            tracing::info!("{note}");
            self.notes.push(note);
        }
        Ok(TrainOutcome { history: self.history, steps, seconds, selected_epoch, notes: self.notes })
    }
}

/// Mean of each named loss term over an epoch, and the guard against NaN.
#[derive(Default)]
struct Means {
    sums: BTreeMap<String, f64>,
    steps: usize,
}

impl Means {
    fn add(&mut self, losses: &Losses, total: &Tensor, step: &Step, batch: &Batch) -> Result<()> {
        self.steps += 1;
        for (name, value) in losses.terms().chain([("total", total)]) {
            let value = f64::from(value.to_scalar::<f32>()?);
            if !value.is_finite() {
                let rows: Vec<String> = batch.rows.iter().take(8).map(u64::to_string).collect();
                return Err(Error::NonFinite(format!(
                    "loss term `{name}` is {value} at epoch {}, step {} (samples {}, ...); the last checkpoint is kept; try a lower learning rate or `clip_norm`",
                    step.epoch,
                    step.step,
                    rows.join(", ")
                )));
            }
            *self.sums.entry(name.to_string()).or_default() += value;
        }
        Ok(())
    }

    fn finish(self) -> BTreeMap<String, f64> {
        let steps = self.steps.max(1) as f64;
        self.sums.into_iter().map(|(name, sum)| (name, sum / steps)).collect()
    }
}
