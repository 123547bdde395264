//! The method on sound and film: spectrograms of one channel, and colour videos of another size.

use candle_core::{Device, Tensor};
use mm_core::data::{Batch, InputKind, InputSpec, Inputs, Schema, Source, TableDataset, Target};
use mm_core::encoder::{EncoderConfig, ResNetConfig, Stem};
use mm_core::loss::cross_entropy;
use mm_core::missing::MissingPattern;
use mm_core::recipe::Setup;
use mm_core::train::{Method, TrainConfig};
use mm_core::{Modalities, Model, Presence, Result, Subset};
use mm_testing::{bits, fit, patterns, spoilt, tensors};
use udml::*;

const CLASSES: usize = 2;
const SAMPLES: usize = 48;

fn schema_of(audio: [usize; 3], visual: [usize; 4], classes: usize) -> Schema {
    let inputs = vec![InputSpec::new(InputKind::Image, audio), InputSpec::new(InputKind::Video, visual)];
    let classes = (0..classes).map(|class| class.to_string());
    Schema::new(Modalities::new(["audio", "visual"]).unwrap(), inputs, Target::of_classes(classes)).unwrap()
}

fn schema() -> Schema {
    schema_of([1, 12, 9], [3, 2, 8, 10], CLASSES)
}

/// Every third sample lacks one of the sensors.
fn dataset() -> TableDataset {
    patterns(schema(), SAMPLES, &[0.5; 2], |i| if i % 3 == 2 { Subset::single(i % 2) } else { Subset::full(2) })
}

fn config() -> UdmlConfig {
    let mut config = UdmlConfig { missing: MissingPattern::Natural, estimator_width: 16, ..UdmlConfig::audio_visual() };
    let encoder = ResNetConfig { stem: Stem::Small, stages: 2, width: 4, ..ResNetConfig::default() };
    config.network.encoder = Some(EncoderConfig::resnet(encoder));
    config
}

fn model(seed: u64) -> Udml {
    Udml::new(config(), &Setup::new(&schema()).seed(seed)).unwrap()
}

fn batch() -> Batch {
    dataset().batch(&(0..SAMPLES).collect::<Vec<_>>(), &Device::Cpu).unwrap()
}

fn trained() -> Udml {
    let mut model = model(1);
    let config = TrainConfig { epochs: 4, batch_size: 16, learning_rate: 0.02, clip_norm: Some(20.0), ..TrainConfig::default() };
    fit(&mut model, &dataset(), &(0..SAMPLES).collect::<Vec<_>>(), &[], &config, None).unwrap();
    model
}

fn predict(model: &Udml, batch: &Batch) -> Tensor {
    model.deployed().predict(batch.inputs()).unwrap().prediction
}

fn loss(model: &Udml, batch: &Batch) -> f32 {
    cross_entropy(&predict(model, batch), batch.targets().values()).unwrap().to_scalar().unwrap()
}

#[test]
fn the_published_network_has_the_published_size() -> Result<()> {
    let schema = schema_of([1, 257, 188], [3, 1, 224, 224], 6);
    let model = Udml::new(UdmlConfig::audio_visual(), &Setup::new(&schema))?;
    assert_eq!(model.parameters().count(|_| true), 23_670_792);
    let map = published_names(&schema.modalities);
    for (published, shape) in [
        ("audio_net.conv1.weight", &[64, 1, 7, 7][..]),
        ("visual_net.layer4.1.bn2.running_var", &[512]),
        ("visual_net.mu_dul_backbone.0.bias", &[512]),
        ("audio_net.logvar_dul_backbone.1.weight", &[512]),
        ("audio_variance_estimator.2.weight", &[1, 256]),
        ("fusion_module.fc_out.weight", &[6, 1024]),
    ] {
        let ours = map.apply(published).unwrap();
        assert_eq!(model.parameters().get(&ours).map(|t| t.dims().to_vec()).as_deref(), Some(shape), "{published} is {ours}");
    }
    Ok(())
}

#[test]
fn training_lowers_the_loss_and_a_saved_model_predicts_the_same() -> Result<()> {
    let (model, batch) = (trained(), batch());
    let (before, after) = (loss(&self::model(1), &batch), loss(&model, &batch));
    assert!(after < 0.7 * before, "{before} before, {after} after");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    model.parameters().save(&file, |_| true)?;
    let loaded = self::model(9);
    assert_ne!(bits(&predict(&loaded, &batch)), bits(&predict(&model, &batch)));
    loaded.parameters().load(&file)?;
    let (ours, theirs) = (model.deployed().output(batch.inputs())?, loaded.deployed().output(batch.inputs())?);
    assert_eq!((bits(&ours.logits), bits(&ours.weights)), (bits(&theirs.logits), bits(&theirs.weights)));
    Ok(())
}

/// The biases are an option that moves no other parameter.
#[test]
fn biases_change_no_other_start() -> Result<()> {
    let without = Udml::new(UdmlConfig { feature_bias: false, ..config() }, &Setup::new(&schema()).seed(1))?;
    let with = model(1).parameters().snapshot()?;
    let added: Vec<&String> = with.keys().filter(|name| without.parameters().get(name).is_none()).collect();
    let heads = ["audio.log_var", "audio.mean", "visual.log_var", "visual.mean"];
    assert_eq!(added, heads.map(|head| format!("features.{head}.linear.bias")).iter().collect::<Vec<_>>());
    for (name, value) in without.parameters().snapshot()? {
        assert_eq!(bits(&value), bits(&with[&name]), "{name}");
    }
    Ok(())
}

#[test]
fn what_an_absent_sensor_holds_changes_no_bit() -> Result<()> {
    let (model, clean) = (trained(), batch());
    let absent = |row: usize, m: usize| !clean.presence().subsets()[row].contains(m);
    let expected = bits(&predict(&model, &clean));
    for value in [f32::NAN, 1e30, -3.0] {
        assert_eq!(bits(&predict(&model, &spoilt(&clean, value, absent))), expected, "{value}");
    }
    Ok(())
}

#[test]
fn an_encoder_runs_once_and_only_if_its_sensor_is_there() -> Result<()> {
    let complete: Vec<usize> = (0..SAMPLES).filter(|i| i % 3 != 2).collect();
    let (model, batch) = (trained(), dataset().batch(&complete, &Device::Cpu)?);
    let subsets: Vec<Subset> = Subset::all_non_empty(2).collect();
    let model = model.deployed();
    let together = model.predict_combinations(batch.inputs(), &subsets)?;
    assert_eq!((together.dims(), model.encode(batch.inputs())?.encoder_passes), (&[3, complete.len(), CLASSES][..], 2));
    for (m, &subset) in subsets.iter().take(2).enumerate() {
        let mut readings = tensors(batch.inputs());
        readings[1 - m] = None;
        let presence = Presence::uniform(subset, complete.len());
        let alive = Inputs::new(batch.inputs().modalities(), readings, presence, batch.ids().to_vec())?;
        assert_eq!(model.encode(&alive)?.encoder_passes, 1);
        let difference =
            (model.predict_combinations(&alive, &[subset])?.get(0)? - together.get(m)?)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(difference < 1e-4, "{difference}");
    }
    Ok(())
}
