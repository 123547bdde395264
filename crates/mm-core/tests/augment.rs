//! Augmentation: exact where it must be, one transform for all sensors of a sample, repeatable in training.

use candle_core::{Device, Tensor};
use mm_core::data::{AugmentConfig, Batch, Dataset, InputSpec, Schema, TableDataset, Target, Transform, augment, transform};
use mm_core::fusion::{FusionNetwork, NetworkConfig};
use mm_core::loss::cross_entropy;
use mm_core::nn::{Mode, Parameters};
use mm_core::predict::{Predictions, Predictor};
use mm_core::train::{CheckpointConfig, Losses, Method, Progress, Step, TrainConfig, fit};
use mm_core::{Error, Modalities, Presence, Result, Subset, rng};
use proptest::prelude::*;
use std::path::Path;

const ALL: AugmentConfig = AugmentConfig { flip: 0.5, rotation: 30.0, crop_area: [0.5, 1.0], crop_aspect: [0.75, 4.0 / 3.0] };

/// A batch of images of the given shapes, the same number of samples each.
fn batch(images: Vec<Tensor>) -> Batch {
    let samples = images[0].dim(0).unwrap();
    let labels = Tensor::zeros(samples, candle_core::DType::U32, &Device::Cpu).unwrap();
    let presence = Presence::uniform(Subset::full(images.len()), samples);
    Batch::new(images.into_iter().map(Some).collect(), presence, labels, (0..samples as u64).collect()).unwrap()
}

fn normal(shape: (usize, usize, usize, usize)) -> Tensor {
    let values = rng::standard_normal(&mut rng::stream(1, "images", &[]), shape.0 * shape.1 * shape.2 * shape.3);
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn input(batch: &Batch, m: usize) -> &Tensor {
    batch.inputs[m].as_ref().unwrap()
}

#[test]
fn nothing_changes_by_default() {
    let clean = batch(vec![normal((3, 2, 5, 7))]);
    let same = augment(&clean, &AugmentConfig::default(), 0, 0).unwrap();
    assert_eq!(values(input(&same, 0)), values(input(&clean, 0)));
    assert!(!same.augmented);
}

#[test]
fn flips_and_quarter_turns_are_exact() {
    let image = normal((1, 2, 6, 6));
    let clean = batch(vec![image.clone()]);
    let flipped = transform(&clean, &[Transform { flip: true, ..Transform::IDENTITY }]).unwrap();
    assert!(flipped.augmented);
    assert_eq!(values(input(&flipped, 0)), values(&image.flip(&[3]).unwrap()));
    // Counter-clockwise: the last column becomes the first row.
    let turned = transform(&clean, &[Transform { degrees: 90.0, ..Transform::IDENTITY }]).unwrap();
    assert_eq!(values(input(&turned, 0)), values(&image.transpose(2, 3).unwrap().contiguous().unwrap().flip(&[2]).unwrap()));
    // A crop at the image's own resolution would be a copy; at twice the size the window's pixels are seen magnified.
    let quarter = Transform { top: 0.5, left: 0.5, height: 0.5, width: 0.5, ..Transform::IDENTITY };
    let constant = batch(vec![Tensor::ones((1, 1, 8, 8), candle_core::DType::F32, &Device::Cpu).unwrap()]);
    let cropped = values(input(&transform(&constant, &[quarter]).unwrap(), 0));
    assert_eq!(cropped[..7], [1.0; 7]);
    let ramp: Vec<f32> = (0..64).map(|i| (i % 8) as f32).collect();
    let ramp = batch(vec![Tensor::from_vec(ramp, (1, 1, 8, 8), &Device::Cpu).unwrap()]);
    let cropped = values(input(&transform(&ramp, &[quarter]).unwrap(), 0));
    assert_eq!(cropped[..7], [3.75, 4.25, 4.75, 5.25, 5.75, 6.25, 6.75]);
}

#[test]
fn what_comes_in_from_outside_is_zero() {
    let ones = batch(vec![Tensor::ones((1, 1, 9, 9), candle_core::DType::F32, &Device::Cpu).unwrap()]);
    let turned = values(input(&transform(&ones, &[Transform { degrees: 45.0, ..Transform::IDENTITY }]).unwrap(), 0));
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
        let image = |size: usize| Tensor::from_vec(spot(size, (y, x)), (1, 1, size, size), &Device::Cpu).unwrap();
        let moved = augment(&batch(vec![image(64), image(32)]), &AugmentConfig { crop_area: [0.8, 1.0], ..ALL }, seed, 3).unwrap();
        let ((y0, x0), (y1, x1)) = (centre(&values(input(&moved, 0)), 64), centre(&values(input(&moved, 1)), 32));
        prop_assert!((y0 - y1).abs() < 0.01 && (x0 - x1).abs() < 0.01, "{y0} {x0} {y1} {x1}");
    }
}

#[test]
fn draws_depend_on_seed_epoch_and_sample_only() {
    let clean = batch(vec![normal((4, 1, 8, 8))]);
    let drawn = |seed, epoch| values(input(&augment(&clean, &ALL, seed, epoch).unwrap(), 0));
    assert_eq!(drawn(1, 0), drawn(1, 0));
    assert_ne!(drawn(1, 0), drawn(1, 1));
    assert_ne!(drawn(1, 0), drawn(2, 0));
    let sample = augment(&clean.sample(2).unwrap(), &ALL, 1, 0).unwrap();
    assert!(sample.augmented);
    assert_eq!(values(input(&sample, 0)), drawn(1, 0)[128..192]);
    // In range, and of every kind.
    let transforms: Vec<Transform> = (0..200).map(|row| ALL.draw(0, 0, row)).collect();
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
    ] {
        let config: TrainConfig = toml::from_str(&format!("augment = {{ {text} }}")).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
    assert!(toml::from_str::<TrainConfig>("augment = { flips = 0.5 }").is_err());
}

struct Network {
    parameters: Parameters,
    network: FusionNetwork,
}

impl Network {
    fn new(schema: &Schema) -> Self {
        let config = "encoders.rgb = { kind = 'resnet', stem = 'small', stages = 2, width = 4 }
            encoders.depth = { kind = 'resnet', stem = 'small', stages = 1, width = 4 }";
        let parameters = Parameters::new(0, &Device::Cpu);
        let config: NetworkConfig = toml::from_str(config).unwrap();
        let network = FusionNetwork::new(&config, schema, parameters.builder()).unwrap();
        Self { parameters, network }
    }
}

impl Predictor for Network {
    fn predict(&self, batch: &Batch) -> Result<Tensor> {
        Ok(self.network.forward(batch, &batch.presence, Mode::Eval)?.logits)
    }

    fn predict_combinations(&self, batch: &Batch, subsets: &[Subset]) -> Result<Predictions> {
        self.network.predict_combinations(batch, subsets)
    }
}

impl Method for Network {
    fn loss(&mut self, batch: &Batch, _: &Step) -> Result<Losses> {
        let logits = self.network.forward(batch, &batch.presence, Mode::Train)?.logits;
        Ok(Losses::new("task", cross_entropy(&logits, &batch.labels)?))
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

fn schema() -> Schema {
    let inputs = vec![InputSpec::image([3, 8, 8]), InputSpec::image([1, 4, 4]), InputSpec::vector(3)];
    let classes = ["a", "b"].map(String::from).to_vec();
    Schema::new(Modalities::new(["rgb", "depth", "audio"]).unwrap(), inputs, Target::Classes(classes)).unwrap()
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
    let checkpoints = folder.map(|folder| CheckpointConfig { folder: folder.into(), every_seconds: 0.0, fingerprint: "augment".into() });
    let mut method = Network::new(&schema());
    let rows: Vec<usize> = (0..24).collect();
    fit(&mut method, &data(), &rows, &[], &config, checkpoints.as_ref(), &Progress::hidden()).unwrap();
    method.parameters.variables().into_iter().flat_map(|(_, v)| values(v.as_tensor())).collect()
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
    let clean = data().batch(&[0, 1], &Device::Cpu).unwrap();
    let changed = augment(&clean, &ALL, 0, 0).unwrap();
    assert_eq!(values(&input(&changed, 1).get(0).unwrap()), [0.0; 16]);
    assert_eq!(values(input(&changed, 2)), values(input(&clean, 2)));
    assert_ne!(values(input(&changed, 0)), values(input(&clean, 0)));
}

#[test]
fn data_without_images_is_refused() {
    let schema = Schema::new(Modalities::new(["v"]).unwrap(), vec![InputSpec::vector(2)], Target::Classes(vec!["a".into()])).unwrap();
    let data = TableDataset::new(schema.clone(), vec![vec![0.0; 8]], Presence::uniform(Subset::full(1), 4), vec![0; 4]).unwrap();
    let parameters = Parameters::new(0, &Device::Cpu);
    let network = FusionNetwork::new(&NetworkConfig::default(), &schema, parameters.builder()).unwrap();
    let config = TrainConfig { augment: ALL, ..Default::default() };
    let error = fit(&mut Network { parameters, network }, &data, &[0, 1, 2], &[], &config, None, &Progress::hidden()).unwrap_err();
    assert!(matches!(error, Error::Config { .. }) && error.to_string().contains("train.augment"), "{error}");
}
