//! A file of a checkpoint (the first byte says which): as it was, or an error that names the file.

#![no_main]

use candle_core::{Device, Tensor};
use libfuzzer_sys::fuzz_target;
use mm_core::train::{Checkpoint, CheckpointState, latest_checkpoint};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

/// A folder with one checkpoint, and its path.
static WHOLE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let state = CheckpointState {
        fingerprint: "run".into(),
        version: "0".into(),
        epochs_done: 1,
        steps_done: 0,
        loss_sums: BTreeMap::new(),
        loss_steps: 0,
        learning_rate: 0.1,
        optimizer_steps: 1,
        best: None,
        validations_since_best: 0,
        skipped_steps: 0,
        history: Vec::new(),
        notes: Vec::new(),
        method: 0.into(),
    };
    let model: BTreeMap<String, Tensor> = [("w".to_string(), Tensor::new(&[1f32, 2.0], &Device::Cpu).expect("a tensor"))].into();
    let checkpoint = Checkpoint { optimizer: model.clone(), model, best: None, state };
    checkpoint.save(folder.path()).expect("it is written");
    let path = latest_checkpoint(folder.path()).expect("it is found").expect("it is there");
    (folder, path)
});

fuzz_target!(|input: &[u8]| {
    let Some((&which, bytes)) = input.split_first() else { return };
    let file = ["model.safetensors", "optimizer.safetensors", "state.json"][usize::from(which) % 3];
    let path = WHOLE.1.join(file);
    let good = std::fs::read(&path).expect("it is there");
    std::fs::write(&path, bytes).expect("it is written");
    match Checkpoint::load(&WHOLE.1, "run", &Device::Cpu) {
        Ok(checkpoint) => {
            let values = checkpoint.model["w"].to_vec1::<f32>().expect("two numbers");
            assert!(values == [1.0, 2.0] && checkpoint.state.epochs_done == 1);
        }
        Err(error) => assert!(error.to_string().contains(file)),
    }
    std::fs::write(&path, good).expect("it is written");
});
