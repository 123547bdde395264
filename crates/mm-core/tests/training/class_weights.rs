//! What a class weighs in the loss.

use candle_core::{Device, Tensor};
use mm_core::data::{Batch, Loader, Source, TableDataset, Target, Targets};
use mm_core::train::{ClassWeights, Losses, Method, Step, TrainConfig, Trainer};
use mm_core::{Error, Model, Presence, Result, Subset};
use mm_testing::{Dropout, clear_to_weak, clear_to_weak_schema, parameter_bits};
use std::collections::{BTreeMap, BTreeSet};

fn by_name(weights: &[(&str, f64)]) -> ClassWeights {
    ClassWeights::ByName(weights.iter().map(|(name, weight)| (name.to_string(), *weight)).collect())
}

fn scalar(tensor: &Tensor) -> f64 {
    f64::from(tensor.to_scalar::<f32>().unwrap())
}

#[test]
fn the_loss_is_the_weighted_mean() {
    let logits = [[2f32, 0.0, -1.0], [0.5, 0.5, 0.0], [-1.0, 3.0, 0.0], [0.0, 0.0, 1.0]];
    let (labels, weights) = ([0u32, 1, 2, 2], [1f32, 4.0, 0.0, 0.5]);
    let loss = |logits: &[f32; 3], label: u32| {
        let sum: f64 = logits.iter().map(|&z| f64::from(z).exp()).sum();
        sum.ln() - f64::from(logits[label as usize])
    };
    let losses: Vec<f64> = logits.iter().zip(labels).map(|(logits, label)| loss(logits, label)).collect();
    let total: f64 = losses.iter().zip(weights).map(|(loss, weight)| f64::from(weight) * loss).sum();
    let target = Target::of_classes(["a", "b", "c"]);
    let prediction = Tensor::new(&logits, &Device::Cpu).unwrap();
    let targets = || Targets::new(Tensor::new(&labels, &Device::Cpu).unwrap());
    let weighted = |weights: &[f32]| {
        let targets = targets().with_weights(Tensor::new(weights, &Device::Cpu).unwrap()).unwrap();
        scalar(&target.task().loss(&prediction, &targets).unwrap())
    };
    assert!((weighted(&weights) - total / 5.5).abs() < 1e-6);
    let even = scalar(&target.task().loss(&prediction, &targets()).unwrap());
    assert!((even - losses.iter().sum::<f64>() / 4.0).abs() < 1e-6);
    // Only their ratios count, and a batch of which nothing counts is no loss.
    assert_eq!(weighted(&[1.0; 4]), even);
    assert!((weighted(&weights.map(|weight| 8.0 * weight)) - total / 5.5).abs() < 1e-6);
    assert_eq!(weighted(&[0.0; 4]), 0.0);
}

#[test]
fn weights_stay_with_their_samples() {
    let data = clear_to_weak(4, 1);
    let batch = data.batch(&[0, 1, 2, 3], &Device::Cpu).unwrap();
    let batch = batch.with_weights(Tensor::new(&[1f32, 2.0, 3.0, 4.0], &Device::Cpu).unwrap()).unwrap();
    let weights = |targets: &Targets| targets.weights().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(weights(batch.select(&[3, 0]).unwrap().targets()), [4.0, 1.0]);
    let twice = batch.targets().repeated(2).unwrap();
    assert_eq!(weights(&twice), [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]);
    assert_eq!(twice.values().to_vec1::<u32>().unwrap(), [0, 0, 1, 1, 2, 2, 0, 0]);
    let per_sample = Tensor::new(&[4f32, 1.0, 1.0, 1.0], &Device::Cpu).unwrap();
    assert!((scalar(&batch.targets().mean(&per_sample).unwrap()) - 1.3).abs() < 1e-6);
}

/// 48 samples of class `a`, 24 of `b` and 8 of `c`.
fn uneven() -> TableDataset {
    let labels: Vec<u32> = (0..80).map(|i| [0, 0, 0, 1, 0, 1, 0, 2, 1, 0][i % 10]).collect();
    let columns = clear_to_weak(80, 1);
    let columns = (0..3).map(|m| columns.column(m).to_vec()).collect();
    TableDataset::new(clear_to_weak_schema(), columns, Presence::uniform(Subset::full(3), 80), labels).unwrap()
}

#[test]
fn the_loader_weighs_each_sample_by_its_class() {
    let (data, rows): (_, Vec<usize>) = (uneven(), (0..80).collect());
    let loader = Loader::new(&data, &rows, 16, 0).class_weights(vec![0.5, 1.0, 4.0]);
    let batches: Vec<Batch> = loader.epoch(0, 0, |batches| batches.collect::<Result<_>>()).unwrap();
    for batch in batches {
        let labels = batch.targets().values().to_vec1::<u32>().unwrap();
        let expected: Vec<f32> = labels.iter().map(|&label| [0.5, 1.0, 4.0][label as usize]).collect();
        assert_eq!(batch.targets().weights().unwrap().to_vec1::<f32>().unwrap(), expected);
    }
}

/// Notes the weights of each class.
struct Noting {
    dropout: Dropout,
    seen: BTreeMap<u32, BTreeSet<u32>>,
}

impl Method for Noting {
    fn model(&self) -> &dyn Model {
        self.dropout.model()
    }

    fn into_model(self: Box<Self>) -> Box<dyn Model> {
        Box::new(self.dropout.model)
    }

    fn loss(&mut self, batch: &Batch, step: &Step) -> Result<Losses> {
        let weights = batch.targets().weights().map_or(Ok(vec![1.0; batch.len()]), |weights| weights.to_vec1::<f32>())?;
        for (label, weight) in batch.targets().values().to_vec1::<u32>()?.into_iter().zip(weights) {
            self.seen.entry(label).or_default().insert(weight.to_bits());
        }
        self.dropout.loss(batch, step)
    }
}

/// The bits of trained parameters, by name.
type Bits = Vec<(String, Vec<u32>)>;

/// The weight of each class that training sees, and what was trained.
fn train(data: &dyn Source, class_weights: ClassWeights) -> Result<(Vec<f32>, Bits)> {
    let config = TrainConfig { epochs: 2, batch_size: 16, class_weights, ..TrainConfig::default() };
    let rows: Vec<usize> = (0..data.len()).collect();
    let mut method = Noting { dropout: Dropout::new(0), seen: BTreeMap::new() };
    Trainer::new(config).run(&mut method, data, &rows, &[])?;
    assert!(method.seen.values().all(|weights| weights.len() == 1), "{:?}", method.seen);
    let weights = method.seen.values().flatten().map(|bits| f32::from_bits(*bits)).collect();
    Ok((weights, parameter_bits(&method.parameters())))
}

#[test]
fn balanced_classes_weigh_the_more_the_fewer_samples_they_have() {
    let (even, plain) = train(&uneven(), ClassWeights::None).unwrap();
    let (weights, balanced) = train(&uneven(), ClassWeights::Balanced).unwrap();
    assert_eq!(even, [1.0; 3]);
    for (weight, count) in weights.iter().zip([48.0, 24.0, 8.0]) {
        assert!((weight - 80.0 / (3.0 * count)).abs() < 1e-6, "{weights:?}");
    }
    assert_ne!(balanced, plain);
    // Where classes have the same number of samples, there is nothing to balance.
    let same = clear_to_weak(60, 1);
    assert_eq!(train(&same, ClassWeights::Balanced).unwrap().1, train(&same, ClassWeights::None).unwrap().1);
}

#[test]
fn classes_are_weighed_by_name() {
    let plain = train(&uneven(), ClassWeights::None).unwrap().1;
    let (weights, named) = train(&uneven(), by_name(&[("c", 5.0), ("a", 0.25)])).unwrap();
    assert_eq!(weights, [0.25, 1.0, 5.0]);
    assert_ne!(named, plain);
    assert_eq!(train(&uneven(), by_name(&[("a", 2.0), ("b", 2.0), ("c", 2.0)])).unwrap().1, plain);
    for (weights, expected) in [
        (by_name(&[("A", 2.0)]), "there is no class `A`; did you mean `a`?"),
        (by_name(&[("zebra", 2.0)]), "there is no class `zebra`"),
        (by_name(&[("b", -1.0)]), "the weight of `b`"),
        (by_name(&[("b", f64::NAN)]), "the weight of `b`"),
        (by_name(&[("b", f64::INFINITY)]), "the weight of `b`"),
    ] {
        let error = train(&uneven(), weights).unwrap_err();
        assert!(matches!(&error, Error::Config { field, .. } if field == "train.class_weights"), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn class_weights_are_readable_in_files() {
    let read = |text: &str| toml::from_str::<TrainConfig>(text).map(|config| config.class_weights);
    assert_eq!(read("").unwrap(), ClassWeights::None);
    assert_eq!(read("class_weights = 'balanced'").unwrap(), ClassWeights::Balanced);
    assert_eq!(read("class_weights = { by_name = { c = 5.0 } }").unwrap(), by_name(&[("c", 5.0)]));
    assert!(read("class_weights = 'equal'").is_err());
    assert!(!toml::to_string(&TrainConfig::default()).unwrap().contains("class_weights"));
}
