//! What is said of published weights that do not fit an encoder, and of settings that were hardly meant.

use super::pretrained::{SMALL, network, published, schema};
use candle_core::{DType, Device};
use mm_core::encoder::{EncoderConfig, ResNetConfig};
use mm_core::fusion::FusionModel;
use mm_core::nn::Parameters;
use mm_core::weights::save;
use mm_testing::values;
use std::path::Path;

/// The names of a first stage come again in every other one.
#[test]
fn the_prefix_of_a_larger_network_is_advised() {
    let folder = tempfile::tempdir().unwrap();
    let (_, theirs) = published(folder.path());
    let path = folder.path().join("backbone.safetensors");
    let tensors = theirs.snapshot().unwrap().into_iter().map(|(name, tensor)| (format!("backbone.{name}"), tensor));
    save(&path, &tensors.collect(), None).unwrap();
    let config = network(EncoderConfig::resnet(ResNetConfig { stages: 1, ..SMALL }).pretrained(path.to_str().unwrap()));
    let problem = FusionModel::new(&config, &schema(3), Parameters::new(3, &Device::Cpu)).map(drop).unwrap_err().to_string();
    assert!(problem.contains("write `prefix = \"backbone.\"` in `pretrained`"), "{problem}");
}

/// A head of other classes is left out where that is asked for; a layer more is never advised to be.
#[test]
fn what_is_no_part_of_the_encoder_is_skipped_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (_, theirs) = published(folder.path());
    let path = folder.path().join("two-heads.safetensors");
    let head = ("module.body.head.weight".to_string(), values(&[2, 2], DType::F32));
    let tensors = theirs.snapshot().unwrap().into_iter().map(|(name, tensor)| (format!("module.body.{name}"), tensor));
    save(&path, &tensors.chain([head]).collect(), None).unwrap();
    let from = |skip: &str, config: ResNetConfig| {
        let written = format!("kind = 'resnet'\npretrained = {{ from = '{}', prefix = 'body.'{skip} }}", path.display());
        let from = toml::from_str::<EncoderConfig>(&written).unwrap().pretrained_weights().unwrap().clone();
        let config = network(EncoderConfig::resnet(config).pretrained(from));
        FusionModel::new(&config, &schema(3), Parameters::new(3, &Device::Cpu)).map(drop).map_err(|error| error.to_string())
    };
    let problem = from("", SMALL).unwrap_err();
    assert!(problem.contains("write `skip = [\"head.\"]` in `pretrained`"), "{problem}");
    from(", skip = ['head.']", SMALL).unwrap();
    let deeper = from(", skip = ['head.', 'layer1.0.']", SMALL).unwrap_err();
    assert!(deeper.contains("missing") && !deeper.contains("write `skip"), "{deeper}");
}

#[test]
fn a_slip_in_what_every_encoder_has_is_told() {
    let text = "kind = 'resnet'\npretraned = 'resnet18.pth'";
    let problem = mm_core::data::parse_toml::<EncoderConfig>(Path::new("plan.toml"), text).unwrap_err().to_string();
    assert!(problem.contains("`frozen`, `learning_rate_factor`") && problem.contains("did you mean `pretrained`?"), "{problem}");
}

#[test]
fn an_encoder_that_is_frozen_before_it_learnt_is_told() {
    let told = |config: EncoderConfig| network(config).frozen_at_random();
    let random = told(EncoderConfig::resnet(SMALL).frozen());
    assert!(random.len() == 1 && random[0].contains("`network.encoders.rgb` is frozen without `pretrained`"), "{random:?}");
    assert!(told(EncoderConfig::resnet(SMALL).pretrained("x.pth").frozen()).is_empty() && told(EncoderConfig::resnet(SMALL)).is_empty());
}
