//! A small network learns to see with whatever sensors are there.

use candle_core::{Device, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use mm_core::data::{InputKind, InputSpec, Inputs, LossOptions, Schema, Target, Targets};
use mm_core::dense::{DenseConfig, DenseModel, UNetConfig, UNetFusion};
use mm_core::nn::{Mode, Parameters, is_running_statistic};
use mm_core::task::{PixelClasses, Task};
use mm_core::{Modalities, Model, Presence, Subset, rng};
use rand::RngExt;

const SIDE: usize = 24;
const BATCH: usize = 8;

/// Images with a square that only the first sensor sees (class 1) and one that only the second sees (class 2); labels as the loss reads them.
fn scenes(number: u64) -> ([Tensor; 2], Vec<u32>) {
    let mut random = rng::stream(5, "squares", &[number]);
    let pixels = SIDE * SIDE;
    let mut labels = vec![1u32; BATCH * pixels];
    let maps = [2u32, 3].map(|label| {
        let mut map: Vec<f32> = (0..BATCH * pixels).map(|_| 0.2 * (random.random::<f32>() - 0.5)).collect();
        for image in 0..BATCH {
            // The first in the left half, the second in the right one: they do not cover each other.
            let (top, left) =
                (random.random_range(0..SIDE - 8), random.random_range(0..SIDE / 2 - 8) + if label == 3 { SIDE / 2 } else { 0 });
            for (y, x) in (top..top + 8).flat_map(|y| (left..left + 8).map(move |x| (y, x))) {
                map[image * pixels + y * SIDE + x] += 1.0;
                labels[image * pixels + y * SIDE + x] = label;
            }
        }
        Tensor::from_vec(map, (BATCH, 1, SIDE, SIDE), &Device::Cpu).unwrap()
    });
    (maps, labels)
}

fn inputs(modalities: &Modalities, maps: [Tensor; 2], presence: Presence) -> Inputs {
    Inputs::new(modalities, maps.map(Some), presence, (0..BATCH as u64).collect()).unwrap()
}

#[test]
fn missing_sensors_are_learned_to_be_done_without() {
    let modalities = Modalities::new(["rgb", "depth"]).unwrap();
    let specs = vec![InputSpec::new(InputKind::Image, [1, SIDE, SIDE]); 2];
    let schema = Schema::new(modalities.clone(), specs, Target::of_classes(["a", "b"])).unwrap();
    let config = DenseConfig::UNet(UNetConfig { widths: vec![8, 12], fusion: UNetFusion::Mean, side_outputs: true });
    let model = DenseModel::new(&config, &schema, 3, Parameters::new(1, &Device::Cpu)).unwrap();
    let trained = model.parameters().variables().into_iter().filter(|(name, _)| !is_running_statistic(name)).map(|(_, var)| var);
    let mut optimizer = AdamW::new(trained.collect(), ParamsAdamW { lr: 0.01, ..ParamsAdamW::default() }).unwrap();
    let task = PixelClasses::new(["wall", "left", "right"]);
    let weight = Tensor::new(&[1f32, 2.0, 2.0], &Device::Cpu).unwrap();
    let combinations = [0b01u16, 0b10, 0b11, 0b11].map(|bits| Subset::from_bits(bits).unwrap());
    for step in 0..80 {
        let (maps, labels) = scenes(step);
        let targets = Targets::new(Tensor::from_vec(labels, (BATCH, SIDE, SIDE), &Device::Cpu).unwrap())
            .with_options(LossOptions { class_weights: Some(weight.clone()), ..LossOptions::default() });
        let presence = Presence::new((0..BATCH).map(|row| combinations[row % 4]).collect());
        let output = model.network().forward(&inputs(&modalities, maps, presence.clone()), &presence, Mode::Train).unwrap();
        let loss = task.loss_of_scales(&output.prediction, &output.side, &targets).unwrap();
        optimizer.backward_step(&loss).unwrap();
    }
    let (maps, labels) = scenes(1000);
    let inputs = inputs(&modalities, maps, Presence::uniform(Subset::full(2), BATCH));
    let subsets = [Subset::single(0), Subset::single(1), Subset::full(2)];
    let predictions = model.predict_combinations(&inputs, &subsets).unwrap();
    for (i, subset) in subsets.into_iter().enumerate() {
        let classes = predictions.get(i).unwrap().argmax(1).unwrap().flatten_all().unwrap().to_vec1::<u32>().unwrap();
        for class in subset.indices().map(|sensor| sensor as u32 + 1) {
            let count = |wanted: &dyn Fn(bool, bool) -> bool| {
                classes.iter().zip(&labels).filter(|(found, label)| wanted(**found == class, **label == class + 1)).count() as f64
            };
            let iou = count(&|a, b| a && b) / count(&|a, b| a || b);
            println!("{subset:?} class {class}: {iou:.3}");
            assert!(iou > 0.6, "{subset:?} class {class}: {iou}");
        }
    }
}
