//! Settings, what they are refused for, and names and numbers of parameters.

use super::{complete, model, networks, schema};
use candle_core::Device;
use mm_core::data::{InputKind, InputSpec, Schema, Target};
use mm_core::dense::{BackboneConfig, DenseConfig, DenseModel, DenseSensor, EsaNet, EsaNetConfig};
use mm_core::nn::Parameters;
use mm_core::{Error, Modalities, Model};

#[test]
fn settings_are_written_and_read_again() {
    for config in networks() {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<DenseConfig>(&text).unwrap(), config, "{text}");
    }
    let short: DenseConfig = serde_json::from_str(r#"{"kind": "esanet", "encoder": {"depth": 50}}"#).unwrap();
    let encoder = BackboneConfig { depth: 50, ..BackboneConfig::default() };
    assert_eq!(short, DenseConfig::EsaNet(EsaNetConfig { encoder, ..EsaNetConfig::default() }));
    for unknown in [r#"{"kind": "esanet", "depth": 50}"#, r#"{"kind": "unet", "fusions": "mean"}"#, r#"{"kind": "vnet"}"#] {
        assert!(serde_json::from_str::<DenseConfig>(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let cases = [
        (r#"{"kind": "unet", "widths": [8]}"#, "widths"),
        (r#"{"kind": "unet", "widths": [8, 0]}"#, "widths"),
        (r#"{"kind": "esanet", "encoder": {"depth": 20}}"#, "depth"),
        (r#"{"kind": "esanet", "encoder": {"depth": 50, "block": "basic"}}"#, "block"),
        (r#"{"kind": "esanet", "encoder": {"depth": 18, "block": "bottleneck"}}"#, "block"),
        (r#"{"kind": "esanet", "context": {"bins": []}}"#, "context.bins"),
        (r#"{"kind": "esanet", "context": {"adapted_to": [0, 4]}}"#, "context.adapted_to"),
        (r#"{"kind": "esanet", "decoder": {"channels": [8, 8, 0]}}"#, "decoder.channels"),
        (r#"{"kind": "esanet", "decoder": {"blocks": 100}}"#, "decoder.blocks"),
        (r#"{"kind": "esanet", "carrier": "radar"}"#, "carrier"),
    ];
    for (text, expected) in cases {
        let config: DenseConfig = serde_json::from_str(text).unwrap();
        let Err(Error::Config { field, .. }) = DenseModel::new(&config, &schema((32, 32)), 2, Parameters::for_loading(&Device::Cpu)) else {
            panic!("{text}")
        };
        assert_eq!(field, expected, "{text}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let vector = Schema::new(Modalities::new(["a"]).unwrap(), vec![InputSpec::vector(3)], Target::of_classes(["a", "b"])).unwrap();
    let parameters = || Parameters::for_loading(&Device::Cpu);
    assert!(matches!(DenseModel::new(&DenseConfig::default(), &vector, 2, parameters()), Err(Error::Shape { .. })));
    assert!(DenseModel::new(&DenseConfig::default(), &schema((8, 8)), 0, parameters()).is_err());
    for config in networks() {
        let model = model(&config, (32, 32));
        // One sensor of another size.
        let inputs = complete((32, 32), 1);
        let readings = (0..3).map(|m| Some(super::reading(m, 1, if m == 2 { (16, 32) } else { (32, 32) })));
        let uneven = mm_core::data::Inputs::new(inputs.modalities(), readings, inputs.presence().clone(), vec![0]).unwrap();
        let Err(Error::Shape { name, expected, .. }) = model.encode(&uneven) else { panic!("{config:?}") };
        assert!(name.contains("thermal") && expected.contains("32, 32"), "{name} {expected}");
        // A sensor of other channels.
        let two = InputSpec::new(InputKind::Image, [2, 32, 32]);
        let other =
            Schema::new(Modalities::new(["rgb", "depth", "thermal"]).unwrap(), vec![two; 3], Target::of_classes(["a", "b"])).unwrap();
        let other = DenseModel::new(&config, &other, 2, Parameters::new(0, &Device::Cpu)).unwrap();
        assert!(matches!(other.encode(&inputs), Err(Error::Shape { .. })));
    }
}

/// Numbers of the published network for NYUv2 with ResNet-50 and 40 classes, as counted in the published code: 88,068,840 with a second decoder
/// and without the parts that are not this network's, 16,335,296 of them in each decoder.
#[test]
fn published_number_of_parameters() {
    let parameters = Parameters::for_loading(&Device::Cpu);
    let sensors = [("rgb", 3), ("depth", 1)].map(|(name, channels)| DenseSensor { name: name.into(), channels });
    let encoder = BackboneConfig { depth: 50, ..BackboneConfig::default() };
    let config = EsaNetConfig { encoder, ..EsaNetConfig::default() };
    let network = EsaNet::new(&config, &sensors, 40, parameters.builder()).unwrap();
    mm_core::dense::DenseNetwork::another_decoder(&network, parameters.builder().pp("auxi_decoder")).unwrap();
    assert_eq!(parameters.count(|name| name.starts_with("auxi_decoder.")), 16_335_296);
    assert_eq!(parameters.count(|_| true), 89_289_704 - 693_504 - 527_360);
}
