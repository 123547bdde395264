//! Damaged and foreign checkpoints: a typed error that names file and tensor, never a panic, never taken for good.

use crate::damage::damage;
use candle_core::{Device, Tensor};
use mm_core::train::{Checkpoint, CheckpointConfig, CheckpointState, EpochLog, TrainConfig, Trainer, latest_checkpoint};
use mm_core::{Error, rng};
use mm_testing::{Dropout, clear_to_weak};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A folder with two checkpoints; the path of the newest.
fn checkpointed() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<usize> = (0..60).collect();
    let config = TrainConfig { epochs: 3, batch_size: 16, ..TrainConfig::default() };
    let checkpoints = CheckpointConfig { folder: folder.path().into(), every_seconds: 0.0, fingerprint: "run".into() };
    Trainer::new(config).checkpoints(checkpoints).run(&mut Dropout::new(0), &clear_to_weak(60, 1), &rows, &[]).unwrap();
    let newest = latest_checkpoint(folder.path()).unwrap().unwrap();
    (folder, newest)
}

fn load(path: &Path) -> mm_core::Result<Checkpoint> {
    Checkpoint::load(path, "run", &Device::Cpu)
}

/// The message of loading with `bytes` in place of a file.
fn message_with(path: &Path, file: &str, bytes: &[u8]) -> String {
    let target = path.join(file);
    let good = std::fs::read(&target).unwrap();
    std::fs::write(&target, bytes).unwrap();
    let error = load(path).expect_err("damaged");
    std::fs::write(&target, good).unwrap();
    assert!(matches!(error, Error::Weights { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(file), "{text}");
    assert!(text.contains("remove the folder"), "{text}");
    text
}

#[test]
fn a_truncated_file_is_named() {
    let (_folder, newest) = checkpointed();
    for file in ["model.safetensors", "optimizer.safetensors", "state.json"] {
        let good = std::fs::read(newest.join(file)).unwrap();
        for keep in [0, 1, 7, 8, 9, 100, good.len() / 2, good.len() - 1] {
            message_with(&newest, file, &good[..keep.min(good.len() - 1)]);
        }
    }
    load(&newest).unwrap();
}

#[test]
fn a_flipped_bit_in_a_tensor_names_the_tensor() {
    let (_folder, newest) = checkpointed();
    let mut bytes = std::fs::read(newest.join("model.safetensors")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let text = message_with(&newest, "model.safetensors", &bytes);
    assert!(text.contains("tensor `trunk.1.norm.weight`"), "{text}");
}

/// A small checkpoint with everything a run can have.
fn small() -> Checkpoint {
    let tensor = |shape: &[usize], from: f32| {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| from + i as f32 * 0.37).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    let model = [("head.bias", tensor(&[3], 0.0)), ("head.weight", tensor(&[3, 4], -1.0)), ("norm.running_var", tensor(&[4], 1.0))];
    let model: BTreeMap<String, Tensor> = model.map(|(name, value)| (name.into(), value)).into();
    let optimizer = model.iter().map(|(name, value)| (format!("velocity:{name}"), (value * 0.1).unwrap())).collect();
    let losses = BTreeMap::from([("task".to_string(), 0.1 + 0.2), ("total".to_string(), 1e-7)]);
    let history = (0..3).map(|epoch| EpochLog { epoch, learning_rate: 0.05, losses: losses.clone(), validation_score: Some(2.0 / 3.0) });
    let state = CheckpointState {
        fingerprint: "run".into(),
        version: "0".into(),
        epochs_done: 3,
        steps_done: 2,
        loss_sums: losses.clone(),
        loss_steps: 1,
        learning_rate: 0.05,
        optimizer_steps: 9,
        best: Some((1, 2.0 / 3.0)),
        validations_since_best: 1,
        skipped_steps: 2,
        history: history.collect(),
        notes: vec!["a note".into()],
        method: serde_json::json!({ "counts": [1, 2.5, null], "name": "x" }),
    };
    Checkpoint { best: Some(model.clone()), average: Some(model.clone()), model, optimizer, state }
}

/// Everything in a checkpoint, bit for bit.
fn content(checkpoint: &Checkpoint) -> String {
    let tensors = |tensors: &BTreeMap<String, Tensor>| -> Vec<String> {
        let bits =
            |tensor: &Tensor| -> Vec<u32> { tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|v| v.to_bits()).collect() };
        tensors.iter().map(|(name, tensor)| format!("{name} {:?} {:?} {:?}", tensor.dtype(), tensor.dims(), bits(tensor))).collect()
    };
    let state = serde_json::to_string(&checkpoint.state).unwrap();
    let others = [&checkpoint.best, &checkpoint.average].map(|kept| kept.as_ref().map(tensors));
    format!("{:?} {:?} {others:?} {state}", tensors(&checkpoint.model), tensors(&checkpoint.optimizer))
}

/// Where the tensors' bytes begin in a safetensors file.
fn tensor_bytes(file: &[u8]) -> usize {
    8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize
}

/// Damages a file of a checkpoint 10 000 times: it loads as it was, or the message names the file, and the tensor where only
/// its bytes are damaged.
fn fuzz(file: &str) {
    let folder = tempfile::tempdir().unwrap();
    small().save(folder.path()).unwrap();
    let newest = latest_checkpoint(folder.path()).unwrap().unwrap();
    let good = std::fs::read(newest.join(file)).unwrap();
    let whole = content(&load(&newest).unwrap());
    assert_eq!(whole, content(&small()));
    let (mut loaded, mut named) = (0, 0);
    for case in 0..10_000 {
        let bytes = damage(&good, &mut rng::stream(9, file, &[case]));
        // To overwrite a file is slow on some file systems.
        std::fs::remove_file(newest.join(file)).unwrap();
        std::fs::write(newest.join(file), &bytes).unwrap();
        match load(&newest) {
            Ok(checkpoint) => {
                assert_eq!(content(&checkpoint), whole, "case {case}");
                loaded += 1;
            }
            Err(error) => {
                let Error::Weights { path, problem } = &error else { panic!("case {case}: {error}") };
                assert!(path.ends_with(file) && problem.contains("remove the folder"), "case {case}: {error}");
                if file != "state.json" && bytes.len() == good.len() && bytes.starts_with(&good[..tensor_bytes(&good)]) {
                    assert!(problem.contains("tensor `"), "case {case}: {error}");
                    named += 1;
                }
            }
        }
    }
    println!("{file}: {loaded} of 10 000 loaded, {named} name the tensor");
    // Some faults change nothing, such as two equal bytes swapped.
    assert!((1..5000).contains(&loaded));
}

#[test]
fn a_damaged_model_is_never_taken_for_good() {
    fuzz("model.safetensors");
}

#[test]
fn a_damaged_optimizer_is_never_taken_for_good() {
    fuzz("optimizer.safetensors");
}

#[test]
fn damaged_best_weights_are_never_taken_for_good() {
    fuzz("best.safetensors");
}

#[test]
fn a_damaged_state_is_never_taken_for_good() {
    fuzz("state.json");
}

#[test]
fn a_header_of_any_length_is_refused() {
    let (_folder, newest) = checkpointed();
    let mut bytes = std::fs::read(newest.join("model.safetensors")).unwrap();
    for length in [0, 1, 1 << 40, u64::MAX - 8, u64::MAX] {
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        message_with(&newest, "model.safetensors", &bytes);
    }
}

#[test]
fn a_file_of_another_checkpoint_is_refused() {
    let (folder, newest) = checkpointed();
    let before = folder.path().join("epoch-000002-000002");
    assert!(newest.ends_with("epoch-000003-000000"), "{}", newest.display());
    for file in ["model.safetensors", "optimizer.safetensors"] {
        let text = message_with(&newest, file, &std::fs::read(before.join(file)).unwrap());
        assert!(text.contains("not of this checkpoint"), "{text}");
    }
    message_with(&newest, "optimizer.safetensors", &std::fs::read(newest.join("model.safetensors")).unwrap());
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let (_folder, newest) = checkpointed();
    let error = Checkpoint::load(&newest, "another run", &Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("another configuration"), "{error}");
}

#[test]
fn weights_of_another_architecture_name_what_differs_and_change_nothing() {
    use mm_core::nn::{Parameters, linear};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let saved = Parameters::new(1, &Device::Cpu);
    linear(3, 2, saved.builder().pp("head")).unwrap();
    saved.save(&path, |_| true).unwrap();

    let wider = Parameters::new(2, &Device::Cpu);
    linear(4, 2, wider.builder().pp("head")).unwrap();
    let before = wider.get("head.bias").unwrap().to_vec1::<f32>().unwrap();
    let text = wider.load(&path).unwrap_err().to_string();
    assert!(text.contains("`head.weight`") && text.contains("[2, 4]") && text.contains("[2, 3]"), "{text}");
    assert_eq!(wider.get("head.bias").unwrap().to_vec1::<f32>().unwrap(), before);

    let other = Parameters::new(2, &Device::Cpu);
    linear(3, 2, other.builder().pp("tail")).unwrap();
    let text = other.load(&path).unwrap_err().to_string();
    assert!(text.contains("tail.weight") && text.contains("head.weight"), "{text}");
}

#[test]
fn the_last_good_checkpoint_stays_when_the_newest_is_damaged() {
    let (folder, newest) = checkpointed();
    std::fs::write(newest.join("model.safetensors"), b"rubbish").unwrap();
    let text = load(&newest).unwrap_err().to_string();
    assert!(text.contains(&newest.display().to_string()), "{text}");
    std::fs::remove_dir_all(&newest).unwrap();
    let before = latest_checkpoint(folder.path()).unwrap().unwrap();
    let state = load(&before).unwrap().state;
    assert_eq!((state.epochs_done, state.steps_done), (2, 2));
}
