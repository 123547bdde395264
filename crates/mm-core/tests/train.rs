//! The training loop: repeatable, resumable, honest about what goes wrong.

use mm_core::Error;
use mm_core::optim::{OptimizerConfig, ScheduleConfig};
use mm_core::train::{CheckpointConfig, Progress, Selection, TrainConfig, TrainOutcome, fit, latest_checkpoint};
use mm_testing::{Dropout, clear_to_weak};
use rand::RngExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const EPOCHS: usize = 12;

fn config() -> TrainConfig {
    TrainConfig { epochs: EPOCHS, batch_size: 16, seed: 5, ..TrainConfig::default() }
}

fn train(config: &TrainConfig, folder: Option<&Path>) -> mm_core::Result<(Dropout, TrainOutcome)> {
    let data = clear_to_weak(150, 1);
    let (rows, validation): (Vec<usize>, Vec<usize>) = (0..150).partition(|row| row % 5 != 0);
    let checkpoints = folder.map(|folder| CheckpointConfig { folder: folder.into(), every_seconds: 0.0, fingerprint: "test".into() });
    let mut method = Dropout::new(config.seed);
    let outcome = fit(&mut method, &data, &rows, &validation, config, checkpoints.as_ref(), &Progress::hidden())?;
    Ok((method, outcome))
}

/// The bytes of the trained weights.
fn bytes(method: &Dropout) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    method.parameters.save(&path, |_| true).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn it_learns() {
    let (_, outcome) = train(&TrainConfig { validate_every: 1, ..config() }, None).unwrap();
    let (first, last) = (&outcome.history[0], &outcome.history[EPOCHS - 1]);
    assert!(last.losses["task"] < 0.9 * first.losses["task"], "{first:?} {last:?}");
    assert!(last.validation_accuracy.unwrap() > 0.7, "{last:?}");
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

#[test]
fn the_best_validation_epoch_is_kept_and_patience_stops() {
    let config = TrainConfig { select: Selection::BestValidation, patience: Some(2), epochs: 60, ..config() };
    let (method, outcome) = train(&config, None).unwrap();
    assert!(outcome.history.len() < 60, "it never stopped");
    let best = outcome.history.iter().map(|e| e.validation_accuracy.unwrap()).fold(0.0, f64::max);
    assert_eq!(outcome.history[outcome.selected_epoch].validation_accuracy, Some(best));
    // The weights are those that gave the best score.
    let data = clear_to_weak(150, 1);
    let validation: Vec<usize> = (0..150).filter(|row| row % 5 == 0).collect();
    let subsets = mm_core::eval::default_combinations(3, 0);
    let evaluation = mm_core::eval::evaluate_combinations(&method, &data, &validation, &subsets, 512, &candle_core::Device::Cpu).unwrap();
    assert_eq!(evaluation.mean_accuracy(), best);
}

#[test]
fn selection_without_validation_samples_is_refused() {
    let data = clear_to_weak(60, 1);
    let rows: Vec<usize> = (0..60).collect();
    let config = TrainConfig { select: Selection::BestValidation, ..config() };
    let error = fit(&mut Dropout::new(0), &data, &rows, &[], &config, None, &Progress::hidden()).unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error}");
}

#[test]
fn a_nan_loss_stops_the_run_with_term_epoch_and_samples_and_keeps_the_checkpoint() {
    let data = clear_to_weak(60, 1);
    let rows: Vec<usize> = (0..60).collect();
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = CheckpointConfig { folder: folder.path().into(), every_seconds: 0.0, fingerprint: "nan".into() };
    let mut method = Dropout::new(0);
    method.nan_from = Some(3);
    let error = fit(&mut method, &data, &rows, &[], &config(), Some(&checkpoints), &Progress::hidden()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::NonFinite(_)));
    for part in ["`broken`", "epoch 3", "step 0", "samples"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(latest_checkpoint(folder.path()).unwrap().unwrap().ends_with("epoch-000003"));
}

/// Not a test of its own: the process that `kill_nine` kills.
#[test]
fn child_process_of_kill_nine() {
    let Ok(folder) = std::env::var("MM_CORE_TEST_KILLED_RUN") else { return };
    let folder = Path::new(&folder);
    let (method, _) = train(&TrainConfig { epochs: 60, ..config() }, Some(folder)).unwrap();
    method.parameters.save(&folder.join("final.safetensors"), |_| true).unwrap();
}

#[test]
fn kill_nine_at_random_moments_changes_nothing() {
    let spawn = |folder: &Path| -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child_process_of_kill_nine"]).env("MM_CORE_TEST_KILLED_RUN", folder);
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let (uninterrupted, _) = train(&TrainConfig { epochs: 60, ..config() }, None).unwrap();
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
