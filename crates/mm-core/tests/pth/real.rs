//! Checkpoints as their makers published them, against sums that PyTorch computed.

use super::{numbers, read};
use candle_core::Device;
use mm_core::nn::Parameters;
use mm_core::weights::{NameMap, ReadOptions, WHOLE, WeightsFile, from_pretrained};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folder with data that is not part of the repository.
fn shared() -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let there = shared.join("data/weights").exists() && shared.join("golden/weights.json").exists();
    if !there {
        println!("skipped: no checkpoints in {}", shared.display());
    }
    there.then_some(shared)
}

#[test]
fn published_checkpoints_hold_what_pytorch_reads_in_them() {
    let Some(shared) = shared() else { return };
    let golden: Value = serde_json::from_slice(&std::fs::read(shared.join("golden/weights.json")).unwrap()).unwrap();
    let mut count = 0;
    for (file, expected) in golden["files"].as_object().unwrap() {
        let options = ReadOptions { entry: Some(WHOLE.into()), keep_prefix: true };
        let tensors = read(&shared.join("data/weights").join(file), &options).unwrap();
        let expected = expected.as_object().unwrap();
        assert_eq!(tensors.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{file}");
        for (name, expected) in expected {
            let shape: Vec<u64> = tensors[name].dims().iter().map(|&n| n as u64).collect();
            assert_eq!(Value::from(shape), expected["shape"], "{file}: {name}");
            let numbers = numbers(&tensors[name]);
            let close = |ours: f64, golden: &Value| (ours - golden.as_f64().unwrap()).abs() <= 1e-6 * golden.as_f64().unwrap().abs();
            assert!(close(numbers.iter().sum(), &expected["sum"]), "{file}: {name}");
            assert!(close(numbers.iter().map(|x| x.abs()).sum(), &expected["abs_sum"]), "{file}: {name}");
            assert!(numbers.iter().zip(expected["first"].as_array().unwrap()).all(|(x, golden)| close(*x, golden)), "{file}: {name}");
            count += 1;
        }
    }
    assert_eq!(count, 195);
}

/// Its names begin with `module.` in the entry `state_dict`, beside the accuracy that its makers reached.
#[test]
fn a_published_network_enters_a_model() {
    let Some(shared) = shared() else { return };
    let path = shared.join("data/weights/resnet20-12fca82f.th");
    let file = WeightsFile::open(&path, &ReadOptions::default()).unwrap();
    assert_eq!((file.entry(), file.prefix(), file.tensors().len()), (Some("state_dict"), "module.", 97));
    assert_eq!((file.ignored()[0].name.as_str(), file.ignored()[0].what.as_str()), ("best_prec1", "91.78000183105469"));

    let parameters = Parameters::new(0, &Device::Cpu);
    mm_core::nn::linear(64, 10, parameters.builder().pp("head")).unwrap();
    let report = from_pretrained(&parameters, &path, &NameMap::new().rename("linear.", "head.")).unwrap();
    assert!(report.missing.is_empty() && report.unused.len() == 95, "{report:?}");
    let bias: f64 = numbers(&parameters.snapshot().unwrap()["head.bias"]).iter().sum();
    assert!((bias - 3.444_217_145_442_963e-5).abs() < 1e-10, "{bias}");
}
