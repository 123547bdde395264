//! The method on tiny images of different channels and sizes.

use candle_core::Device;
use mm_baselines::{Fusion, FusionConfig};
use mm_core::data::{InputKind, InputSpec, Schema, Source, TableDataset, Target};
use mm_core::fusion::NetworkConfig;
use mm_core::recipe::{Recipe, Setup};
use mm_core::train::{Method, TrainConfig};
use mm_core::{Modalities, Model, Presence, Subset, rng};
use mm_testing::fit;
use mmanet::{Mmanet, MmanetConfig, WeakSupervision};
use rand::RngExt;

const SAMPLES: usize = 192;

/// A colour camera, a depth camera, and a larger grey one that shows nothing but noise.
fn data() -> TableDataset {
    let shapes = [[3, 16, 15], [1, 16, 15], [1, 20, 20]];
    let inputs = shapes.map(|shape| InputSpec::new(InputKind::Image, shape)).to_vec();
    let classes = ["left", "right", "both"].map(String::from).to_vec();
    let schema = Schema::new(Modalities::new(["rgb", "depth", "grey"]).unwrap(), inputs, Target::of_classes(classes)).unwrap();
    let mut random = rng::stream(1, "images", &[]);
    let labels: Vec<u32> = (0..SAMPLES as u32).map(|i| i % 3).collect();
    let mut column = |[channels, height, width]: [usize; 3], signal: f32| -> Vec<f32> {
        let mut values = Vec::with_capacity(SAMPLES * channels * height * width);
        for &label in &labels {
            for i in 0..channels * height * width {
                let right = i % width >= width / 2;
                let lit = label == 2 || right == (label == 1);
                values.push(signal * f32::from(lit) + random.random::<f32>() - 0.5);
            }
        }
        values
    };
    let columns = vec![column(shapes[0], 0.6), column(shapes[1], 0.4), column(shapes[2], 0.0)];
    TableDataset::new(schema, columns, Presence::uniform(Subset::full(3), SAMPLES), labels).unwrap()
}

fn network() -> NetworkConfig {
    toml::from_str(
        "encoder = { kind = 'resnet', stem = 'small', stages = 2, width = 8, squeeze_excite = true }
         trunk = { kind = 'resnet', widths = [16, 24], blocks = [1, 1], pool_to_smallest = true }",
    )
    .unwrap()
}

#[test]
fn images_of_different_channels_and_sizes_are_learned() {
    let data = data();
    let (train, held_out): (Vec<usize>, Vec<usize>) = (0..SAMPLES).partition(|row| row % 4 != 0);
    // A low rate that ends at nothing: otherwise the last steps, and with them rounding, decide what is counted below.
    let config = TrainConfig { epochs: 10, batch_size: 24, learning_rate: 0.02, seed: 2, ..TrainConfig::default() };
    let mut teacher =
        Fusion::new(FusionConfig { network: network(), ..FusionConfig::full_only() }, &Setup::new(data.schema()).seed(9)).unwrap();
    fit(&mut teacher, &data, &train, &held_out, &config, None).unwrap();

    let settings = MmanetConfig { network: network(), begin_epoch: 2, supervision: WeakSupervision::Both, ..Default::default() };
    let mut model = Mmanet::new(settings, &Setup::new(data.schema()).seed(2), teacher.into_deployed()).unwrap();
    fit(&mut model, &data, &train, &held_out, &config, None).unwrap();

    let batch = data.batch(&held_out, &Device::Cpu).unwrap();
    let subsets: Vec<Subset> = (1..8).map(|bits| Subset::from_bits(bits).unwrap()).collect();
    let predictions = model.model().predict_combinations(batch.inputs(), &subsets).unwrap();
    let labels = batch.targets().values().to_vec1::<u32>().unwrap();
    for (i, &subset) in subsets.iter().enumerate() {
        let together = predictions.get(i).unwrap();
        let alone =
            model.model().predict(&batch.inputs().with_presence(Presence::uniform(subset, batch.len())).unwrap()).unwrap().prediction;
        let difference = (&together - &alone).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 1e-5, "{subset:?}: {difference}");
        let guessed = together.argmax(1).unwrap().to_vec1::<u32>().unwrap();
        let right = guessed.iter().zip(&labels).filter(|(a, b)| a == b).count();
        // Chance is a third, and the camera of noise alone stays there. With six seeds, the others are right in 47 or 48 of 48.
        if subset.contains(0) || subset.contains(1) {
            assert!(right * 3 >= labels.len() * 2, "{subset:?}: {right} of {}", labels.len());
        }
    }
    // What is shipped has no regularization branch, and gives the same predictions.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    model.model().parameters().save(&file, |_| true).unwrap();
    let shipped = MmanetConfig { network: network(), ..Default::default() }.model(&Setup::new(data.schema())).unwrap();
    shipped.parameters().load(&file).unwrap();
    assert_eq!(
        model.model().predict(batch.inputs()).unwrap().prediction.to_vec2::<f32>().unwrap(),
        shipped.predict(batch.inputs()).unwrap().prediction.to_vec2::<f32>().unwrap()
    );
}
