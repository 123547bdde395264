//! Encoders that begin with published weights: frozen, fine-tuned, for other channels, and their features on disk.

use candle_core::{DType, Device, Tensor};
use mm_core::data::{InputSpec, Inputs, Reading, Schema, Target};
use mm_core::encoder::{BertConfig, Encoder, EncoderConfig, FeatureCache, Pretrained, ResNet, ResNetConfig, Stem};
use mm_core::fusion::{FusionModel, NetworkConfig, TrunkConfig, encode_present};
use mm_core::model::Model;
use mm_core::nn::{Mode, Parameters, is_running_statistic};
use mm_core::optim::{Optimizer, OptimizerConfig};
use mm_core::weights::{ChannelRule, ImportOptions, NameMap, import, save};
use mm_core::{Error, Modalities, Presence, Subset};
use mm_testing::{bits, difference, values};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const SMALL: ResNetConfig = ResNetConfig { depth: 18, stem: Stem::Small, stages: 2, width: 4, squeeze_excite: false };

/// A published classifier for pictures of three channels, with all four stages and the names of torchvision and timm.
pub(super) fn published(folder: &Path) -> (PathBuf, Parameters) {
    let parameters = Parameters::new(7, &Device::Cpu);
    ResNet::new(&ResNetConfig { stages: 4, ..SMALL }, 3, 5, parameters.builder()).unwrap();
    // Statistics of a network that was trained.
    for (name, variable) in parameters.variables().into_iter().filter(|(name, _)| is_running_statistic(name)) {
        let shift = if name.ends_with("var") { 1.5 } else { 0.2 };
        variable.set(&((values(variable.dims(), DType::F32) * 0.1).unwrap() + shift).unwrap()).unwrap();
    }
    let path = folder.join("resnet.safetensors");
    let named = |(name, tensor)| (format!("module.{name}"), tensor);
    let mut tensors: BTreeMap<String, Tensor> = parameters.snapshot().unwrap().into_iter().map(named).collect();
    tensors.insert("module.bn1.num_batches_tracked".into(), Tensor::new(3i64, &Device::Cpu).unwrap());
    save(&path, &tensors, None).unwrap();
    (path, parameters)
}

pub(super) fn schema(channels: usize) -> Schema {
    let modalities = Modalities::new(["rgb", "song"]).unwrap();
    let inputs = vec![InputSpec::image([channels, 8, 8]), InputSpec::vector(3)];
    Schema::new(modalities, inputs, Target::of_classes(["a", "b"])).unwrap()
}

pub(super) fn network(rgb: EncoderConfig) -> NetworkConfig {
    let encoders = [("rgb".to_string(), rgb), ("song".to_string(), EncoderConfig::mlp([4]))].into();
    NetworkConfig { encoders, trunk: TrunkConfig::Mlp { widths: vec![6] }, ..NetworkConfig::default() }
}

fn inputs(channels: usize, shift: f64) -> Inputs {
    let images = (values(&[4, channels, 8, 8], DType::F32) + shift).unwrap();
    let modalities = schema(channels).modalities;
    let presence = Presence::uniform(modalities.full(), 4);
    Inputs::new(&modalities, [Some(images), Some(values(&[4, 3], DType::F32))], presence, vec![0, 1, 2, 3]).unwrap()
}

fn model(config: &NetworkConfig, channels: usize) -> FusionModel {
    FusionModel::new(config, &schema(channels), Parameters::new(3, &Device::Cpu)).unwrap()
}

/// A step of training on all of it, with weight decay.
fn step(model: &FusionModel, learning_rate: f64) {
    let presence = Presence::uniform(schema(3).modalities.full(), 4);
    let output = model.network().forward(&inputs(3, 0.0), &presence, Mode::Train).unwrap();
    let loss = output.prediction.mul(&values(output.prediction.dims(), DType::F32)).unwrap().sum_all().unwrap();
    let config = OptimizerConfig::AdamW { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.1 };
    Optimizer::new(config).unwrap().step(model.parameters(), &loss.backward().unwrap(), learning_rate).unwrap();
}

fn of(snapshot: &BTreeMap<String, Tensor>, prefix: &str) -> BTreeMap<String, Vec<u32>> {
    snapshot.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_string(), bits(tensor)))).collect()
}

/// The stages that are kept, under the names of the published file.
#[test]
fn an_encoder_begins_with_the_published_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (path, theirs) = published(folder.path());
    let theirs = theirs.snapshot().unwrap();
    for written in [
        format!("kind = 'resnet'\ndepth = 18\nstem = 'small'\nstages = 2\nwidth = 4\npretrained = '{}'", path.display()),
        format!("kind = 'resnet'\nstem = 'small'\nstages = 2\nwidth = 4\nfrozen = true\npretrained = {{ from = '{}' }}", path.display()),
    ] {
        let config: EncoderConfig = toml::from_str(&written).unwrap();
        let model = model(&network(config.clone()), 3);
        let ours = of(&model.parameters().snapshot().unwrap(), "encoders.rgb.");
        assert!(ours.len() > 20 && ours.iter().all(|(name, values)| *values == bits(&theirs[name])));
        // As a saved model holds it.
        let again: EncoderConfig = serde_json::from_value(serde_json::to_value(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }
    // Of a larger model: an entry's names, and only those.
    let prefixed = folder.path().join("model.safetensors");
    let tensors = theirs.iter().map(|(name, tensor)| (format!("module.backbone.{name}"), tensor.clone()));
    let other = ("module.head.weight".to_string(), values(&[2, 2], DType::F32));
    save(&prefixed, &tensors.chain([other]).collect(), None).unwrap();
    let from = Pretrained { prefix: "backbone.".into(), ..Pretrained::from(prefixed.to_str().unwrap()) };
    let ours = of(&model(&network(EncoderConfig::resnet(SMALL).pretrained(from)), 3).parameters().snapshot().unwrap(), "encoders.rgb.");
    assert!(ours.iter().all(|(name, values)| *values == bits(&theirs[name])));
}

#[test]
fn a_model_that_is_loaded_needs_no_published_weights() {
    let config = network(EncoderConfig::resnet(SMALL).pretrained("no/such/file.pth").frozen());
    let problem = FusionModel::new(&config, &schema(3), Parameters::new(3, &Device::Cpu)).map(drop).unwrap_err().to_string();
    assert!(problem.contains("no/such/file.pth"), "{problem}");
    assert!(FusionModel::new(&config, &schema(3), Parameters::for_loading(&Device::Cpu)).is_ok());
}

#[test]
fn weights_of_another_network_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = published(folder.path());
    let problem = |config: ResNetConfig| {
        let config = network(EncoderConfig::resnet(config).pretrained(path.to_str().unwrap()));
        FusionModel::new(&config, &schema(3), Parameters::new(3, &Device::Cpu)).map(drop).unwrap_err().to_string()
    };
    assert!(problem(ResNetConfig { depth: 34, ..SMALL }).contains("missing"));
    assert!(problem(ResNetConfig { depth: 34, ..SMALL }).contains("do depth and the other settings fit"));
    assert!(problem(ResNetConfig { width: 8, ..SMALL }).contains("expected shape ["));
    assert!(problem(ResNetConfig { squeeze_excite: true, ..SMALL }).contains("se.fc"));
}

/// Three channels with weights 1, 2 and 6: their sum is 9 and their mean 3.
#[test]
fn a_first_convolution_is_made_for_other_channels() {
    let published = Tensor::new(&[1f32, 2.0, 6.0], &Device::Cpu).unwrap().reshape((1, 3, 1, 1)).unwrap();
    let numbers =
        |rule: ChannelRule, channels| rule.adapted(&published, channels).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(numbers(ChannelRule::Sum, 1), [9.0]);
    assert_eq!(numbers(ChannelRule::Mean, 1), [3.0]);
    assert_eq!(numbers(ChannelRule::Sum, 2), [4.5, 4.5]);
    assert_eq!(numbers(ChannelRule::Mean, 2), [3.0, 3.0]);
    assert_eq!(numbers(ChannelRule::Sum, 3), [1.0, 2.0, 6.0]);
    assert_eq!(numbers(ChannelRule::Mean, 6), [3.0; 6]);

    // A grey picture of one channel gives what it gave with three equal ones.
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = self::published(folder.path());
    let path = path.to_str().unwrap();
    let grey = values(&[2, 1, 8, 8], DType::F32);
    let feature = |channels: usize, images: &Tensor, rule: ChannelRule| {
        let from = Pretrained { channels: rule, ..Pretrained::from(path) };
        let config = EncoderConfig::resnet(SMALL).pretrained(from).frozen();
        let parameters = Parameters::new(0, &Device::Cpu);
        let encoder = config.build("rgb", &InputSpec::image([channels, 8, 8]), parameters.builder()).unwrap();
        encoder.forward(&images.clone().into(), Mode::Eval).unwrap()
    };
    let colours = feature(3, &grey.broadcast_as((2, 3, 8, 8)).unwrap().contiguous().unwrap(), ChannelRule::Sum);
    for channels in [1, 2, 5] {
        let equal = grey.broadcast_as((2, channels, 8, 8)).unwrap().contiguous().unwrap();
        assert!(difference(&feature(channels, &equal, ChannelRule::Sum), &colours) < 1e-4, "{channels}");
    }
    assert!(difference(&feature(1, &grey, ChannelRule::Mean), &colours) > 1e-2);

    // A plain import does so only where it is asked.
    let parameters = Parameters::new(0, &Device::Cpu);
    parameters.builder().get((2, 1, 1, 1), "conv1.weight").unwrap();
    let tensors = BTreeMap::from([("conv1.weight".to_string(), values(&[2, 3, 1, 1], DType::F32))]);
    let problem = import(&parameters, &tensors, &NameMap::new(), "made".as_ref()).unwrap_err().to_string();
    assert!(problem.contains("adapt_channels"), "{problem}");
    let options = ImportOptions::default().adapt_channels("conv1.weight", ChannelRule::Sum);
    import(&parameters, &tensors, options, "made".as_ref()).unwrap();
    assert!(difference(&parameters.get("conv1.weight").unwrap(), &tensors["conv1.weight"].sum_keepdim(1).unwrap()) < 1e-6);
}

/// Weights, biases, scales and running statistics, bit by bit; everything else is trained.
#[test]
fn a_frozen_encoder_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = published(folder.path());
    let model = model(&network(EncoderConfig::resnet(SMALL).pretrained(path.to_str().unwrap()).frozen()), 3);
    let before = model.parameters().snapshot().unwrap();
    let parameters = model.parameters();
    let frozen = parameters.count(|name| name.starts_with("encoders.rgb."));
    assert!(frozen > 0 && parameters.count_trained() + frozen == parameters.count(|_| true));
    for _ in 0..3 {
        step(&model, 0.1);
    }
    let after = model.parameters().snapshot().unwrap();
    assert_eq!(of(&after, "encoders.rgb."), of(&before, "encoders.rgb."));
    for part in ["encoders.song.0.linear.", "encoders.song.0.norm.running_", "trunk.0.linear.", "head."] {
        assert_ne!(of(&after, part), of(&before, part), "{part}");
    }
    // In training it computes what it computes in prediction.
    let (encoders, full) = (model.network().encoders(), Presence::uniform(schema(3).modalities.full(), 4));
    let feature = |mode| encoders.forward(&inputs(3, 0.0), &full, mode).unwrap().0[0].clone().unwrap();
    assert_eq!(bits(&feature(Mode::Train)), bits(&feature(Mode::Eval)));
}

/// The first step of Adam moves every number by the learning rate, whatever the gradient.
#[test]
fn an_encoder_has_a_learning_rate_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = published(folder.path());
    let config = EncoderConfig::resnet(SMALL).pretrained(path.to_str().unwrap()).learning_rate_factor(0.1);
    let (slow, quick) = (model(&network(config), 3), model(&network(EncoderConfig::resnet(SMALL)), 3));
    assert_eq!(slow.parameters().learning_rate_factor("encoders.rgb.conv1.weight"), 0.1);
    assert_eq!(slow.parameters().learning_rate_factor("encoders.song.0.linear.weight"), 1.0);
    for (model, factor) in [(slow, 0.1), (quick, 1.0)] {
        let before = model.parameters().snapshot().unwrap();
        step(&model, 1e-3);
        let after = model.parameters().snapshot().unwrap();
        let moved = |name: &str| {
            let largest = (&after[name] - &before[name]).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            f64::from(largest.to_scalar::<f32>().unwrap())
        };
        for (name, factor) in [("encoders.rgb.bn1.bias", factor), ("encoders.song.0.norm.bias", 1.0), ("head.bias", 1.0)] {
            let found = moved(name) / (1e-3 * factor);
            assert!((0.5..2.0).contains(&found), "{name}: {found}");
        }
        // Running statistics follow the batch, as in any training.
        assert_ne!(of(&after, "encoders.rgb.bn1.running_mean"), of(&before, "encoders.rgb.bn1.running_mean"));
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let problem = |written: &str| {
        let config: EncoderConfig = toml::from_str(&format!("kind = 'resnet'\n{written}")).unwrap();
        config.validate("network.encoders.rgb").unwrap_err().to_string()
    };
    for (written, part) in [
        ("learning_rate_factor = 0.0", "network.encoders.rgb.learning_rate_factor"),
        ("learning_rate_factor = -1.0", "above 0"),
        ("frozen = true\nlearning_rate_factor = 0.5", "leave out one of the two"),
        ("pretrained = ''", "network.encoders.rgb.pretrained"),
    ] {
        assert!(problem(written).contains(part), "{written}: {}", problem(written));
    }
    for written in
        ["frozen = 'yes'", "learning_rate_factor = nan", "pretrained = { from = 'a', revision = 'b' }", "pretrained = 3", "depht = 18"]
    {
        assert!(toml::from_str::<EncoderConfig>(&format!("kind = 'resnet'\n{written}")).is_err(), "{written}");
    }
}

/// The sizes of a text encoder come from its checkpoint, and the configuration that a model is saved with says them all.
#[test]
fn sizes_come_from_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = BertConfig {
        vocab_size: 20,
        hidden_size: 8,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 12,
        max_position_embeddings: 6,
        ..BertConfig::default()
    };
    let checkpoint = folder.path().join("bert");
    std::fs::create_dir(&checkpoint).unwrap();
    let mut json = serde_json::to_value(sizes).unwrap();
    json.as_object_mut().unwrap().retain(|name, _| name != "pooling" && name != "normalize");
    json["model_type"] = "bert".into();
    std::fs::write(checkpoint.join("config.json"), json.to_string()).unwrap();
    let theirs = Parameters::new(9, &Device::Cpu);
    mm_core::encoder::BertEncoder::new(&sizes, 6, theirs.builder().pp("bert")).unwrap();
    theirs.save(&checkpoint.join("model.safetensors"), |_| true).unwrap();

    let written: EncoderConfig = toml::from_str("kind = 'bert'\npretrained = 'bert'\nfrozen = true\npooling = 'cls'").unwrap();
    let located = written.located(folder.path()).unwrap();
    assert_eq!(serde_json::to_value(&located).unwrap()["hidden_size"], 8);
    assert_eq!(serde_json::to_value(&located).unwrap()["pooling"], "cls");
    let tokens = InputSpec::new(mm_core::data::InputKind::Tokens, [6]);
    let parameters = Parameters::new(0, &Device::Cpu);
    assert_eq!(located.build("note", &tokens, parameters.builder()).unwrap().feature_shape(), [8]);
    let query = "encoder.layer.0.attention.self.query.weight";
    assert_eq!(bits(&parameters.get(query).unwrap()), bits(&theirs.get(&format!("bert.{query}")).unwrap()));

    std::fs::write(checkpoint.join("config.json"), "version https://git-lfs.github.com/spec/v1\n").unwrap();
    let written: EncoderConfig = toml::from_str("kind = 'bert'\npretrained = 'bert'").unwrap();
    assert!(written.located(folder.path()).unwrap_err().to_string().contains("git lfs pull"));
    let written: EncoderConfig = toml::from_str("kind = 'bert'\npretrained = 'no-such-folder'").unwrap();
    let error = written.located(folder.path()).unwrap_err().to_string();
    assert!(error.contains("no-such-folder"), "{error}");
}

/// Counts what is computed.
fn cached(path: &Path, cache: Option<&Arc<FeatureCache>>, change: f64) -> Box<dyn Encoder> {
    let mut config = EncoderConfig::resnet(SMALL).pretrained(path.to_str().unwrap()).frozen();
    if let Some(cache) = cache {
        config.cache_features(cache);
    }
    let parameters = Parameters::new(0, &Device::Cpu);
    let encoder = config.build("rgb", &InputSpec::image([3, 8, 8]), parameters.builder()).unwrap();
    let bias = parameters.variable("bn1.bias").unwrap();
    bias.set(&(bias.as_tensor().detach() + change).unwrap()).unwrap();
    encoder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let below = |path: &Path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let mut files: Vec<PathBuf> = below(folder).iter().filter(|path| path.is_dir()).flat_map(|path| below(path)).collect();
    files.sort();
    files
}

#[test]
fn features_are_computed_once() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = published(folder.path());
    let store = folder.path().join("features");
    let cache = Arc::new(FeatureCache::open(&store, 1 << 20).unwrap());
    let images: Reading = values(&[5, 3, 8, 8], DType::F32).into();
    let encoder = cached(&path, Some(&cache), 0.0);
    let first = encoder.forward(&images, Mode::Train).unwrap();
    assert_eq!((first.dims(), files(&store).len()), (&[5, 8, 4, 4][..], 5));
    assert!(difference(&first, &cached(&path, None, 0.0).forward(&images, Mode::Eval).unwrap()) < 1e-6);

    // The same numbers in whatever batch, in another process, and from a damaged file.
    let some = images.gather(&[1, 3]).unwrap();
    assert_eq!(
        bits(&encoder.forward(&some, Mode::Eval).unwrap()),
        bits(&first.index_select(&Tensor::new(&[1u32, 3], &Device::Cpu).unwrap(), 0).unwrap())
    );
    let other = Arc::new(FeatureCache::open(&store, 1 << 20).unwrap());
    let kept = files(&store);
    for (number, damage) in [0usize, 7, 500].into_iter().enumerate() {
        let mut bytes = std::fs::read(&kept[number]).unwrap();
        bytes[damage] ^= 1;
        std::fs::write(&kept[number], bytes).unwrap();
    }
    std::fs::write(&kept[3], "short").unwrap();
    assert_eq!(bits(&cached(&path, Some(&other), 0.0).forward(&images, Mode::Train).unwrap()), bits(&first));
    assert_eq!(files(&store), kept);

    // They are read from there: a file that is in order counts.
    let marked = [9f32; 128];
    let before = std::fs::read(&kept[0]).unwrap();
    assert_eq!(before.len(), 128 * 4 + 8);
    std::fs::write(&kept[0], bytemuck::cast_slice::<f32, u8>(&marked)).unwrap();
    assert_eq!(bits(&encoder.forward(&images, Mode::Eval).unwrap()), bits(&first), "its checksum is gone");

    // Other weights, and other readings, have other features; augmented readings are not kept.
    let changed = cached(&path, Some(&cache), 0.5).forward(&images, Mode::Eval).unwrap();
    assert!(difference(&changed, &first) > 1e-3);
    assert_eq!(files(&store).len(), 10);
    encoder.forward_once(&images.gather(&[0]).unwrap(), Mode::Train).unwrap();
    let once = encoder.forward_once(&Reading::from((&images.values + 1.0).unwrap()), Mode::Train).unwrap();
    assert!(difference(&once, &first) > 1e-3);
    assert_eq!(files(&store).len(), 10);
}

/// What a data set gives is kept, what was changed on the way is not.
#[test]
fn altered_readings_pass_the_cache_by() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = published(folder.path());
    let store = folder.path().join("features");
    let cache = Arc::new(FeatureCache::open(&store, 1 << 20).unwrap());
    let encoder = cached(&path, Some(&cache), 0.0);
    let inputs = inputs(3, 0.0);
    let altered = inputs.clone().with_values(0, values(&[4, 3, 8, 8], DType::F32)).unwrap();
    assert!(altered.is_altered());
    encode_present(&*encoder, 0, &altered, altered.presence(), Mode::Train).unwrap();
    assert_eq!(files(&store).len(), 0);
    let presence = Presence::new(vec![
        Subset::from_indices([0]).unwrap(),
        Subset::from_indices([1]).unwrap(),
        inputs.modalities().full(),
        Subset::from_indices([1]).unwrap(),
    ]);
    encode_present(&*encoder, 0, &inputs, &presence, Mode::Train).unwrap();
    assert_eq!(files(&store).len(), 2, "only what is there");
}

/// Lengths are part of a reading.
#[test]
fn texts_of_other_lengths_are_other_texts() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Arc::new(FeatureCache::open(folder.path(), 1 << 20).unwrap());
    let sizes = BertConfig {
        vocab_size: 20,
        hidden_size: 8,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 12,
        ..BertConfig::default()
    };
    let mut config = EncoderConfig::bert(sizes).frozen();
    config.cache_features(&cache);
    let parameters = Parameters::new(0, &Device::Cpu);
    let encoder = config.build("note", &InputSpec::new(mm_core::data::InputKind::Tokens, [4]), parameters.builder()).unwrap();
    let reading = |length: u32| Reading {
        values: Tensor::new(&[[2f32, 5.0, 3.0, 0.0]], &Device::Cpu).unwrap(),
        lengths: Some(Tensor::new(&[length], &Device::Cpu).unwrap()),
    };
    let [long, short] = [3, 2].map(|length| encoder.forward(&reading(length), Mode::Eval).unwrap());
    assert!(difference(&long, &short) > 1e-6);
    assert_eq!(files(folder.path()).len(), 2);
    assert_eq!(bits(&encoder.forward(&reading(3), Mode::Eval).unwrap()), bits(&long));
    let wrong = encoder.forward(&Reading { lengths: Some(Tensor::new(&[3u32, 3], &Device::Cpu).unwrap()), ..reading(3) }, Mode::Eval);
    assert!(matches!(wrong, Err(Error::Shape { .. })), "{wrong:?}");
}

/// A feature takes 520 bytes here.
#[test]
fn a_cache_keeps_to_its_budget() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = published(folder.path());
    let store = folder.path().join("features");
    let images: Reading = values(&[8, 3, 8, 8], DType::F32).into();
    let uncached = cached(&path, None, 0.0).forward(&images, Mode::Eval).unwrap();
    let fill = |budget: u64| {
        let cache = Arc::new(FeatureCache::open(&store, budget).unwrap());
        let feature = cached(&path, Some(&cache), 0.0).forward(&images, Mode::Eval).unwrap();
        assert!(difference(&feature, &uncached) < 1e-6);
        files(&store).len()
    };
    assert_eq!(fill(519), 0);
    assert_eq!(fill(520 * 3 + 100), 3);
    // Two caches of one folder at once.
    let first = Arc::new(FeatureCache::open(&store, 520 * 5).unwrap());
    let second = Arc::new(FeatureCache::open(&store, 520 * 5).unwrap());
    for cache in [&first, &second] {
        cached(&path, Some(cache), 0.0).forward(&images, Mode::Eval).unwrap();
    }
    // Each that has not seen what another wrote may go a little too far.
    assert!((5..=6).contains(&files(&store).len()), "{}", files(&store).len());
    // Too large when it is opened: the oldest go, down to half; files of others stay.
    std::fs::write(store.join("mine.feature"), "x").unwrap();
    std::fs::create_dir_all(store.join("notes")).unwrap();
    std::fs::write(store.join("notes/mine.feature"), vec![0; 10_000]).unwrap();
    FeatureCache::open(&store, 520 * 4).unwrap();
    assert_eq!(files(&store).iter().filter(|path| !path.ends_with("notes/mine.feature")).count(), 2);
    assert!(store.join("notes/mine.feature").exists() && store.join("mine.feature").exists());
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    assert!(FeatureCache::open(&blocked, 1).unwrap_err().to_string().contains("file"));
}

/// Many threads, two caches: one set of features, each file whole.
#[test]
fn writers_side_by_side_leave_whole_files() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = published(folder.path());
    let store = folder.path().join("features");
    let images: Reading = values(&[16, 3, 8, 8], DType::F32).into();
    let features: Vec<Vec<u32>> = std::thread::scope(|scope| {
        let work = || {
            let cache = Arc::new(FeatureCache::open(&store, 1 << 20).unwrap());
            bits(&cached(&path, Some(&cache), 0.0).forward(&images, Mode::Eval).unwrap())
        };
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(features.iter().all(|feature| *feature == features[0]));
    let sizes: Vec<u64> = files(&store).iter().map(|path| path.metadata().unwrap().len()).collect();
    assert_eq!(sizes, [520; 16]);
}

/// MiniLM as a sensor: its features come from the disk the second time, and training leaves it alone.
#[test]
fn a_real_text_encoder_is_frozen_and_cached() {
    let Some(minilm) = mm_testing::minilm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cache = Arc::new(FeatureCache::open(folder.path(), 1 << 30).unwrap());
    let mut note: EncoderConfig = toml::from_str(&format!("kind = 'bert'\npretrained = '{}'\nfrozen = true", minilm.display())).unwrap();
    note = note.located(Path::new("")).unwrap();
    note.cache_features(&cache);
    let modalities = Modalities::new(["note", "song"]).unwrap();
    let specs = vec![InputSpec::new(mm_core::data::InputKind::Tokens, [16]), InputSpec::vector(3)];
    let schema = Schema::new(modalities.clone(), specs, Target::of_classes(["a", "b"])).unwrap();
    let encoders = [("note".to_string(), note), ("song".to_string(), EncoderConfig::mlp([4]))].into();
    let config = NetworkConfig { encoders, trunk: TrunkConfig::Mlp { widths: vec![6] }, ..NetworkConfig::default() };
    let model = FusionModel::new(&config, &schema, Parameters::new(3, &Device::Cpu)).unwrap();

    let tokenizer = mm_core::text::Tokenizer::open(&minilm.join("tokenizer.json"), 16).unwrap();
    let sentences: Vec<String> = (0..64).map(|i| format!("The camera number {i} lost its picture at night.")).collect();
    let tokens: Vec<_> = sentences.iter().map(|sentence| tokenizer.encode(sentence).unwrap()).collect();
    let lengths: Vec<u32> = tokens.iter().map(|tokens| tokens.length as u32).collect();
    let ids: Vec<f32> = tokens.into_iter().flat_map(|tokens| tokens.values).collect();
    let text = Reading {
        values: Tensor::from_vec(ids, (64, 16), &Device::Cpu).unwrap(),
        lengths: Some(Tensor::new(lengths, &Device::Cpu).unwrap()),
    };
    let (presence, numbers) = (Presence::uniform(modalities.full(), 64), (0..64).collect());
    let inputs = Inputs::new(&modalities, [Some(text), Some(values(&[64, 3], DType::F32).into())], presence.clone(), numbers).unwrap();
    let before = of(&model.parameters().snapshot().unwrap(), "encoders.note.");
    assert_eq!(before.len(), 5 + 6 * 16);
    let mut optimizer = Optimizer::new(OptimizerConfig::default()).unwrap();
    for what in ["computed", "from the disk"] {
        let started = std::time::Instant::now();
        let output = model.network().forward(&inputs, &presence, Mode::Train).unwrap();
        println!("64 sentences {what}: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
        let gradients = output.prediction.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let touched = model.parameters().variables().into_iter().filter(|(_, variable)| gradients.get(variable).is_some());
        assert!(touched.map(|(name, _)| name).all(|name| !name.starts_with("encoders.note.")));
        optimizer.step(model.parameters(), &gradients, 0.01).unwrap();
        assert_eq!(files(folder.path()).len(), 64);
    }
    assert_eq!(of(&model.parameters().snapshot().unwrap(), "encoders.note."), before);
}
