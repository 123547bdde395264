//! Small data sets.

use candle_core::{Device, Tensor};
use mm_core::data::{Batch, InputSpec, Inputs, Meta, Sample, Schema, Source, TableDataset, Target, Targets};
use mm_core::train::{CheckpointConfig, Method, TrainConfig, TrainOutcome, Trainer};
use mm_core::{Modalities, Presence, Subset, rng};
use rand::RngExt;

/// `samples` whose classes take turns; every sensor shows the class as a fixed random pattern with normal noise of the standard
/// deviation `noise`, given by modality, and `has` tells which sensors a sample has.
pub fn patterns(schema: Schema, samples: usize, noise: &[f32], has: impl Fn(usize) -> Subset) -> TableDataset {
    let classes = schema.target.classes();
    let labels: Vec<u32> = (0..samples).map(|i| (i % classes) as u32).collect();
    let table = |(m, input): (usize, &InputSpec)| -> Vec<f32> {
        let width = input.elements();
        let patterns = rng::standard_normal(&mut rng::stream(9, "pattern", &[m as u64]), classes * width);
        let draws = rng::standard_normal(&mut rng::stream(9, "noise", &[m as u64]), samples * width);
        let clean = labels.iter().flat_map(|&l| patterns[l as usize * width..][..width].to_vec());
        clean.zip(draws).map(|(pattern, draw)| pattern + noise[m] * draw).collect()
    };
    let tables = schema.inputs.iter().enumerate().map(table).collect();
    TableDataset::new(schema, tables, Presence::new((0..samples).map(has).collect()), labels).unwrap()
}

/// A table that does not say that it is one: a source as any other.
pub struct Hidden(pub TableDataset);

impl Source for Hidden {
    fn schema(&self) -> &Schema {
        self.0.schema()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn meta(&self, row: usize) -> Meta<'_> {
        self.0.meta(row)
    }

    fn read(&self, row: usize) -> mm_core::Result<Sample> {
        self.0.read(row)
    }
}

/// A batch of classes from its parts: a tensor `[batch, ..]` by modality, labels u32 `[batch]`.
pub fn batch(modalities: &Modalities, readings: Vec<Option<Tensor>>, presence: Presence, labels: Tensor, ids: Vec<u64>) -> Batch {
    Batch::new(Inputs::new(modalities, readings, presence, ids).unwrap(), Targets::new(labels)).unwrap()
}

/// The tensors of inputs, by modality.
pub fn tensors(inputs: &Inputs) -> Vec<Option<Tensor>> {
    inputs.readings().iter().map(|reading| reading.as_ref().map(|reading| reading.values.clone())).collect()
}

/// The batch with the modalities of `presence`.
pub fn with_presence(batch: &Batch, presence: Presence) -> Batch {
    batch.with_inputs(batch.inputs().with_presence(presence).unwrap()).unwrap()
}

/// The batch with `value` wherever `spoil(row, modality)`; it does not count as altered.
pub fn spoilt(batch: &Batch, value: f32, spoil: impl Fn(usize, usize) -> bool) -> Batch {
    let spoil_one = |(m, tensor): (usize, Option<Tensor>)| {
        let tensor = tensor?;
        let width = tensor.elem_count() / batch.len();
        let mut values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.iter_mut().enumerate().filter(|(i, _)| spoil(i / width, m)).for_each(|(_, v)| *v = value);
        Some(Tensor::from_vec(values, tensor.shape(), &Device::Cpu).unwrap())
    };
    let readings: Vec<Option<Tensor>> = tensors(batch.inputs()).into_iter().enumerate().map(spoil_one).collect();
    let inputs = Inputs::new(batch.inputs().modalities(), readings, batch.presence().clone(), batch.ids().to_vec()).unwrap();
    batch.with_inputs(inputs).unwrap()
}

/// Three modalities of widths 6, 5, 4 and three classes, for [`clear_to_weak`].
pub fn clear_to_weak_schema() -> Schema {
    let inputs = [6, 5, 4].map(InputSpec::vector).to_vec();
    let classes = ["a", "b", "c"];
    Schema::new(Modalities::new(["strong", "middle", "weak"]).unwrap(), inputs, Target::of_classes(classes)).unwrap()
}

/// Complete samples of [`clear_to_weak_schema`], seeded; the first modality tells the class clearly, the others less.
pub fn clear_to_weak(samples: usize, seed: u64) -> TableDataset {
    let mut random = rng::stream(seed, "test-data", &[]);
    let labels: Vec<u32> = (0..samples as u32).map(|i| i % 3).collect();
    let columns = [(6, 2.0), (5, 1.0), (4, 0.4)].map(|(width, signal): (usize, f32)| {
        let mut column = Vec::new();
        for &label in &labels {
            column.extend((0..width).map(|d| signal * f32::from(d as u32 == label) + random.random::<f32>() - 0.5));
        }
        column
    });
    TableDataset::new(clear_to_weak_schema(), columns.to_vec(), Presence::uniform(Subset::full(3), samples), labels).unwrap()
}

/// Trains a method, as [`Trainer::run`] does.
pub fn fit(
    method: &mut dyn Method,
    source: &dyn Source,
    train: &[usize],
    validation: &[usize],
    config: &TrainConfig,
    checkpoints: Option<&CheckpointConfig>,
) -> mm_core::Result<TrainOutcome> {
    let trainer = Trainer::new(config.clone());
    match checkpoints {
        Some(checkpoints) => trainer.checkpoints(checkpoints.clone()).run(method, source, train, validation),
        None => trainer.run(method, source, train, validation),
    }
}

/// The batch with other values of one modality; it does not count as altered.
pub fn with_values(batch: &Batch, position: usize, values: Tensor) -> Batch {
    let mut readings = tensors(batch.inputs());
    readings[position] = Some(values);
    let inputs = Inputs::new(batch.inputs().modalities(), readings, batch.presence().clone(), batch.ids().to_vec()).unwrap();
    batch.with_inputs(inputs).unwrap()
}
