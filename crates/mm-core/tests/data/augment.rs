//! Augmentation: exact where it must be, one transform for all sensors of a sample, repeatable in training.

use candle_core::{DType, Device, Tensor};
use mm_core::data::image::Geometry;
use mm_core::data::{Array, AugmentConfig, Batch, InputKind, InputSpec, Loader, Sample, SampleKey, Schema, Source};
use mm_core::data::{TableDataset, Target, TargetValue, Transform};
use mm_core::fusion::{FusionModel, NetworkConfig};
use mm_core::nn::{Mode, Parameters};
use mm_core::train::{CheckpointConfig, Losses, Method, Step, TrainConfig, Trainer};
use mm_core::{Error, Modalities, Model, Presence, Result, Subset, rng};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

const ALL: AugmentConfig =
    AugmentConfig { flip: 0.5, rotation: 30.0, crop_area: [0.5, 1.0], crop_aspect: [0.75, 4.0 / 3.0], ..AugmentConfig::OFF };

/// A sample of images `[channels, height, width]`.
fn sample(images: &[Tensor]) -> Sample {
    let array = |image: &Tensor| Some(Array::new(image.dims(), values(image)));
    Sample { readings: images.iter().map(array).collect(), target: TargetValue::Class(0) }
}

fn normal(shape: (usize, usize, usize)) -> Tensor {
    let values = rng::standard_normal(&mut rng::stream(1, "images", &[]), shape.0 * shape.1 * shape.2);
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn reading(sample: &Sample, m: usize) -> Vec<f32> {
    sample.readings[m].clone().unwrap().values.into_f32()
}

/// What a transform makes of one image.
fn transformed(image: &Tensor, transform: Geometry) -> Vec<f32> {
    let mut sample = sample(std::slice::from_ref(image));
    let modalities = Modalities::new(["image"]).unwrap();
    let shape = image.dims3().map(|(channels, height, width)| [channels, height, width]).unwrap();
    let schema = Schema::new(modalities, vec![InputSpec::image(shape)], Target::of_classes(["a", "b"])).unwrap();
    transform.transform(&mut sample, &schema);
    assert_eq!(sample.readings[0].as_ref().unwrap().shape, image.dims());
    reading(&sample, 0)
}

/// A sample as training with these settings sees it.
fn augment(mut sample: Sample, config: &AugmentConfig, key: SampleKey) -> Sample {
    config.apply(&mut sample, &schema(), key).unwrap();
    sample
}

#[test]
fn nothing_changes_by_default() {
    let image = normal((2, 5, 7));
    let same = augment(sample(std::slice::from_ref(&image)), &AugmentConfig::default(), SampleKey { seed: 0, epoch: 0, id: 0 });
    assert_eq!(reading(&same, 0), values(&image));
    assert!(AugmentConfig::default().is_off() && !ALL.is_off());
}

/// What is computed from a batch may be kept only where its values are those of the data set.
#[test]
fn batches_of_transformed_samples_count_as_altered() {
    let (data, rows): (_, Vec<usize>) = (data(), (0..24).collect());
    let altered = |transforms: &[Box<dyn Transform>]| {
        let loader = Loader::new(&data, &rows, 8, 0).transforms(transforms);
        loader.epoch(0, 0, |batches| batches.map(|batch| batch.unwrap().inputs().is_altered()).collect::<Vec<_>>())
    };
    assert_eq!(altered(&[]), [false; 3]);
    assert_eq!(altered(&[Box::new(ALL)]), [true; 3]);
}

#[test]
fn flips_and_quarter_turns_are_exact() {
    let image = normal((2, 6, 6));
    let flipped = transformed(&image, Geometry { flip: true, ..Geometry::IDENTITY });
    assert_eq!(flipped, values(&image.flip(&[2]).unwrap()));
    // Counter-clockwise: the last column becomes the first row.
    let turned = transformed(&image, Geometry { degrees: 90.0, ..Geometry::IDENTITY });
    assert_eq!(turned, values(&image.transpose(1, 2).unwrap().contiguous().unwrap().flip(&[1]).unwrap()));
    let flipped = transformed(&image, Geometry { flip_vertical: true, ..Geometry::IDENTITY });
    assert_eq!(flipped, values(&image.flip(&[1]).unwrap()));
    // A crop at the image's own resolution would be a copy; at twice the size the window's pixels are seen magnified.
    let quarter = Geometry { top: 0.5, left: 0.5, height: 0.5, width: 0.5, ..Geometry::IDENTITY };
    let constant = Tensor::ones((1, 8, 8), DType::F32, &Device::Cpu).unwrap();
    assert_eq!(transformed(&constant, quarter)[..7], [1.0; 7]);
    let ramp: Vec<f32> = (0..64).map(|i| (i % 8) as f32).collect();
    let ramp = Tensor::from_vec(ramp, (1, 8, 8), &Device::Cpu).unwrap();
    assert_eq!(transformed(&ramp, quarter)[..7], [3.75, 4.25, 4.75, 5.25, 5.75, 6.25, 6.75]);
}

/// The eight ways in which a square can lie, and no other, each about as often.
#[test]
fn satellite_images_are_turned_and_flipped_without_loss() {
    let config = AugmentConfig { flip: 0.5, flip_vertical: 0.5, quarter_turns: true, ..AugmentConfig::OFF };
    let image = normal((1, 5, 5));
    let mut counts = BTreeMap::<Vec<u32>, usize>::new();
    for id in 0..800 {
        let seen = transformed(&image, config.draw(3, 0, id));
        *counts.entry(seen.iter().map(|x| x.to_bits()).collect()).or_default() += 1;
    }
    assert_eq!(counts.len(), 8);
    assert!(counts.values().all(|count| (60..=140).contains(count)), "{:?}", counts.values());
    let sorted = |values: Vec<f32>| {
        let mut bits: Vec<u32> = values.iter().map(|x| x.to_bits()).collect();
        bits.sort_unstable();
        bits
    };
    assert!(counts.keys().all(|seen| sorted(seen.iter().map(|bits| f32::from_bits(*bits)).collect()) == sorted(values(&image))));
}

#[test]
fn oblong_images_are_not_turned_by_a_quarter() {
    let config = AugmentConfig { quarter_turns: true, ..AugmentConfig::OFF };
    config.check(&schema()).unwrap();
    let inputs = vec![InputSpec::image([3, 8, 8]), InputSpec::image([1, 6, 8])];
    let oblong = Schema::new(Modalities::new(["rgb", "depth"]).unwrap(), inputs, Target::of_classes(["a", "b"])).unwrap();
    let error = config.check(&oblong).unwrap_err().to_string();
    assert!(error.contains("train.augment.quarter_turns") && error.contains("`depth`") && error.contains("[1, 6, 8]"), "{error}");
    AugmentConfig { flip_vertical: 0.5, ..AugmentConfig::OFF }.check(&oblong).unwrap();
}

#[test]
fn what_comes_in_from_outside_is_zero() {
    let ones = Tensor::ones((1, 9, 9), DType::F32, &Device::Cpu).unwrap();
    let turned = transformed(&ones, Geometry { degrees: 45.0, ..Geometry::IDENTITY });
    assert_eq!((turned[0], turned[8], turned[72], turned[80]), (0.0, 0.0, 0.0, 0.0));
    assert_eq!(turned[40], 1.0);
}

/// A smooth spot at a relative place, seen at any resolution.
fn spot(size: usize, (y, x): (f64, f64)) -> Vec<f32> {
    let at = |i: usize| (i as f64 + 0.5) / size as f64;
    let pixel = |i: usize, j: usize| (-((at(i) - y).powi(2) + (at(j) - x).powi(2)) / 0.005).exp() as f32;
    (0..size).flat_map(|i| (0..size).map(move |j| pixel(i, j))).collect()
}

/// Relative place of the centre of mass.
fn centre(image: &[f32], size: usize) -> (f64, f64) {
    let mass: f64 = image.iter().map(|&v| f64::from(v)).sum();
    let at = |i: usize| (i as f64 + 0.5) / size as f64;
    let sum = |place: &dyn Fn(usize) -> f64| image.iter().enumerate().map(|(i, &v)| f64::from(v) * place(i)).sum::<f64>() / mass;
    (sum(&|i| at(i / size)), sum(&|i| at(i % size)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn all_sensors_of_a_sample_move_alike(seed in any::<u64>(), y in 0.4..0.6f64, x in 0.4..0.6f64) {
        let image = |size: usize| Tensor::from_vec(spot(size, (y, x)), (1, size, size), &Device::Cpu).unwrap();
        let (config, key) = (AugmentConfig { crop_area: [0.8, 1.0], ..ALL }, SampleKey { seed, epoch: 3, id: 0 });
        let moved = augment(sample(&[image(64), image(32)]), &config, key);
        let ((y0, x0), (y1, x1)) = (centre(&reading(&moved, 0), 64), centre(&reading(&moved, 1), 32));
        prop_assert!((y0 - y1).abs() < 0.01 && (x0 - x1).abs() < 0.01, "{y0} {x0} {y1} {x1}");
    }
}

/// Every sample's first image in an epoch, by its number.
fn images(batch_size: usize, seed: u64, epoch: u64) -> BTreeMap<u64, Vec<f32>> {
    let (data, rows): (_, Vec<usize>) = (data(), (0..24).collect());
    let transforms: [Box<dyn Transform>; 1] = [Box::new(ALL)];
    let batches: Vec<Batch> = Loader::new(&data, &rows, batch_size, seed)
        .transforms(&transforms)
        .epoch(epoch, 0, |batches| batches.collect::<Result<_>>())
        .unwrap();
    let of_batch = |batch: &Batch| -> Vec<(u64, Vec<f32>)> {
        let rgb = &batch.inputs().reading("rgb").unwrap().unwrap().values;
        batch.ids().iter().enumerate().map(|(i, &id)| (id, values(&rgb.get(i).unwrap()))).collect()
    };
    batches.iter().flat_map(of_batch).collect()
}

#[test]
fn draws_depend_on_seed_epoch_and_sample_only() {
    let drawn = images(24, 1, 0);
    assert_eq!(drawn.len(), 24);
    assert_eq!(drawn, images(24, 1, 0));
    for other in [images(24, 1, 1), images(24, 2, 0)] {
        assert!(drawn.iter().all(|(id, image)| *image != other[id]));
    }
    // In other batches, and alone.
    assert_eq!(drawn, images(6, 1, 0));
    let alone = augment(data().read(2).unwrap(), &ALL, SampleKey { seed: 1, epoch: 0, id: 2 });
    assert_eq!(reading(&alone, 0), drawn[&2]);
    // In range, and of every kind.
    let transforms: Vec<Geometry> = (0..200).map(|row| ALL.draw(0, 0, row)).collect();
    assert!(transforms.iter().all(|t| t.degrees.abs() <= 30.0 && t.top + t.height <= 1.0 && t.left + t.width <= 1.0));
    assert!(transforms.iter().any(|t| t.degrees < -20.0) && transforms.iter().any(|t| t.degrees > 20.0));
    assert!((60..140).contains(&transforms.iter().filter(|t| t.flip).count()));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (text, field) in [
        ("flip = 1.5", "train.augment.flip"),
        ("rotation = -3.0", "train.augment.rotation"),
        ("crop_area = [0.0, 1.0]", "train.augment.crop_area"),
        ("crop_area = [0.5, 1.5]", "train.augment.crop_area"),
        ("crop_aspect = [2.0, 1.0]", "train.augment.crop_aspect"),
        ("flip = nan", "train.augment.flip"),
        ("shift = 2.0", "train.augment.shift"),
        ("zoom = [0.0, 1.0]", "train.augment.zoom"),
    ] {
        let config: TrainConfig = toml::from_str(&format!("augment = {{ {text} }}")).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
    assert!(toml::from_str::<TrainConfig>("augment = { flips = 0.5 }").is_err());
}

struct Network {
    model: FusionModel,
}

impl Network {
    fn new(schema: &Schema) -> Self {
        let config = "encoders.rgb = { kind = 'resnet', stem = 'small', stages = 2, width = 4 }
            encoders.depth = { kind = 'resnet', stem = 'small', stages = 1, width = 4 }";
        let config: NetworkConfig = toml::from_str(config).unwrap();
        Self { model: FusionModel::new(&config, schema, Parameters::new(0, &Device::Cpu)).unwrap() }
    }
}

impl Method for Network {
    fn model(&self) -> &dyn Model {
        &self.model
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.model)
    }

    fn loss(&mut self, batch: &Batch, _: &Step) -> Result<Losses> {
        let output = self.model.network().forward(batch.inputs(), batch.presence(), Mode::Train)?;
        Ok(Losses::new("task", self.model.schema().target.task().loss(&output.prediction, batch.targets())?))
    }
}

fn schema() -> Schema {
    let inputs = vec![InputSpec::image([3, 8, 8]), InputSpec::image([1, 4, 4]), InputSpec::vector(3)];
    Schema::new(Modalities::new(["rgb", "depth", "audio"]).unwrap(), inputs, Target::of_classes(["a", "b"])).unwrap()
}

/// 24 samples; one in four has no depth.
fn data() -> TableDataset {
    let columns = [192, 16, 3].map(|width| rng::standard_normal(&mut rng::stream(2, "data", &[width]), 24 * width as usize));
    let presence = (0..24).map(|i| Subset::from_bits(if i % 4 == 0 { 0b101 } else { 0b111 }).unwrap()).collect();
    TableDataset::new(schema(), columns.to_vec(), Presence::new(presence), (0..24).map(|i| i % 2).collect()).unwrap()
}

fn train(augment: AugmentConfig, epochs: usize, folder: Option<&Path>) -> Vec<f32> {
    let config =
        TrainConfig { epochs, batch_size: 8, augment, schedule: toml::from_str("kind = 'constant'").unwrap(), ..Default::default() };
    let mut trainer = Trainer::new(config);
    if let Some(folder) = folder {
        trainer = trainer.checkpoints(CheckpointConfig { folder: folder.into(), every_seconds: 0.0, fingerprint: "augment".into() });
    }
    let mut method = Network::new(&schema());
    let rows: Vec<usize> = (0..24).collect();
    trainer.run(&mut method, &data(), &rows, &[]).unwrap();
    method.parameters().variables().into_iter().flat_map(|(_, v)| values(v.as_tensor())).collect()
}

#[test]
fn training_with_augmentation_resumes_bit_for_bit_with_any_number_of_threads() {
    let whole = train(ALL, 3, None);
    let folder = tempfile::tempdir().unwrap();
    train(ALL, 1, Some(folder.path()));
    assert_eq!(train(ALL, 3, Some(folder.path())), whole);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(pool.install(|| train(ALL, 3, None)), whole);
    assert_ne!(train(AugmentConfig::default(), 3, None), whole);
}

#[test]
fn absent_images_stay_zero_and_vectors_stay_as_they_are() {
    let clean = [0, 1].map(|row| data().read(row).unwrap());
    let changed = [0, 1].map(|row| augment(clean[row].clone(), &ALL, SampleKey { seed: 0, epoch: 0, id: row as u64 }));
    assert_eq!(changed[0].readings[1], None);
    for (clean, changed) in clean.iter().zip(&changed) {
        assert_eq!(reading(changed, 2), reading(clean, 2));
        assert_ne!(reading(changed, 0), reading(clean, 0));
    }
    assert_ne!(reading(&changed[1], 1), reading(&clean[1], 1));
    // In a batch, what is absent holds zeros.
    let batch = mm_core::data::collate(&schema(), changed.to_vec(), vec![0, 1], true, &Device::Cpu).unwrap();
    let depth = &batch.inputs().reading("depth").unwrap().unwrap().values;
    assert_eq!(values(&depth.get(0).unwrap()), [0.0; 16]);
}

#[test]
fn data_without_images_is_refused() {
    let schema = Schema::new(Modalities::new(["v"]).unwrap(), vec![InputSpec::vector(2)], Target::of_classes(["a"])).unwrap();
    let data = TableDataset::new(schema.clone(), vec![vec![0.0; 8]], Presence::uniform(Subset::full(1), 4), vec![0; 4]).unwrap();
    let model = FusionModel::new(&NetworkConfig::default(), &schema, Parameters::new(0, &Device::Cpu)).unwrap();
    let config = TrainConfig { augment: ALL, ..Default::default() };
    let error = Trainer::new(config).run(&mut Network { model }, &data, &[0, 1, 2], &[]).unwrap_err();
    assert!(matches!(error, Error::Config { .. }) && error.to_string().contains("train.augment"), "{error}");
}

/// A spectrogram has the form of an image, and left is not right in time.
#[test]
fn spectrograms_stay_as_they_are() {
    let image = normal((1, 4, 6));
    let input = InputSpec::new(InputKind::Spectrogram, [1, 4, 6]);
    let schema = Schema::new(Modalities::new(["sound"]).unwrap(), vec![input], Target::of_classes(["a", "b"])).unwrap();
    let mut sample = sample(std::slice::from_ref(&image));
    ALL.apply(&mut sample, &schema, SampleKey { seed: 0, epoch: 0, id: 0 }).unwrap();
    assert_eq!(reading(&sample, 0), values(&image));
}
