//! Damaged and foreign checkpoints: a typed error that names file and tensor, never a panic, never taken for good.

mod support;

use candle_core::Device;
use mm_core::train::{Checkpoint, CheckpointConfig, Progress, TrainConfig, fit, latest_checkpoint};
use mm_core::{Error, rng};
use rand::RngExt;
use std::path::{Path, PathBuf};
use support::Dropout;

/// A folder with two checkpoints; the path of the newest.
fn checkpointed() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<usize> = (0..60).collect();
    let config = TrainConfig { epochs: 3, batch_size: 16, ..TrainConfig::default() };
    let checkpoints = CheckpointConfig { folder: folder.path().into(), every_seconds: 0.0, fingerprint: "run".into() };
    fit(&mut Dropout::new(0), &support::data(60, 1), &rows, &[], &config, Some(&checkpoints), &Progress::hidden()).unwrap();
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

#[test]
fn random_damage_is_never_taken_for_good() {
    let (_folder, newest) = checkpointed();
    let mut random = rng::stream(9, "damage", &[]);
    for file in ["model.safetensors", "optimizer.safetensors", "state.json"] {
        let good = std::fs::read(newest.join(file)).unwrap();
        let reference = load(&newest).unwrap();
        for _ in 0..150 {
            let mut bytes = good.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..bytes.len());
                bytes[at] ^= 1 << random.random_range(0..8);
            }
            std::fs::write(newest.join(file), &bytes).unwrap();
            // A change that the format ignores (white space, a digit of the history) may load; the tensors may not differ.
            if let Ok(loaded) = load(&newest) {
                for (name, tensor) in &loaded.model {
                    let expected = reference.model[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
                    assert_eq!(tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(), expected, "{file} {name}");
                }
            }
        }
        std::fs::write(newest.join(file), &good).unwrap();
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let (_folder, newest) = checkpointed();
    let error = Checkpoint::load(&newest, "another run", &Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("another configuration or other data"), "{error}");
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
    assert_eq!(load(&before).unwrap().state.epochs_done, 2);
}
