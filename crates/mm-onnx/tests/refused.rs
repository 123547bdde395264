//! Models that have no graph are refused, by the part that has none.

use mm_bench::Registry;
use mm_core::Pipeline;
use mm_core::pipeline::PipelineConfig;
use mm_onnx::{Error, export_parts};
use mm_testing::{exported_encoders, exported_methods};

fn load(name: &str) -> Pipeline {
    let all = [exported_methods(), exported_encoders()];
    let network = all.iter().flatten().find(|network| network.name == name).expect("a network of that name");
    let folder = tempfile::tempdir().unwrap();
    let options: toml::Table = toml::from_str(&network.options).unwrap();
    let registry = Registry::default();
    network.save(&*registry.method(network.method).unwrap().recipe(&options).unwrap(), folder.path());
    registry.from_pretrained(folder.path()).unwrap()
}

/// The error of a saved model whose `config.json` was changed.
fn error(pipeline: &Pipeline, change: impl Fn(&mut serde_json::Value)) -> Error {
    let mut config = serde_json::to_value(pipeline.config()).unwrap();
    change(&mut config);
    let config: PipelineConfig = serde_json::from_value(config).unwrap();
    export_parts(&config, pipeline.model().parameters()).unwrap_err()
}

#[test]
fn what_has_no_form_is_named() {
    let pipeline = load("modality-dropout, default");
    let half = error(&pipeline, |config| config["settings"]["network"]["encoder_dtype"] = "bf16".into());
    assert!(matches!(&half, Error::Unsupported { part, .. } if part == "`network.encoder_dtype`"), "{half}");
    let own = error(&pipeline, |config| config["settings"]["network"]["encoder"] = serde_json::json!({ "kind": "wavelet" }));
    assert!(own.to_string().contains("the encoder of `strong` is of the kind `wavelet`, which has no form in ONNX"), "{own}");
    let unknown = error(&pipeline, |config| config["family"] = "my-method".into());
    assert!(unknown.to_string().contains("the method (family `my-method`) has no form in ONNX"), "{unknown}");
    for family in ["knn-imputation", "regression-imputation"] {
        let looks_up = error(&pipeline, |config| config["family"] = family.into());
        assert!(looks_up.to_string().contains("train another method, such as `modality-dropout`"), "{looks_up}");
    }
}

#[test]
fn weights_of_another_network_are_named() {
    let pipeline = load("modality-dropout, default");
    let deeper =
        error(&pipeline, |config| config["settings"]["network"]["trunk"] = serde_json::json!({ "kind": "mlp", "widths": [256, 128, 64] }));
    assert!(matches!(&deeper, Error::Parameter { name, .. } if name == "trunk.2.linear.weight"), "{deeper}");
    let settings = error(&pipeline, |config| config["settings"]["network"] = 3.into());
    assert!(matches!(&settings, Error::Settings { family, .. } if family == "fusion"), "{settings}");
}

#[test]
fn names_that_stand_for_something_else_are_refused() {
    let pipeline = load("modality-dropout, default");
    for name in ["presence", "logits"] {
        let taken = error(&pipeline, |config| *config = serde_json::from_str(&config.to_string().replace("strong", name)).unwrap());
        assert!(matches!(&taken, Error::Name { name: found, .. } if found == name), "{taken}");
    }
    let texts = load("modality-dropout, text");
    let lengths = error(&texts, |config| {
        config["schema"]["modalities"][1] = "text.lengths".into();
        config["standardizer"]["views"][1]["modality"] = "text.lengths".into();
    });
    assert!(lengths.to_string().contains("the lengths of `text`"), "{lengths}");
}
