//! Networks that predict every pixel: presence, sizes, what runs when, gradients, settings.

mod gradients;
mod images;
mod layers;
mod learning;
mod settings;

use candle_core::{DType, Device, Tensor};
use mm_core::data::{InputKind, InputSpec, Inputs, Schema, Target};
use mm_core::dense::{
    BackboneConfig, ContextConfig, DecoderConfig, DenseBlock, DenseConfig, DenseModel, EsaNetConfig, Flipped, UNetConfig, UNetFusion,
};
use mm_core::nn::{Mode, Parameters};
use mm_core::{Modalities, Model, Presence, Subset};
use mm_testing::{bits, difference, fill};

const NAMES: [&str; 3] = ["rgb", "depth", "thermal"];
const CHANNELS: [usize; 3] = [3, 1, 2];
const CLASSES: usize = 4;

fn esanet(block: DenseBlock) -> EsaNetConfig {
    let depth = if block == DenseBlock::Bottleneck { 50 } else { 18 };
    EsaNetConfig {
        encoder: BackboneConfig { depth, block: Some(block), width: 4 },
        carrier: None,
        context: ContextConfig { bins: vec![1, 2], adapted_to: None },
        decoder: DecoderConfig { channels: [12, 8, 6], blocks: 1 },
    }
}

fn unet(fusion: UNetFusion) -> UNetConfig {
    UNetConfig { widths: vec![4, 6, 8], fusion, side_outputs: true }
}

/// Every kind of network, small.
fn networks() -> Vec<DenseConfig> {
    let carried = EsaNetConfig { carrier: Some("depth".into()), ..esanet(DenseBlock::Basic) };
    let adaptive = ContextConfig { bins: vec![1, 2], adapted_to: Some([1, 1]) };
    vec![
        DenseConfig::EsaNet(esanet(DenseBlock::NonBottleneck1d)),
        DenseConfig::EsaNet(EsaNetConfig { context: adaptive, ..esanet(DenseBlock::Bottleneck) }),
        DenseConfig::EsaNet(carried),
        DenseConfig::UNet(unet(UNetFusion::Mean)),
        DenseConfig::UNet(unet(UNetFusion::SqueezeExcite)),
    ]
}

fn schema(size: (usize, usize)) -> Schema {
    let inputs = CHANNELS.map(|channels| InputSpec::new(InputKind::Image, [channels, size.0, size.1])).to_vec();
    Schema::new(Modalities::new(NAMES).unwrap(), inputs, Target::of_classes(["a", "b"])).unwrap()
}

fn model(config: &DenseConfig, size: (usize, usize)) -> DenseModel {
    DenseModel::new(config, &schema(size), CLASSES, Parameters::new(3, &Device::Cpu)).unwrap()
}

fn reading(sensor: usize, batch: usize, size: (usize, usize)) -> Tensor {
    fill(40 + sensor as u64, &[batch, CHANNELS[sensor], size.0, size.1], 1.0, 0.0).to_dtype(DType::F32).unwrap()
}

/// Readings of all sensors, of which samples have those of `presence`.
fn inputs(size: (usize, usize), presence: Presence) -> Inputs {
    let batch = presence.len();
    let readings = (0..3).map(|sensor| Some(reading(sensor, batch, size)));
    Inputs::new(&Modalities::new(NAMES).unwrap(), readings, presence, (0..batch as u64).collect()).unwrap()
}

fn complete(size: (usize, usize), batch: usize) -> Inputs {
    inputs(size, Presence::uniform(Subset::full(3), batch))
}

fn mixed() -> Presence {
    Presence::new([0b111, 0b010, 0b101, 0b100].map(|bits| Subset::from_bits(bits).unwrap()).to_vec())
}

/// What an absent sensor holds, be it NaN, changes no bit, in prediction nor in training.
#[test]
fn absent_sensors_are_not_read() {
    let size = (32, 64);
    for config in networks() {
        let (model, clean) = (model(&config, size), inputs(size, mixed()));
        let mut spoilt = clean.clone();
        for (m, channels) in CHANNELS.into_iter().enumerate() {
            let rows = mixed().subsets().iter().map(|has| if has.contains(m) { 0.0 } else { f32::NAN }).collect::<Vec<_>>();
            let nan = Tensor::from_vec(rows, (4, 1, 1, 1), &Device::Cpu).unwrap().broadcast_as((4, channels, size.0, size.1)).unwrap();
            spoilt = spoilt.with_values(m, (reading(m, 4, size) + nan).unwrap()).unwrap();
        }
        for mode in [Mode::Eval, Mode::Train] {
            let predict = |inputs: &Inputs| model.network().forward(inputs, &mixed(), mode).unwrap().prediction;
            let (expected, found) = (predict(&clean), predict(&spoilt));
            assert!(bits(&expected) == bits(&found), "{config:?} {mode:?}");
            assert!(expected.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|x| x.is_finite()), "{config:?}");
        }
    }
}

/// A combination of the shared evaluation is what a pass with only its sensors predicts; each sample, what it would be alone.
#[test]
fn combinations_share_what_they_can() {
    let size = (64, 32);
    for config in networks() {
        let (model, all) = (model(&config, size), complete(size, 2));
        let subsets: Vec<Subset> = Subset::all_non_empty(3).collect();
        let shared = model.predict_combinations(&all, &subsets).unwrap();
        for (i, &subset) in subsets.iter().enumerate() {
            let alone = all.with_presence(Presence::uniform(subset, 2)).unwrap();
            let single = model.predict(&alone).unwrap().prediction;
            assert_eq!(single.dims(), [2, CLASSES, 64, 32]);
            assert!(difference(&shared.get(i).unwrap(), &single) < 1e-5, "{config:?} {subset:?}");
        }
        let encoded = model.encode(&complete(size, 4)).unwrap();
        let together = model.fuse(&encoded, &mixed()).unwrap().prediction;
        for (row, &subset) in mixed().subsets().iter().enumerate() {
            let alone = complete(size, 4).select(&[row]).unwrap().with_presence(Presence::uniform(subset, 1)).unwrap();
            let single = model.predict(&alone).unwrap().prediction;
            assert!(difference(&together.narrow(0, row, 1).unwrap(), &single) < 1e-5, "{config:?} row {row}");
        }
    }
}

/// One run of an encoder for each sensor that is there, whatever the number of combinations.
#[test]
fn encoders_of_absent_sensors_do_not_run() {
    let size = (32, 32);
    for config in networks() {
        let model = model(&config, size);
        let subsets: Vec<Subset> = Subset::all_non_empty(3).collect();
        assert_eq!(model.visit_combinations(&complete(size, 1), &subsets, &|_, _| Ok(())).unwrap(), 3);
        for subset in subsets {
            let inputs = inputs(size, Presence::uniform(subset, 2));
            assert_eq!(model.encode(&inputs).unwrap().encoder_passes, subset.len(), "{config:?} {subset:?}");
        }
        // A combination that nobody has: no meaning, but no error either.
        let inputs = inputs(size, Presence::uniform(Subset::single(0), 1));
        model.visit_combinations(&inputs, &[Subset::single(2)], &|_, _| Ok(())).unwrap();
    }
}

/// Batch statistics are of the samples that have a sensor: without one, its encoder's running statistics stay as they are, the carrier's too.
#[test]
fn training_leaves_encoders_of_absent_sensors_alone() {
    let size = (32, 32);
    for config in networks() {
        let model = model(&config, size);
        let before = model.parameters().snapshot().unwrap();
        let depth = Presence::uniform(Subset::single(1), 3);
        let output = model.network().forward(&complete(size, 3), &depth, Mode::Train).unwrap();
        let loss = output.prediction.sqr().unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        let (mut ran, mut idle) = (0, 0);
        for (name, variable) in model.parameters().variables() {
            let absent = ["encoder_rgb.", "encoder_thermal.", "encoders.rgb.", "encoders.thermal."].iter().any(|n| name.starts_with(n));
            let changed = bits(&variable) != bits(&before[&name]);
            assert!(!(absent && (changed || gradients.get(&variable).is_some())), "{name}");
            let own = name.starts_with("encoder_depth.") || name.starts_with("encoders.depth.");
            if name.ends_with("running_mean") {
                ran += usize::from(own && changed);
                idle += usize::from(absent);
            }
        }
        assert!(ran > 0 && idle > 0, "{config:?}");
    }
}

/// Weights of one change nothing, and a sensor of weight zero is as good as absent; in a mean it still counts.
#[test]
fn weights_scale_the_sensors() {
    let size = (32, 32);
    for config in networks() {
        let model = model(&config, size);
        let (network, full) = (model.network(), Presence::uniform(Subset::full(3), 2));
        let encoded = model.encode(&complete(size, 2)).unwrap();
        let fuse = |weights: [f32; 3]| {
            let weights = Tensor::new(&[weights; 2], &Device::Cpu).unwrap();
            network.fuse_weighted(&encoded, &full, Some(&weights), Mode::Eval).unwrap().context
        };
        let plain = |presence: &Presence| network.fuse(&encoded, presence, Mode::Eval).unwrap().context;
        assert!(difference(&fuse([1.0; 3]), &plain(&full)) < 1e-6, "{config:?}");
        let is_mean = matches!(&config, DenseConfig::UNet(unet) if unet.fusion == UNetFusion::Mean);
        for absent in 0..3 {
            let others = Presence::uniform(Subset::from_bits(0b111 & !(1 << absent)).unwrap(), 2);
            let mut weights = [if is_mean { 1.5 } else { 1.0 }; 3];
            weights[absent] = 0.0;
            assert!(difference(&fuse(weights), &plain(&others)) < 1e-5, "{config:?} {absent}");
        }
        let own = network.own_maps(&encoded).unwrap();
        assert!(own.len() == 3 && own.iter().all(Option::is_some));
        let wrong = Tensor::ones((3, 2), DType::F32, &Device::Cpu).unwrap();
        assert!(matches!(network.fuse_weighted(&encoded, &full, Some(&wrong), Mode::Eval), Err(mm_core::Error::Shape { .. })));
    }
}

/// Sizes that no stride divides: padded, predicted, cropped; so are the coarser predictions of training.
#[test]
fn odd_sizes() {
    let size = (37, 50);
    for config in networks() {
        let model = model(&config, size);
        let inputs = complete(size, 2);
        let output = model.predict(&inputs).unwrap();
        assert_eq!(output.prediction.dims(), [2, CLASSES, 37, 50]);
        assert!(output.side.is_empty());
        assert_eq!(output.features.len(), 3);
        // Padding repeats the border: a padded image predicts the same where it is the image.
        let padded = (37usize.next_multiple_of(model.network().stride()), 50usize.next_multiple_of(model.network().stride()));
        let readings = (0..3).map(|m| Some(mm_core::dense::pad_to_multiple(&reading(m, 2, size), model.network().stride()).unwrap()));
        let larger = Inputs::new(inputs.modalities(), readings, inputs.presence().clone(), vec![0, 1]).unwrap();
        let larger = model.predict(&larger).unwrap().prediction;
        assert_eq!(larger.dims()[2..], [padded.0, padded.1]);
        assert!(bits(&mm_core::dense::crop(&larger, size).unwrap()) == bits(&output.prediction), "{config:?}");
        let trained = model.network().forward(&inputs, inputs.presence(), Mode::Train).unwrap();
        let factors: &[usize] = if matches!(config, DenseConfig::UNet(_)) { &[2, 4] } else { &[8, 16, 32] };
        let sides: Vec<Vec<usize>> = trained.side.iter().map(|side| side.dims()[2..].to_vec()).collect();
        assert_eq!(sides, factors.iter().map(|f| vec![37usize.div_ceil(*f), 50usize.div_ceil(*f)]).collect::<Vec<_>>());
    }
}

/// With turns, a turned image has the turned prediction; a map that is no square is asked in all eight ways, too.
#[test]
fn turns_make_no_difference_between_up_and_left() {
    let turned = |maps: &Tensor| mm_core::dense::mirrored(&maps.transpose(2, 3).unwrap().contiguous().unwrap()).unwrap();
    for size in [(32, 32), (32, 40)] {
        let config = DenseConfig::UNet(unet(UNetFusion::Mean));
        let model = Flipped::turned(Box::new(model(&config, size)));
        let inputs = complete(size, 2);
        let readings = (0..3).map(|m| Some(turned(&reading(m, 2, size)))).collect::<Vec<_>>();
        let other = Inputs::new(inputs.modalities(), readings, inputs.presence().clone(), inputs.ids().to_vec()).unwrap();
        let subsets = [Subset::single(1), Subset::full(3)];
        let (a, b) = (model.predict_combinations(&inputs, &subsets).unwrap(), model.predict_combinations(&other, &subsets).unwrap());
        for i in 0..2 {
            assert!(difference(&turned(a.get(i).as_ref().unwrap()), b.get(i).as_ref().unwrap()) < 1e-5, "{size:?}");
        }
        assert_eq!(model.encode(&inputs).unwrap().encoder_passes, 24);
    }
}

/// With flips, a mirrored image has the mirrored prediction.
#[test]
fn flips_make_no_difference_between_left_and_right() {
    let size = (32, 33);
    let config = DenseConfig::UNet(unet(UNetFusion::Mean));
    let model = Flipped::new(Box::new(model(&config, size)));
    let inputs = complete(size, 2);
    let mut other = inputs.clone();
    for m in 0..3 {
        other = other.with_values(m, mm_core::dense::mirrored(&reading(m, 2, size)).unwrap()).unwrap();
    }
    let subsets = [Subset::single(1), Subset::full(3)];
    let (a, b) = (model.predict_combinations(&inputs, &subsets).unwrap(), model.predict_combinations(&other, &subsets).unwrap());
    assert!(difference(&mm_core::dense::mirrored(&b).unwrap(), &a) < 1e-6);
    assert_eq!(model.encode(&inputs).unwrap().encoder_passes, 6);
}
