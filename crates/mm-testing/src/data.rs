//! Small data sets.

use candle_core::{Device, Tensor};
use mm_core::data::{Batch, InputSpec, Schema, TableDataset, Target};
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

/// The batch with `value` wherever `spoil(row, modality)`.
pub fn spoilt(batch: &Batch, value: f32, spoil: impl Fn(usize, usize) -> bool) -> Batch {
    let mut spoilt = batch.clone();
    for (m, input) in spoilt.inputs.iter_mut().enumerate() {
        let Some(tensor) = input else { continue };
        let width = tensor.elem_count() / batch.len();
        let mut values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.iter_mut().enumerate().filter(|(i, _)| spoil(i / width, m)).for_each(|(_, v)| *v = value);
        *input = Some(Tensor::from_vec(values, tensor.shape(), &Device::Cpu).unwrap());
    }
    spoilt
}

/// Three modalities of widths 6, 5, 4 and three classes, for [`clear_to_weak`].
pub fn clear_to_weak_schema() -> Schema {
    let inputs = [6, 5, 4].map(InputSpec::vector).to_vec();
    let classes = ["a", "b", "c"].map(String::from).to_vec();
    Schema::new(Modalities::new(["strong", "middle", "weak"]).unwrap(), inputs, Target::Classes(classes)).unwrap()
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
