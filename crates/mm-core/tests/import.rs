//! Published weights into a model of ours.

use candle_core::{DType, Device, Tensor};
use mm_core::encoder::{ResNet, ResNetConfig};
use mm_core::nn::{Mode, Parameters, batch_norm, linear};
use mm_core::weights::{NameMap, cached_model, from_pretrained, import, save};
use std::collections::BTreeMap;
use std::path::Path;

fn model() -> Parameters {
    let parameters = Parameters::new(1, &Device::Cpu);
    linear(3, 2, parameters.builder().pp("head")).unwrap();
    batch_norm(3, parameters.builder().pp("norm")).unwrap();
    parameters
}

/// Tensors with the published names of [`model`].
fn published() -> BTreeMap<String, Tensor> {
    let fill = |shape: &[usize], start: f32| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i| start + i as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    [
        ("module.classifier.weight", fill(&[2, 3, 1, 1], 1.0)),
        ("module.classifier.bias", fill(&[2], 10.0)),
        ("module.bn.weight", fill(&[3], 20.0)),
        ("module.bn.bias", fill(&[3], 30.0).to_dtype(DType::F64).unwrap()),
        ("module.bn.running_mean", fill(&[3], 40.0)),
        ("module.bn.running_var", fill(&[3], 50.0).to_dtype(DType::BF16).unwrap()),
        ("module.bn.num_batches_tracked", Tensor::new(7i64, &Device::Cpu).unwrap()),
    ]
    .map(|(name, tensor)| (name.to_string(), tensor))
    .into()
}

fn map() -> NameMap {
    NameMap::new().rename("classifier.", "head.").rename("bn.", "norm.")
}

fn values(parameters: &Parameters, name: &str) -> Vec<f32> {
    parameters.get(name).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn every_tensor_finds_its_parameter() {
    let parameters = model();
    let report = import(&parameters, &published(), &map(), Path::new("published")).unwrap();
    report.complete(Path::new("published")).unwrap();
    assert_eq!(values(&parameters, "head.weight"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(parameters.get("head.weight").unwrap().dims(), [2, 3]);
    assert_eq!(values(&parameters, "norm.bias"), [30.0, 31.0, 32.0]);
    assert_eq!(values(&parameters, "norm.running_var"), [50.0, 51.0, 52.0]);
}

#[test]
fn what_is_missing_and_unused_is_listed() {
    let parameters = model();
    let before = values(&parameters, "norm.weight");
    let mut tensors = published();
    let moved = tensors.remove("module.bn.weight").unwrap();
    tensors.insert("module.extra.weight".into(), moved);
    let report = import(&parameters, &tensors, &map(), Path::new("published")).unwrap();
    assert_eq!((report.missing.clone(), report.unused.clone()), (vec!["norm.weight".into()], vec!["module.extra.weight".into()]));
    assert_eq!(values(&parameters, "norm.weight"), before);
    let problem = report.complete(Path::new("file.safetensors")).unwrap_err().to_string();
    assert!(["file.safetensors", "norm.weight", "module.extra.weight"].iter().all(|part| problem.contains(part)), "{problem}");
    // A skipped name is not unused.
    let report = import(&parameters, &tensors, &map().skip("extra."), Path::new("published")).unwrap();
    assert!(report.unused.is_empty());
}

#[test]
fn a_wrong_shape_changes_nothing() {
    let parameters = model();
    let before = parameters.snapshot().unwrap();
    let mut tensors = published();
    tensors.insert("module.classifier.weight".into(), Tensor::zeros((2, 3, 3, 3), DType::F32, &Device::Cpu).unwrap());
    let problem = import(&parameters, &tensors, &map(), Path::new("published")).unwrap_err().to_string();
    assert!(["module.classifier.weight", "head.weight", "[2, 3]", "[2, 3, 3, 3]"].iter().all(|p| problem.contains(p)), "{problem}");
    for name in before.keys() {
        let old: Vec<f32> = before[name].flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(old, values(&parameters, name), "{name}");
    }
}

#[test]
fn two_tensors_for_one_parameter_are_refused() {
    let mut tensors = published();
    tensors.insert("norm.weight".into(), tensors["module.bn.weight"].clone());
    let problem = import(&model(), &tensors, &map(), Path::new("published")).unwrap_err().to_string();
    assert!(problem.contains("`module.bn.weight`") && problem.contains("`norm.weight`"), "{problem}");
}

#[test]
fn a_classifier_from_a_file_gives_the_same_logits() {
    let config = ResNetConfig { stages: 2, width: 4, ..Default::default() };
    let build = |seed| {
        let parameters = Parameters::new(seed, &Device::Cpu);
        let network = ResNet::new(&config, 3, 5, parameters.builder()).unwrap();
        let image = Tensor::ones((1, 3, 32, 32), DType::F32, &Device::Cpu).unwrap();
        let logits = move || network.forward(&image, Mode::Eval).unwrap().to_vec2::<f32>().unwrap();
        (parameters, logits)
    };
    let ((source, expected), (target, logits)) = (build(1), build(2));
    assert_ne!(logits(), expected());
    let folder = tempfile::tempdir().unwrap();
    save(&folder.path().join("model.safetensors"), &source.snapshot().unwrap(), None).unwrap();
    let report = from_pretrained(&target, folder.path(), &NameMap::new()).unwrap();
    report.complete(folder.path()).unwrap();
    assert_eq!(logits(), expected());

    let unset = Parameters::for_loading(&Device::Cpu);
    let loaded = ResNet::new(&config, 3, 5, unset.builder()).unwrap();
    from_pretrained(&unset, folder.path(), &NameMap::new()).unwrap().complete(folder.path()).unwrap();
    let image = Tensor::ones((1, 3, 32, 32), DType::F32, &Device::Cpu).unwrap();
    assert_eq!(loaded.forward(&image, Mode::Eval).unwrap().to_vec2::<f32>().unwrap(), expected());

    let problem = from_pretrained(&target, folder.path().join("absent.safetensors"), &NameMap::new()).unwrap_err().to_string();
    assert!(problem.contains("absent.safetensors"), "{problem}");
}

#[test]
fn a_model_of_the_hub_comes_from_the_cache() {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("models--maker--net.a1");
    std::fs::create_dir_all(folder.join("refs")).unwrap();
    std::fs::write(folder.join("refs/main"), "abc123\n").unwrap();
    let absent = cached_model(cache.path(), "maker/net.a1", "model.safetensors").unwrap_err().to_string();
    assert!(absent.contains("hf download maker/net.a1 model.safetensors"), "{absent}");
    let source = model();
    let path = folder.join("snapshots/abc123/model.safetensors");
    save(&path, &source.snapshot().unwrap(), None).unwrap();
    let found = cached_model(cache.path(), "maker/net.a1", "model.safetensors").unwrap();
    assert_eq!(found, path);
    from_pretrained(&model(), &found, &NameMap::new()).unwrap().complete(&found).unwrap();

    // Neither a file nor a model in the cache of this machine.
    let problem = from_pretrained(&model(), "no-such-maker/no-such-net", &NameMap::new()).unwrap_err().to_string();
    assert!(problem.contains("no-such-maker/no-such-net"), "{problem}");
}
