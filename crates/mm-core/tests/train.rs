//! The training loop: repeatable, resumable, honest about what goes wrong.

use candle_core::{Device, Tensor};
use mm_core::data::{Batch, Inputs, Schema};
use mm_core::eval::{default_combinations, evaluate};
use mm_core::model::{Encoded, Output, Visit};
use mm_core::nn::Parameters;
use mm_core::optim::{OptimizerConfig, ScheduleConfig};
use mm_core::train::{CheckpointConfig, Losses, Method, Observer, Selection, Step, TrainConfig, TrainOutcome, Trainer, latest_checkpoint};
use mm_core::{Error, Model, NonFiniteError, Presence, Result, Subset};
use mm_testing::{Dropout, clear_to_weak, clear_to_weak_schema};
use rand::RngExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const EPOCHS: usize = 12;

fn config() -> TrainConfig {
    TrainConfig { epochs: EPOCHS, batch_size: 16, seed: 5, ..TrainConfig::default() }
}

/// With a folder, one that saves after every step.
fn trainer(config: &TrainConfig, folder: Option<&Path>) -> Trainer {
    let trainer = Trainer::new(config.clone());
    match folder {
        Some(folder) => trainer.checkpoints(CheckpointConfig { folder: folder.into(), every_seconds: 0.0, fingerprint: "test".into() }),
        None => trainer,
    }
}

/// 120 samples for training, which are 7 steps an epoch, and every fifth of 150 for validation.
fn run(trainer: &Trainer, method: &mut dyn Method) -> Result<TrainOutcome> {
    let (rows, validation): (Vec<usize>, Vec<usize>) = (0..150).partition(|row| row % 5 != 0);
    trainer.run(method, &clear_to_weak(150, 1), &rows, &validation)
}

fn train(config: &TrainConfig, folder: Option<&Path>) -> Result<(Dropout, TrainOutcome)> {
    let mut method = Dropout::new(config.seed);
    let outcome = run(&trainer(config, folder), &mut method)?;
    Ok((method, outcome))
}

/// The bytes of the trained weights.
fn bytes(method: &Dropout) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    method.parameters().save(&path, |_| true).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn it_learns() {
    let (_, outcome) = train(&TrainConfig { validate_every: 1, ..config() }, None).unwrap();
    let (first, last) = (&outcome.history[0], &outcome.history[EPOCHS - 1]);
    assert!(last.losses["task"] < 0.9 * first.losses["task"], "{first:?} {last:?}");
    assert!(last.validation_score.unwrap() > 0.7, "{last:?}");
    assert_eq!(outcome.steps, (EPOCHS * (120 / 16)) as u64);
}

#[test]
fn one_seed_gives_the_same_bytes_with_one_thread_and_with_two() {
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| bytes(&train(&config(), None).unwrap().0))
    };
    let one = with_threads(1);
    assert_eq!(one, with_threads(2));
    assert_eq!(one, with_threads(1));
    assert_ne!(one, bytes(&train(&TrainConfig { seed: 6, ..config() }, None).unwrap().0));
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let adamw = OptimizerConfig::AdamW { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 1e-2 };
    for optimizer in [OptimizerConfig::default(), adamw] {
        let whole = TrainConfig {
            optimizer,
            select: Selection::BestValidation,
            schedule: ScheduleConfig::Constant { warmup_epochs: 0.0 },
            ..config()
        };
        let folder = tempfile::tempdir().unwrap();
        train(&TrainConfig { epochs: 5, ..whole.clone() }, Some(folder.path())).unwrap();
        let (resumed, resumed_outcome) = train(&whole, Some(folder.path())).unwrap();
        let (uninterrupted, outcome) = train(&whole, None).unwrap();
        assert_eq!(bytes(&resumed), bytes(&uninterrupted));
        assert_eq!(resumed_outcome.history, outcome.history);
        assert_eq!(resumed_outcome.selected_epoch, outcome.selected_epoch);
        assert_eq!(resumed.epochs_seen, EPOCHS as u64);
    }
}

/// A method that fails at one step, as a machine may.
struct Stops {
    dropout: Dropout,
    at: (usize, usize),
}

impl Method for Stops {
    fn model(&self) -> &dyn Model {
        self.dropout.model()
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.dropout.model)
    }

    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        match (step.epoch, step.step) == self.at {
            true => Err(Error::config("epochs", "the power is gone")),
            false => self.dropout.loss(batch, step),
        }
    }

    fn end_of_epoch(&mut self, epoch: usize, held_out: &mm_core::train::HeldOut) -> Result<Vec<String>> {
        self.dropout.end_of_epoch(epoch, held_out)
    }

    fn state(&self) -> serde_json::Value {
        self.dropout.state()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<()> {
        self.dropout.restore(state)
    }
}

/// Notes the steps that are begun.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<(usize, usize)>>>);

impl Observer for Steps {
    fn step(&self, step: &Step) {
        self.0.lock().unwrap().push((step.epoch, step.step));
    }
}

#[test]
fn a_run_that_stops_within_an_epoch_resumes_where_it_was() {
    let whole = TrainConfig { select: Selection::BestValidation, ..config() };
    let (uninterrupted, expected) = train(&whole, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // In the first epoch, twice in one, at the first step of one, at the last step of all.
    let mut from = (0, 0);
    for at in [(0, 3), (4, 2), (4, 5), (7, 0), (EPOCHS - 1, 6)] {
        let steps = Steps::default();
        let mut method = Stops { dropout: Dropout::new(whole.seed), at };
        let error = run(&trainer(&whole, Some(folder.path())).observer(steps.clone()), &mut method).unwrap_err();
        assert!(error.to_string().contains("the power is gone"), "{error}");
        let newest = latest_checkpoint(folder.path()).unwrap().unwrap();
        assert!(newest.ends_with(format!("epoch-{:06}-{:06}", at.0, at.1)), "{}", newest.display());
        let steps = steps.0.lock().unwrap();
        assert_eq!((steps[0], steps[steps.len() - 1]), (from, at));
        from = at;
    }
    let (resumed, outcome) = train(&whole, Some(folder.path())).unwrap();
    assert_eq!(bytes(&resumed), bytes(&uninterrupted));
    assert_eq!((outcome.history, outcome.steps), (expected.history, expected.steps));
    assert_eq!((outcome.selected_epoch, outcome.notes), (expected.selected_epoch, expected.notes));
    assert_eq!(resumed.epochs_seen, EPOCHS as u64);
}

#[test]
fn the_best_validation_epoch_is_kept_and_patience_stops() {
    let config = TrainConfig { select: Selection::BestValidation, patience: Some(2), epochs: 60, ..config() };
    let (method, outcome) = train(&config, None).unwrap();
    assert!(outcome.history.len() < 60, "it never stopped");
    let best = outcome.history.iter().map(|e| e.validation_score.unwrap()).fold(0.0, f64::max);
    assert_eq!(outcome.history[outcome.selected_epoch].validation_score, Some(best));
    // The weights are those that gave the best score.
    let data = clear_to_weak(150, 1);
    let validation: Vec<usize> = (0..150).filter(|row| row % 5 == 0).collect();
    let evaluation = evaluate(&method.model, &data, &validation, &default_combinations(3, 0), 512, &Device::Cpu).unwrap();
    assert_eq!(evaluation.mean_score(), best);
}

/// A model whose answers are those of `logit`.
struct Answers {
    schema: Schema,
    parameters: Parameters,
    logit: fn(combination: usize, sample: usize) -> f32,
}

impl Model for Answers {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        Ok(Encoded { tensors: Vec::new(), presence: inputs.presence().clone(), encoder_passes: 0 })
    }

    fn fuse(&self, _: &Encoded, _: &Presence) -> Result<Output> {
        unreachable!("validation asks for combinations")
    }

    fn visit_encoded(&self, encoded: &Encoded, subsets: &[Subset], visit: Visit) -> Result<()> {
        let samples = encoded.presence.len();
        (0..subsets.len()).try_for_each(|c| {
            let logits: Vec<f32> = (0..samples).flat_map(|i| [(self.logit)(c, i), 0.0, 0.0]).collect();
            visit(c, Output::new(Tensor::from_vec(logits, (samples, 3), &Device::Cpu)?))
        })
    }

    fn freeze(&mut self) {}
}

/// A method with quirks: it skips some steps, its model's answers are those of `logit`, and it takes complete training samples only.
struct Odd {
    dropout: Dropout,
    answers: Answers,
    skips: fn(&Step) -> bool,
}

impl Odd {
    fn new() -> Self {
        Self::answering(|_, _| 0.0)
    }

    fn answering(logit: fn(combination: usize, sample: usize) -> f32) -> Self {
        let dropout = Dropout::new(5);
        let answers = Answers { schema: clear_to_weak_schema(), parameters: dropout.parameters(), logit };
        Self { dropout, answers, skips: |_| false }
    }

    fn train(&mut self, config: &TrainConfig, folder: Option<&Path>) -> Result<TrainOutcome> {
        run(&trainer(config, folder), self)
    }
}

impl Method for Odd {
    fn model(&self) -> &dyn Model {
        &self.answers
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.answers)
    }

    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        if (self.skips)(step) { Ok(Losses::default()) } else { self.dropout.loss(batch, step) }
    }

    fn check_samples(&self, train: &Presence, validation: &Presence) -> Result<()> {
        assert_eq!((train.len(), validation.len()), (120, 30));
        match train.subsets().iter().all(|has| *has == Subset::full(3)) {
            true => Ok(()),
            false => Err(Error::config("missing", "some samples are incomplete")),
        }
    }

    fn remarks(&self) -> Vec<String> {
        vec!["that was all".into()]
    }
}

#[test]
fn patience_counts_the_validations_without_a_new_best() {
    for patience in 1..4 {
        let config = TrainConfig { patience: Some(patience), ..config() };
        // Equal scores: the first validation is the best one.
        let outcome = Odd::new().train(&config, None).unwrap();
        assert_eq!(outcome.history.len(), 1 + patience);
        let every_second = Odd::new().train(&TrainConfig { validate_every: 2, ..config }, None).unwrap();
        assert_eq!(every_second.history.len(), 2 + 2 * patience);
    }
    let error = TrainConfig { patience: Some(0), ..config() }.validate().unwrap_err().to_string();
    assert!(error.contains("train.patience") && error.contains("at least 1"), "{error}");
}

#[test]
fn steps_without_a_loss_are_skipped_and_counted() {
    let mut odd = Odd { skips: |step| step.step % 3 == 1, ..Odd::new() };
    let outcome = odd.train(&config(), None).unwrap();
    let whole = Odd::new().train(&config(), None).unwrap();
    // Seven steps an epoch, of which the second and the fifth are skipped.
    assert_eq!((whole.steps, outcome.steps), (EPOCHS as u64 * 7, EPOCHS as u64 * 5));
    let told = format!("{} of {} steps were skipped", EPOCHS * 2, EPOCHS * 7);
    assert!(outcome.notes[0].contains(&told), "{:?}", outcome.notes);
    assert_eq!(outcome.notes[1..], ["that was all"]);
    assert_eq!(whole.notes, ["that was all"]);
    // A resumed run counts on.
    let folder = tempfile::tempdir().unwrap();
    let (folder, skips) = (Some(folder.path()), odd.skips);
    Odd { skips, ..Odd::new() }.train(&TrainConfig { epochs: 5, ..config() }, folder).unwrap();
    let resumed = Odd { skips, ..Odd::new() }.train(&config(), folder).unwrap();
    assert_eq!((resumed.steps, resumed.notes), (outcome.steps, outcome.notes));

    let error = Odd { skips: |_| true, ..Odd::new() }.train(&config(), None).unwrap_err().to_string();
    assert!(error.contains("no batch of the whole training"), "{error}");
}

#[test]
fn samples_are_checked_before_training() {
    let data =
        mm_testing::patterns(
            mm_testing::clear_to_weak_schema(),
            150,
            &[0.1; 3],
            |i| {
                if i == 17 { Subset::single(0) } else { Subset::full(3) }
            },
        );
    let (rows, validation): (Vec<usize>, Vec<usize>) = (0..150).partition(|row| row % 5 != 0);
    let mut never = Odd { skips: |_| unreachable!("training has begun"), ..Odd::new() };
    let error = trainer(&config(), None).run(&mut never, &data, &rows, &validation).unwrap_err();
    assert!(matches!(&error, Error::Config { problem, .. } if problem == "some samples are incomplete"), "{error}");
}

#[test]
fn a_prediction_that_is_nan_is_an_error_with_combination_and_sample() {
    let config = TrainConfig { validate_every: 1, ..config() };
    for broken in [f32::NAN, f32::INFINITY] {
        let logit: fn(usize, usize) -> f32 = match broken.is_nan() {
            true => |combination: usize, sample: usize| if (combination, sample) == (4, 3) { f32::NAN } else { 0.0 },
            false => |combination: usize, sample: usize| if (combination, sample) == (4, 3) { f32::INFINITY } else { 0.0 },
        };
        let error = Odd::answering(logit).train(&config, None).unwrap_err();
        let text = error.to_string();
        // The fifth combination, and the fourth validation sample: rows 0, 5, 10, 15.
        assert!(
            matches!(error, Error::NonFinite(NonFiniteError::Prediction { row: 15, .. }))
                && text.contains("from strong+weak for sample 15"),
            "{text}"
        );
    }
}

#[test]
fn a_prediction_that_is_nan_where_the_sample_lacks_the_sensor_does_no_harm() {
    let data =
        mm_testing::patterns(
            mm_testing::clear_to_weak_schema(),
            12,
            &[0.1; 3],
            |i| {
                if i == 3 { Subset::single(1) } else { Subset::full(3) }
            },
        );
    let nan = Odd::answering(|combination, sample| if (combination, sample) == (4, 3) { f32::NAN } else { 0.0 }).answers;
    let rows: Vec<usize> = (0..12).collect();
    let evaluate = |rows: &[usize]| evaluate(&nan, &data, rows, &default_combinations(3, 0), 512, &Device::Cpu);
    assert_eq!(evaluate(&rows).unwrap().combinations[4].scored.samples, 11);
    assert!(evaluate(&[0, 1, 2, 4]).is_err());
}

/// The first clip that is met acts: that of the settings, else that of the method.
#[test]
fn the_method_clips_where_the_settings_say_nothing() {
    struct Clips(Dropout);
    impl Method for Clips {
        fn model(&self) -> &dyn Model {
            self.0.model()
        }
        fn into_model(self: Box<Self>) -> Box<dyn Model> {
            Box::new(self.0.model)
        }
        fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
            self.0.loss(batch, step)
        }
        fn clip_norm(&self) -> Option<f64> {
            Some(0.1)
        }
    }
    let data = clear_to_weak(60, 1);
    let rows: Vec<usize> = (0..60).collect();
    let plain = |clip_norm: Option<f64>| {
        let mut method = Dropout::new(0);
        trainer(&TrainConfig { clip_norm, ..config() }, None).run(&mut method, &data, &rows, &[]).unwrap();
        bytes(&method)
    };
    let clips = |clip_norm: Option<f64>| {
        let mut method = Clips(Dropout::new(0));
        trainer(&TrainConfig { clip_norm, ..config() }, None).run(&mut method, &data, &rows, &[]).unwrap();
        bytes(&method.0)
    };
    assert_eq!(clips(None), plain(Some(0.1)));
    assert_eq!(clips(Some(0.2)), plain(Some(0.2)));
    assert_eq!(clips(Some(0.0)), plain(None));
    assert_ne!(plain(None), plain(Some(0.1)));
}

#[test]
fn selection_without_validation_samples_is_refused() {
    let data = clear_to_weak(60, 1);
    let rows: Vec<usize> = (0..60).collect();
    let config = TrainConfig { select: Selection::BestValidation, ..config() };
    let error = trainer(&config, None).run(&mut Dropout::new(0), &data, &rows, &[]).unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error}");
}

#[test]
fn a_nan_loss_stops_the_run_with_term_epoch_and_samples_and_keeps_the_checkpoint() {
    let data = clear_to_weak(60, 1);
    let rows: Vec<usize> = (0..60).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut method = Dropout::new(0);
    method.nan_from = Some(3);
    let error = trainer(&config(), Some(folder.path())).run(&mut method, &data, &rows, &[]).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::NonFinite(NonFiniteError::Loss { epoch: 3, step: 0, .. })));
    for part in ["`broken`", "epoch 3", "step 0", "samples"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(latest_checkpoint(folder.path()).unwrap().unwrap().ends_with("epoch-000003-000000"));
}

/// Not a test of its own: the process that `kill_nine` kills.
#[test]
fn child_process_of_kill_nine() {
    let Ok(folder) = std::env::var("MM_CORE_TEST_KILLED_RUN") else { return };
    let folder = Path::new(&folder);
    let (method, _) = train(&TrainConfig { epochs: 30, ..config() }, Some(folder)).unwrap();
    method.parameters().save(&folder.join("final.safetensors"), |_| true).unwrap();
}

#[test]
fn kill_nine_at_random_moments_changes_nothing() {
    let spawn = |folder: &Path| -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child_process_of_kill_nine"]).env("MM_CORE_TEST_KILLED_RUN", folder);
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let (uninterrupted, _) = train(&TrainConfig { epochs: 30, ..config() }, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut random = mm_core::rng::stream(3, "kill", &[]);
    let mut killed = 0;
    for _ in 0..10 {
        let mut child = spawn(folder.path());
        std::thread::sleep(Duration::from_millis(random.random_range(20..150)));
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(killed > 0, "every child had finished before it was killed");
    assert!(spawn(folder.path()).wait().unwrap().success());
    assert_eq!(std::fs::read(folder.path().join("final.safetensors")).unwrap(), bytes(&uninterrupted));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().filter(|n| n.to_string_lossy().starts_with("epoch-")).count() <= 2, "{left:?}");
}
