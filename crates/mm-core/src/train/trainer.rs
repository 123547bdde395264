//! The training loop, to be read from top to bottom.

use super::checkpoint::{Checkpoint, State, latest};
use super::losses::Means;
use super::mixup;
use super::{BatchNorms, CheckpointConfig, EpochLog, HeldOut, Method, Observer, Selection, Step, TrainConfig, TrainOutcome, Unobserved};
use crate::data::{Batch, DataError, Loader, Loading, LossOptions, Shard, Source, Transform};
use crate::error::{Error, Result};
use crate::eval::{default_combinations, evaluate, evaluation_batch};
use crate::modality::Presence;
use crate::nn::{Parameters, backward};
use crate::optim::{Optimizer, Schedule, WeightAverage, clip_gradient_norm};
use crate::parallel::{self, Alone, Communicator, average, check_same, gather_batch, hash_of, hash_of_parameters};
use crate::task::Measure;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Trains methods.
///
/// With a checkpoint folder a run is saved as it goes, within epochs too, and taken up where the newest checkpoint left it; a resumed run
/// equals an uninterrupted one bit for bit.
#[derive(Clone)]
pub struct Trainer {
    config: TrainConfig,
    pub(super) checkpoints: Option<CheckpointConfig>,
    observer: Arc<dyn Observer>,
    loading: Option<Loading>,
    stop: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    communicator: Arc<dyn Communicator>,
    pub(super) device: Device,
}

impl Trainer {
    /// With these settings, without checkpoints.
    pub fn new(config: TrainConfig) -> Self {
        Self {
            config,
            checkpoints: None,
            observer: Arc::new(Unobserved),
            loading: None,
            stop: None,
            communicator: Arc::new(Alone),
            device: Device::Cpu,
        }
    }

    /// Saves runs and takes them up: a folder, or more.
    pub fn checkpoints(self, checkpoints: impl Into<CheckpointConfig>) -> Self {
        Self { checkpoints: Some(checkpoints.into()), ..self }
    }

    /// Tells somebody where a run is.
    pub fn observer(self, observer: impl Observer + 'static) -> Self {
        Self { observer: Arc::new(observer), ..self }
    }

    /// How far ahead batches are made; by default what suits the source. Changes no bit of a run.
    pub fn loading(self, loading: Loading) -> Self {
        Self { loading: Some(loading), ..self }
    }

    /// Asked before each step: where it says yes, the run saves a checkpoint, if it has a folder for them, and ends with
    /// [`Error::Stopped`]. The same run goes on from there. Several ranks are not asked: they would not stop at one step.
    pub fn stop_when(self, stop: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { stop: Some(Arc::new(stop)), ..self }
    }

    /// Trains together with other processes, each of which calls the same: all end with the same weights, and rank 0 writes the
    /// checkpoints. By default a process trains alone. Not for several trainings that run side by side on the threads of one pool.
    pub fn communicator(self, communicator: Arc<dyn Communicator>) -> Self {
        Self { communicator, ..self }
    }

    /// Where [`Trainer::fit`] builds a model and trains it; by default the CPU. [`Trainer::run`] trains a method where its weights are.
    pub fn device(self, device: &Device) -> Self {
        Self { device: device.clone(), ..self }
    }

    /// The settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Trains `method` on the rows `train` of a source; `validation` rows serve mining and model selection.
    pub fn run(&self, method: &mut dyn Method, source: &dyn Source, train: &[usize], validation: &[usize]) -> Result<TrainOutcome> {
        let mut transforms: Vec<Box<dyn Transform>> = Vec::new();
        if !self.config.augment.is_off() {
            transforms.push(Box::new(self.config.augment));
        }
        let synchronised = self.config.batch_norm == BatchNorms::Synchronised;
        let outcome =
            parallel::enter(&self.communicator, synchronised, || self.run_transformed(method, source, train, validation, &transforms));
        self.observer.finished();
        outcome
    }

    fn run_transformed(
        &self,
        method: &mut dyn Method,
        source: &dyn Source,
        train: &[usize],
        validation: &[usize],
        transforms: &[Box<dyn Transform>],
    ) -> Result<TrainOutcome> {
        let config = &self.config;
        config.check(source, validation)?;
        let started = Instant::now();
        let parameters = method.parameters();
        let device = parameters.device().clone();
        let loader = Loader::new(source, train, config.batch_size, config.seed)
            .transforms(transforms)
            .class_weights(config.class_weights.resolve(source, train)?)
            .options(LossOptions { dice: config.dice, huber: config.huber, ..LossOptions::default() })
            .loading(self.loading.unwrap_or_else(|| Loading::suited_to(source, transforms)))
            .device(&device);
        let communicator = &*self.communicator;
        let shard = Shard { rank: communicator.rank(), world: communicator.world() };
        // What is read from files or altered is divided as well, and then exchanged; a table in memory is at hand.
        let divided =
            shard.world > 1 && config.batch_size.min(train.len()) >= shard.world && !(source.as_table().is_some() && transforms.is_empty());
        let loader = if divided { loader.shard(shard) } else { loader };
        let steps = loader.steps();
        if steps == 0 || train.len() < 2 {
            return Err(DataError::TooFewToTrain { found: train.len() }.into());
        }
        let presence = |rows: &[usize]| Presence::new(rows.iter().map(|&row| source.meta(row).presence).collect());
        method.check_samples(&presence(train), &presence(validation))?;
        let schedule = Schedule::new(config.schedule.clone(), config.learning_rate, config.epochs, steps)?;
        let clip_norm = config
            .clip_norm
            .or_else(|| method.clip_norm())
            .or_else(|| source.schema().target.task().clip_norm())
            .filter(|norm| *norm > 0.0);
        let batch_size = evaluation_batch(source.schema());
        let held_out = HeldOut { source, rows: validation, batch_size, device: &device };
        let measure = config.selection_measure(source.schema())?;

        let mut run = Run::start(method, parameters, self)?;
        run.check_start(self, train, validation)?;
        while run.epochs_done < config.epochs && !run.out_of_patience(config) {
            let epoch = run.epochs_done;
            loader.epoch(epoch as u64, run.steps_done, |batches| -> Result<()> {
                for batch in batches {
                    self.stop_if_asked(&mut run, method)?;
                    let step = Step { seed: config.seed, epoch, epochs: config.epochs, step: run.steps_done, steps };
                    self.observer.step(&step);
                    run.learning_rate = schedule.rate(epoch * steps + step.step);
                    let batch = if divided { gather_batch(communicator, batch?)? } else { batch? };
                    let batch = mixup::mix(batch, config.mixup, &step)?;
                    run.step(method, &batch, &step, clip_norm)?;
                    run.steps_done += 1;
                    if run.steps_done < steps {
                        run.save_if_due(method, self.checkpoints.as_ref())?;
                    }
                }
                Ok(())
            })?;
            for note in method.end_of_epoch(epoch, &held_out)? {
                tracing::info!(epoch, "{note}");
                run.notes.push(note);
            }
            let validation_score = match config.validates_after(epoch) {
                true => run.validate(method, &held_out, &measure, config)?,
                false => None,
            };
            let log = run.end_epoch(validation_score)?;
            tracing::info!(epoch, learning_rate = log.learning_rate, losses = ?log.losses, validation_score, "epoch done");
            self.observer.epoch(log, config.epochs);
            run.check_weights()?;
            run.save_if_due(method, self.checkpoints.as_ref())?;
        }
        let outcome = run.finish(method, config, &measure, started.elapsed().as_secs_f64())?;
        method.after_training(&HeldOut { rows: train, ..held_out })?;
        Ok(outcome)
    }

    fn stop_if_asked(&self, run: &mut Run, method: &dyn Method) -> Result<()> {
        if self.communicator.world() > 1 || !self.stop.as_ref().is_some_and(|asked| asked()) {
            return Ok(());
        }
        if let Some(checkpoints) = &self.checkpoints {
            run.save(method, checkpoints)?;
        }
        Err(Error::Stopped { saved: self.checkpoints.is_some() })
    }
}

/// The state of a run between two steps.
struct Run {
    parameters: Parameters,
    optimizer: Optimizer,
    average: Option<WeightAverage>,
    epochs_done: usize,
    /// Of the epoch that is in work.
    steps_done: usize,
    means: Means,
    learning_rate: f64,
    best: Option<(usize, f64)>,
    best_values: Option<BTreeMap<String, Tensor>>,
    validations_since_best: usize,
    skipped_steps: u64,
    history: Vec<EpochLog>,
    notes: Vec<String>,
    last_save: Instant,
    communicator: Arc<dyn Communicator>,
    /// Whether each rank measures running statistics of its own.
    own_statistics: bool,
}

impl Run {
    /// A fresh run, or the one of the newest checkpoint.
    fn start(method: &mut dyn Method, parameters: Parameters, trainer: &Trainer) -> Result<Self> {
        let Trainer { config, checkpoints, communicator, .. } = trainer;
        let mut run = Self {
            parameters,
            optimizer: Optimizer::new(config.optimizer.clone())?,
            average: None,
            epochs_done: 0,
            steps_done: 0,
            means: Means::default(),
            learning_rate: 0.0,
            best: None,
            best_values: None,
            validations_since_best: 0,
            skipped_steps: 0,
            history: Vec::new(),
            notes: Vec::new(),
            last_save: Instant::now(),
            communicator: communicator.clone(),
            own_statistics: config.batch_norm == BatchNorms::PerRank,
        };
        if config.ema_decay > 0.0 {
            run.average = Some(WeightAverage::new(config.ema_decay, &run.parameters)?);
        }
        let Some(checkpoints) = checkpoints else { return Ok(run) };
        let Some(path) = latest(&checkpoints.folder)? else { return Ok(run) };
        let Checkpoint { model, optimizer, best, average, state } =
            Checkpoint::load(&path, &checkpoints.fingerprint, run.parameters.device())?;
        run.parameters.restore(&model, &path.join("model.safetensors"))?;
        run.optimizer.restore(&run.parameters, optimizer, state.optimizer_steps, &path.join("optimizer.safetensors"))?;
        if let Some(of_run) = &run.average {
            of_run.restore(&average.unwrap_or_default(), &path.join("average.safetensors"))?;
        }
        method.restore(&state.method)?;
        tracing::info!(epochs = state.epochs_done, steps = state.steps_done, checkpoint = %path.display(), "resumed");
        Ok(Self {
            epochs_done: state.epochs_done,
            steps_done: state.steps_done,
            means: Means::resume(state.loss_sums, state.loss_steps),
            learning_rate: state.learning_rate,
            best: state.best,
            best_values: best,
            validations_since_best: state.validations_since_best,
            skipped_steps: state.skipped_steps,
            history: state.history,
            notes: state.notes,
            ..run
        })
    }

    /// Refuses ranks that are about to train something else, or from elsewhere.
    fn check_start(&self, trainer: &Trainer, train: &[usize], validation: &[usize]) -> Result<()> {
        let state = serde_json::to_vec(&(self.epochs_done, self.steps_done, self.optimizer.steps())).unwrap_or_default();
        let rows = |rows: &[usize]| hash_of(rows.iter().map(|row| row.to_le_bytes()));
        let settings = serde_json::to_vec(&trainer.config).unwrap_or_default();
        let fingerprint = trainer.checkpoints.as_ref().map(|checkpoints| checkpoints.fingerprint.clone()).unwrap_or_default();
        let same = [
            ("settings", hash_of([settings, fingerprint.into_bytes()])),
            ("training samples", rows(train)),
            ("validation samples", rows(validation)),
            ("steps behind it", hash_of([state])),
            ("weights", hash_of_parameters(&self.parameters)?),
        ];
        check_same(&*self.communicator, &same)
    }

    /// Refuses to go on with ranks whose weights have come apart.
    fn check_weights(&self) -> Result<()> {
        match self.communicator.world() {
            1 => Ok(()),
            _ => check_same(&*self.communicator, &[("weights", hash_of_parameters(&self.parameters)?)]),
        }
    }

    fn step(&mut self, method: &mut dyn Method, batch: &Batch, step: &Step, clip_norm: Option<f64>) -> Result<()> {
        let losses = method.loss(batch, step)?;
        if losses.is_empty() {
            self.skipped_steps += 1;
            return Ok(());
        }
        let total = losses.total()?;
        self.means.add(&losses, &total, step, batch.ids())?;
        let mut gradients = backward(&total)?;
        if self.communicator.world() > 1 {
            average(&*self.communicator, &self.parameters, &mut gradients, self.own_statistics)?;
        }
        if let Some(norm) = clip_norm {
            clip_gradient_norm(&self.parameters, &mut gradients, norm)?;
        }
        self.optimizer.step(&self.parameters, &gradients, self.learning_rate)?;
        self.average.as_ref().map_or(Ok(()), |average| average.update(&self.parameters, self.optimizer.steps()))
    }

    /// The mean validation score over combinations; none as long as the model can predict from nothing (an ensemble whose members have not
    /// had a usable batch yet).
    fn validate(&mut self, method: &dyn Method, held_out: &HeldOut, measure: &Measure, config: &TrainConfig) -> Result<Option<f64>> {
        let HeldOut { source, rows, batch_size, device } = *held_out;
        let combinations = default_combinations(source.schema().modalities.len(), config.seed);
        if !combinations.iter().any(|subset| method.model().supports(*subset)) {
            return Ok(None);
        }
        let work = || evaluate(method.model(), source, rows, &combinations, batch_size, device);
        let evaluation = self.average.as_ref().map_or_else(work, |average| average.in_place(&self.parameters, work))?;
        if evaluation.combinations.is_empty() {
            return Err(DataError::NothingToValidate.into());
        }
        let score = evaluation.mean(measure.name);
        if !score.is_finite() {
            return Err(Error::config(
                "train.select_by",
                format!(
                    "the {} is not defined on the {} validation samples, whatever the combination (their truths may all be the same): use \
                     another score or other validation samples, or none: `select = \"last\"` without `patience` and `validate_every`",
                    measure.title,
                    rows.len()
                ),
            ));
        }
        for of in evaluation.undefined(measure.name) {
            let (combination, samples) = (source.schema().modalities.format(of.subset), of.scored.samples);
            self.note_once(format!(
                "the {} of {combination} is not defined on the {samples} validation samples that have it (their truths may all be the same): \
                 the validation score is the mean over the other combinations",
                measure.title
            ));
        }
        let better = |best: f64| if measure.higher_is_better { score > best } else { score < best };
        if self.best.is_some_and(|(_, best)| !better(best)) {
            self.validations_since_best += 1;
            return Ok(Some(score));
        }
        self.best = Some((self.epochs_done, score));
        self.validations_since_best = 0;
        if config.select == Selection::BestValidation {
            self.best_values = Some(match &self.average {
                Some(average) => average.snapshot()?,
                None => self.parameters.snapshot()?,
            });
        }
        Ok(Some(score))
    }

    /// What every validation would say again.
    fn note_once(&mut self, note: String) {
        if !self.notes.contains(&note) {
            tracing::warn!("{note}");
            self.notes.push(note);
        }
    }

    fn end_epoch(&mut self, validation_score: Option<f64>) -> Result<&EpochLog> {
        let losses = std::mem::take(&mut self.means).finish()?;
        let log = EpochLog { epoch: self.epochs_done, learning_rate: self.learning_rate, losses, validation_score };
        self.epochs_done += 1;
        self.steps_done = 0;
        self.history.push(log);
        Ok(&self.history[self.history.len() - 1])
    }

    fn out_of_patience(&self, config: &TrainConfig) -> bool {
        // In the middle of an epoch the question does not arise.
        self.steps_done == 0 && config.patience.is_some_and(|patience| self.validations_since_best >= patience)
    }

    fn save_if_due(&mut self, method: &dyn Method, checkpoints: Option<&CheckpointConfig>) -> Result<()> {
        let checkpoints = checkpoints.filter(|_| self.communicator.rank() == 0);
        match checkpoints.filter(|c| self.last_save.elapsed().as_secs_f64() >= c.every_seconds) {
            Some(checkpoints) => self.save(method, checkpoints),
            None => Ok(()),
        }
    }

    fn save(&mut self, method: &dyn Method, checkpoints: &CheckpointConfig) -> Result<()> {
        // What is not known to be finite must not be kept.
        self.means.read()?;
        let (loss_sums, loss_steps) = self.means.state();
        let state = State {
            fingerprint: checkpoints.fingerprint.clone(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            epochs_done: self.epochs_done,
            steps_done: self.steps_done,
            loss_sums,
            loss_steps,
            learning_rate: self.learning_rate,
            optimizer_steps: self.optimizer.steps(),
            best: self.best,
            validations_since_best: self.validations_since_best,
            skipped_steps: self.skipped_steps,
            history: self.history.clone(),
            notes: self.notes.clone(),
            method: method.state(),
        };
        let model = self.parameters.variables().into_iter().map(|(n, v)| (n, v.as_tensor().clone())).collect();
        let average = self.average.as_ref().map(WeightAverage::snapshot).transpose()?;
        let checkpoint = Checkpoint { model, optimizer: self.optimizer.state(), best: self.best_values.clone(), average, state };
        checkpoint.save(&checkpoints.folder)?;
        self.last_save = Instant::now();
        Ok(())
    }

    fn finish(mut self, method: &dyn Method, config: &TrainConfig, measure: &Measure, seconds: f64) -> Result<TrainOutcome> {
        let mut selected_epoch = self.epochs_done.saturating_sub(1);
        if let (Selection::BestValidation, Some((epoch, score)), Some(values)) = (config.select, self.best, &self.best_values) {
            self.parameters.restore(values, "the best epoch's weights".as_ref())?;
            selected_epoch = epoch;
            self.notes.push(format!("selected epoch {epoch} by mean validation {} {score:.4}", measure.title));
        } else if let Some(average) = &self.average {
            average.put(&self.parameters)?;
        }
        if self.epochs_done < config.epochs {
            self.notes.push(format!("stopped early after {} of {} epochs", self.epochs_done, config.epochs));
        }
        let steps = self.optimizer.steps();
        if steps == 0 {
            return Err(DataError::NothingToLearn.into());
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
