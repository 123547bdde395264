//! Published weights into a model of ours.

use candle_core::{DType, Device, Tensor};
use mm_core::encoder::{ResNet, ResNetConfig};
use mm_core::nn::{Mode, Parameters, batch_norm, linear};
use mm_core::weights::{ImportOptions, NameMap, cached_model, from_pretrained, import, save};
use safetensors::tensor::{Dtype, TensorView};
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

/// Wrappers of data parallel training and of a compiler, in any mix; what they wrap may itself be called `modules`.
#[test]
fn prefixes_of_wrappers_are_left_out() {
    for prefix in ["", "module.", "_orig_mod.", "module.module.", "_orig_mod.module.", "module._orig_mod.module.module."] {
        let tensors = published().into_iter().map(|(name, t)| (name.replacen("module.", prefix, 1), t)).collect();
        let parameters = model();
        import(&parameters, &tensors, &map(), Path::new("published")).unwrap().complete(Path::new("published")).unwrap();
        assert_eq!(values(&parameters, "head.weight"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{prefix}");
    }
    let parameters = Parameters::new(1, &Device::Cpu);
    linear(3, 2, parameters.builder().pp("modules")).unwrap();
    let tensors = BTreeMap::from([("module.modules.bias".to_string(), published()["module.classifier.bias"].clone())]);
    import(&parameters, &tensors, &NameMap::new(), Path::new("published")).unwrap();
    assert_eq!(values(&parameters, "modules.bias"), [10.0, 11.0]);
}

#[test]
fn names_none_of_which_matches_are_an_error() {
    let parameters = model();
    let before = values(&parameters, "head.weight");
    let all = NameMap::new().rename("", "elsewhere.");
    for (tensors, map) in [(published(), all), (published(), NameMap::new().skip("")), (BTreeMap::new(), map())] {
        let problem = import(&parameters, &tensors, &map, Path::new("published")).unwrap_err().to_string();
        assert!(
            ["published: no tensor has the name of a parameter", "head.bias", "NameMap"].iter().all(|p| problem.contains(p)),
            "{problem}"
        );
    }
    let problem = import(&parameters, &published(), &NameMap::new(), Path::new("published")).unwrap_err().to_string();
    assert!(problem.contains("module.bn.bias") && problem.contains("prefix = ..."), "{problem}");
    assert_eq!(values(&parameters, "head.weight"), before);
}

/// What a plan writes is said where the names show it.
#[test]
fn a_prefix_that_would_fit_is_named() {
    let behind = |prefixes: &[&str]| -> BTreeMap<String, Tensor> {
        let of = |prefix: &str| published().into_iter().map(|(name, t)| (name.replacen("module.", prefix, 1), t)).collect::<Vec<_>>();
        let mut all: BTreeMap<String, Tensor> = prefixes.iter().flat_map(|prefix| of(prefix)).collect();
        all.insert("module.other.weight".into(), published()["module.bn.weight"].clone());
        all
    };
    let says = |prefixes: &[&str], map: NameMap, advice: &str| {
        let problem = import(&model(), &behind(prefixes), &map, Path::new("ck.pth")).unwrap_err().to_string();
        assert!(problem.contains(advice) && problem.contains("`NameMap::rename`"), "{problem}");
    };
    let write = "6 of 6 parameters are there behind `backbone.`: write `prefix = \"backbone.\"` in `pretrained`";
    says(&["backbone."], map(), write);
    says(&["module.backbone."], map(), write);
    says(&["backbone."], map().below("bakbone."), write);
    says(&["net.backbone."], map(), "write `prefix = \"net.backbone.\"`");
    says(&["rgb.", "depth."], map(), "write `prefix = \"depth.\"` or `prefix = \"rgb.\"`");
    says(&["backbone."], map().below("backbone"), "the prefix `backbone` lacks its last point: write `prefix = \"backbone.\"`");
    says(&[""], map().below("backbone."), "6 of 6 parameters are there without `backbone.` in front: leave `prefix` out");
}

/// Buffers of types that candle has no tensors of, and a large one: only what is wanted is read.
#[test]
fn tensors_that_no_parameter_takes_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (bias, mask, position) = ([1f32, 2.0].map(f32::to_le_bytes).concat(), [1u8; 6], [0u8; 8 * 512]);
    let views = [
        ("attn_mask", TensorView::new(Dtype::BOOL, vec![2, 3], &mask).unwrap()),
        ("head.bias", TensorView::new(Dtype::F32, vec![2], &bias).unwrap()),
        ("position_ids", TensorView::new(Dtype::I64, vec![1, 512], &position).unwrap()),
    ];
    safetensors::serialize_to_file(views, None, &path).unwrap();
    let parameters = model();
    let report = from_pretrained(&parameters, &path, &NameMap::new()).unwrap();
    assert_eq!(values(&parameters, "head.bias"), [1.0, 2.0]);
    assert_eq!(report.unused, ["attn_mask", "position_ids"]);
    // Wanted, such a tensor is an error that names it.
    let problem = from_pretrained(&parameters, &path, &NameMap::new().rename("attn_mask", "head.weight")).unwrap_err().to_string();
    assert!(problem.contains("`attn_mask` of BOOL"), "{problem}");
}

#[test]
fn values_that_are_not_finite_are_refused_unless_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for broken in [f32::NAN, f32::INFINITY] {
        let mut tensors = published();
        tensors.insert("module.bn.bias".into(), Tensor::new(&[0.0, broken, 0.0], &Device::Cpu).unwrap());
        tensors.insert("unused".into(), Tensor::new(&[broken], &Device::Cpu).unwrap());
        let path = folder.path().join("model.safetensors");
        save(&path, &tensors, None).unwrap();
        let parameters = model();
        let before = parameters.snapshot().unwrap();
        let problem = from_pretrained(&parameters, &path, &map()).unwrap_err().to_string();
        let parts = ["`module.bn.bias`", "1 of 3 values", "the file is damaged", "a plan cannot take it", "allow_non_finite"];
        assert!(parts.iter().all(|part| problem.contains(part)), "{problem}");
        for (name, tensor) in before {
            assert_eq!(tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(), values(&parameters, &name), "{name}");
        }
        from_pretrained(&parameters, &path, ImportOptions::new(map()).allow_non_finite()).unwrap();
        assert!(!values(&parameters, "norm.bias")[1].is_finite());

        // A model of ours, too.
        parameters.save(&path, |_| true).unwrap();
        let problem = model().load(&path).unwrap_err().to_string();
        assert!(problem.contains("`norm.bias`") && problem.contains("restore"), "{problem}");
    }
    // Not finite once it is an f32.
    let mut tensors = published();
    tensors.insert("module.bn.bias".into(), Tensor::new(&[0.0, 1e300, 0.0], &Device::Cpu).unwrap());
    let problem = import(&model(), &tensors, &map(), Path::new("published")).unwrap_err().to_string();
    assert!(problem.contains("`module.bn.bias`"), "{problem}");
}

/// The square root of a variance below 0 is NaN, and so would be the first loss.
#[test]
fn a_variance_below_zero_is_refused_by_name() {
    let mut tensors = published();
    tensors.insert("module.bn.running_var".into(), Tensor::new(&[1f32, -0.5, 2.0], &Device::Cpu).unwrap());
    let problem = import(&model(), &tensors, &map(), Path::new("published")).unwrap_err().to_string();
    assert!(problem.contains("`module.bn.running_var`") && problem.contains("below 0"), "{problem}");
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
    assert!(problem.contains("no-such-maker/no-such-net") && problem.contains("nor is it a file or folder"), "{problem}");
}
