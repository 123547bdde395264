//! A model that does not change any more: the same predictions, and no other weights.

use candle_core::{Device, Tensor};
use mm_core::data::{InputSpec, Inputs, Schema, Target};
use mm_core::fusion::FusionModel;
use mm_core::nn::{Mode, Parameters};
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Error, Modalities, Model, Presence, Subset};
use mm_testing::{Dropout, bits, clear_to_weak, parameter_bits};

fn schema() -> Schema {
    let inputs = vec![InputSpec::image([3, 16, 15]), InputSpec::image([1, 16, 15])];
    Schema::new(Modalities::new(["rgb", "depth"]).unwrap(), inputs, Target::of_classes(["a", "b", "c"])).unwrap()
}

const NETWORKS: [&str; 4] = [
    "",
    "encoder = { kind = 'resnet', stem = 'small', stages = 2, width = 4, squeeze_excite = true }
    trunk = { kind = 'resnet', widths = [8, 12], blocks = [2, 1] }",
    "encoder = { kind = 'conv', widths = [5, 6] }
    trunk = { kind = 'pointwise', widths = [8, 5] }",
    "encoder = { kind = 'resnet', stem = '3x3', stages = 1, width = 4 }
    encoder_dtype = 'bf16'",
];

fn model(network: &str) -> FusionModel {
    FusionModel::new(&toml::from_str(network).unwrap(), &schema(), Parameters::new(3, &Device::Cpu)).unwrap()
}

/// Four samples, the second of which lacks its depth and the third its colours.
fn inputs() -> Inputs {
    let image = |channels: usize| {
        let values: Vec<f32> = (0..4 * channels * 240).map(|i| (i as f32 * 0.37 + channels as f32).sin()).collect();
        Some(Tensor::from_vec(values, (4, channels, 16, 15), &Device::Cpu).unwrap())
    };
    let presence = [0b11, 0b01, 0b10, 0b11].map(|bits| Subset::from_bits(bits).unwrap());
    Inputs::new(&schema().modalities, [image(3), image(1)], Presence::new(presence.to_vec()), vec![0, 1, 2, 3]).unwrap()
}

/// All that it says of the samples, of a few of them and of all combinations, twice: some work is only saved from the second time on.
fn predictions(model: &dyn Model) -> Vec<Vec<u32>> {
    let inputs = inputs();
    let subsets: Vec<Subset> = Subset::all_non_empty(2).collect();
    let all = || {
        let few = inputs.select(&[3, 0]).unwrap();
        let outputs = [model.predict(&inputs).unwrap(), model.predict(&few).unwrap()];
        let outputs = outputs.iter().flat_map(|output| output.tensors().map(bits).collect::<Vec<_>>());
        outputs.chain([bits(&model.predict_combinations(&few, &subsets).unwrap())]).collect::<Vec<_>>()
    };
    [all(), all()].concat()
}

#[test]
fn a_frozen_model_predicts_what_it_predicted() {
    for network in NETWORKS {
        let mut model = model(network);
        let before = predictions(&model);
        assert!(before.iter().flatten().all(|bits| f32::from_bits(*bits).is_finite()));
        assert_eq!(model.mode(), Mode::Eval);
        model.freeze();
        assert_eq!(model.mode(), Mode::Frozen);
        assert_eq!(predictions(&model), before, "{network}");
        // Frozen before its first pass.
        let mut fresh = self::model(network);
        fresh.freeze();
        assert_eq!(predictions(&fresh), before, "{network}");
    }
}

#[test]
fn a_frozen_model_takes_no_other_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for network in NETWORKS {
        let other = FusionModel::new(&toml::from_str(network).unwrap(), &schema(), Parameters::new(4, &Device::Cpu)).unwrap();
        other.parameters().save(&path, |_| true).unwrap();
        let mut model = model(network);
        let clone = model.parameters().clone();
        model.freeze();
        let (before, predicted) = (parameter_bits(model.parameters()), predictions(&model));
        for parameters in [model.parameters(), &clone] {
            let error = parameters.load(&path).unwrap_err();
            assert!(matches!(error, Error::Weights { .. }) && error.to_string().contains("the model is frozen"), "{error}");
            let error = parameters.restore(&other.parameters().snapshot().unwrap(), &path).unwrap_err();
            assert!(error.to_string().contains("load them into a new one"), "{error}");
        }
        assert_eq!((parameter_bits(model.parameters()), predictions(&model)), (before, predicted));
        // They can be read and saved, and a model of its own takes them.
        model.parameters().save(&path, |_| true).unwrap();
        other.parameters().load(&path).unwrap();
        assert_eq!(predictions(&other), predictions(&model), "{network}");
    }
}

/// What [`Mode::Frozen`] saves is saved by no other mode: a model that is not frozen sees new weights.
#[test]
fn a_model_that_is_not_frozen_sees_other_weights() {
    for network in NETWORKS {
        let (model, other) = (model(network), Parameters::new(4, &Device::Cpu));
        let before = predictions(&model);
        let other = FusionModel::new(&toml::from_str(network).unwrap(), &schema(), other).unwrap();
        model.parameters().restore(&other.parameters().snapshot().unwrap(), "other weights".as_ref()).unwrap();
        let after = predictions(&model);
        assert_ne!(after, before);
        assert_eq!(after, predictions(&other), "{network}");
    }
}

#[test]
fn a_trained_model_is_frozen_as_it_is() {
    let data = clear_to_weak(60, 1);
    let rows: Vec<usize> = (0..60).collect();
    let mut method = Dropout::new(0);
    Trainer::new(TrainConfig { epochs: 2, batch_size: 16, ..TrainConfig::default() }).run(&mut method, &data, &rows, &[]).unwrap();
    let batch = mm_core::data::Source::batch(&data, &rows, &Device::Cpu).unwrap();
    let before = bits(&method.model.predict(batch.inputs()).unwrap().prediction);
    let mut model = mm_core::train::Method::into_model(Box::new(method));
    model.freeze();
    assert_eq!(bits(&model.predict(batch.inputs()).unwrap().prediction), before);
}
